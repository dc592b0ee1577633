"""Commands as Credit Key's requests: ``build``, and below it the members of each body.

Amounts are US dollars, written as JSON numbers with two decimals.
Source: Credit Key's ecomm reference (v1.2, v1.3), its PHP SDK, its Magento and Odoo plugins.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from operator import attrgetter
from typing import Any
from urllib.parse import quote, urlencode

import gateway
from gateway_creditkey.config import CreditKeyConfig
from gateway_creditkey.fields import ADDRESS, BILLING_AT, CHARGES, CHARGES_AT, ITEM, ITEMS_AT, SHIPPING_AT

JSON = ("Content-Type", "application/json")
ACCEPT = ("Accept", "application/json")
ZERO = gateway.JsonNumber("0.00")
PLACEHOLDER = "%CKKEY%"
"""Credit Key puts the order's key in its place, percent signs included."""

REQUIRED = ("items", "charges", "billing_address")
CONTACTS = {"email": "email", "phone": "phone_number"}
"""``contact_method`` and the member of the billing address that Credit Key writes to."""

_item, _parts, _amounts = attrgetter(*ITEM), attrgetter(*ADDRESS), attrgetter(*CHARGES)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
NO_EMAIL = "must be an e-mail address such as buyer@example.com"

Members = dict[str, Any]
Changing = gateway.CapturePayment | gateway.UpdatePayment


