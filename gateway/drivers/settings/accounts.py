"""An account's entry, read -> resolved: its provider, config, fields, derived secrets, rules and endpoint id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace
from yaml.nodes import Node

from gateway.core.commands import FetchPayment
from gateway.core.mapping import FieldMap, compile_map
from gateway.core.returned import CREDENTIALS, RULES, Unusable, judged
from gateway.core.rules import Rules, Terms
from gateway.core.secret import Secret
from gateway.drivers.settings.model import AccountEntry, Clocks, Derivation, Timeouts
from gateway.drivers.settings.problems import Path, unknown
from gateway.drivers.settings.reader import clean_judgement, config_reader, note_judgement
from gateway.drivers.settings.reading import BAD, Reading
from gateway.drivers.settings.shape import AccountShape
from gateway.drivers.settings.yaml_file import nothing, place
from gateway.provider import Account, Provider

_MEMBER_MEANT = {
    "is mandatory": "enabled",
    "key ": "key",
    "max_length ": "max_length",
    "pattern ": "pattern",
    "from: ": "from",
}
"""How the core's words about a field begin -> the member of the entry they are about."""


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What every account is resolved with. Field maps and rules that many accounts share are kept once."""

    reading: Reading
    providers: Mapping[str, Provider]
    currencies: Mapping[str, int]
    clocks: Clocks
    timeouts: Timeouts
    master: Secret
    unchanged: dict[str, FieldMap] = msgspec.field(default_factory=dict)
    rules: dict[str, Rules] = msgspec.field(default_factory=dict)


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """Which account: its tenant (id and node), its name, and the deposit methods that name it."""

    tenant: str
    node: Node
    name: str
    methods: tuple[str, ...]

    def path(self, *steps: str) -> Path:
        """The path of something in this account."""
        return ("tenants", self.tenant, "accounts", self.name, *steps)


def resolve_account(seat: Seat, shape: AccountShape, common: Common) -> AccountEntry | None:
    """Resolve one account; None after noting what stands in the way."""
    provider = common.providers.get(shape.provider)
    if provider is None:
        common.reading.note(seat.path("provider"), unknown("provider", shape.provider, common.providers))
        return None
    account = _account(seat, shape, provider, common)
    rules = _rules(seat, provider, account, common) if account else None
    told = _credentials(seat, provider, account, common) if account else None
    if account is None or rules is None or told is None:
        return None
    if rules.deposit_method_required and shape.accepts_new and not seat.methods:
        common.reading.note(seat.path(), "must be named by a deposit method, or have accepts_new: false")
    return AccountEntry(
        tenant=seat.tenant,
        name=seat.name,
        provider=provider,
        account=account,
        rules=rules,
        policy=_policy(provider, rules, common.clocks),
        endpoint_id=shape.callback_id or endpoint_id(account),
        accepts_new=shape.accepts_new,
        generation=shape.generation,
        accept_previous=shape.accept_previous,
        provider_total=shape.provider_total or common.timeouts.provider_total,
        credentials=told,
        credentials_before=_credentials_before(seat, provider, account, common),
        deposit_methods=seat.methods,
        field_places=_field_places(seat, shape),
    )


def _policy(provider: Provider, rules: Rules, clocks: Clocks) -> Terms:
    return Terms(
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


def previous_endpoint_id(entry: AccountEntry) -> str | None:
    """The endpoint id of the generation before, while it is accepted; a given ``callback_id`` has no generations."""
    previous = entry.account.derive("endpoint", previous=True)
    return previous.reveal() if previous and entry.endpoint_id == endpoint_id(entry.account) else None


def _account(seat: Seat, shape: AccountShape, provider: Provider, common: Common) -> Account | None:
    node = shape.config.node if shape.config else nothing("")
    config = _config(seat, node, provider, common)
    fields = _fields(seat, shape, provider, common)
    derive = Derivation(
        master=common.master,
        tenant=seat.tenant,
        account=seat.name,
        generation=shape.generation,
        accept_previous=shape.accept_previous,
    )
    if config is BAD:
        return None
    return Account(tenant=seat.tenant, name=seat.name, config=config, fields=fields, derive=derive)


def _config(seat: Seat, node: Node, provider: Provider, common: Common) -> Any:
    try:
        return config_reader(provider.account_type)(node, seat.path("config"), common.reading)
    except Exception as broken:  # a member of a type that settings cannot have, or a plugin's own fault
        problem = f"provider {provider.name}: account_type failed: {type(broken).__name__}"
        return common.reading.note(seat.path("config"), problem)


def _fields(seat: Seat, shape: AccountShape, provider: Provider, common: Common) -> FieldMap:
    if not shape.fields and provider.name in common.unchanged:
        return common.unchanged[provider.name]
    fields, problems = compile_map(provider.fields, shape.fields)
    for name, problem in problems:
        meant = (member for start, member in _MEMBER_MEANT.items() if problem.startswith(start))
        common.reading.note(seat.path("fields", name, *meant), problem.removeprefix("from: "))
    return fields if shape.fields else common.unchanged.setdefault(provider.name, fields)


def _rules(seat: Seat, provider: Provider, account: Account, common: Common) -> Rules | None:
    rules: Rules | None = _asked(seat, provider, "rules", account, common)
    if rules is not None and common.rules.get(provider.name) != rules:
        common.rules[provider.name] = rules
    return None if rules is None else common.rules[provider.name]


def _credentials(seat: Seat, provider: Provider, account: Account, common: Common) -> Mapping[str, str | Secret] | None:
    told: Mapping[str, str | Secret] | None = _asked(seat, provider, "credentials", account, common)
    return told


def _credentials_before(seat: Seat, provider: Provider, account: Account, common: Common) -> Mapping[str, str | Secret]:
    """What the other side was told in the generation before, while that is accepted."""
    derive = account.derive
    if not isinstance(derive, Derivation) or not (derive.accept_previous and derive.generation > 1):
        return {}
    earlier = replace(derive, generation=derive.generation - 1, accept_previous=False)
    return _credentials(seat, provider, replace(account, derive=earlier), common) or {}


_MAY_RETURN = {"rules": RULES, "credentials": CREDENTIALS}


def _asked(seat: Seat, provider: Provider, member: str, account: Account, common: Common) -> Any:
    """What a plugin says of an account. None after noting why it cannot be used, with its name and the account's.

    A ``ValueError`` is the plugin's judgement of the account's ``config``; anything else is a fault of the plugin.
    """
    problem = f"provider {provider.name}: {member}"
    try:
        return judged(getattr(provider, member)(account), _MAY_RETURN[member])
    except Unusable as wrong:
        common.reading.note(seat.path(), f"{problem} returned {wrong}")
    except ValueError as judgement:
        members = provider.account_type.__struct_encode_fields__
        note_judgement(clean_judgement(judgement, account.config), members, seat.path("config"), common.reading)
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # foreign code at start: a line, not a traceback, and not the end of the process
        common.reading.note(seat.path(), f"{problem} failed: {type(broken).__name__}")
    return None


def _field_places(seat: Seat, shape: AccountShape) -> dict[str, str]:
    places = {name: place(seat.node, ("accounts", seat.name, "fields", name)) for name in shape.fields}
    return {name: f"{file}:{line}" for name, (file, line) in places.items()}
