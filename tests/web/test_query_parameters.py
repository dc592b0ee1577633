"""Query parameters: what a route does not have is refused by its name, on both listeners."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from msgspec.structs import replace

from gateway.core.errors import TenantError
from gateway.drivers.store.reads import PaymentFilter
from gateway.web import admin
from gateway.web.api.routes import ROUTES
from gateway.web.paging import Page
from gateway.web.request import refuse_unknown_account
from gateway.web.routing import Route
from tests.support.scenarios.inbox import admin as ask_as_operator
from tests.support.scenarios.inbox import inbox_stack
from tests.support.stack import GatewayStack

shared = pytest.mark.asyncio(loop_scope="module")

ID = f"pay_{'0' * 32}"
OF_TENANTS = [(route.method, re.sub("{.*}", ID, route.path)) for route in ROUTES]
OF_OPERATORS = [(route.method, re.sub("{.*}", ID, route.path)) for route in admin.ROUTES]


@shared
@pytest.mark.parametrize(("method", "path"), OF_TENANTS)
async def test_no_route_for_tenants_passes_a_parameter_over(shared_stack: GatewayStack, method: str, path: str) -> None:
    """A name that is not known would be ignored, and a list be whole where a part was wanted."""
    reply = await shared_stack.call(method, f"{path}?nobody_knows=1", {} if method != "GET" else None)
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert [error["field"] for error in reply.json["errors"]] == ["nobody_knows"]
    assert reply.json["errors"][0]["message"].startswith("is not known; ")


async def test_no_route_for_operators_passes_a_parameter_over(tmp_path: Path) -> None:
    """The same for everything under the operators' key."""
    async with inbox_stack(tmp_path) as (stack, _):
        for method, path in OF_OPERATORS:
            reply = await ask_as_operator(stack, method, f"{path}?nobody_knows=1", {} if method != "GET" else None)
            assert (path, reply.status) == (path, 422)
            assert [error["field"] for error in reply.json["errors"]] == ["nobody_knows"]


@shared
@pytest.mark.parametrize(
    ("query", "field", "said"),
    [
        ("status=captured", "status", 'did you mean "state"?'),
        ("provider_reference=nope", "provider_reference", 'did you mean "merchant_reference"?'),
        ("updated_after=2026-01-01T00:00:00Z", "updated_after", 'did you mean "created_after"?'),
        ("offset=50", "offset", "known are merchant_reference, state, account"),
        ("Limit=5", "Limit", 'did you mean "limit"?'),
        ("STATE=captured", "STATE", 'did you mean "state"?'),
        ("gw_k1_secret-of-somebody=1", "a query parameter", "known are"),
        ("foo=", "foo", "is not known"),
        ("state=captured&state=failed", "state", "is given twice"),
        ("limit=1&limit=1", "limit", "is given twice"),
        ("merchant_reference=a%00b", "merchant_reference", "control characters such as U+0000"),
        ("state=paid", "state", "must be created, awaiting_customer, "),
        ("limit=0", "limit", "must be a whole number from 1 to 200"),
        ("limit=2.0", "limit", "must be a whole number from 1 to 200"),
        ("cursor=xyz", "cursor", "send the next_cursor of the page before"),
        ("created_after=yesterday", "created_after", "such as 2026-01-31T12:00:00Z"),
    ],
)
async def test_a_wrong_parameter_is_named(shared_stack: GatewayStack, query: str, field: str, said: str) -> None:
    """By its name, with what was meant or what there is."""
    reply = await shared_stack.call("GET", f"/v1/payments?{query}")
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    [error] = reply.json["errors"]
    assert error["field"] == field
    assert said in error["message"]
    assert "secret" not in reply.text


@shared
async def test_all_unknown_parameters_are_named_at_once(shared_stack: GatewayStack) -> None:
    """Not one after the other."""
    reply = await shared_stack.call("GET", "/v1/payments?stat=captured&limit=5&page=2")
    assert [error["field"] for error in reply.json["errors"]] == ["stat", "page"]


@shared
@pytest.mark.parametrize("currency", ["USD", "usd", "Usd"])
async def test_a_currency_may_be_lower_case(shared_stack: GatewayStack, currency: str) -> None:
    """In a query, where people type it."""
    reply = await shared_stack.call("GET", f"/v1/deposit-methods?currency={currency}")
    assert [method["name"] for method in reply.json["data"]] == ["bank"]


