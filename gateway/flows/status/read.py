"""Read the status: the store by its indexes, the rest from memory. As quick with a million payments as with none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from gateway.core.errors import Unavailable
from gateway.core.ids import uuid_of
from gateway.core.response_outcome import CALL_OUTCOMES
from gateway.core.signing import sha256_hex
from gateway.core.views import optional_rfc3339, rfc3339
from gateway.drivers.clock import milliseconds
from gateway.drivers.disk_space import free_bytes
from gateway.drivers.installed_plugins import own_version
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import schema
from gateway.drivers.store.queues import EndpointRow, Queue
from gateway.drivers.store.rows import optional_text
from gateway.flows import storage
from gateway.flows.credential_uses import USES, Use, last_of
from gateway.flows.runtime import Gateway
from gateway.flows.status.moves import moves_of
from gateway.flows.status.needs_person import sentences
from gateway.flows.status.nodes import nodes_of
from gateway.flows.status.shape import (
    BudgetStatus,
    EarlierStatus,
    EndpointStatus,
    KeyStatus,
    OperationsStatus,
    OutageStatus,
    OutboxStatus,
    ProviderStatus,
    QueuesStatus,
    QueueStatus,
    Status,
    StoreStatus,
    WaitingStatus,
)
from gateway.flows.status.state import STATE, State
from gateway.flows.webhooks.dispatch import webhook_of

SHOWN = 100
"""Rows of each list."""

FAILED = tuple(outcome for outcome in CALL_OUTCOMES if outcome not in ("succeeded", "declined"))
"""Outcomes of calls that are not the customer's."""

EXPIRY_NOTICE = timedelta(days=30)
"""A key is shown from this long before it expires."""


async def status_of(gw: Gateway) -> Status:
    """Read it all. Raises ``Unavailable``."""
    now = gw.clock.now()
    count, oldest = await gw.store.queues.reviews()
    status = Status(
        version=own_version(),
        nodes=await nodes_of(gw, now),
        plugins=gw.plugins,
        store=await store_status(gw),
        queues=await _queues(gw, now),
        providers=[*_providers(gw, await STATE.of(gw))],
        endpoints=[*islice(_endpoints(gw, await gw.store.queues.endpoints()), SHOWN)],
        reviews=WaitingStatus(count=count, oldest=oldest and rfc3339(datetime.fromisoformat(oldest))),
        approvals=_waiting(await gw.store.queues.approvals(now)),
        erasures=_waiting(await gw.store.queues.erasures()),
        keys=sorted(_keys(gw, now), key=lambda key: key.expires)[:SHOWN],
        still_accepted=await _still_accepted(gw),
    )
    return replace(status, needs_person=[*sentences(gw, status)])


async def store_status(gw: Gateway) -> StoreStatus:
    """What is known of the store without reading its rows."""
    paths, budgets = [store.path for store in gw.settings.stores.values()], gw.memory.budget_levels.items()
    return StoreStatus(
        bytes=await _database_bytes(gw) if None in paths else sum(_file_bytes(path) for path in paths if path),
        disk_free=min((free for folder in gw.disk.folders if (free := _free_bytes(folder)) is not None), default=None),
        disk_is_low=gw.disk.is_low(),
        schema_version=schema.VERSION,
        down=storage.away(gw),
        outages=[
            OutageStatus(name=name, problem=outage.problem, since=rfc3339(outage.since))
            for name, outage in gw.store.outages.items()
        ],
        moves=await moves_of(gw, gw.clock.now()),
        budgets=[BudgetStatus(tenant=tenant, percent=level) for tenant, level in budgets if level][:SHOWN],
    )


def _file_bytes(path: Path) -> int:
    return sum(os.path.getsize(file) for file in (path, f"{path}-wal") if os.path.exists(file))


async def _database_bytes(gw: Gateway) -> int | None:
    try:
        return await gw.store.metadata.database_bytes()
    except Unavailable:
        return None


def _free_bytes(folder: Path) -> int | None:
    try:
        return free_bytes(folder)
    except OSError:
        return None


