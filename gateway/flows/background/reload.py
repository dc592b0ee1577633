"""Load the settings again while work goes on. The last good version stays until a better one has been checked."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from msgspec.structs import replace

from gateway.core.errors import SettingsError
from gateway.core.views import rfc3339
from gateway.drivers.settings import AccountEntry, Settings
from gateway.drivers.settings.file_watch import changes
from gateway.flows import audit, storage
from gateway.flows.audit import Act
from gateway.flows.background import startup
from gateway.flows.background.secret_fingerprint import keep_fingerprint
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.runtime import Current, Gateway, log

if TYPE_CHECKING:
    from gateway.drivers.workers.peers import Peers

SWITCH_SECONDS = 0.0005
"""How long the thread that loads may keep the interpreter from a request that needs it."""

TENANTS_FREED_PER_STEP = 100
"""Tenants of an old version that are freed in one go, which takes a millisecond."""

FREEING_PAUSE = 0.001
"""Seconds in between, for requests."""

RELOADED = Act(name="reload", by=audit.GATEWAY)
"""A reload at a signal, or because a file has changed."""

RELOAD = "reload"
"""The question that one process asks the others."""

OTHERS_WITHIN = 20.0
"""Seconds for their answer; an operator's command waits for thirty."""

Load = Callable[[Settings], Settings]
"""Loads what the files say now, as ``load_settings`` does with ``running``."""


