"""An operator enters where a payment stands, by what the provider's portal shows; a review need not be open."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from gateway.core.commands import CapturePayment
from gateway.core.errors import Conflict, invalid
from gateway.core.facts import PaymentResolved
from gateway.core.money import quantized
from gateway.core.payment import Payment, State, Status
from gateway.core.resolution import CAPTURED, REFERENCE, REFUNDED, evidence_problems, outcome_shown, proved_problem
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.audit import Act
from gateway.flows.payments import review
from gateway.flows.runtime import Gateway
from gateway.flows.tasks import ConflictRetry

Problems = list[tuple[str, str]]


async def resolve_payment(
    gw: Gateway, payment_id: str, decided: PaymentResolved, act: Act | None = None, *, version: int | None = None
) -> Payment:
    """Enter the evidence, of ``version`` of the payment where that is given. Raises ``TenantError``.

    ``act``: for the audit trail.
    """
    retry = ConflictRetry()
    while True:
        loaded, exact = await checked(gw, payment_id, decided, version)
        try:
            return await review.applied(gw, loaded, exact, act)
        except Conflict:
            retry.lost()


async def checked(
    gw: Gateway, payment_id: str, decided: PaymentResolved, version: int | None
) -> tuple[PaymentSnapshot, PaymentResolved]:
    """The payment, and the evidence with its digits. Raises ``TenantError`` where it cannot be entered now."""
    loaded = await review.found(gw, payment_id)
    review.check_version(loaded.payment, version)
    exact = await _exactly(gw, loaded, decided, version)
    _check_operation(gw, loaded, exact)
    return loaded, exact


async def _exactly(
    gw: Gateway, loaded: PaymentSnapshot, decided: PaymentResolved, version: int | None
) -> PaymentResolved:
    """The evidence with its currency's digits. Raises ``validation_failed`` with everything that contradicts."""
    payment = loaded.payment
    problems: Problems = []
    captured = _exact(payment, decided.captured, CAPTURED, problems)
    refunded = _exact(payment, decided.refunded, REFUNDED, problems)
    exact = replace(decided, captured=captured, refunded=refunded)
    entry = gw.entry(payment)
    if not problems:
        problems += evidence_problems(payment, loaded.open_operation, exact, entry.policy)
        if version is None and (proved := proved_problem(payment, loaded.open_operation, exact, entry.policy)):
            problems.append(("$.version", proved))
    if decided.state == State.AUTHORIZED and CapturePayment not in entry.provider.commands:
        problems.append(("$.state", f"{entry.provider.name} takes the money at once: nothing is authorized there"))
    named, may_change = decided.provider_reference, not entry.policy.lookups
    if problem := await review.reference_problem(gw, payment, named, may_change=may_change):
        problems.append((REFERENCE, problem))
    if problems:
        raise invalid(*problems)
    return exact


def _exact(payment: Payment, amount: Decimal | None, field: str, problems: Problems) -> Decimal | None:
    try:
        return None if amount is None else quantized(amount, payment.money.digits)
    except ValueError as wrong:
        problems.append((field, str(wrong)))
        return None


def _check_operation(gw: Gateway, loaded: PaymentSnapshot, decided: PaymentResolved) -> None:
    """Refuse where the evidence does not say how the open operation ended. Raises ``operation_outcome_pending``."""
    payment, operation = loaded.payment, loaded.open_operation
    if operation is None:
        return
    policy = gw.entry(payment).policy
    if outcome_shown(payment, operation, decided, policy, gw.clock.now()) is None:
        is_sending = operation.status is Status.SENDING
        why = "its answer is on its way" if is_sending else f"this does not show how its {operation.kind} ended"
        raise review.still_open(operation, f": {why}")
