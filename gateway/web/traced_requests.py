"""A span around each request except probes. The handler is wrapped at start, so it costs nothing when it is off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from gateway.web.app_keys import ABOUT
from gateway.web.request_log import PROBES, ids_in_path, route_of

if TYPE_CHECKING:
    from gateway.drivers.traces.spans import Traces

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def traced(answer: Handler, traces: Traces) -> Handler:
    """The same handler, with a span around each request."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path in PROBES:
            return await answer(request)
        with traces.span("request") as note:
            response = await answer(request)
            known = {**ids_in_path(request), **request.get(ABOUT, {})}
            note(**{**known, "route": route_of(request), "outcome": response.status})
            return response

    return handle
