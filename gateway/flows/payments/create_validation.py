"""Validate a create as far as that needs neither store nor provider: one error names everything that is wrong.

A correct create is checked once and fast; only where something is wrong, each part is checked by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial

from msgspec.structs import replace

from gateway.core.card_data import refuse_card_data
from gateway.core.commands import Checkout, CreatePayment, Customer, Item, Order
from gateway.core.errors import FieldError, ProviderError, TenantError, invalid, merged, refusals_of
from gateway.core.money import Money, currency_digits
from gateway.core.payment_urls import Urls
from gateway.core.request_bodies import CreateBody
from gateway.core.validation import add_up, order_problems, total_problems, url_problems
from gateway.drivers.settings import AccountEntry, Tenant
from gateway.flows.payments import routing
from gateway.flows.plugin import calls
from gateway.flows.runtime import Gateway, log

PLACEHOLDER_MONEY = Money(Decimal("1.00"), "USD", 2)
"""What a payment is of while its own amount or currency cannot be used."""

MONEY_MEMBERS = ("$.amount", "$.currency", "$.order.charges")
"""Members whose problems say nothing while the payment is of the stand-in."""


def check_create(gw: Gateway, tenant: Tenant, body: CreateBody, idempotency_key: str) -> tuple[routing.Route, Money]:
    """Check everything a create says, and choose its account. Raises ``TenantError``."""
    try:
        refuse_card_data(body, idempotency_key)
        digits = digits_of(gw, body.currency)
        route = routing.choose(tenant, body)
        check_members(tenant, route.entry, body, digits)
        routing.check_limits(tenant, route.entry, body)
        routing.check_capture(route.entry, body)
    except TenantError as first:
        raise merged(*content_refusals(gw, tenant, body, idempotency_key), first) from None
    return route, Money.of(Decimal(body.amount), body.currency, digits)


def content_refusals(gw: Gateway, tenant: Tenant, body: CreateBody, idempotency_key: str) -> list[TenantError]:
    """Everything that is wrong with the content of a create.

    Members that are None although they are mandatory could not be read: what depends on them is not checked.
    """
    known = None if body.currency is None else currency_digits(body.currency, gw.settings.currencies)
    entry = _entry(tenant, body)
    of_account: list[Callable[[], None]] = []
    if entry is not None:
        of_account = [partial(routing.check_limits, tenant, entry, body), partial(routing.check_capture, entry, body)]
    return [
        *refusals_of(
            partial(refuse_card_data, body, idempotency_key),
            partial(check_currency, gw, body.currency),
            partial(check_members, tenant, entry, body, known),
            partial(check_names, tenant, body),
            *of_account,
        ),
        *(_refused_by_plugin(gw, entry, body, known) if entry is not None else []),
    ]


def digits_of(gw: Gateway, currency: str, field: str = "$.currency") -> int:
    """The decimals of a currency. Raises ``currency_not_supported``, which names ``field``."""
    digits = currency_digits(currency, gw.settings.currencies)
    if digits is None:
        problem = f"currency {currency} is not supported; use a code such as USD"
        raise TenantError("currency_not_supported", problem, errors=[FieldError(field=field, message=problem)])
    return digits


def check_currency(gw: Gateway, currency: str | None) -> None:
    """Check that a currency is known, where it could be read."""
    if currency is not None:
        digits_of(gw, currency)


def check_members(tenant: Tenant, entry: AccountEntry | None, body: CreateBody, digits: int | None) -> None:
    """Check amounts and addresses; ``digits`` is None where the currency is not known. Raises ``TenantError``."""
    identity = entry is None or entry.rules.charges_identity
    problems = [
        *total_problems("$.amount", body.amount, digits),
        *order_problems(body.order, digits, body.amount, identity=identity),
        *url_problems("$.return_url", body.return_url, tenant.return_origins),
        *url_problems("$.cancel_url", body.cancel_url, tenant.return_origins),
    ]
    if problems:
        raise invalid(*problems)


def note_charges(entry: AccountEntry, order: Order | None) -> None:
    """Tell operators of charges that do not add up and are passed on all the same, since the account says so."""
    if order is not None and not add_up(order.charges):
        where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
        log.warning("charges do not add up", extra=where)


def check_names(tenant: Tenant, body: CreateBody) -> None:
    """Check that the named account and deposit method exist; that a rule finds one, where the body can be used."""
    named = [replace(body, deposit_method=None)] if body.account is not None else []
    if body.account is not None or body.deposit_method is not None or _is_whole(body):
        refusals = refusals_of(*(partial(routing.choose, tenant, one) for one in (body, *named)))
        if refusals:
            raise merged(*refusals)


def _is_whole(body: CreateBody) -> bool:
    return None not in (body.merchant_reference, body.amount, body.currency)


def _entry(tenant: Tenant, body: CreateBody) -> AccountEntry | None:
    """The account, where the body leads to one."""
    with contextlib.suppress(TenantError):
        return routing.choose(tenant, body).entry
    return None


def _refused_by_plugin(gw: Gateway, entry: AccountEntry, body: CreateBody, digits: int | None) -> list[TenantError]:
    """What the account's fields and its provider refuse besides. One that logs in is not tried without a session."""
    if entry.logs_in:
        return []
    try:
        money = Money.of(Decimal(body.amount), body.currency, digits) if digits is not None else PLACEHOLDER_MONEY
    except (ValueError, TypeError):
        money = PLACEHOLDER_MONEY
    try:
        calls.build_create(gw, entry, entry.account, _trial(gw, entry, body, money))
    except ProviderError:
        return []
    except TenantError as refusal:
        of_itself = [
            one for one in refusal.errors if money is not PLACEHOLDER_MONEY or not one.field.startswith(MONEY_MEMBERS)
        ]
        return [TenantError(refusal.code, refusal.detail, errors=of_itself)] if of_itself else []
    return []


def _trial(gw: Gateway, entry: AccountEntry, body: CreateBody, money: Money) -> CreatePayment:
    """The command as it would be, of what could be read."""
    base = gw.callback_url(entry)
    return CreatePayment(
        payment_id="pay_",
        merchant_reference=body.merchant_reference or "-",
        provider_reference=None,
        money=money,
        at=gw.clock.now(),
        operation_id="op_",
        customer=body.customer or Customer(),
        order=_readable_order(body.order or Order()),
        checkout=body.checkout or Checkout(),
        fields=_texts(body.fields),
        metadata=_texts(body.metadata),
        urls=Urls(callback=base, return_=base, cancel=base, complete=base),
        capture=body.capture,
    )


def _readable_order(order: Order) -> Order:
    """The order without what a plugin could not read: items and charges that lack a mandatory member."""
    items, charges = order.items, order.charges
    if any(item is None or None in _mandatory(item) for item in items or ()):
        items = None
    if charges is not None and None in (charges.total, charges.grand_total):
        charges = None
    return replace(order, items=items, charges=charges)


def _mandatory(item: Item) -> tuple[object, ...]:
    return item.merchant_id, item.name, item.price, item.quantity


def _texts(given: Mapping[str, str] | None) -> dict[str, str]:
    return {name: text for name, text in (given or {}).items() if text is not None}
