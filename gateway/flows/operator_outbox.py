"""Operators' own webhooks: rows of the outbox, under names that no tenant can have.

They are signed, sent, repeated and given up like tenants' webhooks. Whether operators hear of an occurrence is decided
by its name alone: it is one of ``OperatorEvent``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.core.operator_events import OperatorEvent, body_of, id_of
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import statements
from gateway.drivers.store.statements import NO_TENANT, NewWebhook, Statement
from gateway.flows.occurrences import Occurrence
from gateway.flows.runtime import Gateway

_KINDS: Mapping[str, OperatorEvent] = {one.value: one for one in OperatorEvent}


def rows_of(gw: Gateway, occurrence: Occurrence, fields: Mapping[str, object]) -> Iterator[Statement]:
    """A row for each of the operators' webhooks that wants to hear of it, and is not itself what it is about."""
    kind = _KINDS.get(occurrence)
    if kind is None:
        return
    now = gw.clock.now()
    at = milliseconds(now)
    store = gw.store.of(tenant_of(fields))
    for owner, webhook in gw.settings.operator_webhooks.items():
        if gw.store.of(owner) is not store:
            continue
        if owner != fields.get("tenant") and (webhook.types is None or kind in webhook.types):
            due_at = milliseconds(now + gw.settings.clocks.webhook_retry[0])
            row = NewWebhook(body=body_of(kind, fields, now).decode(), due_at=due_at, created_at=at)
            yield statements.insert_operator_event(id_of(kind, fields, at), owner, kind, row)


def tenant_of(fields: Mapping[str, object]) -> str:
    """Whose unit the rows of an occurrence belong to: that of the tenant it is about, else nobody's."""
    return str(fields.get("tenant") or NO_TENANT)


def wake(gw: Gateway) -> None:
    """Let what is due to operators go out."""
    for owner in gw.settings.operator_webhooks:
        gw.webhook_timers[owner].no_later_than(0)
