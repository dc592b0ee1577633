"""Fixtures of this folder."""

from __future__ import annotations

from tests.shared_house import shared_house as shared_house
