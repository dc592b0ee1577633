"""Lists of payments: pages, filters, and queries that cannot be used."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.stack import GatewayStack, creditkey_body, psp_body


async def test_created_after_leaves_out_the_payment_it_names(stack: GatewayStack) -> None:
    """A payment is never created after its own ``created_at``, nor before it."""
    for _ in range(20):
        payment = (await stack.create(psp_body())).json
        at = payment["created_at"]
        for name in ("created_after", "created_before"):
            listed = await stack.call("GET", f"/v1/payments?{name}={at}")
            assert payment["id"] not in [one["id"] for one in listed.json["data"]]


shared = pytest.mark.asyncio(loop_scope="module")


async def get(stack: GatewayStack, path: str, **named: Any) -> Any:
    """The parsed body of a successful read."""
    reply = await stack.call("GET", path, **named)
    assert reply.status == 200, reply.text
    return reply.json


async def some_payments(stack: GatewayStack, count: int) -> list[str]:
    """Payments of tenant acme, oldest first."""
    return [(await stack.create(psp_body())).json["id"] for _ in range(count)]


async def test_a_list_is_newest_first_in_pages(stack: GatewayStack) -> None:
    """Pages follow one another without gap or repetition; the last has no cursor."""
    made = await some_payments(stack, 5)
    pages, query = [], "?limit=2"
    while query:
        page = await get(stack, f"/v1/payments{query}")
        pages.append([one["id"] for one in page["data"]])
        query = f"?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    newest_first = made[::-1]
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]


async def test_a_page_that_is_just_full_is_the_last(stack: GatewayStack) -> None:
    """When nothing is left after a full page, there is no cursor to an empty one."""
    await some_payments(stack, 2)
    assert (await get(stack, "/v1/payments?limit=2"))["next_cursor"] is None


async def test_what_is_made_meanwhile_does_not_move_the_pages(stack: GatewayStack) -> None:
    """A payment made after the first page was read does not appear in, or shift, the second."""
    made = await some_payments(stack, 2)
    first = await get(stack, "/v1/payments?limit=1")
    await some_payments(stack, 1)
    second = await get(stack, f"/v1/payments?limit=1&cursor={first['next_cursor']}")
    assert [one["id"] for one in second["data"]] == [made[0]]


async def test_filters_of_a_list(stack: GatewayStack) -> None:
    """Reference, state, account and creation time narrow the list, together or apart."""
    paid = (await stack.create(psp_body())).json
    await stack.click(paid, "pay")
    waiting = (await stack.create(creditkey_body())).json

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await get(stack, f"/v1/payments?{query}"))["data"]]

    assert await found("state=captured") == [paid["id"]]
    assert await found("account=creditkey-main") == [waiting["id"]]
    assert await found(f"merchant_reference={paid['merchant_reference']}") == [paid["id"]]
    assert await found("state=captured&account=creditkey-main") == []
    assert await found("created_after=2020-01-01T00:00:00Z") == [waiting["id"], paid["id"]]
    assert await found("created_before=2020-01-01T00:00:00Z") == []
    assert await found(f"created_before={waiting['created_at']}&created_after=2020-01-01T00:00:00%2B02:00") == [
        paid["id"]
    ]


@shared
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=ten",
        "limit=1e2",
        "limit=%C2%B2",
        f"limit={'9' * 5000}",
        "state=paid",
        "created_after=yesterday",
        "created_after=2020-01-01",
        "created_after=2020-01-01T00:00:00",
        "created_before=0",
        "cursor=nonsense",
        "cursor=%00",
    ],
)
async def test_a_query_that_cannot_be_used_is_named(shared_stack: GatewayStack, query: str) -> None:
    """A bad query value is 422 and names its parameter."""
    reply = await shared_stack.call("GET", f"/v1/payments?{query}")
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert reply.json["errors"][0]["field"] == query.partition("=")[0]


@shared
@pytest.mark.parametrize("query", ["limit=", "state=", "created_before=", "merchant_reference='%20OR%201=1"])
async def test_a_query_that_finds_nothing_special(shared_stack: GatewayStack, query: str) -> None:
    """Values nobody uses are searched for as they stand and break nothing."""
    assert isinstance((await get(shared_stack, f"/v1/payments?{query}"))["data"], list)
