"""Routes as data. From one declaration the server registers a route here and ``openapi`` documents it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web

from gateway.core.body_maps import explained
from gateway.core.errors import TenantError
from gateway.core.ids import is_id
from gateway.core.payment import Payment
from gateway.core.view_types import PaymentView
from gateway.drivers.settings import Role
from gateway.flows.payments.idempotency import Answer, answer_if_repeated
from gateway.flows.runtime import log
from gateway.web.app_keys import ABOUT, GATEWAY, LIMITS, REQUEST_ID
from gateway.web.auth import authenticate_operator, authenticate_tenant, refuse_role
from gateway.web.body_maps import NO_MAPS, named_maps, renamed
from gateway.web.connections.connection import note_proof
from gateway.web.four_eyes import keep_for_approval
from gateway.web.leaked_secrets import may_be_an_id
from gateway.web.query_parameters import QueryParameter, refuse_unknown
from gateway.web.request import NO_BODY, Call, OperatorCall, TenantCall, read_body
from gateway.web.request_log import route_of
from gateway.web.responses import Reply, to_response

BYTES_PER_REQUEST = 8 * 1024
"""Bytes of a body that count as one more request of a tenant's rate."""

OPTIONS = "OPTIONS"

_READING = ("GET", "HEAD")

C = TypeVar("C", bound=Call)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(msgspec.Struct, Generic[C], frozen=True, kw_only=True):
    """One route of tenants or operators. Only ``body`` types and ``query`` parameters that it declares are read.

    The rest is for the OpenAPI document: ``name`` is what generated clients call it, ``tag`` its group, ``summary`` a
    title, ``text`` a sentence or two. ``answers`` has an example for each success status, a value of the type that is
    answered; ``sends`` is an example of the body, ``sends_any`` are several by title. ``codes`` are its own error
    codes. Operators' routes are not in the document and leave these out. ``role``: of an operators' route, where it is
    not the usual one. ``needs_approval``: of another key, where ``server.admin.approvals`` asks for one; such a route
    has at most one id in its path and no query. ``check``: of such a route with an id, run when it is asked for: what
    the handler checks, without the act. It returns the payment, whose version is kept as the body's ``version``.
    """

    method: str
    path: str
    handler: Callable[[C], Awaitable[Reply | Answer]]
    body: type | None = None
    query: tuple[QueryParameter, ...] = ()
    is_idempotent: bool = False
    name: str = ""
    tag: str = ""
    summary: str = ""
    text: str = ""
    answers: Mapping[int, msgspec.Struct] = msgspec.field(default_factory=dict)
    sends: Mapping[str, Any] = msgspec.field(default_factory=dict)
    sends_any: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    codes: tuple[str, ...] = ()
    role: Role | None = None
    needs_approval: bool = False
    check: Callable[[C], Awaitable[Payment]] | None = None

    @property
    def needed_role(self) -> Role:
        """The least role of an operator's key that may call it: who looks needs ``read``, who acts ``operate``."""
        return self.role or ("read" if self.method in _READING else "operate")


def add_route(app: web.Application, method: str, path: str, handler: Handler) -> None:
    """Register an aiohttp handler. HEAD is answered wherever GET is, without the body."""
    for one in _READING if method == "GET" else (method,):
        app.router.add_route(one, path, handler)


def add_tenant_route(app: web.Application, route: Route[TenantCall]) -> None:
    """Register a tenants' route: authenticate, limit the rate, read the body, call the handler, answer."""
    limits = app[LIMITS]
    parameters = [query.name for query in route.query]

    async def handle(request: web.Request) -> web.StreamResponse:
        gw, tenant = request[GATEWAY], authenticate_tenant(request)
        limits.take_request(tenant)
        note_proof(request)
        maps = NO_MAPS
        if request.query_string:
            refuse_unknown(request.query, parameters)
            maps = named_maps(gw, tenant, request.query)
            if route.body is None:
                maps.require()
        sent = await read_body(request, [gw.masks.of(tenant.id)]) if route.body is not None else NO_BODY
        limits.charge(tenant, request.content.total_bytes // BYTES_PER_REQUEST)
        call = TenantCall(gw=gw, tenant=tenant, request=request, path=route.path, sent=sent, maps=maps)
        limits.begin_work(tenant.id)
        try:
            return _answered(call, await _reply_of(route, call))
        finally:
            limits.end_work(tenant.id)

    add_route(app, route.method, route.path, handle)


async def _reply_of(route: Route[TenantCall], call: TenantCall) -> Reply | Answer:
    try:
        return await route.handler(call)
    except TenantError as refusal:
        # Under a key that was used, that is what counts: this may have been a good request when it came first.
        if route.is_idempotent and refusal.code == "validation_failed":
            answer = await answer_if_repeated(call.gw, call.claim())
            if answer is not None:
                return answer
        if call.maps.request is not None:
            raise explained(call.maps.request, refusal) from None
        raise


def _answered(call: TenantCall, reply: Reply | Answer) -> web.Response:
    """The response, after noting for the log which payment or account it is about, under the tenant's own names."""
    if isinstance(reply, Answer):
        call.request[ABOUT]["payment_id"] = reply.payment_id
        call.note_account(reply.account)
    elif isinstance(reply.view, PaymentView):
        call.note_account(reply.view.account)
    return to_response(reply if call.maps is NO_MAPS else renamed(call.tenant, call.maps, reply))


def add_operator_route(app: web.Application, route: Route[OperatorCall]) -> None:
    """Register an operators' route: authenticate, log a changing call, read the body, call the handler, answer."""
    parameters = [query.name for query in route.query]

    async def handle(request: web.Request) -> web.StreamResponse:
        gw = request[GATEWAY]
        key = authenticate_operator(request)
        note_proof(request)
        refuse_role(key, route.needed_role)
        refuse_unknown(request.query, parameters)
        if request.method not in _READING:
            log.info("operators' call", extra=_audited(request, key.id))
        masks = [gw.masks.of(tenant) for tenant in gw.settings.tenants] if route.body is not None else []
        sent = await read_body(request, masks) if route.body is not None else NO_BODY
        call = OperatorCall(gw=gw, key=key, request=request, path=route.path, sent=sent)
        waits = route.needs_approval and gw.settings.server.admin.approvals > 1
        kept = await keep_for_approval(call, route.body, route.check) if waits else None
        return to_response(kept or await route.handler(call))

    add_route(app, route.method, route.path, handle)


def allow(*lists: str) -> dict[str, str]:
    """The ``Allow`` header of a path that takes the methods of these lists, such as ``GET, HEAD``."""
    named = [method.strip() for one in lists for method in one.split(",")]
    return {"Allow": ",".join([*named, OPTIONS])}


def _audited(request: web.Request, operator: str) -> dict[str, str]:
    """What the log says of a changing call: whose key, which route, what it is about."""
    gw = request[GATEWAY]
    named = [one for one in request.match_info.values() if is_id(one) or one in gw.settings.tenants]
    return {
        "request_id": request[REQUEST_ID],
        "operator": operator,
        "method": request.method,
        "route": route_of(request),
        "target": " ".join(one for one in named if may_be_an_id(one, gw.masks)),
    }
