"""A tenant's section, read -> resolved, with the checks across its accounts and deposit methods, and across tenants.

A check that compares with something that could not be read looks at the names in the tree, so that one mistake stays
one line.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from yaml.nodes import Node, ScalarNode

from gateway.core.body_maps import BodyMap
from gateway.core.money import currency_digits
from gateway.drivers.settings.accounts import AccountScope, Resolver, resolve_account
from gateway.drivers.settings.maps import resolve_maps
from gateway.drivers.settings.model import AccountEntry, DepositMethod, Tenant
from gateway.drivers.settings.problems import Path, unknown_entry
from gateway.drivers.settings.routing import resolve_routing
from gateway.drivers.settings.scalar_reader import INVALID, Invalid, LoadState, Read
from gateway.drivers.settings.schema import DepositShape, LimitsShape, TenantShape
from gateway.drivers.settings.store_target import MAIN
from gateway.drivers.settings.struct_reader import reader_of
from gateway.drivers.settings.yaml_file import names_at, pairs, text_at, value_at

_read: Read = reader_of(TenantShape)


def resolve_tenant(name: str, node: Node, resolver: Resolver) -> Tenant | None:
    """Read and resolve a tenant; problems are noted in the reading. None when it cannot be read at all."""
    shape: TenantShape | Invalid = _read(node, ("tenants", name), resolver.state)
    if shape is INVALID:
        return None
    users = _users_of_accounts(node, resolver.state)
    accounts, written = {}, value_at(node, ("accounts",))
    nodes = {account: (key, value) for account, key, value in (pairs(written) if written else ())}
    for account, entry in shape.accounts.items():
        key, value = nodes[account]
        scope = AccountScope(tenant=name, name=account, key=key, node=value, methods=tuple(users.get(account, ())))
        resolved = resolve_account(scope, entry, resolver)
        if resolved is not None:
            accounts[account] = resolved
    reply_maps = resolve_maps(name, "reply_maps", shape.reply_maps, node, resolver.state)
    known = names_at(node, ("accounts",))
    for method, given in shape.deposit_methods.items():
        _check_method(("tenants", name, "deposit_methods", method), given, known, accounts, resolver)
    return Tenant(
        id=name,
        title=shape.name or name,
        keys=shape.keys,
        return_origins=shape.return_origins,
        rate_limit=shape.rate_limit,
        webhook=shape.webhook,
        accounts=accounts,
        logs_in=any(entry.logs_in for entry in accounts.values()),
        deposit_methods=_methods(shape.deposit_methods, resolver),
        routing=resolve_routing(("tenants", name, "routing"), shape.routing, known, resolver.state),
        request_maps=resolve_maps(name, "request_maps", shape.request_maps, node, resolver.state),
        reply_maps=reply_maps,
        webhook_map=_webhook_map(name, shape, reply_maps, node, resolver.state),
        store=shape.store,
    )


def find_endpoints(tenants: Iterable[Tenant], state: LoadState) -> Mapping[str, AccountEntry]:
    """Index every account by its endpoint id and those before it that are accepted; an id used twice is noted."""
    found: dict[str, AccountEntry] = {}
    for entry in (account for tenant in tenants for account in tenant.accounts.values()):
        for identifier in dict.fromkeys(one.endpoint_id for one in (entry, *entry.earlier)):
            owner = found.setdefault(identifier, entry)
            if owner is not entry:
                path: Path = ("tenants", entry.tenant, "accounts", entry.name, "callback_id")
                state.note(path, f"is already used by account {owner.name} of tenant {owner.tenant}")
    return found


def check_tenants_stores(tenants: Iterable[Tenant], stores: Mapping[str, Any], state: LoadState) -> None:
    """Note each tenant whose store is not one of the settings. ``stores``: members of ``StoreSettings``."""
    known = {stores.get("main_store", MAIN), *stores.get("further_stores", ())}
    for tenant in tenants:
        if tenant.store is not None and tenant.store not in known:
            state.note(("tenants", tenant.id, "store"), unknown_entry("store", tenant.store, known))


def _webhook_map(
    tenant: str, shape: TenantShape, reply_maps: Mapping[str, BodyMap], node: Node, state: LoadState
) -> BodyMap | None:
    """The reply map that the tenant's webhook names; one that does not exist is noted."""
    if shape.webhook is None or shape.webhook.map is None:
        return None
    wanted, known = shape.webhook.map, names_at(node, ("reply_maps",))
    if wanted not in known:
        state.note(("tenants", tenant, "webhook", "map"), unknown_entry("reply map", wanted, known))
    return reply_maps.get(wanted)


