"""The search index follows the events, whatever happens to either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.core.secret import Secret
from gateway.drivers.store import search_index
from gateway.drivers.store.search_index import NewEvent, Segment, Wanted
from gateway.flows import search
from gateway.flows.search import Search
from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.factories.sqlite import engine_of
from tests.support.scenarios.inbox import inbox_stack
from tests.support.stack import GatewayStack, key_of, psp_body

EMAIL = "ana@shop.example"


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A stack on a clock that stands, so that no worker indexes anything."""
    async with inbox_stack(tmp_path, token=None) as (opened, _):
        yield opened


async def found(stack: GatewayStack, **wanted: Any) -> list[str]:
    """The ids that a search of the index as it is finds."""
    asked = Search(limit=100, tenants=["acme", "globex"], **wanted)
    return [one.payment.id for one in await search.find(stack.gateway, asked)]


async def paid_by(stack: GatewayStack, email: str) -> str:
    """The id of a new payment of a customer."""
    return str((await new_payment(stack, customer={"id": "C-1", "email": email}))["id"])


async def rows(stack: GatewayStack, table: str) -> list[tuple[Any, ...]]:
    """A table of the index, whole."""
    return await engine_of(stack.gateway.store).rows(f"SELECT * FROM {table}", ())  # noqa: S608  # our own names


