"""How long a run measures: the whole table, or a quick look."""

from __future__ import annotations

from typing import NamedTuple


class Effort(NamedTuple):
    """Rounds of windows, and sizes of what is filled."""

    rounds: int
    stored_payments: int
    tenants: int


FULL = Effort(rounds=7, stored_payments=1_000_000, tenants=10_000)
QUICK = Effort(rounds=2, stored_payments=20_000, tenants=2_000)
