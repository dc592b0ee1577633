"""In which of several stores the rows of each tenant are, whatever settings say."""

from __future__ import annotations

from gateway.drivers.settings import Settings
from gateway.drivers.store.reads import Store


async def note_moves(store: Store) -> None:
    """Follow the moves of tenants that the stores know of."""
    for part in store.parts:
        store.note_moves(part, await part.moves.all())


async def rows_of_tenants(store: Store) -> dict[str, str]:
    """The store of each tenant that has rows. Those that a move has left, or has not brought whole, do not count."""
    found: dict[str, str] = {}
    for name, part in store.by_name.items():
        elsewhere = {one.tenant for one in await part.moves.all() if one.is_over} | await part.moves.arriving()
        held = await part.stored_bytes()
        found |= {tenant: name for tenant, size in held.items() if size and tenant not in elsewhere}
    return found


async def misplaced(store: Store, settings: Settings) -> list[str]:
    """What is wrong with settings that name another store than the one that has a tenant's rows; a line each."""
    source = settings.source.name
    return sorted(
        f"{source}: tenant {tenant}: store: its payments are in {name}, so {name} is right here"
        for tenant, name in (await rows_of_tenants(store)).items()
        if tenant in settings.tenants and store.place_of(tenant) != name
    )


def moved(store: Store, settings: Settings) -> dict[str, str]:
    """The tenants that are in another store than settings say, since they were moved, and its name."""
    followed = store.followed(settings).tenants
    return {tenant: store.place_of(tenant) for tenant, one in followed.items() if one is not settings.tenants[tenant]}
