"""New keys and secrets of 256 random bits."""

from __future__ import annotations

import base64
import hashlib
import secrets

TENANT_ID, ADMIN_ID = "k1", "admin"
"""The ids of first keys."""


def new_key(key_id: str) -> dict[str, str]:
    """Make a key of 256 random bits: ``gw_<key id>_<secret>`` and the hex SHA-256 of that whole text."""
    key = f"gw_{key_id}_{secrets.token_urlsafe(32)}"
    return {"id": key_id, "key": key, "sha256": hashlib.sha256(key.encode()).hexdigest()}


def new_webhook_secret() -> str:
    """Make a Standard Webhooks secret of 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
