"""What a person decides: clear a review flag, resolve an unknown operation, end a payment that nothing else can end.

Version-checked, and kept in the timeline.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from msgspec.structs import replace

from gateway.core.commands import CancelPayment, Kind
from gateway.core.errors import Conflict, TenantError, invalid, merged, refusals_of
from gateway.core.facts import Cause, Fact, OperationResolved, ReviewResolved
from gateway.core.money import quantized
from gateway.core.payment import Operation, Payment, State, Status
from gateway.core.plugin_returns import page_problem
from gateway.core.resolution import REFERENCE
from gateway.core.state_members import ENDED_UNPAID, EXPIRABLE, MONEY_TAKEN
from gateway.core.states import apply
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.drivers.store.statements import Statement
from gateway.flows import audit
from gateway.flows.audit import Act
from gateway.flows.commit import commit_change
from gateway.flows.runtime import Gateway
from gateway.flows.tasks import ConflictRetry


async def resolve_review(
    gw: Gateway, payment_id: str, decided: ReviewResolved, act: Act | None = None, *, version: int | None = None
) -> Payment:
    """Clear a payment's review flag, and set the state where a person knows better. Raises ``TenantError``.

    ``version``: of the payment as that person saw it.
    """
    retry = ConflictRetry()
    while True:
        loaded, exact = await checked_review(gw, payment_id, decided, version)
        try:
            return await applied(gw, loaded, exact, act)
        except Conflict:
            retry.lost()


async def checked_review(
    gw: Gateway, payment_id: str, decided: ReviewResolved, version: int | None
) -> tuple[PaymentSnapshot, ReviewResolved]:
    """The payment, and the decision with its currency's digits. Raises ``TenantError`` where it cannot be taken now."""
    loaded = await found(gw, payment_id)
    check_version(loaded.payment, version)
    if loaded.payment.review is None:
        refuse_without_a_flag(gw, loaded.payment, decided)
    if loaded.open_operation is not None:
        raise still_open(loaded.open_operation)
    decided = with_refunded_total(loaded.payment, decided)
    refuse_to_unrefund(loaded.payment, decided)
    check_page(gw, decided.redirect_url, waits=State(decided.state or loaded.payment.state) in EXPIRABLE)
    return loaded, decided


def check_version(payment: Payment, version: int | None) -> None:
    """Refuse what was decided of another version of the payment. Raises ``invalid_state``."""
    if version not in (None, payment.version):
        detail = f"version {version} is stale: the payment is {payment.state} in version {payment.version}; look again"
        raise TenantError("invalid_state", detail, payment_id=payment.id, version=payment.version)


def still_open(operation: Operation, why: str = "") -> TenantError:
    """An operation whose outcome a person must enter first."""
    return TenantError(
        "operation_outcome_pending",
        f"resolve operation {operation.id} first{why}",
        payment_id=operation.payment_id,
        operation_id=operation.id,
    )


def refuse_without_a_flag(gw: Gateway, payment: Payment, decided: ReviewResolved) -> None:
    """Without a flag a person may do two things to a payment that waits: name its page, and end it where no cancel can.

    What is proved about it later counts as usual. Raises ``invalid_state``.
    """
    ends = decided.state in ENDED_UNPAID
    names_page = decided.redirect_url is not None and decided.state is None
    if payment.state not in EXPIRABLE or not (ends or names_page):
        raise TenantError("invalid_state", "this payment is not under review", payment_id=payment.id)
    entry = gw.entry(payment)
    can_be_canceled = CancelPayment in entry.provider.commands and payment.provider_reference is not None
    if ends and can_be_canceled and payment.state in entry.rules.cancel_from:
        detail = f"this payment is not under review, and it can be canceled: POST /v1/payments/{payment.id}/cancel"
        raise TenantError("invalid_state", detail, payment_id=payment.id)


def check_page(gw: Gateway, url: str | None, *, waits: bool) -> None:
    """The customer's page that a person names: one that customers may be sent to, of a payment that waits for them.

    Raises ``validation_failed``.
    """
    if url is None:
        return
    problem = page_problem(url, development=gw.settings.server.development)
    if problem is None and not waits:
        problem = "is only for a payment that exists at the provider and waits for its customer"
    if problem is not None:
        raise invalid(("$.redirect_url", problem))


def with_refunded_total(payment: Payment, decided: ReviewResolved) -> ReviewResolved:
    """What went back in all, as a person found, with its currency's digits. Raises ``validation_failed``.

    Everywhere but where the provider denied how an operation ended, its own total is the better one.
    """
    if decided.refunded is None:
        return decided
    problem, refunded = None, decided.refunded
    try:
        refunded = quantized(refunded, payment.money.digits)
    except ValueError as wrong:
        problem = str(wrong)
    if not payment.denied_operations or payment.state not in MONEY_TAKEN:
        problem = "is only for a captured payment of which the provider denied how an operation ended"
    elif decided.state is not None:
        problem = "decides the state: leave state out"
    elif problem is None and not 0 <= refunded <= payment.captured:
        problem = f"must be 0 to {payment.captured:f}, which was captured"
    if problem is not None:
        raise invalid(("$.amount_refunded", problem))
    return replace(decided, refunded=refunded)


