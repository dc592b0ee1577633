"""The gateway's API without HTTP: what ``web/`` does around each flow, and nothing more."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import msgspec

from gateway.core import strictjson
from gateway.core.documents import amount_hook
from gateway.core.errors import PROBLEMS, GatewayError, ShuttingDown, TenantError, invalid
from gateway.core.facts import Verdict
from gateway.core.payment_urls import PURPOSES
from gateway.core.request_bodies import CaptureBody, CreateBody, EmptyBody, RefundBody, UpdateBody
from gateway.core.signing import read_token
from gateway.core.views import payment_view, to_json
from gateway.core.wire import Callback, HttpResponse
from gateway.flows.callbacks import receive
from gateway.flows.payments import create, lookup, read
from gateway.flows.payments.cancel import cancel_payment
from gateway.flows.payments.capture import capture_payment
from gateway.flows.payments.idempotency import Answer, Claim, answer_if_repeated
from gateway.flows.payments.lookup import wait_for_hint
from gateway.flows.payments.refund import refund_payment
from gateway.flows.payments.update import update_payment
from gateway.flows.runtime import Gateway
from gateway.web.customer_return import BROWSER, BROWSER_WAIT
from gateway.web.problems import problem_of

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's request. ``kind``: a key of ``HANDLERS``; ``body``: JSON bytes; ``key``: the idempotency key."""

    tenant: str
    kind: str
    payment_id: str = ""
    body: bytes = b"{}"
    key: str = ""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer to a tenant. ``code``: the problem's code, empty on success."""

    status: int
    body: bytes = b""
    code: str = ""
    replayed: bool = False


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    gw: Gateway
    request: Request
    data: Any

    def body(self, wanted: type[T]) -> T:
        try:
            return msgspec.convert(self.data, wanted, dec_hook=amount_hook)
        except msgspec.ValidationError as problem:
            raise invalid(("$", str(problem))) from None

    def claim(self) -> Claim:
        request = self.request
        canonical = strictjson.canonical((request.kind, request.payment_id, self.data))
        fingerprint = hashlib.sha256(canonical).hexdigest()
        return Claim(tenant=request.tenant, idempotency_key=request.key, fingerprint=fingerprint)


async def _create(call: _Call) -> Answer:
    return await create.create(call.gw, call.gw.tenant(call.request.tenant), call.claim(), call.body(CreateBody))


async def _capture(call: _Call) -> Answer:
    return await capture_payment(call.gw, call.claim(), call.request.payment_id, call.body(CaptureBody))


async def _update(call: _Call) -> Answer:
    return await update_payment(call.gw, call.claim(), call.request.payment_id, call.body(UpdateBody))


async def _cancel(call: _Call) -> Answer:
    call.body(EmptyBody)
    return await cancel_payment(call.gw, call.claim(), call.request.payment_id)


async def _refund(call: _Call) -> Answer:
    return await refund_payment(call.gw, call.claim(), call.request.payment_id, call.body(RefundBody))


async def _sync(call: _Call) -> Answer:
    await lookup.refresh(call.gw, call.request.tenant, call.request.payment_id, hinted=False)
    return await _read(call)


async def _read(call: _Call) -> Answer:
    loaded = await read.find(call.gw, call.request.tenant, call.request.payment_id)
    body = to_json(payment_view(loaded.payment, loaded.open_operation))
    return Answer(status=200, body=body, payment_id=loaded.payment.id)


HANDLERS: Mapping[str, Callable[[_Call], Awaitable[Answer]]] = {
    "create": _create,
    "capture": _capture,
    "update": _update,
    "cancel": _cancel,
    "refund": _refund,
    "sync": _sync,
    "read": _read,
}


async def serve(gw: Gateway, request: Request) -> Reply:
    """Answer a tenant as ``web/api/payments.py`` and its middleware do. Raises any other exception: it is a bug."""
    try:
        if gw.current.is_stopping:
            raise ShuttingDown("the gateway is stopping")
        answer = await _handle(_Call(gw=gw, request=request, data=strictjson.loads_exact(request.body)))
    except GatewayError as error:
        problem = problem_of(error)
        return Reply(status=PROBLEMS[problem.code].status, code=problem.code)
    return Reply(status=answer.status, body=answer.body, replayed=answer.is_replayed)


async def _handle(call: _Call) -> Answer:
    try:
        return await HANDLERS[call.request.kind](call)
    except TenantError as refusal:
        if call.request.key and refusal.code == "validation_failed":
            answer = await answer_if_repeated(call.gw, call.claim())
            if answer is not None:
                return answer
        raise


async def handle_callback(gw: Gateway, path: str, callback: Callback) -> HttpResponse:
    """Answer a provider or a browser as ``web/provider_callbacks.py`` does. ``path`` begins below ``/callbacks/``."""
    endpoint, _, below = path.partition("/")
    entry = gw.settings.endpoints[endpoint]
    suffix, _, token = below.partition("/")
    payment_id = None
    if suffix in PURPOSES and token:
        payment_id = read_token(gw.settings.server.secret, endpoint, token, suffix)
        if payment_id is None:
            return HttpResponse(status=404)
    else:
        suffix = below
    known = {"payment_id": payment_id, "config": entry.account.config}
    callback = msgspec.structs.replace(callback, suffix=suffix, received_at=gw.clock.now(), **known)
    if gw.current.is_stopping:
        return HttpResponse(status=503)
    verdict: Verdict = await receive.accept(gw, receive.verify(gw, entry, callback))
    if suffix in BROWSER and payment_id is not None:
        await wait_for_hint(gw, entry.tenant, payment_id, BROWSER_WAIT)
    return receive.answer(entry, verdict, callback)
