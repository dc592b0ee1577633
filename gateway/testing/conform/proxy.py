"""What stands between the gateway and a simulator, in both directions, and spoils what passes once it is armed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

import gateway
from gateway.core.commands import Command

HOP = frozenset({"connection", "content-length", "transfer-encoding", "keep-alive", "content-encoding"})
EARLY_SECONDS = 1.0
"""How long an answer waits for a callback that is to come before it."""
FORM_PAGE = "/form/"
"""Below a callback address: a page of the gateway, not a callback."""
PAGE = b"<!doctype html><title>Bad gateway</title>"


class Proxies:
    """Both directions. ``simulator`` and ``gateway`` are the two ends, ``public`` is where callbacks and browsers
    arrive. ``exchanges``: what passed since the last story began."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self.simulator = self.gateway = self.public = ""
        self.exchanges: list[dict[str, Any]] = []
        self._built: dict[tuple[str, str, bytes], type[Command]] = {}
        self._spoil: tuple[type[Command], str] | None = None
        self.callbacks = "pass"
        """``pass``, ``double``, or ``hold`` until ``release``."""
        self.held: deque[gateway.HttpRequest] = deque()
        self._arrived = asyncio.Event()

    def begin(self) -> None:
        """Forget the last story."""
        self.exchanges, self.callbacks, self._spoil = [], "pass", None
        self.held.clear()

    def arm(self, command: type[Command], how: str) -> None:
        """Spoil the next exchange of a command: ``lost``, ``html``, ``cut`` or ``early`` (its callback comes first)."""
        self._spoil = (command, how)
        self._arrived.clear()

    def built(self, command: Command, request: object) -> None:
        """Remember which command a request was built for."""
        if isinstance(request, gateway.HttpRequest):
            url = URL(request.url, encoded=True)
            self._built[request.method, url.raw_path_qs, request.body] = type(command)

    async def to_provider(self, request: web.Request) -> web.StreamResponse:
        """Pass a request of the gateway on."""
        body = await request.read()
        command = self._built.get((request.method, request.raw_path, body))
        spoil = ""
        if self._spoil is not None and command is self._spoil[0]:
            spoil, self._spoil = self._spoil[1], None
        status, headers, answer = await self._passed_on("provider", self.simulator, request, body, spoil)
        if spoil == "early":
            await self._callback_or_timeout()
        if spoil == "lost" and request.transport is not None:
            request.transport.abort()
        if spoil == "html":
            return web.Response(body=PAGE, content_type="text/html")
        return web.Response(
            status=status, headers=headers, body=answer[: len(answer) // 2] if spoil == "cut" else answer
        )

    async def to_gateway(self, request: web.Request) -> web.StreamResponse:
        """Pass a callback or a browser's visit on."""
        body = await request.read()
        headers = tuple((name, value) for name, value in request.headers.items() if name.lower() not in (*HOP, "host"))
        url = self.gateway + request.raw_path
        if self.callbacks == "hold" and FORM_PAGE not in request.path:
            self.held.append(gateway.HttpRequest(method=request.method, url=url, headers=headers, body=body))
            return web.Response(status=503)
        if self.callbacks == "double":
            await self._passed_on("gateway", self.gateway, request, body, "double")
        status, kept, answer = await self._passed_on("gateway", self.gateway, request, body)
        self._arrived.set()
        return web.Response(status=status, headers=kept, body=answer)

    async def send(self, request: gateway.HttpRequest) -> int:
        """Send a callback by hand; returns how it was answered."""
        url = URL(request.url, encoded=True)
        async with self._http.request(
            request.method, url, data=request.body or None, headers=list(request.headers), allow_redirects=False
        ) as answer:
            return answer.status

    async def release(self) -> None:
        """Send what is held, the last one first."""
        self.callbacks = "pass"
        while self.held:
            await self.send(self.held.pop())

    async def _callback_or_timeout(self) -> None:
        try:
            await asyncio.wait_for(self._arrived.wait(), EARLY_SECONDS)
        except TimeoutError:
            return  # a provider without callbacks: the answer comes alone

    async def _passed_on(
        self, towards: str, base: str, request: web.Request, body: bytes, spoiled: str = ""
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        url = URL(base + request.raw_path, encoded=True)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP]
        seen = {"to": towards, "method": request.method, "path": request.raw_path, "spoiled": spoiled}
        self.exchanges.append({**seen, "body": body.decode("utf-8", "replace")})
        shown = self.exchanges[-1]
        async with self._http.request(
            request.method, url, data=body or None, headers=headers, allow_redirects=False
        ) as answer:
            said = await answer.read()
            shown |= {"status": answer.status, "answer": said.decode("utf-8", "replace")}
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP]
            return answer.status, kept, said
