"""A short form of ``make reloads``."""

from __future__ import annotations

from pathlib import Path

from tests.reload.under_load import VERSIONS, reload_under_load


async def test_every_payment_is_made_wholly_by_one_version(tmp_path: Path) -> None:
    """No request fails, each version makes payments, a broken file never does."""
    figures = await reload_under_load(tmp_path, reloads=6)
    assert figures.findings == []
    assert (figures.loaded, figures.refused, figures.payments.keys()) == (4, 2, set(VERSIONS))
