"""Find payments of all tenants, and bring the search index up to what has happened.

The index lags behind the payments by a few seconds; a search brings it up to date before it reads. What it leads to is
then read from the payments themselves, which decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from heapq import nlargest
from operator import attrgetter
from typing import Any, NamedTuple

from msgspec.structs import replace

from gateway.core import search_terms
from gateway.core.errors import Conflict, Unavailable
from gateway.core.search_terms import Term, TermHash, place_at, place_of, units_of
from gateway.core.signing import derive
from gateway.drivers.clock import milliseconds
from gateway.drivers.settings import Settings
from gateway.drivers.store import search_index
from gateway.drivers.store.reads import CLOCK_STEP, ListedPayment, Store
from gateway.drivers.store.rows import PageRequest
from gateway.drivers.store.search_index import Hit, IndexedPayment, NewEvent, Progress, Segment, Wanted
from gateway.drivers.store.statements import NO_TENANT, Statement
from gateway.flows.runtime import Gateway

BATCH_SIZE = 1000
"""Events that are taken into the index in one transaction: of few, each would write as many pages."""

PAUSE_EACH = 30
"""Payments that are looked at without a pause, for a millisecond."""

SEGMENT_SIZE = 4096
"""Payments of one segment."""

BATCHES_BEFORE_SEARCH = 2
"""Batches that a search takes into the index before it reads, at most."""

SEGMENTS_AT_FIRST = 8
"""Segments that a search reads at first; then eight times as many, and so on."""

_END = 2**62


class Search(PageRequest, frozen=True, kw_only=True):
    """What is looked for: a text, anything that leads to a payment, and what a payment must have beside."""

    tenants: Sequence[str]
    text: str | None = None
    state: str | None = None
    error: str | None = None
    amount_min: Decimal | None = None
    amount_max: Decimal | None = None
    since: datetime | None = None
    until: datetime | None = None


class _Key(NamedTuple):
    """What terms are hashed with, and a fingerprint of it."""

    hashed: TermHash
    fingerprint: str


def key_of(settings: Settings) -> _Key:
    """The key of the index follows from the gateway's secret."""
    key = derive(settings.server.secret, "search index").reveal().encode()
    return _Key(TermHash(key[:32]), derive(settings.server.secret, "fingerprint of the search index").reveal())


async def catch_up(gw: Gateway, batches: int) -> int:
    """Take new events into the index, at most ``batches`` of them; return how many events are left."""
    key = key_of(gw.settings)
    async with gw.memory.indexing:
        return sum([await _catch_up(part, key, batches) for part in gw.store.reachable])


async def _catch_up(part: Store, key: _Key, batches: int) -> int:
    """The same in one database, which has an index of its own."""
    progress = await _begun(part, key)
    for _ in range(batches):
        new = await part.search.new_events(progress.event_row, progress.event_id, BATCH_SIZE)
        if not new:
            break
        done = replace(progress, event_row=new[-1].event_row, event_id=new[-1].id)
        begun = search_index.set_progress(done, progress)
        try:
            await part.commit(NO_TENANT, [begun, *await _rows_of(part, key, new)])
            progress = done
        except Conflict:  # another process did the same
            progress = await _begun(part, key)
    return await part.search.count_after(progress.event_row, progress.event_id)


async def catch_up_if_near(gw: Gateway) -> int:
    """Before a search: as ``catch_up``, if little is missing: a part of a long way finds nothing and costs payments.

    A store that takes no writes is searched as far as it is indexed.
    """
    missing = sum([await _missing(part, key_of(gw.settings)) for part in gw.store.parts])
    if missing > BATCHES_BEFORE_SEARCH * BATCH_SIZE:
        return missing
    try:
        return await catch_up(gw, BATCHES_BEFORE_SEARCH)
    except Unavailable:
        return max(1, missing)


async def _missing(part: Store, key: _Key) -> int:
    """How many events the index does not have."""
    progress = await part.search.progress()
    if progress is None or progress.made_with != key.fingerprint:
        progress = Progress(made_with=key.fingerprint)
    return await part.search.count_after(progress.event_row, progress.event_id)


