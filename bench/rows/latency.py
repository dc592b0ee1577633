"""What the gateway adds to a provider that takes 100 ms, while it is busy a tenth of the time.

Sixteen connections, each of which thinks for up to 100 ms before its next payment: about a hundred payments a second.
Without that wrk begins them at the same moment, the provider answers them at the same moment, and what would be
measured is how long the last of sixteen waits for the others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from bench.contestant import PAYMENTS
from bench.effort import Effort
from bench.gateway import gateway
from bench.table import Row
from bench.windows import Window, interleaved, median, ratio
from bench.yardsticks import provider, yardstick

PROVIDER_MS = 100
PARTS: tuple[tuple[str, Callable[[Window], float], float, float], ...] = (
    ("p50", lambda window: window.p50_ms, 1.03, 1.015),
    ("p99", lambda window: window.p99_ms, 1.10, 1.03),
)
FEW = PAYMENTS._replace(connections=16, think_ms=100)


def rows(effort: Effort) -> Iterator[Row]:
    """Windows of three seconds: a p99 of fewer answers says nothing."""
    with contextlib.ExitStack() as up:
        port = up.enter_context(provider(PROVIDER_MS))
        forward = up.enter_context(yardstick("forward", port))
        ours = up.enter_context(gateway(port))
        contestants = {"forward": lambda: forward.pay(3, FEW), "gateway": lambda: ours.pay(3, FEW)}
        seen = interleaved(contestants, effort.rounds)
        ours.check()
    for part, figure, must, aim in PARTS:
        of_each = "; ".join(f"{name} {median(windows, figure):.1f} ms" for name, windows in seen.items())
        title = f"{part} at a {PROVIDER_MS} ms provider : forward"
        value = ratio(seen["gateway"], seen["forward"], figure)
        yield Row(title, value, must, aim, at_most=True, detail=f"{of_each}; {FEW.connections} connections")
