"""A tenant's incoming callbacks: what its providers sent, what was made of it, and why.

Only of the tenant's own accounts; headers and bodies are not shown. To explain one takes work, so it is done one at a
time for each tenant, beside the loop, and weighs as several requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Literal, cast

import msgspec
from msgspec import Meta

from gateway.core.errors import Reason, invalid
from gateway.core.problem_guides import PAYMENT as PAYMENT_ID
from gateway.core.view_types import Time
from gateway.core.views import rfc3339
from gateway.drivers.store.inbox import VERDICTS, InboxFilter, InboxRow
from gateway.flows.callbacks import reprocess
from gateway.flows.callbacks.explain import explain
from gateway.provider import Check
from gateway.web.examples import CALLBACK_ID
from gateway.web.listing import CURSOR, LIMIT, cursor_of, described, given, limit_of, one_of
from gateway.web.route import ROWS_OF_ONE_REQUEST, Call, Reply, Route

REQUESTS_OF_AN_EXPLANATION = 5
"""How many requests of a tenant's rate an explanation weighs beside itself."""

Verdict = Literal["recorded", "repeated", "refused", "pending"]


class ReceivedCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that a provider sent to one of the tenant's accounts."""

    id: Annotated[str, Meta(description="The callback, `cb_…`; ids sort by time.")]
    account: Annotated[str, Meta(description="The account whose callback address it came to.")]
    received_at: Annotated[Time, Meta(description="When it came.")]
    method: Annotated[str, Meta(description="Its HTTP method.")]
    path: Annotated[str, Meta(description="What stood behind the callback address, such as `pay/callback`.")]
    remote: Annotated[str, Meta(description="The address it came from.")]
    size: Annotated[int, Meta(description="Bytes of its body.")]
    verdict: Annotated[
        Verdict,
        Meta(
            description="`recorded`: stored, and its effect applied; `repeated`: applied before; `refused`: not"
            " believed or not allowed; `pending`: proved, its effect is still to be applied."
        ),
    ]
    reason: Annotated[Reason | None, Meta(description="Why it was refused; null unless it was.")]
    detail: Annotated[
        str | None,
        Meta(
            description="The reason as a sentence for people, with the payment that an unproved one claims to be about."
        ),
    ]
    payment_id: Annotated[str | None, Meta(description="The payment it is about, where that is proved.")]


class CallbackList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of callbacks."""

    data: Annotated[list[ReceivedCallback], Meta(description="The callbacks, newest first.")]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null on the last.")]


class SecretHeader(msgspec.Struct, frozen=True, kw_only=True):
    """A header in which the provider sends a secret."""

    header: Annotated[str, Meta(description="The header's name.")]
    holds: Annotated[
        str | None,
        Meta(description="Which secret it held, by name, such as `token`; null: none that is known here."),
    ]


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """One check of a callback."""

    name: Annotated[str, Meta(description="What is checked.")]
    passed: Annotated[bool | None, Meta(description="Whether it passed; null: it was not reached.")]
    detail: Annotated[str, Meta(description="What was compared, or why it failed; may be empty.")]


class CallbackExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """How a callback is proved and judged by today's settings and payments. It shows no secret."""

    callback: Annotated[ReceivedCallback, Meta(description="The callback, and what was made of it when it came.")]
    verdict: Annotated[Verdict, Meta(description="What it would come to now.")]
    reason: Annotated[Reason | None, Meta(description="Why it would be refused now; null: it would not.")]
    detail: Annotated[str | None, Meta(description="That reason as a sentence for people.")]
    notes: Annotated[
        list[str],
        Meta(description="What the sender seems to do wrong, each with what was seen and what to do instead."),
    ]
    checks: Annotated[list[CheckView], Meta(description="Every check in its order, those of the provider first.")]
    secrets: Annotated[list[SecretHeader], Meta(description="The headers that hold secrets.")]
    signed: Annotated[
        Mapping[str, str],
        Meta(description="The texts that may be signed, by how numbers are printed; secrets are masked."),
    ]


async def list_callbacks(call: Call) -> Reply:
    """``GET /v1/callbacks``."""
    query = given(call.request.query)
    wanted = InboxFilter(
        limit=limit_of(query),
        cursor=cursor_of(query),
        account=query.get("account"),
        verdict=one_of("verdict", query, VERDICTS),
        payment_id=query.get("payment_id"),
    )
    reply = await call.page(partial(call.gw.store.inbox.newest, call.tenant.id), wanted, received_callback)
    # One that left the settings may still have callbacks.
    if wanted.account is not None and wanted.account not in call.tenant.accounts and not reply.view.data:
        raise invalid(("account", f"is not one of your accounts: {', '.join(call.tenant.accounts)}"))
    return reply


async def explain_callback(call: Call) -> Reply:
    """``GET /v1/callbacks/{id}/explanation``."""
    row = await reprocess.find(call.gw, call.request.match_info["id"], [call.tenant.id])
    call.charge(REQUESTS_OF_AN_EXPLANATION * ROWS_OF_ONE_REQUEST)
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

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/v1/callbacks",
        handler=list_callbacks,
        name="listCallbacks",
        tag="Callbacks",
        summary="List what providers sent",
        text="The callbacks that came to the tenant's accounts, newest first, a page at a time: pass `next_cursor` as"
        " `cursor` until it is null. Refused ones are kept for some days.",
        answers={200: CallbackList(data=[_EXAMPLE], next_cursor=None)},
        query=described(
            verdict=("only with this verdict", {"type": "string", "enum": list(VERDICTS)}),
            account="only of this account",
            payment_id="only about this payment",
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
        text="Why it was believed or refused, check by check, and what its sender seems to do wrong. Secrets and the"
        " signature that was expected are never shown.",
        answers={200: _EXPLAINED},
        codes=("not_found", "unknown_account"),
    ),
)
"""The routes for callbacks."""
