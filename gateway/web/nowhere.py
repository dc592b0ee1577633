"""What is said where aiohttp finds no route: that there is none, which is not the same as no such thing."""

from __future__ import annotations

import re

from aiohttp import web

from gateway.core.wording import joined_with_or
from gateway.web.keys import GATEWAY
from gateway.web.misplaced import may_be_an_id
from gateway.web.route import BODY_LIMIT

_QUOTED = re.compile(r"(?:/(?:v[0-9]{1,2}|[A-Za-z_-]{1,40})){1,2}/*")
"""Paths that are quoted: of one or two words. Longer ones hold ids, and what else stands there could be a secret."""


CALLBACKS = frozenset({"callback", "callbacks", "pay", "pay/callback"})
"""What is left of a callback's address where the account's part is missing."""

CALLBACK_ADDRESS = "a callback goes to its account's own address, /callbacks/…, as `gateway accounts show` prints it"


async def sentence(request: web.Request, error: web.HTTPException) -> str:
    """Say what is wrong with the request's address, method or size, and what would be right."""
    match error:
        case web.HTTPMethodNotAllowed(allowed_methods=methods):
            return f"this path takes {joined_with_or(sorted(methods), last='and')}, not {request.method}"
        case web.HTTPRequestEntityTooLarge():
            return f"a body has at most {BODY_LIMIT // 1024} KiB"
        case _:
            return await _no_route(request)


async def _no_route(request: web.Request) -> str:
    path, bare = request.path, request.path.rstrip("/")
    is_quoted = _QUOTED.fullmatch(path) is not None and may_be_an_id(path, request.app[GATEWAY].masks)
    said = f"there is no route {request.method} {path}" if is_quoted else "there is no such route"
    if path.strip("/").lower() in CALLBACKS:
        return f"{said}; {CALLBACK_ADDRESS}"
    if bare not in ("", path) and await _exists(request, bare):
        return f"{said}; write it without the slash at the end{f': {bare}' if is_quoted else ''}"
    return f"{said}; GET /docs on the public listener shows all"


async def _exists(request: web.Request, path: str) -> bool:
    found = await request.app.router.resolve(request.clone(rel_url=request.rel_url.with_path(path)))
    return not isinstance(found.http_exception, web.HTTPNotFound)
