"""Acts for the audit trail: a flow that changes something at an operator's word adds ``entry`` to the unit of work.

So there is no act without its row, and no row without its act. Rows hold no secrets and no customer data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.core import strictjson
from gateway.core.errors import Unavailable
from gateway.core.secret import Secret
from gateway.core.signing import derive
from gateway.drivers.clock import milliseconds
from gateway.drivers.store.audit import AuditContent, append
from gateway.drivers.store.statements import NO_TENANT, Statement
from gateway.flows.runtime import Gateway, log


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acts: the key's id, which is proved, and its name in the settings.

    ``given`` is what the caller said of himself. Under four eyes ``approved_by`` is the id of the other key.
    """

    key_id: str
    key_name: str | None = None
    given: str | None = None
    approved_by: str | None = None
    approval_id: str | None = None


GATEWAY = Actor(key_id="the gateway")
"""Who acts where nobody called: a start, a reload at a signal."""

COMMAND_LINE = "command line"
"""The key id of commands that write the store themselves: who may do that needs no key.

No key in the settings can have either id: both have a blank."""


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What is done: ``name`` such as ``payments.resolve``, ``subject`` what it is about beside a payment.

    ``details`` are numbers and words of the gateway's own, such as a state or a count.
    """

    name: str
    by: Actor
    tenant: str | None = None
    payment_id: str | None = None
    subject: str | None = None
    reason: str | None = None
    details: Mapping[str, Any] = msgspec.field(default_factory=dict)


def entry(gw: Gateway, act: Act, **about: Any) -> Statement:
    """The row of an act. ``about``: members of ``act`` that are known only now, such as its tenant."""
    act = msgspec.structs.replace(act, **about)
    secret = gw.settings.server.secret
    given = {} if act.by.given is None else {"actor": act.by.given}
    row = AuditContent(
        at=milliseconds(gw.clock.now()),
        key_id=act.by.key_id,
        key_name=act.by.key_name,
        approved_by=act.by.approved_by,
        approval_id=act.by.approval_id,
        act=act.name,
        tenant=act.tenant,
        payment_id=act.payment_id,
        subject=act.subject,
        reason=act.reason,
        details=strictjson.canonical({**given, **act.details}).decode(),
        secret_id=secret_id_of(secret),
    )
    return append(row, key_of(secret))


async def note(gw: Gateway, act: Act) -> None:
    """Add an act that has no unit of its own, and must not wait for a store that is full or away."""
    try:
        await gw.store.commit(NO_TENANT, [entry(gw, act)])
    except Unavailable as problem:
        log.error("an act is missing in the audit trail", extra={"kind": act.name, "problem": str(problem)})


def secret_id_of(secret: Secret) -> str:
    """The name that rows give a ``server.secret``; it shows nothing of it."""
    return derive(secret, "audit trail", "name").reveal()[:12]


def key_of(secret: Secret) -> str:
    """The key of the rows that name this ``server.secret``."""
    return derive(secret, "audit trail", "key").reveal()
