"""Make what will be sent: the operation, its command, and the request that the provider's plugin builds of it.

Nothing is stored or sent here. A ``Submission`` is plain data: it is committed by ``idempotency.py`` or
``submit.run_for_gateway``, and only then sent by ``submit.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core import documents
from gateway.core.change import Change
from gateway.core.commands import Command, CreatePayment, Kind
from gateway.core.event_details import details_of_create
from gateway.core.facts import Cause, Observation, Stage
from gateway.core.payment import Before, Operation, Payment, PaymentEvent, Repeatable, State, Status
from gateway.core.payment_urls import Purpose, Urls
from gateway.core.repeats import digest_of
from gateway.core.signing import make_token
from gateway.core.wire import HttpRequest
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import schedule, statements
from gateway.drivers.store.statements import Statement
from gateway.flows.cascade import Version
from gateway.flows.plugin import calls, login
from gateway.flows.runtime import Gateway

NOT_CALLED = "the provider is not called for it"
"""The note of an operation whose outcome its plugin makes by itself, while it is open."""


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that is ready to be reserved and sent.

    ``request`` is an observation where the provider need not be called: it is the outcome. ``payment`` is as it will be
    once the operation is reserved. ``versions`` and ``rows`` are committed with it: a
    create makes the first version of its payment, and one that replaces another payment makes a version of that one,
    too. A create that was certainly not sent is tried again on the accounts of ``fallback``.
    """

    account: AccountEntry
    command: Command
    request: HttpRequest | Observation
    payment: Payment
    operation: Operation
    rows: Sequence[Statement] = ()
    versions: Sequence[Version] = ()
    fallback: tuple[AccountEntry, ...] = ()


def new_operation(
    gw: Gateway,
    payment: Payment,
    kind: Kind,
    *,
    at: datetime,
    stage: Stage | None = None,
    idempotency_key: str | None = None,
) -> Operation:
    """An operation about to be reserved, with the facts before it. ``idempotency_key``: of the request it is for."""
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
        idempotency_key=idempotency_key,
        node=gw.node.sends_as,
    )


def members_of(payment: Payment, operation: Operation) -> dict[str, Any]:
    """What every changing command carries."""
    return {
        "payment_id": payment.id,
        "merchant_reference": payment.merchant_reference,
        "provider_reference": payment.provider_reference,
        "money": payment.money.with_amount(operation.amount),
        "at": operation.created_at,
        "memory": payment.memory,
        "operation_id": operation.id,
    }


async def submission_of(
    gw: Gateway, entry: AccountEntry, payment: Payment, command: Command, operation: Operation
) -> Submission:
    """Build the request of a command on a payment that is still as it was read.

    The payment is checked when no call can last any longer: this process may die with the call.
    """
    silent_at = operation.created_at + gw.schedules.silence
    request = await build(gw, entry, command)
    operation = noted(gw, entry, operation, command, request)
    return Submission(
        account=entry,
        command=command,
        request=request,
        payment=payment,
        operation=operation,
        rows=[statements.open_operation(payment, operation, due_at=silent_at)],
    )


async def build(gw: Gateway, entry: AccountEntry, command: Command) -> HttpRequest | Observation:
    """Let the plugin turn a command into a request, before anything is stored. A refusal is the tenant's 422.

    Of a create it may make the outcome at once, where the provider need not be called.
    """
    account = await login.account_of(gw, entry, command) if entry.logs_in else entry.account
    if isinstance(command, CreatePayment):
        return calls.build_create(gw, entry, account, command)
    return calls.build(gw, entry, account, command)


def noted(
    gw: Gateway, entry: AccountEntry, operation: Operation, command: Command, request: HttpRequest | Observation
) -> Operation:
    """The operation with what must be known of its request later: that nothing is sent for it, so that it is made again
    after a crash, or what it takes to send it again, where its provider lets it repeat."""
    if operation.status is not Status.SENDING:
        return operation
    if isinstance(request, Observation):
        return replace(operation, note=NOT_CALLED)
    if type(command) not in entry.rules.repeatable:
        return operation
    kept = "" if isinstance(command, CreatePayment) else documents.encode(command)
    return replace(operation, repeatable=Repeatable(digest=digest(gw, entry, command, request), command=kept))


