"""Around every request: an id, errors as problems, and one line in the log. The only place errors become HTTP."""

from __future__ import annotations

import re
from time import perf_counter

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.errors import GatewayError, ProviderError, ShuttingDown, TenantError, Unavailable
from gateway.flows.context import log
from gateway.web.keys import GATEWAY, IS_PROVED, OPERATOR, REQUEST_ID, STRANGERS
from gateway.web.misplaced import may_be_an_id
from gateway.web.problems import problem_of, problem_response

ANSWER_FOR_THEMSELVES = ("/livez", "/readyz", "/callbacks/")
"""Paths that answer in their own words while the gateway stops."""

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_HTTP_ERRORS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, turn every error into its problem, log one line without bodies, headers or query."""
    request_id = request[REQUEST_ID] = _given_id(request) or request.app[GATEWAY].new_id("req")
    began = perf_counter()
    response = await _answer(request, handler, request_id)
    wait = _too_many_failures(request, response)
    if wait and response.status == 401:
        refusal = TenantError("rate_limited", "too many requests without a valid key", retry_after=wait)
        response = problem_response(refusal, request_id)
    if request.app[GATEWAY].is_stopping:
        response.force_close()  # says Connection: close, so that nothing more is sent on it
    response.headers["X-Request-Id"] = request_id
    if not wait:
        log.info("request", extra=_said(request, response, began))
    return response


def _given_id(request: web.Request) -> str | None:
    """The caller's own id of the request, if it may stand in logs and answers."""
    given = request.headers.get("X-Request-Id", "")
    is_usable = _SANE_ID.fullmatch(given) and may_be_an_id(given, request.app[GATEWAY].masks)
    return given if is_usable else None


def _too_many_failures(request: web.Request, response: web.StreamResponse) -> float:
    """How many seconds a caller who proved nothing and failed should wait; 0.0 for everybody else."""
    if not 400 <= response.status < 500 or IS_PROVED in request:
        return 0.0
    return request.app[STRANGERS].failed(request.remote, response.status)


def _said(request: web.Request, response: web.StreamResponse, began: float) -> dict[str, object]:
    """What the log says of a request; its caller's address only where it failed and proved nothing."""
    said: dict[str, object] = {
        "request_id": request[REQUEST_ID],
        "method": request.method,
        "route": route_of(request),
        "status": response.status,
        "milliseconds": round((perf_counter() - began) * 1000, 1),
    }
    if OPERATOR in request:
        said["operator"] = request[OPERATOR]
    if 400 <= response.status < 500 and IS_PROVED not in request:
        said["address"] = request.remote
    return said


async def _answer(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    try:
        if request.app[GATEWAY].is_stopping and not request.path.startswith(ANSWER_FOR_THEMSELVES):
            raise ShuttingDown("the gateway is stopping")
        return await handler(request)
    except GatewayError as error:
        if isinstance(error, Unavailable) and not isinstance(error, ShuttingDown):
            log.error("unavailable", extra={"request_id": request_id, "problem": str(error)})
        if isinstance(error, ProviderError):
            why = {"request_id": request_id, "route": route_of(request), "problem": str(error)}
            log.warning("a provider could not be asked", extra=why)
        return problem_response(problem_of(error), request_id)
    except web.HTTPException as error:
        code = _HTTP_ERRORS.get(error.status)
        if code is None:
            return error
        response = problem_response(TenantError(code, error.reason.lower()), request_id)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except Exception as fault:  # the edge: a fault of ours must not show its text to a caller
        log.exception("fault", extra={"request_id": request_id})
        return problem_response(TenantError("internal_error", type(fault).__name__), request_id)


def route_of(request: web.Request) -> str:
    """The route's pattern: a path itself may hold a token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"
