"""The line that the log has of a request: who asked, about which payment, and why it was refused.

Nothing that a caller wrote reaches it as it came: of the paths of members only names of the API are kept, and an id
only where it has the form of a payment's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from time import perf_counter

from aiohttp import web

from gateway.core.errors import FieldError, TenantError
from gateway.core.ids import uuid_of
from gateway.flows.context import log
from gateway.web.keys import ABOUT, GATEWAY, IS_PROVED, REQUEST_ID, STRANGERS
from gateway.web.proxies import caller_of

PATH_NAMES = ("id", "payment_id")
"""What a route calls a payment in its path."""

FREE = ("metadata", "fields")
"""Members whose own members are named by tenants."""

_PARTS = re.compile(r"\[[^\]]*\]|[^.\[]+")
_OURS = re.compile(r"\$|[a-z]+(_[a-z0-9]+){0,5}|\[\d+\]")


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
    payment_id = next((one for name in PATH_NAMES if is_payment_id(one := request.match_info.get(name, ""))), None)
    if payment_id is not None:
        about.setdefault("payment_id", payment_id)
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


def is_payment_id(text: str) -> bool:
    """Whether a text has the form of our payments' ids, and so is nothing that a caller made up."""
    return text.startswith("pay_") and uuid_of(text) is not None


def _path_of(field: str) -> str:
    """A path up to the first name that a caller chose; ``*`` is all that follows."""
    kept = ""
    for part in _PARTS.findall(field):
        if kept.rpartition(".")[2] in FREE or _OURS.fullmatch(part) is None:
            return f"{kept}.*"
        kept += part if part.startswith("[") or not kept else f".{part}"
    return kept
