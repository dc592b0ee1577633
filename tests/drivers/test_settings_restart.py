"""What a reload keeps as it is running, key by key."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import Settings, load_settings
from gateway.drivers.settings.restart import NEEDS_RESTART
from tests.support.docs_pages import text_of
from tests.support.stack import basic_settings

OTHER: dict[str, Any] = {
    "server.host": "127.0.0.2",
    "server.port": 1,
    "server.secret": "another-master-secret-of-forty-characters",
    "server.admin.host": "127.0.0.2",
    "server.admin.port": 1,
    "server.watch": True,
    "server.development": False,
    "timeouts.request_body": "3s",
    "timeouts.request_head": "3s",
    "timeouts.idle_connection": "3s",
    "timeouts.write": "3s",
    "limits.connections": 10,
    "limits.connections_per_address": 10,
    "limits.head_bytes": 2048,
    "limits.low_disk": 0,
    "egress.proxy": "http://127.0.0.1:3128",
    "store.url": "sqlite:///other.db",
    "store.pool": 3,
    "store.statement_timeout": "3s",
    "store.lock_timeout": "3s",
    "stores": {"main": {"url": "sqlite:///a.db"}, "eu": {"url": "sqlite:///b.db"}},
    "plugins.blocked": ["other"],
    "plugins.allowed": ["creditkey", "psp_open_api"],
}

POSTGRESQLS = ("store.pool", "store.statement_timeout", "store.lock_timeout")
"""Keys that SQLite does not have."""


def load(folder: Path, running: Settings | None = None, **changed: Any) -> Settings:
    """Load the usual settings with some keys changed."""
    written = basic_settings({"psp": 1, "creditkey": 1, "hooks": 1})
    for key, value in changed.items():
        *sections, name = key.split(".")
        reduce(lambda held, section: held.setdefault(section, {}), sections, written)[name] = value
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(written))
    return load_settings(path, providers=load_plugins().providers, environ={}, running=running)


@pytest.mark.parametrize("key", [*NEEDS_RESTART])
def test_what_needs_a_restart_is_kept_and_named(tmp_path: Path, key: str) -> None:
    """The value stays that of the process, also what is derived of it; the key is named until the file is as before."""
    others: dict[str, Any] = {"store.url": "postgresql://u@h/db"} if key in POSTGRESQLS else {}
    if key == "stores":
        others = {"store": None, "stores": {"main": {"url": "sqlite:///a.db"}}}
    running = load(tmp_path, **others)
    loaded = load(tmp_path, running, **{**others, key: OTHER[key]})
    assert loaded.needs_restart == (key,)
    steps = NEEDS_RESTART[key].split(".")
    assert reduce(getattr, steps, loaded) == reduce(getattr, steps, running)  # type: ignore[arg-type]  # of any type
    assert loaded.endpoints.keys() == running.endpoints.keys()
    assert load(tmp_path, loaded, **others).needs_restart == ()


def test_a_tenant_stays_in_its_store(tmp_path: Path) -> None:
    """Its rows do not move by themselves: what is written takes effect with a start, which looks where they are."""
    both = {"store": None, "stores": {"main": {"url": "sqlite:///a.db"}, "eu": {"url": "sqlite:///b.db"}}}
    running = load(tmp_path, **both, **{"tenants.acme.store": "eu"})
    loaded = load(tmp_path, running, **both, **{"tenants.globex.store": "eu"})
    assert {name: tenant.store for name, tenant in loaded.tenants.items()} == {"acme": "eu", "globex": None}
    assert loaded.needs_restart == ("tenants.acme.store", "tenants.globex.store")


def test_each_of_these_keys_is_on_the_page() -> None:
    """In the row of its section."""
    page = text_of("docs/settings.md").partition("keys that need a restart")[2].partition("\n\n")[0]
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    named = {key for key in NEEDS_RESTART if f"`{key.rpartition('.')[2]}`" in rows[key.partition(".")[0]]}
    assert named == NEEDS_RESTART.keys()
