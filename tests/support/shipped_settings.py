"""The shipped settings in a stack: what somebody meets who starts the gateway with them."""

from __future__ import annotations

from typing import Any

import yaml

from tests.support.cli import SHIPPED

KEY = "gw_k1_dev-only-acme-key-0123456789"
"""The key of the shipped settings' first tenant."""


def shipped(settings: dict[str, Any]) -> None:
    """Put the shipped settings in place of those written, with the addresses and the store that were written."""
    here, text = settings.copy(), SHIPPED.read_text()
    accounts = here["tenants"]["acme"]["accounts"]
    for published, own in {
        "http://127.0.0.1:9101": accounts["creditkey-main"]["config"]["base_url"],
        "http://127.0.0.1:9102": accounts["psp-main"]["config"]["app_url"],
        "http://127.0.0.1:9110/hooks": here["tenants"]["acme"]["webhook"]["url"].removesuffix("/acme"),
    }.items():
        text = text.replace(published, own)
    settings.clear()
    settings |= yaml.safe_load(text)
    settings["server"] |= {"port": 0, "admin": {**settings["server"]["admin"], "port": 0}}
    settings["store"], settings["clocks"]["hint"] = here["store"], "1ms"
