"""Checks of a payment and its operations against the PSP's ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.core.payment import OPEN, FailureCode, Operation, Payment, State, Status
from tests.simulation.fake_psp import Page
from tests.simulation.ledgers import Ledgers

ACCEPTED = 204
STATES_WITHOUT_PAGE = {State.CREATED, State.FAILED, State.EXPIRED}


def psp_problems(payment: Payment, operations: Sequence[Operation], ledgers: Ledgers) -> Iterator[str]:
    """Check a payment and its operations."""
    page = ledgers.page(payment.id)
    if page is None and payment.state not in STATES_WITHOUT_PAGE:
        yield f"{payment.id} is {payment.state}, and has no page"
    for operation in operations:
        yield from _operation_problems(payment, operation, page, ledgers)
    if page is None or payment.review is not None:
        return
    accepted = {notice.state for notice in page.notices if notice.answer == ACCEPTED}
    if "paid" in accepted and payment.state is not State.CAPTURED:
        yield f"promise 1: {payment.id} is {payment.state}, {page.transaction} was paid and its callback taken"
    if accepted and "paid" not in accepted and "failed" in accepted and payment.state is not State.FAILED:
        yield f"promise 1: {payment.id} is {payment.state}, {page.transaction} failed and its callback was taken"
    if not accepted and payment.state in (State.CAPTURED, State.PROCESSING):
        yield f"{payment.id} is {payment.state}, and no callback was taken"


def _operation_problems(payment: Payment, operation: Operation, page: Page | None, ledgers: Ledgers) -> Iterator[str]:
    name = f"{operation.id} ({operation.kind}) of {payment.id}"
    is_its = page is not None and page.by == operation.id
    was_declined = operation.failure is not None and operation.failure.code is FailureCode.DECLINED
    if was_declined and not ledgers.was_refused(operation.id):
        yield f"{name} counts as declined, and was not declined"
    if is_its and operation.status in (Status.DECLINED, Status.NOT_SENT):
        yield f"{name} is {operation.status}, and it happened"
    if operation.status is Status.SUCCEEDED and not is_its:
        yield f"{name} succeeded, and it did not happen"
    if payment.review is not None or page is None:
        return  # a mismatching callback was accepted while the store failed: a review resolves it
    if operation.status in OPEN and any(notice.answer == ACCEPTED for notice in page.notices):
        yield f"promise 1: unresolved: {name}, its callback was taken"