def digest(gw: Gateway, entry: AccountEntry, command: Command, request: HttpRequest) -> str:
    """What tells the request of this account from every other one, in whatever session it is sent.

    Raises ``ProviderError``.
    """
    certificate = entry.tls.fingerprint if entry.tls is not None else ""
    token = login.token_of(gw, entry, command)
    return digest_of(request, entry.account.config, certificate=certificate, token=token, key=entry.secret)


def on_account(gw: Gateway, payment: Payment, entry: AccountEntry) -> Payment:
    """Put a payment on an account."""
    return replace(payment, **account_members(gw, entry, payment.created_at))


def account_members(gw: Gateway, entry: AccountEntry, created_at: datetime) -> dict[str, Any]:
    """What its account decides of a payment."""
    lasts = entry.rules.expires_after or gw.settings.clocks.payment_expiry
    return {
        "account": entry.name,
        "provider": entry.provider.name,
        "completed": not entry.needs_completion,
        "expires_at": created_at + lasts,
    }


async def submission_of_create(
    gw: Gateway,
    entry: AccountEntry,
    payment: Payment,
    operation: Operation,
    *,
    rows: Sequence[Statement] = (),
    fallback: tuple[AccountEntry, ...] = (),
) -> Submission:
    """The create of a new payment, with its first version. One whose outcome is unknown already is due at once."""
    command = create_command(gw, entry, payment, operation)
    request = await build(gw, entry, command)
    operation = noted(gw, entry, operation, command, request)
    event = PaymentEvent(
        type="payment.created",
        version=1,
        cause=Cause.TENANT,
        state_before=None,
        state_after=State.CREATED,
        at=payment.created_at,
        details=details_of_create(payment, operation),
    )
    due = (
        [schedule.bring_check_forward(payment.tenant, payment.id, gw.clock.now())]
        if operation.status is Status.UNKNOWN
        else []
    )
    return Submission(
        account=entry,
        command=command,
        request=request,
        payment=payment,
        operation=operation,
        rows=rows,
        versions=[Version(None, Change(payment=payment, operation=operation, event=event), due)],
        fallback=fallback,
    )


def create_command(gw: Gateway, entry: AccountEntry, payment: Payment, operation: Operation) -> CreatePayment:
    """The command of a payment's create, with the addresses that the provider calls back."""
    return CreatePayment(
        payment_id=payment.id,
        merchant_reference=payment.merchant_reference,
        provider_reference=None,
        money=payment.money,
        at=operation.created_at,
        operation_id=operation.id,
        customer=payment.customer,
        order=payment.order,
        checkout=payment.checkout,
        fields=payment.fields,
        metadata=payment.metadata,
        urls=urls_of(gw, entry, payment.id),
        capture=payment.capture,
    )


def urls_of(gw: Gateway, entry: AccountEntry, payment_id: str) -> Urls:
    """Our addresses for one payment, each with its own unguessable token."""
    base = gw.callback_url(entry)

    def address(purpose: Purpose) -> str:
        return f"{base}/{purpose}/{make_token(entry.secret, entry.endpoint_id, payment_id, purpose)}"

    return Urls.made_by(address, callback=base)


def command_after_unsent(gw: Gateway, submission: Submission, operation: Operation, entry: AccountEntry) -> Command:
    """The command of the operation that follows one that was not sent; only a create may move to another account."""
    command = submission.command
    if isinstance(command, CreatePayment):
        urls = urls_of(gw, entry, command.payment_id)
        return replace(command, operation_id=operation.id, at=operation.created_at, urls=urls)
    return replace(command, operation_id=operation.id)
