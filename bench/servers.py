"""The yardsticks and the fake provider, each a process of its own: ``python -m bench.servers NAME PORT CORE [MS]``.

echo: bare aiohttp, msgspec decode and encode. forward: bare aiohttp server, aiohttp client, the fake provider, nothing
stored. bare: an aiohttp server that does nothing. provider: answers API-1, after a delay if one is given.
"""

from __future__ import annotations

import asyncio
import os
import sys

import aiohttp
import msgspec
from aiohttp import web

PAGE = "https://pay.example/page"
PROVIDER_PORT = "BENCH_PROVIDER_PORT"


async def echo(request: web.Request) -> web.Response:
    body = msgspec.json.decode(await request.read())
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def echo_app() -> web.Application:
    app = web.Application()
    app.router.add_post("/{path:.*}", echo)
    return app


def bare_app() -> web.Application:
    return web.Application()


def forward_app() -> web.Application:
    target = f"http://127.0.0.1:{os.environ[PROVIDER_PORT]}/pay/url"

    async def client(app: web.Application):  # type: ignore[no-untyped-def]
        async with aiohttp.ClientSession() as session:
            app["client"] = session
            yield

    async def forward(request: web.Request) -> web.Response:
        body = msgspec.json.decode(await request.read())
        sent = msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"}
        async with request.app["client"].post(target, data=sent, headers=headers) as response:
            answer = msgspec.json.decode(await response.read())
        return web.Response(status=201, body=msgspec.json.encode(answer), content_type="application/json")

    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_post("/{path:.*}", forward)
    return app


class Provider(asyncio.Protocol):
    """API-1 answered as fast as Python can, so that the provider is never what is measured."""

    delay = 0.0
    answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = self.buffer[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            closes = b"\r\nconnection: close" in head
            if self.delay:
                asyncio.get_running_loop().call_later(self.delay, self._answer, closes)
            else:
                self._answer(closes)

    def _answer(self, closes: bool) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.answer)  # type: ignore[attr-defined]
        if closes:
            self.transport.close()


async def provide(port: int, milliseconds: float) -> None:
    body = msgspec.json.encode({"data": {"url": PAGE}, "result": True, "msg": ""})
    Provider.delay = milliseconds / 1000
    Provider.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


async def serve(app: web.Application, port: int) -> None:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


def main(name: str, port: int, core: int, milliseconds: float = 0.0) -> None:
    os.sched_setaffinity(0, {core})
    if name == "provider":
        asyncio.run(provide(port, milliseconds))
    else:
        apps = {"echo": echo_app, "forward": forward_app, "bare": bare_app}
        asyncio.run(serve(apps[name](), port))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]) if len(sys.argv) > 4 else 0.0)