def refuse_to_unrefund(payment: Payment, decided: ReviewResolved) -> None:
    """Money that went back was taken before: no such payment leaves the captured states. Raises ``invalid_state``."""
    amount, how = (payment.refunded, "refunded") if payment.refunded else (payment.disputed, "disputed")
    if amount and decided.state is not None and State(decided.state) not in MONEY_TAKEN:
        went_back = f"{amount:f} {payment.money.currency} of this payment were {how}"
        raise TenantError("invalid_state", f"{went_back}: it cannot be {decided.state}", payment_id=payment.id)


async def resolve_operation(
    gw: Gateway, operation_id: str, decided: OperationResolved, act: Act | None = None, *, version: int | None = None
) -> Payment:
    """Resolve an unknown operation by a person's word, of ``version`` of its payment. Raises ``TenantError``."""
    retry = ConflictRetry()
    while True:
        try:
            loaded = await checked_operation(gw, operation_id, decided, version)
            return await applied(gw, loaded, decided, act)
        except Conflict:
            retry.lost()


async def checked_operation(
    gw: Gateway, operation_id: str, decided: OperationResolved, version: int | None
) -> PaymentSnapshot:
    """The payment of an operation without an outcome. Raises ``TenantError`` where it cannot be decided so now.

    ``Conflict``: the operation has ended while it was read.
    """
    operation = await gw.store.open_operation(Status.UNKNOWN, operation_id)
    if operation is None:
        raise TenantError("not_found", "there is no such operation without an outcome")
    loaded = await gw.store.payment(operation.tenant, operation.payment_id)
    if loaded is None or loaded.open_operation_id != operation_id:
        raise Conflict("the operation has ended meanwhile")
    check_version(loaded.payment, version)
    exists = operation.kind is Kind.CREATE and decided.outcome == Status.SUCCEEDED
    waits = exists and loaded.payment.state in EXPIRABLE
    problem = await reference_problem(gw, loaded.payment, decided.provider_reference, may_change=False)
    checks = (
        partial(check_page, gw, decided.redirect_url, waits=waits),
        partial(_check_reference, decided.provider_reference, problem, waits=waits),
    )
    if refusals := refusals_of(*checks):
        raise merged(*refusals)
    return loaded


def _check_reference(reference: str | None, problem: str | None, *, waits: bool) -> None:
    if reference is not None and not waits:
        problem = "is only for a create that succeeded and waits for its customer"
    if problem is not None:
        raise invalid((REFERENCE, problem))


async def reference_problem(gw: Gateway, payment: Payment, named: str | None, *, may_change: bool) -> str | None:
    """Why what a person named cannot be the provider's reference of a payment: it has another, or another has this."""
    known = payment.provider_reference
    if named in (None, known):
        return None
    if known is not None and not may_change:
        return f"is {known} on record: it cannot change"
    holder = await gw.store.payment_by_provider_reference(payment.tenant, payment.account, named)
    return None if holder in (None, payment.id) else f"belongs to payment {holder}"


async def applied(gw: Gateway, loaded: PaymentSnapshot, decided: Fact, act: Act | None) -> Payment:
    """Apply what a person decided to a payment as it was read. Raises ``Conflict`` where it has moved since."""
    policy = gw.entry(loaded.payment).policy
    made = apply(loaded.payment, loaded.open_operation, decided, cause=Cause.OPERATOR, policy=policy, at=gw.clock.now())
    rows = [] if act is None else [_audited(gw, act, loaded.payment, made.payment)]
    return (await commit_change(gw, loaded, made, rows=rows)).change.payment


def _audited(gw: Gateway, act: Act, before: Payment, after: Payment) -> Statement:
    states = {"state_before": before.state, "state_after": after.state, "version": after.version}
    details = {**act.details, **states}
    return audit.entry(gw, act, tenant=after.tenant, payment_id=after.id, details=details)


async def found(gw: Gateway, payment_id: str, tenants: Iterable[str] | None = None) -> PaymentSnapshot:
    """A payment of any of these tenants, by default of all. Raises ``not_found``."""
    among = gw.settings.tenants if tenants is None else tenants
    for tenant, exact_id in await gw.store.search.payments_of([*among], payment_id):
        loaded = await gw.store.payment(tenant, exact_id)
        if loaded is not None and exact_id == payment_id:
            return loaded
    raise TenantError("not_found", "there is no such payment")
