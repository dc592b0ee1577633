"""Tenants' routes for what a front end reads before a payment: accounts and deposit methods."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from gateway.core.commands import KIND_OF, CaptureMode, Kind
from gateway.core.errors import invalid
from gateway.core.field_values import Field
from gateway.core.money import Amount, as_written
from gateway.core.view_types import AmountText, Link
from gateway.drivers.settings import AccountEntry, DepositMethod, Tenant
from gateway.flows.payments.create_validation import digits_of
from gateway.flows.runtime import Gateway
from gateway.web.query_parameters import parameters
from gateway.web.request import TenantCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

CommandName = Annotated[str, Meta(extra_json_schema={"enum": [*Kind, "fetch"]})]

_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "m"),
    (timedelta(seconds=1), "s"),
)


class ChoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a closed list."""

    value: Annotated[str, Meta(description="The value when a payment is created.")]
    label: Annotated[str, Meta(description="What the customer reads.")]


class FieldView(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the customer: an additional parameter, or a member of `customer` that the account requires."""

    name: Annotated[str, Meta(description="The member of `fields` when a payment is created.")]
    label: Annotated[str, Meta(description="What the customer reads.")]
    required: Annotated[bool, Meta(description="Whether it is required.")]
    max_length: Annotated[int, Meta(description="The maximum number of characters.")]
    pattern: Annotated[
        str | None, Meta(description="A regular expression (RE2) that the whole value must match; null for none.")
    ]
    choices: (
        Annotated[list[ChoiceView], Meta(description="The only values it takes; absent where it takes any.")]
        | UnsetType
    ) = UNSET


class AmountView(msgspec.Struct, frozen=True, kw_only=True):
    """An amount as decimal text, and its currency."""

    amount: Annotated[AmountText, Meta(description="Decimal text in major units.")]
    currency: Annotated[str, Meta(description="The currency.")]


class LimitsView(msgspec.Struct, frozen=True, kw_only=True):
    """The provider's limits."""

    max_increase: Annotated[
        AmountView | None, Meta(description="By how much updates may raise the amount; null for no limit.")
    ]
    capture_deadline: Annotated[
        str | None,
        Meta(description="How long after the authorization a capture is possible, such as `30d`; null for no limit."),
    ]


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """One account of the tenant."""

    name: Annotated[str, Meta(description="The account.")]
    provider: Annotated[str, Meta(description="Its provider.")]
    commands: Annotated[list[CommandName], Meta(description="The commands that the provider supports.")]
    currencies: Annotated[list[str] | None, Meta(description="The currencies it accepts; null for all.")]
    limits: Annotated[LimitsView, Meta(description="The provider's limits.")]
    captures: Annotated[
        Literal["one", "many"], Meta(description="Whether the amount is captured once or may be in parts.")
    ]
    capture_modes: Annotated[
        list[CaptureMode], Meta(description="What `capture` of a create may ask for; empty where it cannot be asked.")
    ]
    fields: Annotated[list[FieldView], Meta(description="What is asked of the customer.")]
    public: Annotated[Mapping[str, str], Meta(description="The credentials that the provider declares public.")]
    callback_url: Annotated[Link, Meta(description="Where the provider sends its callbacks.")]
    accepts_new: Annotated[bool, Meta(description="Whether it accepts new payments.")]


class AccountList(msgspec.Struct, frozen=True, kw_only=True):
    """All accounts of the tenant."""

    data: Annotated[list[AccountView], Meta(description="The accounts.")]


class AmountRange(msgspec.Struct, frozen=True, kw_only=True):
    """The smallest and the largest amount, in major units."""

    min: Annotated[AmountText | None, Meta(description="The smallest amount; null for no limit.")]
    max: Annotated[AmountText | None, Meta(description="The largest amount; null for no limit.")]


class DepositMethodView(msgspec.Struct, frozen=True, kw_only=True):
    """One way a customer can pay."""

    name: Annotated[str, Meta(description="The `deposit_method` when a payment is created.")]
    label: Annotated[str, Meta(description="What the customer reads.")]
    currencies: Annotated[list[str] | None, Meta(description="The currencies it accepts; null for all.")]
    amount: Annotated[AmountRange, Meta(description="The amounts it accepts.")]
    fields: Annotated[list[FieldView], Meta(description="What else is asked of the customer.")]


class DepositMethodList(msgspec.Struct, frozen=True, kw_only=True):
    """The ways a customer can pay, in the order of the settings."""

    data: Annotated[list[DepositMethodView], Meta(description="The deposit methods.")]


async def accounts(call: TenantCall) -> Reply:
    """``GET /v1/accounts``: of credentials only what the provider declares public."""
    shown = [_account(call.gw, entry) for entry in call.tenant.accounts.values()]
    return Reply(view=AccountList(data=shown))


async def deposit_methods(call: TenantCall) -> Reply:
    """``GET /v1/deposit-methods``: those that take this currency and amount, and whose account takes new payments."""
    query, tenant = call.query, call.tenant
    currency = query["currency"].upper() if "currency" in query else None
    digits = None if currency is None else digits_of(call.gw, currency, "currency")
    amount = amount_of(query.get("amount"), digits)
    shown = [
        _method(method, tenant.accounts[method.account], query.get("lang"))
        for method in tenant.deposit_methods.values()
        if tenant.accounts[method.account].accepts_new and _takes(method, tenant, currency, amount)
    ]
    return Reply(view=DepositMethodList(data=shown))


def amount_of(given: str | None, digits: int | None) -> Decimal | None:
    """A query's amount; ``digits`` are the decimals of its currency, if it is named. Raises ``validation_failed``."""
    if given is None:
        return None
    try:
        amount = Amount.read(given)
        if digits is not None:
            as_written(amount, digits)
    except ValueError as problem:
        raise invalid(("amount", str(problem))) from None
    if amount.is_signed():
        raise invalid(("amount", "must not be negative"))
    return amount


def label_in(labels: Mapping[str, str], language: str | None, name: str) -> str:
    """A label in a language, falling back to it without region, then English, then the name; ``de_AT`` is ``de-at``."""
    wanted = _tag(language or "")
    by_language = {_tag(key): text for key, text in labels.items()}
    for choice in (wanted, wanted.partition("-")[0], "en"):
        if choice in by_language:
            return by_language[choice]
    return name


def _tag(language: str) -> str:
    return language.lower().replace("_", "-")


def duration_text(length: timedelta) -> str:
    """A duration as the settings write it, in the largest unit that fits it exactly."""
    for unit, text in _UNITS:
        if length % unit == timedelta(0):
            return f"{length // unit}{text}"
    return f"{length // timedelta(milliseconds=1)}ms"


def _takes(method: DepositMethod, tenant: Tenant, currency: str | None, amount: Decimal | None) -> bool:
    allowed = method.currencies
    rules = tenant.accounts[method.account].rules.currencies
    if currency is not None and allowed is not None and currency not in allowed:
        return False
    if currency is not None and rules is not None and currency not in rules:
        return False
    if amount is None:
        return True
    return (method.min is None or amount >= method.min) and (method.max is None or amount <= method.max)


def _method(method: DepositMethod, entry: AccountEntry, language: str | None) -> DepositMethodView:
    return DepositMethodView(
        name=method.name,
        label=label_in(method.label, language, method.name),
        currencies=list(method.currencies) if method.currencies is not None else None,
        amount=AmountRange(min=_text(method.min), max=_text(method.max)),
        fields=[
            _field(field, {**field.label, **method.fields.get(field.name, {})}, language)
            for field in entry.account.fields.asked()
        ],
    )


def _account(gw: Gateway, entry: AccountEntry) -> AccountView:
    commands = entry.provider.commands
    increase, deadline = entry.rules.max_increase, entry.rules.capture_deadline
    return AccountView(
        name=entry.name,
        provider=entry.provider.name,
        commands=[str(kind) for command, kind in KIND_OF.items() if command in commands]
        + (["fetch"] if entry.can_look_up else []),
        currencies=sorted(entry.rules.currencies) if entry.rules.currencies is not None else None,
        limits=LimitsView(
            max_increase=AmountView(amount=increase.text(), currency=increase.currency) if increase else None,
            capture_deadline=duration_text(deadline) if deadline is not None else None,
        ),
        captures=entry.rules.captures,
        capture_modes=[mode for mode in ("now", "later") if mode in entry.rules.capture_modes],
        fields=[_field(field, field.label, "en") for field in entry.account.fields.asked()],
        public={name: text for name, text in entry.credentials.items() if isinstance(text, str)},
        callback_url=gw.callback_url(entry),
        accepts_new=entry.accepts_new,
    )


def _field(field: Field, labels: Mapping[str, str], language: str | None) -> FieldView:
    return FieldView(
        name=field.name,
        label=label_in(labels, language, field.name),
        required=field.required,
        max_length=field.max_length,
        pattern=field.pattern,
        choices=[ChoiceView(value=value, label=label_in(of, language, value)) for value, of in field.choices.items()]
        or UNSET,
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else f"{amount:f}"


_VIP_CODE = FieldView(name="custom_1", label="VIP code", required=False, max_length=40, pattern="[A-Z]+")
_ACCOUNTS = AccountList(
    data=[
        AccountView(
            name="psp-main",
            provider="psp_open_api",
            commands=["create"],
            currencies=None,
            limits=LimitsView(max_increase=None, capture_deadline=None),
            captures="one",
            capture_modes=[],
            fields=[_VIP_CODE],
            public={"merchant_id": "2f0445ef-5ac6-4bdc-9431-facf173c7657"},
            callback_url="https://pay.example/callbacks/uLrv5_QKcWTtIy_ChvuheftDr54w-0P91NYyEdmbZyw",
            accepts_new=True,
        ),
        AccountView(
            name="creditkey-main",
            provider="creditkey",
            commands=["create", "complete", "capture", "cancel", "update", "refund", "fetch"],
            currencies=["USD"],
            limits=LimitsView(max_increase=AmountView(amount="100.00", currency="USD"), capture_deadline="30d"),
            captures="one",
            capture_modes=[],
            fields=[],
            public={},
            callback_url="https://pay.example/callbacks/CmE5vQJ8WbdlEOQl2nC64NY5Pq7IL43kNMbquw-NDyg",
            accepts_new=True,
        ),
    ]
)
_DEPOSIT_METHODS = DepositMethodList(
    data=[
        DepositMethodView(
            name="bank",
            label="Bank transfer",
            currencies=["USD", "EUR"],
            amount=AmountRange(min="10.00", max="5000.00"),
            fields=[replace(_VIP_CODE, label="Your VIP code")],
        )
    ]
)

ROUTES: tuple[Route[TenantCall], ...] = (
    Route(
        method="GET",
        path="/v1/accounts",
        handler=accounts,
        name="listAccounts",
        tag="Accounts",
        summary="List accounts",
        text="The tenant's accounts, what their providers support, and what they ask of the customer.",
        answers={200: _ACCOUNTS},
    ),
    Route(
        method="GET",
        path="/v1/deposit-methods",
        handler=deposit_methods,
        query=parameters(
            currency="Only methods that accept this currency.",
            amount="Only methods that accept this amount.",
            lang="The language of the labels, such as `de` or `de-at`.",
        ),
        name="listDepositMethods",
        tag="Accounts",
        summary="List deposit methods",
        text="The ways a customer can pay, with labels in one language. Methods that do not accept the currency or the"
        " amount are left out.",
        answers={200: _DEPOSIT_METHODS},
        codes=("validation_failed", "currency_not_supported"),
    ),
)
"""The routes for accounts and deposit methods."""
