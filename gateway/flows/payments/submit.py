"""The only place a provider is asked to change something: send what was reserved, read the answer, resolve.

The operation is committed before the first byte leaves. Nothing here ever sends an operation twice: one that certainly
did not leave ends ``not_sent`` and is followed by a new one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial

from msgspec.structs import replace

from gateway.core.change import Change
from gateway.core.commands import Command, Kind
from gateway.core.errors import Conflict, GatewayError, InDoubt, NotSent, OutcomeUnknown, Unavailable
from gateway.core.facts import Cause, Declined, Fact, NeverSent, Observation, Pending, Unknown, outcomes_in
from gateway.core.payment import Failure, FailureCode, Operation, Payment, State, Status
from gateway.core.response_body import described
from gateway.core.response_outcome import NOTE_SESSION_ENDED, classify_response, unanswered
from gateway.core.schedule import is_silent
from gateway.core.states import apply
from gateway.core.urls import place_of
from gateway.core.wire import HttpRequest
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import statements
from gateway.drivers.store.engine import stuck
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.commit import Committed, OperationAnswer, commit_change
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.payments import read
from gateway.flows.payments.intent import (
    NOT_CALLED,
    Submission,
    build,
    command_after_unsent,
    create_command,
    noted,
    on_account,
    submission_of,
)
from gateway.flows.plugin import calls, cleaning, login
from gateway.flows.runtime import Gateway, log

MAX_TRIES_WHEN_NOT_SENT = 2
"""The first submission, and one more after a connection that was never made or a session that had ended."""


async def run_for_gateway(
    gw: Gateway, entry: AccountEntry, payment: Payment, command: Command, operation: Operation
) -> bool:
    """Reserve, send and resolve an operation of the gateway's own. False: the payment moved meanwhile.

    Raises ``Unavailable``, or ``InDoubt`` in a request whose operation has an outcome that cannot be stored.
    """
    submission = await submission_of(gw, entry, payment, command, operation)
    try:
        await reserve_by(gw, submission, gw.store.commit(entry.tenant, submission.rows))
    except Conflict:
        return False
    await gw.tasks.finish(operation.id, submit(gw, submission))
    return True


def require_lasting(gw: Gateway, entry: AccountEntry) -> None:
    """Raise ``Unavailable`` for an account that has left the settings, or is about to: nothing may begin there."""
    if (entry.tenant, entry.name, entry.provider.name) in gw.current.leaving:
        raise Unavailable("the account is leaving the settings")


async def reserve_by(gw: Gateway, submission: Submission, commit: Awaitable[None]) -> None:
    """Wait for the commit that reserves an operation. One of which that is not known yet is sent as soon as it is.

    Raises ``Conflict``, ``Unavailable`` or ``InDoubt``.
    """
    try:
        await commit
    except InDoubt as doubt:
        gw.tasks.start(submission.operation.id, _submit_later(gw, submission, doubt))
        raise


async def _submit_later(gw: Gateway, submission: Submission, doubt: InDoubt) -> None:
    if await asyncio.shield(doubt.decided) is None and submission.operation.status is Status.SENDING:
        await submit(gw, submission)


async def submit(gw: Gateway, submission: Submission) -> OperationAnswer | None:
    """Send a reserved operation and resolve it. Returns the answer to its request, where this gave it its outcome.

    One that certainly was not sent is followed by a new one: once after a connection that was never made, then on
    each fallback account. Nothing is ever sent twice under one operation.
    """
    tries = 1
    while True:
        fact = await outcome_of(gw, submission)
        following: Submission | None = None
        if isinstance(fact, NeverSent) and fact.may_follow and tries < MAX_TRIES_WHEN_NOT_SENT:
            tries += 1
            following = await replace_unsent(gw, submission, fact, submission.account)
        while following is None and isinstance(fact, NeverSent) and submission.fallback:
            tries = 1
            account, *rest = submission.fallback
            submission = replace(submission, fallback=tuple(rest))
            following = await replace_unsent(gw, submission, fact, account)
        if following is None:
            reserved = PaymentSnapshot(submission.payment, submission.operation)
            committed = await resolve(gw, submission.operation, fact, reserved=reserved)
            return committed.answer if committed is not None else None
        submission = following


async def outcome_of(gw: Gateway, submission: Submission) -> Fact:
    """What an operation comes to: what the provider answers, unless it need not be called, or another node may have
    given it up: this one was held up since it was reserved."""
    operation, request = submission.operation, submission.request
    if isinstance(request, Observation):
        return request
    if operation.node is not None and not gw.node.may_begin(operation.tenant, operation.created_at):
        return NeverSent(message="nothing was sent: the gateway was held up", may_follow=True)
    return await ask(gw, submission.account, submission.command, request)


async def ask(gw: Gateway, entry: AccountEntry, command: Command, request: HttpRequest) -> Fact:
    """Send one request and read the answer by the outcome rule. Never raises for what the provider does."""
    try:
        response = await gw.call(entry, request, command)
    except NotSent as unsent:
        log.warning("not sent", extra=_not_sent(entry, command, request, unsent))
        return NeverSent(message=unsent.for_tenants, may_follow=unsent.connection)
    except OutcomeUnknown as silent:
        return unanswered(str(silent))
    if entry.logs_in and login.has_ended(gw, entry, command, response):
        return NeverSent(message=NOTE_SESSION_ENDED, may_follow=True)
    fact = classify_response(response, partial(calls.parse, gw, entry, command))
    if isinstance(fact, Declined):
        login.note_refusal(gw, entry, response)
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


async def replace_unsent(
    gw: Gateway, submission: Submission, unsent: NeverSent, entry: AccountEntry
) -> Submission | None:
    """End an operation that was not sent and reserve the next one, in one transaction. None: it cannot be."""
    try:
        before = await load(gw, submission.operation)
    except Unavailable:
        return None
    ended = before.open_operation
    if ended is None or ended.id != submission.operation.id:
        return None
    if ended.reported is not None:
        return None  # so it arrived, whatever the answer says
    if ended.kind is Kind.CREATE and before.payment.state is not State.CREATED:
        return None  # a callback proved that it was begun, whatever the answer says
    operation = operation_after(gw, ended, entry)
    rows = [statements.move_idempotency_key(operation)] if operation.idempotency_key is not None else []
    payment = before.payment
    if entry.name != payment.account:
        payment = on_account(gw, payment, entry)
        rows.append(
            statements.claim_reference(payment, grace_began_before=gw.settings.clocks.grace_began(operation.created_at))
        )
    failure = Failure(code=FailureCode.NOT_SENT, message=unsent.message)
    ended = replace(ended, status=Status.NOT_SENT, failure=failure, updated_at=operation.created_at)
    try:
        command = command_after_unsent(gw, submission, operation, entry)
        request = await build(gw, entry, command)
        operation = noted(gw, entry, operation, command, request)
        change = Change(payment=payment, operation=ended)
        require_lasting(gw, entry)
        change, _ = await commit_change(gw, before, change, rows=rows, next_operation=operation)
    except GatewayError as problem:
        log.warning(
            "an operation that was not sent is not sent again",
            extra={"operation_id": operation.id, "problem": str(problem)},
        )
        return None
    payment = replace(change.payment, revision=before.payment.revision + 1)
    return replace(submission, account=entry, payment=payment, operation=operation, command=command, request=request)


def operation_after(gw: Gateway, ended: Operation, entry: AccountEntry) -> Operation:
    """The operation that follows one that was not sent."""
    now = gw.clock.now()
    return replace(
        ended,
        id=gw.new_id("op"),
        account=entry.name,
        created_at=now,
        updated_at=now,
        note=None,
        repeatable=None,
        provider_id=None,
        not_sent_before=(*ended.not_sent_before, f"{ended.account} {ended.id}"),
    )


async def resolve(
    gw: Gateway, operation: Operation, fact: Fact, *, reserved: PaymentSnapshot | None = None
) -> Committed | None:
    """Commit the outcome of an operation. Tried again until it is durable; None when something else resolved it.

    ``reserved``: its payment as it was reserved. Where it has moved since, the commit conflicts, and it is read again.
    """
    before = reserved
    while True:
        try:
            before = before or await load(gw, operation)
            payment, unresolved = before.payment, before.open_operation
            if unresolved is None or unresolved.id != operation.id:
                return None
            own = await checked_for_payment(gw, payment, fact)
            policy, outcomes = gw.entry(payment).policy, outcomes_in(own)
            ended = await read.ended_operations(gw, before, outcomes) if outcomes else ()
            now = gw.clock.now()
            change = apply(payment, unresolved, own, cause=Cause.REPLY, policy=policy, at=now, ended=ended)
            committed = await commit_change(gw, before, change)
        except Conflict:
            before = None
        except Unavailable:
            if gw.current.is_stopping:
                raise
            stuck.get().set()
            log.warning("an outcome cannot be stored yet", extra={"operation_id": operation.id})
            await gw.clock.sleep(1.0)
        else:
            if not isinstance(fact, Pending):  # of that the provider said itself that it will follow
                warn_of_unknown(gw, committed.change)
            return committed


def warn_of_unknown(gw: Gateway, change: Change) -> None:
    """Log an operation that ends unknown for the operators: the payment waits, and so does its customer."""
    operation = change.operation
    if operation is None or operation.status is not Status.UNKNOWN:
        return
    where = {"tenant": operation.tenant, "account": operation.account, "provider": change.payment.provider}
    what = {"payment_id": operation.payment_id, "operation_id": operation.id, "kind": str(operation.kind)}
    report(gw, Occurrence.OPERATION_UNKNOWN, **where, **what, note=operation.note)


async def checked_for_payment(gw: Gateway, payment: Payment, fact: Fact) -> Fact:
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


async def resolve_interrupted(gw: Gateway) -> int:
    """At start: what was on its way when the last process ended has an unknown outcome. Returns how many.

    Of a shared store only what ``is_lost``: the rest may be on its way elsewhere, and is resolved by its check. So is
    that of a tenant that is being moved: a start must not wait for the end of a move.
    """
    tenants = gw.store.tenants
    sending = [one for one in await gw.store.open_operations("sending") if tenants.unfinished_move(one.tenant) is None]
    lost = [one for one in sending if not gw.node.is_shared or await is_lost(gw, one)]
    for operation in lost:
        await resolve(gw, operation, await fact_of_interrupted(gw, operation, "the gateway stopped"))
    return len(lost)


async def is_lost(gw: Gateway, operation: Operation) -> bool:
    """Whether an operation is in ``sending`` for longer than any call lasts, and no living process sends it."""
    if not is_silent(operation, gw.schedules, gw.clock.now()) or gw.tasks.is_running(operation.id):
        return False
    return operation.node in (None, gw.node.id) or not await gw.node.is_alive(operation.tenant, operation.node)


async def fact_of_interrupted(gw: Gateway, operation: Operation, why: str) -> Fact:
    """What is known of an operation whose process has ended: nothing, unless its provider is not called for it."""
    if operation.note != NOT_CALLED:
        return Unknown(message=why)
    try:
        payment = (await load(gw, operation)).payment
        entry = gw.entry(payment)
        made = await build(gw, entry, create_command(gw, entry, payment, operation))
    except GatewayError as problem:
        return NeverSent(message=f"nothing was sent, and it could not be made again: {problem}")
    return made if isinstance(made, Observation) else NeverSent(message="nothing was sent")
