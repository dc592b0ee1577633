"""The shape of ``settings.yaml``: one Struct per mapping, key names frozen by contract. Unknown keys are errors.

What needs no resolving is shaped by ``model.py`` itself.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import msgspec

from gateway.core.field_mapping import FieldChange, Labels
from gateway.core.money import Amount
from gateway.drivers.settings.load_context import Alike
from gateway.drivers.settings.model import (
    Admin,
    BearerKey,
    Clocks,
    Egress,
    Limits,
    Log,
    Operators,
    Port,
    Rate,
    Retention,
    TenantRate,
    Timeouts,
    Webhook,
)
from gateway.drivers.settings.scalar_reader import NotSupported, Raw
from gateway.drivers.settings.store_target import StoreTarget
from gateway.drivers.settings.values import (
    CallbackId,
    Currency,
    JmesPath,
    ListenHost,
    MapName,
    MethodName,
    Name,
    Origin,
    OwnUrl,
    Seconds,
    ServerSecret,
    ServerSecrets,
    SomeText,
    TrustedNetwork,
)


class TlsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``tls`` of an account: PEM files beside the settings file; without ``ca`` the system's authorities count."""

    cert: SomeText
    key: SomeText
    ca: SomeText | None = None


FieldChanges = Annotated[Mapping[str, FieldChange], Alike()]
"""The entries of an account's ``fields``."""

_UNCHANGED: Mapping[str, FieldChange] = MappingProxyType({})


class AccountShape(msgspec.Struct, frozen=True, kw_only=True):
    """An entry under a tenant's ``accounts``; ``config`` waits until its provider is known."""

    provider: SomeText
    accepts_new: bool = True
    generation: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    accept_previous: bool = False
    provider_total: Seconds | None = None
    callback_id: CallbackId | None = None
    config: Raw | None = None
    tls: TlsShape | None = None
    fields: FieldChanges = msgspec.field(default_factory=lambda: _UNCHANGED)


class LimitsShape(msgspec.Struct, frozen=True, kw_only=True):
    """The amounts a deposit method takes, major units."""

    min: Amount | None = None
    max: Amount | None = None


class LabelShape(msgspec.Struct, frozen=True, kw_only=True):
    """Other labels for one additional parameter."""

    label: Labels = msgspec.field(default_factory=dict)


class DepositShape(msgspec.Struct, frozen=True, kw_only=True):
    """An entry under a tenant's ``deposit_methods``."""

    account: str
    label: Labels = msgspec.field(default_factory=dict)
    currencies: tuple[str, ...] | None = None
    amount: LimitsShape = LimitsShape()
    fields: Mapping[str, LabelShape] = msgspec.field(default_factory=dict)


Maps = Mapping[MapName, Mapping[str, JmesPath]]
"""A tenant's request maps or reply maps: by name, an expression for each dotted member."""


class TenantShape(msgspec.Struct, frozen=True, kw_only=True):
    """An entry under ``tenants``. An absent ``rate_limit`` is the default one, ``null`` lifts the limit.

    The rules of ``routing`` are read one by one later, so that each problem knows the number of its rule.
    """

    name: SomeText | None = None
    keys: tuple[BearerKey, ...] = ()
    return_origins: frozenset[Origin] = frozenset()
    rate_limit: Annotated[TenantRate, Alike()] | None = TenantRate()
    webhook: Webhook | None = None
    request_maps: Maps = msgspec.field(default_factory=dict)
    reply_maps: Maps = msgspec.field(default_factory=dict)
    routing: tuple[Raw, ...] = ()
    accounts: Mapping[Name, AccountShape] = msgspec.field(default_factory=dict)
    deposit_methods: Annotated[Mapping[MethodName, DepositShape], Alike()] = msgspec.field(default_factory=dict)
    store: Name | None = None
    crm: NotSupported | None = None


SECRET_FORMS = ("secret", "secrets")
"""How the master secret is given: by itself, or while it is replaced with those before it."""


class ServerShape(msgspec.Struct, frozen=True, kw_only=True):
    """``server``; exactly one of ``SECRET_FORMS`` is given."""

    secret: ServerSecret | None = None
    secrets: ServerSecrets = ()
    host: ListenHost = "127.0.0.1"
    port: Port = 8080
    public_url: OwnUrl | None = None
    admin: Admin = Admin()
    callback_rate: Rate = Rate()
    trusted_proxies: tuple[TrustedNetwork, ...] = ()
    watch: bool = False
    development: bool = False


class PluginsShape(msgspec.Struct, frozen=True, kw_only=True):
    """``plugins``; entry-point names: those that must not be loaded, and the only ones that may be (None = any)."""

    blocked: frozenset[str] = frozenset()
    allowed: frozenset[str] | None = None


class FileShape(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file, the tenants of its includes already among its own; ``server`` is read by itself.

    Each tenant waits as its node until its turn, so that thousands never exist in two forms at once.
    """

    server: Raw | None = None
    include: tuple[SomeText, ...] = ()
    store: StoreTarget | None = None
    stores: Mapping[Name, StoreTarget] = msgspec.field(default_factory=dict)
    timeouts: Timeouts = Timeouts()
    limits: Limits = Limits()
    egress: Egress = Egress()
    clocks: Clocks = Clocks()
    log: Log = Log()
    operators: Operators = Operators()
    retention: Retention = Retention()
    plugins: PluginsShape = PluginsShape()
    currencies: Mapping[Currency, Annotated[int, msgspec.Meta(ge=0, le=18)]] = msgspec.field(default_factory=dict)
    tenants: Mapping[Name, Raw] = msgspec.field(default_factory=dict)
