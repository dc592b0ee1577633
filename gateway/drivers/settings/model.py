"""The settings as values: what ``settings.yaml`` becomes. Frozen; nothing here reads a file or the environment.

Where a part of the file needs no resolving, its Struct here is also the shape it is read with: the defaults below are
the defaults of the settings.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec

import gateway.core.signing as signing
from gateway.core.body_maps import BodyMap
from gateway.core.commands import CompletePayment
from gateway.core.networks import Network
from gateway.core.operator_events import OperatorEvent
from gateway.core.rules import Policy, Rules
from gateway.core.secret import Secret
from gateway.drivers.clock import milliseconds
from gateway.drivers.settings.store_target import StoreSettings
from gateway.drivers.settings.values import (
    NOT_EMPTY,
    Connections,
    JmesPath,
    KeyHash,
    KeyId,
    ListenHost,
    MapName,
    Moment,
    PublicUrl,
    Repeating,
    Schedule,
    Seconds,
    SomeText,
    Span,
    TargetUrl,
    WebhookSecrets,
)
from gateway.drivers.tls import ClientTls
from gateway.provider import Account, Provider

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


def _seconds(*lengths: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=length) for length in lengths)


_MINUTE, _HOUR = 60, 3600

OPERATORS = "operators"
"""Before the colon of the names under which the outbox holds operators' webhooks."""

OperatorEvents = Annotated[tuple[OperatorEvent, ...], NOT_EMPTY]


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """A token bucket: ``per_second`` refills it, ``burst`` is its size."""

    per_second: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 50
    burst: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 200


class TenantRate(Rate, frozen=True, kw_only=True):
    """A tenant's token bucket."""

    burst: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100


class BearerKey(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer key, known by the hex SHA-256 of its whole text."""

    id: KeyId
    sha256: KeyHash
    expires: Moment | None = None


Role = Literal["read", "operate", "admin"]
"""What an operator's key may do: look; also act; everything."""

ROLES: tuple[Role, ...] = get_args(Role)
"""From the least to the most: each may do what those before it may."""


class OperatorKey(BearerKey, frozen=True, kw_only=True):
    """A key of an operator. ``name`` is who has it; without a ``role`` it may do everything, as all could before."""

    name: SomeText | None = None
    role: Role = "admin"


class Admin(msgspec.Struct, frozen=True, kw_only=True):
    """The operators' listener. Without ``keys`` and ``key_sha256``, which is one key more, no key opens it.

    ``approvals``: how many keys it takes to resolve a payment or to erase a customer, 1 or 2.
    """

    host: ListenHost = "127.0.0.1"
    port: Port = 8081
    key_sha256: KeyHash | None = None
    keys: tuple[OperatorKey, ...] = ()
    approvals: Annotated[int, msgspec.Meta(ge=1, le=2)] = 1


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway listens and what it is called outside; ``public_url`` has no slash at its end.

    ``trusted_proxies``: whose ``X-Forwarded-For`` and ``Forwarded`` are believed; from anybody else they are not read.
    ``secrets``: the master secret, then those before it that are still accepted.
    """

    host: str
    port: int
    public_url: str | None
    secrets: tuple[Secret, ...]
    admin: Admin
    callback_rate: Rate
    development: bool
    watch: bool = False
    trusted_proxies: tuple[Network, ...] = ()

    @property
    def secret(self) -> Secret:
        """The master secret that everything new is made with."""
        return self.secrets[0]


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """How long we wait, in seconds."""

    provider_connect: Seconds = 5.0
    provider_total: Seconds = 20.0
    tenant_answer: Seconds = 10.0
    webhook_total: Seconds = 15.0
    request_body: Seconds = 10.0
    request_head: Seconds = 10.0
    idle_connection: Seconds = 60.0
    write: Seconds = 20.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What strangers and neighbours may hold. Bytes are whole numbers.

    ``connections``: open ones from callers; None (``auto``) counts them from the process's limit of descriptors.
    ``tenant_bytes``: what one tenant's payments may occupy in the store. ``low_disk``: free bytes on the store's disk
    below which no new payment is taken.
    """

    connections: Connections = None
    connections_per_address: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    head_bytes: Annotated[int, msgspec.Meta(ge=1024, le=65_536)] = 16_384
    page_bytes: Annotated[int, msgspec.Meta(ge=1000, le=5_000_000)] = 1_000_000
    tenant_bytes: Annotated[int, msgspec.Meta(ge=1)] | None = 10_000_000_000
    low_disk: Annotated[int, msgspec.Meta(ge=0)] = 100_000_000


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are written. ``sample``: the share of requests whose healthy lines are, 1 for all."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    sample: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1


class Egress(msgspec.Struct, frozen=True, kw_only=True):
    """How calls to providers and webhook receivers leave. ``proxy``: an HTTP proxy that every one of them takes."""

    proxy: PublicUrl | None = None


class Clocks(msgspec.Struct, frozen=True, kw_only=True):
    """Every schedule of the gateway. ``reconcile`` and ``poll`` repeat their last value; the retry lists end."""

    reconcile: Repeating = _seconds(30, 2 * _MINUTE, 10 * _MINUTE, _HOUR, 6 * _HOUR, 24 * _HOUR)
    poll: Repeating = _seconds(5 * _MINUTE, 15 * _MINUTE, _HOUR, 6 * _HOUR)
    quiet_period: timedelta = timedelta(seconds=60)
    webhook_retry: Schedule = _seconds(
        0, 5, 5 * _MINUTE, 30 * _MINUTE, *(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24))
    )
    hint: timedelta = timedelta(seconds=10)
    payment_expiry: Span = timedelta(hours=24)
    late_grace: timedelta = timedelta(hours=72)
    unknown_outcome: Span = timedelta(hours=1)
    crm_retry: Schedule = _seconds(0, 10, _MINUTE, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 6 * _HOUR, 24 * _HOUR)
    housekeeping: Span = timedelta(hours=1)

    def grace_began(self, at: datetime) -> int:
        """Unix milliseconds: what expired before that is past its grace at a time."""
        return milliseconds(at - self.late_grace)


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is done with is kept; None: for good. ``customer_data`` counts from the end of its payment."""

    customer_data: Span | None = None
    inbox_bodies: Span | None = None
    delivered_webhooks: Span | None = timedelta(days=30)
    dead_letters: Span | None = None


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where webhooks go. Every secret signs (two during a rotation); the texts begin with ``whsec_``."""

    url: TargetUrl
    secrets: WebhookSecrets


