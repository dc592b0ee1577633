"""Operators' route that finds payments of all tenants, by whatever an operator has at hand."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from operator import attrgetter

import msgspec

from gateway.core.errors import invalid
from gateway.core.money import Amount
from gateway.core.payment import State
from gateway.core.view_types import PaymentView
from gateway.core.views import rfc3339
from gateway.drivers.store.rows import from_milliseconds
from gateway.flows import search
from gateway.flows.runtime import Gateway
from gateway.flows.search import Search
from gateway.web.api.payments import listed_payment
from gateway.web.query_parameters import CURSOR, LIMIT, TIME, cursor_of, limit_of, one_of, parameters, period_of
from gateway.web.request import OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route

MAX_TEXT = 512
"""Characters of a text that is looked for."""

AMOUNT = {"type": "string", "format": "decimal"}


class RefusedRequestView(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was refused: its answer's status and code, and the paths of the members that were wrong."""

    request_id: str
    at: str
    tenant: str
    route: str
    status: int
    code: str
    fields: list[str]


class FoundPayments(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One page of payments, newest first; ``next_cursor`` is null on the last.

    ``refused_requests``: of tenants, whose id is what was looked for; absent for none. ``not_indexed``: how many events
    the search did not know yet; absent for none.
    """

    data: list[PaymentView]
    next_cursor: str | None
    refused_requests: list[RefusedRequestView] = []
    not_indexed: int = 0


async def find(call: OperatorCall) -> Reply:
    """``GET /admin/v1/search``."""
    wanted = search_of(call.query, call.tenants())
    left = await search.catch_up_if_near(call.gw)
    read = partial(search.find, call.gw)
    reply = await call.page(read, wanted, listed_payment, id_of=attrgetter("payment.id"), slice_of=wanted.limit + 1)
    beside = {"refused_requests": await _refused(call.gw, wanted), "not_indexed": left}
    found = {name: value for name, value in beside.items() if value}
    return Reply(view={**msgspec.structs.asdict(reply.view), **found}) if found else reply


async def _refused(gw: Gateway, wanted: Search) -> list[RefusedRequestView]:
    """The refused requests of this id, on the first page."""
    if wanted.text is None or wanted.cursor is not None:
        return []
    await gw.refused_requests.write()
    return [
        RefusedRequestView(
            request_id=one.request_id,
            at=rfc3339(from_milliseconds(one.at)),
            tenant=one.tenant,
            route=one.route,
            status=one.status,
            code=one.code,
            fields=one.fields.split(", ") if one.fields else [],
        )
        for one in await gw.store.refused_requests.find(wanted.text)
        if one.tenant in wanted.tenants
    ]


def search_of(query: Mapping[str, str], tenants: list[str]) -> Search:
    """Read what is looked for. Raises ``validation_failed`` naming the parameter."""
    since, until = period_of(query)
    wanted = Search(
        limit=limit_of(query),
        cursor=cursor_of(query),
        tenants=tenants,
        text=_text_of("q", query),
        state=one_of("state", query, [str(state) for state in State]),
        error=_text_of("error", query),
        amount_min=_amount_of("amount_min", query),
        amount_max=_amount_of("amount_max", query),
        since=since,
        until=until,
    )
    if wanted.amount_min is not None and wanted.amount_max is not None and wanted.amount_min > wanted.amount_max:
        raise invalid(("amount_max", "must not be below amount_min"))
    return wanted


def _text_of(name: str, query: Mapping[str, str]) -> str | None:
    text = query.get(name, "").strip()
    if len(text) > MAX_TEXT:
        raise invalid((name, f"must have at most {MAX_TEXT} characters"))
    return text or None


def _amount_of(name: str, query: Mapping[str, str]) -> Decimal | None:
    text = query.get(name)
    try:
        return None if text is None else Amount.read(text)
    except ValueError as problem:
        raise invalid((name, str(problem))) from None


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(
        method="GET",
        path="/admin/v1/search",
        handler=find,
        query=parameters(
            q="Anything that leads to a payment: an id, a reference, a key, a customer, an exact amount.",
            tenant="Only payments of this tenant.",
            state=("Only payments in this state.", State),
            error="Only payments that ever failed with this code, the gateway's or the provider's.",
            amount_min=("Only payments of this amount or more, whatever the currency.", AMOUNT),
            amount_max=("Only payments of this amount or less.", AMOUNT),
            since=("Only payments created at this time or later.", TIME),
            until=("Only payments created at this time or earlier.", TIME),
            limit=LIMIT,
            cursor=CURSOR,
        ),
    ),
)
"""The route of the search."""
