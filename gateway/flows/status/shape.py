"""The members of the status. Times are RFC 3339, spans are seconds, and every list and every count is bounded."""

from __future__ import annotations

import msgspec

from gateway.drivers.plugin_registry import PluginInfo


class BudgetStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant that has reached ``percent`` of what it may store."""

    tenant: str
    percent: int


class OutageStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A store that takes no writes, by its ``name`` in the settings."""

    name: str
    problem: str
    since: str


class MoveStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant on its way from the store ``source`` to the store ``to``, and how far it is (``step``).

    ``nodes``: processes that have not seen yet how far.
    """

    tenant: str
    source: str
    to: str
    step: str
    since: str
    age_seconds: float
    nodes: list[str]


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The store's file with its log, and its disk, in bytes; null where they cannot be asked, as a database's disk.

    ``down`` names the stores that take no writes or do not answer; ``outages``: why, and since when, as far as known.
    ``moves``: tenants on their way from one of several stores to another.
    """

    bytes: int | None
    disk_free: int | None
    disk_is_low: bool
    schema_version: int
    budgets: list[BudgetStatus]
    down: list[str] = []
    outages: list[OutageStatus] = []
    moves: list[MoveStatus] = []


class QueueStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``count`` rows wait; the first of them has been due for ``lag_seconds``."""

    count: int
    lag_seconds: float


class OutboxStatus(QueueStatus, frozen=True, kw_only=True):
    """Webhooks on their way, and dead letters."""

    dead: int


class OperationsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Operations without an outcome: those being sent, and those whose outcome is unknown."""

    count: int
    sending: int
    unknown: int
    oldest_age_seconds: float
    oldest_unknown_age_seconds: float


class QueuesStatus(msgspec.Struct, frozen=True, kw_only=True):
    """``schedule``: checks that are due; ``inbox``: callbacks that were proved and are not applied yet."""

    schedule: QueueStatus
    outbox: OutboxStatus
    inbox: QueueStatus
    operations: OperationsStatus


class ProviderStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The outcomes of recent calls to a provider: ``outcomes`` by name, ``error_rate`` the share that ``failed``."""

    name: str
    calls: int
    failed: int
    error_rate: float
    outcomes: dict[str, int]


class EndpointStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook endpoint that fails, or is disabled since ``disabled_at`` for ``reason``."""

    tenant: str
    enabled: bool
    reason: str | None
    failing_since: str | None
    disabled_at: str | None


class WaitingStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How many wait, and since when the oldest does."""

    count: int
    oldest: str | None


class KeyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A key that expires soon or has expired. ``tenant`` null: an operators'. ``is_last``: no other key outlives it."""

    tenant: str | None
    id: str
    expires: str
    expired: bool
    is_last: bool


class EarlierStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What an account was derived from before and is still accepted, by its ``name``, with its uses since the start.

    ``uses_by``: of its ``address`` and its ``credentials`` by the provider, and of customers' links (``link``).
    """

    tenant: str
    account: str
    name: str
    uses_by: dict[str, int]
    last_used: str | None


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A process on the store. ``lag_seconds``: since it said that it lives; ``config_hash`` of the settings it has.

    ``clock_skew_seconds``: its clock minus the database's. ``url``: where it listens.
    """

    id: str
    host: str
    pid: int
    version: str
    config_hash: str
    started_at: str
    lag_seconds: float
    clock_skew_seconds: float
    url: str
    is_alive: bool


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """All of it but the settings. ``needs_person``: sentences, each with the command that acts.

    ``erasures``: payments that are erased as soon as they have ended.
    """

    version: str
    nodes: list[NodeStatus]
    plugins: tuple[PluginInfo, ...]
    store: StoreStatus
    queues: QueuesStatus
    providers: list[ProviderStatus]
    endpoints: list[EndpointStatus]
    reviews: WaitingStatus
    approvals: WaitingStatus
    erasures: WaitingStatus
    keys: list[KeyStatus]
    still_accepted: list[EarlierStatus]
    needs_person: list[str] = []
