"""Which account takes a new payment: the one named, else the deposit method's, else the tenant's only one."""

from __future__ import annotations

from gateway.core.errors import TenantError, invalid
from gateway.core.money import Money
from gateway.core.requests import CreateBody
from gateway.drivers.settings import AccountEntry, DepositMethod, Tenant


def choose(tenant: Tenant, body: CreateBody) -> AccountEntry:
    """Choose the account of a new payment. Raises ``TenantError`` that says which member is wrong."""
    method = _method(tenant, body)
    if method is not None and body.account not in (None, method.account):
        raise invalid(("$.account", f'is not the account of deposit method "{method.name}"'))
    name = body.account or (method.account if method is not None else _only_account(tenant))
    entry = tenant.accounts.get(name)
    if entry is None:
        raise TenantError("unknown_account", f'there is no account "{name}"')
    if not entry.accepts_new:
        raise TenantError("unknown_account", f'account "{name}" does not accept new payments')
    return entry


def check_limits(tenant: Tenant, entry: AccountEntry, body: CreateBody, money: Money) -> None:
    """Check currency and amount against the account's rules and the deposit method. Raises ``TenantError``."""
    allowed = entry.rules.currencies
    if allowed is not None and money.currency not in allowed:
        raise TenantError("currency_not_supported", f'account "{entry.name}" takes {", ".join(sorted(allowed))} only')
    method = _method(tenant, body)
    if method is None:
        return
    if method.currencies is not None and money.currency not in method.currencies:
        raise TenantError("currency_not_supported", f'deposit method "{method.name}" does not take {money.currency}')
    if method.min is not None and money.amount < method.min:
        raise invalid(("$.amount", f'deposit method "{method.name}" takes at least {method.min}'))
    if method.max is not None and money.amount > method.max:
        raise invalid(("$.amount", f'deposit method "{method.name}" takes at most {method.max}'))


def _method(tenant: Tenant, body: CreateBody) -> DepositMethod | None:
    if body.deposit_method is None:
        return None
    method = tenant.deposit_methods.get(body.deposit_method)
    if method is None:
        raise TenantError("deposit_method_not_found", f'there is no deposit method "{body.deposit_method}"')
    return method


def _only_account(tenant: Tenant) -> str:
    if len(tenant.accounts) != 1:
        raise TenantError("no_route", "name an account or a deposit_method")
    return next(iter(tenant.accounts))
