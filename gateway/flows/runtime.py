"""What every flow depends on: settings, store, senders, clock, ids, timers and running tasks."""

from __future__ import annotations

import asyncio
import copy
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Set
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from gateway.core.commands import KIND_OF, Command
from gateway.core.errors import NotSent, OutcomeUnknown, TenantError
from gateway.core.payment import Operation, Payment, PaymentEvent, PaymentSummary
from gateway.core.response_outcome import NOT_SENT, UNKNOWN, call_outcome
from gateway.core.schedule import Schedules, next_check_at
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.clock import Clock, Ids
from gateway.drivers.disk_space import DiskSpace
from gateway.drivers.measures import Measures
from gateway.drivers.plugin_registry import PluginInfo
from gateway.drivers.settings import AccountEntry, Overview, Settings, Tenant
from gateway.drivers.store.inbox import InboxRow
from gateway.drivers.store.reads import Store
from gateway.flows.credential_uses import CredentialUses
from gateway.flows.masks import Masks
from gateway.flows.nodes import Node
from gateway.flows.occurrences import Occurrence, Occurrences
from gateway.flows.recent_payments import RecentPayments
from gateway.flows.refused_requests import RefusedRequests
from gateway.flows.tasks import Tasks, Timer, Timers
from gateway.provider import Session

if TYPE_CHECKING:
    import ssl

    from gateway.drivers.traces.spans import Traces
    from gateway.drivers.workers.peers import Peers

SILENCE_MARGIN_SECONDS = 10.0
"""Seconds beyond ``provider_total`` after which an operation nobody works on has an unknown outcome."""

DISK = {True: Occurrence.STORE_NEAR_FULL, False: Occurrence.STORE_HAS_ROOM}

log = logging.getLogger("gateway")

OfAccount = PaymentSummary | Operation | InboxRow
"""What names a tenant and its account."""


class Send(Protocol):
    """Sends one request and returns one whole answer. Raises ``NotSent`` or ``OutcomeUnknown``; times in seconds.

    ``owner`` names an account or a webhook endpoint: calls of different owners never wait for each other.
    ``tls``: of an account that has a client certificate.
    """

    async def __call__(
        self, request: HttpRequest, *, total: float, connect: float, owner: str, tls: ssl.SSLContext | None = None
    ) -> HttpResponse:
        """Send one request."""
        ...


class Memory:
    """What this process remembers between calls. A start empties it, which costs a call or a log line at most."""

    def __init__(self) -> None:
        self.noted: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        """``plugin/calls.py``: by tenant and account, what answers showed and operators have been warned of."""
        self.last_lookup: dict[str, datetime] = {}
        """``payments/lookup.py``: by payment, when a hint last caused a lookup."""
        self.to_look_at: dict[tuple[str, str], deque[str]] = {}
        """``payments/sync_range.py``: by tenant and account, the payments that wait to be looked at again."""
        self.seen_since_restored: set[str] = set()
        """``restore.py``: payments whose provider was asked after the store had been restored."""
        self.servers: dict[Store, str | None] = {}
        """``background/timelines.py``: the server and timeline that each store was on when it was last looked at."""
        self.budget_levels: dict[str, int] = {}
        """``storage.py``: by tenant, the part of its budget that operators have been warned of."""
        self.erasures = 0
        """``customers/erase.py``: counts the payments whose customer was erased."""
        self.log_holds_deleted = False
        """``customers/erase.py``: whether the write-ahead log may hold what was deleted for good."""
        self.recent_payments = RecentPayments()
        """``commit.py``: what a callback is evaluated on first."""
        self.indexing = asyncio.Lock()
        """``search.py``: held by who writes the search index."""


