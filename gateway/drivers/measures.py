"""What this process counts of itself: plain numbers, added up where things happen, from zero at each start.

``web/admin/metrics.py`` shows them. Keys are words of a closed list (routes, methods, statuses, providers, verdicts),
never an id or what a caller chose, so that their number is bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from gateway.core.response_outcome import call_outcome
from gateway.core.wire import Headers

K = TypeVar("K", bound=Hashable)

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
BATCH_UNITS = (1, 2, 4, 8, 16, 32, 64)

RECENT_MINUTES = 15


class Histogram:
    """How many values came up to each bound, the last place for those above all; and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value; one that equals a bound is within it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Durations(dict[K, Histogram], Generic[K]):
    """A histogram of seconds for each key; its counts say how often there was one."""

    def __missing__(self, key: K) -> Histogram:
        made = self[key] = Histogram(REQUEST_SECONDS)
        return made


class Measures:
    """The numbers of one process; all versions of the settings share them. For the event loop's thread."""

    def __init__(self) -> None:
        self.requests: Durations[tuple[str, str, int]] = Durations()
        """By route, method and status."""
        self.provider_calls: Durations[tuple[str, int | str]] = Durations()
        """By provider, and the status of its answer or the word for what came instead of one."""
        self._calls_before: deque[Counter[tuple[str, str]]] = deque([Counter()], RECENT_MINUTES + 1)
        self.last_answers: dict[str, tuple[Headers, float]] = {}
        """By provider: the headers of its newest answer, and when it was there (``perf_counter``)."""
        self.callbacks: Counter[tuple[str, str]] = Counter()
        """By verdict and reason, "" for none."""
        self.webhooks: Counter[str] = Counter()
        """Attempts by their outcome: ``delivered``, ``pending`` (tried again later) or ``dead``."""
        self.batch_units = Histogram(BATCH_UNITS)
        self.commit_seconds = Histogram(COMMIT_SECONDS)
        self.store_errors = 0
        """Units of work that the store did not take, for another reason than a conflict."""

    def calls(self) -> Counter[tuple[str, str]]:
        """Calls by provider and outcome, one of ``CALL_OUTCOMES``."""
        found: Counter[tuple[str, str]] = Counter()
        for (provider, ended), one in self.provider_calls.items():
            found[provider, ended if isinstance(ended, str) else call_outcome(ended)] += sum(one.counts)
        return found

    def remember_calls(self) -> None:
        """Note how many there are now: to be called each minute."""
        self._calls_before.append(self.calls())

    def recent_calls(self) -> Counter[tuple[str, str]]:
        """The calls of the last ``RECENT_MINUTES``, or since the start."""
        return self.calls() - self._calls_before[0]
