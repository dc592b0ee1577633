"""Settings that only a restart can change: a reload keeps their running values, and names those that differ."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import Any

from msgspec.structs import replace

from gateway.core.secret import Secret
from gateway.drivers.settings.model import Settings

_SAME_PATH = (
    "server.host",
    "server.port",
    "server.admin.host",
    "server.admin.port",
    "server.watch",
    "server.development",
    "timeouts.request_body",
    "timeouts.request_head",
    "timeouts.idle_connection",
    "timeouts.write",
    "limits.connections",
    "limits.connections_per_address",
    "limits.head_bytes",
    "limits.low_disk",
    "egress.proxy",
    "store.url",
    "store.pool",
    "store.statement_timeout",
    "store.lock_timeout",
)

NEEDS_RESTART: Mapping[str, str] = {
    **dict(zip(_SAME_PATH, _SAME_PATH, strict=True)),
    "server.secret": "server.secrets",
    "stores": "further_stores",
    "plugins.blocked": "blocked",
    "plugins.allowed": "allowed",
}
"""Key of the file -> where its value is in ``Settings``. Every other key takes effect with a reload."""


def advice(key: str) -> str:
    """What to do about a key of ``needs_restart``: a start refuses a secret that is not the store's."""
    if key == "server.secret":
        return "put it back, or list both (server.secrets: [new, old]), then gateway reload"
    if key.startswith("tenants."):
        return "name the store that has its payments, as before"
    return "restart gateway serve"


def keep_running(loaded: Settings, running: Settings) -> Settings:
    """The loaded settings with what is running in place of what only a start can change; ``needs_restart`` names it."""
    changed = {key: path for key, path in NEEDS_RESTART.items() if _at(loaded, path) != _at(running, path)}
    if keeps_secret(loaded.server.secrets, running):
        changed.pop("server.secret", None)
    for path in changed.values():
        loaded = _with(loaded, path.split("."), _at(running, path))
    moved = {
        name: replace(tenant, store=before.store)
        for name, tenant in (loaded.tenants.items() if running.further_stores else ())
        if (before := running.tenants.get(name)) is not None
        and (before.store or running.main_store) != (tenant.store or running.main_store)
    }
    if moved:  # its rows are where they were
        loaded = replace(loaded, tenants={**loaded.tenants, **moved})
    return replace(loaded, needs_restart=(*changed, *(f"tenants.{name}.store" for name in moved)))


def keeps_secret(secrets: tuple[Secret, ...], running: Settings) -> bool:
    """Whether the secret that is in use is among these: then what it made stays good, and they take effect at once."""
    return running.server.secret in secrets


def _at(settings: Settings, path: str) -> Any:
    return reduce(getattr, path.split("."), settings)


def _with(holder: Any, steps: list[str], value: Any) -> Any:
    first, *rest = steps
    return replace(holder, **{first: _with(getattr(holder, first), rest, value) if rest else value})
