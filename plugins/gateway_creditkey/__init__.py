"""Credit Key: trade credit for businesses, paid by link or on a hosted page. The adapter for its standalone checkout.

Every call is one ``POST`` or ``GET`` under ``/ecomm`` with a key and a secret (``requests.py``, ``responses.py``).
Nothing that Credit Key sends by itself is signed, so its callbacks are hints. Sources: docs.creditkey.com (ERP
platforms; reference v1.2, v1.3), creditkey/creditkey-php, creditkey/magento2-b2bgateway, creditkey/ck-payments-odoo.
"""

from __future__ import annotations

from decimal import Decimal
from urllib.parse import parse_qs

from msgspec.structs import replace

import gateway
from gateway_creditkey import requests, responses
from gateway_creditkey.config import CreditKeyConfig
from gateway_creditkey.fields import FIELDS

NEW_NOTIFICATION = "A new notification will be sent to the customer to complete this order."
MESSAGES = {
    "customer_will_be_notified": f"You have selected Credit Key as the payment method. {NEW_NOTIFICATION}",
    "new_checkout_started": f"You have selected Credit Key as the payment method. {NEW_NOTIFICATION}",
    "increase_over_limit": f"Credit Key order amounts can only be increased by $100. {NEW_NOTIFICATION}",
    "customer_notified_of_cancel": "The Credit Key order is canceled. Credit Key tells the customer.",
    "capture_deadline_near": (
        "This Credit Key order is not confirmed as shipped. Credit Key cancels orders that are not confirmed in time."
    ),
}
CANCEL_FROM = frozenset(map(gateway.State, ("created", "awaiting_customer", "processing", "authorized", "expired")))

METHODS = {"return": ("GET",), "cancel": ("GET",), "complete": ("GET", "POST")}
"""Methods of the addresses that an order carries. A visit of the cancel address is a hint of an early end."""


class CreditKey(gateway.Provider):
    """Speak Credit Key's ecomm API. Order keys are the ``provider_reference``, ``remote_id`` and
    ``merchant_order_id`` the ``merchant_reference``."""

    name = "creditkey"
    account_type = CreditKeyConfig
    commands = frozenset({*requests.OPERATIONS, gateway.FetchPayment})
    fields = FIELDS
    build = staticmethod(requests.build)
    parse = staticmethod(responses.parse)
    unusual = staticmethod(gateway.unusual)

    def rules(self, account: gateway.Account) -> gateway.Rules:
        """Declare dollars only, a rise of at most 100.00, and the account's periods."""
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
            charges_identity=config.charges_identity == "enforce",
            read_before_capture=True,
            messages=MESSAGES,
        )

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Hint:  # noqa: ARG002  # unsigned
        """Take a visit of one of the order's addresses as a hint; the order key in it is not believed."""
        if callback.payment_id is None or callback.suffix not in METHODS:
            raise gateway.CallbackRejected(gateway.Reason.NOT_FOUND)
        if callback.method not in METHODS[callback.suffix]:
            raise gateway.CallbackRejected(gateway.Reason.METHOD)
        return gateway.Hint(provider_reference=_order_key(callback))

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:
        """Answer 200 ``{"ok":true}`` for what is stored.

        Assumed: Credit Key looks at the status alone and repeats what was not 200. It documents neither; its
        integrations team can tell.
        """
        methods = METHODS.get(callback.suffix, ("GET",))
        plain = gateway.status_answer(verdict, stored=200, refused=404, methods=methods)
        return replace(plain, headers=(requests.JSON, *plain.headers), body=gateway.dumps({"ok": plain.status == 200}))


def _order_key(callback: gateway.Callback) -> str | None:
    """The one ``key`` of the query, else ``id`` of a posted JSON body; None if neither can be an order's key.

    Which body Credit Key posts is not documented, so any other is ignored.
    """
    given = parse_qs(callback.query).get("key", [])
    if len(given) == 1 and given[0] != requests.PLACEHOLDER and responses.ORDER_KEY.fullmatch(given[0]):
        return given[0]
    try:
        return gateway.read_json(callback.body, responses.Named).id if callback.method == "POST" else None
    except ValueError:
        return None


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    """Offer Credit Key."""
    return [CreditKey()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    """Offer its simulator for development."""
    from gateway_creditkey.simulator import CreditKeySimulator  # loads a web framework: only when one is wanted

    return [CreditKeySimulator.offer()]
