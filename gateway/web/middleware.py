"""Around every request: an id, errors as problems, and one line in the log. The only place errors become HTTP."""

from __future__ import annotations

import asyncio
import re
from time import perf_counter

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.core.errors import GatewayError, ProviderError, ShuttingDown, TenantError, TenantMoves, Unavailable
from gateway.drivers.store.engine import answering
from gateway.drivers.telemetry import about_request, current_request
from gateway.flows import storage
from gateway.flows.masks import Masks
from gateway.flows.runtime import log
from gateway.web import http_errors, request_log
from gateway.web.app_keys import ABOUT, CURRENT, FAILURES, GATEWAY, IS_PROVED, REQUEST_ID
from gateway.web.failure_limits import FAILURE_RATE
from gateway.web.leaked_secrets import may_be_an_id
from gateway.web.problems import problem_of, problem_response
from gateway.web.proxies import caller_of
from gateway.web.request_log import method_of, route_of
from gateway.web.response_headers import REQUEST_ID_HEADER
from gateway.web.routing import OPTIONS, allow

ANSWERED_WHILE_STOPPING = ("/livez", "/readyz", "/metrics", "/healthz", "/callbacks/")
"""Paths whose handlers answer in their own words while the gateway stops."""

TOO_MANY_FAILURES = (
    f"too many requests without a valid key: {FAILURE_RATE.per_second:g} a second from one address are answered"
)

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request an id, turn every error into its problem, log one line without bodies, headers or query."""
    current, about = request.app[CURRENT], dict[str, object]()
    gw = request[GATEWAY] = current.gateway
    request_id = request[REQUEST_ID] = _given_id(request, gw.masks) or gw.new_id("req")
    current_request.set(request_id)
    answering.set(asyncio.current_task())
    request[ABOUT] = about
    about_request.set(about)
    began = perf_counter()
    response = await _answer(request, handler, request_id, is_stopping=current.is_stopping)
    wait = _too_many_failures(request, response)
    if wait and response.status == 401:
        refusal = TenantError("rate_limited", TOO_MANY_FAILURES, retry_after=wait)
        response = _refuse(request, refusal)
    if current.is_stopping:
        response.force_close()  # says Connection: close, so that nothing more is sent on it
    response.headers[REQUEST_ID_HEADER] = request_id
    route, status = route_of(request), response.status
    gw.measures.requests[route, method_of(request), status].add(perf_counter() - began)
    if not wait:
        request_log.write(request, route, status, began)
    current_request.set(None)  # the connection goes on
    about_request.set(None)
    return response


def _given_id(request: web.Request, masks: Masks) -> str | None:
    """The caller's own id of the request, if it may appear in logs and answers."""
    given = request.headers.get(REQUEST_ID_HEADER, "")
    is_usable = _SANE_ID.fullmatch(given) and may_be_an_id(given, masks)
    return given if is_usable else None


def _too_many_failures(request: web.Request, response: web.StreamResponse) -> float:
    """How many seconds a caller who proved nothing and failed should wait; 0.0 for everybody else."""
    if not 400 <= response.status < 500 or IS_PROVED in request:
        return 0.0
    return request.app[FAILURES].count(caller_of(request), response.status)


async def _answer(request: web.Request, handler: Handler, request_id: str, *, is_stopping: bool) -> web.StreamResponse:
    try:
        if is_stopping and not request.path.startswith(ANSWERED_WHILE_STOPPING):
            raise ShuttingDown("the gateway is stopping")
        return await handler(request)
    except GatewayError as error:
        if isinstance(error, Unavailable) and not isinstance(error, ShuttingDown | TenantMoves):
            log.error("unavailable", extra={"request_id": request_id, "problem": str(error)})
        if isinstance(error, ProviderError):
            why = {"request_id": request_id, "route": request_log.route_of(request), "problem": str(error)}
            log.warning("a provider could not be asked", extra=why)
        return _refuse(request, problem_of(error, _why(request, error)))
    except web.HTTPException as error:
        return await _answer_http_error(request, error)
    except Exception as fault:  # the edge: the text of an internal error must not reach a caller
        log.exception("fault", extra={"request_id": request_id})
        return _refuse(request, TenantError("internal_error", type(fault).__name__))


def _why(request: web.Request, error: GatewayError) -> str | None:
    """Why a store is not available, for an operator; None for everybody else."""
    if "operator" not in request[ABOUT] or getattr(error, "code", None) != Unavailable.code:
        return None
    return "; ".join(storage.outages(request[GATEWAY])) or str(error)


async def _answer_http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """Answer aiohttp's own refusals as problems, and OPTIONS with the methods of the path."""
    headers = allow(error.headers["Allow"]) if isinstance(error, web.HTTPMethodNotAllowed) else {}
    if headers and request.method == OPTIONS:
        return web.Response(status=204, headers=headers)
    problem = await http_errors.error_of(request, error)
    if problem is None:
        return error
    response = _refuse(request, problem)
    response.headers.update(headers)
    return response


def _refuse(request: web.Request, problem: TenantError) -> web.Response:
    request_log.note_problem(request, problem)
    return problem_response(problem, request[REQUEST_ID], request[GATEWAY].public_path)
