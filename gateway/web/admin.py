"""The operators' own listener: whether this process lives, and whether it can do its work."""

from __future__ import annotations

from aiohttp import web

from gateway.core.errors import Unavailable
from gateway.web.keys import GATEWAY


async def livez(_: web.Request) -> web.Response:
    """The process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """The store takes a write and nothing is stopping."""
    gw = request.app[GATEWAY]
    if gw.is_stopping:
        return web.json_response({"status": "stopping"}, status=503)
    try:
        await gw.store.prove_writable(gw.clock.now())
    except Unavailable:
        return web.json_response({"status": "store unavailable"}, status=503)
    return web.json_response({"status": "ok"})


def add_routes(app: web.Application) -> None:
    """Register the operators' routes."""
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
