"""Accept one provider callback: verify it, evaluate it, store it with its effect, and only then answer.

``verify`` asks the plugin, ``accept`` stores: between the two the web layer may put the callback off. Row and effect
are one transaction. A proved event may move the payment; where its effect fails for a reason of the gateway's own, the
callback is stored alone, answered as durable, and applied later (``background/inbox_retry.py``). A hint is stored and
followed by a lookup; what is refused is kept as evidence. What could not be stored is answered with an error, never
with success.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway.core.callback_rules import Evaluation
from gateway.core.errors import CallbackRejected, Reason, Unavailable
from gateway.core.facts import Busy, Event, Hint, Recorded, Refused, Repeated, Verdict
from gateway.core.payment import Payment
from gateway.core.wire import Callback, HttpResponse
from gateway.drivers.clock import milliseconds
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import claims, schedule
from gateway.drivers.store.statements import Statement
from gateway.flows.callbacks import likely_causes, named_payment
from gateway.flows.callbacks.apply import apply_event
from gateway.flows.callbacks.inbox_rows import NewCallback
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.payments import lookup
from gateway.flows.plugin import calls
from gateway.flows.plugin.calls import Proof
from gateway.flows.runtime import Gateway, log
from gateway.flows.tasks import described

MAX_HINTED_REFERENCES = 100
"""Provider references named by hints that are remembered of one payment; its own is looked up without any."""

MAX_REFERENCE_CHARACTERS = 255
"""Of a provider reference that a hint names; a longer one is not a reference of any provider."""

FIRST_RETRY = timedelta(seconds=1)
"""How long after it came a proved callback whose effect failed is tried again."""

ONE_SECOND = timedelta(seconds=1)

WORST_FIRST: tuple[type[Verdict], ...] = (Busy, Refused, Repeated, Recorded)
"""Verdicts in the order in which one of them answers for a callback that reports several things."""

WHATEVER_THE_BODY = (Reason.METHOD, Reason.MEDIA_TYPE)
"""Reasons that do not depend on the body: they are reported before its size."""


def verify(gw: Gateway, entry: AccountEntry, callback: Callback, *, unread: int | None = None) -> NewCallback:
    """Have the plugin verify a callback, which has the account's ``config``. Never raises for what a caller sends.

    ``unread``: the size of a body that is too large to be read, which is empty here. The callback is refused then.
    """
    identifier = gw.new_id("cb")
    proof = _proof(gw, entry, callback, is_unread=unread is not None)
    size = len(callback.body) if unread is None else unread
    return NewCallback(id=identifier, entry=entry, callback=callback, size=size, proof=proof)


def _proof(gw: Gateway, entry: AccountEntry, callback: Callback, *, is_unread: bool) -> Proof | CallbackRejected:
    try:
        proved_as, proof = calls.verify_as(gw, entry, callback)
        if proved_as is not entry:
            gw.uses.note_earlier(proved_as, "credentials", callback.received_at)
    except CallbackRejected as rejected:
        if not is_unread or rejected.reason in WHATEVER_THE_BODY:
            return rejected
        proof = None
    return CallbackRejected(Reason.TOO_LARGE, "the body is too large to be read") if is_unread else proof


async def accept(gw: Gateway, new: NewCallback) -> Verdict:
    """Store a callback and what it changes. Never raises for what a caller sends."""
    try:
        match new.proof:
            case CallbackRejected() as rejected:
                return await _refuse(gw, new, rejected)
            case Event() as event:
                return await _take_event(gw, new, event)
            case Hint() as hint:
                return await _take_hint(gw, new, hint)
            case tuple():
                return worst([await _accept_part(gw, part) for part in new.parts(gw)])
            case None:
                return await _store(gw, new, Evaluation(verdict=Recorded()))
    except Unavailable as problem:
        extra = {"account": new.entry.name, "problem": str(problem)}
        log.error("a callback could not be stored", extra=extra)
        return Busy()


async def _accept_part(gw: Gateway, part: NewCallback) -> Verdict:
    """Accept one of several things that a callback reports: a fault in one must not keep the others from theirs."""
    try:
        return await accept(gw, part)
    except Exception:  # as at the edge: this one was not acknowledged, so the sender tries again
        log.exception("fault", extra={"account": part.entry.name, "tenant": part.entry.tenant})
        return Busy()


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that answers for several: the first of the kind that asks most of the sender."""
    return min(verdicts, key=lambda verdict: WORST_FIRST.index(type(verdict)))


def answer(entry: AccountEntry, verdict: Verdict, callback: Callback) -> HttpResponse:
    """Have the plugin answer with a verdict, after the commit."""
    return calls.answer(entry, verdict, callback)


async def _store(gw: Gateway, new: NewCallback, evaluation: Evaluation) -> Verdict:
    """Store a callback that changes nothing."""
    await gw.store.commit(new.entry.tenant, new.rows(gw, evaluation))
    return evaluation.verdict


async def _refuse(gw: Gateway, new: NewCallback, rejected: CallbackRejected) -> Verdict:
    """Keep a refused callback as evidence, if the store takes it; it is refused either way."""
    verdict, detail = Refused(reason=rejected.reason), rejected.detail
    _report_refusal(gw, new, rejected.reason, detail)
    if rejected.claims is not None:
        # Text only: people look for it here, but an unproved callback never counts as one of that payment.
        detail = f'{detail}; it claims to be about "{rejected.claims}", which is not proved'
    try:
        await _store(gw, new, Evaluation(verdict=verdict, detail=detail))
    except Unavailable:
        log.warning("a refused callback could not be kept")
    return verdict


