"""What every flow works with: the settings, the store, the way out, the clock, and what is running now."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

from gateway.core.errors import TenantError, Unavailable
from gateway.core.payment import Payment, PaymentEvent, PaymentSummary
from gateway.core.schedule import Schedules
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.clock import Clock, Ids
from gateway.drivers.disk_space import DiskSpace
from gateway.drivers.settings import AccountEntry, Settings, Tenant
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import milliseconds
from gateway.flows.masks import Masks
from gateway.provider import Session

ATTEMPTS = 100
"""Tries against other writers; each of them makes progress, so more than a few hint at a fault of ours."""

SILENCE_MARGIN = 10.0
"""Seconds beyond ``provider_total`` after which an operation nobody works on has an unknown outcome."""

log = logging.getLogger("gateway")


class Send(Protocol):
    """The way out: one request, one whole answer. Raises ``NotSent`` or ``OutcomeUnknown``; times in seconds.

    ``owner`` names whose call it is, an account's or a webhook endpoint's: owners never wait for each other.
    """

    async def __call__(self, request: HttpRequest, *, total: float, connect: float, owner: str) -> HttpResponse:
        """Send one request."""
        ...


class Alarm:
    """When a worker will look next, in Unix milliseconds. To tell it of what it will see anyway costs nothing."""

    def __init__(self) -> None:
        self.at = 0
        self.moved = asyncio.Event()

    def set(self, at: int) -> None:
        """Begin anew, before a look: what is told from now on may not be seen by it."""
        self.moved.clear()
        self.at = at

    def no_later_than(self, at: int) -> None:
        """Bring the look forward; a nearer one stays."""
        if at < self.at:
            self.at = at
            self.moved.set()


class Gateway:
    """One running gateway. ``send`` asks providers, ``deliver`` takes webhooks to tenants (by default the same way).

    ``observe`` tells plugins of a committed change and never raises.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        send: Send,
        clock: Clock,
        deliver: Send | None = None,
        disk: DiskSpace | None = None,
        observe: Callable[[Payment, PaymentEvent], None] = lambda _payment, _event: None,
    ) -> None:
        self.settings = settings
        self.store = store
        self.send = send
        self.deliver = deliver or send
        self.clock = clock
        self.disk = disk or DiskSpace(settings.store_path.parent, settings.limits.low_disk)
        self.budget_levels: dict[str, int] = {}
        self.new_id = Ids(clock).new
        self.observe = observe
        self.public_url = settings.server.public_url or ""
        self.webhook_alarms: defaultdict[str, Alarm] = defaultdict(Alarm)
        self.agenda_alarm = Alarm()
        self.inbox_alarm = Alarm()
        self.schedules = Schedules(
            reconcile=settings.clocks.reconcile,
            poll=settings.clocks.poll,
            silence=timedelta(seconds=longest_call(settings) + SILENCE_MARGIN),
        )
        self.is_stopping = False
        self.restored_at: datetime | None = None
        self.seen_since_restored: set[str] = set()
        self.masks = Masks(settings)
        self.sessions: dict[tuple[str, str], tuple[Session, datetime]] = {}
        self.noted: set[tuple[str, str, str]] = set()
        self.last_lookup: dict[str, datetime] = {}
        self._running: dict[str, asyncio.Task[Any]] = {}

    @property
    def public_path(self) -> str:
        """The path of the public address, such as ``/gw``; "" for none."""
        return urlsplit(self.public_url).path

    def tenant(self, tenant: str) -> Tenant:
        """One tenant's part of the settings."""
        return self.settings.tenants[tenant]

    def has_account(self, payment: Payment) -> bool:
        """Whether the settings still have the payment's account."""
        tenant = self.settings.tenants.get(payment.tenant)
        return tenant is not None and payment.account in tenant.accounts

    def entry(self, payment: PaymentSummary) -> AccountEntry:
        """The account a payment belongs to. Raises ``unknown_account`` for one that left the settings."""
        tenant = self.settings.tenants.get(payment.tenant)
        entry = tenant.accounts.get(payment.account) if tenant is not None else None
        if entry is None:
            raise TenantError("unknown_account", f'account "{payment.account}" is no longer in the settings')
        return entry

    def callback_url(self, entry: AccountEntry) -> str:
        """The address a provider is told for this account."""
        return self.public_url + entry.callback_path

    async def call(self, entry: AccountEntry, request: HttpRequest) -> HttpResponse:
        """Send one request of an account to its provider. Raises ``NotSent`` or ``OutcomeUnknown``."""
        connect = self.settings.timeouts.provider_connect
        return await self.send(request, total=entry.provider_total, connect=connect, owner=entry.owner)

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something that must end even when its caller goes away; ``drain`` waits for it."""
        task = asyncio.create_task(work, name=name)
        self._running[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))
        return task

    def is_running(self, name: str) -> bool:
        """Whether the named work runs in this process."""
        return name in self._running

    async def wait_for(self, name: str, seconds: float) -> None:
        """Wait until the named work has ended, at most so long."""
        task = self._running.get(name)
        if task is not None:
            await asyncio.wait({task}, timeout=seconds)

    async def until(self, told: asyncio.Event, seconds: float) -> None:
        """Wait for an event, at most so long by the gateway's clock."""
        waits = {asyncio.ensure_future(told.wait()), asyncio.ensure_future(self.clock.sleep(seconds))}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def rest(self, alarm: Alarm, at: int | None) -> None:
        """Wait until what an alarm was set to, or ``at`` (Unix milliseconds) if that is sooner, or what it is told."""
        alarm.at = alarm.at if at is None else min(alarm.at, at)
        await self.until(alarm.moved, max(0, alarm.at - milliseconds(self.clock.now())) / 1000)

    async def drain(self, seconds: float) -> None:
        """Wait for what runs, and for what that starts, at most so long."""
        deadline = asyncio.get_running_loop().time() + seconds
        while self._running and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(set(self._running.values()), timeout=left)

    def _ended(self, name: str, task: asyncio.Task[Any]) -> None:
        if self._running.get(name) is task:
            del self._running[name]
        if not task.cancelled() and task.exception() is not None:
            log.error("background work failed", extra={"work": name}, exc_info=task.exception())


def longest_call(settings: Settings) -> float:
    """Seconds after which no call to any provider lasts any longer."""
    own = (entry.provider_total for tenant in settings.tenants.values() for entry in tenant.accounts.values())
    return max(settings.timeouts.provider_total, *own)


def doubling(longest: float) -> Iterator[float]:
    """Seconds between tries at something that fails: from one on each twice the last, up to the longest."""
    pause = 1.0
    while True:
        yield pause
        pause = min(2 * pause, longest)


class Race:
    """Counts how often another writer was first: the loser tries again, but not for ever."""

    def __init__(self) -> None:
        self._lost = 0

    def lost(self) -> None:
        """Try again. Raises ``Unavailable``, which is safe to retry, when that was once too often."""
        self._lost += 1
        if self._lost == ATTEMPTS:
            raise Unavailable("other writers were first every time")