@shared
@pytest.mark.parametrize("currency", ["XXQ", "EURO", "12", "%E2%82%AC"])
async def test_an_unknown_currency_is_refused_as_in_a_create(shared_stack: GatewayStack, currency: str) -> None:
    """Rather than an empty list, which looks like a shop without ways to pay."""
    reply = await shared_stack.call("GET", f"/v1/deposit-methods?currency={currency}")
    assert (reply.status, reply.json["code"]) == (422, "currency_not_supported")
    assert "is not supported; use a code" in reply.json["detail"]
    assert reply.json["errors"] == [{"field": "currency", "message": reply.json["detail"]}]


@shared
@pytest.mark.parametrize("amount", ["-1", "-0.00", "1e2", "x", "20.001&currency=USD", "20.0&currency=JPY"])
async def test_an_amount_that_is_none_is_named(shared_stack: GatewayStack, amount: str) -> None:
    """As in a body."""
    reply = await shared_stack.call("GET", f"/v1/deposit-methods?amount={amount}")
    assert (reply.status, [error["field"] for error in reply.json["errors"]]) == (422, ["amount"])


@pytest.mark.parametrize("limit", ["00000000199999999999999999999", "0000000012000000", "201", "0", "1e2", "²"])
async def test_a_limit_is_a_short_number(stack: GatewayStack, limit: str) -> None:
    """A limit that is not 1 to 200 in at most three digits is refused."""
    reply = await stack.call("GET", f"/v1/payments?limit={limit}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "limit")


EARLY, LATE = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
SLIPS = {
    "account": {"account": "psp-mian"},
    "payment_id": {"payment_id": "D-1001"},
    "until": {"since": LATE, "until": EARLY},
    "created_before": {"created_after": LATE, "created_before": EARLY},
}
"""Filters that nothing can pass, by the parameter that is to be named."""


def _slips(routes: Sequence[Route[Any]]) -> list[tuple[str, str]]:
    """Each such filter of each list: the path with its query, and the parameter's name."""
    return [
        (f"{route.path}?{urlencode(query)}", name)
        for route in routes
        for name, query in SLIPS.items()
        if route.method == "GET" and name in {one.name for one in route.query}
    ]


async def test_a_filter_that_nothing_can_pass_is_refused_on_every_list(tmp_path: Path) -> None:
    """A list that is empty because of a slip looks like one of payments that are not there."""
    async with inbox_stack(tmp_path) as (stack, _):
        asked = [await stack.call("GET", path) for path, _ in _slips(ROUTES)]
        asked += [await ask_as_operator(stack, "GET", path) for path, _ in _slips(admin.ROUTES)]
    wanted = [*_slips(ROUTES), *_slips(admin.ROUTES)]
    refused = [(reply.status, [error["field"] for error in reply.json.get("errors", [])]) for reply in asked]
    assert dict(zip(wanted, refused, strict=True)) == {one: (422, [one[1]]) for one in wanted}
    assert {name for _, name in wanted} == set(SLIPS)


async def test_a_range_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    """It would be answered as done, with a count of nothing."""
    body = {"since": LATE, "until": EARLY, "reason": "x"}
    async with inbox_stack(tmp_path) as (stack, _):
        for path in ("deliveries/redeliver", "inbox/replay", "inbox/reverify", "payments/sync"):
            reply = await ask_as_operator(stack, "POST", f"/admin/v1/{path}", body)
            assert (path, reply.status, reply.json["detail"]) == (path, 422, "$.until: must not be before $.since")
        reply = await stack.call("POST", "/v1/webhooks/redeliver", {"created_after": LATE, "created_before": EARLY})
        assert (reply.status, [error["field"] for error in reply.json["errors"]]) == (422, ["$.created_before"])


async def test_an_account_that_has_left_the_settings_is_listed() -> None:
    """Its payments are still there, though none is in this state; only where it has none the name was a slip."""

    async def read(asked: PaymentFilter) -> list[str]:
        return ["pay"] if (asked.account, asked.state) == ("psp-old", None) else []

    none, wanted = Page(data=[], next_cursor=None), PaymentFilter(limit=50, account="psp-old", state="failed")
    await refuse_unknown_account(read, wanted, none, lambda: ["psp-main"])
    with pytest.raises(TenantError, match="account: is not one of the accounts; known are psp-main"):
        await refuse_unknown_account(read, replace(wanted, account="nobody"), none, lambda: ["psp-main"])
