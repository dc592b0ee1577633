"""The settings of all histories: two tenants, six accounts, timers of seconds and minutes instead of days."""

from __future__ import annotations

import hashlib
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import Settings, load_settings
from tests.simulation.acquirer_plugin import Acquirer
from tests.simulation.fake_acquirer import KEY
from tests.simulation.fake_endpoints import SECRET

QUIET = 20
"""Seconds of ``quiet_period``: longer than any request is late."""

CLOCKS = {
    "reconcile": ["3s", "10s", "30s", "60s"],
    "poll": ["15s", "30s", "60s", "180s"],
    "quiet_period": f"{QUIET}s",
    "webhook_retry": ["0s", "2s", "10s", "30s", "60s", "120s"],
    "hint": "2s",
    "payment_expiry": "10m",
    "late_grace": "8m",
}
TIMEOUTS = {"provider_connect": "1s", "provider_total": "4s", "tenant_answer": "3s", "webhook_total": "3s"}
CONFIRM_DEADLINE = 20 * 60.0
"""Seconds after which Credit Key cancels what was not confirmed."""


@lru_cache(maxsize=2)
def settings_of(*, absence_proves: bool) -> Settings:
    """Load the settings as a server does. ``absence_proves``: of the Credit Key account."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "settings.yaml"
        path.write_text(yaml.safe_dump(_written(absence_proves=absence_proves), sort_keys=False))
        return load_settings(path, providers={**load_plugins().providers, "acquirer": Acquirer()}, environ={})


def _written(*, absence_proves: bool) -> dict[str, Any]:
    psp = {"provider": "psp_open_api", "config": {"app_url": "https://psp.example/bridge", "expires_after": "8m"}}
    creditkey = {
        "provider": "creditkey",
        "config": {
            "base_url": "https://creditkey.example/app",
            "public_key": "pk_sim",
            "shared_secret": "ss_sim",
            "absence_proves": absence_proves,
            "expires_after": "10m",
            "confirm_deadline": f"{CONFIRM_DEADLINE:.0f}s",
            "deadline_warning": "5m",
        },
    }
    acquirer = {"provider": "acquirer", "config": {"base_url": "https://acquirer.example", "key": KEY}}
    return {
        "server": {
            "host": "127.0.0.1",
            "port": 0,
            "public_url": "https://pay.example",
            "secret": "simulated-master-secret-of-forty-characters",
            "admin": {"host": "127.0.0.1", "port": 0},
            "development": True,
        },
        "store": {"url": "sqlite:///gateway.db"},
        "timeouts": TIMEOUTS,
        "clocks": CLOCKS,
        "tenants": {
            "acme": _tenant("acme", {"creditkey-main": creditkey, "psp-main": psp, "acquirer-main": acquirer}, []),
            "globex": _tenant(
                "globex",
                {"psp-main": psp, "psp-spare": psp},
                [{"account": "psp-main", "fallback": ["psp-spare"]}],
            ),
        },
    }


def _tenant(name: str, accounts: dict[str, Any], routing: list[Any]) -> dict[str, Any]:
    return {
        "name": name.title(),
        "keys": [{"id": "k1", "sha256": hashlib.sha256(f"gw_k1_{name}".encode()).hexdigest()}],
        "return_origins": ["https://shop.example"],
        "webhook": {"url": f"https://{name}.example/hooks", "secrets": [SECRET]},
        "routing": routing,
        "accounts": accounts,
        "deposit_methods": {f"way-{account}": {"account": account} for account in accounts if "psp" in account},
    }