class Reloader:
    """Makes the files' settings the current ones, one reload after another.

    ``wanted`` asks ``run`` for a reload. ``followers`` are called with each gateway that becomes the current one.
    """

    def __init__(self, current: Current, load: Load, changed: Callable[[Gateway], None], wanted: asyncio.Event) -> None:
        self._current, self._load, self._wanted = current, load, wanted
        self.followers = [changed]
        self._turn = asyncio.Lock()
        _free_beside(current.gateway)

    async def run(self) -> None:
        """Reload whenever it is wanted, until cancelled; what is wrong is in the log and in ``Current.problems``."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.reload()
            except SettingsError:
                pass  # said already
            except Exception as fault:  # a worker's loop: a store that is down today must not prevent the next reload
                report(self._current.gateway, Occurrence.RELOAD_FAILED, fault)

    async def watch(self) -> None:
        """Want a reload whenever a file of the settings changes, until cancelled; nothing without ``server.watch``."""
        try:
            if self._current.gateway.settings.server.watch:
                async for _ in changes(lambda: self._current.gateway.settings):
                    self._wanted.set()
        except Exception:  # such as too few watches of the system: a reload can still be asked for
            log.exception("the settings' files are not watched any more")

    async def reload(self, act: Act = RELOADED) -> Gateway:
        """Load, check and swap, in every process of this gateway. ``act``: of the operator who asked for it.

        Raises ``SettingsError``, and ``StillNeeded`` for names that open payments need.
        """
        gw = await self.reload_here(act)
        if gw.peers is not None:
            await _reload_others(gw, gw.peers)
        return gw

    async def reload_here(self, act: Act | None) -> Gateway:
        """The same in this process alone. ``act``: None where another one has noted it."""
        async with self._turn:
            leaving, number = self._current.leaving, self._current.version
            try:
                return await self._replace(act)
            finally:
                if self._current.version == number:
                    self._current.leaving = leaving

    async def _replace(self, act: Act | None) -> Gateway:
        try:
            with _short_switches():
                version = await asyncio.to_thread(_load, self._current.gateway, self._load)
            self._current.leaving = version.leaving  # from here on nothing is reserved there
            if version.lacks_names:
                await storage.probe(version.gateway)  # what was reserved before is written: the check sees it
                await startup.check_names(version.gateway)
            if version.has_new_tenants:
                await startup.check_places(version.gateway)
        except SettingsError as wrong:
            self._current.problems = wrong.problems
            for problem in wrong.problems:
                report(self._current.gateway, Occurrence.RELOAD_FAILED, problem=problem)
            raise
        before, after = self._current.gateway.settings, version.gateway.settings
        details = {"settings_before": before.digest, "settings_after": after.digest}
        if act is not None:
            await audit.note(version.gateway, replace(act, details=details))
        _swap(self._current, version)
        for follow in self.followers:
            follow(version.gateway)
        self._current.ended = tuple(_say_what_ended(version.gateway))
        if version.has_other_secrets:
            await keep_fingerprint(version.gateway)
        return version.gateway


class Answer(msgspec.Struct, frozen=True):
    """The result of a reload that another process asked for: what is wrong, or what it ended."""

    problems: tuple[str, ...]
    ended: tuple[str, ...] = ()


async def answer(reloader: Reloader) -> bytes:
    """Reload because another process of this gateway has, and report the result to it."""
    try:
        said = Answer((), (await reloader.reload_here(None)).current.ended)
    except SettingsError as wrong:
        said = Answer(wrong.problems)
    return msgspec.msgpack.encode(said)


async def _reload_others(gw: Gateway, peers: Peers) -> None:
    """Let the others reload. One that is not there loads the files when it starts. Raises ``SettingsError``."""
    answers = await peers.ask(RELOAD, OTHERS_WITHIN)
    said = {
        number: msgspec.msgpack.decode(answer, type=Answer) if answer else Answer(("has not answered",))
        for number, answer in answers.items()
        if answer is not None
    }
    ended = (line for one in said.values() for line in one.ended)
    gw.current.ended = tuple(dict.fromkeys((*gw.current.ended, *ended)))
    problems = tuple(f"worker {number}: {problem}" for number, one in said.items() for problem in one.problems)
    if problems:
        gw.current.problems = problems
        for problem in problems:
            report(gw, Occurrence.RELOAD_FAILED, problem=problem)
        raise SettingsError(problems)


class _Version(NamedTuple):
    """A gateway that may become the current one, and how it differs from that.

    ``lacks_names``: an account or a deposit method is gone. ``leaving``: as in ``Current``. ``has_new_tenants``: they
    may have been here before. ``has_other_secrets``: the server has. ``listening``: webhooks of these go elsewhere now.
    """

    gateway: Gateway
    lacks_names: bool
    leaving: Set[tuple[str, str, str]]
    has_new_tenants: bool
    has_other_secrets: bool
    listening: list[str]


def _load(before: Gateway, load: Load) -> _Version:
    """Blocking, for a thread: all that takes long with ten thousand tenants."""
    gateway = before.under(load(before.store.tenants.with_moves(before.settings)))
    _free_beside(gateway)
    old, new = before.settings.tenants, gateway.settings.tenants
    names = _names(gateway.settings)
    gone = _names(before.settings) - names
    leaving = (before.current.leaving | gone) - names
    listening = [name for name, tenant in old.items() if name not in new or new[name].webhook != tenant.webhook]
    listening += before.settings.operator_webhooks  # they are few
    has_other_secrets = gateway.settings.server.secrets != before.settings.server.secrets
    return _Version(gateway, bool(gone), leaving, not new.keys() <= old.keys(), has_other_secrets, listening)


def _names(settings: Settings) -> set[tuple[str, str, str]]:
    """What payments refer to: accounts with their providers, and deposit methods."""
    tenants = settings.tenants.values()
    accounts = {(one.id, name, entry.provider.name) for one in tenants for name, entry in one.accounts.items()}
    return accounts | {(one.id, name, "") for one in tenants for name in one.deposit_methods}


def _swap(current: Current, version: _Version) -> None:
    """Make a version the current one, and wake what waits under the settings before."""
    before, gw = current.gateway, version.gateway
    current.gateway, current.problems = gw, ()
    gw.store.tenants.use(gw.settings)
    current.version += 1
    gw.sessions = {key: held for key, held in before.sessions.items() if _is_same_account(before, gw, *key[:2])}
    gw.masks.remember(before.masks)
    for timer in (gw.check_timer, gw.inbox_timer, *(gw.webhook_timers[tenant] for tenant in version.listening)):
        timer.no_later_than(0)
    current.changed.set()
    note_version(gw, Occurrence.SETTINGS_RELOADED)


def _say_what_ended(gw: Gateway) -> Iterator[str]:
    """Warn of accounts whose earlier address, credentials or links were in use and are refused from now on."""
    tenants = gw.settings.tenants.values()
    accepted = (one for tenant in tenants for entry in tenant.accounts.values() for one in entry.earlier)
    for tenant, account, uses in gw.uses.end_all_but(accepted):
        times = sorted(uses.items())
        used = "; ".join(f"{what} {use.times}, last {use.last and rfc3339(use.last)}" for what, use in times)
        extra = {"tenant": tenant, "account": account, "detail": used}
        log.warning("earlier credentials that were in use are refused from now on", extra=extra)
        yield f"{tenant}/{account}: {used}"


def note_version(gw: Gateway, occurrence: Occurrence) -> None:
    """Say which version of the settings is the current one."""
    report(gw, occurrence, hash=gw.settings.digest)
    for key in gw.settings.needs_restart:
        log.warning("a changed key of the settings needs a restart", extra={"key": key})


def _is_same_account(before: Gateway, after: Gateway, tenant: str, account: str) -> bool:
    """Whether an account's session is good under the new settings too."""
    old, new = _entry(before, tenant, account), _entry(after, tenant, account)
    if old is None or new is None:
        return False
    return (old.provider.name, old.account.config, old.credentials) == (
        new.provider.name,
        new.account.config,
        new.credentials,
    )


def _entry(gw: Gateway, tenant: str, account: str) -> AccountEntry | None:
    held = gw.settings.tenants.get(tenant)
    return held.accounts.get(account) if held is not None else None


def _free_beside(gateway: Gateway) -> None:
    """Let a thread free the tenants of a version that nobody uses any more."""
    weakref.finalize(gateway, _begin_freeing, list(gateway.settings.tenants.values())).atexit = False


def _begin_freeing(tenants: list[object]) -> None:
    threading.Thread(target=_free, args=(tenants,), daemon=True).start()


def _free(tenants: list[object]) -> None:
    while tenants:
        del tenants[-TENANTS_FREED_PER_STEP:]
        time.sleep(FREEING_PAUSE)


@contextmanager
def _short_switches() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)
