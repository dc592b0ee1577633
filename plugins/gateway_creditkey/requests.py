"""Commands as Credit Key's requests: ``build``, and below it the members of each body.

Amounts are US dollars, written as JSON numbers with two decimals.
Source: Credit Key's ecomm reference (v1.2, v1.3), its PHP SDK, its Magento and Odoo plugins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode

import gateway
from gateway_creditkey.config import CreditKeyConfig

JSON = ("Content-Type", "application/json")
ACCEPT = ("Accept", "application/json")
PLACEHOLDER = "%CKKEY%"
"""Credit Key puts the order's key in its place, percent signs included."""

REQUIRED = ("items", "charges", "billing_address")
CONTACTS = {"email": "email", "phone": "phone_number"}
"""``contact_method`` and the member of the billing address that Credit Key writes to."""

ADDRESS = (
    "first_name",
    "last_name",
    "company_name",
    "email",
    "address1",
    "address2",
    "city",
    "state",
    "zip",
    "phone_number",
)
ITEM = ("merchant_id", "name", "price", "sku", "quantity", "size", "color")
CHARGES = ("total", "shipping", "tax", "discount_amount", "grand_total")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
NO_EMAIL = "must be an e-mail address such as buyer@example.com"

Members = dict[str, Any]


def build(command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
    """Turn a command into one call. Raises ``FieldProblem`` for what Credit Key cannot be asked."""
    config: CreditKeyConfig = account.config
    if command.money.currency != "USD":
        raise _problem("$.currency", "must be USD")
    keys = {"public_key": config.public_key.reveal(), "shared_secret": config.shared_secret.reveal()}
    if isinstance(command, gateway.FetchPayment):
        operation, wanted = _wanted(command)
        url = f"{config.base}/ecomm/{operation}?{urlencode({**wanted, **keys}, quote_via=quote)}"
        return gateway.HttpRequest(method="GET", url=url, headers=(ACCEPT,))
    operation, members_of = OPERATIONS[type(command)]
    url, members = f"{config.base}/ecomm/{operation}", members_of(command, account)
    if config.auth_in == "query":
        url += f"?{urlencode(keys, quote_via=quote)}"
    else:  # in the body, so that no access log has them
        members = {**keys, **members}
    return gateway.HttpRequest(method="POST", url=url, headers=(JSON, ACCEPT), body=gateway.dumps(members))


def _wanted(command: gateway.FetchPayment) -> tuple[str, Members]:
    if command.provider_reference is not None:
        return "find_order", {"id": command.provider_reference}
    return "find_order_by_merchant_order_id", {"merchant_order_id": command.merchant_reference}


def _begin(command: gateway.CreatePayment, account: gateway.Account) -> Members:
    """Members of ``begin_standalone_checkout``. Raises ``FieldProblem`` for what the order lacks."""
    order, config = command.order, account.config
    items, charges, billing = order.items, order.charges, order.billing_address
    if not items or charges is None or billing is None:
        missing = [name for name in REQUIRED if not getattr(order, name)]
        raise gateway.FieldProblem([(f"$.order.{name}", "is required by Credit Key") for name in missing])
    is_link = config.is_link(command.checkout)
    notification = _notification(command.checkout, billing, config) if is_link else {}
    return _given(
        {
            "remote_id": command.merchant_reference,
            "remote_customer_id": command.customer.id,
            "mode": "link" if is_link else "redirect",
            "cart_items": _cart_items(items),
            "billing_address": _address(billing),
            "shipping_address": _address(order.shipping_address),
            "charges": _charges(charges, command.money, config),
            "return_url": _with_placeholder(command.urls.return_),
            "order_complete_url": _with_placeholder(command.urls.complete),
            "cancel_url": _with_placeholder(command.urls.cancel),
            "merchant_data": _merchant_data(command, account, notification),
        }
    )


def _notification(checkout: gateway.Checkout, billing: gateway.Address, config: CreditKeyConfig) -> Members:
    """Say whom Credit Key writes to. Raises ``FieldProblem`` where the link or its copy would reach nobody."""
    method = checkout.contact_method or config.contact_method
    contact, rep_email = CONTACTS[method], checkout.rep_email or config.rep_email
    if not getattr(billing, contact):
        raise _problem(f"$.order.billing_address.{contact}", "is required: the link is sent there")
    if method == "email" and not EMAIL.fullmatch(billing.email or ""):
        raise _problem("$.order.billing_address.email", f"{NO_EMAIL}: the link is sent there")
    if checkout.rep_email is not None and not EMAIL.fullmatch(checkout.rep_email):
        raise _problem("$.checkout.rep_email", NO_EMAIL)
    if checkout.notify_rep and not rep_email:
        raise _problem("$.checkout.rep_email", "is required with notify_rep: the copy is sent there")
    # Assumed: a JSON boolean is understood. Credit Key's Magento plugin sends the text "true"; one order on staging
    # with a representative's address would confirm it.
    flag = "true" if config.rep_flag_as_text else True
    is_copied = config.notify_rep if checkout.notify_rep is None else checkout.notify_rep
    return _given({"contact_method": method, "cc_rep": flag if is_copied else None, "csr": rep_email})


def _merchant_data(command: gateway.CreatePayment, account: gateway.Account, notification: Members) -> Members:
    """The account's own parameters, then the notification, so that no parameter replaces a part of it."""
    own = {member.key: member.value for member in gateway.fill(account.fields, command)}
    return own | {account.fields.key(name): value for name, value in notification.items()}


def _with_placeholder(url: str) -> str:
    """Append the placeholder as text: a URL builder would escape its percent signs. Raises ``ValueError``."""
    if "#" in url:
        raise ValueError("a url with a fragment cannot carry the order key")
    return f"{url}{'&' if '?' in url else '?'}key={PLACEHOLDER}"


def _confirm(command: gateway.CapturePayment, account: gateway.Account) -> Members:
    """Members of ``confirm_order``. ``charges.grand_total`` is what is captured; an order is confirmed once."""
    members = _update(command, account, account.config.confirm_items_key)
    return members | {"merchant_status": command.merchant_status or "shipped"}


def _update(
    command: gateway.CapturePayment | gateway.UpdatePayment, account: gateway.Account, items_key: str = "cart_items"
) -> Members:
    """Members of ``update_order``, which ``confirm_order`` takes as well."""
    order = command.order or gateway.Order()
    return _given(
        {
            **_order_key(command, account),
            "merchant_order_id": command.merchant_reference,
            "merchant_status": command.merchant_status,
            items_key: _cart_items(order.items or ()),
            "charges": _charges_or_total(order.charges, command.money, account.config),
            "shipping_address": _address(order.shipping_address),
        }
    )


def _refund(command: gateway.RefundPayment, account: gateway.Account) -> Members:
    """Members of ``refund``. ``amount`` is what is given back, not what the order is worth afterwards."""
    return {**_order_key(command, account), "amount": _number(command.money.amount, "$.amount")}


def _order_key(command: gateway.Command, _account: gateway.Account) -> Members:
    if command.provider_reference is None:
        raise _problem("$.provider_reference", "is not known yet")
    return {"id": command.provider_reference}


def _cart_items(items: Sequence[gateway.Item]) -> list[Members]:
    return [
        {name: getattr(item, name) for name in ITEM} | {"price": _number(item.price, f"$.order.items[{at}].price")}
        for at, item in enumerate(items)
    ]


def _address(given: gateway.Address | None) -> Members | None:
    """All members of an address; absent ones are null, as Credit Key's PHP SDK sends them."""
    return None if given is None else {name: getattr(given, name) for name in ADDRESS}


def _charges(given: gateway.Charges, money: gateway.Money, config: CreditKeyConfig) -> Members:
    """Charges that come to ``money`` and, unless the account only warns, add up; otherwise ``FieldProblem``.

    Whether Credit Key checks the sum is not documented. Its own Magento module sends sums that do not add up.
    """
    amounts = {name: getattr(given, name) or Decimal(0) for name in CHARGES}
    total, shipping, tax, discount, grand_total = amounts.values()
    if discount < 0:
        raise _problem("$.order.charges.discount_amount", "must not be negative")
    adds_up = total + shipping + tax - discount == grand_total or config.charges_identity == "warn"
    if not adds_up or grand_total != money.amount:
        raise _problem(
            "$.order.charges.grand_total", "must be total + shipping + tax - discount_amount, and the amount"
        )
    return {name: _number(amount, f"$.order.charges.{name}") for name, amount in amounts.items()}


def _charges_or_total(given: gateway.Charges | None, money: gateway.Money, config: CreditKeyConfig) -> Members:
    """Charges that come to ``money``, else the amount alone: a capture of a part need not say whose tax it holds."""
    if given is not None and given.grand_total == money.amount:
        return _charges(given, money, config)
    return dict.fromkeys(("total", "grand_total"), _number(money.amount, "$.amount"))


def _number(amount: Decimal, path: str) -> gateway.JsonNumber:
    try:
        return gateway.JsonNumber(gateway.Money.of(amount, "USD", 2).text())
    except ValueError as problem:
        raise _problem(path, str(problem)) from None


def _given(members: Members) -> Members:
    """Leave out empty members."""
    return {name: value for name, value in members.items() if value}


def _problem(path: str, message: str) -> gateway.FieldProblem:
    return gateway.FieldProblem([(path, message)])


OPERATIONS: dict[type[gateway.Command], tuple[str, Callable[[Any, gateway.Account], Members]]] = {
    gateway.CreatePayment: ("begin_standalone_checkout", _begin),
    gateway.CompletePayment: ("complete_checkout", _order_key),
    gateway.CapturePayment: ("confirm_order", _confirm),
    gateway.CancelPayment: ("cancel_order", _order_key),
    gateway.UpdatePayment: ("update_order", _update),
    gateway.RefundPayment: ("refund", _refund),
}
"""The commands that change something: Credit Key's name of the operation, and the members of its body."""
