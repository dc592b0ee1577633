"""Accept one provider callback: prove it, judge it, store it with its effect, and only then answer.

Row and effect are one transaction. A proved event may move the payment; where its effect fails for a reason of ours it
is stored alone, answered as durable, and applied later (``pending.py``). A hint is stored and followed by a lookup;
whatever is refused is kept as evidence. What could not be stored is answered with a fault, never with success.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from msgspec.structs import replace

from gateway.core.errors import CallbackRejected, Reason, Unavailable
from gateway.core.facts import Busy, Event, Hint, Recorded, Refused, Repeated, Verdict
from gateway.core.wire import Callback, HttpResponse
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import agenda, inbox
from gateway.drivers.store.statements import Statement, milliseconds
from gateway.flows.callbacks import size_limits
from gateway.flows.callbacks.apply import NAMES, apply_event
from gateway.flows.callbacks.redaction import stored
from gateway.flows.callbacks.size_limits import bounded
from gateway.flows.payments import lookup
from gateway.flows.plugin import calls
from gateway.flows.runtime import Gateway, log

REFUSED_KEPT = 500
"""How many refused callbacks of one account are kept: with what is kept of each, less than 8 MB."""

HINTS_KEPT = 20
"""How many accepted callbacks without proof are kept of one payment: its customer can make any number."""

REPEATED_KEPT = 20
"""How many repetitions are kept of one payment: a sender that is not content with its answer may go on for ever."""

KEYS_TRIED = 100
"""How many keys that hints named are remembered of one payment; its reference is looked up without any."""

LONGEST_KEY = 255
"""Characters of a key that a hint names; a longer one is the key of nothing."""

FIRST_RETRY = timedelta(seconds=1)
"""How long after it came a proved callback whose effect failed is tried again."""

ONE_SECOND = timedelta(seconds=1)

Admit = Callable[[bool], Busy | None]
"""Asked once, when it is known whether a callback is proved, and before anything is stored; ``Busy`` puts it off."""


async def accept(gw: Gateway, entry: AccountEntry, callback: Callback, admit: Admit = lambda _: None) -> Verdict:
    """Judge one callback and make the judgement durable. Never raises for what a caller sends."""
    callback = replace(callback, config=entry.account.config)
    keep = Arrived(gw, entry, callback)
    try:
        said = calls.verify(gw, entry, callback)
    except CallbackRejected as rejected:
        return admit(False) or await refuse(gw, keep, rejected.reason, rejected.detail, rejected.claims)
    busy = admit(not isinstance(said, Hint))
    if busy is not None:
        return busy
    try:
        match said:
            case Event():
                return await take_event(gw, entry, callback, said, keep)
            case Hint():
                return await take_hint(gw, entry, callback, said, keep)
            case None:
                await gw.store.commit(keep(Recorded()))
                return Recorded()
    except Unavailable as problem:
        log.error("a callback could not be stored", extra={"account": entry.name, "problem": str(problem)})
        return Busy()


async def refuse_unread(gw: Gateway, entry: AccountEntry, callback: Callback, *, size: int) -> Verdict:
    """Refuse a callback whose body was too large to read, after ``size`` bytes of it.

    A wrong method or media type is said before its size.
    """
    callback = replace(callback, config=entry.account.config)
    reason, detail = Reason.TOO_LARGE, "the body is too large to be read"
    try:
        calls.verify(gw, entry, callback)
    except CallbackRejected as rejected:
        if rejected.reason in (Reason.METHOD, Reason.MEDIA_TYPE):
            reason, detail = rejected.reason, rejected.detail
    return await refuse(gw, Arrived(gw, entry, callback, size=size), reason, detail)


def answer(entry: AccountEntry, verdict: Verdict, callback: Callback) -> HttpResponse:
    """Let the plugin word the verdict, after the commit."""
    return calls.answer(entry, verdict, replace(callback, config=entry.account.config))


async def take_event(gw: Gateway, entry: AccountEntry, callback: Callback, event: Event, keep: Arrived) -> Verdict:
    """Apply a proved event. Where that fails its row is stored alone: what was proved is not asked for again.

    Raises ``Unavailable`` when the store does not take the row either.
    """
    place = {"tenant": entry.tenant, "account": entry.name}
    try:
        found = await apply_event(gw, entry, event, keep)
        if isinstance(found.verdict, Refused):
            payment_id = None if found.before is None else found.before.payment.id
            keep.log_refusal(found.verdict.reason, found.detail or "", payment_id)
        return found.verdict
    except Exception as fault:  # the sender is not at fault, whatever this was, a mistake of ours included
        log.error("a proved callback could not be applied", extra={**place, "kind": type(fault).__name__})
    retried_at = gw.clock.now() + FIRST_RETRY
    pending = inbox.insert_callback(
        gw.new_id("cb"),
        tenant=entry.tenant,
        account=entry.name,
        callback=for_the_store(gw, entry, bounded(callback, size_limits.PROVED)),
        verdict="pending",
        event=event,
        next_attempt_at=retried_at,
    )
    await gw.store.commit([pending])
    gw.inbox_alarm.no_later_than(milliseconds(retried_at))
    return Recorded()


async def take_hint(gw: Gateway, entry: AccountEntry, callback: Callback, hint: Hint, keep: Arrived) -> Verdict:
    """Store a hint, then follow it up in the background.

    At most one lookup per payment in ``clocks.hint``, however many hints come; a later one waits on the agenda.
    """
    loaded = await gw.store.payment(entry.tenant, callback.payment_id) if callback.payment_id else None
    if loaded is None or loaded.payment.account != entry.name:
        return await refuse(gw, keep, Reason.NOT_FOUND, "no such payment")
    payment = loaded.payment
    row = keep(Recorded(), payment_id=payment.id)
    given = hint.provider_reference
    if given is not None and (len(given) > LONGEST_KEY or not gw.masks.may_keep(entry.tenant, given)):
        given = None
    named = given or payment.provider_reference or ""
    if payment.provider_reference not in (None, named):
        await gw.store.commit(row)  # a foreign key causes no lookup
        return Recorded()
    now, window = gw.clock.now(), gw.settings.clocks.hint
    last = gw.last_lookup.get(payment.id)
    is_free = (last is None or now >= last + window) and not gw.is_running(lookup.hint_work(payment.id))
    next_look = now + window + ONE_SECOND if is_free or last is None else max(now, last + window)
    if is_free:
        gw.last_lookup[payment.id] = now  # before anything is awaited: hints of the same moment share one lookup
    unit = [
        *row,
        agenda.store_hint(payment.tenant, payment.id, named, callback.received_at),
        agenda.trim_hints(payment.tenant, payment.id, KEYS_TRIED),
        agenda.hasten(payment.tenant, payment.id, next_look),
    ]
    await gw.store.commit(unit)
    gw.agenda_alarm.no_later_than(milliseconds(next_look))
    if is_free:
        gw.start(lookup.hint_work(payment.id), lookup.follow_hints(gw, payment.tenant, payment.id))
    return Recorded()


async def refuse(gw: Gateway, keep: Arrived, reason: Reason, detail: str, claims: str | None = None) -> Verdict:
    """Keep a refused callback as evidence, if the store takes it; it is refused either way.

    ``claims``: the payment that it names. It is kept as text, where people look for it, and never as its payment.
    """
    verdict = Refused(reason=reason)
    keep.log_refusal(reason, detail)
    if claims is not None:
        detail = f'{detail}; it claims to be about "{claims}", which is not proved'
    try:
        await gw.store.commit(keep(verdict, detail=detail))
    except Unavailable:
        log.warning("a refused callback could not be kept")
    return verdict


class Arrived:
    """How a callback that has just come is kept (``Keep``): a new row, and the bounds of what nobody proved.

    ``size``: bytes of its body where it was not read to its end.
    """

    def __init__(self, gw: Gateway, entry: AccountEntry, callback: Callback, *, size: int | None = None) -> None:
        self._gw, self._entry, self._callback = gw, entry, callback
        self._size = len(callback.body) if size is None else size
        self._id = gw.new_id("cb")

    def __call__(
        self, verdict: Verdict, *, detail: str | None = None, event: Event | None = None, payment_id: str | None = None
    ) -> list[Statement]:
        """The statements that keep it under a verdict."""
        entry = self._entry
        bound, trims = size_limits.PROVED, list[Statement]()
        if isinstance(verdict, Refused):
            bound = size_limits.REFUSED
            trims.append(inbox.trim_refused(entry.tenant, entry.name, REFUSED_KEPT))
        elif event is None:
            bound = size_limits.HINT
            trims.append(inbox.trim_unproved(entry.tenant, entry.name, payment_id, HINTS_KEPT))
        elif isinstance(verdict, Repeated) and payment_id is not None:
            bound = size_limits.REPEATED
            trims.append(inbox.trim_repeated(entry.tenant, payment_id, REPEATED_KEPT))
        row = inbox.insert_callback(
            self._id,
            tenant=entry.tenant,
            account=entry.name,
            callback=for_the_store(self._gw, entry, bounded(self._callback, bound)),
            verdict=NAMES[type(verdict)],
            reason=verdict.reason if isinstance(verdict, Refused) else None,
            detail=detail,
            event=event,
            payment_id=payment_id,
            size=self._size,
        )
        return [row, *trims]

    def log_refusal(self, reason: Reason, detail: str, payment_id: str | None = None) -> None:
        """Say in the log why it is refused. Equal lines of one account are counted, not repeated (``repeats.py``)."""
        known = {} if payment_id is None else {"payment_id": payment_id}
        place = {"tenant": self._entry.tenant, "account": self._entry.name, "callback_id": self._id, **known}
        log.warning("callback refused", extra={**place, "reason": str(reason), "detail": detail})


def for_the_store(gw: Gateway, entry: AccountEntry, callback: Callback) -> Callback:
    """The callback as it may be stored."""
    secret_headers = entry.provider.secret_headers
    mask = gw.masks.of(entry.tenant)
    return stored(callback, key=gw.settings.server.secret, mask=mask, secret_headers=secret_headers)
