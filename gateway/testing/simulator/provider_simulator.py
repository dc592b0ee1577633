"""The simulator of a provider: an author writes its routes, its signature and its words; the rest is here."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

import gateway
from gateway.testing.simulator import page
from gateway.testing.simulator.base import Accounts, SimulatorBase
from gateway.testing.simulator.call import Call, Route
from gateway.testing.simulator.controls import controls, json_answer
from gateway.testing.simulator.faults import Fault
from gateway.testing.simulator.ledger import P, Refusal


class ProviderSimulator(SimulatorBase[P]):
    """Subclass it, set ``provider`` and ``port``, and write routes with ``@route``; ``app`` makes the application.

    Look into ``accounts`` at each request: a reload changes it.
    """

    @classmethod
    def app(cls, accounts: Accounts) -> web.Application:
        """Make the application of a new simulator with empty books; keys of ``accounts`` are ``tenant/account``."""
        return cls(accounts).application()

    @classmethod
    def offer(cls) -> gateway.Simulator:
        """What the hook ``gateway_simulators`` returns."""
        return gateway.Simulator(provider=cls.provider, port=cls.port, app=cls.app)

    def application(self) -> web.Application:
        """Make the application that serves this simulator."""
        app = web.Application()
        app[SIMULATOR] = self
        app.cleanup_ctx.append(self._outgoing_client)
        for name, (route, method) in self.routes.items():
            for path in route.paths:
                app.router.add_route(route.method, path, self._serving(name, route, method))
        app.router.add_get(self.page_path, self._page)
        app.router.add_post(f"{self.page_path}/{{button:{'|'.join(self.buttons)}}}", self._press)
        app.add_routes(controls(self))
        return app

    def _serving(self, name: str, route: Route, method: Callable[[Call], Any]) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            self._note(request, body)
            operation = request.match_info.get("operation", name)
            fault = self.faults.meet(operation)
            call = Call(request, body, operation, fault, self._outgoing)
            await asyncio.sleep(fault.delay_ms / 1000)
            if fault.end_tokens:
                self.tokens.end()
            if fault.silence == "before_effect":
                return _hang_up(request)
            answer = self._forced(fault) or await self._answer(call, route, method)
            if fault.early_callback:
                await self._send(call.callbacks)
            elif call.callbacks:
                self._send_after(call.callbacks)
            return _hang_up(request) if fault.silence == "after_effect" else _spoiled(answer, fault)

        return serve

    def _forced(self, fault: Fault) -> web.Response | None:
        """What a fault answers before any effect."""
        if fault.html:
            return page.page(self._title, "Something went wrong", status=fault.status or 500)
        if fault.status is None:
            return None
        if fault.body is not None:
            return json_answer(fault.body, fault.status)
        return self.refused(Refusal(fault.status, "refused by a fault"))

    async def _answer(self, call: Call, route: Route, method: Callable[[Call], Any]) -> web.Response:
        key = call.header(route.repeats) if route.repeats else ""
        try:
            known = self._repeats.answer(call.operation, key, call.body) if key else None
            if known is not None:
                return known
            made = method(call)
            answer = self.finished(call, _response(await made if inspect.isawaitable(made) else made))
        except Refusal as refusal:
            return self.refused(refusal)
        if key:
            self._repeats.keep(call.operation, key, call.body, answer)
        return answer

    def _note(self, request: web.Request, body: bytes) -> None:
        entry = {"method": request.method, "path": request.raw_path, "headers": dict(request.headers)}
        self.requests.append({**entry, "body": body.decode("utf-8", "replace")})

    async def _outgoing_client(self, app: web.Application) -> AsyncIterator[None]:
        async for _ in self.outbox.client(app):
            yield
            await self.sent()

    # The customer's page

    @property
    def _title(self) -> str:
        return self.title or self.provider

    async def _page(self, request: web.Request) -> web.Response:
        try:
            return self.page(self.ledger.get(request.match_info["id"]))
        except Refusal as refusal:
            return page.page(self._title, refusal.code, status=refusal.status)

    def page(self, payment: P, html: str = "") -> web.Response:
        """The hosted page of a payment."""
        labels = {word: label for word, (label, _) in self.buttons.items()}
        path = self.page_path.replace("{id}", payment.id)
        return page.page(self._title, self.describe(payment), html + page.buttons(path, labels))

    async def _press(self, request: web.Request) -> web.Response:
        try:
            payment = self.ledger.get(request.match_info["id"])
            said = await self.customer(payment, self.buttons[request.match_info["button"]][1])
        except Refusal as refusal:
            return page.page(self._title, refusal.code, status=refusal.status)
        if "application/json" in request.headers.get("Accept", ""):
            return json_answer(self.pressed(said))
        back = said["redirect"]
        if isinstance(back, str):
            return web.Response(status=302, headers={"Location": back})
        return self.page(payment, page.after(said["callbacks"], back))


def _response(made: Any) -> web.Response:
    if isinstance(made, web.Response):
        return made
    return json_answer(made[1], made[0]) if isinstance(made, tuple) else json_answer(made)


def _spoiled(answer: web.Response, fault: Fault) -> web.Response:
    if fault.html_after_effect:
        return page.page("", "Something went wrong")
    if fault.malformed and isinstance(answer.body, bytes):
        return web.Response(
            body=answer.body[: len(answer.body) // 2], status=answer.status, content_type=answer.content_type
        )
    return answer


def _hang_up(request: web.Request) -> web.Response:
    """Close the connection; the answer returned here is not sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


SIMULATOR = web.AppKey("simulator", ProviderSimulator[Any])
"""The simulator of an application."""
