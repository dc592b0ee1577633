"""An account's entry, read -> resolved: its provider, config, fields, derived secrets, rules and endpoint id."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec.structs import replace
from yaml.nodes import Node, ScalarNode

from gateway.core.checks import something
from gateway.core.commands import FetchPayment
from gateway.core.errors import fault_of
from gateway.core.field_mapping import compile_map
from gateway.core.field_values import FieldMap
from gateway.core.map_checks import PaymentSeen, problem_of_reading
from gateway.core.plugin_returns import CREDENTIALS, RULES, UnusableValue, checked
from gateway.core.rules import Policy, Rules, contradiction
from gateway.core.secret import Secret
from gateway.drivers.settings.model import AccountEntry, Clocks, DepositMethod, Derivation, Timeouts
from gateway.drivers.settings.problems import Path, unknown_entry
from gateway.drivers.settings.scalar_reader import INVALID, LoadState
from gateway.drivers.settings.schema import AccountShape, DepositShape, FieldChanges, TlsShape
from gateway.drivers.settings.struct_reader import config_reader, masked_message, note_struct_error
from gateway.drivers.settings.yaml_file import nothing, pairs, place_of, value_at
from gateway.drivers.tls import ClientTls
from gateway.provider import Account, Provider

_MEMBER_MEANT = {
    "is mandatory": "enabled",
    "key ": "key",
    "max_length ": "max_length",
    "pattern ": "pattern",
    "from: ": "from",
    "choices: ": "choices",
    "values: ": "values",
    "value: ": "value",
}
"""How the core's words about a field begin -> the member of the entry they are about."""


class Resolver(msgspec.Struct, frozen=True, kw_only=True):
    """What every account is resolved with. What many of them share is kept once: field maps, lines, methods, rules."""

    state: LoadState
    providers: Mapping[str, Provider]
    currencies: Mapping[str, int]
    clocks: Clocks
    timeouts: Timeouts
    secrets: tuple[Secret, ...]
    fields: dict[tuple[str, int], tuple[FieldChanges, FieldMap]] = msgspec.field(default_factory=dict)
    field_lines: dict[tuple[tuple[str, int], ...], Mapping[str, int]] = msgspec.field(default_factory=dict)
    methods: dict[int, tuple[Mapping[str, DepositShape], Mapping[str, DepositMethod]]] = msgspec.field(
        default_factory=dict
    )
    rules: dict[str, Rules] = msgspec.field(default_factory=dict)
    tls: dict[TlsShape, ClientTls] = msgspec.field(default_factory=dict)


class AccountScope(msgspec.Struct, frozen=True, kw_only=True):
    """Which account: its tenant's id, its name, its key and value in the tree, the deposit methods that name it."""

    tenant: str
    name: str
    key: Node
    node: Node
    methods: tuple[str, ...]

    def path(self, *steps: str) -> Path:
        """The path of something in this account."""
        return ("tenants", self.tenant, "accounts", self.name, *steps)


def resolve_account(scope: AccountScope, shape: AccountShape, resolver: Resolver) -> AccountEntry | None:
    """Resolve one account; None after noting the problems that prevent it."""
    provider = resolver.providers.get(shape.provider)
    if provider is None:
        resolver.state.note(scope.path("provider"), unknown_entry("provider", shape.provider, resolver.providers))
        return None
    derive = _derivation(scope, shape, resolver.secrets)
    account = _account(scope, shape, provider, resolver, derive)
    rules = _rules(scope, provider, account, resolver) if account else None
    credentials = _credentials(scope, provider, account, resolver) if account else None
    tls = _tls(scope, shape.tls, resolver)
    if account is None or rules is None or credentials is None or tls is INVALID:
        return None
    if rules.deposit_method_required and shape.accepts_new and not scope.methods:
        resolver.state.note(scope.path(), "must be named by a deposit method, or have accepts_new: false")
    entry = AccountEntry(
        tenant=scope.tenant,
        name=scope.name,
        provider=provider,
        account=account,
        rules=rules,
        policy=_policy(provider, rules, resolver.clocks),
        endpoint_id=shape.callback_id or endpoint_id(account),
        accepts_new=shape.accepts_new,
        generation=shape.generation,
        accept_previous=shape.accept_previous,
        provider_total=shape.provider_total or resolver.timeouts.provider_total,
        secret=derive.master,
        credentials=credentials,
        deposit_methods=scope.methods,
        **_places_of_fields(scope, resolver),
        tls=tls,
    )
    return _with_earlier(scope, entry, derive, resolver) if derive.earlier else entry


