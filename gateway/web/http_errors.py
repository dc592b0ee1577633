"""What aiohttp itself refuses becomes a problem: an unknown path, another method, a body too large."""

from __future__ import annotations

import re

from aiohttp import web

from gateway.core.errors import TenantError
from gateway.core.wording import joined_with_or, shortened
from gateway.web.app_keys import GATEWAY
from gateway.web.leaked_secrets import may_be_an_id
from gateway.web.request import BODY_LIMIT

_CODES = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}

_WORD = re.compile(r"v[0-9]{1,2}|[A-Za-z_-]{0,20}")
"""Parts of a path that an error quotes. Others may be an id, or a secret that was pasted there."""

CALLBACKS = frozenset({"callback", "callbacks", "pay", "pay/callback"})
"""What is left of a callback address where the account's part is missing."""

CALLBACK_ADDRESS = "a callback goes to its account's own address, /callbacks/…, as `gateway accounts show` prints it"


async def error_of(request: web.Request, refused: web.HTTPException) -> TenantError | None:
    """Translate one of aiohttp's errors; None for a status without a code in ``PROBLEMS``."""
    code = _CODES.get(refused.status)
    return None if code is None else TenantError(code, await _detail(request, refused))


async def _detail(request: web.Request, refused: web.HTTPException) -> str:
    match refused:
        case web.HTTPMethodNotAllowed(allowed_methods=methods):
            return f"this path takes {joined_with_or(sorted(methods), last='and')}, not {request.method}"
        case web.HTTPRequestEntityTooLarge():
            return f"a body has at most {BODY_LIMIT // 1024} KiB"
        case _:
            return await _no_route(request)


async def _no_route(request: web.Request) -> str:
    path, bare, masks = request.path, request.path.rstrip("/"), request[GATEWAY].masks
    shown = "/".join(one if _WORD.fullmatch(one) and may_be_an_id(one, masks) else "…" for one in path.split("/"))
    problem = f"there is no route {request.method} {shortened(shown)}"
    if path.strip("/").lower() in CALLBACKS:
        return f"{problem}; {CALLBACK_ADDRESS}"
    if bare not in ("", path) and await _exists(request, bare):
        return f"{problem}; write it without the slash at the end: {shortened(shown.rstrip('/'))}"
    return f"{problem}; GET /docs on the public listener shows all"


async def _exists(request: web.Request, path: str) -> bool:
    found = await request.app.router.resolve(request.clone(rel_url=request.rel_url.with_path(path)))
    return not isinstance(found.http_exception, web.HTTPNotFound)
