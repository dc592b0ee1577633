"""An act that waits for approval, as the store keeps it."""

from __future__ import annotations

from gateway.drivers.store.approvals import OPEN, Approval

WAITING = Approval(
    id="apr_1",
    status=OPEN,
    method="POST",
    path="/admin/v1/payments/{id}/resolve",
    target="pay_1",
    body="{}",
    key_id="kim",
    key_name=None,
    created_at=0,
    expires_at=1,
)
