"""Operators' routes for stored callbacks: list, show, apply again (``replay``), verify again (``reverify``).

Nothing shown here holds a secret: the store has only keyed hashes of them, and rows of older versions are masked here.
"""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import msgspec

from gateway.core.views import optional_rfc3339, rfc3339
from gateway.drivers.store.inbox import VERDICTS, EarlierVerdict, InboxFilter, InboxRange, InboxRow, StoredCallback
from gateway.drivers.store.rows import newest_of
from gateway.flows.callbacks import reprocess
from gateway.flows.callbacks.reprocess import Order, Reprocessed
from gateway.flows.callbacks.reprocess_range import HOW, OUTCOMES, reprocess_range
from gateway.flows.masks import Masks
from gateway.web.admin.reviews import Sentence
from gateway.web.api.webhooks import Time
from gateway.web.query_parameters import (
    CURSOR,
    LIMIT,
    TIME,
    cursor_of,
    limit_of,
    one_of,
    parameters,
    payment_id_of,
    time_of,
)
from gateway.web.request import Actor, OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

RANGE_PAGE = 100
"""Callbacks of a range that one request processes again."""


class ReprocessBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``replay`` and ``reverify``. ``dry_run``: show the result, change nothing."""

    dry_run: bool = False
    actor: Actor = None
    reason: Sentence | None = None


class ReprocessRange(ReprocessBody, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which callbacks to process again: received since a time and before another. ``cursor`` of the page before."""

    since: Time | None = None
    until: Time | None = None
    tenant: str | None = None
    account: str | None = None
    cursor: str | None = None


class CallbackView(msgspec.Struct, frozen=True, kw_only=True):
    """A stored callback without its contents. ``size``: bytes of the body as it came."""

    id: str
    tenant: str
    account: str
    received_at: str
    method: str
    suffix: str
    remote: str
    size: int
    verdict: str
    reason: str | None
    detail: str | None
    event_id: str | None
    payment_id: str | None
    tries: int
    next_attempt_at: str | None


class CallbackDetail(CallbackView, frozen=True, kw_only=True):
    """A whole stored callback. ``body`` is text, ``body_base64`` what is not UTF-8; both are null if not kept."""

    query: str
    headers: list[tuple[str, str]]
    body: str | None
    body_base64: str | None
    event: Any
    history: tuple[EarlierVerdict, ...]


class ReprocessedView(msgspec.Struct, frozen=True, kw_only=True):
    """The result of processing a stored callback again, or what it would be. States are null without a payment."""

    id: str
    verdict: str
    reason: str | None
    detail: str | None
    dry_run: bool
    changed: bool
    payment_id: str | None
    state_before: str | None
    state_after: str | None


