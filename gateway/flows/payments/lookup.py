"""Ask the provider how a payment stands: one procedure for hints, polls and ``sync``.

Look up; what is found must be this payment; where the provider waits for it, complete; look up again; apply. What a
hint says is never believed: it only chooses when to look.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial

import msgspec
from msgspec.structs import replace

from gateway.core.commands import CompletePayment, FetchPayment, Kind, OpenOperation, UpdatePayment
from gateway.core.errors import Conflict, ProviderError, Unavailable
from gateway.core.facts import Absent, Ask, Cause, Observation, Stage, outcomes_in
from gateway.core.payment import Operation, Payment, State, Status
from gateway.core.response_outcome import classify_lookup
from gateway.core.states import apply
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import schedule
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows import restore
from gateway.flows.commit import commit_change
from gateway.flows.payments import intent, read, repeat, submit, waiting
from gateway.flows.plugin import calls, login
from gateway.flows.runtime import Gateway, log

MAY_COMPLETE = frozenset({State.CREATED, State.AWAITING_CUSTOMER, State.PROCESSING, State.EXPIRED})
"""States in which a customer may just have finished."""

WAITING = frozenset({State.AWAITING_CUSTOMER, State.PROCESSING})
"""States in which the provider may show an acceptance that is not believed yet."""

LOOKUPS_REMEMBERED = 50_000
"""Payments whose last lookup is known in memory; forgetting them costs a lookup, no more."""

LOOKS_WHEN_OVERTAKEN = 5
"""The first look and those after an answer that was stale when it came."""

ENDED = frozenset({Stage.FAILED, Stage.CANCELED})


MAX_FURTHER_QUESTIONS = 3
"""How often the plugin may ask further in one lookup."""


class SessionEnded(ProviderError):
    """The provider takes the session no more, which a new one may change."""


class LookupResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a lookup saw, and the payment and open operation it began with."""

    before: PaymentSnapshot
    seen: Observation | Absent


async def refresh(gw: Gateway, tenant: str, payment_id: str, *, hint: str | None = None, hinted: bool) -> bool:
    """Look up, complete, look up. ``hint`` is the key a hint named, tried where none is stored.

    Returns whether what was found was this payment. Raises ``ProviderError`` when the provider could not be asked.
    """
    found = await lookup_and_apply(gw, tenant, payment_id, key=hint)
    while found is not None and _should_complete(gw, found, hinted):
        before = await (_when_nothing_runs(gw, tenant, payment_id) if hinted else gw.store.payment(tenant, payment_id))
        if before is None or before.open_operation is not None:
            break  # a hint stays due until the outcome is known
        is_ours = not before.payment.completed and await complete(gw, before, stage=_stage(found.seen))
        found = await lookup_and_apply(gw, tenant, payment_id, key=hint)  # what was seen is older than the completion
        if is_ours:
            if found is not None:
                await send_reference(gw, found)
            return True
    return found is not None


async def _when_nothing_runs(gw: Gateway, tenant: str, payment_id: str) -> PaymentSnapshot | None:
    """The payment when its open operation is not sent or repeated any more."""
    found = await gw.store.payment(tenant, payment_id)
    if found is None or found.open_operation is None:
        return found
    await waiting.wait_for(gw, found.open_operation, gw.entry(found.payment).provider_total)
    return await gw.store.payment(tenant, payment_id)


async def lookup_and_apply(gw: Gateway, tenant: str, payment_id: str, *, key: str | None) -> LookupResult | None:
    """Look up and apply; ask again when the payment moved meanwhile. None: what was found is not this payment."""
    for _ in range(LOOKS_WHEN_OVERTAKEN):
        found = await lookup_payment(gw, tenant, payment_id, key=key)
        if found is None or await apply_lookup(gw, found):
            return found
    raise ProviderError("the payment changed during every lookup")


def hint_task_name(payment_id: str) -> str:
    """The name under which a hint's lookup runs."""
    return f"hint {payment_id}"


async def wait_for_hint(gw: Gateway, tenant: str, payment_id: str, seconds: float) -> None:
    """Wait for the lookup that a customer's return has caused, for at most ``seconds``.

    The end of one in another process is not seen: it is waited for until the customer is known to have finished, or
    ``seconds`` after it began, or the store cannot be read.
    """
    name = hint_task_name(payment_id)
    if gw.tasks.is_running(name) or not gw.node.is_shared:
        await gw.tasks.wait_for(name, seconds)
        return
    with suppress(Unavailable):
        await _wait_for_another(gw, tenant, payment_id, seconds)


async def _wait_for_another(gw: Gateway, tenant: str, payment_id: str, seconds: float) -> None:
    began = await gw.store.claimable.last_lookup(tenant, payment_id)
    over = 0.0 if began is None else seconds - (gw.clock.now() - began).total_seconds()
    for pause in waiting.pauses(min(over, seconds)):
        found = await gw.store.payment(tenant, payment_id)
        if found is None or found.payment.state not in MAY_COMPLETE:
            return
        await gw.clock.sleep(pause)


