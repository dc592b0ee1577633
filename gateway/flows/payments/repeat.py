"""Send the request of an operation again, as a question, where its answer was lost and its provider allows it.

Only what ``Rules.repeatable`` names, only the same bytes, and only what proves something counts: the provider's own
reply to the command. Anything else leaves the outcome as open as it was.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from gateway.core import documents
from gateway.core.commands import Command, Kind
from gateway.core.errors import Conflict, GatewayError, NotSent
from gateway.core.facts import Declined, Fact, Observation, Pending
from gateway.core.payment import Operation, Payment, Repeatable, Status
from gateway.core.repeats import REST, is_under_way, may_repeat
from gateway.core.response_outcome import CREDENTIALS_REFUSED, classify_response
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import statements
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.payments import intent, submit, waiting
from gateway.flows.plugin import calls, login
from gateway.flows.runtime import Gateway, log


def is_due(gw: Gateway, snapshot: PaymentSnapshot) -> bool:
    """Whether the open operation may be repeated now.

    One from before a restore may not: since the backup it may have been given up and repeated as another operation.
    """
    payment, operation, now = snapshot.payment, snapshot.open_operation, gw.clock.now()
    policy = gw.entry(payment).policy
    if operation is None or not may_repeat(payment, operation, policy, now):
        return False
    if policy.lookups and is_under_way(operation, now, rest=REST):
        return False
    return gw.restored_at is None or operation.created_at > gw.restored_at


async def ahead_of_lookup(gw: Gateway, snapshot: PaymentSnapshot) -> PaymentSnapshot:
    """Repeat the open operation if it is due, or wait for a repetition that runs, and return the payment as it is then.

    A lookup alone would find a create that was done, without the address of its page.
    """
    payment, operation = snapshot.payment, snapshot.open_operation
    if operation is None or operation.repeatable is None or operation.status is not Status.UNKNOWN:
        return snapshot
    if gw.tasks.is_running(operation.id) or waiting.is_elsewhere(gw, operation):
        await waiting.wait_for(gw, operation, gw.entry(payment).provider_total)
    elif is_due(gw, snapshot):
        await gw.tasks.finish(operation.id, send_again(gw, snapshot))
    else:
        return snapshot
    return await gw.store.payment(payment.tenant, payment.id) or snapshot


async def send_again(gw: Gateway, snapshot: PaymentSnapshot, *, in_new_session: bool = False) -> None:
    """Repeat the open operation once, and resolve it by the answer. Never raises for what the provider does."""
    operation = snapshot.open_operation
    kept = operation.repeatable if operation is not None else None
    if operation is None or kept is None:
        return
    where = {"payment_id": operation.payment_id, "operation_id": operation.id, "account": operation.account}
    try:
        same = await _same_request(gw, snapshot.payment, operation, kept)
        if same is None:
            log.warning("an operation is not repeated: its request has changed", extra=where)
            await _note(gw, snapshot, None)
            return
        entry, command, request = same
        until = gw.clock.now() + gw.schedules.silence
        snapshot = await _note(gw, snapshot, replace(kept, under_way_until=until))
        log.info("an operation is repeated", extra=where)
        response = await _response(gw, entry, request, command)
        has_ended = response is not None and login.has_ended(gw, entry, command, response)
        fact = _read(gw, entry, command, response) if response is not None and not has_ended else None
        if isinstance(fact, Observation | Pending | Declined):
            await submit.resolve(gw, operation, fact)
            return
        snapshot = await _note(gw, snapshot, replace(kept, under_way_until=None))
        if has_ended and not in_new_session:
            await send_again(gw, snapshot, in_new_session=True)
    except Conflict:
        return  # it moved meanwhile: the next check sees how it is then
    except GatewayError as problem:
        log.warning("an operation could not be repeated", extra={**where, "problem": str(problem)})


async def _same_request(
    gw: Gateway, payment: Payment, operation: Operation, kept: Repeatable
) -> tuple[AccountEntry, Command, HttpRequest] | None:
    """The request as it was sent, with the account as it was then; None where it would not be the same today."""
    today = gw.entry(payment)
    for entry in (today, *today.earlier):
        command = _command_of(gw, entry, payment, operation)
        request = await intent.build(gw, entry, command)
        if isinstance(request, HttpRequest) and intent.digest(gw, entry, command, request) == kept.digest:
            return entry, command, request
    return None


def _command_of(gw: Gateway, entry: AccountEntry, payment: Payment, operation: Operation) -> Command:
    if operation.kind is Kind.CREATE or operation.repeatable is None:
        return intent.create_command(gw, entry, payment, operation)
    return documents.command(operation.kind, operation.repeatable.command)


async def _response(gw: Gateway, entry: AccountEntry, request: HttpRequest, command: Command) -> HttpResponse | None:
    """The answer; None where nothing was sent. Raises ``OutcomeUnknown`` for silence."""
    try:
        return await gw.call(entry, request, command)
    except NotSent:
        return None


def _read(gw: Gateway, entry: AccountEntry, command: Command, response: HttpResponse) -> Fact | None:
    """Read the answer as the command's reply. A refusal of our credentials says nothing of what was done before."""
    login.note_refusal(gw, entry, response)
    if response.status in CREDENTIALS_REFUSED:
        return None
    return classify_response(response, partial(calls.parse, gw, entry, command))


async def _note(gw: Gateway, snapshot: PaymentSnapshot, kept: Repeatable | None) -> PaymentSnapshot:
    """Store how far a repetition has come; None: there will be no more. Raises ``Conflict`` if the payment moved."""
    payment, operation = snapshot.payment, snapshot.open_operation
    if operation is None:
        return snapshot
    noted = replace(operation, repeatable=kept)
    await gw.store.commit(
        payment.tenant, [statements.update_payment(payment, payment, open_before=operation, open_after=noted)]
    )
    return PaymentSnapshot(replace(payment, revision=payment.revision + 1), noted)
