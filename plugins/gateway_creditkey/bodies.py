"""Commands as Credit Key's bodies: one function per command, values in, members out.

Amounts are US dollars, written as JSON numbers with two decimals. Nothing here knows an address or a credential.
Source: Credit Key's ecomm reference (v1.2, v1.3), its PHP SDK, its Magento and Odoo plugins.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import gateway
from gateway_creditkey.account import CreditKeyConfig

PLACEHOLDER = "%CKKEY%"
"""Credit Key puts the order's key in its place, percent signs included."""

CONTACTS = {"email": "email", "phone": "phone_number"}
"""``contact_method`` and the member of the billing address that Credit Key writes to."""

EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
"""What may be an e-mail address; whether somebody reads it, nobody can tell."""

NO_EMAIL = "must be an e-mail address such as buyer@example.com"

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
CHARGES = ("total", "shipping", "tax", "discount_amount", "grand_total")
NEEDED = ("items", "charges", "billing_address")

Members = dict[str, Any]


def _begin(command: gateway.CreatePayment, account: gateway.Account) -> Members:
    """Members of ``begin_standalone_checkout``. Raises ``FieldProblem`` for what the order lacks."""
    order = command.order
    items, charges, billing = order.items, order.charges, order.billing_address
    if not items or charges is None or billing is None:
        missing = [name for name in NEEDED if not getattr(order, name)]
        raise gateway.FieldProblem([(f"$.order.{name}", "is required by Credit Key") for name in missing])
    mode = mode_of(command.checkout, account.config)
    if mode == "link":
        _check_contact(billing, _contact_method(command, account.config))
        _check_rep(command.checkout, account.config)
    return _given(
        {
            "remote_id": command.merchant_reference,
            "remote_customer_id": command.customer.id,
            "mode": mode,
            "cart_items": _cart_items(items),
            "billing_address": _address(billing),
            "shipping_address": _address(order.shipping_address),
            "charges": _charges(charges, command.money, account.config),
            "return_url": _with_placeholder(command.urls.return_),
            "order_complete_url": _with_placeholder(command.urls.complete),
            "cancel_url": _with_placeholder(command.urls.cancel),
            "merchant_data": _merchant_data(command, account),
        }
    )


def mode_of(checkout: gateway.Checkout, config: CreditKeyConfig) -> str:
    """``link``: Credit Key writes to the customer; ``redirect``: the merchant's page sends the browser there."""
    return checkout.mode or config.mode


def _contact_method(command: gateway.CreatePayment, config: CreditKeyConfig) -> str:
    return command.checkout.contact_method or config.contact_method


def _check_contact(billing: gateway.Address, method: str) -> None:
    name = CONTACTS[method]
    if not getattr(billing, name):
        raise gateway.FieldProblem([(f"$.order.billing_address.{name}", "is required: the link is sent there")])
    if method == "email" and not EMAIL.fullmatch(billing.email or ""):
        raise gateway.FieldProblem([("$.order.billing_address.email", f"{NO_EMAIL}: the link is sent there")])


def _check_rep(checkout: gateway.Checkout, config: CreditKeyConfig) -> None:
    """Refuse a copy for a representative whom nobody names: Credit Key would write to nobody."""
    if checkout.rep_email is not None and not EMAIL.fullmatch(checkout.rep_email):
        raise gateway.FieldProblem([("$.checkout.rep_email", NO_EMAIL)])
    if checkout.notify_rep and not (checkout.rep_email or config.rep_email):
        raise gateway.FieldProblem([("$.checkout.rep_email", "is required with notify_rep: the copy is sent there")])


def _with_placeholder(url: str) -> str:
    """Append the placeholder as text: any URL builder would escape its percent signs. Raises ``ValueError``."""
    if "#" in url:
        raise ValueError("a url with a fragment cannot carry the order key")
    return f"{url}{'&' if '?' in url else '?'}key={PLACEHOLDER}"


def _merchant_data(command: gateway.CreatePayment, account: gateway.Account) -> Members:
    """Additional parameters of the account; in link mode who is told, merged last so that nothing replaces it."""
    data: Members = {member.key: member.value for member in gateway.fill(account.fields, command)}
    if mode_of(command.checkout, account.config) == "link":
        told = _notification(command, account.config)
        data |= {account.fields.key(name): value for name, value in told.items()}
    return data


def _notification(command: gateway.CreatePayment, config: CreditKeyConfig) -> Members:
    checkout = command.checkout
    tell_rep = config.notify_rep if checkout.notify_rep is None else checkout.notify_rep
    # Assumed: a JSON boolean is understood. Credit Key's Magento plugin sends the text "true"; one order on staging
    # with a representative's address would settle it.
    flag = "true" if config.rep_flag_as_text else True
    return _given(
        {
            "contact_method": _contact_method(command, config),
            "cc_rep": flag if tell_rep else None,
            "csr": checkout.rep_email or config.rep_email,
        }
    )


