"""The search index's queries: each reads only what it names, and writes what it is given once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.drivers.store import search_index
from gateway.drivers.store.reads import Store
from gateway.drivers.store.search_index import IndexedPayment, Progress, Segment, Wanted
from gateway.drivers.store.statements import NO_TENANT
from tests.drivers.test_store_plans import plans_of
from tests.support.factories.store_units import conflict, create_of, reserving
from tests.support.stores import others_ended

SEGMENTS = range(3)
LAST = 1000


def payment(place: int, **members: Any) -> IndexedPayment:
    """A row of the index."""
    given = {"segment": place // 10, "tenant": "acme", "payment_id": f"pay_{place}", "state": "captured", "amount": 5}
    return IndexedPayment(place=place, **{**given, **members})


@pytest.fixture
async def filled(store: Store) -> Store:
    """Thirty payments in three segments; each third has the term 7, each tenth the error 9."""
    await store.commit("acme", [*search_index.set_payments([payment(place, amount=place) for place in range(30)])])
    terms = [(place // 10, term, place) for place in range(30) for term in (7, 9) if place % {7: 3, 9: 10}[term] == 0]
    await store.commit("acme", [*search_index.add_terms(terms), *search_index.add_terms(terms)])
    await store.commit(
        "acme", [search_index.extend_segment(Segment(one, 10, 10 * one, 10 * one + 9)) for one in SEGMENTS]
    )
    return store


QUERIES = {
    "terms": (Wanted(terms=[7, 8], before=LAST), [*range(0, 30, 3)]),
    "terms and a place": (Wanted(terms=[9], places=[4, 400], before=LAST), [0, 4, 10, 20]),
    "terms or an amount": (Wanted(terms=[], amount=12, before=LAST), [12]),
    "terms with an error": (Wanted(terms=[7], error=9, before=LAST), [0]),
    "amounts": (Wanted(lowest=8, highest=12, before=LAST), [8, 9, 10, 11, 12]),
    "amounts with a state": (Wanted(lowest=28, state="captured", before=LAST), [28, 29]),
    "amounts before": (Wanted(highest=12, since=9, before=11), [9, 10]),
    "state": (Wanted(state="captured", since=27, before=29), [27, 28]),
    "another state": (Wanted(state="failed", before=LAST), []),
    "another tenant": (Wanted(tenant="globex", before=LAST), []),
    "everything": (Wanted(since=5, before=8), [5, 6, 7]),
}


@pytest.mark.parametrize(("wanted", "places"), QUERIES.values(), ids=QUERIES)
async def test_what_is_found_is_what_fits(filled: Store, wanted: Wanted, places: list[int]) -> None:
    """The newest first, and at most so many."""
    found = [hit.place for hit in await filled.search.hits(wanted, SEGMENTS, 99)]
    assert found == places[::-1]
    assert [hit.place for hit in await filled.search.hits(wanted, SEGMENTS, 1)] == found[:1]


@pytest.mark.parametrize("wanted", [wanted for wanted, _ in QUERIES.values()], ids=QUERIES)
async def test_no_table_is_read_whole(
    filled: Store, path: Path, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is searched for."""
    plan = await plans_of(filled, lambda store: store.search.hits(wanted, SEGMENTS, 9), monkeypatch)
    assert "SCAN search" not in plan, plan
    assert "SCAN p" not in plan, plan


async def test_a_payment_is_written_as_it_is_now(filled: Store) -> None:
    """Its row is changed, not doubled."""
    await filled.commit("acme", [*search_index.set_payments([payment(3, state="refunded", amount=99)])])
    assert [hit.place for hit in await filled.search.hits(Wanted(state="refunded", before=LAST), SEGMENTS, 9)] == [3]
    assert [hit.place for hit in await filled.search.hits(Wanted(lowest=99, before=LAST), SEGMENTS, 9)] == [3]


