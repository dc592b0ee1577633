"""Every metric of the gateway as plain data: its name, what it says, and its values now.

What this process counts comes from ``drivers/measures.py``, what waits in the store is what ``status`` shows.
"""

from __future__ import annotations

import functools
import math
import platform
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate, product
from time import perf_counter

from gateway.core.errors import Reason, Unavailable
from gateway.core.response_outcome import CALL_OUTCOMES
from gateway.core.retry_after import http_date
from gateway.core.wire import Headers, header
from gateway.drivers.installed_plugins import own_version
from gateway.drivers.measures import Durations, Histogram
from gateway.drivers.store.deliveries import STATUSES
from gateway.drivers.workers.shared import Shared
from gateway.flows.occurrences import Occurrence
from gateway.flows.runtime import Gateway
from gateway.flows.status import nodes
from gateway.flows.status.family import Family, Labels, Sample
from gateway.flows.status.read import status_of, store_status
from gateway.flows.status.shape import NodeStatus, Status, StoreStatus
from gateway.flows.status.state import STATE
from gateway.flows.status.totals import only_counts, total

NO_CALLBACKS = dict.fromkeys(
    [("recorded", ""), ("repeated", ""), ("busy", "limited"), ("busy", "fault")]
    + [("refused", reason.value) for reason in Reason],
    0,
)
"""What never happened is shown too: Prometheus sees the first of a kind only where it has seen none before."""


def _own(gw: Gateway) -> list[Family]:
    return [*_counted(gw), *_process(gw)]


OWN: Shared[Gateway, list[Family]] = Shared("metrics", list[Family], _own, total, only_counts)
"""What each process has counted, and what holds for it."""


async def collect(gw: Gateway) -> list[Family]:
    """All of them. Where the store cannot be read, what waits in it is left out."""
    try:
        status = await status_of(gw)
        store, waiting = status.store, _waiting(status)
    except Unavailable:
        store, waiting = await store_status(gw), []
    return [*await OWN.of(gw), *_store(store), *await _workers(gw), _readable(gw, bool(waiting)), *waiting]


def _readable(gw: Gateway, is_read: bool) -> Family:
    """Of several stores each by itself, under its name."""
    name, text = "gateway_store_readable", "1 while the store can be read, else 0."
    if not gw.settings.further_stores:
        return _gauge(name, text, is_read)
    samples: list[Sample] = [((store,), (store not in gw.store.down,)) for store in gw.settings.stores]
    return Family("gauge", name, text, samples, ("store",))


async def _workers(gw: Gateway) -> list[Family]:
    """How many processes there are."""
    wanted, answered = gw.peers.count if gw.peers else 1, len((await STATE.of(gw)).processes)
    text = "Processes that did not answer: of them only what they had counted before is here."
    return [
        _gauge("gateway_workers", "Processes of this gateway that answered.", answered),
        _gauge("gateway_workers_silent", text, wanted - answered),
    ]


def _counted(gw: Gateway) -> Iterator[Family]:
    """What has been counted since the start."""
    counts = gw.measures
    yield from _requests(counts.requests)
    yield from _calls(gw)
    yield Family(
        "counter",
        "gateway_callbacks_total",
        "Callbacks of providers: recorded, repeated, refused (with the reason), busy.",
        [(key, (count,)) for key, count in {**NO_CALLBACKS, **counts.callbacks}.items()],
        ("verdict", "reason"),
    )
    yield Family(
        "counter",
        "gateway_webhook_attempts_total",
        "Attempts at webhooks: delivered, pending (tried again later), dead.",
        [((ended,), (counts.webhooks[ended],)) for ended in STATUSES],
        ("outcome",),
    )
    happened = gw.occurrences.counts
    text = "Changes that were proved and do not fit the payment's state."
    refused = happened[Occurrence.TRANSITION_REFUSED]
    yield Family("counter", "gateway_transitions_refused_total", text, [((), (refused,))])
    yield Family(
        "counter",
        "gateway_occurrences_total",
        "What operators hear about, by what happened.",
        [((str(one),), (happened[one],)) for one in Occurrence],
        ("occurrence",),
    )
    for name, text, one in (
        ("gateway_batch_units", "Units of work written in one transaction.", counts.batch_units),
        ("gateway_commit_seconds", "Seconds a transaction took, until it was on disk.", counts.commit_seconds),
    ):
        yield Family("histogram", name, text, _histograms([((), one)]))
    text = "Units of work that the store did not take, for another reason than a conflict."
    yield Family("counter", "gateway_store_errors_total", text, [((), (counts.store_errors,))])


