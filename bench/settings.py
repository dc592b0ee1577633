"""Settings of the gateway under test: two tenants, one PSP account each, 14 fields of which six are mapped here."""

from __future__ import annotations

import hashlib
from typing import Any

TENANT_KEYS = {"acme": "gw_k1_bench-only-acme-key-000001", "globex": "gw_k1_bench-only-globex-key-0001"}
"""Tenant -> its API key."""

NOBODY = "http://127.0.0.1:9/hooks"
"""An address that refuses connections."""

OPERATORS_KEY = "gw_admin_bench-only-key-of-the-operators-0001"
UNLIMITED = {"per_second": 1_000_000, "burst": 1_000_000}
WEBHOOK_SECRET = "whsec_YmVuY2gtb25seS13ZWJob29rLXNlY3JldC0wMDAx"  # noqa: S105  # of these servers only
FIELDS = {
    "amount": {"key": "sum"},
    "language": {"key": "lang", "values": {"en-us": "EN"}},
    "channel": {"value": "web"},
    "branch": {"from": "metadata.warehouse || 'none'"},
    "extra_0": {"value": "constant 0"},
    "extra_1": {"value": "constant 1"},
}


SQLITE = "sqlite:///bench.db"


def settings(
    port: int, provider_port: int, webhooks: str | None = None, admin_port: int = 0, store: str = SQLITE
) -> dict[str, Any]:
    """The settings file's value. Without a URL of ``webhooks`` they are stored and wait for an hour."""
    return {
        "server": {
            "port": port,
            "public_url": f"http://127.0.0.1:{port}",
            "secret": "bench-only-master-secret-of-forty-chars-0",
            "admin": {"port": admin_port, "key_sha256": hashlib.sha256(OPERATORS_KEY.encode()).hexdigest()},
            "callback_rate": UNLIMITED,
            "development": True,
        },
        "store": {"url": store},
        "clocks": {"webhook_retry": ["1h"] if webhooks is None else ["0s", "1h"]},
        "tenants": {name: tenant(name, key, provider_port, webhooks or NOBODY) for name, key in TENANT_KEYS.items()},
    }


def tenant(name: str, key: str, provider_port: int, webhooks: str = NOBODY) -> dict[str, Any]:
    """One tenant with one account."""
    return {
        "name": name,
        "keys": [{"id": "k1", "sha256": hashlib.sha256(key.encode()).hexdigest()}],
        "rate_limit": UNLIMITED,
        "webhook": {"url": webhooks, "secrets": [WEBHOOK_SECRET]},
        "accounts": {
            "psp": {
                "provider": "psp_open_api",
                "config": {"app_url": f"http://127.0.0.1:{provider_port}"},
                "fields": FIELDS,
            }
        },
        "deposit_methods": {"bank": {"account": "psp"}},
    }
