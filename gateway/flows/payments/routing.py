"""Which account takes a new payment: the one named, else the deposit method's, else what the tenant's routing rules
say, else its only one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from gateway.core.errors import FieldError, TenantError, invalid
from gateway.core.expressions import Expression, TooManySteps
from gateway.core.request_bodies import CreateBody
from gateway.core.wording import joined_with_or
from gateway.drivers.settings import AccountEntry, DepositMethod, RoutingRule, Tenant


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The account a payment begins with, and those that may follow if its create was not sent."""

    entry: AccountEntry
    fallback: tuple[AccountEntry, ...] = ()


def choose(tenant: Tenant, body: CreateBody) -> Route:
    """Choose the account of a new payment. Raises ``TenantError`` that says which member is wrong.

    Only a routing rule has a fallback; it holds the accounts that take new payments of this currency and capture them
    as asked for. Where the rule's own account is retired, the first of them takes its place.
    """
    method = _method(tenant, body)
    if method is not None and body.account not in (None, method.account):
        raise invalid(("$.account", f'is not the account of deposit method "{method.name}": leave one of them out'))
    named = body.account or (method.account if method is not None else None)
    rule = RoutingRule(account=named) if named is not None else _rule(tenant, body)
    entry = tenant.accounts.get(rule.account)
    if entry is None:
        known = _open_accounts(tenant)
        raise TenantError("unknown_account", f'there is no account "{rule.account}"; known are {known}')
    able = [tenant.accounts[name] for name in rule.fallback if _takes(tenant.accounts[name], body)]
    chain = (entry, *able) if entry.accepts_new else tuple(able)
    if not chain:
        others = f"these do: {_open_accounts(tenant)}"
        detail = f'account "{entry.name}" does not accept new payments; {others}'
        by_method = method is not None and body.account is None
        culprit = FieldError(field="$.deposit_method" if by_method else "$.account", message=detail)
        raise TenantError("unknown_account", detail, errors=[culprit])
    return Route(entry=chain[0], fallback=chain[1:])


def check_limits(tenant: Tenant, entry: AccountEntry, body: CreateBody) -> None:
    """Check currency and amount against the account's rules and the deposit method. Raises ``TenantError``.

    A currency or amount that is None could not be read, and is not checked.
    """
    method = _method(tenant, body)
    takers: list[tuple[str, Collection[str] | None]] = [(f'account "{entry.name}"', entry.rules.currencies)]
    takers += [(f'deposit method "{method.name}"', method.currencies)] if method is not None else []
    for taker, allowed in takers:
        if allowed is not None and body.currency is not None and body.currency not in allowed:
            only = ", ".join(sorted(allowed))
            raise TenantError("currency_not_supported", f"{taker} does not take {body.currency}; it takes {only} only")
    if method is None or body.amount is None:
        return
    if method.min is not None and body.amount < method.min:
        raise invalid(("$.amount", f'deposit method "{method.name}" takes at least {method.min}'))
    if method.max is not None and body.amount > method.max:
        raise invalid(("$.amount", f'deposit method "{method.name}" takes at most {method.max}'))


def check_capture(entry: AccountEntry, body: CreateBody) -> None:
    """Check that the account can capture as asked for. Raises ``unsupported_by_provider``."""
    modes = entry.rules.capture_modes
    if body.capture is not None and body.capture not in modes:
        able = f"takes {joined_with_or(sorted(modes))} only" if modes else "cannot be told when to capture"
        detail = f'account "{entry.name}" {able}: leave it out, or name another account'
        raise invalid(("$.capture", detail), code="unsupported_by_provider")


def _open_accounts(tenant: Tenant) -> str:
    """The accounts that take new payments, as a sentence lists them."""
    return ", ".join(entry.name for entry in tenant.accounts.values() if entry.accepts_new) or "none"


def _method(tenant: Tenant, body: CreateBody) -> DepositMethod | None:
    if body.deposit_method is None:
        return None
    method = tenant.deposit_methods.get(body.deposit_method)
    if method is None:
        known = ", ".join(tenant.deposit_methods) or "none"
        detail = f'there is no deposit method "{body.deposit_method}"; known are {known}'
        raise TenantError("deposit_method_not_found", detail)
    return method


def _rule(tenant: Tenant, body: CreateBody) -> RoutingRule:
    """The first rule that matches, else one to the tenant's only account.

    A rule whose expression cannot be searched to its end may be the one that matches: the payment is refused.
    """
    seen = msgspec.to_builtins(body, enc_hook=_amount_text)
    for number, rule in enumerate(tenant.routing):
        try:
            if rule.when is None or _holds(rule.when, seen):
                return rule
        except TooManySteps as stopped:
            raise TenantError("no_route", f"routing rule [{number}]: when {stopped}") from None
    if len(tenant.accounts) != 1:
        methods = f" or a deposit_method ({', '.join(tenant.deposit_methods)})" if tenant.deposit_methods else ""
        raise TenantError("no_route", f"no routing rule fits: name an account ({_open_accounts(tenant)}){methods}")
    return RoutingRule(account=next(iter(tenant.accounts)))


def _holds(when: Expression, seen: dict[str, Any]) -> bool:
    """Whether JMESPath calls the answer true: nothing, false and what is empty are not, zero is."""
    found = when.search(seen)
    return found is not False and found not in (None, "", [], {})


def _takes(entry: AccountEntry, body: CreateBody) -> bool:
    currencies = entry.rules.currencies
    is_of_currency = currencies is None or body.currency in currencies
    return entry.accepts_new and is_of_currency and body.capture in (None, *entry.rules.capture_modes)


def _amount_text(value: object) -> str:
    """An amount as the tenant wrote it: ``str`` would give a small one an exponent."""
    return f"{value:f}"
