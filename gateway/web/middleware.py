"""Around every request: an id, errors as problems, and one line in the log. The only place errors become HTTP."""

from __future__ import annotations

import re
from time import perf_counter

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.errors import GatewayError, ProviderError, ShuttingDown, TenantError, Unavailable
from gateway.flows.runtime import log
from gateway.web import nowhere, request_line
from gateway.web.headers import REQUEST_ID_HEADER
from gateway.web.keys import ABOUT, GATEWAY, IS_PROVED, REQUEST_ID, STRANGERS
from gateway.web.methods import OPTIONS, allow
from gateway.web.misplaced import may_be_an_id
from gateway.web.problems import problem_of, problem_response
from gateway.web.proxies import caller_of
from gateway.web.strangers import FAILURES

ANSWER_FOR_THEMSELVES = ("/livez", "/readyz", "/callbacks/")
"""Paths that answer in their own words while the gateway stops."""

TOO_MANY_FAILURES = (
    f"too many requests without a valid key: {FAILURES.per_second:g} a second from one address are answered"
)

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_HTTP_ERRORS = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, turn every error into its problem, log one line without bodies, headers or query."""
    request_id = request[REQUEST_ID] = _given_id(request) or request.app[GATEWAY].new_id("req")
    request[ABOUT] = {}
    began = perf_counter()
    response = await _answer(request, handler, request_id)
    wait = _too_many_failures(request, response)
    if wait and response.status == 401:
        refusal = TenantError("rate_limited", TOO_MANY_FAILURES, retry_after=wait)
        response = _refuse(request, refusal)
    if request.app[GATEWAY].is_stopping:
        response.force_close()  # says Connection: close, so that nothing more is sent on it
    response.headers[REQUEST_ID_HEADER] = request_id
    if not wait:
        request_line.write(request, response.status, began)
    return response


def _given_id(request: web.Request) -> str | None:
    """The caller's own id of the request, if it may stand in logs and answers."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    is_usable = _SANE_ID.fullmatch(given) and may_be_an_id(given, request.app[GATEWAY].masks)
    return given if is_usable else None


def _too_many_failures(request: web.Request, response: web.StreamResponse) -> float:
    """How many seconds a caller who proved nothing and failed should wait; 0.0 for everybody else."""
    if not 400 <= response.status < 500 or IS_PROVED in request:
        return 0.0
    return request.app[STRANGERS].failed(caller_of(request), response.status)


async def _answer(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    try:
        if request.app[GATEWAY].is_stopping and not request.path.startswith(ANSWER_FOR_THEMSELVES):
            raise ShuttingDown("the gateway is stopping")
        return await handler(request)
    except GatewayError as error:
        if isinstance(error, Unavailable) and not isinstance(error, ShuttingDown):
            log.error("unavailable", extra={"request_id": request_id, "problem": str(error)})
        if isinstance(error, ProviderError):
            why = {"request_id": request_id, "route": request_line.route_of(request), "problem": str(error)}
            log.warning("a provider could not be asked", extra=why)
        return _refuse(request, problem_of(error))
    except web.HTTPException as error:
        return await _http_error(request, error)
    except Exception as fault:  # the edge: a fault of ours must not show its text to a caller
        log.exception("fault", extra={"request_id": request_id})
        return _refuse(request, TenantError("internal_error", type(fault).__name__))


async def _http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """What aiohttp refuses, as a problem. OPTIONS is answered with what it asks for: the methods there are."""
    code = _HTTP_ERRORS.get(error.status)
    if code is None:
        return error
    headers = allow(error.headers["Allow"]) if isinstance(error, web.HTTPMethodNotAllowed) else {}
    if headers and request.method == OPTIONS:
        return web.Response(status=204, headers=headers)
    response = _refuse(request, TenantError(code, await nowhere.sentence(request, error)))
    response.headers.update(headers)
    return response


def _refuse(request: web.Request, problem: TenantError) -> web.Response:
    request_line.note_problem(request, problem)
    return problem_response(problem, request[REQUEST_ID], request.app[GATEWAY].public_path)