async def process_hints(gw: Gateway, tenant: str, payment_id: str) -> float | None:
    """Follow a payment's newest hint up, after an operation that runs.

    A failed lookup leaves the hint due, and so does an operation without an outcome: a completion may be lost.
    Returns the seconds after which the provider wants to be asked again, if it said so.
    """
    await _when_nothing_runs(gw, tenant, payment_id)
    hints = await gw.store.due_hints(tenant, payment_id)
    key, received_at = hints[0] if hints else ("", 0)
    try:
        is_this = await refresh(gw, tenant, payment_id, hint=key or None, hinted=bool(hints))
    except ProviderError as problem:
        message = "a hint's lookup failed" if hints else "a poll failed"
        log.warning(message, extra={"payment_id": payment_id, "tenant": tenant, "problem": str(problem)})
        return problem.retry_after
    now = await gw.store.payment(tenant, payment_id)
    if not hints or now is None or (is_this and now.open_operation is not None):
        return None
    relaxed = schedule.postpone_check(now.payment, gw.first_check_at(now.payment, None))
    await gw.store.commit(tenant, [schedule.close_hint(tenant, payment_id, key, received_at), relaxed])
    return None


async def lookup_payment(gw: Gateway, tenant: str, payment_id: str, *, key: str | None) -> LookupResult | None:
    """Ask the provider once. None when what it shows is not this payment; that changes nothing and is counted."""
    before = await gw.store.payment(tenant, payment_id)
    if before is None:
        return None
    before = await repeat.ahead_of_lookup(gw, before)
    payment = before.payment
    entry = gw.entry(payment)
    if len(gw.memory.last_lookup) > LOOKUPS_REMEMBERED:
        gw.memory.last_lookup.clear()
    gw.memory.last_lookup[payment_id] = gw.clock.now()
    wanted = payment.provider_reference or key
    seen = await fetch(gw, entry, payment, key=wanted, open_operation=before.open_operation)
    holder = await _other_owner(gw, payment, seen)
    if holder is not None and isinstance(seen, Observation) and seen.payment_id == payment.id:
        seen = replace(seen, payment_id=holder)  # two payments claim one order: a person must look
    elif holder is not None and key is None:
        seen = Absent()  # an order that another payment holds is not this one's
    elif holder is not None or not _is_this_payment(payment, seen, key):
        log.warning("a lookup showed another payment", extra={"payment_id": payment_id, "tenant": tenant})
        return None
    return LookupResult(before=before, seen=seen)


async def fetch(
    gw: Gateway, entry: AccountEntry, payment: Payment, *, key: str | None, open_operation: Operation | None = None
) -> Observation | Absent:
    """One lookup. Raises ``ProviderError`` when it failed; a failed lookup proves nothing.

    Where the session had ended it is repeated once in a new one.
    """
    command = FetchPayment(
        payment_id=payment.id,
        merchant_reference=payment.merchant_reference,
        provider_reference=key,
        money=payment.money,
        at=gw.clock.now(),
        memory=payment.memory,
        checkout=payment.checkout,
        open_operation=None if open_operation is None else _as_asked_for(payment, open_operation),
    )
    try:
        return await _ask(gw, entry, command)
    except SessionEnded:
        return await _ask(gw, entry, command, is_repeated=True)


async def _ask(
    gw: Gateway, entry: AccountEntry, command: FetchPayment, *, is_repeated: bool = False
) -> Observation | Absent:
    """Ask one question, and those that the plugin asks further. Nothing is changed by them: they may be repeated.

    Raises ``SessionEnded`` unless that has happened before.
    """
    first, kept = command, command.memory
    account = await login.account_of(gw, entry, first)
    request = calls.build(gw, entry, account, command)
    for _ in range(1 + MAX_FURTHER_QUESTIONS):
        response = await gw.call(entry, request, command)
        if login.has_ended(gw, entry, first, response) and not is_repeated:
            raise SessionEnded("the provider had ended our session")
        login.note_refusal(gw, entry, response)
        parse = partial(calls.parse, gw, entry, command, account=account)
        found = classify_lookup(response, parse, gw.clock.now())
        if not isinstance(found, Ask):
            return found
        request, command = found.request, replace(command, memory={**kept, **found.memory})
    raise ProviderError(f"the plugin asks more than {MAX_FURTHER_QUESTIONS} further questions")


def _as_asked_for(payment: Payment, operation: Operation) -> OpenOperation:
    money = payment.money.with_amount(operation.amount)
    return OpenOperation(id=operation.id, kind=operation.kind, money=money, provider_id=operation.provider_id)


async def apply_lookup(gw: Gateway, found: LookupResult) -> bool:
    """Apply what a lookup saw. False: the payment moved meanwhile, so the answer was stale and is discarded."""
    before = found.before
    payment = before.payment
    policy, outcomes = gw.entry(payment).policy, outcomes_in(found.seen)
    ended = await read.ended_operations(gw, before, outcomes) if outcomes else ()
    now, open_operation = gw.clock.now(), before.open_operation
    change = apply(payment, open_operation, found.seen, cause=Cause.LOOKUP, policy=policy, at=now, ended=ended)
    try:
        await commit_change(gw, before, change)
    except Conflict:
        log.info(
            "a lookup was discarded: the payment changed meanwhile",
            extra={"payment_id": payment.id, "tenant": payment.tenant},
        )
        return False
    restore.note_refreshed(gw, payment)
    return True