async def renew(gw: Gateway, tenant: str, payment_id: str) -> None:
    """Forget the terms of a payment, and take in those that it has now."""
    place = place_of(payment_id)
    if place is None:
        return
    part = gw.store.of(tenant)
    async with gw.memory.indexing:
        events = await part.search.events_of(tenant, payment_id)
        rows = await _rows_of(part, key_of(gw.settings), events, only_new=True)
        await part.commit(tenant, [search_index.forget(place), *rows])


async def _begun(part: Store, key: _Key) -> Progress:
    """How far the index is. One that was made with another key is rebuilt.

    Rows may have got other numbers, as by ``VACUUM``: then all events are read again, which adds nothing twice.
    """
    progress = await part.search.progress()
    if progress is None or progress.made_with != key.fingerprint:
        await part.commit(NO_TENANT, search_index.begin(key.fingerprint))
        return Progress(made_with=key.fingerprint)
    if progress.event_row and not await part.search.is_at(progress.event_row, progress.event_id):
        renewed = Progress(made_with=key.fingerprint)
        await part.commit(NO_TENANT, [search_index.set_progress(renewed, progress)])
        return renewed
    return progress


async def _rows_of(part: Store, key: _Key, events: Iterable[NewEvent], *, only_new: bool = False) -> list[Statement]:
    """What events add to the index. Events without a payment are passed over.

    ``only_new``: payments that the index has keep the state that it has of them, which may be a newer one.
    """
    own = _by_place(events)
    known = await part.search.segments_of(own)
    new = [place for place in own if place not in known]
    newest = await _newest_segment(part, new)
    payments: list[IndexedPayment] = []
    terms: list[tuple[int, int, int]] = []
    for number, (place, of_payment) in enumerate(own.items()):
        if number % PAUSE_EACH == 0:
            await asyncio.sleep(0)
        segment = known.get(place, newest.segment)
        found = {term for event in of_payment for term in _terms_of(event)}
        terms += [(segment, key.hashed(kind, text), place) for kind, text in found]
        payments += [_indexed(event, place, segment) for event in of_payment if event.summary is not None]
    begun = [search_index.extend_segment(newest)] if new else []
    return [*begun, *search_index.set_payments(payments, only_new=only_new), *search_index.add_terms(terms)]


async def _newest_segment(part: Store, new: Sequence[int]) -> Segment:
    """What new payments add to the segment that they go into: the next one where the last is full."""
    segments = await part.search.segments()
    has_room = segments and segments[-1].payments < SEGMENT_SIZE
    number = segments[-1].segment if has_room else len(segments)
    return Segment(number, len(new), min(new, default=0), max(new, default=0))


def _by_place(events: Iterable[NewEvent]) -> dict[int, list[NewEvent]]:
    """The events of payments, by the payment's place."""
    found: dict[str, list[NewEvent]] = {}
    for event in events:
        if event.payment_id is not None and event.doc is not None:
            found.setdefault(event.payment_id, []).append(event)
    placed: dict[int, list[NewEvent]] = {}
    for payment_id, own in found.items():
        if (place := place_of(payment_id)) is not None:
            placed.setdefault(place, []).extend(own)
    return placed


def _indexed(event: NewEvent, place: int, segment: int) -> IndexedPayment:
    """The payment's row, from its newest event."""
    return IndexedPayment(
        place=place,
        segment=segment,
        tenant=event.tenant,
        payment_id=event.payment_id or "",
        state=event.state or "",
        amount=search_terms.units_of_summary(event.summary or ""),
    )


def _terms_of(event: NewEvent) -> list[tuple[Term, str]]:
    found = search_terms.terms_of_event(event.doc or "")
    if event.provider_reference is not None:
        found.append((Term.PROVIDER_REFERENCE, event.provider_reference))
    if event.event_id is not None:
        found.append((Term.ID, event.event_id))
    return found if event.purchase is None else found + search_terms.terms_of_purchase(event.purchase)


async def find(gw: Gateway, wanted: Search) -> list[ListedPayment]:
    """The newest payments that fit, at most ``limit``, older than ``cursor``."""
    found = [one for name, part in gw.store.by_name.items() for one in await _find(gw, name, part, wanted)]
    return nlargest(wanted.limit, found, key=attrgetter("payment.id"))