async def _take_event(gw: Gateway, new: NewCallback, event: Event) -> Verdict:
    """Apply a proved event. Where that fails the callback is stored alone and retried.

    Raises ``Unavailable`` when the store does not take that row either.
    """
    entry = new.entry
    try:
        evaluation = await apply_event(gw, entry, event, new)
    except Exception as fault:  # a mistake of the gateway included: the sender is not at fault and need not repeat it
        extra = {"tenant": entry.tenant, "account": entry.name, **described(fault)}
        log.error("a proved callback could not be applied", extra=extra)
        return await _retry_later(gw, new, event)
    if evaluation.payment is not None:
        new.payment_ids.append(evaluation.payment.id)
    if evaluation.verdict.reason is not None:
        _report_refusal(gw, new, evaluation.verdict.reason, evaluation.detail or "", evaluation.payment)
    return evaluation.verdict


async def _retry_later(gw: Gateway, new: NewCallback, event: Event) -> Verdict:
    at = gw.clock.now() + FIRST_RETRY
    # A new id: the commit that failed may have stored the first one after all.
    again = replace(new, id=gw.new_id("cb"))
    await gw.store.commit(new.entry.tenant, [again.row_to_retry(gw, event, at)])
    gw.inbox_timer.no_later_than(milliseconds(at))
    return Recorded()


async def _take_hint(gw: Gateway, new: NewCallback, hint: Hint) -> Verdict:
    """Store a hint, then look the payment up in the background.

    At most one lookup per payment in ``clocks.hint``, however many hints come; a later one waits for the schedule.
    """
    found = await named_payment.of_hint(gw, new.entry, hint, new.callback.payment_id)
    if found.before is None:
        detail = likely_causes.of_hint(gw, new.entry, found)
        return await _refuse(gw, new, CallbackRejected(Reason.NOT_FOUND, detail))
    payment = found.before.payment
    new.payment_ids.append(payment.id)
    evaluation = Evaluation(verdict=Recorded(), payment=payment)
    reference = _reference_in(gw, hint, payment)
    if payment.provider_reference not in (None, reference):
        return await _store(gw, new, evaluation)  # a foreign reference causes no lookup
    await _follow(gw, payment, [*new.rows(gw, evaluation), *_hint_rows(new, payment, reference)])
    return evaluation.verdict


def _reference_in(gw: Gateway, hint: Hint, payment: Payment) -> str:
    """The provider reference that a hint names, if it may be stored; else the payment's own, "" for none."""
    named = hint.provider_reference
    if named is not None and len(named) <= MAX_REFERENCE_CHARACTERS and gw.masks.may_keep(payment.tenant, named):
        return named or payment.provider_reference or ""
    return payment.provider_reference or ""


def _hint_rows(new: NewCallback, payment: Payment, reference: str) -> list[Statement]:
    return [
        schedule.store_hint(payment.tenant, payment.id, reference, new.callback.received_at),
        schedule.trim_hints(payment.tenant, payment.id, MAX_HINTED_REFERENCES),
    ]


async def _follow(gw: Gateway, payment: Payment, rows: list[Statement]) -> None:
    """Commit a hint's rows and start its lookup, or leave it to the schedule while another one is recent."""
    now, window = gw.clock.now(), gw.settings.clocks.hint
    last = gw.memory.last_lookup.get(payment.id)
    is_free = (last is None or now >= last + window) and not gw.tasks.is_running(lookup.hint_task_name(payment.id))
    next_check = now + window + ONE_SECOND if is_free or last is None else max(now, last + window)
    if is_free:
        gw.memory.last_lookup[payment.id] = now  # before anything is awaited: hints that come together share one lookup
        is_free = not gw.node.is_shared or await _is_first(gw, payment, now)
    await gw.store.commit(payment.tenant, [*rows, schedule.bring_check_forward(payment.tenant, payment.id, next_check)])
    gw.check_timer.no_later_than(milliseconds(next_check))
    if is_free:
        gw.tasks.start(lookup.hint_task_name(payment.id), lookup.process_hints(gw, payment.tenant, payment.id))


async def _is_first(gw: Gateway, payment: Payment, now: datetime) -> bool:
    """Whether no other node has begun a lookup for a hint to this payment lately, which this one begins now."""
    last_before = now - gw.settings.clocks.hint
    claim = claims.claim_lookup(payment.tenant, payment.id, now, last_before=last_before)
    return bool(await gw.store.claim(payment.tenant, claim))


def _report_refusal(gw: Gateway, new: NewCallback, reason: Reason, detail: str, payment: Payment | None = None) -> None:
    """Say why a callback is refused. Equal lines of one account are counted, not repeated."""
    known = {} if payment is None else {"payment_id": payment.id}
    place = {"tenant": new.entry.tenant, "account": new.entry.name, "callback_id": new.id, **known}
    report(gw, Occurrence.CALLBACK_REFUSED, **place, reason=str(reason), detail=detail)
