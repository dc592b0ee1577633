"""Tenants' routes for callbacks: what their providers sent, whether it was accepted, and why.

Headers and bodies are not shown. Explaining a callback takes processor time, so it is done for one callback of a tenant
at a time, outside the event loop, and counts as several requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from gateway.core.errors import Reason
from gateway.core.problem_guides import PAYMENT as PAYMENT_ID
from gateway.core.view_types import Time
from gateway.core.views import rfc3339
from gateway.drivers.store.inbox import VERDICTS, InboxFilter, InboxRow
from gateway.flows.callbacks import reprocess
from gateway.flows.callbacks.explain import explain
from gateway.provider import Check
from gateway.web.api.examples import CALLBACK_ID
from gateway.web.query_parameters import CURSOR, LIMIT, cursor_of, limit_of, one_of, parameters, payment_id_of
from gateway.web.request import ROWS_PER_REQUEST, TenantCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

REQUESTS_PER_EXPLANATION = 5
"""How many more requests of a tenant's rate one explanation counts as."""

Verdict = Literal["recorded", "repeated", "refused", "pending"]


class ReceivedCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that a provider sent to one of the tenant's accounts."""

    id: Annotated[str, Meta(description="The callback, `cb_…`; ids sort by time.")]
    account: Annotated[str, Meta(description="The account whose callback URL it was sent to.")]
    received_at: Annotated[Time, Meta(description="When it was received.")]
    method: Annotated[str, Meta(description="Its HTTP method.")]
    path: Annotated[str, Meta(description="The path after the callback URL, such as `pay/callback`.")]
    remote: Annotated[str, Meta(description="The address it came from.")]
    size: Annotated[int, Meta(description="The size of its body in bytes.")]
    verdict: Annotated[
        Verdict,
        Meta(
            description="`recorded`: stored and applied; `repeated`: applied before; `refused`: not proved, or not"
            " allowed; `pending`: proved, but not applied yet."
        ),
    ]
    reason: Annotated[Reason | None, Meta(description="Why it was refused; null if it was not.")]
    detail: Annotated[
        str | None,
        Meta(description="The reason as a sentence for people, with the payment that an unproved callback names."),
    ]
    payment_id: Annotated[str | None, Meta(description="The payment it is about, if that is proved.")]


class CallbackList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of callbacks."""

    data: Annotated[list[ReceivedCallback], Meta(description="The callbacks, newest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


class SecretHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A header in which the provider sends a secret."""

    header: Annotated[str, Meta(description="The header's name.")]
    holds: Annotated[
        str | None,
        Meta(
            description="The name of the secret it held, such as `token`; null if the gateway does not know the value."
        ),
    ]


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """One check of a callback."""

    name: Annotated[str, Meta(description="What is checked.")]
    passed: Annotated[bool | None, Meta(description="Whether it passed; null if it was not reached.")]
    detail: Annotated[str, Meta(description="What was compared, or why the check failed; may be empty.")]


class CallbackExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """How a callback is verified with the current settings and payments. It shows no secret."""

    callback: Annotated[ReceivedCallback, Meta(description="The callback, with the verdict when it was received.")]
    verdict: Annotated[Verdict, Meta(description="The verdict it would get now.")]
    reason: Annotated[Reason | None, Meta(description="Why it would be refused now; null if it would not be.")]
    detail: Annotated[str | None, Meta(description="That reason as a sentence for people.")]
    notes: Annotated[
        list[str],
        Meta(description="What the sender seems to do wrong: what was received, and what to send instead."),
    ]
    checks: Annotated[list[CheckView], Meta(description="Every check in order, those of the provider first.")]
    secrets: Annotated[list[SecretHeader], Meta(description="The headers that hold secrets.")]
    signed: Annotated[
        Mapping[str, str],
        Meta(description="The texts that may be signed, by the form of numbers; secrets are masked."),
    ]


async def list_callbacks(call: TenantCall) -> Reply:
    """``GET /v1/callbacks``."""
    query = call.query
    wanted = InboxFilter(
        limit=limit_of(query),
        cursor=cursor_of(query),
        account=query.get("account"),
        verdict=one_of("verdict", query, VERDICTS),
        payment_id=payment_id_of(query),
    )
    return await call.page(partial(call.gw.store.inbox.newest, call.tenant.id), wanted, received_callback)


