"""In which of several stores each tenant's rows are, whatever the settings say."""

from __future__ import annotations

from collections import defaultdict

from gateway.core.errors import StillNeeded
from gateway.drivers.settings import Settings
from gateway.drivers.store.reads import Store

RESTORED = "was one of these stores restored to a time before the tenant was moved? Restore it to a time after that"


async def stores_with_rows(store: Store) -> dict[str, list[str]]:
    """By tenant the stores that have rows of it: several where one was restored to a time before a move.

    Rows do not count where a move has left them, nor where it has not brought all of them yet.
    """
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, part in store.by_name.items():
        elsewhere = {one.tenant for one in await part.moves.all() if one.is_over} | await part.moves.arriving()
        held = await part.stored_bytes()
        for tenant in [one for one, size in held.items() if size > 0 and one not in elsewhere]:
            found[tenant].append(name)
    return found


async def check(store: Store, settings: Settings) -> dict[str, str]:
    """Refuse settings by which payments of a tenant would not be found; return those that were moved (``moved``).

    Raises ``StillNeeded``.
    """
    await store.read_moves()
    if problems := await misplaced(store, settings):
        raise StillNeeded(problems)
    return moved(store, settings)


async def misplaced(store: Store, settings: Settings) -> list[str]:
    """What is wrong with settings that name another store than the one that has a tenant's rows; a line each.

    Of a single store only the moves count: it may not be the one to which a tenant was moved.
    """
    source, tenants = settings.source.name, store.tenants.with_moves(settings).tenants
    missing = sorted(
        f"{source}: tenant {tenant}: store: must be {name}, to which its payments were moved, and stores must have it"
        for tenant, name in moved(store, settings).items()
        if name not in store.by_name
    )
    if missing or not settings.further_stores:
        return missing
    found = await stores_with_rows(store)
    store.tenants.note_rows({tenant: names[0] for tenant, names in found.items()})
    return sorted(
        f"{source}: tenant {tenant}: store: must be {names[0]}, where its payments are"
        if len(names) == 1
        else f"{source}: tenant {tenant}: store: its payments are in {' and in '.join(names)}: {RESTORED}"
        for tenant, names in found.items()
        if tenant in tenants and names != [tenants[tenant].store or settings.main_store]
    )


def moved(store: Store, settings: Settings) -> dict[str, str]:
    """The tenants that were moved to another store than the settings name, and that store's name."""
    now, tenants = store.tenants.with_moves(settings).tenants, store.tenants
    return {tenant: tenants.store_of(tenant) for tenant, one in now.items() if one is not settings.tenants[tenant]}
