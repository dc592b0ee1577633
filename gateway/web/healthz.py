"""``/healthz`` on the public listener, for load balancers: whether to send requests here. Anybody may ask."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from aiohttp import web

from gateway.core.errors import Unavailable
from gateway.flows import storage
from gateway.flows.runtime import Gateway
from gateway.web.app_keys import GATEWAY

KEPT = timedelta(seconds=2)
"""How long an answer of the store holds: strangers ask, and each proof is a write."""


class StoreProof:
    """Whether the store takes writes, asked once for all who want to know."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._asked_at: datetime | None = None
        self._holds = False

    async def holds(self, gw: Gateway) -> bool:
        """Whether it does, as of the last two seconds."""
        async with self._turn:
            now = gw.clock.now()
            if self._asked_at is None or abs(now - self._asked_at) >= KEPT:
                self._holds = await _takes_writes(gw)
                self._asked_at = gw.clock.now()
            return self._holds


STORE_PROOF = web.AppKey("store_proof", StoreProof)


async def healthz(request: web.Request) -> web.Response:
    """``GET /healthz``: 200 while requests can be served; 503 while the gateway stops or its store takes no write.

    Without disk space for new payments it is 200 too: callbacks and operations are still served.
    """
    gw = request[GATEWAY]
    if gw.current.is_stopping:
        return _answer("stopping", 503)
    if not await request.app[STORE_PROOF].holds(gw):
        return _answer("unavailable", 503)
    return _answer("ok", 200)


async def _takes_writes(gw: Gateway) -> bool:
    try:
        await storage.probe(gw)
    except Unavailable:
        return False
    return True


def _answer(status: str, code: int) -> web.Response:
    return web.json_response({"status": status}, status=code)
