"""The search index: by what payments are found that no other index has, such as a customer, an amount, a request.

Made from ``events`` by ``flows/search.py``, after the fact and apart from the payments; safe to drop, for it is made
again. A payment has its ``place`` (``search_terms.place_of``). Payments are put into segments of a few thousand as they
come, by which terms and amounts are ordered first: new ones, random numbers, then change the few pages of the newest
segment and not pages all over the index. A search reads the segments of the newest places first. A term is a keyed
hash: no text is here.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from gateway.core.ids import uuid_of
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.rows import made_of, where
from gateway.drivers.store.statements import Statement, placeholders

PAYMENTS = """
    CREATE TABLE IF NOT EXISTS search_payments (
        place BIGINT NOT NULL, segment INTEGER NOT NULL, tenant TEXT NOT NULL, payment_id TEXT NOT NULL,
        state TEXT NOT NULL, amount BIGINT NOT NULL,
        PRIMARY KEY (tenant, place, payment_id)
    )"""

ORDERED_EVENTS = """
    CREATE VIEW IF NOT EXISTS ordered_events AS
    SELECT rowid, tenant, id, payment_id, version, doc, delivery_id FROM events"""
"""The events up to where no other can come between them any more."""

TABLES = (
    PAYMENTS,
    ORDERED_EVENTS,
    "CREATE INDEX IF NOT EXISTS search_by_place ON search_payments (place)",
    "CREATE INDEX IF NOT EXISTS search_by_state ON search_payments (state, place, tenant)",
    "CREATE INDEX IF NOT EXISTS search_by_amount ON search_payments (segment, amount)",
    """
    CREATE TABLE IF NOT EXISTS search_terms (
        segment INTEGER NOT NULL, term BIGINT NOT NULL, place BIGINT NOT NULL,
        PRIMARY KEY (segment, term, place)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE IF NOT EXISTS search_segments (
        segment INTEGER PRIMARY KEY, payments INTEGER NOT NULL, first_place BIGINT NOT NULL, last_place BIGINT NOT NULL
    )""",
    """
    CREATE TABLE IF NOT EXISTS search_progress (
        id INTEGER PRIMARY KEY, made_with TEXT NOT NULL, event_row BIGINT NOT NULL, event_id TEXT NOT NULL
    )""",
)

PROGRESS = "search progress"
"""The conflict of an index that another process has brought further meanwhile."""

ROWS_PER_STATEMENT = 100
"""Rows written by one statement: as many cost a third of what they cost one by one."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the index is: the last event it has read, by its row and its id, and with which key it is made."""

    made_with: str
    event_row: int = 0
    event_id: str = ""


class Segment(NamedTuple):
    """How many payments a segment has, and between which places."""

    segment: int
    payments: int
    first_place: int
    last_place: int


class NewEvent(NamedTuple):
    """An event that the index has not read; a payment's newest one comes with the payment as it is now.

    ``event_id`` is the event's id, where no webhook has it.
    """

    event_row: int
    id: str
    tenant: str
    payment_id: str | None
    doc: str | None
    event_id: str | None
    state: str | None
    summary: str | None
    provider_reference: str | None
    purchase: str | None


class IndexedPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment's row in the index. ``amount`` in ``search_terms.AMOUNT_UNITS``."""

    place: int
    segment: int
    tenant: str
    payment_id: str
    state: str
    amount: int


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for in segments. What is None does not count.

    ``terms``, ``places`` and ``amount``: one of them is enough; None where nothing is named. ``error`` is a term that a
    payment must have beside, ``lowest`` and ``highest`` are bounds of its amount, ``since`` and ``before`` those of
    its place.
    """

    terms: Collection[int] | None = None
    places: Collection[int] = ()
    amount: int | None = None
    tenant: str | None = None
    state: str | None = None
    error: int | None = None
    lowest: int | None = None
    highest: int | None = None
    since: int = 0
    before: int


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that was found."""

    place: int
    tenant: str
    payment_id: str


def begin(made_with: str) -> list[Statement]:
    """Empty the index, to rebuild it with a key."""
    tables = ("search_payments", "search_terms", "search_segments", "search_progress")
    emptied = [Statement(f"DELETE FROM {table}", ()) for table in tables]  # noqa: S608  # our own names
    return [*emptied, Statement(_SET_PROGRESS, (made_with, 0, ""))]


def set_progress(progress: Progress, before: Progress) -> Statement:
    """Remember how far the index is, first in the unit that brings it there from where it was ``before``."""
    return Statement(
        f"{_SET_PROGRESS} WHERE search_progress.made_with = ?"
        " AND search_progress.event_row = ? AND search_progress.event_id = ?",
        (*msgspec.structs.astuple(progress), *msgspec.structs.astuple(before)),
        PROGRESS,
    )


_SET_PROGRESS = (
    "INSERT INTO search_progress (id, made_with, event_row, event_id) VALUES (1, ?, ?, ?) ON CONFLICT (id)"
    " DO UPDATE SET made_with = excluded.made_with, event_row = excluded.event_row, event_id = excluded.event_id"
)


def extend_segment(added: Segment) -> Statement:
    """Add payments to a segment: how many, and between which places."""
    return Statement(
        "INSERT INTO search_segments (segment, payments, first_place, last_place) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (segment) DO UPDATE SET payments = search_segments.payments + excluded.payments,"
        " first_place = CASE WHEN search_segments.first_place < excluded.first_place"
        " THEN search_segments.first_place ELSE excluded.first_place END,"
        " last_place = CASE WHEN search_segments.last_place > excluded.last_place"
        " THEN search_segments.last_place ELSE excluded.last_place END",
        added,
    )


def set_payments(payments: Sequence[IndexedPayment], *, only_new: bool = False) -> Iterator[Statement]:
    """Write payments as they are now; ``only_new``: those that the index has, stay as they are."""
    return _written(
        "INSERT INTO search_payments (place, segment, tenant, payment_id, state, amount) VALUES",
        [msgspec.structs.astuple(payment) for payment in payments],
        " ON CONFLICT DO NOTHING" if only_new else _UNLESS_SAME,
    )


_UNLESS_SAME = (
    " ON CONFLICT (tenant, place, payment_id) DO UPDATE SET state = excluded.state, amount = excluded.amount"
    " WHERE search_payments.state <> excluded.state OR search_payments.amount <> excluded.amount"
)


def add_terms(terms: Iterable[tuple[int, int, int]]) -> Iterator[Statement]:
    """Add terms of payments: segment, term, place."""
    return _written("INSERT INTO search_terms (segment, term, place) VALUES", sorted(terms), " ON CONFLICT DO NOTHING")


def forget(place: int) -> Statement:
    """Delete the terms of a payment, given its place. Its state and its amount stay."""
    at = "SELECT segment FROM search_segments WHERE first_place <= ? AND last_place >= ?"
    return Statement(
        f"DELETE FROM search_terms WHERE segment IN ({at}) AND place = ?",  # noqa: S608  # our own words
        (place, place, place),
    )


def delete_payments(tenant: str, places: Sequence[int]) -> list[Statement]:
    """Delete payments of a tenant, given their places, with their terms."""
    theirs = f"DELETE FROM search_payments WHERE tenant = ? AND place IN ({', '.join('?' for _ in places)})"  # noqa: S608  # question marks
    return [*map(forget, places), Statement(theirs, (tenant, *places))]


def step_back(tenant: str) -> Statement:
    """Ahead of the deletion of a tenant's events: an index whose last event goes is as far as the one before."""
    before = (
        "FROM events e WHERE e.tenant <> ? AND (e.rowid < search_progress.event_row"
        " OR (e.rowid = search_progress.event_row AND e.id < search_progress.event_id))"
        " ORDER BY e.rowid DESC, e.id DESC LIMIT 1"
    )
    return Statement(
        f"UPDATE search_progress SET event_row = COALESCE((SELECT e.rowid {before}), 0),"  # noqa: S608  # our own words
        f" event_id = COALESCE((SELECT e.id {before}), '') WHERE EXISTS (SELECT 1 FROM events e WHERE e.tenant = ?"
        " AND e.rowid = search_progress.event_row AND e.id = search_progress.event_id)",
        (tenant, tenant, tenant),
    )


def _written(insert: str, rows: Sequence[tuple[Any, ...]], conflict: str) -> Iterator[Statement]:
    for first in range(0, len(rows), ROWS_PER_STATEMENT):
        some = rows[first : first + ROWS_PER_STATEMENT]
        values = ", ".join([f"({placeholders(some[0])})"] * len(some))
        yield Statement(f"{insert} {values}{conflict}", tuple([value for row in some for value in row]))


_WITH_PAYMENT = (
    "SELECT e.rowid, e.id, e.tenant, e.payment_id, e.doc, CASE WHEN e.delivery_id IS NULL THEN e.id END,"
    " p.state, p.doc, p.provider_reference, p.purchase"
    " FROM {} e LEFT JOIN payments p ON p.tenant = e.tenant AND p.id = e.payment_id AND p.version = e.version"
)
_AFTER = "e.rowid >= ? AND (e.rowid > ? OR e.id > ?)"  # on a shared store a transaction's events have one row number
# The part is cut off inside: without statistics, as of a new database, PostgreSQL joins all that is missing first.
_NEXT_EVENTS = _WITH_PAYMENT.format(
    f"(SELECT * FROM ordered_events e WHERE {_AFTER} ORDER BY e.rowid, e.id LIMIT ?)"  # noqa: S608  # our own words
)
_NEXT_EVENTS += " ORDER BY e.rowid, e.id"


class SearchIndex(Reads):
    """The reads."""

    async def progress(self) -> Progress | None:
        """How far the index is; None where none was begun."""
        row = await self._engine.row("SELECT made_with, event_row, event_id FROM search_progress WHERE id = 1", ())
        return made_of(Progress, row) if row else None

    async def last_event_row(self) -> int:
        """The row of the newest event; 0 before the first."""
        row = await self._engine.row("SELECT MAX(rowid) FROM ordered_events", ())
        return (row and row[0]) or 0

    async def count_after(self, event_row: int, event_id: str) -> int:
        """How many events there are after one."""
        if not self._engine.is_shared:  # their rows are counted without a gap
            return max(0, await self.last_event_row() - event_row)
        sql = f"SELECT COUNT(*) FROM ordered_events e WHERE {_AFTER}"  # noqa: S608  # our own words
        return int((await self._engine.rows(sql, (event_row, event_row, event_id)))[0][0])

    async def is_at(self, event_row: int, event_id: str) -> bool:
        """Whether an event is in a row."""
        row = await self._engine.row("SELECT 1 FROM events WHERE rowid = ? AND id = ?", (event_row, event_id))
        return row is not None

    async def new_events(self, event_row: int, event_id: str, limit: int) -> list[NewEvent]:
        """The events after one, in their order."""
        rows = await self._engine.rows(_NEXT_EVENTS, (event_row, event_row, event_id, limit))
        return [NewEvent(*row) for row in rows]

    async def events_of(self, tenant: str, payment_id: str) -> list[NewEvent]:
        """All events of a payment."""
        sql = f"{_WITH_PAYMENT.format('ordered_events')} WHERE e.tenant = ? AND e.payment_id = ?"
        return [NewEvent(*row) for row in await self._engine.rows(sql, (tenant, payment_id))]

    async def segments(self) -> list[Segment]:
        """All segments, in the order they were begun."""
        sql = "SELECT segment, payments, first_place, last_place FROM search_segments ORDER BY segment"
        return [Segment(*row) for row in await self._engine.rows(sql, ())]

    async def segments_of(self, places: Iterable[int]) -> dict[int, int]:
        """The segments of those payments that are in the index."""
        sql = f"SELECT place, segment FROM search_payments WHERE place IN ({_NUMBERS})"  # noqa: S608  # our own words
        return dict(await self._engine.rows(sql, (json.dumps([*places]),)))

    async def payments_of(self, tenants: Sequence[str], text: str) -> list[tuple[str, str]]:
        """The payments that a text leads to by the indexes of other tables: tenant, id."""
        digits = uuid_of(text)
        stored_as, query = _BY_ID.get(text.partition("_")[0], _BY_TEXT) if digits is not None else _BY_TEXT
        named = f"{stored_as}_{digits.hex}" if stored_as and digits is not None else text
        rows = await self._engine.rows(query, (json.dumps([*tenants]), named))
        return [(tenant, payment_id) for tenant, payment_id in rows]

    async def hits(self, wanted: Wanted, segments: Sequence[int], limit: int) -> list[Hit]:
        """The newest payments that fit, among those of some segments."""
        sql, values = _query(wanted, segments)
        return await self._all(Hit, f"{sql} ORDER BY p.place DESC LIMIT ?", (*values, limit))


_OF_PAYMENT = "SELECT p.tenant, p.id FROM json_each(?1) t CROSS JOIN payments p WHERE p.tenant = t.value AND p.id = ?2"
_OF_DELIVERY = (
    "SELECT e.tenant, e.payment_id"
    " FROM json_each(?1) t CROSS JOIN events e WHERE e.tenant = t.value AND e.delivery_id = ?2"
    " AND e.payment_id IS NOT NULL"
)
_OF_CALLBACK = (
    "SELECT c.tenant, c.payment_id FROM json_each(?1) t CROSS JOIN inbox c WHERE c.tenant = t.value AND c.id = ?2"
    " AND c.payment_id IS NOT NULL"
)
_OF_OPEN_OPERATION = (
    "SELECT p.tenant, p.id FROM payments p WHERE p.open_status IN ('sending', 'unknown') AND p.open_operation = ?2"
    " AND p.tenant IN (SELECT value FROM json_each(?1))"
)
_BY_ID = {
    "pay": ("pay", _OF_PAYMENT),
    "evt": ("dlv", _OF_DELIVERY),
    "dlv": ("dlv", _OF_DELIVERY),
    "cb": ("cb", _OF_CALLBACK),
    "op": ("op", _OF_OPEN_OPERATION),
    "ref": ("op", _OF_OPEN_OPERATION),
}
"""Prefix of an id -> the prefix under which its digits are stored, and what reads them."""
_BY_TEXT = (
    "",
    "SELECT p.tenant, p.id"
    " FROM json_each(?1) t CROSS JOIN payments p WHERE p.tenant = t.value AND p.merchant_reference = ?2"
    " UNION SELECT k.tenant, k.payment_id FROM json_each(?1) t"
    " CROSS JOIN idempotency_keys k WHERE k.tenant = t.value AND k.idempotency_key = ?2",
)
_NUMBERS = "SELECT CAST(value AS BIGINT) FROM json_each(?)"
_IN_SEGMENTS = f"segment IN ({_NUMBERS})"
_NAMED = f"""
    SELECT p.place, p.tenant, p.payment_id FROM (
        SELECT place FROM search_terms WHERE {_IN_SEGMENTS} AND term IN ({_NUMBERS})
        UNION {_NUMBERS}
        UNION SELECT place FROM search_payments WHERE {_IN_SEGMENTS} AND amount = ?
    ) found CROSS JOIN search_payments p WHERE p.place = found.place AND"""  # noqa: S608  # our own words
_BY_AMOUNT = f"SELECT p.place, p.tenant, p.payment_id FROM search_payments p WHERE {_IN_SEGMENTS} AND"  # noqa: S608  # as above
_NEWEST = "SELECT p.place, p.tenant, p.payment_id FROM search_payments p WHERE"
_WITH_ERROR = (
    "EXISTS (SELECT 1 FROM search_segments s CROSS JOIN search_terms e WHERE e.segment = s.segment AND e.term = ?"
    " AND e.place = p.place AND s.first_place <= p.place AND s.last_place >= p.place)"
)


def _query(wanted: Wanted, segments: Sequence[int]) -> tuple[str, tuple[Any, ...]]:
    """What is read first: what is named, or else a state, or else amounts, or else everything."""
    listed = json.dumps([*segments])
    conditions, values = where(
        ("p.tenant = ?", wanted.tenant),
        ("p.state = ?", wanted.state),
        ("p.amount >= ?", wanted.lowest),
        ("p.amount <= ?", wanted.highest),
        (_WITH_ERROR, wanted.error),
        ("p.place >= ?", wanted.since),
        ("p.place < ?", wanted.before),
    )
    if wanted.terms is not None:
        named = (listed, json.dumps([*wanted.terms]), json.dumps([*wanted.places]), listed, wanted.amount)
        return f"{_NAMED} {_unindexed(conditions, 'tenant', 'state', 'place', 'amount')}", (*named, *values)
    if wanted.state is None and (wanted.lowest is not None or wanted.highest is not None):
        return f"{_BY_AMOUNT} {_unindexed(conditions, 'tenant', 'place')}", (listed, *values)  # amounts are the fewest
    return f"{_NEWEST} {conditions}", values


def _unindexed(conditions: str, *names: str) -> str:
    """The same conditions, for which SQLite uses no index of these columns."""
    for name in names:
        expression = f"+p.{name} " if name in ("place", "amount") else f"p.{name} || '' "
        conditions = conditions.replace(f"p.{name} ", expression)
    return conditions
