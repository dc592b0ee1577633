"""Callbacks of providers and returns of browsers: find the account, limit the rate, read the body, call one flow."""

from __future__ import annotations

import asyncio

from aiohttp import StreamReader, web
from msgspec.structs import replace

from gateway.core.errors import Reason, TenantError
from gateway.core.facts import Busy, Recorded, Refused, Verdict
from gateway.core.payment_urls import PURPOSES
from gateway.core.signing import read_token
from gateway.core.wire import Callback, header, header_texts
from gateway.drivers.settings import AccountEntry
from gateway.flows.callbacks import receive
from gateway.flows.runtime import Gateway, log
from gateway.web.app_keys import ABOUT, CALLBACK_LIMITS, GATEWAY, IS_PROVED
from gateway.web.callback_limits import Admission
from gateway.web.connections.connection import note_proof
from gateway.web.customer_return import BROWSER, redirect_customer
from gateway.web.form_page import show_form
from gateway.web.proxies import caller_of
from gateway.web.request import arrived_body
from gateway.web.routing import OPTIONS, allow

BODY_LIMIT = 64 * 1024
"""Bytes of a callback's body."""

FORM = "form"
"""The suffix of the page that posts a payment's form; nothing is reported by a visit of it."""


async def handle_callback(request: web.Request) -> web.StreamResponse:
    """``ANY /callbacks/{endpoint_id}`` and below it."""
    gw = request[GATEWAY]
    entry = gw.settings.endpoints.get(request.match_info["endpoint_id"])
    head = _head(request, gw, entry) if entry is not None else None
    if entry is None or head is None:
        return web.Response(status=404)
    about = request[ABOUT]
    about.update(tenant=entry.tenant, account=entry.name)
    if head.payment_id is not None:
        about["payment_id"] = head.payment_id
    if request.method == OPTIONS:
        return _options(entry, head)
    admission = request.app[CALLBACK_LIMITS].admission(entry, head)
    busy = admission.before_body() if gw.store.tenants.unfinished_move(entry.tenant) is None else Busy()
    if head.suffix == FORM and head.payment_id is not None:
        return await show_form(request, entry, head.payment_id, busy)
    verdict, callback = (busy, head) if busy is not None else await _traced(gw, request, admission, head, entry)
    gw.measures.callbacks[_words(verdict)] += 1
    if isinstance(verdict, Refused):
        about["code"] = about["reason"] = str(verdict.reason)
    if admission.is_known:
        request[IS_PROVED] = True
        note_proof(request)
        _note_address(request, gw, entry, head)
    if head.suffix in BROWSER and head.payment_id is not None:
        return await redirect_customer(request, entry, head.payment_id, head.suffix, verdict)
    answer = receive.answer(entry, verdict, callback)
    return web.Response(status=answer.status, body=answer.body or None, headers=list(answer.headers))


def _note_address(request: web.Request, gw: Gateway, entry: AccountEntry, head: Callback) -> None:
    """Count that the provider, who showed a secret or proved it, still uses an address of the account as it was."""
    endpoint_id = request.match_info["endpoint_id"]
    if head.payment_id is None and endpoint_id != entry.endpoint_id:
        gw.uses.note_earlier(_at(entry, endpoint_id)[0], "address", gw.clock.now())


def _words(verdict: Verdict) -> tuple[str, str]:
    """A verdict and its reason, "" for none, for those who count callbacks."""
    if isinstance(verdict, Busy):
        return "busy", "limited" if verdict.limited else "fault"
    return verdict.name, verdict.reason or ""


def _options(entry: AccountEntry, head: Callback) -> web.Response:
    """The methods that the callback URL takes, as the plugin names them when it refuses another one."""
    refused = receive.answer(entry, Refused(reason=Reason.METHOD), head)
    return web.Response(status=204, headers=allow(*header(refused.headers, "Allow")))


def _head(request: web.Request, gw: Gateway, entry: AccountEntry) -> Callback | None:
    """The callback without its body; None for a token that the gateway did not make."""
    below = request.match_info.get("suffix", "")
    suffix, _, token = below.partition("/")
    payment_id, endpoint_id = None, request.match_info["endpoint_id"]
    if suffix in PURPOSES and token:
        payment_id = _payment_of(gw, entry, endpoint_id, token, suffix)
        if payment_id is None:
            return None
    is_visit = payment_id is not None and suffix in BROWSER
    return Callback(
        method="GET" if is_visit and request.method == "HEAD" else request.method,
        suffix=suffix if payment_id is not None else below,
        query=request.raw_path.partition("?")[2],
        headers=header_texts(request.raw_headers),
        body=b"",
        remote=caller_of(request) or "",
        received_at=gw.clock.now(),
        payment_id=payment_id,
        config=entry.account.config,
    )