async def explain_callback(call: TenantCall) -> Reply:
    """``GET /v1/callbacks/{id}/explanation``."""
    row = await reprocess.find(call.gw, call.id, [call.tenant.id])
    call.charge(REQUESTS_PER_EXPLANATION * ROWS_PER_REQUEST)
    async with call.turn:
        found = await explain(call.gw, row)
    view = CallbackExplanation(
        callback=received_callback(row),
        verdict=cast("Verdict", found.verdict),
        reason=None if found.reason is None else Reason(found.reason),
        detail=found.detail,
        notes=list(found.proof.notes),
        checks=[_check(one) for one in (*found.proof.checks, *found.rules)],
        secrets=[SecretHeader(header=one.header, holds=one.credential) for one in found.tried],
        signed=found.proof.signed,
    )
    return Reply(view=view)


def received_callback(row: InboxRow) -> ReceivedCallback:
    """Show a stored callback to its tenant."""
    return ReceivedCallback(
        id=row.id,
        account=row.account,
        received_at=rfc3339(row.received_at),
        method=row.method,
        path=row.suffix,
        remote=row.remote,
        size=row.size,
        verdict=cast("Verdict", row.verdict),
        reason=None if row.reason is None else Reason(row.reason),
        detail=row.detail,
        payment_id=row.payment_id,
    )


def _check(one: Check) -> CheckView:
    return CheckView(name=one.name, passed=one.passed, detail=one.detail)


_EXAMPLE = ReceivedCallback(
    id=CALLBACK_ID,
    account="psp-main",
    received_at="2026-01-02T03:04:05.678Z",
    method="POST",
    path="pay/callback",
    remote="203.0.113.7",
    size=271,
    verdict="refused",
    reason=Reason.TIME,
    detail="time is 1767323045: looks like seconds; send 1767323045000; it must be a number: whole Unix milliseconds",
    payment_id=PAYMENT_ID,
)
_EXPLAINED = CallbackExplanation(
    callback=_EXAMPLE,
    verdict="refused",
    reason=Reason.TIME,
    detail=_EXAMPLE.detail,
    notes=[_EXAMPLE.detail or ""],
    checks=[
        CheckView(name="sign", passed=True, detail="match, in the literal form"),
        CheckView(name="time", passed=False, detail=_EXAMPLE.detail or ""),
        CheckView(name="state", passed=None, detail=""),
    ],
    secrets=[SecretHeader(header="crm-pay-token", holds="token")],
    signed={"literal": f"amount=25.5&currency=USD&merchant_id=M-1&order_no={PAYMENT_ID}&status=1&time=1767323045"},
)

ROUTES: tuple[Route[TenantCall], ...] = (
    Route(
        method="GET",
        path="/v1/callbacks",
        handler=list_callbacks,
        name="listCallbacks",
        tag="Callbacks",
        summary="List callbacks",
        text="The callbacks that providers sent to the tenant's accounts, newest first, one page at a time: pass"
        " `next_cursor` as `cursor` until it is null. Refused callbacks are kept for some days.",
        answers={200: CallbackList(data=[_EXAMPLE], next_cursor=None)},
        query=parameters(
            verdict=("Only callbacks with this verdict.", {"type": "string", "enum": list(VERDICTS)}),
            account="Only callbacks to this account.",
            payment_id="Only callbacks about this payment.",
            limit=LIMIT,
            cursor=CURSOR,
        ),
        codes=("validation_failed",),
    ),
    Route(
        method="GET",
        path="/v1/callbacks/{id}/explanation",
        handler=explain_callback,
        name="explainCallback",
        tag="Callbacks",
        summary="Explain a callback",
        text="Why the callback was accepted or refused, check by check, and what its sender seems to do wrong. Secrets"
        " and the expected signature are never shown.",
        answers={200: _EXPLAINED},
        codes=("not_found", "unknown_account"),
    ),
)
"""The routes for callbacks."""
