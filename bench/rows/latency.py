"""What the gateway adds to a provider that takes 100 ms, on connections of which none waits for a free core for long.

Sixteen connections: 160 payments a second at most, which leaves the server idle between them. wrk begins them at the
same moment, so they come in bursts, and the last of a burst waits for the others: that is a part of the figure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from bench.contestant import PAYMENTS
from bench.effort import Effort
from bench.gateway import gateway
from bench.table import Row
from bench.windows import Window, in_turn, median, ratio
from bench.yardsticks import provider, yardstick

PROVIDER_MS = 100
PARTS: tuple[tuple[str, Callable[[Window], float], float, float], ...] = (
    ("p50", lambda window: window.p50_ms, 1.03, 1.015),
    ("p99", lambda window: window.p99_ms, 1.10, 1.03),
)
FEW = PAYMENTS._replace(connections=16)


def rows(effort: Effort) -> Iterator[Row]:
    """Windows of three seconds: a p99 of fewer answers says nothing."""
    with contextlib.ExitStack() as up:
        port = up.enter_context(provider(PROVIDER_MS))
        forward = up.enter_context(yardstick("forward", port))
        ours = up.enter_context(gateway(port))
        contestants = {"forward": lambda: forward.pay(3, FEW), "gateway": lambda: ours.pay(3, FEW)}
        seen = in_turn(contestants, effort.rounds)
        ours.check()
    for part, figure, must, aim in PARTS:
        of_each = "; ".join(f"{name} {median(windows, figure):.1f} ms" for name, windows in seen.items())
        title = f"{part} at a {PROVIDER_MS} ms provider : forward"
        value = ratio(seen["gateway"], seen["forward"], figure)
        yield Row(title, value, must, aim, at_most=True, detail=f"{of_each}; {FEW.connections} connections")
