"""The operators' side of a running stack: their key, and one call to their listener."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.support.stack import GatewayStack, Reply

ADMIN_KEY = "operators-test-key"


def with_key(settings: dict[str, Any]) -> None:
    """Give the operators a key."""
    settings["server"]["admin"]["key_sha256"] = hashlib.sha256(ADMIN_KEY.encode()).hexdigest()


async def desk(stack: GatewayStack, method: str, path: str, body: Any = None, *, key: str | None = ADMIN_KEY) -> Reply:
    """Call the operators' listener."""
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    url = f"{stack.admin_url}/admin/v1{path}"
    async with stack.http.request(method, url, json=body, headers=headers) as response:
        return Reply(response.status, response.headers, await response.text())