async def _find(gw: Gateway, name: str, part: Store, wanted: Search) -> list[ListedPayment]:
    """The same in one database."""
    query, tenant_map = await _query(gw, part, wanted), gw.store.tenants
    tenants = frozenset(wanted.tenants)  # of which there may be thousands
    found: list[ListedPayment] = []
    for segments, since, end in _pieces(await part.search.segments(), query):
        before = end
        while since < before and len(found) < wanted.limit:
            piece = replace(query, since=since, before=before)
            hits = await part.search.hits(piece, segments, wanted.limit)
            theirs = [hit for hit in hits if hit.tenant in tenants and not tenant_map.is_elsewhere(name, hit.tenant)]
            found += [one for hit in theirs if (one := await _payment(part, hit, wanted)) is not None]
            before = hits[-1].place if len(hits) == wanted.limit else since
    return found[: wanted.limit]


async def _payment(part: Store, hit: Hit, wanted: Search) -> ListedPayment | None:
    listed = await part.summary(hit.tenant, hit.payment_id)
    return listed if listed is not None and _fits(listed, wanted) else None


def _fits(listed: ListedPayment, wanted: Search) -> bool:
    """Whether a payment is as it must be: the index may be a moment behind it, and cuts amounts and times."""
    payment = listed.payment
    amount, at = payment.money.amount, milliseconds(payment.created_at)
    return (
        (wanted.state is None or payment.state == wanted.state)
        and (wanted.amount_min is None or amount >= wanted.amount_min)
        and (wanted.amount_max is None or amount <= wanted.amount_max)
        and (wanted.since is None or at >= milliseconds(wanted.since))
        and (wanted.until is None or at <= milliseconds(wanted.until))
    )


def _pieces(segments: Sequence[Segment], query: Wanted) -> Iterator[tuple[list[int], int, int]]:
    """What is read one after the other, the newest first: segments, and between which places."""
    newest = sorted(segments, key=attrgetter("last_place"), reverse=True)
    before, done, reads = query.before, 0, SEGMENTS_AT_FIRST
    while done < len(newest):
        done, reads = done + reads, reads * 8
        since = max(
            query.since, newest[done].last_place + 1 if done < len(newest) else 0
        )  # above it there are no others
        yield [one.segment for one in segments if one.last_place >= since and one.first_place < before], since, before
        before = min(before, since)


async def _query(gw: Gateway, part: Store, wanted: Search) -> Wanted:
    """What is looked for, as the index has it."""
    hashed = key_of(gw.settings).hashed
    error = None if wanted.error is None else hashed(Term.ERROR, wanted.error)
    named = await _named(gw, part, wanted, hashed) if wanted.text is not None else {}
    if not named and error is not None:
        named, error = {"terms": [error]}, None
    return Wanted(
        tenant=wanted.tenants[0] if len(wanted.tenants) == 1 else None,
        state=wanted.state,
        error=error,
        lowest=None if wanted.amount_min is None else units_of(wanted.amount_min),
        highest=None if wanted.amount_max is None else units_of(wanted.amount_max),
        since=0 if wanted.since is None else place_at(milliseconds(wanted.since) - CLOCK_STEP),
        before=min(
            _END if wanted.until is None else place_at(milliseconds(wanted.until) + CLOCK_STEP + 1),
            _END if wanted.cursor is None else place_of(wanted.cursor) or 0,
        ),
        **named,
    )


async def _named(gw: Gateway, part: Store, wanted: Search, hashed: TermHash) -> dict[str, Any]:
    """Everything that a text may lead to."""
    text = (wanted.text or "").strip()
    led_to = await part.search.payments_of(wanted.tenants, text)
    places = {place: payment for payment in led_to if (place := place_of(payment[1])) is not None}
    known = await part.search.segments_of(places)
    for place in places.keys() - known.keys():
        with suppress(Unavailable):  # the store takes no writes
            await renew(gw, *places[place])
    return {
        "terms": [hashed(kind, text) for kind in search_terms.kinds_of(text)],
        "places": [*places],
        "amount": search_terms.amount_of(text),
    }