class NotReprocessed(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that could not be processed again, and why."""

    id: str
    problem: str


class ReprocessedRange(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a range, the oldest first: how many came to what, and each; ``next_cursor`` is null on the last."""

    dry_run: bool
    counts: dict[str, int]
    data: list[ReprocessedView]
    failed: list[NotReprocessed]
    next_cursor: str | None = None


def callback_view(row: InboxRow) -> CallbackView:
    """Show a stored callback in a list."""
    return CallbackView(**_members(row))


def callback_detail(row: StoredCallback, masks: Masks) -> CallbackDetail:
    """Show a stored callback whole, without the secrets of its tenant."""
    clean = masks.of(row.tenant).over
    body = clean(row.body.decode("utf-8", "surrogateescape"))
    is_text = not any("\udc80" <= character <= "\udcff" for character in body)
    return CallbackDetail(
        **_members(row),
        query=clean(row.query),
        headers=[(name, clean(value)) for name, value in row.headers],
        body=body if row.is_whole and is_text else None,
        body_base64=None if is_text else base64.b64encode(body.encode("utf-8", "surrogateescape")).decode(),
        event=None if row.event is None else msgspec.json.decode(clean(row.event)),
        history=row.history,
    )


def reprocessed_view(made: Reprocessed, *, dry_run: bool) -> ReprocessedView:
    """Show the result of processing a callback again."""
    evaluation, after = made.evaluation, made.evaluation.payment_after
    return ReprocessedView(
        id=made.row.id,
        verdict=evaluation.verdict.name,
        reason=evaluation.verdict.reason,
        detail=evaluation.detail,
        dry_run=dry_run,
        changed=made.changed,
        payment_id=evaluation.payment.id if evaluation.payment is not None else None,
        state_before=evaluation.payment.state if evaluation.payment is not None else None,
        state_after=after.state if after is not None else None,
    )


async def list_callbacks(call: OperatorCall) -> Reply:
    """``GET /admin/v1/inbox``."""
    query = call.query
    wanted = InboxFilter(
        limit=limit_of(query),
        cursor=cursor_of(query),
        account=query.get("account"),
        verdict=one_of("verdict", query, VERDICTS),
        payment_id=payment_id_of(query),
        since=time_of("since", query),
    )
    read = partial(newest_of, call.tenants(), call.gw.store.inbox.newest)
    return await call.page(read, wanted, callback_view, slice_of=wanted.limit + 1)


async def show_callback(call: OperatorCall) -> Reply:
    """``GET /admin/v1/inbox/{id}``."""
    row = await reprocess.find(call.gw, call.id)
    return Reply(view=callback_detail(row, call.gw.masks))


async def process_again(how: str, call: OperatorCall) -> Reply:
    """``POST /admin/v1/inbox/{id}/replay`` and ``reverify``."""
    body = call.body(ReprocessBody)
    made = await HOW[how](call.gw, call.id, _order(call, how, body))
    return Reply(view=reprocessed_view(made, dry_run=body.dry_run))


async def process_range_again(
    how: str, call: OperatorCall, *, verdict: str | None = None, is_proved: bool = False
) -> Reply:
    """``POST /admin/v1/inbox/replay`` and ``reverify``, which are of the proved and of the refused ones."""
    body = call.body(ReprocessRange)
    wanted = InboxRange(
        limit=RANGE_PAGE,
        cursor=body.cursor,
        account=body.account,
        verdict=verdict,
        since=body.since,
        until=body.until,
        is_proved=is_proved,
    )
    tenants = call.tenants_named(body.tenant, "$.tenant")
    done = await reprocess_range(call.gw, tenants, wanted, _order(call, how, body))
    view = ReprocessedRange(
        dry_run=body.dry_run,
        counts={outcome: sum(one.outcome == outcome for one in done) for outcome in OUTCOMES},
        data=[reprocessed_view(one.made, dry_run=body.dry_run) for one in done if one.made is not None],
        failed=[NotReprocessed(id=one.id, problem=one.problem) for one in done if one.problem is not None],
        next_cursor=done[-1].id if len(done) == RANGE_PAGE else None,
    )
    return Reply(view=view)


def _order(call: OperatorCall, how: str, body: ReprocessBody) -> Order:
    return Order(
        by=call.actor(body.actor), how=how, dry_run=body.dry_run, act=call.act(actor=body.actor, reason=body.reason)
    )


def _members(row: InboxRow) -> dict[str, Any]:
    members = {name: getattr(row, name) for name in CallbackView.__struct_fields__}
    times = {"received_at": rfc3339(row.received_at), "next_attempt_at": optional_rfc3339(row.next_attempt_at)}
    return {**members, **times}


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(
        method="GET",
        path="/admin/v1/inbox",
        handler=list_callbacks,
        query=parameters(
            tenant="Only callbacks of this tenant.",
            account="Only callbacks to this account.",
            verdict=("Only callbacks with this verdict.", {"type": "string", "enum": list(VERDICTS)}),
            payment_id="Only callbacks about this payment.",
            since=("Only callbacks received at this time or later.", TIME),
            limit=LIMIT,
            cursor=CURSOR,
        ),
    ),
    Route(method="GET", path="/admin/v1/inbox/{id}", handler=show_callback),
    Route(
        method="POST",
        path="/admin/v1/inbox/replay",
        handler=partial(process_range_again, "replay", is_proved=True),
        body=ReprocessRange,
    ),
    Route(
        method="POST",
        path="/admin/v1/inbox/reverify",
        handler=partial(process_range_again, "reverify", verdict="refused"),
        body=ReprocessRange,
    ),
    *(
        Route(
            method="POST", path=f"/admin/v1/inbox/{{id}}/{how}", handler=partial(process_again, how), body=ReprocessBody
        )
        for how in HOW
    ),
)
"""The routes for callbacks."""