def _requests(answered: Durations[tuple[str, str, int]]) -> tuple[Family, Family]:
    counts: list[Sample] = [
        ((route, method, str(status)), (sum(one.counts),)) for (route, method, status), one in answered.items()
    ]
    text = "HTTP requests answered, by route, method and status."
    seconds = _histograms((key[:2], one) for key, one in answered.items())
    return (
        Family("counter", "gateway_requests_total", text, counts, ("route", "method", "status")),
        Family(
            "histogram",
            "gateway_request_seconds",
            "Seconds from a request's head to its answer.",
            seconds,
            ("route", "method"),
        ),
    )


def _calls(gw: Gateway) -> tuple[Family, Family]:
    counts = {**dict.fromkeys(product(gw.overview.providers, CALL_OUTCOMES), 0), **gw.measures.calls()}
    samples: list[Sample] = [(key, (count,)) for key, count in counts.items()]
    text = "Calls to providers: succeeded (2xx), declined, credentials_refused, rate_limited, not_sent, unknown."
    seconds = _histograms((key[:1], one) for key, one in gw.measures.provider_calls.items())
    return (
        Family("counter", "gateway_provider_calls_total", text, samples, ("provider", "outcome")),
        Family(
            "histogram",
            "gateway_provider_call_seconds",
            "Seconds a call to a provider took, with its connection.",
            seconds,
            ("provider",),
        ),
    )


def _process(gw: Gateway) -> Iterator[Family]:
    """What holds for this process at this moment."""
    current = gw.current
    text = "Always 1; says which version runs."
    yield Family("gauge", "gateway_info", text, [(_versions(), (1,))], ("version", "python"))
    yield _gauge("gateway_settings_version", "Counts the settings used since the start, from 1.", current.version)
    yield _gauge("gateway_settings_loaded_timestamp_seconds", "When they were loaded.", gw.loaded_at.timestamp())
    yield _gauge("gateway_settings_problems", "Mistakes that the last reload was refused for.", len(current.problems))
    text = "Changed keys that wait for a restart."
    yield _gauge("gateway_settings_need_restart", text, len(gw.settings.needs_restart))
    text = "Our clock minus the provider's, by the Date header of its newest answer, to within a second."
    yield Family("gauge", "gateway_provider_clock_skew_seconds", text, _skews(gw), ("provider",))


def _store(store: StoreStatus) -> Iterator[Family]:
    """What holds for the store, without what waits in it."""
    yield _gauge("gateway_store_bytes", "Bytes of the store's files, its log included.", _known(store.bytes))
    yield _gauge("gateway_disk_free_bytes", "Bytes free on the store's disk.", _known(store.disk_free))
    text = "1 while the disk is so full that new payments are refused, else 0."
    yield _gauge("gateway_disk_low", text, store.disk_is_low)
    text = "The highest part of its budget of bytes that a tenant has reached, in percent: 0, 80 or 100."
    yield _gauge("gateway_budget_level_percent", text, max((one.percent for one in store.budgets), default=0))


def _known(count: int | None) -> float:
    return math.nan if count is None else count


