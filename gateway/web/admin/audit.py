"""Operators' route for the audit trail: who did what to what, and why."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec

from gateway.core.errors import invalid
from gateway.core.views import rfc3339
from gateway.drivers.store.audit import AuditFilter, AuditRow
from gateway.drivers.store.rows import from_milliseconds
from gateway.web.query_parameters import LIMIT, TIME, limit_of, parameters, payment_id_of, period_of
from gateway.web.request import OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

MAX_DIGITS = 27
"""Digits of the longest cursor: of several stores."""


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """One act. ``subject`` is what it was about beside a payment: an operation, a callback, a delivery, an approval."""

    sequence: int
    at: str
    key_id: str
    key_name: str | None
    approved_by: str | None
    approval_id: str | None
    act: str
    tenant: str | None
    payment_id: str | None
    subject: str | None
    reason: str | None
    details: dict[str, Any]
    hash: str


def audit_view(row: AuditRow) -> AuditView:
    """Show one row."""
    members = {name: getattr(row, name) for name in AuditView.__struct_fields__}
    shown = {"at": rfc3339(from_milliseconds(row.at)), "details": msgspec.json.decode(row.details)}
    return AuditView(**{**members, **shown})


async def list_acts(call: OperatorCall) -> Reply:
    """``GET /admin/v1/audit``."""
    query = call.query
    since, until = period_of(query)
    wanted = AuditFilter(
        limit=limit_of(query),
        cursor=_cursor_of(query.get("cursor")),
        tenant=query.get("tenant"),
        payment_id=payment_id_of(query),
        key_id=query.get("key"),
        since=since,
        until=until,
    )
    return await call.page(call.gw.store.audit.newest, wanted, audit_view, id_of=attrgetter("cursor"))


def _cursor_of(text: str | None) -> str | None:
    if text is not None and not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise invalid(("cursor", "is not a valid cursor: send the next_cursor of the page before"))
    return text


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(
        method="GET",
        path="/admin/v1/audit",
        handler=list_acts,
        query=parameters(
            tenant="Only acts that concern this tenant.",
            payment_id="Only acts that concern this payment.",
            key="Only acts of the key with this id, or approved by it.",
            since=("Only acts at this time or later.", TIME),
            until=("Only acts before this time.", TIME),
            limit=LIMIT,
            cursor="The `next_cursor` of the previous page.",
        ),
    ),
)
"""The route for the audit trail."""
