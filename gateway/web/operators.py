"""What the operators' routes have in common: the key and who it names, their bodies, which tenants a list is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from operator import attrgetter
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import web

from gateway.core.card_data import refuse_card_data
from gateway.core.errors import invalid, refusals_of
from gateway.drivers.store.rows import PageRequest
from gateway.flows.runtime import log
from gateway.web.bearer import refuse_expired, sent_key_hash, unknown_key
from gateway.web.connections import note_proof
from gateway.web.keys import ABOUT, GATEWAY, IS_PROVED, OPERATOR, REQUEST_ID
from gateway.web.listing import given
from gateway.web.misplaced import may_be_an_id
from gateway.web.paging import SLICE, page_of
from gateway.web.parameters import refuse_unknown
from gateway.web.request_line import route_of
from gateway.web.route import Reply, read_as, read_json, respond

Actor = Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None
"""Whom the caller names; kept with the decision beside the id of the key, which is what is proved."""

OperatorsRoute = tuple[str, str, Callable[[web.Request], Awaitable[Reply]]]
"""Method, path and handler of a route under the operators' key."""

_READING = ("GET", "HEAD")

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
S = TypeVar("S", bound=PageRequest)


def with_key(handler: Callable[[web.Request], Awaitable[Reply]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make the aiohttp handler of a route: authenticate the operator, note a changing call in the log, answer."""

    async def handle(request: web.Request) -> web.Response:
        gw = request.app[GATEWAY]
        sent = sent_key_hash(request)
        key = gw.settings.operators_by_sha256.get(sent)
        if key is None:
            raise unknown_key(sent, "operators'")
        request[OPERATOR] = request[ABOUT]["operator"] = key.id
        refuse_expired(key, gw.clock.now(), request[ABOUT])
        request[IS_PROVED] = True
        note_proof(request)
        if request.method not in _READING:
            refuse_unknown(request.query, ())
            log.info("operators' call", extra=_audited(request))
        return respond(await handler(request))

    return handle


def actor_of(request: web.Request, named: Actor) -> str:
    """Who acts: the id of the key, followed by whom the caller names: ``k1 (dana@example)``."""
    return request[OPERATOR] if named is None else f"{request[OPERATOR]} ({named})"


def _audited(request: web.Request) -> dict[str, str]:
    """What the log says of a changing call: whose key, which route, what it is about."""
    masks = request.app[GATEWAY].masks
    return {
        "request_id": request[REQUEST_ID],
        "operator": request[OPERATOR],
        "method": request.method,
        "route": route_of(request),
        "target": " ".join(one for one in request.match_info.values() if may_be_an_id(one, masks)),
    }


async def body_of(request: web.Request, wanted: type[T]) -> T:
    """The body as one of our types, without card numbers. Raises the problem that fits."""
    gw = request.app[GATEWAY]
    read = await read_json(request, [gw.masks.of(tenant) for tenant in gw.settings.tenants])
    body = read_as(read, wanted, lambda body: refusals_of(partial(refuse_card_data, body)))
    refuse_card_data(body)
    return body


def asked(request: web.Request, known: Collection[str]) -> dict[str, str]:
    """The query parameters that say something. Raises ``validation_failed`` for a name that is none of ``known``."""
    refuse_unknown(request.query, known)
    return given(request.query)


async def page(
    request: web.Request,
    read: Callable[[S], Awaitable[Sequence[R]]],
    wanted: S,
    show: Callable[[R], Any],
    *,
    id_of: Callable[[R], str] = attrgetter("id"),
    slice_of: int = SLICE,
) -> Reply:
    """One page of a list."""
    most_bytes = request.app[GATEWAY].settings.limits.page_bytes
    return Reply(view=await page_of(read, wanted, show, id_of=id_of, most_bytes=most_bytes, slice_of=slice_of))


def tenants_of(request: web.Request, query: dict[str, str]) -> list[str]:
    """The tenant that is asked for, or all. Raises ``validation_failed`` for one that is not in the settings."""
    tenants, tenant = request.app[GATEWAY].settings.tenants, query.get("tenant")
    if tenant is not None and tenant not in tenants:
        raise invalid(("tenant", f"is not in the settings; known are {', '.join(tenants)}"))
    return [tenant] if tenant is not None else list(tenants)
