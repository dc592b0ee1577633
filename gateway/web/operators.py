"""What the operators' routes have in common: their form, their bodies, and which tenants a list is about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web

from gateway.core.errors import invalid
from gateway.web.keys import GATEWAY
from gateway.web.listing import given
from gateway.web.route import Reply, read_as, read_json

Actor = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
"""Who decides; kept with the decision."""

OperatorsRoute = tuple[str, str, Callable[[web.Request], Awaitable[Reply]]]
"""Method, path and handler of a route under the operators' key."""

T = TypeVar("T")


async def body_of(request: web.Request, wanted: type[T]) -> T:
    """The body as one of our types. Raises the problem that fits."""
    return read_as(await read_json(request, request.app[GATEWAY].settings.timeouts.request_body), wanted)


def asked(request: web.Request, known: Collection[str]) -> dict[str, str]:
    """The query parameters that say something. Raises ``validation_failed`` for a name that is none of ``known``."""
    query = given(request.query)
    for name in query:
        if name not in known:
            raise invalid((name, f"is not known; known are {', '.join(known)}"))
    return query


def tenants_of(request: web.Request, query: dict[str, str]) -> list[str]:
    """The tenant that is asked for, or all. Raises ``validation_failed`` for one that is not in the settings."""
    tenants, tenant = request.app[GATEWAY].settings.tenants, query.get("tenant")
    if tenant is not None and tenant not in tenants:
        raise invalid(("tenant", "is not in the settings"))
    return [tenant] if tenant is not None else list(tenants)
