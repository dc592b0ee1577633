"""Process the stored callbacks of a range again, the oldest first: each by itself, as ``reprocess.py`` does one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from heapq import nsmallest

import msgspec

from gateway.core.errors import TenantError
from gateway.drivers.store.inbox import InboxRange
from gateway.flows.callbacks import reprocess
from gateway.flows.callbacks.reprocess import FINAL, Order, Reprocessed
from gateway.flows.runtime import Gateway

OUTCOMES = ("applied", "repeated", "refused", "failed")
"""What a callback comes to: ``failed`` could not be processed again, and ``problem`` says why."""

HOW: dict[str, Callable[[Gateway, str, Order], Awaitable[Reprocessed]]] = {
    "replay": reprocess.replay,
    "reverify": reprocess.reverify,
}


class Processed(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that was processed again, or why it was not."""

    id: str
    outcome: str
    made: Reprocessed | None = None
    problem: str | None = None


async def reprocess_range(gw: Gateway, tenants: Sequence[str], wanted: InboxRange, order: Order) -> list[Processed]:
    """Process a page of the wanted callbacks again, the oldest first."""
    ids = [one for tenant in tenants for one in await gw.store.inbox.ids_of(tenant, wanted)]
    return [await _process(gw, one, order) for one in nsmallest(wanted.limit, ids)]


async def _process(gw: Gateway, inbox_id: str, order: Order) -> Processed:
    try:
        made = await HOW[order.how](gw, inbox_id, order)
    except TenantError as refusal:
        return Processed(id=inbox_id, outcome="failed", problem=refusal.detail)
    return Processed(id=inbox_id, outcome=_outcome_of(made), made=made)


def _outcome_of(made: Reprocessed) -> str:
    verdict = made.evaluation.verdict.name
    if verdict == "refused":
        return "refused"
    return "repeated" if verdict == "repeated" or made.row.verdict in FINAL else "applied"