def _users_of_accounts(node: Node, state: LoadState) -> dict[str, list[str]]:
    """Account name -> the deposit methods that name it, as written."""
    users: dict[str, list[str]] = {}
    methods = value_at(node, ("deposit_methods",))
    for _, key, method in pairs(methods) if methods else ():
        name = state.text(key) if isinstance(key, ScalarNode) else ""
        users.setdefault(text_at(method, ("account",)) or "", []).append(name)
    return users


def _check_method(
    path: Path, shape: DepositShape, known: Iterable[str], accounts: Mapping[str, AccountEntry], resolver: Resolver
) -> None:
    if shape.account not in known:
        resolver.state.note((*path, "account"), unknown_entry("account", shape.account, known))
    _check_limits((*path, "amount"), shape.amount, resolver.state)
    entry = accounts.get(shape.account)
    for number, currency in enumerate(shape.currencies or ()):
        problem = _problem_of_currency(currency, entry, resolver.currencies)
        if problem:
            resolver.state.note((*path, "currencies", number), problem)
    asked = {field.name for field in entry.account.fields.asked()} if entry else set(shape.fields)
    for name in (name for name in shape.fields if name not in asked):
        rule = entry.provider.fields.get(name) if entry else None
        may_be_asked = rule is not None and rule.source.startswith("customer.")
        hint = f"unknown additional parameter: fields.{name} of the account needs required: true to be asked"
        said = hint if may_be_asked else unknown_entry("additional parameter", name, asked)
        resolver.state.note((*path, "fields", name), said)


def _check_limits(path: Path, limits: LimitsShape, state: LoadState) -> None:
    for name, limit in (("min", limits.min), ("max", limits.max)):
        if limit is not None and limit < 0:
            state.note((*path, name), "must not be negative")
    if limits.min is not None and limits.max is not None and limits.min > limits.max:
        state.note((*path, "min"), "must not be above max")


def _problem_of_currency(code: str, entry: AccountEntry | None, extra: Mapping[str, int]) -> str | None:
    if currency_digits(code, extra) is None:
        hint = f'; did you mean "{code.upper()}"?' if currency_digits(code.upper(), extra) is not None else ""
        return f'unknown currency "{code}": neither ISO 4217 nor listed under currencies{hint}'
    allowed = entry.rules.currencies if entry else None
    return f"{code} is not a currency of account {entry.name}" if entry and allowed and code not in allowed else None


def _methods(given: Mapping[str, DepositShape], resolver: Resolver) -> Mapping[str, DepositMethod]:
    """The deposit methods of a tenant: those of another one that has the same, which are then one object."""
    if id(given) not in resolver.methods:
        made = {name: _method(name, shape) for name, shape in given.items()}
        resolver.methods[id(given)] = (given, made)  # kept, so that no other gets its id
    return resolver.methods[id(given)][1]


def _method(name: str, shape: DepositShape) -> DepositMethod:
    return DepositMethod(
        name=name,
        label=shape.label,
        account=shape.account,
        currencies=shape.currencies,
        min=shape.amount.min,
        max=shape.amount.max,
        fields={field: given.label for field, given in shape.fields.items()},
    )
