"""Why a command on a payment is refused, in sentences that say what to do instead."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from gateway.core.commands import KIND_OF, CancelPayment, CapturePayment, Command, RefundPayment, UpdatePayment
from gateway.core.errors import TenantError, invalid
from gateway.core.money import Money
from gateway.core.payment import Alert, AlertCode, Operation, Payment, Review, State
from gateway.core.wording import joined_with_or
from gateway.drivers.settings import AccountEntry

AUTHORIZED = frozenset({State.AUTHORIZED})
UPDATABLE = frozenset({State.AWAITING_CUSTOMER, State.AUTHORIZED})
REFUNDABLE = frozenset({State.CAPTURED, State.PARTIALLY_REFUNDED})

DONE: dict[type[Command], str] = {
    CapturePayment: "captured",
    UpdatePayment: "updated",
    CancelPayment: "canceled",
    RefundPayment: "refunded",
}
"""What a payment is after a command."""


def not_found() -> TenantError:
    """There is no such payment: the same bytes for every id, so that nothing is said of other tenants' payments."""
    return TenantError("not_found", 'there is no payment with this id under this tenant; payment ids begin with "pay_"')


def unsupported(entry: AccountEntry, payment_id: str, command: type[Command]) -> TenantError:
    """The provider has no such command."""
    able = joined_with_or([kind for one, kind in KIND_OF.items() if one in entry.provider.commands], last="and")
    detail = f"{entry.provider.name} cannot {KIND_OF[command]} a payment; it can {able}"
    return TenantError("unsupported_by_provider", detail, payment_id=payment_id)


def duplicate_reference(entry: AccountEntry, holder: str | None) -> TenantError:
    """A live payment of the account has the merchant reference already."""
    ways = ["go on with it", *(["cancel it"] if CancelPayment in entry.provider.commands else [])]
    detail = f"payment {holder or ''} has this merchant_reference and is still live: "
    detail += joined_with_or([*ways, "choose another merchant_reference"])
    return TenantError("duplicate_reference", detail, payment_id=holder)


def captures_all(payment: Payment) -> TenantError:
    """The provider captures the whole amount only."""
    detail = f"{payment.provider} captures the whole amount only: leave it out, or send {payment.money.text()}"
    return invalid(("$.amount", detail), code="unsupported_by_provider")


def too_large(payment: Payment, most: Decimal, done: str) -> TenantError:
    """The amount is more than is left to capture or refund."""
    return TenantError("amount_too_large", f"at most {most:f} {payment.money.currency} can be {done}")


def open_operation(payment_id: str, operation: Operation) -> TenantError:
    """Another operation is open."""
    return TenantError(
        "operation_outcome_pending",
        f"operation {operation.id} ({operation.kind}) has no outcome yet: repeat this when pending_operation of the"
        " payment is null",
        payment_id=payment_id,
        operation_id=operation.id,
    )


def under_review(payment_id: str, review: Review) -> TenantError:
    """A person must look first."""
    why = f"{review.reason}: {review.detail}" if review.detail else review.reason
    detail = f"the payment is under review ({why}); the operators of this gateway must resolve that first"
    return TenantError("under_review", detail, payment_id=payment_id)


def replaced(payment: Payment) -> TenantError:
    """Its replacement is live, so this payment is neither captured nor updated."""
    detail = f"the payment was replaced by {payment.replaced_by}: use that payment instead"
    return TenantError("invalid_state", detail, payment_id=payment.id, replaced_by=payment.replaced_by)


def partly_captured(payment: Payment) -> TenantError:
    """A part of it was captured, so what was agreed is fixed."""
    detail = (
        f"{payment.captured:f} {payment.money.currency} of the payment were captured: it cannot be updated any more"
    )
    return TenantError("invalid_state", detail, payment_id=payment.id)


def still_replacing(payment: Payment) -> TenantError:
    """The payment that this one replaces may still be paid: no third order begins."""
    detail = f"{payment.replaces}, which this payment replaces, is not canceled yet: repeat this when it is"
    return TenantError("invalid_state", detail, payment_id=payment.id)


def wrong_state(entry: AccountEntry, payment: Payment, command: type[Command]) -> TenantError:
    """The state does not allow a command: say which do, and what can be done now."""
    states = sorted(allowed_in(entry)[command], key=list(State).index)
    now = [DONE[one] for one, others in allowed_in(entry).items() if payment.state in others and one is not command]
    detail = (
        f"a payment that is {payment.state} cannot be {DONE[command]}: only one that is {joined_with_or(states)} can"
    )
    return TenantError(
        "invalid_state", f"{detail}; it can be {joined_with_or(now)}" if now else detail, payment_id=payment.id
    )


def past_grace(payment: Payment) -> TenantError:
    """An expired payment is over for good when its late grace is."""
    detail = "a payment that is expired cannot be canceled when its late grace is over: nothing is left to cancel"
    return TenantError("invalid_state", detail, payment_id=payment.id)


def allowed_in(entry: AccountEntry) -> dict[type[Command], Collection[State]]:
    """The states that allow each command that the account's provider has."""
    allowed: dict[type[Command], Collection[State]] = {
        CapturePayment: AUTHORIZED,
        UpdatePayment: UPDATABLE,
        CancelPayment: {*map(State, entry.rules.cancel_from), State.EXPIRED},
        RefundPayment: REFUNDABLE,
    }
    return {command: states for command, states in allowed.items() if command in entry.provider.commands}


def over_limit(entry: AccountEntry, payment: Payment, limit: Money, amount: Decimal) -> TenantError:
    """A rise above the provider's limit. Its alert is the provider's own sentence, word for word, about what the tenant
    may ask for next; the detail says that nothing of it has been done."""
    rise = payment.money.with_amount(amount - payment.accepted_amount)
    detail = (
        f"nothing was changed and nobody was notified: {rise.text()} {rise.currency} above what the customer accepted,"
        f' at most {limit.text()} is allowed; repeat with "allow_new_checkout": true to begin a new checkout for the'
        " new total, of which the customer is notified then"
    )
    message = entry.rules.messages.get("increase_over_limit", "the amount rises above the provider's limit")
    alert = Alert(code=AlertCode.INCREASE_OVER_LIMIT, message=message)
    return TenantError("increase_over_limit", detail, payment_id=payment.id, alerts=[alert])
