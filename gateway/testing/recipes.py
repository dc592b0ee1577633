"""The commands that the kit gives a plugin, made of a few words: a name, money, and which of a few payments.

Everything in them is fixed, so that an author may sign samples by hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from gateway.core.commands import (
    KIND_OF,
    Address,
    Charges,
    Checkout,
    Command,
    CreatePayment,
    Customer,
    FetchPayment,
    Item,
    Kind,
    OpenOperation,
    Order,
)
from gateway.core.money import Amount, Money, currency_digits
from gateway.core.payment_urls import Urls

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
"""The time of every command and callback, unless a sample says another."""

BASE = "https://gateway.example/v1/callbacks/kit-endpoint-0123456789"
_KINDS: tuple[type[Command], ...] = (*KIND_OF, FetchPayment)
COMMANDS: Mapping[str, type[Command]] = {kind.__name__: kind for kind in _KINDS}
"""The commands by the names that samples use."""

EXTRA_DIGITS: Mapping[str, int] = {"USDT": 6}


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A command in words. ``payment`` numbers the kit's payments; ``unnamed``: the provider has not named it yet;
    ``memory``: what the gateway keeps; ``opened``: the kind of the operation that a lookup asks about; ``operation``
    numbers the operations of all payments, by default as the payment."""

    command: str
    money: str
    payment: int = 1
    unnamed: bool = False
    memory: dict[str, str] = {}
    opened: Kind | None = None
    operation: int | None = None

    def __str__(self) -> str:
        return f"{self.command} {self.money}"


def command_name(text: str) -> str | None:
    """The name of a command in any of its forms: ``CreatePayment``, ``create``, ``create_payment``; None: unknown."""
    wanted = text.replace("_", "").replace("-", "").lower().removesuffix("payment")
    return next((name for name in COMMANDS if name.lower().removesuffix("payment") == wanted), None)


def money_of(text: str, currencies: Mapping[str, int] = EXTRA_DIGITS) -> Money:
    """Read ``USD 10.00``. Raises ``ValueError`` that says what would be right."""
    currency, _, amount = text.partition(" ")
    digits = currency_digits(currency, currencies)
    if digits is None or not amount:
        raise ValueError(f'"{text}" must be a currency and an amount such as "USD 10.00"')
    return Money.of(Amount.read(amount), currency, digits)


def ids_of(payment: int = 1) -> dict[str, str]:
    """What the placeholders of samples stand for."""
    number = f"{payment:032x}"
    return {
        "payment_id": f"pay_{number}",
        "operation_id": f"op_{number}",
        "merchant_reference": f"KIT-{1000 + payment}",
        "provider_reference": f"kit-provider-{payment}",
        "callback_url": BASE,
    }


def command_of(recipe: Recipe) -> Command:
    """Make the command."""
    kind, money, ids = COMMANDS[recipe.command], money_of(recipe.money), ids_of(recipe.payment)
    operation_id = ids_of(recipe.operation or recipe.payment)["operation_id"]
    is_new = recipe.unnamed or kind is CreatePayment
    members: dict[str, Any] = {
        "payment_id": ids["payment_id"],
        "merchant_reference": ids["merchant_reference"],
        "provider_reference": None if is_new else ids["provider_reference"],
        "money": money,
        "at": AT,
        "memory": recipe.memory,
        "operation_id": operation_id,
        "customer": CUSTOMER,
        "order": order_of(money),
        "checkout": Checkout(),
        "fields": {},
        "metadata": {"kit": "kit-metadata"},
        "urls": urls_of(),
        "merchant_status": "shipped",
        "reason": "kit-reason",
        "open_operation": _opened(recipe.opened, money, operation_id),
    }
    return kind(**{name: members[name] for name in kind.__struct_fields__ if name in members})


def _opened(kind: Kind | None, money: Money, operation_id: str) -> OpenOperation | None:
    return None if kind is None else OpenOperation(id=operation_id, kind=kind, money=money)


def urls_of() -> Urls:
    """The gateway's addresses, as a payment has them."""
    return Urls(
        callback=BASE, return_=f"{BASE}/return/kit", cancel=f"{BASE}/cancel/kit", complete=f"{BASE}/complete/kit"
    )


def order_of(money: Money) -> Order:
    """An order of one item whose charges come to the amount."""
    amount = Amount(money.amount)
    item = Item(merchant_id="kit-item", name="Kit item", price=amount, quantity=1, sku="KIT-SKU", size="M", color="red")
    zero = Amount(Decimal(0))
    charges = Charges(total=amount, grand_total=amount, shipping=zero, tax=zero, discount_amount=zero)
    return Order(items=[item], charges=charges, billing_address=ADDRESS, shipping_address=ADDRESS)


# Texts that no other member has: what is found in a request came from there.
CUSTOMER = Customer(
    id="cust-4711",
    name="Wanda Quist",
    email="wq1899@postfach.example",
    phone="+12025550123",
    nationality="us",
    language="en-us",
    device="pc",
)
ADDRESS = Address(
    first_name="Bertil",
    last_name="Quist",
    company_name="Quist Hardware",
    email="bq1901@postfach.example",
    address1="17 Juniper Alley",
    address2="Floor 23",
    city="Oslo",
    state="NY",
    zip="10001",
    phone_number="+12025550124",
)
