"""Store a request that needs the approval of another key, and answer it with 202."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from gateway.core import strictjson
from gateway.core.payment import Payment
from gateway.core.views import rfc3339
from gateway.drivers.store.approvals import Approval
from gateway.drivers.store.rows import from_milliseconds, optional_text
from gateway.flows import approvals
from gateway.flows.audit import Act
from gateway.web.request import OperatorCall, act_of
from gateway.web.responses import Reply


class ApprovalView(msgspec.Struct, frozen=True, kw_only=True):
    """An act that waits for approval, or did. ``body``: only while it waits; ``code``: where it was refused."""

    id: str
    status: str
    act: str
    target: str | None
    body: Any
    key_id: str
    key_name: str | None
    requested_at: str
    expires_at: str
    decided_by: str | None
    decided_at: str | None
    code: str | None


class NeedsApproval(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an act that another key must approve."""

    approval: ApprovalView


def approval_view(row: Approval) -> ApprovalView:
    """Show one."""
    return ApprovalView(
        id=row.id,
        status=row.status,
        act=act_of(row.path),
        target=row.target,
        body=None if row.body is None else msgspec.json.decode(row.body),
        key_id=row.key_id,
        key_name=row.key_name,
        requested_at=rfc3339(from_milliseconds(row.created_at)),
        expires_at=rfc3339(from_milliseconds(row.expires_at)),
        decided_by=row.decided_by,
        decided_at=optional_text(row.decided_at),
        code=row.code,
    )


Check = Callable[[OperatorCall], Awaitable[Payment]]


async def keep_for_approval(
    call: OperatorCall, wanted: type[msgspec.Struct] | None, check: Check | None
) -> Reply | None:
    """Keep an act that could be done now; None for one that only asks what it would do (``apply`` is false).

    What is approved is the act on the payment as it is now: its version is kept with the body. Raises ``TenantError``.
    """
    body = None if wanted is None else call.body(wanted)
    if not getattr(body, "apply", True):
        return None
    payment = None if check is None else await check(call)
    target = None if payment is None else call.id
    act = Act(
        name="approvals.request",
        by=call.by,
        tenant=None if payment is None else payment.tenant,
        payment_id=None if payment is None else payment.id,
        subject=target,
        # Without an id in the path the act is about a customer, whom its reason may name: the trail is never erased.
        reason=None if target is None else getattr(body, "reason", None),
        details={"act": act_of(call.path)},
    )
    seen = {} if payment is None else {"version": payment.version}
    sent = strictjson.dumps({**call.sent.data, **seen})
    made = await approvals.request(call.gw, act, method=call.request.method, path=call.path, target=target, body=sent)
    return Reply(view=NeedsApproval(approval=approval_view(made)), status=202)
