"""The methods of a path: HEAD wherever there is GET, and OPTIONS everywhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

OPTIONS = "OPTIONS"


def add_route(
    app: web.Application, method: str, path: str, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> None:
    """Register a route. What GET answers HEAD answers too, without the body."""
    for one in ("GET", "HEAD") if method == "GET" else (method,):
        app.router.add_route(one, path, handler)


def allow(*lists: str) -> dict[str, str]:
    """The ``Allow`` header of a path that takes the methods of these lists, such as ``GET, HEAD``."""
    named = [method.strip() for one in lists for method in one.split(",")]
    return {"Allow": ",".join([*named, OPTIONS])}
