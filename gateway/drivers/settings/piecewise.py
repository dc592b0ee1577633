"""Freeing large structures while others run."""

from __future__ import annotations

from typing import Any


def let_go(parts: list[Any]) -> None:
    """Empty a list part by part: freed at once, ten thousand tenants hold up every other thread for 100 ms."""
    while parts:
        parts.pop()