class Current:
    """The gateway under the settings as they are now. Who begins work takes it, and keeps it until the work is done."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.leaving: Set[tuple[str, str, str]] = frozenset()
        """(tenant, account, provider) that have left the settings, or are about to: no operation begins there."""
        self.changed = asyncio.Event()
        """Set when another gateway has become the current one; the dispatcher of webhooks waits for it."""
        self.is_stopping = False
        self.problems: tuple[str, ...] = ()
        """Why the last reload was refused; empty after a good one."""
        self.ended: tuple[str, ...] = ()
        """What the last reload ended although it was in use: an account each, with the uses since the start."""
        self.version = 1
        """Counts the settings that were the current ones, from the start."""

    def stop(self) -> None:
        """Begin nothing new from now on, and wait no longer for units in doubt than a request does."""
        self.is_stopping = True
        for part in self.gateway.store.parts:
            part.gate.is_ending = True


class Gateway:
    """The running gateway under one version of the settings; the rest is shared by all versions.

    ``send`` asks providers, ``deliver`` takes webhooks to tenants (by default the same way). ``observe`` tells plugins
    of a committed change and never raises; None where none observes. ``traces``: None where nobody wants any.
    ``peers``: the other processes of this gateway, None for the only one.
    """

    peers: Peers | None = None

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        send: Send,
        clock: Clock,
        deliver: Send | None = None,
        disk: DiskSpace | None = None,
        measures: Measures | None = None,
        observe: Callable[[Payment, PaymentEvent], None] | None = None,
        traces: Traces | None = None,
        plugins: tuple[PluginInfo, ...] = (),
    ) -> None:
        self.store = store
        self.send = send
        self.deliver = deliver or send
        self.clock = clock
        self.disk = disk or DiskSpace(settings.store_folders, settings.limits.low_disk)
        self.measures = measures or Measures()
        self.new_id = Ids(clock).new
        self.node = Node(store, clock, self.new_id("node"))
        self.observe = observe
        self.traces = traces
        self.plugins = plugins
        self.bound_url = ""
        self.webhook_timers = Timers()
        self.check_timer, self.inbox_timer = Timer(), Timer()
        self.restored_at: datetime | None = None
        self.tasks = Tasks(clock)
        self.refused_requests = RefusedRequests(store, self.tasks)
        self.memory = Memory()
        self.occurrences = occurrences = Occurrences()
        self.disk.changed = lambda is_low: occurrences.report(DISK[is_low], {})
        self.uses = CredentialUses()
        self.masks = Masks(settings)
        self.sessions: dict[tuple[str, str, str], tuple[Session, datetime]] = {}
        """``plugin/login.py``: by tenant, account and scope, the session and when it ends."""
        self._use(settings)
        self.current = Current(self)

    def under(self, settings: Settings) -> Gateway:
        """The gateway under other settings; it becomes the current one when ``current`` says so."""
        other = copy.copy(self)
        other.masks = Masks(settings)
        other.sessions = {}
        other._use(settings)
        return other

    def _use(self, settings: Settings) -> None:
        self.settings = settings
        self.loaded_at = self.clock.now()
        self.overview: Overview = settings.overview
        longest_call = max(settings.timeouts.provider_total, self.overview.longest_call)
        self.public_url = settings.server.public_url or self.bound_url
        self.schedules = Schedules(
            reconcile=settings.clocks.reconcile,
            poll=settings.clocks.poll,
            silence=timedelta(seconds=longest_call + SILENCE_MARGIN_SECONDS),
        )

    @property
    def public_path(self) -> str:
        """The path of the public address, such as ``/gw``; "" for none."""
        return urlsplit(self.public_url).path

    def tenant(self, tenant: str) -> Tenant:
        """One tenant's part of the settings."""
        return self.settings.tenants[tenant]

    def has_account(self, of: OfAccount) -> bool:
        """Whether the settings still have the account of something."""
        tenant = self.settings.tenants.get(of.tenant)
        return tenant is not None and of.account in tenant.accounts

    def entry(self, of: OfAccount) -> AccountEntry:
        """The account of something. Raises ``unknown_account`` for one that left the settings."""
        tenant = self.settings.tenants.get(of.tenant)
        entry = tenant.accounts.get(of.account) if tenant is not None else None
        if entry is None:
            raise TenantError("unknown_account", f'account "{of.account}" is no longer in the settings')
        return entry

    def first_check_at(self, payment: Payment, open_operation: Operation | None) -> datetime | None:
        """When a payment that has just changed must be checked next. Raises ``unknown_account``."""
        policy, now = self.entry(payment).policy, self.clock.now()
        return next_check_at(payment, open_operation, tries=0, policy=policy, schedules=self.schedules, at=now)

    def callback_url(self, entry: AccountEntry) -> str:
        """The address a provider is told for this account."""
        return self.public_url + entry.callback_path

    def call(
        self, entry: AccountEntry, request: HttpRequest, command: Command | None = None
    ) -> Awaitable[HttpResponse]:
        """Send one request of an account to its provider. Raises ``NotSent`` or ``OutcomeUnknown``.

        ``command``: what it is for; None for a login.
        """
        made = self._call(entry, request)
        if self.traces is None:
            return made
        about = {"tenant": entry.tenant, "account": entry.name, "provider": entry.provider.name}
        if command is not None:
            about |= {"payment_id": command.payment_id, "operation": KIND_OF.get(type(command), "lookup")}
        return self.traces.over("provider call", made, lambda answer: call_outcome(answer.status), **about)

    async def _call(self, entry: AccountEntry, request: HttpRequest) -> HttpResponse:
        connect = self.settings.timeouts.provider_connect
        more: dict[str, Any] = {} if entry.tls is None else {"tls": entry.tls.context}
        calls, provider, began = self.measures.provider_calls, entry.provider.name, perf_counter()
        try:
            response = await self.send(request, total=entry.provider_total, connect=connect, owner=entry.owner, **more)
        except (NotSent, OutcomeUnknown) as problem:
            calls[provider, NOT_SENT if isinstance(problem, NotSent) else UNKNOWN].add(perf_counter() - began)
            raise
        answered = perf_counter()
        calls[provider, response.status].add(answered - began)
        self.measures.last_answers[provider] = (response.headers, answered)
        return response
