"""Operators' routes over stored callbacks: list, show, apply again (``replay``), prove anew (``reverify``).

Nothing shown here holds a secret: the store has only keyed hashes of them, and older rows are masked here.
"""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from gateway.core.views import rfc3339
from gateway.drivers.store.inbox import VERDICTS, EarlierVerdict, InboxFilter, InboxRow, StoredCallback
from gateway.flows.callbacks import reprocess
from gateway.flows.callbacks.reprocess import Order, Reprocessed
from gateway.flows.masks import Masks
from gateway.web.keys import GATEWAY
from gateway.web.listing import cursor_of, limit_of, one_of, time_of
from gateway.web.operators import Actor, OperatorsRoute, actor_of, asked, body_of, page, tenants_of
from gateway.web.route import Reply

FILTERS = ("tenant", "account", "verdict", "payment_id", "since", "limit", "cursor")
"""What the list can be asked for."""


class JudgeAgain(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``replay`` and ``reverify``. ``dry_run``: say what it would come to, change nothing."""

    dry_run: bool = False
    actor: Actor = None


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
    """A stored callback, whole. ``body`` is text, or ``body_base64`` where it is no UTF-8; both null: not kept."""

    query: str
    headers: list[tuple[str, str]]
    body: str | None
    body_base64: str | None
    event: Any
    history: tuple[EarlierVerdict, ...]


class CallbackList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of stored callbacks, newest first; ``next_cursor`` is null on the last."""

    data: list[CallbackView]
    next_cursor: str | None


class RejudgedView(msgspec.Struct, frozen=True, kw_only=True):
    """What judging a stored callback again came to, or in a dry run would. States are null: no such payment."""

    id: str
    verdict: str
    reason: str | None
    detail: str | None
    dry_run: bool
    changed: bool
    payment_id: str | None
    state_before: str | None
    state_after: str | None


def callback_view(row: InboxRow) -> CallbackView:
    """Show a stored callback in a list."""
    return CallbackView(**_outside(row))


def callback_detail(row: StoredCallback, masks: Masks) -> CallbackDetail:
    """Show a stored callback whole, without the secrets of its tenant."""
    clean = masks.of(row.tenant).over
    body = clean(row.body.decode("utf-8", "surrogateescape"))
    is_text = not any("\udc80" <= character <= "\udcff" for character in body)
    return CallbackDetail(
        **_outside(row),
        query=clean(row.query),
        headers=[(name, clean(value)) for name, value in row.headers],
        body=body if row.is_whole and is_text else None,
        body_base64=None if is_text else base64.b64encode(body.encode("utf-8", "surrogateescape")).decode(),
        event=None if row.event is None else msgspec.json.decode(clean(row.event)),
        history=row.history,
    )


def rejudged_view(made: Reprocessed, *, dry_run: bool) -> RejudgedView:
    """Show what judging again came to."""
    evaluation, after = made.evaluation, made.evaluation.payment_after
    return RejudgedView(
        id=made.row.id,
        verdict=evaluation.name,
        reason=evaluation.reason,
        detail=evaluation.detail,
        dry_run=dry_run,
        changed=made.changed,
        payment_id=evaluation.payment_id,
        state_before=evaluation.payment.state if evaluation.payment is not None else None,
        state_after=after.state if after is not None else None,
    )


async def list_callbacks(request: web.Request) -> Reply:
    """``GET /admin/v1/inbox``."""
    query = asked(request, FILTERS)
    wanted = InboxFilter(
        limit=limit_of(query),
        cursor=cursor_of(query),
        account=query.get("account"),
        verdict=one_of("verdict", query, VERDICTS),
        payment_id=query.get("payment_id"),
        since=time_of("since", query),
    )
    read = partial(reprocess.newest, request.app[GATEWAY].store, tenants_of(request, query))
    return await page(request, read, wanted, callback_view, slice_of=wanted.limit + 1)


async def show_callback(request: web.Request) -> Reply:
    """``GET /admin/v1/inbox/{id}``."""
    gw = request.app[GATEWAY]
    asked(request, ())
    row = await reprocess.find(gw, request.match_info["id"])
    return Reply(view=callback_detail(row, gw.masks))


async def replay(request: web.Request) -> Reply:
    """``POST /admin/v1/inbox/{id}/replay``."""
    order = await _order(request, "replay")
    made = await reprocess.replay(request.app[GATEWAY], request.match_info["id"], order)
    return Reply(view=rejudged_view(made, dry_run=order.dry_run))


async def reverify(request: web.Request) -> Reply:
    """``POST /admin/v1/inbox/{id}/reverify``."""
    order = await _order(request, "reverify")
    made = await reprocess.reverify(request.app[GATEWAY], request.match_info["id"], order)
    return Reply(view=rejudged_view(made, dry_run=order.dry_run))


ROUTES: tuple[OperatorsRoute, ...] = (
    ("GET", "/admin/v1/inbox", list_callbacks),
    ("GET", "/admin/v1/inbox/{id}", show_callback),
    ("POST", "/admin/v1/inbox/{id}/replay", replay),
    ("POST", "/admin/v1/inbox/{id}/reverify", reverify),
)
"""The routes under the operators' key."""


async def _order(request: web.Request, how: str) -> Order:
    body = await body_of(request, JudgeAgain)
    return Order(by=actor_of(request, body.actor), how=how, dry_run=body.dry_run)


def _outside(row: InboxRow) -> dict[str, Any]:
    members = {name: getattr(row, name) for name in CallbackView.__struct_fields__}
    due = row.next_attempt_at
    return {
        **members,
        "received_at": rfc3339(row.received_at),
        "next_attempt_at": None if due is None else rfc3339(due),
    }