async def order_exists_from_before_restore(gw: Gateway, entry: AccountEntry, payment: Payment) -> bool:
    """Whether the provider has an order under the reference of a payment still to be made, and nobody here holds it.

    Raises ``ProviderError`` when it could not be asked.
    """
    await gw.store.prove_writable(gw.clock.now(), payment.tenant)  # no provider is asked what could not be kept
    seen = await fetch(gw, entry, payment, key=None)
    if isinstance(seen, Absent):
        return False
    key = seen.provider_reference
    return key is None or await gw.store.payment_by_provider_reference(payment.tenant, payment.account, key) is None


async def complete(gw: Gateway, before: PaymentSnapshot, *, stage: Stage | None) -> bool:
    """Reserve, send and resolve one completion. False: the payment moved meanwhile.

    Raises ``ProviderError`` where this process may begin nothing now: the hint is left to one that may.
    """
    payment, entry = before.payment, gw.entry(before.payment)
    if not gw.node.may_begin(payment.tenant, gw.clock.now()):
        raise ProviderError("the provider was not asked to complete: this process could not renew its lease in time")
    operation = intent.new_operation(gw, payment, Kind.COMPLETE, at=gw.clock.now(), stage=stage)
    command = CompletePayment(**intent.members_of(payment, operation))
    return await submit.run_for_gateway(gw, entry, payment, command, operation)


async def send_reference(gw: Gateway, found: LookupResult) -> None:
    """Send our reference once, where the lookup after a completion shows that the provider has none."""
    loaded = await gw.store.payment(found.before.payment.tenant, found.before.payment.id)
    if loaded is None or loaded.open_operation is not None or loaded.payment.state is not State.AUTHORIZED:
        return
    payment, entry = loaded.payment, gw.entry(loaded.payment)
    seen = found.seen
    is_named = isinstance(seen, Absent) or seen.merchant_reference is not None or seen.payment_id is not None
    if is_named or UpdatePayment not in entry.provider.commands:
        return
    operation = intent.new_operation(gw, payment, Kind.UPDATE, at=gw.clock.now())
    command = UpdatePayment(**intent.members_of(payment, operation), order=payment.order, merchant_status=None)
    await submit.run_for_gateway(gw, entry, payment, command, operation)


async def is_accepted_uncompleted(gw: Gateway, payment: Payment, entry: AccountEntry) -> bool:
    """Whether the provider shows that the customer accepted, though it has declined to complete the checkout.

    Providers are known to confirm such an order all the same; what a capture of it comes to is theirs to say.
    """
    if payment.state not in WAITING or not entry.needs_completion:
        return False
    done = await gw.store.operations(payment.tenant, payment.id)
    if not any(one.kind is Kind.COMPLETE and one.status is Status.DECLINED for one in done):
        return False
    found = await lookup_and_apply(gw, payment.tenant, payment.id, key=None)
    return found is not None and _stage(found.seen) is Stage.AUTHORIZED


def _stage(seen: Observation | Absent) -> Stage | None:
    return seen.stage if isinstance(seen, Observation) else None


def _should_complete(gw: Gateway, found: LookupResult, hinted: bool) -> bool:
    payment, stage = found.before.payment, _stage(found.seen)
    if not gw.entry(payment).needs_completion or payment.completed or payment.state not in MAY_COMPLETE:
        return False
    return stage is not None and stage not in ENDED and (hinted or stage is Stage.AUTHORIZED)


def _is_this_payment(payment: Payment, seen: Observation | Absent, hint: str | None) -> bool:
    """Whether what was found is this payment; what it then shows is evaluated like every fact.

    Our payment id decides alone, where the provider says one; else the stored key; else, with none stored, a key
    beside our reference, amount and currency. That the key a hint named is not known proves nothing of the payment:
    anybody can name one.
    """
    if isinstance(seen, Absent):
        return payment.provider_reference is not None or hint is None
    if seen.payment_id == payment.id:
        return True
    named = seen.merchant_reference
    if payment.provider_reference is not None:
        same_key = seen.provider_reference in (None, payment.provider_reference)
        return same_key and named in (None, payment.merchant_reference)
    wanted = (payment.merchant_reference, payment.money.amount, payment.money.currency)
    is_alike = (named, seen.amount, seen.currency) == wanted
    return seen.payment_id is None and seen.provider_reference is not None and is_alike


async def _other_owner(gw: Gateway, payment: Payment, seen: Observation | Absent) -> str | None:
    """Another payment that holds the order that was found, while we know no key yet."""
    if isinstance(seen, Absent) or payment.provider_reference is not None or seen.provider_reference is None:
        return None
    holder = await gw.store.payment_by_provider_reference(payment.tenant, payment.account, seen.provider_reference)
    return holder if holder != payment.id else None