def _complete(command: gateway.CompletePayment, _account: gateway.Account) -> Members:
    return {"id": _order_key(command)}


def _confirm(command: gateway.CapturePayment, account: gateway.Account) -> Members:
    """Members of ``confirm_order``. ``charges.grand_total`` is what is captured; an order is confirmed once."""
    changes = _changes(command, account.config.confirm_items_key, account.config)
    return {**changes, "merchant_status": command.merchant_status or "shipped"}


def _update(command: gateway.UpdatePayment, account: gateway.Account) -> Members:
    return _changes(command, "cart_items", account.config)


def _changes(
    command: gateway.CapturePayment | gateway.UpdatePayment, items_key: str, config: CreditKeyConfig
) -> Members:
    order = command.order or gateway.Order()
    return _given(
        {
            "id": _order_key(command),
            "merchant_order_id": command.merchant_reference,
            "merchant_status": command.merchant_status,
            items_key: _cart_items(order.items or ()),
            "charges": _charges_or_total(order.charges, command.money, config),
            "shipping_address": _address(order.shipping_address),
        }
    )


def _cancel(command: gateway.CancelPayment, _account: gateway.Account) -> Members:
    return {"id": _order_key(command)}


def _refund(command: gateway.RefundPayment, _account: gateway.Account) -> Members:
    """Members of ``refund``. ``amount`` is what is given back, not what the order is worth afterwards."""
    return {"id": _order_key(command), "amount": _number(command.money.amount, "$.amount")}


def _order_key(command: gateway.Command) -> str:
    if command.provider_reference is None:
        raise gateway.FieldProblem([("$.provider_reference", "is not known yet")])
    return command.provider_reference


def _given(members: Members) -> Members:
    """Leave out what nobody gave."""
    return {name: value for name, value in members.items() if value}


def _number(amount: Decimal, path: str) -> gateway.JsonNumber:
    try:
        return gateway.JsonNumber(gateway.Money.of(amount, "USD", 2).text())
    except ValueError as problem:
        raise gateway.FieldProblem([(path, str(problem))]) from None


def _cart_items(items: Sequence[gateway.Item]) -> list[Members]:
    return [_cart_item(item, f"$.order.items[{at}].price") for at, item in enumerate(items)]


def _cart_item(item: gateway.Item, path: str) -> Members:
    return {
        "merchant_id": item.merchant_id,
        "name": item.name,
        "price": _number(item.price, path),
        "sku": item.sku,
        "quantity": item.quantity,
        "size": item.size,
        "color": item.color,
    }


def _address(given: gateway.Address | None) -> Members | None:
    """All members of an address; those nobody gave are null, as Credit Key's PHP SDK sends them."""
    return None if given is None else {name: getattr(given, name) for name in ADDRESS}


def _charges(given: gateway.Charges, money: gateway.Money, config: CreditKeyConfig) -> Mapping[str, gateway.JsonNumber]:
    """Charges that come to ``money`` and, unless the account only warns, add up; else ``FieldProblem``.

    Whether Credit Key checks the sum is not documented. Its own Magento module sends sums that do not add up.
    """
    amounts = {name: getattr(given, name) or Decimal(0) for name in CHARGES}
    total, shipping, tax, discount, grand_total = amounts.values()
    if discount < 0:
        raise gateway.FieldProblem([("$.order.charges.discount_amount", "must not be negative")])
    adds_up = total + shipping + tax - discount == grand_total or config.charges_identity == "warn"
    if not adds_up or grand_total != money.amount:
        problem = "must be total + shipping + tax - discount_amount, and the amount"
        raise gateway.FieldProblem([("$.order.charges.grand_total", problem)])
    return {name: _number(amount, f"$.order.charges.{name}") for name, amount in amounts.items()}


def _charges_or_total(
    given: gateway.Charges | None, money: gateway.Money, config: CreditKeyConfig
) -> Mapping[str, gateway.JsonNumber]:
    """Charges that are of this amount, else the amount alone.

    Part of an order may be captured with nobody saying which part of its tax and shipping that is.
    """
    if given is not None and given.grand_total == money.amount:
        return _charges(given, money, config)
    amount = _number(money.amount, "$.amount")
    return {"total": amount, "grand_total": amount}


OPERATIONS: dict[type[gateway.Command], tuple[str, Callable[[Any, gateway.Account], Members]]] = {
    gateway.CreatePayment: ("begin_standalone_checkout", _begin),
    gateway.CompletePayment: ("complete_checkout", _complete),
    gateway.CapturePayment: ("confirm_order", _confirm),
    gateway.CancelPayment: ("cancel_order", _cancel),
    gateway.UpdatePayment: ("update_order", _update),
    gateway.RefundPayment: ("refund", _refund),
}
"""What changes something at Credit Key: its word for the operation, and the members of the body."""
