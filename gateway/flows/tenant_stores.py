"""In which of several stores the rows of each tenant are, whatever settings say."""

from __future__ import annotations

from gateway.drivers.settings import Settings
from gateway.drivers.store.reads import Store


async def stores_with_rows(store: Store) -> dict[str, str]:
    """The store of each tenant that has rows, by tenant.

    Rows do not count where a move has left them, nor where it has not brought all of them yet.
    """
    found: dict[str, str] = {}
    for name, part in store.by_name.items():
        elsewhere = {one.tenant for one in await part.moves.all() if one.is_over} | await part.moves.arriving()
        held = await part.stored_bytes()
        found |= {tenant: name for tenant, size in held.items() if size and tenant not in elsewhere}
    return found


async def misplaced(store: Store, settings: Settings) -> list[str]:
    """What is wrong with settings that name another store than the one that has a tenant's rows; a line each."""
    source, tenants = settings.source.name, store.tenants.with_moves(settings).tenants
    found = await stores_with_rows(store)
    store.tenants.note_rows(found)
    return sorted(
        f"{source}: tenant {tenant}: store: must be {name}, where its payments are"
        for tenant, name in found.items()
        if tenant in tenants and (tenants[tenant].store or settings.main_store) != name
    )


def moved(store: Store, settings: Settings) -> dict[str, str]:
    """The tenants that were moved to another store than the settings name, and that store's name."""
    now, tenants = store.tenants.with_moves(settings).tenants, store.tenants
    return {tenant: tenants.store_of(tenant) for tenant, one in now.items() if one is not settings.tenants[tenant]}