def _derivation(scope: AccountScope, shape: AccountShape, secrets: tuple[Secret, ...]) -> Derivation:
    """What the account's secrets are derived from, with what they were derived from before and is still accepted."""
    before = 1 if shape.accept_previous and shape.generation > 1 else 0
    newest, *earlier = [
        Derivation(
            master=secret,
            tenant=scope.tenant,
            account=scope.name,
            generation=shape.generation - age,
            name=", ".join(["generation before"] * age + [f"server.secrets[{number}]"] * (number > 0)),
        )
        for number, secret in enumerate(secrets)
        for age in range(before + 1)
    ]
    return replace(newest, earlier=tuple(earlier))


def _with_earlier(
    scope: AccountScope, entry: AccountEntry, derive: Derivation, resolver: Resolver
) -> AccountEntry | None:
    """The entry with those of what it was derived from before, each of which also knows today's secrets.

    None after noting why the plugin cannot prepare or describe one.
    """

    def prepared(derived: Derivation) -> Account | None:
        return _prepared(scope, entry.provider, replace(entry.account, derive=derived), resolver)

    today = replace(derive, earlier=())
    alone, is_derived = prepared(today), entry.endpoint_id == endpoint_id(entry.account)
    found = []
    for one in derive.earlier:
        account = prepared(replace(one, earlier=(today,)))
        credentials = _credentials(scope, entry.provider, account, resolver) if account else None
        if account is None or credentials is None:
            return None
        changed = {"account": account, "credentials": credentials, "secret": one.master, "generation": one.generation}
        endpoint = endpoint_id(account) if is_derived else entry.endpoint_id
        found.append(replace(entry, **changed, endpoint_id=endpoint, name_of_earlier=one.name))
    return replace(entry, earlier=tuple(found), alone=alone) if alone else None


def _places_of_fields(scope: AccountScope, resolver: Resolver) -> dict[str, Any]:
    """``file``, ``line`` and ``field_lines`` of an account; one mapping of lines for all that are laid out alike."""
    fields = value_at(scope.node, ("fields",))
    keys = [key for _, key, _ in pairs(fields) if isinstance(key, ScalarNode)] if fields is not None else []
    if not keys:
        return {}
    file, line = place_of(keys[0])
    below = tuple([(key.value, place_of(key)[1] - line) for key in keys])
    if below not in resolver.field_lines:
        resolver.field_lines[below] = {
            resolver.state.text(key): lines for key, (_, lines) in zip(keys, below, strict=True)
        }
    return {"file": file, "line": line, "field_lines": resolver.field_lines[below]}


def _policy(provider: Provider, rules: Rules, clocks: Clocks) -> Policy:
    return Policy(
        rules=rules,
        lookups=FetchPayment in provider.commands,
        grace=clocks.late_grace,
        quiet_period=clocks.quiet_period,
        expiry=rules.expires_after or clocks.payment_expiry,
    )


def endpoint_id(account: Account) -> str:
    """Derive the unguessable name of an account's callbacks: 43 URL-safe characters."""
    derived = account.derive("endpoint")
    return derived.reveal() if derived else ""


def _account(
    scope: AccountScope, shape: AccountShape, provider: Provider, resolver: Resolver, derive: Derivation
) -> Account | None:
    node = shape.config.node if shape.config else nothing("")
    config = _config(scope, node, provider, resolver)
    fields = _fields(scope, shape, provider, resolver)
    if config is INVALID:
        return None
    account = Account(
        tenant=scope.tenant,
        name=scope.name,
        config=config,
        fields=fields,
        derive=derive,
        currencies=resolver.currencies,
    )
    return _prepared(scope, provider, account, resolver)


def _prepared(scope: AccountScope, provider: Provider, account: Account, resolver: Resolver) -> Account | None:
    """The account with what its plugin prepares of it; None after noting why it cannot."""
    if not hasattr(provider, "prepare"):
        return account
    made = _returned_by(scope, provider, "prepare", account, resolver)
    return None if made is None else replace(account, prepared=made)