async def test_more_rows_than_one_statement_takes(store: Store) -> None:
    """All are written."""
    await store.commit("acme", [*search_index.set_payments([payment(place) for place in range(250)])])
    assert await store.search.segments_of([0, 99, 249, 250]) == {0: 0, 99: 9, 249: 24}


async def test_a_forgotten_payment_has_no_terms(filled: Store) -> None:
    """Its state and its amount stay, and the terms of others."""
    await filled.commit("acme", [search_index.forget(3)])
    assert [hit.place for hit in await filled.search.hits(Wanted(terms=[7], before=7), SEGMENTS, 9)] == [6, 0]
    assert [hit.place for hit in await filled.search.hits(Wanted(lowest=3, highest=3, before=LAST), SEGMENTS, 9)] == [3]


async def test_an_emptied_index_begins_again(filled: Store) -> None:
    """With nothing but the key it is to be made with."""
    await filled.commit("acme", search_index.begin("fingerprint"))
    progress = await filled.search.progress()
    assert progress == search_index.Progress(made_with="fingerprint")
    assert await filled.search.hits(Wanted(before=LAST), SEGMENTS, 9) == []


@pytest.mark.parametrize(
    "text", ["SO-1", "key-00000001", *(f"{kind}_{'0' * 31}1" for kind in ("pay", "op", "ref", "evt", "dlv", "cb"))]
)
async def test_a_text_is_looked_up_by_keys_alone(
    store: Store, path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every tenant, in as many steps as there are tenants."""
    plan = await plans_of(store, lambda store: store.search.payments_of(["acme", "globex"], text), monkeypatch)
    scans = [line for line in plan.splitlines() if line.startswith("SCAN ")]
    assert all("VIRTUAL TABLE" in line for line in scans), plan


async def test_references_and_keys_lead_to_payments(store: Store) -> None:
    """Of the tenants that are named only."""
    await store.commit("acme", reserving(*create_of(1)))
    for text in ("SO-1", "key-00000001"):
        assert await store.search.payments_of(["globex", "acme"], text) == [("acme", "pay_001")]
        assert await store.search.payments_of(["globex"], text) == []


async def test_new_events_come_in_order_with_their_payment(store: Store) -> None:
    """After a row, each with what the index needs of its payment."""
    for number in (1, 2):
        await store.commit("acme", reserving(*create_of(number)))
    await others_ended(store)
    first, second = await store.search.new_events(0, "", 9)
    assert [first.payment_id, second.payment_id] == ["pay_001", "pay_002"]
    assert [row.id for row in await store.search.new_events(first.event_row, first.id, 9)] == [second.id]
    assert await store.search.last_event_row() == second.event_row
    assert await store.search.is_at(first.event_row, first.id)
    assert not await store.search.is_at(second.event_row, first.id)
    assert (first.state, first.purchase is not None) == ("created", True)
    assert await store.search.events_of("acme", "pay_002") == [second]


async def test_the_index_moves_on_only_from_where_it_was(store: Store) -> None:
    """Of two processes that read the same events one writes what it found; the other reads on."""
    begun, first = Progress(made_with="key"), Progress(made_with="key", event_row=5, event_id="evt_5")
    await store.commit(NO_TENANT, search_index.begin("key"))
    await store.commit(NO_TENANT, [search_index.set_progress(first, begun)])
    late = search_index.set_progress(replace(first, event_row=4), begun)
    assert await conflict(store, [late]) == search_index.PROGRESS
    assert await store.search.progress() == first


async def test_a_segment_is_extended_by_all_who_write_it(store: Store) -> None:
    """It reaches from the least to the greatest of their places, whatever they knew of each other."""
    for added in (Segment(0, 2, 10, 20), Segment(0, 1, 5, 12), Segment(0, 3, 15, 30)):
        await store.commit(NO_TENANT, [search_index.extend_segment(added)])
    assert await store.search.segments() == [Segment(0, 6, 5, 30)]
