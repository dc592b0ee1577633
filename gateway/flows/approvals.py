"""Four eyes: an act is kept until the key of somebody else approves it, and is then done as if it had just been asked.

The act is checked when it is carried out: if what it concerns has changed meanwhile it is refused, and must be asked
for again.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from msgspec.structs import replace

from gateway.core.errors import Conflict, TenantError
from gateway.core.key_families import ONE_PERSON, person_of
from gateway.drivers.clock import milliseconds
from gateway.drivers.settings import OperatorKey, Role
from gateway.drivers.store import approvals
from gateway.drivers.store.approvals import OPEN, Approval
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows import audit
from gateway.flows.audit import Act
from gateway.flows.runtime import Gateway

KEPT_FOR = timedelta(hours=24)
"""How long an act waits."""

ONE_KEY = f"the key that asked for it cannot approve it: somebody else must. {ONE_PERSON}"


async def request(gw: Gateway, act: Act, *, method: str, path: str, target: str | None, body: bytes) -> Approval:
    """Keep an act for somebody else to approve. ``act`` is that of asking."""
    now = gw.clock.now()
    made = Approval(
        id=gw.new_id("apr"),
        status=OPEN,
        method=method,
        path=path,
        target=target,
        body=body.decode(),
        key_id=act.by.key_id,
        key_name=act.by.key_name,
        created_at=milliseconds(now),
        expires_at=milliseconds(now + KEPT_FOR),
    )
    # Beside the payment that it is about: the act's own row ends it there, in the unit of the act.
    await gw.store.commit(
        act.tenant or NO_TENANT, [approvals.insert(made), audit.entry(gw, act, by=replace(act.by, approval_id=made.id))]
    )
    return made


async def find_open(gw: Gateway, approval_id: str) -> Approval:
    """One that waits. Raises ``not_found`` and ``invalid_state``."""
    found = await gw.store.approvals.find(approval_id)
    if found is None:
        raise TenantError("not_found", "there is no such approval")
    if found.status != OPEN:
        raise TenantError("invalid_state", f"this approval was decided already: it is {found.status}")
    if found.expires_at <= milliseconds(gw.clock.now()):
        raise TenantError("invalid_state", "this approval has expired: send the original request again")
    return found


def check_keys(gw: Gateway, found: Approval, key: OperatorKey, may_act: Collection[Role]) -> None:
    """Refuse the asking key itself, another of the same person, and an act whose asking key is gone or may not act now.

    ``may_act``: the roles that may do it. Raises ``forbidden`` and ``invalid_state``.
    """
    if key.id == found.key_id or person_of(key.id, key.name) == person_of(found.key_id, found.key_name):
        raise TenantError("forbidden", ONE_KEY)
    asking = next((one for one in gw.settings.operators_by_sha256.values() if one.id == found.key_id), None)
    is_good = asking is not None and asking.role in may_act
    if asking is None or not is_good or (asking.expires is not None and gw.clock.now() >= asking.expires):
        raise TenantError(
            "invalid_state", f'key "{found.key_id}", which asked for it, is no longer allowed to: reject it'
        )


async def end(gw: Gateway, found: Approval, status: str, act: Act, *, code: str | None = None) -> Approval:
    """End one whose act is not done: ``rejected``, or ``refused`` with the code. Raises ``invalid_state``."""
    ended = approvals.end(found.id, status, by=act.by.key_id, at=gw.clock.now(), code=code)
    tenant, payment_id = await gw.store.audit.asked_about(found.id)
    about = {"tenant": tenant, "payment_id": payment_id, "subject": found.target}
    try:
        await gw.store.commit(
            tenant or NO_TENANT, [ended, audit.entry(gw, act, by=replace(act.by, approval_id=found.id), **about)]
        )
    except Conflict:
        raise TenantError("invalid_state", "this approval was decided already") from None
    gw.memory.log_holds_deleted = True
    return await gw.store.approvals.find(found.id) or found
