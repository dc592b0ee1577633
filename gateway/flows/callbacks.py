"""Accept one provider callback: prove it, judge it, store it with its effect, and only then answer.

Row and effect are one transaction. A proved event may move the payment; a hint is stored and followed by a lookup;
whatever is refused is kept as evidence. What could not be stored is answered with a fault, never with success.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from gateway.core.errors import CallbackRejected, Conflict, Reason, Unavailable
from gateway.core.facts import Busy, Event, Hint, Recorded, Refused, Repeated, Verdict
from gateway.core.judgement import Judgement, judge
from gateway.core.signing import keyed_hash
from gateway.core.wire import Callback, Headers, HttpResponse
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import statements
from gateway.drivers.store.queries import Loaded
from gateway.drivers.store.statements import Statement
from gateway.flows import lookup
from gateway.flows.context import Gateway, Race, log
from gateway.flows.record import record

REFUSED_KEPT = 1000
"""How many refused callbacks of one account are kept."""

ONE_SECOND = timedelta(seconds=1)

_NAMES = {Recorded: "recorded", Repeated: "repeated", Refused: "refused"}


async def accept(gw: Gateway, entry: AccountEntry, callback: Callback) -> Verdict:
    """Judge one callback and make the judgement durable. Never raises for what a caller sends."""
    callback = replace(callback, config=entry.account.config)
    try:
        said = entry.provider.verify(callback, entry.account)
    except CallbackRejected as rejected:
        return await refuse(gw, entry, callback, rejected.reason, rejected.detail)
    except Exception as broken:
        log.error("plugin failed to verify", extra={"provider": entry.provider.name, "kind": type(broken).__name__})
        return await refuse(gw, entry, callback, Reason.UNAUTHENTIC, "the plugin failed to verify")
    try:
        match said:
            case Event():
                return await apply_event(gw, entry, callback, said)
            case Hint():
                return await take_hint(gw, entry, callback, said)
            case None:
                return await keep(gw, entry, callback, Recorded())
    except Unavailable as problem:
        log.error("a callback could not be stored", extra={"account": entry.name, "problem": str(problem)})
        return Busy()


def judge_unread(entry: AccountEntry, callback: Callback, too_large: Refused) -> Refused:
    """Judge a callback whose body was too large to read: a wrong method or media type is said before its size."""
    try:
        entry.provider.verify(callback, entry.account)
    except CallbackRejected as rejected:
        if rejected.reason in (Reason.METHOD, Reason.MEDIA_TYPE):
            return Refused(reason=rejected.reason)
    except Exception as broken:
        log.error("plugin failed to verify", extra={"provider": entry.provider.name, "kind": type(broken).__name__})
    return too_large


def answer(entry: AccountEntry, verdict: Verdict, callback: Callback) -> HttpResponse:
    """Let the plugin word the verdict; a plugin that fails makes it a plain 503 or 400, never a success."""
    try:
        return entry.provider.answer(verdict, replace(callback, config=entry.account.config))
    except Exception as broken:
        log.error("plugin failed to answer", extra={"provider": entry.provider.name, "kind": type(broken).__name__})
        return HttpResponse(status=400 if isinstance(verdict, Refused) else 503)


async def apply_event(gw: Gateway, entry: AccountEntry, callback: Callback, event: Event) -> Verdict:
    """Judge a proved event against its payment and commit row and effect together; read again if overtaken."""
    race = Race()
    while True:
        loaded = await find_payment(gw, entry, event)
        if loaded is None:
            log.warning("a proved callback names no payment", extra={"tenant": entry.tenant, "account": entry.name})
            reason = Reason.NOT_FOUND if entry.deposit_methods else _without_method(entry)
            return await refuse(gw, entry, callback, reason, "no such payment")
        seen_before = await gw.store.was_applied(entry.tenant, entry.name, event.event_id)
        judgement = judge(
            loaded.payment,
            loaded.pending,
            event,
            seen_before=seen_before,
            terms=gw.terms(entry),
            at=gw.clock.now(),
        )
        try:
            await _commit(gw, entry, callback, event, loaded, judgement)
        except Conflict:
            race.lost()
            continue
        return judgement.verdict


async def find_payment(gw: Gateway, entry: AccountEntry, event: Event) -> Loaded | None:
    """The payment an event is about: one of this account, whatever the callback names."""
    named = event.observation.payment_id
    key = event.observation.provider_reference
    if named is None and key is not None and gw.terms(entry).lookups:  # without lookups it is no key of anything
        named = await gw.store.payment_with_key(entry.tenant, entry.name, key)
    loaded = await gw.store.payment(entry.tenant, named) if named else None
    return loaded if loaded is not None and loaded.payment.account == entry.name else None


async def take_hint(gw: Gateway, entry: AccountEntry, callback: Callback, hint: Hint) -> Verdict:
    """Store a hint, then follow it up in the background.

    At most one lookup per payment in ``clocks.hint``, however many hints come; a later one waits on the agenda.
    """
    loaded = await gw.store.payment(entry.tenant, callback.payment_id) if callback.payment_id else None
    if loaded is None or loaded.payment.account != entry.name:
        return await refuse(gw, entry, callback, Reason.NOT_FOUND, "no such payment")
    payment = loaded.payment
    named = hint.provider_reference or payment.provider_reference or ""
    if payment.provider_reference not in (None, named):
        return await keep(gw, entry, callback, Recorded(), payment_id=payment.id)  # a foreign key causes no lookup
    now, window = gw.clock.now(), gw.settings.clocks.hint
    last = gw.last_lookup.get(payment.id)
    is_free = (last is None or now >= last + window) and not gw.is_running(lookup.hint_work(payment.id))
    next_look = now + window + ONE_SECOND if is_free or last is None else max(now, last + window)
    if is_free:
        gw.last_lookup[payment.id] = now  # before anything is awaited: hints of the same moment share one lookup
    stored = [
        statements.store_hint(payment.tenant, payment.id, named, callback.received_at),
        statements.hasten(payment.tenant, payment.id, next_look),
    ]
    await keep(gw, entry, callback, Recorded(), payment_id=payment.id, also=stored)
    gw.agenda_due.set()
    if is_free:
        gw.start(lookup.hint_work(payment.id), lookup.follow_hints(gw, payment.tenant, payment.id))
    return Recorded()


async def refuse(gw: Gateway, entry: AccountEntry, callback: Callback, reason: Reason, detail: str) -> Verdict:
    """Keep a refused callback as evidence, if the store takes it; it is refused either way."""
    trimmed = statements.trim_refused(entry.tenant, entry.name, REFUSED_KEPT)
    verdict = Refused(reason=reason)
    try:
        return await keep(gw, entry, callback, verdict, detail=detail, also=[trimmed])
    except Unavailable:
        return verdict


async def keep(
    gw: Gateway,
    entry: AccountEntry,
    callback: Callback,
    verdict: Verdict,
    *,
    detail: str | None = None,
    payment_id: str | None = None,
    also: Sequence[Statement] = (),
) -> Verdict:
    """Store a callback that moves no payment."""
    await gw.store.commit([_row(gw, entry, callback, verdict, detail=detail, payment_id=payment_id), *also])
    return verdict


async def _commit(
    gw: Gateway, entry: AccountEntry, callback: Callback, event: Event, before: Loaded, judgement: Judgement
) -> None:
    row = _row(gw, entry, callback, judgement.verdict, event_id=event.event_id, payment_id=before.payment.id)
    if judgement.change is None:
        await gw.store.commit([row])
    else:
        await record(gw, before, judgement.change, rows=[row])


def _row(
    gw: Gateway,
    entry: AccountEntry,
    callback: Callback,
    verdict: Verdict,
    *,
    detail: str | None = None,
    event_id: str | None = None,
    payment_id: str | None = None,
) -> Statement:
    return statements.insert_callback(
        gw.new_id("cb"),
        tenant=entry.tenant,
        account=entry.name,
        callback=replace(callback, headers=_without_secrets(gw, entry, callback.headers), config=None),
        verdict=_NAMES[type(verdict)],
        reason=verdict.reason if isinstance(verdict, Refused) else None,
        detail=detail,
        event_id=event_id,
        payment_id=payment_id,
    )


def _without_secrets(gw: Gateway, entry: AccountEntry, headers: Headers) -> Headers:
    """Keep of a secret header only a keyed hash: enough to compare, nothing to steal."""
    secret = {name.lower() for name in entry.provider.secret_headers} | {"authorization", "cookie"}
    key = gw.settings.server.secret
    return tuple(
        (name, f"hmac-sha256:{keyed_hash(key, value)}" if name.lower() in secret else value) for name, value in headers
    )


def _without_method(entry: AccountEntry) -> Reason:
    return Reason.NO_DEPOSIT_METHOD if entry.rules.deposit_method_required else Reason.NOT_FOUND
