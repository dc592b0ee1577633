"""Errors as RFC 9457 ``application/problem+json``."""

from __future__ import annotations

import math
from typing import Any

from aiohttp import web

from gateway.core import strictjson
from gateway.core.errors import PROBLEMS, GatewayError, NotSent, ProviderError, TenantError, Unavailable

MEDIA_TYPE = "application/problem+json"


def problem_of(error: GatewayError, why: str | None = None) -> TenantError:
    """The tenant's view of any of our errors. ``why``: for an operator, why a store is not available."""
    match error:
        case TenantError():
            return error
        case Unavailable():
            return TenantError(error.code, why or PROBLEMS[error.code].title.lower())
        case NotSent():  # why it was not, is about the operators' network and settings
            return TenantError("provider_error", error.for_tenants)
        case ProviderError():
            return TenantError("provider_error", str(error), retry_after=error.retry_after)
        case _:
            raise error


def problem_response(error: TenantError, request_id: str, folder: str = "") -> web.Response:
    """Make the answer of one problem. ``folder`` is the path of the gateway's public address, "" for none."""
    problem = PROBLEMS[error.code]
    members: dict[str, Any] = {
        "type": f"{folder}/problems/{error.code}",
        "title": problem.title,
        "status": problem.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    if error.errors:
        members["errors"] = [{"field": one.field, "message": one.message} for one in error.errors]
    extra = {name: value for name, value in error.extra.items() if value is not None}
    wait = extra.pop("retry_after", None)
    headers = {"Retry-After": str(max(1, math.ceil(wait)))} if wait is not None else {}
    if problem.status == 503:
        headers.setdefault("Retry-After", "1")
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = strictjson.dumps({**members, **extra})
    response = web.Response(status=problem.status, body=body, content_type=MEDIA_TYPE, headers=headers)
    if problem.status == 408:
        response.force_close()  # the rest of its body may still come
    return response
