"""Providers and webhook receivers that quote secrets and card numbers in every part of an answer."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import web

Answering = Callable[[], web.Response]
"""Makes an answer when it is needed, because a response can be sent only once."""

REFERENCE = re.compile(rb"r-[a-z-]*[0-9]+-end")
"""The merchant reference of a payment with a prepared answer; it is in every request for that payment."""


class QuotingHosts:
    """All providers and receivers at once. ``answers``: prepared answer to a create, by merchant reference.

    ``heard``: every request, as path, headers and body. ``webhooks``: those of tenants, whole.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answering] = {}
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.webhooks: list[bytes] = []
        self.logins: list[Answering] = []
        self.quoted = ""

    def app(self) -> web.Application:
        """The web application."""
        app = web.Application()
        app.router.add_route("*", "/hooks/{tenant}", self.receive)
        app.router.add_route("*", "/canary/login", self.log_in)
        app.router.add_route("*", "/{path:.*}", self.answer)
        return app

    async def receive(self, request: web.Request) -> web.Response:
        """Accept a webhook; refuse every second one and quote its secrets."""
        body = await request.read()
        self.webhooks.append(json.dumps(dict(request.headers)).encode() + body)
        if len(self.webhooks) % 2:
            return web.Response(status=204)
        return web.Response(status=500, reason=self.quoted, text=self.quoted, headers={"X-Why": self.quoted})

    async def log_in(self, request: web.Request) -> web.Response:
        """Return the sessions in turn, then repeat the last."""
        await request.read()
        return (self.logins.pop(0) if len(self.logins) > 1 else self.logins[0])()

    async def answer(self, request: web.Request) -> web.Response:
        """Return the payment's prepared answer, else an ordinary one."""
        body = await request.read()
        self.heard.append((request.path_qs, dict(request.headers), body))
        found = REFERENCE.search(body)
        ordered = self.answers.get(found.group().decode()) if found else None
        return ordered() if ordered is not None else honest(request)


def honest(request: web.Request) -> web.Response:
    """Return the answer that makes a payment wait for its customer, per provider."""
    if "begin_standalone_checkout" in request.path:
        number = f"ck-{uuid.uuid4().hex}"
        return web.json_response({"id": number, "checkout_url": f"https://ck.example/{number}"})
    if request.path.startswith("/canary"):
        return web.json_response({"kind": "waiting", "text": "fine"})
    return web.json_response({"result": True, "msg": "", "data": {"url": "https://psp.example/page"}})


def saying(members: Any, *, status: int = 200, reason: str | None = None, **headers: str) -> Answering:
    """An answer that is made when it is needed."""
    return lambda: web.Response(
        status=status,
        reason=reason,
        body=json.dumps(members).encode(),
        content_type="application/json",
        headers=headers,
    )


def in_a_header(text: str) -> str:
    """A text as far as a header can carry it."""
    return "".join(one for one in text if " " <= one <= "~")


def psp_texts(text: str) -> list[Answering]:
    """A bridge that quotes a text in its sentences and around them."""
    plain = in_a_header(text)
    return [
        saying({"result": False, "msg": f"no: {text}", "data": {}}),
        saying(
            {"result": False, "msg": text}, status=401, reason=plain, **{"X-Echo": plain, "Set-Cookie": f"a={plain}"}
        ),
        saying({"result": text, "msg": text, text: text}),
        lambda: web.Response(status=302, headers={"Location": f"https://psp.example/{plain}"}),
        lambda: web.Response(status=500, text=text),
    ]


def psp_names(text: str) -> list[Answering]:
    """A bridge that quotes it in the address of its page."""
    return [
        saying({"result": True, "msg": "", "data": {"url": f"https://psp.example/{text}"}}),
        saying({"result": True, "msg": "", "data": {"url": f"https://psp.example/?a={text}#b"}}),
    ]


def creditkey_texts(text: str) -> list[Answering]:
    """The same of Credit Key."""
    return [
        saying({"result": f"refused {text}"}, status=400),
        saying({"result": text}, status=401),
        saying({"id": {text: text}, "checkout_url": text}),
        saying({text: text}, status=422),
    ]


def creditkey_names(text: str) -> list[Answering]:
    """Credit Key's key of an order, and the address of its page."""
    return [
        saying({"id": text, "checkout_url": "https://ck.example/page"}),
        saying({"id": "ck-1", "checkout_url": f"https://ck.example/{text}"}),
    ]


def canary_texts(text: str) -> list[Answering]:
    """What the outside plugin takes word for word."""
    return [saying({"kind": kind, "text": text}) for kind in ("declined", "unknown", "crash", "waiting")]


def canary_names(text: str) -> list[Answering]:
    """The same as id and as address."""
    return [saying({"kind": kind, "text": text}) for kind in ("reference", "page")]
