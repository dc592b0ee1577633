"""Credit Key: trade credit for businesses, paid by link or on a hosted page. The adapter for its standalone checkout.

Every call is one ``POST`` or ``GET`` under ``/ecomm`` with a key and a secret. Nothing that Credit Key sends by itself
is proved, so its callbacks are hints. Sources: docs.creditkey.com (ERP platforms; reference v1.2, v1.3),
creditkey/creditkey-php, creditkey/magento2-b2bgateway, creditkey/ck-payments-odoo.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import assert_never
from urllib.parse import parse_qs, quote, urlencode

import msgspec
from msgspec.structs import replace

import gateway
from gateway_creditkey import answers
from gateway_creditkey.account import CreditKeyConfig
from gateway_creditkey.bodies import OPERATIONS, PLACEHOLDER, mode_of

RESERVED = {
    "contact_method": "how the customer is told: email or phone",
    "cc_rep": "true when the sales representative is told as well",
    "csr": "e-mail address of the sales representative",
    "response": "reserved by Credit Key, never sent",
}
"""The members of ``merchant_data`` that have a meaning to Credit Key."""

NEW_NOTIFICATION = (
    "You have selected Credit Key as the payment method. "
    "A new notification will be sent to the customer to complete this order."
)
MESSAGES = {
    "customer_will_be_notified": NEW_NOTIFICATION,
    "new_checkout_started": NEW_NOTIFICATION,
    "increase_over_limit": (
        "Credit Key order amounts can only be increased by $100. "
        "A new notification will be sent to the customer to complete this order."
    ),
    "customer_notified_of_cancel": "The Credit Key order is canceled. Credit Key tells the customer.",
    "capture_deadline_near": (
        "This Credit Key order is not confirmed as shipped. Credit Key cancels orders that are not confirmed in time."
    ),
}
CANCEL_FROM = frozenset(
    {
        gateway.State.CREATED,
        gateway.State.AWAITING_CUSTOMER,
        gateway.State.PROCESSING,
        gateway.State.AUTHORIZED,
        gateway.State.EXPIRED,
    }
)
METHODS = {"return": ("GET",), "cancel": ("GET",), "complete": ("GET", "POST")}
"""Our own addresses that Credit Key is told, by suffix. Giving up is a hint too: a lookup may show the end early."""

REFUSALS = {gateway.Reason.METHOD: 405, gateway.Reason.TOO_LARGE: 413, gateway.Reason.MEDIA_TYPE: 415}
JSON = ("Content-Type", "application/json")


class CreditKey:
    """Speak Credit Key's ecomm API. Order keys are the ``provider_reference``, ``remote_id`` and
    ``merchant_order_id`` the ``merchant_reference``."""

    name = "creditkey"
    account_type: type[msgspec.Struct] = CreditKeyConfig
    commands: frozenset[type[gateway.Command]] = frozenset({*OPERATIONS, gateway.FetchPayment})
    fields: Mapping[str, gateway.FieldRule] = {
        name: gateway.FieldRule(locked=True, meaning=meaning) for name, meaning in RESERVED.items()
    }
    secret_headers: frozenset[str] = frozenset()

    def rules(self, account: gateway.Account) -> gateway.Rules:
        """Declare dollars only, a rise of at most 100.00, and the account's clocks."""
        config: CreditKeyConfig = account.config
        return gateway.Rules(
            currencies=frozenset({"USD"}),
            max_increase=gateway.Money.of(Decimal("100.00"), "USD", 2),
            capture_deadline=config.confirm_deadline,
            deadline_warning=config.deadline_warning,
            expires_after=config.expires_after,
            cancel_from=CANCEL_FROM,
            partial_capture=True,
            absence_proves=config.absence_proves,
            amount=gateway.Exact(),
            charges_identity=config.charges_identity == "enforce",
            read_before_capture=True,
            messages=MESSAGES,
        )

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        """Turn a command into one call. Raises ``FieldProblem`` for what Credit Key cannot be asked."""
        if command.money.currency != "USD":
            raise gateway.FieldProblem([("$.currency", "must be USD")])
        if isinstance(command, gateway.FetchPayment):
            return _find(command, account.config)
        operation, members = OPERATIONS[type(command)]
        return _post(operation, members(command, account), account.config)

    def credentials(
        self,
        account: gateway.Account,  # noqa: ARG002  # the protocol's signature
    ) -> Mapping[str, str | gateway.Secret]:
        """Nothing: Credit Key gives out the keys and is told every address with the order itself."""
        return {}

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined | gateway.Absent:
        """Read an answer; success is status 200 alone. Raises ``OutcomeUnknown`` for what is not Credit Key's JSON."""
        if response.status != 200:
            return answers.refused(command, response, account.config)
        match command:
            case gateway.CreatePayment():
                return answers.begun(response, account.config, is_link=_is_link(command.checkout, account.config))
            case gateway.CompletePayment():
                return answers.completed(command, response, account.config)
            case gateway.FetchPayment(checkout=checkout) if checkout is not None:
                seen = answers.order(command, response, account.config)
                # The order exists: whoever was to be written to has been, though the answer to the create was lost.
                return replace(seen, customer_notified=_is_link(checkout, account.config))
            case _:
                return answers.order(command, response, account.config)

    def unusual(self, response: gateway.HttpResponse) -> tuple[str, ...]:
        """Name a media type that Credit Key does not document, and a byte order mark."""
        return gateway.unusual(response)

    def verify(
        self,
        callback: gateway.Callback,
        account: gateway.Account,  # noqa: ARG002  # nothing that Credit Key sends is signed
    ) -> gateway.Hint:
        """Take a visit of one of our own addresses as a hint; the order key in it is not believed."""
        methods = METHODS.get(callback.suffix)
        if methods is None or callback.payment_id is None:
            raise gateway.CallbackRejected(gateway.Reason.NOT_FOUND)
        if callback.method not in methods:
            raise gateway.CallbackRejected(gateway.Reason.METHOD)
        return gateway.Hint(provider_reference=_key_in_query(callback.query) or _key_in_body(callback))

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:
        """Answer 200 ``{"ok":true}`` for what is stored.

        Assumed: Credit Key looks at the status alone and repeats what was not 200. It documents neither; its
        integrations team can tell.
        """
        match verdict:
            case gateway.Recorded() | gateway.Repeated():
                return _json(200, is_ok=True)
            case gateway.Refused(reason=gateway.Reason.METHOD):
                return _json(405, ("Allow", ", ".join(METHODS.get(callback.suffix, ("GET",)))))
            case gateway.Refused(reason=reason):
                return _json(REFUSALS.get(reason, 404))
            case gateway.Busy(limited=limited, retry_after=seconds):
                return _json(429 if limited else 503, ("Retry-After", str(seconds)))
        assert_never(verdict)


