"""Evaluate a stored callback again: those to be retried by themselves, others when an operator asks.

``replay`` applies the stored event once more; ``reverify`` verifies a refused callback again under today's settings.
Both take the way of every callback: what was applied before is only repeated, and nothing unproved is ever applied.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from gateway.core import documents
from gateway.core.callback_rules import Evaluation
from gateway.core.errors import CallbackRejected, Conflict, Reason, TenantError
from gateway.core.facts import Event, Hint, Refused
from gateway.core.wire import Callback
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.audit import Act
from gateway.flows.callbacks import named_payment
from gateway.flows.callbacks.apply import apply_event, evaluate_event
from gateway.flows.callbacks.inbox_rows import NewCallback, ReprocessedCallback, audited
from gateway.flows.callbacks.redaction import Revealed, reveal_matching
from gateway.flows.cascade import consequences
from gateway.flows.plugin import calls
from gateway.flows.plugin.calls import Proof
from gateway.flows.runtime import Gateway, log
from gateway.flows.tasks import ConflictRetry

FINAL = frozenset({"recorded", "repeated"})
"""Verdicts that stand: an event is applied once, so evaluating it again says ``repeated`` and changes nothing."""

UNKNOWN_SENDER = "the sender's token is not one of the account's"

MASKED_PART = "a part of it was masked when it was stored: no signature over it can be proved"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Who has a stored callback evaluated again, and how: ``retry``, ``replay`` or ``reverify``.

    ``act``: for the audit trail, where an operator asked for it.
    """

    by: str
    how: str
    dry_run: bool = False
    act: Act | None = None


class Reprocessed(msgspec.Struct, frozen=True, kw_only=True):
    """A stored callback as it was, and what it comes to now."""

    row: StoredCallback
    evaluation: Evaluation

    @property
    def changed(self) -> bool:
        """Whether row or payment changed, or would have in a dry run."""
        before, after = self.evaluation.payment, self.evaluation.payment_after
        has_moved = before is not None and after is not None and after.version != before.version
        return has_moved or not (self.row.verdict in FINAL or self.evaluation.verdict.name == self.row.verdict)


async def find(gw: Gateway, inbox_id: str, tenants: Sequence[str] | None = None) -> StoredCallback:
    """A stored callback of one of these tenants, or of any. Raises ``not_found``."""
    row = await gw.store.inbox.find(list(gw.settings.tenants if tenants is None else tenants), inbox_id)
    if row is None:
        raise TenantError("not_found", "there is no such callback")
    return row


async def replay(gw: Gateway, inbox_id: str, order: Order) -> Reprocessed:
    """Apply the event of a stored callback again. Raises ``TenantError`` for one that was never proved."""
    retry = ConflictRetry()
    while True:
        row = await find(gw, inbox_id)
        if row.event is None:
            raise TenantError("invalid_state", "this callback was not proved: it has no event to apply")
        try:
            return await reprocess(gw, row, documents.proved(row.event), order)
        except Conflict:
            retry.lost()


async def reverify(gw: Gateway, inbox_id: str, order: Order) -> Reprocessed:
    """Verify a refused callback again, then evaluate it as usual. Raises ``TenantError`` if that is not possible."""
    retry = ConflictRetry()
    while True:
        row = await find(gw, inbox_id)
        if row.verdict != "refused":
            raise TenantError(
                "invalid_state", f"only a refused callback can be verified again; this one is {row.verdict}"
            )
        if not row.is_whole:
            raise TenantError("invalid_state", "the body is not kept: it was too large, or its customer was erased")
        revealed = reveal_matching(gw.settings.server.secrets, gw.entry(row), row)
        proofs = _verify_again(gw, row, revealed)
        if isinstance(proofs, CallbackRejected):
            refused = Evaluation(verdict=Refused(reason=proofs.reason), detail=proofs.detail)
            return await _without_effect(gw, row, refused, order)
        try:
            if not order.dry_run:
                await _apply_ahead(gw, row, revealed.callback, proofs[:-1])
            return await reprocess(gw, row, proofs[-1], order)
        except Conflict:
            retry.lost()


async def reprocess(gw: Gateway, row: StoredCallback, event: Event, order: Order) -> Reprocessed:
    """Evaluate the event of a stored callback, and unless it is a dry run commit row and effect.

    Raises ``Unavailable``, as ``Conflict`` when somebody else has changed the row meanwhile.
    """
    entry = gw.entry(row)
    if order.dry_run or row.verdict in FINAL:
        return await _without_effect(gw, row, await _preview(gw, entry, row, event), order)
    callback = ReprocessedCallback(row=row, by=order.by, how=order.how, act=order.act)
    evaluation = await apply_event(gw, entry, event, callback, received_at=row.received_at)
    extra = {"tenant": row.tenant, "account": row.account, "kind": f"{order.how} {evaluation.verdict.name}"}
    log.info("a stored callback was evaluated again", extra=extra)
    return Reprocessed(row=row, evaluation=evaluation)


async def _without_effect(gw: Gateway, row: StoredCallback, evaluation: Evaluation, order: Order) -> Reprocessed:
    """What changes nothing was asked for all the same, unless it was a dry run."""
    if order.act is not None and not order.dry_run:
        await gw.store.commit(row.tenant, [audited(gw, order.act, row, evaluation)])
    return Reprocessed(row=row, evaluation=evaluation)


async def _preview(gw: Gateway, entry: AccountEntry, row: StoredCallback, event: Event) -> Evaluation:
    """What an event would come to now, with what follows for the payment; changes nothing."""
    found = await named_payment.of_event(gw, entry, event)
    evaluation = await evaluate_event(gw, entry, event, found, received_at=row.received_at)
    if evaluation.change is None:
        return evaluation
    change = (await consequences(gw, evaluation.change)).change
    return replace(evaluation, change=change)


async def _apply_ahead(gw: Gateway, row: StoredCallback, callback: Callback, events: Sequence[Event]) -> None:
    """Apply what a callback reports beside the last event, each in a row of its own; the last has the stored row."""
    entry = gw.entry(row)
    for event in events:
        new = NewCallback(
            id=gw.new_id("cb"), entry=entry, callback=callback, size=row.size, proof=event, share=len(events)
        )
        await apply_event(gw, entry, event, new, received_at=row.received_at)


def _verify_again(gw: Gateway, row: StoredCallback, revealed: Revealed) -> Sequence[Event] | CallbackRejected:
    """What a stored callback proves under today's settings: its events, or why it is still refused."""
    if not revealed.is_known:
        return CallbackRejected(Reason.UNAUTHENTIC, UNKNOWN_SENDER)
    try:
        parts = parts_of(row, calls.verify_as(gw, gw.entry(row), revealed.callback)[1])
    except CallbackRejected as rejected:
        return (
            CallbackRejected(rejected.reason, f"{rejected.detail}; {MASKED_PART}") if revealed.is_masked else rejected
        )
    events = [part for part in parts if isinstance(part, Event)]
    return events or CallbackRejected(Reason.NOT_FOUND, "it proves no event that could be applied")


def parts_of(row: StoredCallback, proof: Proof) -> tuple[Event | Hint | None, ...]:
    """What a row is about: of a callback that reports several things the one it was stored for, or all of them."""
    if not isinstance(proof, tuple):
        return (proof,)
    if row.event_id is not None:
        return tuple([part for part in proof if isinstance(part, Event) and part.event_id == row.event_id][:1])
    is_of_hint = row.verdict == "recorded" or row.reason == Reason.NOT_FOUND
    hints = tuple([part for part in proof if isinstance(part, Hint)])
    return hints if is_of_hint and hints else proof