def build(command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
    """Turn a command into one call. Raises ``FieldProblem`` for what Credit Key cannot be asked."""
    config: CreditKeyConfig = account.config
    if command.money.currency != "USD":
        raise gateway.FieldProblem.at("$.currency", "must be USD")
    keys = {"public_key": config.public_key.reveal(), "shared_secret": config.shared_secret.reveal()}
    if isinstance(command, gateway.FetchPayment):
        operation, wanted = "find_order", {"id": command.provider_reference}
        if command.provider_reference is None:
            operation, wanted = "find_order_by_merchant_order_id", {"merchant_order_id": command.merchant_reference}
        url = f"{config.base}/ecomm/{operation}?{urlencode({**wanted, **keys}, quote_via=quote)}"
        return gateway.HttpRequest(method="GET", url=url, headers=(ACCEPT,))
    operation, members_of = OPERATIONS[type(command)]
    url, members = f"{config.base}/ecomm/{operation}", members_of(command, account)
    if config.auth_in == "query":
        url += f"?{urlencode(keys, quote_via=quote)}"
    else:  # in the body, so that no access log has them
        members = {**keys, **members}
    body = gateway.dumps({name: value for name, value in members.items() if value})
    return gateway.HttpRequest(method="POST", url=url, headers=(JSON, ACCEPT), body=body)


def _begin(command: gateway.CreatePayment, account: gateway.Account) -> Members:
    """Members of ``begin_standalone_checkout``. Raises ``FieldProblem`` for what the order lacks."""
    order, config = command.order, account.config
    missing = [(f"$.order.{name}", "is required by Credit Key") for name in REQUIRED if not getattr(order, name)]
    if missing:
        raise gateway.FieldProblem(missing)
    merchant_data, charges = _merchant_data(command, account), _charges(order, command.money, config)
    parts = gateway.fill_nested(
        account.fields,
        {
            ITEMS_AT: _cart_items(order),
            CHARGES_AT: charges,
            BILLING_AT: _address(order.billing_address),
            SHIPPING_AT: _address(order.shipping_address),
        },
    )
    return {
        "remote_id": command.merchant_reference,
        "remote_customer_id": command.customer.id,
        "mode": "link" if config.is_link(command.checkout) else "redirect",
        "cart_items": parts[ITEMS_AT],
        "billing_address": parts[BILLING_AT],
        "shipping_address": parts[SHIPPING_AT],
        "charges": _with_zeros(parts[CHARGES_AT]),
        "return_url": _with_placeholder(command.urls.return_),
        "order_complete_url": _with_placeholder(command.urls.complete),
        "cancel_url": _with_placeholder(command.urls.cancel),
        "merchant_data": merchant_data,
    }


def _merchant_data(command: gateway.CreatePayment, account: gateway.Account) -> Members:
    """The account's own parameters, then the notification, so that no parameter replaces a part of it."""
    notification = _notification(command, account.config) if account.config.is_link(command.checkout) else {}
    own = {member.key: member.value for member in gateway.fill(account.fields, command)}
    return own | {account.fields.key(name): value for name, value in notification.items() if value}


def _notification(command: gateway.CreatePayment, config: CreditKeyConfig) -> Members:
    """Say whom Credit Key writes to. Raises ``FieldProblem`` where the link or its copy would reach nobody."""
    checkout = command.checkout
    method, rep_email = checkout.contact_method or config.contact_method, checkout.rep_email or config.rep_email
    contact = getattr(command.order.billing_address, CONTACTS[method])
    if not contact or (method == "email" and not EMAIL.fullmatch(contact)):
        problem = f"{NO_EMAIL if contact else 'is required'}: the link is sent there"
        raise gateway.FieldProblem.at(f"$.order.billing_address.{CONTACTS[method]}", problem)
    if checkout.rep_email is not None and not EMAIL.fullmatch(checkout.rep_email):
        raise gateway.FieldProblem.at("$.checkout.rep_email", NO_EMAIL)
    if checkout.notify_rep and not rep_email:
        raise gateway.FieldProblem.at("$.checkout.rep_email", "is required with notify_rep: the copy is sent there")
    # Assumed: a JSON boolean is understood. Credit Key's Magento plugin sends the text "true"; one order on staging
    # with a representative's address would confirm it.
    flag = "true" if config.rep_flag_as_text else True
    is_copied = config.notify_rep if checkout.notify_rep is None else checkout.notify_rep
    return {"contact_method": method, "cc_rep": flag if is_copied else None, "csr": rep_email}


def _with_placeholder(url: str) -> str:
    """Append the placeholder as text: a URL builder would escape its percent signs. Raises ``ValueError``."""
    if "#" in url:
        raise ValueError("a url with a fragment cannot carry the order key")
    return f"{url}{'&' if '?' in url else '?'}key={PLACEHOLDER}"


def _confirm(command: gateway.CapturePayment, account: gateway.Account) -> Members:
    """Members of ``confirm_order``. ``charges.grand_total`` is what is captured; an order is confirmed once."""
    members = _update(command, account, account.config.confirm_items_key)
    return members | {"merchant_status": command.merchant_status or "shipped"}


def _update(command: Changing, account: gateway.Account, items_key: str = "cart_items") -> Members:
    """Members of ``update_order``, which ``confirm_order`` takes as well.

    Charges that do not come to the amount are left out: a capture of a part need not say whose tax it holds.
    """
    order, money = command.order or gateway.Order(), command.money
    charges: Members = dict.fromkeys(("total", "grand_total"), _number(money.amount))
    if order.charges is not None and order.charges.grand_total == money.amount:
        charges = _charges(order, money, account.config)
    objects: Members = {ITEMS_AT: _cart_items(order), CHARGES_AT: charges}
    if order.shipping_address is not None:
        objects[SHIPPING_AT] = _address(order.shipping_address)
    parts = gateway.fill_nested(account.fields, objects)
    return {
        **_order_key(command, account),
        "merchant_order_id": command.merchant_reference,
        **({"merchant_status": command.merchant_status} if command.merchant_status else {}),
        items_key: parts[ITEMS_AT],
        "charges": _with_zeros(parts[CHARGES_AT]),
        "shipping_address": parts.get(SHIPPING_AT),
    }


def _refund(command: gateway.RefundPayment, account: gateway.Account) -> Members:
    """Members of ``refund``. ``amount`` is what is given back, not what the order is worth afterwards."""
    return {**_order_key(command, account), "amount": _number(command.money.amount)}


def _order_key(command: gateway.Command, _account: gateway.Account) -> Members:
    if command.provider_reference is None:
        raise gateway.FieldProblem.at("$.provider_reference", "is not known yet")
    return {"id": command.provider_reference}


def _charges(order: gateway.Order, money: gateway.Money, config: CreditKeyConfig) -> Members:
    """Charges that come to ``money`` and, unless the account only warns, add up; otherwise ``FieldProblem``.

    Absent ones are None, so that an account can require them.
    Whether Credit Key checks the sum is not documented. Its own Magento module sends sums that do not add up.
    """
    is_enforced = config.charges_identity == "enforce"
    problems = gateway.order_problems(order, money.digits, money.amount, identity=is_enforced)
    if problems:
        raise gateway.FieldProblem(problems)
    amounts = zip(CHARGES, _amounts(order.charges), strict=True)
    return {name: None if amount is None else _number(amount) for name, amount in amounts}


def _with_zeros(charges: Members) -> Members:
    if all(charges.values()):
        return charges
    return {key: ZERO if amount is None else amount for key, amount in charges.items()}


def _cart_items(order: gateway.Order) -> list[Members]:
    return [dict(zip(ITEM, _item(item), strict=True)) | {"price": _number(item.price)} for item in order.items or ()]


def _address(given: gateway.Address | None) -> Members | None:
    """All members of an address; absent ones are null, as Credit Key's PHP SDK sends them."""
    return None if given is None else dict(zip(ADDRESS, _parts(given), strict=True))


def _number(amount: Decimal) -> gateway.JsonNumber:
    return gateway.JsonNumber(gateway.Money.of(amount, "USD", 2).text())


OPERATIONS: dict[type[gateway.Command], tuple[str, Callable[[Any, gateway.Account], Members]]] = {
    gateway.CreatePayment: ("begin_standalone_checkout", _begin),
    gateway.CompletePayment: ("complete_checkout", _order_key),
    gateway.CapturePayment: ("confirm_order", _confirm),
    gateway.CancelPayment: ("cancel_order", _order_key),
    gateway.UpdatePayment: ("update_order", _update),
    gateway.RefundPayment: ("refund", _refund),
}
"""The commands that change something: Credit Key's name of the operation, and the members of its body."""
