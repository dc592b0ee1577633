"""The effect of a proved event: judge it against its payment, and commit the callback's row and the effect together.

One story for a callback that has just come, one whose effect failed before, and one that an operator has judged anew:
they differ in the row alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec
from msgspec.structs import replace

from gateway.core.draft import Change
from gateway.core.errors import Conflict, Reason
from gateway.core.facts import Event, Recorded, Refused, Repeated, Verdict
from gateway.core.judgement import judge
from gateway.core.refused import Case
from gateway.core.truth import redated
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.inbox import ROW
from gateway.drivers.store.queries import Loaded
from gateway.drivers.store.statements import Statement
from gateway.flows.callbacks import likely_causes
from gateway.flows.commit import record
from gateway.flows.runtime import Gateway, Race

NAMES: dict[type[Verdict], str] = {Recorded: "recorded", Repeated: "repeated", Refused: "refused"}
"""What a verdict is called in the inbox."""


class Keep(Protocol):
    """How a callback's verdict is kept: the statements that insert its row, or change the one it has."""

    def __call__(
        self, verdict: Verdict, *, detail: str | None = None, event: Event | None = None, payment_id: str | None = None
    ) -> list[Statement]: ...


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict, and what it was found on. ``before`` None: no such payment; ``change`` None: nothing of it changes."""

    verdict: Verdict
    detail: str | None = None
    before: Loaded | None = None
    change: Change | None = None


async def apply_event(
    gw: Gateway, entry: AccountEntry, event: Event, keep: Keep, *, received_at: datetime | None = None
) -> Judged:
    """Judge an event and commit row and effect as one unit; read again if overtaken.

    ``received_at`` as in ``judged``. Raises ``Unavailable``, as ``Conflict`` on ``ROW`` when the row itself was judged
    by somebody else.
    """
    race = Race()
    while True:
        found = await judged(gw, entry, event, received_at=received_at)
        payment_id = found.before.payment.id if found.before is not None else None
        rows = keep(found.verdict, detail=found.detail, event=event, payment_id=payment_id)
        try:
            if found.before is None or found.change is None:
                await gw.store.commit(rows)
            else:
                await record(gw, found.before, found.change, rows=rows)
        except Conflict as lost:
            if lost.on == ROW:
                raise
            race.lost()
            continue
        return found


async def judged(gw: Gateway, entry: AccountEntry, event: Event, *, received_at: datetime | None = None) -> Judged:
    """Judge an event by what is committed now; changes nothing.

    ``received_at``: when it came, for one that came earlier; window and grace are judged as of then.
    """
    loaded = await find_payment(gw, entry, event)
    if loaded is None:
        reason = Reason.NOT_FOUND if entry.deposit_methods else _without_method(entry)
        return Judged(verdict=Refused(reason=reason), detail=await likely_causes.unknown(gw, entry, event, reason))
    seen_before = await gw.store.inbox.was_applied(entry.tenant, entry.name, event.event_id)
    now = gw.clock.now()
    terms, at = entry.policy, received_at or now
    judgement = judge(loaded.payment, loaded.pending, event, seen_before=seen_before, terms=terms, at=at)
    change = judgement.change
    if change is not None and received_at is not None:
        change = _told_at(change, loaded, now)
    detail = None
    if isinstance(judgement.verdict, Refused):
        case = Case(loaded.payment, event, terms, at)
        detail = await likely_causes.refused(gw, entry, case, judgement.verdict.reason)
    return Judged(verdict=judgement.verdict, detail=detail, before=loaded, change=change)


async def find_payment(gw: Gateway, entry: AccountEntry, event: Event) -> Loaded | None:
    """The payment an event is about: one of this account, whatever the callback names."""
    named = event.observation.payment_id
    key = event.observation.provider_reference
    if named is None and key is not None and entry.can_look_up:  # without lookups it is no key of anything
        named = await gw.store.payment_with_key(entry.tenant, entry.name, key)
    loaded = await gw.store.payment(entry.tenant, named) if named else None
    return loaded if loaded is not None and loaded.payment.account == entry.name else None


def _told_at(change: Change, before: Loaded, now: datetime) -> Change:
    """Date a change that was judged as of an earlier moment: the timeline goes forward, webhooks are not backdated."""
    operation = change.operation
    if operation is not None and operation != before.pending:
        change = replace(change, operation=replace(operation, updated_at=now))
    if change.event is None:
        return change
    payment = redated(change.payment, change.event.at, now)
    return replace(change, payment=payment, event=replace(change.event, at=now))


def _without_method(entry: AccountEntry) -> Reason:
    return Reason.NO_DEPOSIT_METHOD if entry.rules.deposit_method_required else Reason.NOT_FOUND
