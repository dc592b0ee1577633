"""The callback inbox: every callback of a known endpoint as it came, what was made of it, and its proved event.

Verdicts: ``recorded`` (its effect, if any, was applied), ``repeated``, ``refused`` (evidence), ``pending`` (proved, but
its effect failed for a reason of the gateway's own: it is applied later). An event is recorded once per account.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.core import documents
from gateway.core.errors import Reason
from gateway.core.facts import Event
from gateway.core.wire import Callback, Headers
from gateway.drivers.clock import milliseconds, optional_milliseconds
from gateway.drivers.store.engine import Reads
from gateway.drivers.store.moves import NOT_BARRED
from gateway.drivers.store.rows import PageRequest, columns, first_id, members, optional_from_milliseconds, where
from gateway.drivers.store.statements import Statement, none_of, placeholders
from gateway.drivers.store.stored_bytes import bytes_of, size_of_row

VERDICTS = ("recorded", "repeated", "refused", "pending")

ROW = "inbox"
"""The conflict of a stored row that has got another verdict meanwhile."""

NO_HISTORY = "[]"
"""The history of a row that has had one verdict only."""

MAX_HISTORY = 20
"""How many earlier verdicts a row remembers."""


class EarlierVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict that a stored callback had before: who replaced it, when (RFC 3339), and by which way."""

    verdict: str
    reason: str | None
    detail: str | None
    until: str
    by: str
    how: str


class InboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored callback without its contents. ``size``: bytes of the body as it came, kept or not."""

    tenant: str
    id: str
    account: str
    received_at: datetime
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
    next_attempt_at: datetime | None


class StoredCallback(InboxRow, frozen=True, kw_only=True):
    """A stored callback, whole. Secret headers hold a keyed hash; ``event`` is a document, None when unproved."""

    query: str
    headers: Headers
    body: bytes
    event: str | None
    history: tuple[EarlierVerdict, ...]

    @property
    def is_whole(self) -> bool:
        """Whether the body was kept, though it may have been masked; one that was too long was not."""
        return bool(self.body) or self.size == 0


class InboxFilter(PageRequest, frozen=True, kw_only=True):
    """Which stored callbacks a list shows, newest first, received since ``since``."""

    account: str | None = None
    verdict: str | None = None
    payment_id: str | None = None
    since: datetime | None = None


class InboxRange(PageRequest, frozen=True, kw_only=True):
    """Which stored callbacks are processed again, oldest first: received since a time and before another.

    ``is_proved``: only those with an event.
    """

    account: str | None = None
    verdict: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_proved: bool = False


def insert_callback(
    inbox_id: str,
    *,
    tenant: str,
    account: str,
    callback: Callback,
    verdict: str,
    reason: Reason | None = None,
    detail: str | None = None,
    event: Event | None = None,
    payment_id: str | None = None,
    size: int | None = None,
    next_attempt_at: datetime | None = None,
) -> Statement:
    """A callback and what was made of it. ``size``: bytes of its body where that is not what is kept."""
    headers = msgspec.json.encode(callback.headers).decode()
    event_id, document = (None, None) if event is None else (event.event_id, documents.encode(event))
    came = (callback.method, callback.suffix, callback.query, headers, callback.body)
    made = (verdict, reason, detail, event_id, document, payment_id)
    return Statement(
        "INSERT INTO inbox (tenant, id, account, received_at, method, suffix, query, headers, body, size, remote,"
        " verdict, reason, detail, event_id, event, payment_id, tries, next_attempt_at, history)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?) ON CONFLICT DO NOTHING",
        (
            tenant,
            inbox_id,
            account,
            milliseconds(callback.received_at),
            *came,
            len(callback.body) if size is None else size,
            callback.remote,
            *made,
            optional_milliseconds(next_attempt_at),
            NO_HISTORY,
        ),
        "event",
        grows=(tenant, size_of_row("inbox", callback.query, headers, callback.body, detail, document, NO_HISTORY)),
    )


def replace_verdict(
    row: StoredCallback,
    earlier: EarlierVerdict,
    *,
    verdict: str,
    reason: Reason | None,
    detail: str | None,
    event: Event | None,
    payment_id: str | None,
) -> Statement:
    """Give a stored callback a new verdict, only while it is as it was read and its event has not been recorded."""
    event_id = None if event is None else event.event_id
    document = None if event is None else documents.encode(event)
    earlier_before, earlier_now = _history(row.history), _history((*row.history, earlier)[-MAX_HISTORY:])
    return Statement(
        "UPDATE inbox SET verdict = ?, reason = ?, detail = ?, event_id = ?, event = ?, payment_id = ?, history = ?,"
        " next_attempt_at = NULL WHERE tenant = ? AND id = ? AND verdict = ? AND history = ?"
        " AND (? <> 'recorded' OR NOT EXISTS (SELECT 1 FROM inbox applied WHERE applied.tenant = inbox.tenant"
        " AND applied.account = inbox.account AND applied.event_id = ? AND applied.verdict = 'recorded'))",
        (
            verdict,
            reason,
            detail,
            event_id,
            document,
            payment_id,
            earlier_now,
            row.tenant,
            row.id,
            row.verdict,
            earlier_before,
            verdict,
            event_id,
        ),
        ROW,
        grows=(row.tenant, bytes_of(detail, document, earlier_now) - bytes_of(row.detail, row.event, earlier_before)),
    )


def postpone(row: InboxRow, next_attempt_at: datetime) -> Statement:
    """A pending callback whose effect failed again, unless it has got another verdict meanwhile."""
    return Statement(
        "UPDATE inbox SET tries = tries + 1, next_attempt_at = ? WHERE tenant = ? AND id = ? AND verdict = 'pending'",
        (milliseconds(next_attempt_at), row.tenant, row.id),
    )


def trim_refused(tenant: str, account: str, keep: int) -> Statement:
    """Keep only the newest refused callbacks of an account: a sender who knows an endpoint must not fill the disk."""
    return Statement(
        "DELETE FROM inbox WHERE tenant = ? AND account = ? AND verdict = 'refused' AND id <= ("
        "SELECT id FROM inbox WHERE tenant = ? AND account = ? AND verdict = 'refused'"
        " ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (tenant, account, tenant, account, keep),
    )


def trim_unproved(tenant: str, account: str, payment_id: str | None, keep: int) -> Statement:
    """Keep only the newest accepted callbacks without an event (hints) of a payment, or of none."""
    of_payment = "payment_id IS NULL" if payment_id is None else "payment_id = ?"
    rows = f"tenant = ? AND account = ? AND {of_payment} AND verdict = 'recorded' AND event_id IS NULL"
    named = (tenant, account) if payment_id is None else (tenant, account, payment_id)
    newest = f"{rows} ORDER BY id DESC LIMIT 1 OFFSET ?"
    return Statement(
        f"DELETE FROM inbox WHERE {rows} AND id <= (SELECT id FROM inbox WHERE {newest})",  # noqa: S608  # as above
        (*named, *named, keep),
    )


def trim_repeated(tenant: str, payment_id: str, keep: int) -> Statement:
    """Keep only the newest repeated callbacks of a payment: a sender may repeat itself forever."""
    rows = "tenant = ? AND payment_id = ? AND verdict = 'repeated'"
    return Statement(
        f"DELETE FROM inbox WHERE {rows} AND id <= ("  # noqa: S608  # as above
        f"SELECT id FROM inbox WHERE {rows} ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (tenant, payment_id, tenant, payment_id, keep),
    )


# Written out, not parameters: only so does a database see that an index of these rows will do.
REFUSED = "verdict = 'refused'"
UNPROVED = "verdict = 'recorded' AND event_id IS NULL"
"""Callbacks that are forgotten some day, as a condition."""


def delete_callbacks(rows: str, before: datetime, limit: int) -> Statement:
    """Remove callbacks (``REFUSED`` or ``UNPROVED``) that came before a date: at most ``limit``, the oldest first."""
    old = f"SELECT tenant, id FROM inbox WHERE {rows} AND received_at < ? ORDER BY received_at LIMIT ?"  # noqa: S608  # above
    return Statement(
        f"DELETE FROM inbox WHERE {rows} AND (tenant, id) IN ({old})",  # noqa: S608  # above
        (milliseconds(before), limit),
    )


def empty_callback(tenant: str, inbox_id: str, size: int) -> Statement:
    """Delete the contents of a callback, ``size`` bytes; what was made of it stays."""
    return Statement(
        f"UPDATE inbox SET query = '', headers = '[]', body = ? WHERE tenant = ? AND id = ? AND {_CONTENTS} = ?",  # noqa: S608  # above
        (b"", tenant, inbox_id, size),
        grows=(tenant, -size),
    )


_CONTENTS = "LENGTH(CAST(query AS BLOB)) + LENGTH(CAST(headers AS BLOB)) - 2 + LENGTH(body)"
"""Bytes of what came; no headers are written as ``[]``."""


class Inbox(Reads):
    """The reads."""

    async def was_applied(self, tenant: str, account: str, event_id: str) -> bool:
        """Whether a callback's event was applied before."""
        row = await self._engine.row(
            "SELECT 1 FROM inbox WHERE tenant = ? AND account = ? AND event_id = ? AND verdict = 'recorded'",
            (tenant, account, event_id),
        )
        return row is not None

    async def of_payment(self, tenant: str, payment_id: str) -> list[tuple[Any, ...]]:
        """Stored callbacks of a payment: (id, received_at, suffix, verdict, reason), oldest first."""
        return await self._engine.rows(
            "SELECT id, received_at, suffix, verdict, reason FROM inbox WHERE tenant = ? AND payment_id = ?"
            " ORDER BY id",
            (tenant, payment_id),
        )

    async def find(self, tenants: Sequence[str], inbox_id: str) -> StoredCallback | None:
        """One stored callback of any of these tenants."""
        rows = await self._engine.rows(
            f"{WHOLE} WHERE tenant IN ({placeholders(tenants)}) AND id = ?", (*tenants, inbox_id)
        )
        return stored(rows[0]) if rows else None

    async def newest(self, tenant: str, wanted: InboxFilter) -> list[InboxRow]:
        """Stored callbacks of one tenant, newest first (ids are time-ordered). Raises ``KeyError`` for no verdict."""
        conditions, values = where(
            ("tenant = ?", tenant),
            ("id < ?", wanted.cursor),
            ("account = ?", wanted.account),
            ("payment_id = ?", wanted.payment_id),
            ("received_at >= ?", optional_milliseconds(wanted.since)),
        )
        with_verdict = "" if wanted.verdict is None else f" AND {_WITH_VERDICT[wanted.verdict]}"
        rows = await self._engine.rows(
            f"{_SUMMARY} WHERE {conditions}{with_verdict} ORDER BY id DESC LIMIT ?", (*values, wanted.limit)
        )
        return [InboxRow(**_members(InboxRow, row)) for row in rows]

    async def ids_of(self, tenant: str, wanted: InboxRange) -> list[str]:
        """Ids of stored callbacks of one tenant, oldest first. Raises ``KeyError`` for no verdict."""
        conditions, values = where(
            ("tenant = ?", tenant),
            ("id > ?", wanted.cursor),
            ("id >= ?", wanted.since and first_id("cb", wanted.since)),
            ("account = ?", wanted.account),
            ("received_at >= ?", optional_milliseconds(wanted.since)),
            ("received_at < ?", optional_milliseconds(wanted.until)),
        )
        with_verdict = "" if wanted.verdict is None else f" AND {_WITH_VERDICT[wanted.verdict]}"
        proved = " AND event IS NOT NULL" if wanted.is_proved else ""
        rows = await self._engine.rows(
            f"SELECT id FROM inbox WHERE {conditions}{with_verdict}{proved} ORDER BY id LIMIT ?",  # noqa: S608  # our own words
            (*values, wanted.limit),
        )
        return [identifier for (identifier,) in rows]

    async def due(self, now: datetime, limit: int, *, without: Collection[str] = ()) -> list[StoredCallback]:
        """Pending callbacks whose next try is due, the longest due first.

        None of these tenants, nor of one that is being moved, or was: many of these would keep others out.
        """
        rows = await self._engine.rows(
            f"{WHOLE} WHERE verdict = 'pending' AND next_attempt_at <= ?{none_of('tenant', without)} AND {NOT_BARRED}"
            " ORDER BY next_attempt_at LIMIT ?",
            (milliseconds(now), *without, limit),
        )
        return [stored(row) for row in rows]

    async def has_any(self, rows: str, before: datetime) -> bool:
        """Whether there are callbacks (``REFUSED`` or ``UNPROVED``) that came before a date."""
        sql = f"SELECT 1 FROM inbox WHERE {rows} AND received_at < ? LIMIT 1"  # noqa: S608  # above
        return bool(await self._engine.rows(sql, (milliseconds(before),)))

    async def page_by_age(self, tenant: str, *, after: str, before: datetime, limit: int) -> list[tuple[str, int]]:
        """(id, bytes) of a tenant's callbacks with contents above ``after`` that came before a date, oldest first."""
        rows = await self._engine.rows(
            f"SELECT id, {_CONTENTS} AS size FROM inbox WHERE tenant = ? AND id > ? AND id < ? AND {_CONTENTS} > 0"  # noqa: S608  # above
            " ORDER BY id LIMIT ?",
            (tenant, after, first_id("cb", before), limit),
        )
        return [(identifier, size) for identifier, size in rows]

    async def next_due(self) -> datetime | None:
        """When the next try of a pending callback is due, as ``due`` finds it; None while nothing is pending."""
        rows = await self._engine.rows(  # not MIN: for that PostgreSQL joins all that is pending with the bars
            "SELECT next_attempt_at FROM inbox WHERE verdict = 'pending' AND next_attempt_at > 0"  # noqa: S608  # our own words
            f" AND {NOT_BARRED} ORDER BY next_attempt_at LIMIT 1",
            (),
        )
        return optional_from_milliseconds(rows[0][0] if rows else None)


_SUMMARY, WHOLE = (
    f"SELECT {columns(kind)} FROM inbox"  # noqa: S608  # the names of our own members
    for kind in (InboxRow, StoredCallback)
)
# Written out, not a parameter: only so does a database see that an index of these rows will do.
_WITH_VERDICT = {verdict: f"verdict = '{verdict}'" for verdict in VERDICTS}
_headers = msgspec.json.Decoder(Headers)
_history_decoder = msgspec.json.Decoder(tuple[EarlierVerdict, ...])


def _members(kind: type[InboxRow], row: Sequence[Any]) -> dict[str, Any]:
    named = members(kind, row)
    moments = {name: optional_from_milliseconds(named[name]) for name in ("received_at", "next_attempt_at")}
    return {**named, **moments}


def stored(row: Sequence[Any]) -> StoredCallback:
    """The row of a query that begins with ``WHOLE``."""
    named = _members(StoredCallback, row)
    read = {
        "headers": _headers.decode(named["headers"]),
        "body": bytes(named["body"]),
        "history": _history_decoder.decode(named["history"]),
    }
    return StoredCallback(**{**named, **read})


def _history(earlier: Sequence[EarlierVerdict]) -> str:
    return msgspec.json.encode(earlier).decode()