def _waiting(status: Status) -> list[Family]:
    """What waits in the store. Lags are measured from when something was due, so what is not yet due has none."""
    queues, operations = status.queues, status.queues.operations
    by_status: list[Sample] = [(("sending",), (operations.sending,)), (("unknown",), (operations.unknown,))]
    text = "Operations without an outcome."
    oldest, disabled = operations.oldest_age_seconds, sum(not one.enabled for one in status.endpoints)
    return [
        *_of_nodes(status.nodes),
        Family("gauge", "gateway_operations_open", text, by_status, ("status",)),
        _gauge("gateway_operations_oldest_age_seconds", "Age of the oldest of them.", oldest),
        _gauge("gateway_reviews_open", "Payments that wait for a person.", status.reviews.count),
        _gauge("gateway_schedule_lag_seconds", "How long the first check has been due.", queues.schedule.lag_seconds),
        _gauge("gateway_outbox_lag_seconds", "How long the first webhook has been due.", queues.outbox.lag_seconds),
        _gauge("gateway_dead_letters", "Webhooks that were given up.", queues.outbox.dead),
        _gauge("gateway_callbacks_waiting", "Proved callbacks that could not be applied yet.", queues.inbox.count),
        _gauge("gateway_endpoints_failing", "Webhook endpoints that only fail.", len(status.endpoints) - disabled),
        _gauge("gateway_endpoints_disabled", "Webhook endpoints that are disabled.", disabled),
        _gauge("gateway_keys_expiring", "Keys that have expired, or will within thirty days.", len(status.keys)),
    ]


def _of_nodes(found: Sequence[NodeStatus]) -> Iterator[Family]:
    """The processes on the store."""
    yield _gauge("gateway_nodes", "Processes of the gateway that work on the store.", len(nodes.alive(found)))
    text = "Processes that ended without a word within the last hour, and were not started again."
    yield _gauge("gateway_nodes_missing", text, len(nodes.missing(found)))
    text = "1 while nodes work under different versions or settings, else 0."
    yield _gauge("gateway_nodes_differ", text, max(map(len, nodes.differing(found))) > 1)
    text = "How far the clock of a node is from the database's, at most."
    skew = max((abs(one.clock_skew_seconds) for one in nodes.alive(found)), default=0.0)
    yield _gauge("gateway_nodes_clock_skew_seconds", text, skew)


def _gauge(name: str, text: str, value: float) -> Family:
    return Family("gauge", name, text, [((), (value,))])


@functools.cache
def _versions() -> Labels:
    return own_version(), platform.python_version()


def _histograms(given: Iterable[tuple[Labels, Histogram]]) -> list[Sample]:
    """Samples of histograms; those with equal labels are added up."""
    by_labels: dict[Labels, list[Histogram]] = defaultdict(list)
    for labels, one in given:
        by_labels[labels].append(one)
    return [(labels, (_buckets(alike), sum(one.sum for one in alike))) for labels, alike in by_labels.items()]


def _buckets(alike: Sequence[Histogram]) -> list[tuple[str, int]]:
    """How many values were at most each bound, as Prometheus counts them."""
    counts = [sum(places) for places in zip(*(one.counts for one in alike), strict=True)]
    bounds = [*(f"{bound:g}" for bound in alike[0].bounds), "+Inf"]
    return list(zip(bounds, accumulate(counts), strict=True))


def _skews(gw: Gateway) -> list[Sample]:
    now, reading = gw.clock.now().timestamp(), perf_counter()
    found = [(one, _date(headers), at) for one, (headers, at) in gw.measures.last_answers.items()]
    # The header says whole seconds, so the true time is half a second later on average.
    return [
        ((provider,), (now - (reading - at) - date.timestamp() - 0.5,))
        for provider, date, at in found
        if date is not None
    ]


def _date(headers: Headers) -> datetime | None:
    """What the ``Date`` header says; None without one that can be read."""
    given = header(headers, "date")
    return http_date(given[0]) if given else None