def _config(scope: AccountScope, node: Node, provider: Provider, resolver: Resolver) -> Any:
    try:
        return config_reader(provider.account_type)(node, scope.path("config"), resolver.state)
    except Exception as broken:  # a member of a type that settings cannot have, or a plugin's own fault
        problem = f"provider {provider.name}: account_type failed: {fault_of(broken)}"
        return resolver.state.note(scope.path("config"), problem)


def _fields(scope: AccountScope, shape: AccountShape, provider: Provider, resolver: Resolver) -> FieldMap:
    """The fields of an account: those of another one where both change the same, which are then one object."""
    known = resolver.fields.get((provider.name, id(shape.fields)))
    if known is not None:
        return known[1]
    fields, problems = compile_map(provider.fields, shape.fields)
    problems += _unknown_names(shape, {name for name, _ in problems})
    for name, problem in problems:
        meant = [member for start, member in _MEMBER_MEANT.items() if problem.startswith(start)]
        said = problem.removeprefix(f"{meant[0]}: ") if meant else problem
        resolver.state.note(scope.path("fields", name, *meant), said)
    if not problems:
        resolver.fields[provider.name, id(shape.fields)] = (shape.fields, fields)  # kept, so that no other gets its id
    return fields


def _unknown_names(shape: AccountShape, wrong: Collection[str]) -> Iterator[tuple[str, str]]:
    """The fields, beside those that are wrong anyway, whose expressions read what no payment has."""
    for name, change in shape.fields.items():
        if change.computed is not None and name not in wrong:
            said = problem_of_reading(change.computed, (PaymentSeen,))
            if said is not None:
                yield name, f"from: {said}"


def _rules(scope: AccountScope, provider: Provider, account: Account, resolver: Resolver) -> Rules | None:
    known = resolver.rules.get(provider.name)
    rules: Rules | None = _returned_by(scope, provider, "rules", account, resolver, known)
    if rules is None or rules is known:
        return rules
    wrong = contradiction(rules, provider.commands)
    if wrong is not None:
        resolver.state.note(scope.path(), f"provider {provider.name}: rules returned Rules: {wrong}")
        return None
    resolver.rules[provider.name] = rules
    return rules


def _credentials(
    scope: AccountScope, provider: Provider, account: Account, resolver: Resolver
) -> Mapping[str, str | Secret] | None:
    credentials: Mapping[str, str | Secret] | None = _returned_by(scope, provider, "credentials", account, resolver)
    return credentials


def _tls(scope: AccountScope, files: TlsShape | None, resolver: Resolver) -> Any:
    """What the account's calls speak TLS with; None: as everybody's. ``INVALID`` after noting what is wrong."""
    if files is None or files in resolver.tls:
        return resolver.tls.get(files) if files is not None else None
    from gateway.drivers.settings.client_certificates import BadCertificate, client_tls  # few accounts need it

    try:
        made = resolver.tls[files] = client_tls(files, resolver.state.context, datetime.now(UTC))
    except BadCertificate as wrong:
        return resolver.state.note(scope.path("tls", wrong.member), str(wrong))
    return made


_MAY_RETURN = {"prepare": something, "rules": RULES, "credentials": CREDENTIALS}


def _returned_by(
    scope: AccountScope, provider: Provider, member: str, account: Account, resolver: Resolver, known: Any = None
) -> Any:
    """What a plugin says of an account. None after noting why it cannot be used, with its name and the account's.

    A ``ValueError`` is the plugin's objection to the account's ``config``; anything else is a fault of the plugin.
    ``known``: what it said of another account, which is given back for what is equal to it.
    """
    problem = f"provider {provider.name}: {member}"
    try:
        said = getattr(provider, member)(account)
        return known if known is not None and known == said else checked(said, _MAY_RETURN[member])
    except UnusableValue as wrong:
        resolver.state.note(scope.path(), f"{problem} returned {wrong}")
    except ValueError as objection:
        members = provider.account_type.__struct_encode_fields__
        note_struct_error(masked_message(objection, account.config), members, scope.path("config"), resolver.state)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # foreign code at start: a line, not a traceback, and not the end of the process
        resolver.state.note(scope.path(), f"{problem} failed: {fault_of(broken)}")
    return None
