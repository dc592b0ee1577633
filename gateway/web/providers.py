"""What providers and returning browsers call. Decides nothing: size, deadline, rate, then one flow and its answer."""

from __future__ import annotations

import asyncio
import html
from urllib.parse import urlencode

from aiohttp import web

from gateway.core.facts import Busy, Verdict
from gateway.core.ids import with_prefix
from gateway.core.signing import read_token
from gateway.core.wire import Callback, Headers, header_text
from gateway.drivers.settings import AccountEntry
from gateway.flows import callbacks
from gateway.flows.context import Gateway, log
from gateway.flows.lookup import hint_work
from gateway.web.keys import GATEWAY, LIMITS

BODY_LIMIT = 64 * 1024
"""Bytes of a callback's body."""

BROWSER_WAIT = 3.0
"""How long, in seconds, a browser waits for the lookup its return caused."""

TOKENS = frozenset({"return", "cancel", "complete"})
"""First path parts that carry a token of ours."""

BROWSER = {"return": "return_url", "cancel": "cancel_url"}
"""Suffixes a browser comes back on, and where it is sent on to."""


async def receive(request: web.Request) -> web.StreamResponse:
    """``ANY /callbacks/{endpoint_id}`` and below it."""
    gw = request.app[GATEWAY]
    entry = gw.settings.endpoints.get(request.match_info["endpoint_id"])
    if entry is None:
        return web.Response(status=404)
    suffix, _, token = request.match_info.get("suffix", "").partition("/")
    payment_id = None
    if suffix in TOKENS and token:
        payment_id = _payment_of(gw, request.match_info["endpoint_id"], token, suffix)
        if payment_id is None:
            return web.Response(status=404)
    else:
        suffix = request.match_info.get("suffix", "")
    callback, size = await _read(request, gw, suffix, payment_id)
    verdict = _limited(request, gw, entry) or await _accept(gw, entry, callback, size)
    if suffix in BROWSER and payment_id is not None:
        return await _send_browser_on(request, gw, entry, payment_id, suffix, verdict)
    answer = callbacks.answer(entry, verdict, callback)
    return web.Response(status=answer.status, body=answer.body or None, headers=list(answer.headers))


async def _accept(gw: Gateway, entry: AccountEntry, callback: Callback, size: int | None) -> Verdict:
    """Accept a callback; a stopping gateway and a fault of ours are said in the provider's own words."""
    if gw.is_stopping or size is None:
        return Busy()
    try:
        if size > BODY_LIMIT:
            return await callbacks.refuse_unread(gw, entry, callback, size=size)
        return await callbacks.accept(gw, entry, callback)
    except Exception:  # the edge: nothing was acknowledged, so the sender tries again
        log.exception("fault", extra={"account": entry.name, "tenant": entry.tenant})
        return Busy()


def _payment_of(gw: Gateway, endpoint_id: str, token: str, purpose: str) -> str | None:
    payment = read_token(gw.settings.server.secret, endpoint_id, token, purpose)
    return with_prefix("pay", payment) if payment is not None else None


def _limited(request: web.Request, gw: Gateway, entry: AccountEntry) -> Verdict | None:
    wait = request.app[LIMITS].seconds_until_free(f"endpoint {entry.endpoint_id}", gw.settings.server.callback_rate)
    return Busy(limited=True, retry_after=int(wait) + 1) if wait else None


async def _read(request: web.Request, gw: Gateway, suffix: str, payment_id: str | None) -> tuple[Callback, int | None]:
    """The callback as it came, and how many bytes of its body were read; None: it came too slowly or broke off.

    One above ``BODY_LIMIT`` is not read on, and has no body.
    """
    body, is_whole = b"", True
    try:
        async with asyncio.timeout(gw.settings.timeouts.request_body):
            while len(body) <= BODY_LIMIT and (chunk := await request.content.readany()):
                body += chunk
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        is_whole = False
    size = len(body)
    callback = Callback(
        method=request.method,
        suffix=suffix,
        query=request.raw_path.partition("?")[2],
        headers=_headers(request),
        body=body if size <= BODY_LIMIT else b"",
        remote=request.remote or "",
        received_at=gw.clock.now(),
        payment_id=payment_id,
    )
    return callback, size if is_whole else None


def _headers(request: web.Request) -> Headers:
    return tuple((header_text(name), header_text(value)) for name, value in request.raw_headers)


async def _send_browser_on(
    request: web.Request, gw: Gateway, entry: AccountEntry, payment_id: str, suffix: str, verdict: Verdict
) -> web.StreamResponse:
    """Wait shortly for the lookup, then send the customer back to the tenant with what is known now."""
    if request.method != "GET":
        return web.Response(status=405, headers={"Allow": "GET"})
    if isinstance(verdict, Busy):
        return _page("We could not take your visit just now. Please reload this page.", status=503)
    await gw.wait_for(hint_work(payment_id), BROWSER_WAIT)
    loaded = await gw.store.payment(entry.tenant, payment_id)
    if loaded is None:
        return web.Response(status=404)
    target = getattr(loaded.payment, BROWSER[suffix])
    if target is None:
        return _page("Thank you. You can close this page.")
    known = urlencode({"payment_id": payment_id, "state": loaded.payment.state})
    address, hash_mark, fragment = target.partition("#")
    joint = "&" if "?" in address else "?"
    return web.Response(status=303, headers={"Location": f"{address}{joint}{known}{hash_mark}{fragment}"})


def _page(text: str, *, status: int = 200) -> web.Response:
    body = f"<!doctype html><html lang=en><meta charset=utf-8><title>Payment</title><p>{html.escape(text)}</p>"
    return web.Response(status=status, text=body, content_type="text/html")
