"""Every route for tenants, with what the OpenAPI document says of it. The handlers are in ``tenants.py`` and beside."""

from __future__ import annotations

from gateway.core.payment import State
from gateway.core.request_bodies import CaptureBody, CreateBody, EmptyBody, RefundBody, UpdateBody
from gateway.web import callbacks, examples, tenants, webhooks
from gateway.web.listing import CURSOR, LIMIT, MOST_AT_ONCE, TIME, described
from gateway.web.route import Route

_SECTION = described(limit=MOST_AT_ONCE, cursor=CURSOR)
_COMMAND_CODES = (
    "not_found",
    "unsupported_by_provider",
    "operation_outcome_pending",
    "invalid_state",
    "under_review",
    "provider_error",
    "card_data_refused",
)
_NEW_PAYMENT = ("low_disk", "storage_budget_exceeded")
_CREATE_CODES = (
    *(code for code in _COMMAND_CODES if code not in ("not_found", "invalid_state", "under_review")),
    "duplicate_reference",
    "unknown_account",
    "no_route",
    "currency_not_supported",
    "deposit_method_not_found",
    *_NEW_PAYMENT,
)

ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/v1/payments",
        handler=tenants.create,
        name="createPayment",
        tag="Payments",
        summary="Create a payment",
        text="Create a payment at its provider. 201 once the outcome is known, also when the provider declined it:"
        " read `operation.status` and `state`. Then send the customer to `redirect_url`, unless the provider"
        " writes to the customer itself.",
        body=CreateBody,
        sends_any=examples.CREATES,
        answers=examples.CREATED,
        codes=_CREATE_CODES,
        is_idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/payments",
        handler=tenants.list_payments,
        name="listPayments",
        tag="Payments",
        summary="List payments",
        text="Newest first, a page at a time: pass `next_cursor` as `cursor` until it is null.",
        answers={200: tenants.PaymentList(data=[examples.PAYMENT], next_cursor=None)},
        query=described(
            merchant_reference="Only this reference.",
            state=("Only this state.", State),
            account="Only this account.",
            created_after=("Created later than this.", TIME),
            created_before=("Created earlier than this.", TIME),
            limit=LIMIT,
            cursor=CURSOR,
        ),
        codes=("validation_failed",),
    ),
    Route(
        method="GET",
        path="/v1/payments/{id}",
        handler=tenants.read,
        name="getPayment",
        tag="Payments",
        summary="Read a payment",
        text="The payment as it is now.",
        answers={200: examples.PAYMENT},
        codes=("not_found",),
    ),
    Route(
        method="POST",
        path="/v1/payments/{id}/capture",
        handler=tenants.capture,
        name="capturePayment",
        tag="Payments",
        summary="Capture a payment",
        text="Take the money of an authorized payment: the order shipped. All of it unless `amount` is given; what is"
        " not captured is released.",
        body=CaptureBody,
        sends=examples.CAPTURE,
        answers=examples.CAPTURED,
        codes=(*_COMMAND_CODES, "amount_too_large"),
        is_idempotent=True,
    ),
    Route(
        method="PATCH",
        path="/v1/payments/{id}",
        handler=tenants.update,
        name="updatePayment",
        tag="Payments",
        summary="Update a payment",
        text="Change amount or order before the capture. A rise above the provider's limit is refused, unless"
        " `allow_new_checkout` begins a new checkout for the new total.",
        body=UpdateBody,
        sends=examples.UPDATE,
        answers=examples.UPDATED,
        codes=(*_COMMAND_CODES, "increase_over_limit", *_NEW_PAYMENT),
        is_idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/payments/{id}/cancel",
        handler=tenants.cancel,
        name="cancelPayment",
        tag="Payments",
        summary="Cancel a payment",
        text="Give a payment up before its capture.",
        body=EmptyBody,
        answers=examples.CANCELED,
        codes=_COMMAND_CODES,
        is_idempotent=True,
    ),
    Route(
        method="POST",
        path="/v1/payments/{id}/refunds",
        handler=tenants.refund,
        name="createRefund",
        tag="Refunds",
        summary="Refund a payment",
        text="Return money after the capture: all that is left unless `amount` is given.",
        body=RefundBody,
        sends=examples.REFUND,
        answers=examples.REFUNDED,
        codes=(*_COMMAND_CODES, "amount_too_large"),
        is_idempotent=True,
    ),
    Route(
        method="GET",
        path="/v1/payments/{id}/refunds",
        handler=tenants.refunds,
        name="listRefunds",
        tag="Refunds",
        summary="List the refunds of a payment",
        text="Oldest first, a page at a time: pass `next_cursor` as `cursor` until it is null.",
        answers={200: tenants.RefundList(data=[examples.REFUND_WITH_PAYMENT], next_cursor=None)},
        query=_SECTION,
        codes=("not_found", "validation_failed"),
    ),
    Route(
        method="POST",
        path="/v1/payments/{id}/sync",
        handler=tenants.sync,
        name="syncPayment",
        tag="Payments",
        summary="Ask the provider about a payment",
        text="Look up now how the payment stands at its provider, and answer with the payment as it is then. Once a"
        " second at most.",
        body=EmptyBody,
        answers={200: examples.PAYMENT},
        codes=("not_found", "unsupported_by_provider", "provider_error"),
    ),
    Route(
        method="GET",
        path="/v1/payments/{id}/events",
        handler=tenants.events,
        name="listPaymentEvents",
        tag="Payments",
        summary="Read the timeline of a payment",
        text="What happened to the payment, oldest first: one event for each version.",
        answers={200: tenants.EventList(data=[examples.EVENT], next_cursor=None)},
        query=_SECTION,
        codes=("not_found", "validation_failed"),
    ),
    Route(
        method="GET",
        path="/v1/accounts",
        handler=tenants.accounts,
        name="listAccounts",
        tag="Accounts",
        summary="List accounts",
        text="The tenant's accounts, what their providers can do, and what they ask of the customer.",
        answers={200: examples.ACCOUNTS},
    ),
    Route(
        method="GET",
        path="/v1/deposit-methods",
        handler=tenants.deposit_methods,
        name="listDepositMethods",
        tag="Accounts",
        summary="List deposit methods",
        text="What a customer can pay with, with labels in a language. Methods that do not take the currency or the"
        " amount are left out.",
        answers={200: examples.DEPOSIT_METHODS},
        query=described(
            currency="Only methods that take this currency.",
            amount="Only methods that take this amount.",
            lang="Language of the labels, such as `de` or `de-at`.",
        ),
        codes=("validation_failed", "currency_not_supported"),
    ),
    *webhooks.ROUTES,
    *callbacks.ROUTES,
)
"""Every route for tenants."""
