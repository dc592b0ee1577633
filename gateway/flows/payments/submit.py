"""The only place a provider is asked to change something: build, reserve, send, read, settle.

The intent is committed before the first byte leaves, under the tenant's idempotency key. Nothing here ever sends an
operation twice: one that certainly did not leave is settled ``not_sent`` and followed by a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.commands import Command, Kind
from gateway.core.errors import (
    Conflict,
    GatewayError,
    NotSent,
    OutcomeUnknown,
    Unavailable,
)
from gateway.core.facts import Cause, Declined, Fact, NeverSent, Observation, Pending, Stage, Unknown
from gateway.core.payment import Before, Failure, FailureCode, Operation, Payment, State, Status
from gateway.core.response_body import described
from gateway.core.response_outcome import NOTE_SESSION_ENDED, classify_response, unanswered
from gateway.core.states import apply
from gateway.core.urls import place_of
from gateway.core.wire import HttpRequest
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import schedule, statements
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.drivers.store.statements import Statement, milliseconds
from gateway.flows.commit import record
from gateway.flows.plugin import calls, cleaning, login
from gateway.flows.runtime import Gateway, log

TRIES_WHEN_NOT_SENT = 2
"""The first submission, and one more after a connection that was never made or a session that had ended."""


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """An operation ready to be reserved: what will be sent, and the rows that come with it.

    ``remake`` makes the command anew for a following operation, on ``fallback`` accounts too (create only).
    """

    entry: AccountEntry
    command: Command
    request: HttpRequest
    operation: Operation
    rows: Sequence[Statement] = ()
    after_commit: Callable[[], None] = lambda: None
    remake: Callable[[AccountEntry, Operation], Command] | None = None
    fallback: tuple[AccountEntry, ...] = ()


async def build(gw: Gateway, entry: AccountEntry, command: Command) -> HttpRequest:
    """Let the plugin turn a command into a request, before anything is stored. A refusal is the tenant's 422."""
    return calls.build(gw, entry, await login.account_of(gw, entry), command)


def new_operation(gw: Gateway, payment: Payment, kind: Kind, *, at: datetime, stage: Stage | None = None) -> Operation:
    """An operation about to be reserved, with the facts before it."""
    return Operation(
        id=gw.new_id("op"),
        tenant=payment.tenant,
        payment_id=payment.id,
        account=payment.account,
        kind=kind,
        status=Status.SENDING,
        amount=payment.money.amount,
        before=Before(amount=payment.money.amount, captured=payment.captured, refunded=payment.refunded, stage=stage),
        created_at=at,
        updated_at=at,
    )


def members_of(payment: Payment, operation: Operation) -> dict[str, Any]:
    """What every changing command carries."""
    return {
        "payment_id": payment.id,
        "merchant_reference": payment.merchant_reference,
        "provider_reference": payment.provider_reference,
        "money": payment.money.with_amount(operation.amount),
        "at": operation.created_at,
        "operation_id": operation.id,
    }


async def intend(gw: Gateway, entry: AccountEntry, payment: Payment, command: Command, operation: Operation) -> Intent:
    """Build the request and open the operation on the payment as it was read.

    Somebody looks when no call can last any longer, whatever becomes of this process.
    """
    silent_at = operation.created_at + gw.schedules.silence
    return Intent(
        entry=entry,
        command=command,
        request=await build(gw, entry, command),
        operation=operation,
        rows=[
            statements.open_operation(payment, operation.id),
            schedule.bring_check_forward(payment.tenant, payment.id, silent_at),
        ],
        remake=lambda _, following: replace(command, operation_id=following.id),
    )


async def run_own(gw: Gateway, entry: AccountEntry, payment: Payment, command: Command, operation: Operation) -> None:
    """Reserve, send and settle an operation of the gateway's own, unless the payment moved meanwhile."""
    intent = await intend(gw, entry, payment, command, operation)
    try:
        await gw.store.commit([*intent.rows, statements.insert_operation(operation)])
    except Conflict:
        return
    await gw.start(operation.id, submit(gw, intent))


async def submit(gw: Gateway, intent: Intent) -> None:
    """Send a reserved operation and settle it.

    One that certainly was not sent is followed by a new one: once after a connection that was never made, then on
    each fallback account. Nothing is ever sent twice under one operation.
    """
    tries = 1
    while True:
        fact = await ask(gw, intent.entry, intent.command, intent.request)
        following: Intent | None = None
        if isinstance(fact, NeverSent) and fact.may_follow and tries < TRIES_WHEN_NOT_SENT:
            tries += 1
            following = await follow(gw, intent, fact, intent.entry)
        while following is None and isinstance(fact, NeverSent) and intent.fallback:
            tries = 1
            entry, *rest = intent.fallback
            intent = replace(intent, fallback=tuple(rest))
            following = await follow(gw, intent, fact, entry)
        if following is None:
            await settle(gw, intent.operation, fact)
            return
        intent = following


async def ask(gw: Gateway, entry: AccountEntry, command: Command, request: HttpRequest) -> Fact:
    """Send one request and read the answer by the outcome rule. Never raises for what the provider does."""
    try:
        response = await gw.call(entry, request)
    except NotSent as unsent:
        log.warning("not sent", extra=_not_sent(entry, command, request, unsent))
        return NeverSent(message=unsent.for_tenants, may_follow=unsent.connection)
    except OutcomeUnknown as silent:
        return unanswered(str(silent))
    if login.has_ended(gw, entry, response):
        return NeverSent(message=NOTE_SESSION_ENDED, may_follow=True)
    fact = classify_response(response, lambda answer: calls.parse(gw, entry, command, answer))
    if isinstance(fact, Declined):
        login.note_refusal(entry, response)
    if isinstance(fact, Unknown):
        return Unknown(message=cleaning.sentence(gw, entry, f"{fact.message} ({described(response)})"))
    return fact


