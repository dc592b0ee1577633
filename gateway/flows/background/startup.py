"""Start on a store: resolve what an interrupted process left open, and follow up a restored backup."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from gateway.core.errors import StillNeeded, Unavailable
from gateway.drivers.store import pending_erasures
from gateway.drivers.store.metadata import COPIED, RESTORED, check_all_payments, delete_timestamp, set_timestamp
from gateway.drivers.store.pending_erasures import erased_file
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows import audit, tenant_stores
from gateway.flows.audit import Act
from gateway.flows.background import after_restore
from gateway.flows.background.secret_fingerprint import check_secret
from gateway.flows.background.timelines import (
    go_on,
    go_on_carefully,
    has_lost_units,
    may_be_older,
    note_servers,
    read_caution,
)
from gateway.flows.customers.erase import ask
from gateway.flows.payments import submit
from gateway.flows.runtime import Gateway, log

STARTED = Act(name="start", by=audit.GATEWAY)


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What was done. ``unknown``: operations found in ``sending``; ``due``: payments that are checked next.

    ``erased``: payments whose customer had been erased since the backup was made, and is erased again.
    """

    unknown: int
    due: int
    erased: int = 0


async def check_names(gw: Gateway) -> None:
    """Refuse settings without an account or deposit method that payments still need. Raises ``StillNeeded``."""
    problems: set[str] = set()
    for tenant, account, provider, method in await gw.store.accounts_in_use(
        gw.settings.clocks.grace_began(gw.clock.now())
    ):
        known = gw.settings.tenants.get(tenant)
        place = f"{gw.settings.source.name}: tenant {tenant}"
        gone = "is gone, but payments of it are still open: put it back until they have ended"
        if known is None or account not in known.accounts:
            problems.add(f"{place}: accounts.{account}: {gone}, with accepts_new: false")
        elif known.accounts[account].provider.name != provider:
            problems.add(f'{place}: accounts.{account}.provider: was "{provider}" for payments that are still open')
        if method is not None and (known is None or method not in known.deposit_methods):
            problems.add(f"{place}: deposit_methods.{method}: {gone}")
    if problems:
        raise StillNeeded(sorted(problems))


async def check(gw: Gateway) -> None:
    """Refuse a store on which no gateway starts with these settings, and change nothing.

    Raises ``SettingsError`` and ``Unavailable``.
    """
    await check_secret(gw)
    await check_names(gw)
    await _refuse_unfinished_copy(gw)
    await _refuse_backup(gw)


async def start(gw: Gateway) -> None:
    """Begin, after a restored backup with its caution: a database says by itself that it may be one."""
    if await may_be_older(gw):
        log.warning("the database may have been restored: providers are asked before anything is done")
        await begin_restored(gw, replace(STARTED, details={"restored": True}))
    else:
        await begin(gw)
    await after_restore.go_on(gw)


async def stay_careful(gw: Gateway) -> None:
    """While it runs on a shared store: be careful from when the database, or another process, gives reason to be."""
    if await has_lost_units(gw):
        await go_on_carefully(gw)
        await begin_restored(gw, Act(name="recover", by=audit.GATEWAY, details={"restored": True}))
        await after_restore.go_on(gw)
    await read_caution(gw)
    await go_on(gw)


async def begin(gw: Gateway, act: Act = STARTED) -> Recovered:
    """Make a store ready to work with. What was being sent when the last process ended has an unknown outcome.

    ``act``: for the audit trail, whose rows from here on are signed with the secret of these settings.
    Raises ``Unavailable`` for a backup: its payments have moved since, and only ``recover --restored`` may use it.
    """
    await _refuse_unfinished_copy(gw)
    await check_places(gw)
    await _refuse_backup(gw)
    gw.restored_at = await gw.store.metadata.timestamp(RESTORED)
    unknown = await submit.resolve_interrupted(gw)
    await note_servers(gw)
    await audit.note(gw, _with_settings(gw, act))
    return await _recovered(gw, unknown)


async def recover_restored(gw: Gateway, act: Act) -> Recovered:
    """``begin_restored``, with all that follows. Raises ``Unavailable``."""
    unknown = await begin_restored(gw, act)
    erased = await after_restore.finish(gw)
    return replace(await _recovered(gw, unknown), erased=erased)


async def begin_restored(gw: Gateway, act: Act) -> int:
    """Make a backup the store: as ``begin``, and every payment that may still move is looked up first.

    What was erased since the backup is erased again. Both follow (``after_restore.py``); returns how many operations
    were found in ``sending``.

    Pending webhooks stay: tenants drop one that was delivered already, since its id and version are the same.
    """
    await _refuse_unfinished_copy(gw)
    await check_places(gw)
    unknown = await submit.resolve_interrupted(gw)  # before: it gives those payments later dates of their own
    now = gw.clock.now()
    marks = [set_timestamp(RESTORED, now), delete_timestamp(COPIED), *check_all_payments(now)]
    if (file := erased_file(gw.settings.store)) is not None:
        await ask(gw, pending_erasures.noted_in_file(file))
    for part in gw.store.parts:
        await part.commit(NO_TENANT, [*marks, audit.entry(gw, _with_settings(gw, act))])
    await note_servers(gw)
    gw.restored_at = now
    return unknown


async def _refuse_unfinished_copy(gw: Gateway) -> None:
    """Refuse a store that another was not copied into whole. Raises ``Unavailable``."""
    if await gw.store.metadata.unfinished_copy() is not None:
        raise Unavailable("the store is the unfinished copy of another: run gateway store copy again")


async def _refuse_backup(gw: Gateway) -> None:
    if await gw.store.metadata.timestamp(COPIED) is not None:
        raise Unavailable("the store is a backup: run gateway recover --restored first")


async def check_places(gw: Gateway) -> None:
    """Refuse settings that name another store than the one that has a tenant's rows. Raises ``StillNeeded``."""
    for tenant, name in (await tenant_stores.check(gw.store, gw.settings)).items():
        extra = {"tenant": tenant, "detail": f"it was moved: tenants.{tenant}.store is {name}"}
        log.warning("a tenant is in another store than the settings say", extra=extra)


def _with_settings(gw: Gateway, act: Act) -> Act:
    return replace(act, details={**act.details, "settings": gw.settings.digest})


async def _recovered(gw: Gateway, unknown: int) -> Recovered:
    return Recovered(unknown=unknown, due=await gw.store.metadata.count_due_checks(gw.clock.now()))
