"""One log line per request: who asked, about which payment, and why it was refused.

It quotes nothing that a caller chose: of the paths of members only names of the API, of a request's path only ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from time import perf_counter

from aiohttp import hdrs, web

from gateway.core.errors import FieldError, TenantError
from gateway.core.ids import is_id
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.refused_requests import RefusedRequest
from gateway.drivers.telemetry import log_often
from gateway.web.app_keys import ABOUT, CURRENT, FAILURES, GATEWAY, IS_PROVED, REQUEST_ID
from gateway.web.proxies import caller_of

NAMED = {"pay": "payment_id", "op": "operation_id", "cb": "callback_id"}
"""What the log calls an id in a path, by its prefix."""

PROBES = frozenset({"/livez", "/readyz", "/healthz", "/metrics"})
"""Routes that are asked every few seconds: they have no line, unless the caller is wrong."""

TOO_MANY = 429
"""The status of a request that came too soon, of which a tenant may send any number."""

FREE_FORM = ("metadata", "fields")
"""Members whose members have names that tenants choose."""

_PARTS = re.compile(r"\[[^\]]*\]|[^.\[]+")
_OURS = re.compile(r"\$|[a-z]+(_[a-z0-9]+){0,5}|\[\d+\]|Idempotency-Key")


def note_problem(request: web.Request, problem: TenantError) -> None:
    """Keep for the log why a request is refused: the code, and which members were wrong."""
    about = request[ABOUT]
    about["code"] = about["problem"] = problem.code
    if problem.errors:
        about["fields"] = fields_of(problem.errors)
    if "payment_id" in problem.extra:
        about["payment_id"] = problem.extra["payment_id"]


def fields_of(errors: Iterable[FieldError]) -> str:
    """The paths of members, without names that a caller chose: ``$.order.items[0].price, $.metadata.*``."""
    return ", ".join(dict.fromkeys(_path_of(one.field) for one in errors))


def write(request: web.Request, route: str, status: int, began: float) -> None:
    """Write the line of a request to a route, except for public pages and health checks that were served.

    Keep why a tenant's was refused. Who is not known as the tenant, or asks too often, could fill the store.
    """
    about, is_proved = request[ABOUT], IS_PROVED in request
    if (status < 400 and not is_proved and not about) or (route in PROBES and not 400 <= status < 500):
        return
    if status >= 400 and status != TOO_MANY and is_proved and "tenant" in about:
        _keep(request, about, f"{request.method} {route}", status)
    if status < 500 and not is_proved:
        about["address"] = caller_of(request)
    log_often(
        "request",
        {
            "request_id": request[REQUEST_ID],
            "method": request.method,
            "route": route,
            "status": status,
            "milliseconds": round((perf_counter() - began) * 1000, 1),
            **ids_in_path(request),
            **about,
        },
    )


def _keep(request: web.Request, about: Mapping[str, object], route: str, status: int) -> None:
    gw = request[GATEWAY]
    refused = RefusedRequest(
        tenant=str(about["tenant"]),
        id=gw.new_id("rfd"),
        request_id=request[REQUEST_ID],
        at=milliseconds(gw.clock.now()),
        route=route,
        status=status,
        code=str(about.get("code", "")),
        fields=str(about.get("fields", "")),
    )
    gw.refused_requests.note(refused)


def write_unread(app: web.Application, address: str | None, status: int) -> str:
    """Write the line of a malformed request, which no handler saw; return the id that its answer carries."""
    gw = app[CURRENT].gateway
    request_id = gw.new_id("req")
    gw.measures.requests["unknown", "unknown", status].add(0.0)
    if not app[FAILURES].count(address, status):
        line = {"request_id": request_id, "route": "unknown", "status": status, "address": address}
        log_often("request", line)
    return request_id


def route_of(request: web.Request) -> str:
    """The route's pattern: a path itself may hold a token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def method_of(request: web.Request) -> str:
    """The method, "other" for one that HTTP does not name: a caller may send any word."""
    return request.method if request.method in hdrs.METH_ALL else "other"


def ids_in_path(request: web.Request) -> dict[str, str]:
    """The ids in a path. Texts that do not have the form of an id are left out: they may be secrets."""
    found = {}
    for text in request.match_info.values():
        name = NAMED.get(text.partition("_")[0])
        if name is not None and is_id(text):
            found[name] = text
    return found


def _path_of(field: str) -> str:
    """A path up to the first name that a caller chose, which becomes ``*``."""
    kept = ""
    for part in _PARTS.findall(field):
        if kept.rpartition(".")[2] in FREE_FORM or _OURS.fullmatch(part) is None:
            return f"{kept}.*"
        kept += part if part.startswith("[") or not kept else f".{part}"
    return kept