async def test_a_batch_after_the_other_and_the_rest_is_counted(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that may not read on finds what was read."""
    monkeypatch.setattr(search, "BATCH_SIZE", 2)  # of a payment that waits for its customer
    first, second = await paid_by(stack, EMAIL), await paid_by(stack, EMAIL)
    assert await search.catch_up(stack.gateway, 1) == 2
    assert await found(stack, text=EMAIL) == [first]
    assert await search.catch_up(stack.gateway, 9) == 0
    assert await found(stack, text=EMAIL) == [second, first]


async def test_a_search_takes_in_what_is_missing_or_nothing_of_it(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of a long way would find nothing more, and take from payments."""
    made = await paid_by(stack, EMAIL)
    monkeypatch.setattr(search, "BATCH_SIZE", 0)
    assert await search.catch_up_if_near(stack.gateway) == 2
    assert await rows(stack, "search_payments") == []
    monkeypatch.undo()
    assert await search.catch_up_if_near(stack.gateway) == 0
    assert await found(stack, text=EMAIL) == [made]


async def test_what_another_index_leads_to_is_found_though_this_one_is_behind(stack: GatewayStack) -> None:
    """A payment's id, its reference, the key of its request and the id of its webhook."""
    created = await stack.create(psp_body(), key="key-of-somebody")
    payment = created.json
    delivery = (await stack.gateway.store.deliveries.of_payment("acme", payment["id"]))[0].id
    for text in (payment["id"], payment["merchant_reference"], "key-of-somebody", delivery):
        await stack.gateway.store.commit("acme", search_index.begin("none"))
        assert await found(stack, text=text) == [payment["id"]], text


async def test_segments_are_searched_from_the_newest_to_the_oldest(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are; a later event of an old payment belongs to the payment's own segment."""
    monkeypatch.setattr(search, "BATCH_SIZE", 2)
    monkeypatch.setattr(search, "SEGMENT_SIZE", 1)
    monkeypatch.setattr(search, "SEGMENTS_AT_FIRST", 1)
    made = [await paid_by(stack, EMAIL) for _ in range(12)]
    assert await search.catch_up(stack.gateway, 99) == 0
    await call_back(stack, await stack.payment(made[0]), transaction_id="T-first")
    assert await search.catch_up(stack.gateway, 99) == 0
    assert len(await rows(stack, "search_segments")) >= len(made)
    assert await found(stack, text=EMAIL) == made[::-1]
    assert await found(stack, amount_min=162) == made[::-1]
    assert await found(stack, text="T-first") == [made[0]]
    assert await found(stack, state="captured") == [made[0]]
    assert await found(stack, text=EMAIL, cursor=made[6]) == made[5::-1]


async def test_no_text_of_a_customer_is_in_the_index(stack: GatewayStack) -> None:
    """Numbers, ids and states only."""
    await new_payment(stack, customer={"id": "C-secret", "email": EMAIL, "phone": "2535550142"})
    await search.catch_up(stack.gateway, 9)
    held = str([await rows(stack, table) for table in ("search_payments", "search_terms")])
    assert not [text for text in ("C-secret", "ana@", "2535550142", "D-") if text in held]


async def test_another_secret_makes_another_index(stack: GatewayStack) -> None:
    """It is emptied and made anew, for its numbers are found with no other key."""
    payment = await paid_by(stack, EMAIL)
    await search.catch_up(stack.gateway, 9)
    before = {*await rows(stack, "search_terms")}
    secrets = (Secret("another-secret-of-more-than-forty-letters"), *stack.settings.server.secrets)
    server = msgspec.structs.replace(stack.settings.server, secrets=secrets)
    other = stack.gateway.under(msgspec.structs.replace(stack.settings, server=server))
    assert await search.catch_up(other, 9) == 0
    wanted = Search(limit=9, tenants=["acme"], text=EMAIL)
    assert [one.payment.id for one in await search.find(other, wanted)] == [payment]
    assert not before & {*await rows(stack, "search_terms")}


async def test_rows_that_got_other_numbers_are_all_read_again(stack: GatewayStack) -> None:
    """As by VACUUM after rows were deleted: an event in the row of another one would be passed over."""
    first = await paid_by(stack, EMAIL)
    await search.catch_up(stack.gateway, 9)
    (last, second) = await stack.gateway.store.search.last_event_row(), await paid_by(stack, EMAIL)
    for step in (100, -101):  # each row but one in the place of another, and never two in one
        engine_of(stack.gateway.store)._writer.execute("UPDATE events SET rowid = rowid + ?", (step,))
    assert (last,) in await engine_of(stack.gateway.store).rows("SELECT rowid FROM events", ())
    assert await search.catch_up(stack.gateway, 9) == 0
    assert await found(stack, text=EMAIL) == [second, first]


async def test_a_payment_is_renewed_as_it_is_now(stack: GatewayStack) -> None:
    """What is gone from the payment is found no more; what it still names is."""
    payment = await new_payment(stack, customer={"id": "C-1", "email": EMAIL})
    await call_back(stack, payment, transaction_id="T-9")
    other = await paid_by(stack, EMAIL)
    await search.catch_up(stack.gateway, 9)
    engine_of(stack.gateway.store)._writer.execute("UPDATE payments SET purchase = '{}' WHERE id = ?", (payment["id"],))
    await search.renew(stack.gateway, "acme", payment["id"])
    await search.renew(stack.gateway, "acme", "pay_1")
    assert await found(stack, text=EMAIL) == [other]
    assert await found(stack, text="T-9") == [payment["id"]]
    assert await found(stack, text=payment["merchant_reference"]) == [payment["id"]]


async def test_a_webhook_without_a_payment_is_passed_over(stack: GatewayStack) -> None:
    """A test of the endpoint is an event without a payment; the id of another event leads to its payment."""
    tested = await stack.call("POST", "/v1/webhooks/test", {}, key="key-of-the-test")
    assert tested.status < 300, tested.text
    payment = (await stack.create(psp_body())).json
    assert await search.catch_up(stack.gateway, 9) == 0
    (event, *_) = await stack.events(payment["id"])
    assert await found(stack, text=event["id"]) == [payment["id"]]
    assert await found(stack, text=key_of("acme")) == []


async def test_only_tenants_of_the_settings_are_shown(stack: GatewayStack) -> None:
    """A payment of one that has left them stays in the store."""
    await paid_by(stack, EMAIL)
    await search.catch_up(stack.gateway, 9)
    wanted = Search(limit=9, tenants=["globex", "initech"], text=EMAIL)
    assert await search.find(stack.gateway, wanted) == []


async def test_segments_whose_places_overlap_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where payments come in another order than that of their ids: each range of places is read in full, once."""
    monkeypatch.setattr(search, "SEGMENTS_AT_FIRST", 1)
    segments = [Segment(0, 9, 100, 200), Segment(1, 9, 10, 120), Segment(2, 9, 15, 40)]
    assert [*search._pieces(segments, Wanted(since=5, before=150))] == [([0], 121, 150), ([0, 1, 2], 5, 121)]


async def test_two_processes_index_the_same_events_once(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was slower goes on behind the other, and writes nothing that it read before."""
    index, gw = stack.gateway.store.search, stack.gateway
    read, others = index.new_events, [search._catch_up]
    first = await paid_by(stack, EMAIL)

    async def overtaken(*where: Any) -> list[NewEvent]:
        found = await read(*where)
        while others:
            await others.pop()(gw.store, search.key_of(gw.settings), 1)
        return found

    monkeypatch.setattr(index, "new_events", overtaken)
    assert await search.catch_up(gw, 2) == 0
    assert await found(stack, text=EMAIL) == [first]
    (segment,) = await index.segments()
    assert segment.payments == 1
