"""Health of the process, for everyone who can reach the operators' listener: no key is needed."""

from __future__ import annotations

from aiohttp import web

from gateway.core.errors import Unavailable
from gateway.flows import storage
from gateway.web.app_keys import GATEWAY
from gateway.web.pages import link_to


async def root(request: web.Request) -> web.Response:
    """``GET /``: a link to the documentation, which the public listener has."""
    return link_to(f"{request[GATEWAY].public_url}/docs")


async def livez(_: web.Request) -> web.Response:
    """``GET /livez``: the process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """``GET /readyz``: the store takes a write and the gateway is not stopping; else ``problems`` say what is wrong.

    Without disk space for new payments it is ready too, since callbacks are still stored; ``warnings`` says so.
    """
    gw = request[GATEWAY]
    if gw.current.is_stopping:
        return web.json_response({"status": "stopping"}, status=503)
    try:
        await storage.probe(gw)
    except Unavailable:
        return web.json_response({"status": "store unavailable", "problems": [*storage.outages(gw)]}, status=503)
    more = {"warnings": storage.warnings(gw), "problems": [*storage.outages(gw)]}
    return web.json_response({"status": "ok", **{name: said for name, said in more.items() if said}})