async def _queues(gw: Gateway, now: datetime) -> QueuesStatus:
    queues = gw.store.queues
    first_due = await queues.webhooks_due()
    listened = min((at for owner, at in first_due.items() if webhook_of(gw, owner) is not None), default=None)
    outbox = _queue(now, Queue(count=await queues.pending_webhooks(), due_since=listened))
    return QueuesStatus(
        schedule=_queue(now, await queues.schedule(now)),
        outbox=OutboxStatus(count=outbox.count, lag_seconds=outbox.lag_seconds, dead=await queues.dead_webhooks()),
        inbox=_queue(now, await queues.inbox()),
        operations=await _operations(gw, now),
    )


async def _operations(gw: Gateway, now: datetime) -> OperationsStatus:
    sending, unknown = [await gw.store.queues.operations(status) for status in ("sending", "unknown")]
    return OperationsStatus(
        count=sending.count + unknown.count,
        sending=sending.count,
        unknown=unknown.count,
        oldest_age_seconds=max(_age(now, sending.oldest), _age(now, unknown.oldest)),
        oldest_unknown_age_seconds=_age(now, unknown.oldest),
    )


def _queue(now: datetime, queue: Queue) -> QueueStatus:
    return QueueStatus(count=queue.count, lag_seconds=_seconds_since(now, queue.due_since))


def _waiting(queue: Queue) -> WaitingStatus:
    return WaitingStatus(count=queue.count, oldest=optional_text(queue.due_since))


def _seconds_since(now: datetime, at: int | None) -> float:
    return 0.0 if at is None else max(0.0, (milliseconds(now) - at) / 1000)


def _age(now: datetime, identifier: str | None) -> float:
    """How long ago an id was made, which begins with its time."""
    found = None if identifier is None else uuid_of(identifier)
    return _seconds_since(now, None if found is None else found.int >> 80)


def _providers(gw: Gateway, state: State) -> Iterator[ProviderStatus]:
    recent = {(provider, outcome): calls for provider, outcome, calls in state.calls if calls}
    for name in gw.overview.providers:
        outcomes = {outcome: recent[name, outcome] for outcome in CALL_OUTCOMES if (name, outcome) in recent}
        calls, failed = sum(outcomes.values()), sum(outcomes.get(outcome, 0) for outcome in FAILED)
        rate = round(failed / calls, 3) if calls else 0.0
        yield ProviderStatus(name=name, calls=calls, failed=failed, error_rate=rate, outcomes=outcomes)


def _endpoints(gw: Gateway, rows: Iterable[EndpointRow]) -> Iterator[EndpointStatus]:
    """Those of addresses that the settings still name."""
    for row in rows:
        webhook = webhook_of(gw, row.tenant)
        if webhook is not None and sha256_hex(webhook.url) == row.url_sha256:
            yield EndpointStatus(
                tenant=row.tenant,
                enabled=row.disabled_at is None,
                reason=row.reason,
                failing_since=optional_text(row.failing_since),
                disabled_at=optional_text(row.disabled_at),
            )


async def _still_accepted(gw: Gateway) -> list[EarlierStatus]:
    """What accounts were derived from before, in a gateway where secrets or generations are being replaced."""
    shown = gw.overview.earlier_accounts[:SHOWN]
    if not shown:
        return []
    uses = await USES.of(gw)
    return [_earlier(one, uses.of_earlier(one)) for one in shown]


def _earlier(entry: AccountEntry, uses: Mapping[str, Use]) -> EarlierStatus:
    return EarlierStatus(
        tenant=entry.tenant,
        account=entry.name,
        name=entry.name_of_earlier,
        uses_by={used: use.times for used, use in uses.items()},
        last_used=optional_rfc3339(last_of(uses)),
    )


def _keys(gw: Gateway, now: datetime) -> Iterator[KeyStatus]:
    """Keys of operators and tenants that expire soon or have expired."""
    until, tenants = now + EXPIRY_NOTICE, gw.settings.tenants
    operators = tuple(gw.settings.operators_by_sha256.values())
    for tenant, key in gw.overview.ending_keys:
        if key.expires is not None and key.expires <= until:
            others = operators if tenant is None else tenants[tenant].keys
            yield KeyStatus(
                tenant=tenant,
                id=key.id,
                expires=rfc3339(key.expires),
                expired=key.expires <= now,
                is_last=all(other.expires is not None and other.expires <= until for other in others),
            )
