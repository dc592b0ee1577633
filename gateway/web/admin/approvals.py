"""Operators' routes for acts that wait for the approval of another key."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from msgspec.structs import replace

from gateway.core.errors import TenantError
from gateway.drivers.settings import ROLES
from gateway.drivers.store.approvals import STATUSES, Approval, ApprovalFilter
from gateway.flows import approvals
from gateway.flows.payments.idempotency import Answer
from gateway.flows.payments.review import check_version
from gateway.flows.runtime import Gateway
from gateway.web.admin.reviews import Sentence
from gateway.web.app_keys import APPROVABLE, DECISION
from gateway.web.auth import has_role, refuse_role
from gateway.web.four_eyes import ApprovalView, approval_view
from gateway.web.query_parameters import CURSOR, LIMIT, cursor_of, limit_of, one_of, parameters
from gateway.web.request import NO_BODY, ApprovedCall, OperatorCall, act_of, parsed
from gateway.web.responses import Reply
from gateway.web.routing import Route


class RejectApproval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why an act is not to be done."""

    reason: Sentence


async def list_approvals(call: OperatorCall) -> Reply:
    """``GET /admin/v1/approvals``."""
    query = call.query
    wanted = ApprovalFilter(limit=limit_of(query), cursor=cursor_of(query), status=one_of("status", query, STATUSES))
    return await call.page(call.gw.store.approvals.newest, wanted, partial(_visible, call))


def _visible(call: OperatorCall, row: Approval) -> ApprovalView:
    """Show one; what was sent, which may name a customer, only to a key whose role may do it."""
    route = call.request.app[APPROVABLE].get((row.method, row.path))
    may_see = has_role(call.key, "admin" if route is None else route.needed_role)
    return approval_view(row if may_see else replace(row, body=None))


async def approve(call: OperatorCall) -> Reply | Answer:
    """``POST /admin/v1/approvals/{id}/approve``: do what was asked for, and answer as its route does."""
    async with call.request.app[DECISION]:
        asked = await approvals.find_open(call.gw, call.id)
        route = call.request.app[APPROVABLE].get((asked.method, asked.path))
        if route is None:
            raise TenantError("invalid_state", "this version of the gateway has no such act: reject it")
        refuse_role(call.key, route.needed_role)
        approvals.check_keys(call.gw, asked, call.key, ROLES[ROLES.index(route.needed_role) :])
        approved = _approved(call, asked)
        try:
            await _check_unmoved(call.gw, asked, approved.sent.data.get("version"))
            answer: Reply | Answer = await route.handler(approved)
        except TenantError as refusal:
            act = call.act(details={"act": act_of(asked.path), "code": refusal.code})
            await approvals.end(call.gw, asked, "refused", act, code=refusal.code)
            raise
        return answer


async def _check_unmoved(gw: Gateway, asked: Approval, version: int | None) -> None:
    """Refuse where the payment has moved since it was asked, also where that ended the operation that it was about.

    The act itself checks ``version`` again where it is committed. Raises ``invalid_state``.
    """
    tenant, payment_id = await gw.store.audit.asked_about(asked.id)
    loaded = None if tenant is None or payment_id is None else await gw.store.payment(tenant, payment_id)
    if loaded is not None:
        check_version(loaded.payment, version)


def _approved(call: OperatorCall, asked: Approval) -> ApprovedCall:
    sent = NO_BODY if asked.body is None else parsed(asked.body.encode(), ())
    return ApprovedCall(gw=call.gw, key=call.key, request=call.request, path=asked.path, sent=sent, asked=asked)


async def reject(call: OperatorCall) -> Reply:
    """``POST /admin/v1/approvals/{id}/reject``: also by the key that asked."""
    reason = call.body(RejectApproval).reason
    async with call.request.app[DECISION]:
        asked = await approvals.find_open(call.gw, call.id)
        act = call.act(reason=reason, details={"act": act_of(asked.path)})
        return Reply(view=approval_view(await approvals.end(call.gw, asked, "rejected", act)))


_STATUS: dict[str, Any] = {"type": "string", "enum": list(STATUSES)}

ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(
        method="GET",
        path="/admin/v1/approvals",
        handler=list_approvals,
        query=parameters(status=("Only approvals with this status.", _STATUS), limit=LIMIT, cursor=CURSOR),
    ),
    Route(method="POST", path="/admin/v1/approvals/{id}/approve", handler=approve),
    Route(method="POST", path="/admin/v1/approvals/{id}/reject", handler=reject, body=RejectApproval),
)
"""The routes for approvals."""
