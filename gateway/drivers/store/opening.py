"""Open the store where the settings say it is: the URL chooses the engine, and only that one is imported."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from gateway.core.errors import SettingsError
from gateway.drivers.clock import milliseconds
from gateway.drivers.measures import Measures
from gateway.drivers.settings import Settings, StoreTarget
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite, open_sqlite_to_read, plan_sqlite, version_of_sqlite
from gateway.drivers.store.store_files import AlreadyRunning, require_store
from gateway.drivers.store.tenant_map import TenantMap

NO_DRIVER = "store.url: PostgreSQL needs its driver: pip install 'tenant-payment-gateway[postgres]'"

ENGINE_OPTIONS = ("pool", "statement_timeout", "lock_timeout")
"""Members of a target that PostgreSQL's engine takes; what is not given it decides."""


def missing_driver(target: StoreTarget) -> list[str]:
    """What must be installed for a store: a sentence, or none."""
    return [NO_DRIVER] if target.path is None and find_spec("psycopg") is None else []


async def open_store(target: StoreTarget, *, strict: bool = False, measures: Measures | None = None) -> Store:
    """Open a store, or make it. ``strict``: a SQLite file that other users may open is refused, not narrowed.

    Raises ``SettingsError`` where the driver is not installed, ``AlreadyRunning`` and ``Unavailable``.
    """
    if isinstance(target.url, Path):
        return await open_sqlite(target.url, strict=strict, measures=measures)
    _require_driver(target)
    from gateway.drivers.store.postgresql.engine import open_postgresql  # only where it is used

    given = {name: value for name in ENGINE_OPTIONS if (value := getattr(target, name)) is not None}
    return await open_postgresql(target.url.reveal(), **given, measures=measures)


async def open_stores(settings: Settings, *, measures: Measures | None = None) -> Store:
    """Open all stores of the settings as one. Raises as ``open_store``."""
    return await _all(settings, partial(open_store, strict=not settings.server.development, measures=measures))


async def open_stores_to_read(settings: Settings) -> Store:
    """Open all stores that are there as one, beside running gateways. Raises as ``open_store``."""
    return await _all(settings, open_store_to_read)


async def _all(settings: Settings, opening: Callable[[StoreTarget], Awaitable[Store]]) -> Store:
    opened: dict[str, Store] = {}
    async with AsyncExitStack() as stack:
        for name, target in settings.stores.items():
            opened[name] = await opening(target)
            stack.push_async_callback(opened[name].close)
        await _refuse_one_twice(opened)
        stack.pop_all()
    if not settings.further_stores:
        only = opened[settings.main_store]
        only.tenants = TenantMap([settings.main_store])
        return only
    from gateway.drivers.store.many import ManyStores  # only where there are several

    store = ManyStores(opened, settings)
    await store.read_moves()  # commands that only read follow them too
    return store


async def _refuse_one_twice(opened: Mapping[str, Store]) -> None:
    """Refuse two URLs of one database: a tenant that moved would be deleted there. Raises ``SettingsError``."""
    known: dict[tuple[str, str], str] = {}
    for name, store in opened.items() if len(opened) > 1 else ():
        if store.is_shared and (first := known.setdefault(await store.metadata.database(), name)) != name:
            raise SettingsError([f"stores.{name}.url: leads to the database of {first}: give each store its own"])


async def open_store_to_read(target: StoreTarget) -> Store:
    """Open a store that is there, beside running gateways. Raises as ``open_store``."""
    if isinstance(target.url, Path):
        return await open_sqlite_to_read(target.url)
    _require_driver(target)
    from gateway.drivers.store.postgresql.engine import open_postgresql_to_read  # as above

    return await open_postgresql_to_read(target.url.reveal())


async def require_tables(target: StoreTarget) -> None:
    """Refuse a store that is not there: opening it would make one. Raises as ``open_store``."""
    if isinstance(target.url, Path):
        return require_store(target.url)
    _require_driver(target)
    from gateway.drivers.store.postgresql import migrations  # as above

    return await migrations.check_found(target.url.reveal())


async def version_of_store(target: StoreTarget) -> int | None:
    """The version of the tables in a store; None where it has none yet. It may be an older one that a start updates.

    Raises ``Unavailable`` where it cannot be read, or no gateway of this version could start on it, and as
    ``open_store``.
    """
    if isinstance(target.url, Path):
        return version_of_sqlite(target.url)
    _require_driver(target)
    from gateway.drivers.store.postgresql import migrations  # as above

    return await migrations.version(target.url.reveal())


async def plan_of_store(target: StoreTarget) -> list[str]:
    """The statements that would bring a store's tables up to date; none where they are. Raises as ``open_store``."""
    if isinstance(target.url, Path):
        return plan_sqlite(target.url)
    _require_driver(target)
    from gateway.drivers.store.postgresql import migrations  # as above

    return await migrations.plan(target.url.reveal())


async def migrate_store(target: StoreTarget, now: datetime, *, strict: bool = False) -> None:
    """Bring the tables of a store up to date. Raises as ``open_store``."""
    if isinstance(target.url, Path):
        await (await open_sqlite(target.url, strict=strict)).close()
        return
    _require_driver(target)
    from gateway.drivers.store.postgresql import migrations  # as above

    await migrations.migrate(target.url.reveal(), now)


async def refuse_living_nodes(store: Store, now: datetime) -> None:
    """Refuse a database that a gateway uses; a SQLite file that is open is nobody else's. Raises ``AlreadyRunning``."""
    nodes = await store.nodes.all() if store.is_shared else []
    alive = [f"{one.host}, process {one.pid}" for one in nodes if one.alive_until > milliseconds(now)]
    if alive:
        raise AlreadyRunning(f"other gateways are using the store: {'; '.join(alive)}")


def _require_driver(target: StoreTarget) -> None:
    missing = missing_driver(target)
    if missing:
        raise SettingsError(missing)
