"""A proxy in front of the gateway that serves it below a path, as an operator's would."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.stack import GatewayStack


@contextlib.asynccontextmanager
async def proxied(stack: GatewayStack, path: str) -> AsyncIterator[str]:
    """A proxy that serves the gateway below ``path``; its address, with the path."""

    async def forward(request: web.Request) -> web.Response:
        if not request.path.startswith(f"{path}/"):
            raise web.HTTPNotFound
        url = stack.url + request.raw_path.removeprefix(path)
        async with stack.http.request(
            request.method, url, headers=request.headers, data=await request.read()
        ) as answer:
            kept = {
                name: text for name, text in answer.headers.items() if name not in ("Content-Length", "Content-Type")
            }
            kind = {"Content-Type": answer.headers["Content-Type"]}
            return web.Response(status=answer.status, headers=kept | kind, body=await answer.read())

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", forward)
    async with TestServer(app) as server:
        yield str(server.make_url(path)).rstrip("/")
