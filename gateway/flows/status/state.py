"""What each process knows that neither the store nor the metrics tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from gateway.drivers.workers.shared import Shared
from gateway.flows.runtime import Gateway


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Of one process, or of all. ``processes``: their process ids by number. ``hashes``: of the settings in use.

    ``problems``: why the last reload was refused. ``calls``: to providers lately, with provider and outcome.
    """

    processes: dict[int, int]
    hashes: set[str]
    problems: tuple[str, ...]
    calls: list[tuple[str, str, int]]


def _own(gw: Gateway) -> State:
    return State(
        processes={gw.peers.number if gw.peers else 1: gw.node.pid},
        hashes={gw.settings.digest},
        problems=gw.current.problems,
        calls=[(*key, count) for key, count in gw.measures.recent_calls().items()],
    )


def _total(parts: Sequence[State]) -> State:
    calls: Counter[tuple[str, str]] = Counter()
    for provider, outcome, count in (one for part in parts for one in part.calls):
        calls[provider, outcome] += count
    return State(
        processes={number: pid for part in parts for number, pid in part.processes.items()},
        hashes={digest for part in parts for digest in part.hashes},
        problems=tuple(dict.fromkeys(problem for part in parts for problem in part.problems)),
        calls=[(*key, count) for key, count in calls.items()],
    )


STATE: Shared[Gateway, State] = Shared("state", State, _own, _total)
