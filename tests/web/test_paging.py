"""Lists cost what they show: pages end at their bytes, are read in slices and turns, and weigh in a tenant's rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.core.facts import Cause
from gateway.core.payment import PaymentEvent, Review, ReviewReason, State
from gateway.drivers.settings.model import TenantRate
from gateway.drivers.store import statements
from gateway.drivers.store.rows import PageRequest
from gateway.web.paging import SLICE, Page, page_of
from tests.support.factories.payments import AT
from tests.support.factories.store_units import resolved_payment, stored
from tests.support.stack import GatewayStack, Reply, creditkey_body, psp_body, running_stack

PAGE = 65_536


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A stack with the shortest pages."""

    def short(settings: dict[str, Any]) -> None:
        settings["limits"] = {"page_bytes": PAGE}

    async with running_stack(tmp_path, change=short) as opened:
        yield opened


async def stored_payments(stack: GatewayStack, count: int, **members: Any) -> list[str]:
    """Payments of acme that were never at a provider, newest first."""
    ids = [f"pay_{'0' * 29}{number:03}" for number in range(count)]
    for number, identifier in enumerate(ids):
        await stored(stack.gateway.store, number, id=identifier, **members)
    return ids[::-1]


async def pages(stack: GatewayStack, path: str, **named: Any) -> list[Reply]:
    """All pages of a list, by their cursors."""
    joint, cursor, found = "&" if "?" in path else "?", "", list[Reply]()
    while True:
        reply = await stack.call("GET", f"{path}{cursor}", **named)
        assert reply.status == 200, reply.text
        found.append(reply)
        if reply.json["next_cursor"] is None:
            return found
        cursor = f"{joint}cursor={reply.json['next_cursor']}"


def rows_of(found: Sequence[Reply]) -> list[Any]:
    """What several pages show."""
    return [row for reply in found for row in reply.json["data"]]


# --- pages end at their bytes


async def test_a_page_ends_before_its_bytes_are_full(stack: GatewayStack) -> None:
    """Large rows make more pages, none longer than allowed, and together they are the whole list."""
    made = await stored_payments(stack, 30, metadata={f"{number}": "ä" * 500 for number in range(10)})
    found = await pages(stack, "/v1/payments?limit=200")
    assert [row["id"] for row in rows_of(found)] == made
    assert all(len(reply.text.encode()) <= PAGE for reply in found)
    assert len(found) == 5


async def test_a_timeline_of_thousands_of_events_has_pages(stack: GatewayStack) -> None:
    """Each page takes up where the one before ended; a first request without parameters shows the first events."""
    payment, _ = await stored(stack.gateway.store, 1, id=f"pay_{'0' * 32}")
    for start in range(2, 1002, 250):
        await stack.gateway.store.commit(
            "acme",
            [
                statements.insert_event(f"evt_{version:032}", payment, event_of(version))
                for version in range(start, start + 250)
            ],
        )
    found = await pages(stack, f"/v1/payments/{payment.id}/events")
    assert [row["version"] for row in rows_of(found)] == list(range(1, 1002))
    assert [len(reply.json["data"]) for reply in found] == [200] * 5 + [1]


def event_of(version: int) -> PaymentEvent:
    """One version's event."""
    captured = State.CAPTURED
    return PaymentEvent(
        type="payment.updated", version=version, cause=Cause.LOOKUP, state_before=captured, state_after=captured, at=AT
    )


async def test_refunds_have_pages(stack: GatewayStack) -> None:
    """Refunds are listed oldest first, and only they."""
    payment = (await stack.create(creditkey_body())).json
    operations = await stack.gateway.store.operations("acme", payment["id"])
    made = []
    for number in range(5):
        refund = replace(operations[0], id=f"op_{'9' * 31}{number}", kind="refund", status="declined")  # type: ignore[arg-type]
        await stack.gateway.store.commit("acme", [statements.insert_ended_operation(refund)])
        made.append(f"ref_{'9' * 31}{number}")
    found = await pages(stack, f"/v1/payments/{payment['id']}/refunds?limit=2")
    assert [row["id"] for row in rows_of(found)] == made
    assert [len(reply.json["data"]) for reply in found] == [2, 2, 1]
    assert (await stack.call("GET", f"/v1/payments/{payment['id']}/refunds?limit=0")).json[
        "code"
    ] == "validation_failed"


async def test_a_row_that_is_longer_than_a_page_is_a_page() -> None:
    """A list always goes on, whatever its rows are."""
    found = await paged([1, 2, 3], limit=10, most_bytes=1)
    assert [msgspec.json.decode(row) for row in found.data] == ["1"]
    assert found.next_cursor == "1"


@pytest.mark.parametrize("count", [0, 1, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE, 3 * SLICE + 1])
@pytest.mark.parametrize("limit", [1, SLICE, SLICE + 1, 2 * SLICE, 200])
async def test_slices_make_the_same_pages_as_one_read(count: int, limit: int) -> None:
    """Whatever falls on the edge of a slice, a page holds its rows, and a cursor only where there are more."""
    found = await paged(range(1, count + 1), limit=limit, most_bytes=10**6)
    assert [int(msgspec.json.decode(row)) for row in found.data] == list(range(1, min(count, limit) + 1))
    assert found.next_cursor == (str(limit) if count > limit else None)


async def test_others_are_served_between_rows_that_take_long() -> None:
    """After each, within a slice too."""
    shown: list[int] = []
    seen: set[int] = set()

    def show(row: int) -> int:
        shown.append(row)
        return row

    async def read(_: PageRequest) -> Sequence[int]:
        return range(SLICE - 1)

    async def other() -> None:
        while True:
            seen.add(len(shown))
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await page_of(read, PageRequest(limit=SLICE), show, id_of=str, most_bytes=10**6, pauses=True)
    task.cancel()
    assert seen >= set(range(1, SLICE))