def _not_sent(entry: AccountEntry, command: Command, request: HttpRequest, unsent: NotSent) -> dict[str, str]:
    """What an operator needs to act: whose request it was, where it should have gone, and what kept it."""
    return {
        "tenant": entry.tenant,
        "account": entry.name,
        "provider": entry.provider.name,
        "payment_id": command.payment_id,
        "host": place_of(request.url),
        "problem": str(unsent),
        "reason": unsent.why,
    }


async def follow(gw: Gateway, intent: Intent, unsent: NeverSent, entry: AccountEntry) -> Intent | None:
    """Settle an operation that was not sent and reserve the next one, in one transaction. None: it cannot be."""
    before = await load(gw, intent.operation)
    if before.open_operation is None or before.open_operation.id != intent.operation.id or intent.remake is None:
        return None
    if intent.operation.kind is Kind.CREATE and before.payment.state is not State.CREATED:
        return None  # a callback proved that it was begun, whatever the answer says
    now = gw.clock.now()
    moves = entry.name != before.payment.account
    payment = on_account(gw, before.payment, entry) if moves else before.payment
    operation = replace(
        before.open_operation,
        id=gw.new_id("op"),
        account=entry.name,
        created_at=now,
        updated_at=now,
        note=None,
        not_sent_before=(
            *before.open_operation.not_sent_before,
            f"{before.open_operation.account} {before.open_operation.id}",
        ),
    )
    failure = Failure(code=FailureCode.NOT_SENT, message=unsent.message)
    settled = replace(before.open_operation, status=Status.NOT_SENT, failure=failure, updated_at=now)
    rows = [statements.move_idempotency_key(operation)] if operation.idempotency_key is not None else []
    if moves:
        rows.append(statements.claim_reference(payment, grace_began_before=grace_began(gw)))
    try:
        command = intent.remake(entry, operation)
        request = await build(gw, entry, command)
        change = Change(payment=payment, operation=settled)
        await record(gw, before, change, rows=rows, next_operation=operation)
    except GatewayError as problem:
        log.warning("no operation follows", extra={"operation_id": operation.id, "problem": str(problem)})
        return None
    return replace(intent, entry=entry, operation=operation, command=command, request=request)


def on_account(gw: Gateway, payment: Payment, entry: AccountEntry) -> Payment:
    """The payment on an account: what of it the account's provider decides."""
    lasts = entry.rules.expires_after or gw.settings.clocks.payment_expiry
    return replace(
        payment,
        account=entry.name,
        provider=entry.provider.name,
        completed=not entry.needs_completion,
        expires_at=payment.created_at + lasts,
    )


def grace_began(gw: Gateway) -> int:
    """Unix milliseconds: what expired before that is past its grace."""
    return milliseconds(gw.clock.now() - gw.settings.clocks.late_grace)


async def settle(gw: Gateway, operation: Operation, fact: Fact, *, cause: Cause = Cause.REPLY) -> Change | None:
    """Record what became of an operation. Tried again until it is durable; None when something else settled it."""
    while True:
        try:
            before = await load(gw, operation)
            if before.open_operation is None or before.open_operation.id != operation.id:
                return None
            entry = gw.entry(before.payment)
            own, now = await of_this_payment(gw, before.payment, fact), gw.clock.now()
            change = apply(before.payment, before.open_operation, own, cause=cause, policy=entry.policy, at=now)
            recorded = await record(gw, before, change)
        except Conflict:
            continue
        except Unavailable:
            if gw.is_stopping:
                raise
            log.warning("an outcome waits for the store", extra={"operation_id": operation.id})
            await gw.clock.sleep(1.0)
        else:
            if not isinstance(fact, Pending):  # of that the provider said itself that it will follow
                warn_of_unknown(recorded)
            return recorded


def warn_of_unknown(recorded: Change) -> None:
    """Tell the operators of an operation that ends unknown: the payment waits, and so does whoever wants to pay."""
    operation = recorded.operation
    if operation is None or operation.status is not Status.UNKNOWN:
        return
    where = {"tenant": operation.tenant, "account": operation.account, "provider": recorded.payment.provider}
    what = {"payment_id": operation.payment_id, "operation_id": operation.id, "kind": str(operation.kind)}
    log.warning("the outcome of an operation is unknown", extra={**where, **what, "note": operation.note})


async def of_this_payment(gw: Gateway, payment: Payment, fact: Fact) -> Fact:
    """What a reply shows, unless it brings a key that another payment holds: then it is not about this one."""
    seen = fact.observation if isinstance(fact, Pending) else fact
    key = seen.provider_reference if isinstance(seen, Observation) else None
    if key is None or payment.provider_reference is not None or not gw.entry(payment).can_look_up:
        return fact  # nothing to learn, or no key of anything
    holder = await gw.store.payment_by_provider_reference(payment.tenant, payment.account, key)
    return fact if holder in (None, payment.id) else Unknown(message="the answer names another payment's key")


async def load(gw: Gateway, operation: Operation) -> PaymentSnapshot:
    """The payment of an operation, as it is now."""
    loaded = await gw.store.payment(operation.tenant, operation.payment_id)
    if loaded is None:
        raise Unavailable(f"operation {operation.id} has no payment")
    return loaded


async def recover(gw: Gateway) -> int:
    """At start: what was on its way when the last process ended has an unknown outcome. Returns how many."""
    stranded = await gw.store.open_operations("sending")
    for operation in stranded:
        await settle(gw, operation, Unknown(message="the gateway stopped"))
    return len(stranded)
