"""The workbench's server: loopback only, and nothing without the token in the page's address."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import web

from gateway.core.errors import SettingsError
from gateway.testing.installed import Plugin, imported_anew
from gateway.testing.samples import Samples
from gateway.testing.workbench.benches import Bench
from gateway.testing.workbench.page import HEADERS, page
from gateway.testing.workbench.presses import Presses
from gateway.testing.workbench.recording import REPLAYED, Step, again
from gateway.testing.workbench.saving import NotSaved, save

HOST = "127.0.0.1"


class Workbench:
    """The page of one plugin. ``file``: where samples are appended; ``records``: each step is, by itself."""

    def __init__(self, plugin: Plugin, bench: Bench, samples: Samples, file: Path, *, records: bool) -> None:
        self.plugin, self.bench, self.samples, self.file = plugin, bench, samples, file
        self._records, self._recorded = records, 0
        self._presses = Presses(bench)
        self._turn = asyncio.Lock()

    def routes(self) -> list[web.RouteDef]:
        """All of them, below the token."""
        return [
            web.get("/{token}/", self._show),
            web.post("/{token}/press/{what}", self._press),
            web.post(r"/{token}/steps/{number:\d{1,9}}/{what:replay|save}", self._step),
        ]

    async def _show(self, _: web.Request) -> web.Response:
        payment = await self._presses.payment_now()
        self._record()
        title = f"{self.plugin.name} {self.plugin.version or ''}"
        text = page(self.bench, title, payment, self._presses.forms(), self._presses.note)
        return web.Response(text=text, content_type="text/html")

    async def _press(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        async with self._turn:
            await self._presses.press(request.match_info["what"], form)
        self._record()
        return _back("../")

    async def _step(self, request: web.Request) -> web.Response:
        step = self.bench.recorder.steps.get(int(request.match_info["number"]))
        if step is None or step.member not in REPLAYED:
            raise web.HTTPNotFound
        self._replay(step) if request.match_info["what"] == "replay" else self._save(step)
        return _back("../../")

    def _replay(self, step: Step) -> None:
        """Call a member again, of the module as it is on the disk now. Nothing is sent."""
        try:
            provider = imported_anew(self.plugin, self.bench.bed.entry.provider.name)
        except Exception as problem:  # the author's module may be half written
            step.note = f"cannot be imported: {type(problem).__name__}: {problem}"
            return
        if provider is None:
            step.note = "cannot be loaded: run gateway plugins check"
            return
        try:
            step.outcome = again(step, provider, self.bench.account_of(provider))
            step.note = "replayed"
        except SettingsError as problem:
            step.note = str(problem)

    def _record(self) -> None:
        for step in [one for one in self.bench.recorder.steps.values() if one.number > self._recorded]:
            self._recorded = step.number
            if self._records and step.member in REPLAYED:
                self._save(step)

    def _save(self, step: Step) -> None:
        try:
            save(step, self.file, self.plugin.providers[0], self.samples, self.bench.masked)
            step.note = f"saved in {self.file}"
        except (NotSaved, OSError, ValueError) as problem:
            step.note = str(problem)


def _back(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where})


@contextlib.asynccontextmanager
async def serving(workbench: Workbench, port: int) -> AsyncIterator[str]:
    """Serve the page for the time of the block; gives its address. Raises ``OSError`` for a port in use."""
    token = secrets.token_urlsafe(24)
    hosts: set[str] = set()

    @web.middleware
    async def guarded(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        if request.headers.get("Host") not in hosts:
            return web.Response(status=403, text="another host", headers=HEADERS)
        given = request.path.split("/")[1]
        if not hmac.compare_digest(given.encode(), token.encode()):
            return web.Response(status=404, text="not found", headers=HEADERS)
        answer = await handler(request)
        answer.headers.update(HEADERS)
        return answer

    app = web.Application(middlewares=[guarded])
    app.add_routes(workbench.routes())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, HOST, port)
        await site.start()
        bound = runner.addresses[0][1]
        hosts.update({f"{HOST}:{bound}", f"localhost:{bound}"})
        yield f"http://{HOST}:{bound}/{token}/"
    finally:
        await runner.cleanup()
