"""What of the status needs a person: a sentence each, with the command that acts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.drivers.measures import RECENT_MINUTES
from gateway.drivers.settings.restart import advice
from gateway.drivers.store.queues import COUNTED
from gateway.flows.runtime import Gateway
from gateway.flows.status import moves, nodes
from gateway.flows.status.shape import (
    EarlierStatus,
    EndpointStatus,
    KeyStatus,
    OperationsStatus,
    ProviderStatus,
    QueuesStatus,
    Status,
)

NAMED = 5
"""Of endpoints, keys and tenants so many have a sentence of their own: the whole fits on one screen."""

LATE_SECONDS = 300.0
"""From this lag on the gateway does not keep up with a queue by itself."""

FAILED_CALLS, FAILED_SHARE = 5, 0.5
"""So many calls to a provider, and such a share of them, failed lately: it is down, or refuses us."""

_LATE = {
    "schedule": "checks of payments are {} behind: look for errors in the log; gateway payments review operations",
    "outbox": "webhooks are {} behind: look for errors in the log; gateway deliveries list --status pending",
    "inbox": "callbacks that were proved wait for {}: gateway inbox list --verdict pending",
}


def sentences(gw: Gateway, status: Status) -> Iterator[str]:
    """Say what to do, what concerns everybody first."""
    yield from _of_settings(gw)
    yield from _first([*nodes.sentences(status.nodes)], "nodes need somebody: gateway status --json")
    yield from _of_store(gw, status)
    if status.reviews.count:
        said = f"{_counted(status.reviews.count, 'payment is', 'payments are')} under review"
        yield f"{said}, the oldest since {status.reviews.oldest}: gateway payments review list"
    if status.approvals.count:
        said = f"{_counted(status.approvals.count, 'act waits', 'acts wait')} for the key of somebody else"
        yield f"{said}, the oldest since {status.approvals.oldest}: gateway approvals list"
    yield from _of_operations(gw, status.queues.operations)
    yield from _of_queues(status.queues)
    yield from (_of_provider(one) for one in status.providers if _fails(one))
    disabled = [_of_endpoint(one) for one in status.endpoints if not one.enabled]
    yield from _first(disabled, "endpoints are disabled: gateway endpoints list")
    keys = [_of_key(one) for one in status.keys if one.is_last or not one.expired]
    yield from _first(keys, "keys expire: gateway status --json")
    earlier = [_of_earlier(one) for one in status.still_accepted if one.uses_by.keys() - {"link"}]
    yield from _first(earlier, "accounts are called with what is replaced: gateway keys list")


def _of_settings(gw: Gateway) -> Iterator[str]:
    if gw.current.problems:
        problems = _counted(len(gw.current.problems), "problem", "problems")
        yield f"the last reload was refused for {problems}: gateway check, then gateway reload"
    for key in gw.settings.needs_restart:
        yield f"{key} has changed in the settings: {advice(key)}"


def _of_store(gw: Gateway, status: Status) -> Iterator[str]:
    if status.store.disk_is_low:
        folders = " ".join(map(str, gw.disk.low() or gw.disk.folders))
        yield f"the disk is almost full and new payments are refused: free space on it, df -h {folders}"
    since = {one.name: f" since {one.since} ({one.problem})" for one in status.store.outages}
    for name in status.store.down:
        said = f"store {name} is unavailable{since.get(name, '')}, and requests of its tenants are refused"
        yield f"{said}: try it from here, gateway check --store"
    yield from _first([*moves.sentences(gw, status.store.moves)], "tenants are elsewhere: gateway status --json")
    said = "tenant {} has used {} percent of its storage budget: raise limits.tenant_bytes, then gateway reload"
    budgets = [said.format(one.tenant, one.percent) for one in status.store.budgets]
    yield from _first(budgets, "tenants are near their budget: gateway status --json")


def _of_operations(gw: Gateway, operations: OperationsStatus) -> Iterator[str]:
    if operations.oldest_unknown_age_seconds >= gw.settings.clocks.unknown_outcome.total_seconds():
        count = _counted(operations.unknown, "operation has", "operations have")
        age = span(operations.oldest_unknown_age_seconds)
        yield f"{count} an unknown outcome, the oldest for {age}: gateway payments review operations"


def _of_queues(queues: QueuesStatus) -> Iterator[str]:
    for name, sentence in _LATE.items():
        lag = getattr(queues, name).lag_seconds
        if lag >= LATE_SECONDS:
            yield sentence.format(span(lag))


def _first(said: Sequence[str], more: str) -> Iterator[str]:
    """The first sentences of a kind, and how many there are besides."""
    yield from said[:NAMED]
    if len(said) > NAMED:
        yield f"{len(said) - NAMED} or more further {more}"


def _fails(provider: ProviderStatus) -> bool:
    return provider.failed >= FAILED_CALLS and provider.error_rate >= FAILED_SHARE


def _of_provider(provider: ProviderStatus) -> str:
    said = f"{provider.failed} of {provider.calls} calls to {provider.name} in the last {RECENT_MINUTES} minutes failed"
    why = ", ".join(f"{outcome} {count}" for outcome, count in provider.outcomes.items())
    return f"{said} ({why}): ask the provider; what is open: gateway payments review operations"


def _of_endpoint(endpoint: EndpointStatus) -> str:
    said = f"the webhook endpoint of {endpoint.tenant} is disabled since {endpoint.disabled_at} ({endpoint.reason})"
    return f"{said}: gateway endpoints enable {endpoint.tenant}"


def _of_key(key: KeyStatus) -> str:
    owner = "the operators" if key.tenant is None else f"tenant {key.tenant}"
    said = f"key {key.id} of {owner} {'has expired' if key.expired else 'expires'} on {key.expires[:10]}"
    alone = ", and no other key lasts longer" if key.is_last else ""
    whose = "--admin" if key.tenant is None else f"--tenant {key.tenant}"
    return f"{said}{alone}: gateway keys rotate {whose} {f'--id {key.id}' if key.is_last else '--finish'}"


def _of_earlier(earlier: EarlierStatus) -> str:
    place = f"{earlier.tenant} {earlier.account}"
    said = f"the provider of account {place} still uses what is replaced ({earlier.name}), last at {earlier.last_used}"
    return f"{said}: enter the new values there, gateway accounts show {place}"


def _counted(count: int, one: str, several: str) -> str:
    return f"{'at least ' if count == COUNTED else ''}{count} {one if count == 1 else several}"


def span(seconds: float) -> str:
    """Seconds as people say them: the largest unit of which there are two or more."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return "1 second" if round(seconds) == 1 else f"{seconds:.0f} seconds"
