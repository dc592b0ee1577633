"""Parts for the core's tests: a payment, an operation and the policy a fact is evaluated under."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from gateway.core.change import Change
from gateway.core.commands import Kind
from gateway.core.facts import Cause, Fact, Observation, Stage
from gateway.core.money import Money
from gateway.core.payment import Before, Operation, Payment, State, Status
from gateway.core.rules import Policy, Rules
from gateway.core.states import apply

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = AT + timedelta(seconds=1)
GRACE = timedelta(hours=72)
QUIET = timedelta(seconds=60)
TOTAL = Decimal("100.00")
TAKEN = frozenset({State.CAPTURED, State.PARTIALLY_REFUNDED, State.REFUNDED})
REFUNDED = {State.PARTIALLY_REFUNDED: Decimal("40.00"), State.REFUNDED: TOTAL}
MESSAGES = {
    "customer_will_be_notified": "The customer gets a message.",
    "customer_notified_of_cancel": "The customer was told.",
}

PAYMENT_MEMBERS = [
    "id",
    "tenant",
    "account",
    "provider",
    "merchant_reference",
    "provider_reference",
    "state",
    "amount",
    "currency",
    "amount_captured",
    "amount_refunded",
    "amount_disputed",
    "redirect_url",
    "instructions",
    "customer_notified",
    "pending_operation",
    "review",
    "failure",
    "alerts",
    "replaces",
    "replaced_by",
    "capture_by",
    "expires_at",
    "authorized_at",
    "captured_at",
    "canceled_at",
    "metadata",
    "version",
    "created_at",
    "updated_at",
]
"""The members of a payment in the API, in order."""


def usd(text: str) -> Money:
    """Dollars."""
    return Money.of(Decimal(text), "USD", 2)


def make_policy(*, lookups: bool = True, **rules: Any) -> Policy:
    """Terms of a provider with lookups, exact amounts and messages for both alerts."""
    return Policy(rules=Rules(**{"messages": MESSAGES, **rules}), lookups=lookups, grace=GRACE, quiet_period=QUIET)


POLICY = make_policy()
WITHOUT_LOOKUPS = make_policy(lookups=False)


def make_payment(state: State = State.AWAITING_CUSTOMER, **members: Any) -> Payment:
    """A payment of 100 USD in ``state``, with the totals that go with it."""
    given: dict[str, Any] = {
        "id": "pay_1",
        "tenant": "acme",
        "account": "main",
        "provider": "sandbox",
        "merchant_reference": "SO-1",
        "money": usd("100.00"),
        "accepted_amount": TOTAL,
        "created_at": AT,
        "updated_at": AT,
        "state": state,
        "captured": TOTAL if state in TAKEN else Decimal(0),
        "refunded": REFUNDED.get(state, Decimal(0)),
        "expired_at": AT if state is State.EXPIRED else None,
        "version": 5,
    }
    return Payment(**{**given, **members})


def make_operation(kind: Kind, status: Status = Status.UNKNOWN, **members: Any) -> Operation:
    """An operation of that payment, asked for by its tenant; its facts before are those of a payment before capture."""
    given: dict[str, Any] = {
        "id": "op_1",
        "tenant": "acme",
        "payment_id": "pay_1",
        "account": "main",
        "kind": kind,
        "status": status,
        "amount": TOTAL,
        "before": Before(amount=TOTAL, captured=Decimal(0), refunded=Decimal(0)),
        "created_at": AT,
        "updated_at": AT,
        "idempotency_key": None if kind is Kind.COMPLETE else "key-00000001",
    }
    return Operation(**{**given, **members})


def saw(stage: Stage = Stage.UNKNOWN, **facts: Any) -> Observation:
    """An observation; amounts may be given as text."""
    exact = {
        name: Decimal(value) for name, value in facts.items() if name in ("amount", "captured", "refunded", "disputed")
    }
    return Observation(stage=stage, **{**facts, **exact})


def apply_fact(
    payment: Payment,
    fact: Fact,
    *,
    operation: Operation | None = None,
    cause: Cause = Cause.LOOKUP,
    policy: Policy = POLICY,
    at: datetime = LATER,
) -> Change:
    """``apply`` with the parts most tests do not care about."""
    return apply(payment, operation, fact, cause=cause, policy=policy, at=at)


BEFORE_REPLY = {
    Kind.CREATE: State.CREATED,
    Kind.COMPLETE: State.AWAITING_CUSTOMER,
    Kind.CAPTURE: State.AUTHORIZED,
    Kind.CANCEL: State.AUTHORIZED,
    Kind.UPDATE: State.AUTHORIZED,
    Kind.REFUND: State.CAPTURED,
}
"""State of a payment while an operation of this kind waits for its reply."""


def status_of(change: Change) -> Status:
    """How the operation of a change ended."""
    assert change.operation is not None
    return change.operation.status


def operation_of(kind: Kind, status: Status = Status.SENDING) -> Operation:
    """An operation with the facts before it; updates and refunds are of 80.00."""
    amount = Decimal("80.00") if kind in (Kind.UPDATE, Kind.REFUND) else TOTAL
    captured = TOTAL if kind is Kind.REFUND else Decimal(0)
    before = Before(amount=TOTAL, captured=captured, refunded=Decimal(0), stage=Stage.AWAITING_CUSTOMER)
    return make_operation(kind, status, amount=amount, before=before)
