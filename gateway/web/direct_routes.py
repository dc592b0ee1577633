"""The handler of the busiest requests by a look-up: aiohttp's router tries patterns, one part of a path after another.

Only what has one meaning is looked up: a path without parameters as its route is written, and a callback's path without
percent signs. All other requests take aiohttp's way, to the same handlers behind the same middleware.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Mapping

from aiohttp import hdrs, web

from gateway.web.middleware import answer_errors

CALLBACKS = "/callbacks/{endpoint_id}/{suffix}"
"""The route of callbacks, as aiohttp names it."""

CALLBACK_PATHS = 256
"""Paths of callbacks whose match is kept."""

_CALLBACK = re.compile(r"/callbacks/(?P<endpoint_id>[^{}/%]+)/(?P<suffix>[^%\n]*)")


class DirectRoutes:
    """Answers the requests of one application whose routes are complete."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        routes = [(resource.canonical, route) for resource in app.router.resources() for route in resource]
        self._fixed = {(route.method, path): self._match(route, {}) for path, route in routes if "{" not in path}
        # A provider calls the same few addresses again and again.
        self._callback_at = functools.lru_cache(CALLBACK_PATHS)(self._match_callback)
        self._callback = next((route for path, route in routes if path == CALLBACKS), None)

    def __call__(self, request: web.Request) -> Awaitable[web.StreamResponse]:
        """Answer one request."""
        match = self._found(request.method, request.rel_url.raw_path)
        if match is None or hdrs.EXPECT in request.headers:
            return self._app._handle(request)
        request._match_info = match
        return answer_errors(request, match.handler)

    def _found(self, method: str, path: str) -> web.UrlMappingMatchInfo | None:
        match = self._fixed.get((method, path))
        if match is None and path.startswith("/callbacks/"):
            return self._callback_at(path)
        return match

    def _match_callback(self, path: str) -> web.UrlMappingMatchInfo | None:
        parts = _CALLBACK.fullmatch(path)
        if parts is None or self._callback is None:
            return None
        return self._match(self._callback, parts.groupdict())

    def _match(self, route: web.AbstractRoute, parameters: Mapping[str, str]) -> web.UrlMappingMatchInfo:
        match = web.UrlMappingMatchInfo(dict(parameters), route)
        match.add_app(self._app)
        match.freeze()
        return match