def _payment_of(gw: Gateway, entry: AccountEntry, endpoint_id: str, token: str, suffix: str) -> str | None:
    """The payment that a token was made for, by the account as it is or as it was before."""
    for one in _at(entry, endpoint_id):
        payment_id = read_token(one.secret, endpoint_id, token, suffix)
        if payment_id is not None:
            if one is not entry:
                gw.uses.note_earlier(one, "link", gw.clock.now())
            return payment_id
    return None


def _at(entry: AccountEntry, endpoint_id: str) -> list[AccountEntry]:
    """The account as it is and as it was before, as far as it has or had this address."""
    return [one for one in (entry, *entry.earlier) if one.endpoint_id == endpoint_id]


async def _traced(
    gw: Gateway, request: web.Request, admission: Admission, head: Callback, entry: AccountEntry
) -> tuple[Verdict, Callback]:
    """``_receive``, in a span where somebody wants one."""
    received = _receive(gw, request, admission, head, entry)
    if gw.traces is None:
        return await received
    about = {"tenant": entry.tenant, "account": entry.name, "provider": entry.provider.name}
    words = {**about, "payment_id": head.payment_id}
    return await gw.traces.over("callback", received, lambda made: _words(made[0])[0], **words)


async def _receive(
    gw: Gateway, request: web.Request, admission: Admission, head: Callback, entry: AccountEntry
) -> tuple[Verdict, Callback]:
    """Read the body and accept the callback. Returns the verdict and the whole callback."""
    body, size = await _read(request, gw.settings.timeouts.request_body)
    callback = replace(head, body=body, received_at=gw.clock.now())
    return await _accept(gw, request, admission, callback, entry, unread=size if size > BODY_LIMIT else None), callback


async def _accept(
    gw: Gateway,
    request: web.Request,
    admission: Admission,
    callback: Callback,
    entry: AccountEntry,
    *,
    unread: int | None,
) -> Verdict:
    """Verify and store a callback. A gateway that is stopping, or that fails, answers that it is busy.

    Whoever guesses the name of a payment, and shows no secret of the account, does not learn whether there is one.
    """
    admission.after_body(len(callback.body))
    if gw.current.is_stopping:
        return Busy()
    try:
        new = receive.verify(gw, entry, callback, unread=unread)
        verdict = admission.admit(new.is_proved, new.count) or await receive.accept(gw, new)
    except Exception:  # the edge: nothing was acknowledged, so the sender tries again
        log.exception("fault", extra={"account": entry.name, "tenant": entry.tenant})
        return Busy()
    if new.payment_ids:
        request[ABOUT]["payment_id"] = new.payment_ids[0]
    is_guess = isinstance(verdict, Refused) and not admission.is_known and new.is_hint
    return Recorded() if is_guess else verdict


async def _read(request: web.Request, seconds: float) -> tuple[bytes, int]:
    """Read the body and its length. Raises ``request_timeout`` for a body that is too slow or breaks off.

    A body above ``BODY_LIMIT`` is returned as empty: it is not read if its ``Content-Length`` says so, else no further.
    """
    announced = request.content_length or 0
    if announced > BODY_LIMIT:
        return b"", announced
    try:
        arrived = arrived_body(request, BODY_LIMIT)
        body = arrived if arrived is not None else await _arriving(request.content, seconds)
    except (TimeoutError, ConnectionError, web.RequestPayloadError):
        raise TenantError("request_timeout", "the body did not arrive completely and in time; send it again") from None
    return body if len(body) <= BODY_LIMIT else b"", len(body)


async def _arriving(content: StreamReader, seconds: float) -> bytes:
    """A body that is still arriving, no further than ``BODY_LIMIT``. Raises ``TimeoutError``."""
    body = b""
    async with asyncio.timeout(seconds):
        while len(body) <= BODY_LIMIT and (chunk := await content.readany()):
            body += chunk
    return body
