"""Payments and callbacks against what bare aiohttp does with the same requests."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from bench.contestant import PAYMENTS
from bench.effort import Effort
from bench.gateway import gateway
from bench.table import Row
from bench.windows import Window, in_turn, in_words, median, ratio
from bench.yardsticks import provider, yardstick


def rows(effort: Effort) -> Iterator[Row]:
    """Everybody is up at once and loaded in turn; callbacks come after payments, which leave them enough to capture."""
    with contextlib.ExitStack() as up:
        port = up.enter_context(provider())
        forward = up.enter_context(yardstick("forward", port))
        echo = up.enter_context(yardstick("echo"))
        ours = up.enter_context(gateway(port))
        paid = in_turn(
            {
                "forward": lambda: forward.pay(1, PAYMENTS),
                "gateway": lambda: ours.pay(2),
            },
            effort.rounds,
        )
        ours.prepare_callbacks(1)
        called = in_turn(
            {
                "echo": lambda: echo.call_back(1, ours.callbacks_file),
                "gateway": lambda: ours.call_back(1),
            },
            effort.rounds,
        )
        ours.check()
    yield from _pair("payment", paid["gateway"], ("forward", paid["forward"]), (0.33, 0.45), (3.0, 2.2))
    yield from _pair("callback", called["gateway"], ("echo", called["echo"]), (0.14, 0.25), (7.0, 5.0))
    spread = median(paid["gateway"], lambda window: window.spread)
    latency = f"p50 {median(paid['gateway'], lambda window: window.p50_ms):.1f} ms"
    yield Row("payments: p99 : p50 at saturation", spread, 2.5, 1.7, at_most=True, detail=latency)


def _pair(
    what: str,
    ours: Sequence[Window],
    yard: tuple[str, Sequence[Window]],
    throughput: tuple[float, float],
    cpu: tuple[float, float],
) -> Iterator[Row]:
    """Throughput and CPU of one kind of request, each against its must and aim."""
    name, theirs = yard
    detail = f"{in_words('gateway', ours)}; {in_words(name, theirs)}"
    figures: list[tuple[str, tuple[float, float], bool, Callable[[Window], float]]] = [
        (f"{what}s/s : {name}", throughput, False, lambda window: window.per_second),
        (f"CPU per {what} : {name}", cpu, True, lambda window: window.cpu_us),
    ]
    for title, (must, aim), at_most, figure in figures:
        yield Row(title, ratio(ours, theirs, figure), must, aim, at_most, detail=detail)
