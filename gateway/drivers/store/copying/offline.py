"""Open a store for one who uses it alone: no gateway runs on it, and none starts on a SQLite file meanwhile."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from gateway.core.errors import Unavailable
from gateway.drivers.settings import StoreTarget
from gateway.drivers.store.copying.copier import Side
from gateway.drivers.store.opening import open_store, open_store_to_read, refuse_living_nodes
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement, Unit
from gateway.drivers.store.store_files import require_store, resolved_path, take_lock

AUDIT_TRIGGERS = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit_log'"

OWNS_AUDIT_LOG = "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass('audit_log')"


@asynccontextmanager
async def alone(target: StoreTarget, at: datetime, *, writing: bool = False) -> AsyncIterator[Side]:
    """Open a store; ``writing`` makes one where none is. Raises ``AlreadyRunning`` or ``Unavailable``."""
    async with AsyncExitStack() as opened:
        if target.path is not None and not writing:
            path = resolved_path(target.path)
            require_store(path)
            opened.callback(os.close, take_lock(path))
        store = await (open_store if writing else open_store_to_read)(target)
        opened.push_async_callback(store.close)
        await refuse_living_nodes(store, at)
        if writing and store.is_shared and await store.rows(OWNS_AUDIT_LOG, ()) != [(True,)]:
            # Only the owner may switch triggers off: said before a whole store was copied but for its audit trail.
            raise Unavailable(f"{name_of(target)} must be opened as the owner of its tables, to copy an audit trail")
        yield Side(name_of(target), store, target, *await _audit_switches(store))


def name_of(target: StoreTarget) -> str:
    """A store as it is called in messages, without user and password."""
    if isinstance(target.url, Path):
        return str(target.url)
    parts = urlsplit(target.url.reveal())
    return f"postgresql://{parts.netloc.rpartition('@')[2]}{parts.path}"


async def _audit_switches(store: Store) -> tuple[Unit, Unit]:
    """What takes the triggers of the audit trail out of the way of its own rows, and what puts them back."""
    if store.is_shared:
        off, on = (Statement(f"ALTER TABLE audit_log {switch} TRIGGER USER", ()) for switch in ("DISABLE", "ENABLE"))
        return [off], [on]
    triggers = await store.rows(AUDIT_TRIGGERS, ())
    return [Statement(f"DROP TRIGGER {name}", ()) for name, _ in triggers], [Statement(sql, ()) for _, sql in triggers]