async def paged(rows: Sequence[int], *, limit: int, most_bytes: int) -> Page:
    """One page of numbers, each its own cursor."""

    async def read(wanted: PageRequest) -> list[int]:
        assert wanted.limit <= SLICE
        beyond = [row for row in rows if row > int(wanted.cursor or 0)]
        return beyond[: wanted.limit]

    return await page_of(read, PageRequest(limit=limit), str, id_of=str, most_bytes=most_bytes)


# --- operators' lists


async def test_reviews_have_pages(stack: GatewayStack) -> None:
    """Newest first, beyond the cursor."""
    flag, store = Review(reason=ReviewReason.AMOUNT, since=AT), stack.gateway.store
    for number in range(3):
        await resolved_payment(store, number, State.AUTHORIZED, review=flag)
    first = await store.reviews(["acme"], PageRequest(limit=2))
    rest = await store.reviews(["acme"], PageRequest(limit=2, cursor=first[-1].payment.id))
    assert [one.payment.id for one in (*first, *rest)] == ["pay_002", "pay_001", "pay_000"]


async def test_operations_without_an_outcome_have_pages(stack: GatewayStack) -> None:
    """Oldest first, beyond the cursor."""
    store = stack.gateway.store
    for number in range(3):
        await resolved_payment(store, number, State.CREATED, is_open=True)
    first = await store.list_open_operations("unknown", PageRequest(limit=2))
    rest = await store.list_open_operations("unknown", PageRequest(limit=2, cursor=first[-1].id))
    assert [one.id for one in (*first, *rest)] == ["op_000", "op_001", "op_002"]


# --- weights


def limit_rate(stack: GatewayStack, *, burst: int, per_second: float = 0.001) -> None:
    """Give acme a rate that does not refill while a test runs."""
    settings = stack.gateway.settings
    slow = replace(settings.tenants["acme"], rate_limit=TenantRate(per_second=per_second, burst=burst))
    stack.gateway.settings = replace(settings, tenants={**settings.tenants, "acme": slow})


async def reads_left(stack: GatewayStack) -> int:
    """How many single reads the tenant has left."""
    for count in range(100):
        if (await stack.call("GET", "/v1/payments/pay_none")).status == 429:
            return count
    raise AssertionError("there is no limit")


@pytest.mark.parametrize(("shown", "costs"), [(0, 1), (19, 1), (20, 2), (65, 4)])
async def test_a_list_weighs_what_it_shows(stack: GatewayStack, shown: int, costs: int) -> None:
    """One request, and one more for every 20 rows that were shown, not for those that might have been."""
    await stored_payments(stack, shown)
    limit_rate(stack, burst=10)
    assert (await stack.call("GET", "/v1/payments?limit=200")).status == 200
    assert await reads_left(stack) == 10 - costs


async def test_a_large_body_weighs_more(stack: GatewayStack) -> None:
    """One more for every 8 KiB, also where the request is refused afterwards: it was read."""
    limit_rate(stack, burst=10)
    items = [{"merchant_id": "m", "name": "n" * 200, "price": "1.00", "quantity": 1}] * 120
    reply = await stack.create(psp_body(order={"items": items}, currency="XXX"))
    assert reply.status == 422
    assert await reads_left(stack) == 10 - 1 - 3


async def test_no_request_is_too_heavy_for_ever(stack: GatewayStack) -> None:
    """What weighs more than the burst leaves a debt of one burst at most, and the next request's wait says so."""
    await stored_payments(stack, 100)
    limit_rate(stack, burst=1, per_second=0.5)
    assert (await stack.call("GET", "/v1/payments?limit=200")).status == 200
    refused = await stack.call("GET", "/v1/payments?limit=200")
    assert refused.status == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 4


async def test_redelivering_weighs_what_is_sent_again(stack: GatewayStack) -> None:
    """Many webhooks in one request cost more than one."""
    made = await stored_payments(stack, 40)
    await stack.gateway.store.commit(
        "acme", [statements.Statement("UPDATE events SET status = 'delivered', next_attempt_at = NULL", ())]
    )
    limit_rate(stack, burst=10)
    again = {"created_after": "2020-01-01T00:00:00Z", "status": "delivered"}
    reply = await stack.call("POST", "/v1/webhooks/redeliver", again)
    assert (reply.status, reply.json["count"]) == (202, len(made))
    assert await reads_left(stack) == 10 - 1 - 2


# --- turns


async def test_a_tenants_lists_wait_for_each_other_and_others_do_not(stack: GatewayStack) -> None:
    """Of one tenant one list is read at a time, in slices; another tenant's list does not wait for it."""
    await stored_payments(stack, 90)
    store, reading = stack.gateway.store, list[str]()
    began, go_on, read = asyncio.Event(), asyncio.Event(), store.payments

    async def watched(tenant: str, wanted: Any) -> Any:
        assert wanted.limit <= SLICE
        reading.append(tenant)
        if tenant == "acme":
            began.set()
            await go_on.wait()
        return await read(tenant, wanted)

    store.payments = watched  # type: ignore[method-assign]
    acme = [asyncio.create_task(stack.call("GET", "/v1/payments?limit=200")) for _ in range(5)]
    await began.wait()
    globex = await stack.call("GET", "/v1/payments?limit=200", tenant="globex")
    assert globex.json["data"] == []
    assert reading.count("acme") == 1
    go_on.set()
    assert [len((await one).json["data"]) for one in acme] == [90] * 5
    assert reading.count("acme") == 5 * (90 // SLICE + 1)
