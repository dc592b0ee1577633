"""Windows in turn: each contestant is loaded for a second or two, one after the other, round after round.

This machine's speed wanders within minutes, so every figure is a ratio of neighbours: two windows of one round, and of
those the median over the rounds. The first round warms up and is dropped.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from bench import machine, wrk

_IN_FLIGHT_ENDS = 0.25
"""Seconds after a window in which the server ends what was in flight."""


class Window(NamedTuple):
    """What one window saw of one contestant. CPU in microseconds per request, latencies in milliseconds."""

    requests: int
    per_second: float
    main_us: float
    others_us: float
    p50_ms: float
    p99_ms: float
    busy_cores: float = 0.0
    """How many of the machine's cores were at work, whatever for."""

    @property
    def cpu_us(self) -> float:
        """CPU of all threads."""
        return self.main_us + self.others_us

    @property
    def spread(self) -> float:
        """p99 : p50."""
        return self.p99_ms / self.p50_ms


def measure(server: machine.Process, port: int, load: wrk.Load, seconds: int, **environment: str) -> Window:
    """Load a server for some seconds. Raises ``WrongAnswer``."""
    before, began, idle = server.threads(), time.monotonic(), machine.idle_seconds()
    answers = wrk.run(port, load, seconds, **environment)
    busy = machine.COUNT - (machine.idle_seconds() - idle) / (time.monotonic() - began)
    time.sleep(_IN_FLIGHT_ENDS)
    cpu = machine.spent(server.pid, before, server.threads())
    # What was in flight when the time was up is done too, though its answers are not counted.
    done = answers.requests + load.connections
    return Window(
        answers.requests,
        answers.requests / answers.micros * 1e6,
        cpu.main / done / 1000,
        cpu.others / done / 1000,
        answers.p50_us / 1000,
        answers.p99_us / 1000,
        busy,
    )


Measured = Mapping[str, Sequence[Window]]
"""Contestant -> its window of each round."""


def interleaved(contestants: Mapping[str, Callable[[], Window]], rounds: int) -> Measured:
    """Measure every contestant once per round; each round begins with another one."""
    names = list(contestants)
    seen: dict[str, list[Window]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seen[name].append(contestants[name]())
    return {name: windows[1:] for name, windows in seen.items()}


def ratio(ours: Sequence[Window], theirs: Sequence[Window], figure: Callable[[Window], float]) -> float:
    """The median over the rounds of our figure divided by theirs of the same round."""
    return statistics.median(figure(one) / figure(other) for one, other in zip(ours, theirs, strict=True))


def median(windows: Sequence[Window], figure: Callable[[Window], float]) -> float:
    """The median of a figure over the rounds."""
    return statistics.median(figure(window) for window in windows)


def cpu_in_words(windows: Sequence[Window]) -> str:
    """``1086 + 298``: CPU microseconds per request of the main thread and of the others, if there are any."""
    main, others = median(windows, lambda window: window.main_us), median(windows, lambda window: window.others_us)
    return f"{main:.0f} + {others:.0f}" if others >= 0.5 else f"{main:.0f}"


def in_words(name: str, windows: Sequence[Window]) -> str:
    """``gateway 722/s, 1086 + 298 µs``: throughput and CPU per request."""
    return f"{name} {median(windows, lambda window: window.per_second):,.0f}/s, {cpu_in_words(windows)} µs"
