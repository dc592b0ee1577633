"""The line that the log has of a request: who asked, about which payment, and why it was refused.

Nothing that a caller wrote reaches it as it came: of the paths of members only names of the API are kept, and of the
path of a request only ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from time import perf_counter

from aiohttp import web

from gateway.core.errors import FieldError, TenantError
from gateway.core.ids import uuid_of
from gateway.flows.runtime import log
from gateway.web.keys import ABOUT, GATEWAY, IS_PROVED, REQUEST_ID, STRANGERS
from gateway.web.proxies import caller_of

NAMED = {"pay": "payment_id", "op": "operation_id", "cb": "callback_id"}
"""What the log calls an id in a path, by its prefix."""

FREE = ("metadata", "fields")
"""Members whose own members are named by tenants."""

_PARTS = re.compile(r"\[[^\]]*\]|[^.\[]+")
_OURS = re.compile(r"\$|[a-z]+(_[a-z0-9]+){0,5}|\[\d+\]|Idempotency-Key")


def note_problem(request: web.Request, problem: TenantError) -> None:
    """Keep for the log why a request is refused: the code, and which members were wrong."""
    about = request[ABOUT]
    about["problem"] = problem.code
    if problem.errors:
        about["fields"] = fields_of(problem.errors)
    if "payment_id" in problem.extra:
        about["payment_id"] = problem.extra["payment_id"]


def fields_of(errors: Iterable[FieldError]) -> str:
    """The paths of members, without names that a caller chose: ``$.order.items[0].price, $.metadata.*``."""
    return ", ".join(dict.fromkeys(_path_of(one.field) for one in errors))


def write(request: web.Request, status: int, began: float) -> None:
    """Write the line of a request, except of one that anybody may make and that was served: pages, health."""
    about, is_proved = request[ABOUT], IS_PROVED in request
    if status < 400 and not is_proved and not about:
        return
    if status < 500 and not is_proved:
        about["address"] = caller_of(request)
    log.info(
        "request",
        extra={
            "request_id": request[REQUEST_ID],
            "method": request.method,
            "route": route_of(request),
            "status": status,
            "milliseconds": round((perf_counter() - began) * 1000, 1),
            **_ids_in_path(request),
            **about,
        },
    )


def write_unread(app: web.Application, address: str | None, status: int) -> str:
    """Write the line of bytes that no handler saw, because they were not a request; return the id of the answer."""
    request_id = app[GATEWAY].new_id("req")
    if not app[STRANGERS].failed(address, status):
        said = {"request_id": request_id, "route": "unknown", "status": status, "address": address}
        log.info("request", extra=said)
    return request_id


def route_of(request: web.Request) -> str:
    """The route's pattern: a path itself may hold a token."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


def _ids_in_path(request: web.Request) -> dict[str, str]:
    """The ids that a path names; what has not the form of one may be anything and is left out."""
    named = ((NAMED.get(one.partition("_")[0]), one) for one in request.match_info.values())
    return {name: one for name, one in named if name is not None and uuid_of(one) is not None}


def _path_of(field: str) -> str:
    """A path up to the first name that a caller chose; ``*`` is all that follows."""
    kept = ""
    for part in _PARTS.findall(field):
        if kept.rpartition(".")[2] in FREE or _OURS.fullmatch(part) is None:
            return f"{kept}.*"
        kept += part if part.startswith("[") or not kept else f".{part}"
    return kept