def _post(operation: str, members: dict[str, object], config: CreditKeyConfig) -> gateway.HttpRequest:
    """Send the credentials in the body, out of everybody's access logs, unless the account wants them in the query."""
    url = f"{config.base}/ecomm/{operation}"
    if config.auth_in == "query":
        url += "?" + urlencode(_credentials(config), quote_via=quote)
    else:
        members = {**_credentials(config), **members}
    return gateway.HttpRequest(
        method="POST", url=url, headers=(JSON, ("Accept", "application/json")), body=gateway.dumps(members)
    )


def _find(command: gateway.FetchPayment, config: CreditKeyConfig) -> gateway.HttpRequest:
    operation, wanted = "find_order", {"id": command.provider_reference}
    if command.provider_reference is None:
        operation, wanted = "find_order_by_merchant_order_id", {"merchant_order_id": command.merchant_reference}
    query = urlencode({**wanted, **_credentials(config)}, quote_via=quote)
    return gateway.HttpRequest(
        method="GET", url=f"{config.base}/ecomm/{operation}?{query}", headers=(("Accept", "application/json"),)
    )


def _is_link(checkout: gateway.Checkout, config: CreditKeyConfig) -> bool:
    return mode_of(checkout, config) == "link"


def _credentials(config: CreditKeyConfig) -> dict[str, str]:
    return {"public_key": config.public_key.reveal(), "shared_secret": config.shared_secret.reveal()}


def _key_in_query(query: str) -> str | None:
    """Return the one ``key`` of a raw query, None when absent, repeated, unreadable or never filled in."""
    given = parse_qs(query).get("key", [])
    return answers.usable_key(given[0]) if len(given) == 1 and given[0] != PLACEHOLDER else None


def _key_in_body(callback: gateway.Callback) -> str | None:
    """Return ``id`` of a JSON body. Which body Credit Key sends is not documented, so any other is ignored."""
    if callback.method != "POST":
        return None
    try:
        body = gateway.loads(callback.body)
    except gateway.NotStrictJson:
        return None
    return answers.usable_key(body.get("id")) if isinstance(body, dict) else None


def _json(status: int, *headers: tuple[str, str], is_ok: bool = False) -> gateway.HttpResponse:
    return gateway.HttpResponse(status=status, headers=(JSON, *headers), body=gateway.dumps({"ok": is_ok}))


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    """Offer Credit Key."""
    return [CreditKey()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    """Offer its far side for development; the web framework is loaded only then."""
    from gateway_creditkey.simulator import creditkey_simulator

    return [creditkey_simulator()]
