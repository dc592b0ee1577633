"""Fixtures of this folder."""

from __future__ import annotations

from tests.support.shared_stack import shared_stack as shared_stack
