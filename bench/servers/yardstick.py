"""The yardsticks: ``python -m bench.servers.yardstick NAME PORT PROVIDER_PORT``.

bare: an aiohttp server that does nothing. echo: bare aiohttp, msgspec decode and encode. forward: bare aiohttp server,
aiohttp client, the fake provider, nothing stored. Echo and forward have the gateway's garbage collector settings.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import aiohttp
import msgspec
from aiohttp import web

CLIENT = web.AppKey("client", aiohttp.ClientSession)


async def echo(request: web.Request) -> web.Response:
    """The smallest thing that reads and writes JSON; answers like a callback's receiver."""
    body = msgspec.json.decode(await request.read())
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


async def forward(request: web.Request) -> web.Response:
    """The smallest thing between a tenant and a provider; answers like a create."""
    body = msgspec.json.decode(await request.read())
    headers = {"Content-Type": "application/json"}
    provider = f"http://127.0.0.1:{sys.argv[3]}/pay/url"
    async with request.app[CLIENT].post(provider, data=msgspec.json.encode(body), headers=headers) as response:
        answer = msgspec.json.decode(await response.read())
    return web.Response(status=201, body=msgspec.json.encode(answer), content_type="application/json")


async def client(app: web.Application) -> AsyncIterator[None]:
    """One client for all requests; it keeps connections and has no limit of its own."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app[CLIENT] = session
        yield


def application(name: str) -> web.Application:
    """The application of a yardstick."""
    app = web.Application()
    if name == "forward":
        app.cleanup_ctx.append(client)
    if name != "bare":
        app.router.add_post("/{path:.*}", {"echo": echo, "forward": forward}[name])
    return app


async def serve(name: str, port: int) -> None:
    """Serve until the process ends."""
    runner = web.AppRunner(application(name), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    if name != "bare":
        # Only here: the bare server is also the yardstick of memory, which an import would change.
        from gateway.cli.foreground import freeze_startup_memory

        freeze_startup_memory()
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
