"""The fault rates of a history. Each rate is zero in a good part of all histories."""

from __future__ import annotations

from random import Random

import msgspec


class FaultRates(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities per occasion; ``power_cuts``, ``stops`` and ``outages`` are counts, ``crashes`` is a maximum."""

    crash: float = 0.0
    crashes: int = 0
    power_cuts: int = 0
    stops: int = 0
    outages: int = 0
    provider: float = 0.0
    webhook: float = 0.0
    caller: float = 0.0
    slow: float = 0.0
    lag: float = 0.0
    stale: float = 0.0
    copies: float = 0.0
    misuse: float = 0.0


NO_FAULTS = FaultRates()


def draw_rates(dice: Random) -> FaultRates:
    """Draw the fault rates of a history."""
    return FaultRates(
        crash=dice.choice((0.0, 0.001, 0.004, 0.02)),
        crashes=dice.choice((2, 4, 10)),
        power_cuts=dice.choice((0, 0, 1, 3)),
        stops=dice.choice((0, 0, 1, 2)),
        outages=dice.choice((0, 1, 1, 3)),
        provider=dice.choice((0.0, 0.05, 0.2, 0.5)),
        webhook=dice.choice((0.0, 0.1, 0.3, 0.7)),
        caller=dice.choice((0.0, 0.05, 0.2)),
        slow=dice.choice((0.0, 0.02, 0.1, 0.25)),
        lag=dice.choice((0.0, 0.2, 0.5)),
        stale=dice.choice((0.0, 0.02, 0.1)),
        copies=dice.choice((0.0, 0.2, 0.6)),
        misuse=dice.choice((0.0, 0.2, 0.6)),
    )