class Webhook(WebhookTarget, frozen=True, kw_only=True):
    """Where a tenant hears from us. ``map`` names the reply map that makes ``data``; None for the standard one."""

    map: MapName | None = None


class OperatorWebhook(WebhookTarget, frozen=True, kw_only=True):
    """Where operators hear from us, of some types or of all (None)."""

    types: OperatorEvents | None = None

    @property
    def owner(self) -> str:
        """Whose its rows in the outbox are: a name that no tenant can have, another one for each address."""
        return f"{OPERATORS}:{signing.sha256_hex(self.url)[:16]}"


class Operators(msgspec.Struct, frozen=True, kw_only=True):
    """``operators``."""

    webhooks: tuple[OperatorWebhook, ...] = ()


class Derivation(msgspec.Struct, frozen=True, kw_only=True):
    """Make secrets of one account from a master secret (``gateway.Derive``): same settings, same secrets.

    ``earlier``: what it was derived from before, while that is still accepted; ``name`` tells one from the others.
    """

    master: Secret
    tenant: str
    account: str
    generation: int
    earlier: tuple["Derivation", ...] = ()
    name: str = ""

    def __call__(self, purpose: str, previous: bool = False) -> Secret | None:
        """Derive for one purpose. ``previous``: as it was before, None unless that is still accepted."""
        if previous:
            return self.earlier[0](purpose) if self.earlier else None
        return signing.derive(self.master, self.tenant, self.account, purpose, str(self.generation))


class AccountEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One account of a tenant, checked and complete.

    ``policy`` has the rules and clocks that facts about its payments are evaluated under. ``provider_total``: seconds
    for a provider's whole answer, the account's own or that of ``timeouts``.
    ``secret`` is the master secret that it is derived from, ``credentials`` are what the provider must be told: the
    plugin is asked once. ``earlier`` is the account as it was before, while that is accepted: of the generation before,
    and of the other ``server.secrets``; ``name_of_earlier`` names one of those. ``alone``: the account without
    them, None where it was never another. ``deposit_methods`` are the names of those that name this account.
    ``file`` and ``line`` are where the first entry of its ``fields`` is, ``field_lines`` where each of them is,
    counted from ``line``: accounts that are laid out alike share one mapping. ``tls`` has
    the client certificate, if the provider asks for one.
    """

    tenant: str
    name: str
    provider: Provider
    account: Account
    rules: Rules
    policy: Policy
    endpoint_id: str
    accepts_new: bool
    generation: int
    accept_previous: bool
    provider_total: float
    secret: Secret
    credentials: Mapping[str, str | Secret] = msgspec.field(default_factory=dict)
    earlier: tuple["AccountEntry", ...] = ()
    name_of_earlier: str = ""
    alone: Account | None = None
    deposit_methods: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    field_lines: Mapping[str, int] = msgspec.field(default_factory=dict)
    tls: ClientTls | None = None

    def rule_of(self, field: str) -> str | None:
        """Where the settings change a field, as ``settings.yaml:41``; None where it is as its provider declares it."""
        lines = self.field_lines.get(field)
        return None if lines is None else f"{self.file}:{self.line + lines}"

    @property
    def owner(self) -> str:
        """The account's name among all tenants' accounts."""
        return f"{self.tenant}/{self.name}"

    @property
    def callback_path(self) -> str:
        """The path of the address its provider calls back, below the public address."""
        return f"/callbacks/{self.endpoint_id}"

    @property
    def can_look_up(self) -> bool:
        """Whether the provider answers lookups."""
        return self.policy.lookups

    @property
    def logs_in(self) -> bool:
        """Whether its calls need a session of the provider."""
        return hasattr(self.provider, "login")

    @property
    def needs_completion(self) -> bool:
        """Whether the provider waits for a completion after the customer is done."""
        return CompletePayment in self.provider.commands


class DepositMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay that a front end offers. ``label`` by language; limits in major units, None = no limit.

    ``currencies`` None = every one. ``fields``: other labels (by language) for additional parameters of the account.
    """

    name: str
    label: Mapping[str, str]
    account: str
    currencies: tuple[str, ...] | None
    min: Decimal | None
    max: Decimal | None
    fields: Mapping[str, Mapping[str, str]]


class RoutingRule(msgspec.Struct, frozen=True, kw_only=True):
    """Where a new payment that names no account goes: ``account``, then those of ``fallback`` in turn.

    ``when`` is searched in the create body and matches where JMESPath calls its answer true; None matches always.
    """

    when: JmesPath | None = None
    account: str
    fallback: tuple[str, ...] = ()


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls our API. ``return_origins`` are normalised as ``origin_of`` does; ``rate_limit`` None = no limit.

    The first rule of ``routing`` that matches chooses. ``logs_in``: calls of one of its accounts need a session.
    ``request_maps`` and ``reply_maps`` are by name, ``webhook_map`` is the one of ``reply_maps`` that its webhooks use.
    """

    id: str
    title: str
    keys: tuple[BearerKey, ...]
    return_origins: frozenset[str]
    rate_limit: TenantRate | None
    webhook: Webhook | None
    accounts: Mapping[str, AccountEntry]
    logs_in: bool
    deposit_methods: Mapping[str, DepositMethod]
    routing: tuple[RoutingRule, ...] = ()
    request_maps: Mapping[str, BodyMap] = msgspec.field(default_factory=dict)
    reply_maps: Mapping[str, BodyMap] = msgspec.field(default_factory=dict)
    webhook_map: BodyMap | None = None
    store: str | None = None


class Settings(StoreSettings, frozen=True, kw_only=True):
    """Everything, resolved. ``endpoints`` finds an account by endpoint id, previous ones that are accepted included.

    ``keys_by_sha256`` finds (tenant id, key) by the hex SHA-256 of a tenant's bearer key, ``operators_by_sha256`` finds
    an operator's key; the caller checks whether it has expired. ``operator_webhooks`` are by owner. ``digest`` is the
    hex SHA-256 of the files, ``shared_digest`` one that all nodes of a gateway have in common.
    ``include`` are the patterns as written, ``needs_restart`` names the keys that differ from what is running.
    """

    server: Server
    timeouts: Timeouts
    limits: Limits
    egress: Egress
    clocks: Clocks
    log: Log = Log()
    retention: Retention = Retention()
    blocked: frozenset[str]
    allowed: frozenset[str] | None
    currencies: Mapping[str, int]
    tenants: Mapping[str, Tenant]
    endpoints: Mapping[str, AccountEntry]
    keys_by_sha256: Mapping[str, tuple[str, BearerKey]]
    operators_by_sha256: Mapping[str, OperatorKey]
    overview: Any  # an Overview, whose module needs this one
    operator_webhooks: Mapping[str, OperatorWebhook] = msgspec.field(default_factory=dict)
    source: Path
    digest: str
    shared_digest: str = ""
    include: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()
