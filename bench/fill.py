"""A store with very many payments, in minutes: a few thousand real ones, and copies of all their rows.

A gateway makes the first ones, through its API, with callbacks and delivered webhooks. Every row that names one of its
ids is then copied by SQL, with new ids of the same length: the part of each id that says in which 65 seconds it was
made is replaced by an earlier one, so a copy's ids are as far apart and as ordered as real ones. References and
transactions carry ``MARK`` and the number of the copy. Hashes, and idempotency keys, which are hashes here, are hashed
again: they are as scattered as real ones.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import cycle
from pathlib import Path

from bench import machine
from bench.client import Client, client
from bench.contestant import Contestant
from bench.gateway import gateway
from bench.settings import TENANT_KEYS
from bench.webhook_receiver import Receiver
from bench.yardsticks import provider
from gateway.drivers.store import search_index, stored_bytes

MARK = "fill"
"""Begins what a copy gets of its own: ``fill-0000000`` in the originals."""

ORIGINALS = 2_000
CALLERS = 64

_TEXTS = ("TEXT", "BLOB")
_TIME = re.compile(r"_([0-9a-f]{8})[0-9a-f]{4}7[0-9a-f]{19}")
"""The time in an id, to 65 seconds: ``pay_`` and the hex digits of a UUID version 7."""
_HASH = re.compile(r"(?<![:0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
"""A SHA-256 that must be another one in each copy; a masked text (``hmac-sha256:``) need not."""


def originals(folder: Path, count: int = ORIGINALS) -> Path:
    """Let a gateway make payments, all captured, all webhooks delivered; return the file of its store."""
    port, kept = machine.free_port(), folder / "originals.db"
    with provider() as provider_port, gateway(provider_port, webhooks=f"http://127.0.0.1:{port}/hooks") as ours:
        asyncio.run(_pay_and_capture(ours, port, count))
        ours.check()
        database = ours.database
        with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(kept)) as copy:
            source.backup(copy)
    return kept


async def _pay_and_capture(ours: Contestant, port: int, count: int) -> None:
    receiver, numbers = Receiver(), iter(zip(range(count), cycle(TENANT_KEYS), strict=False))

    async def caller(tenant: Client) -> None:
        for number, name in numbers:
            key = hashlib.sha256(str(number).encode()).hexdigest()
            payment = await tenant.pay(name, f"{MARK}-{0:07d}-{number:08x}", key)
            await tenant.call_back(name, payment, f"{MARK}-{0:07d}-{number:08x}")
            await receiver.time_of("payment.captured", payment, patience=120.0)

    async with receiver.listening(port), client(ours) as tenant:
        await asyncio.gather(*(caller(tenant) for _ in range(CALLERS)))


def multiply(store: Path, payments: int) -> None:
    """Copy the rows of a store's payments until it holds so many. Raises where the originals do not divide them."""
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as database:
        (there,) = database.execute("SELECT COUNT(*) FROM payments").fetchone()
        copies, rest = divmod(payments, there)
        if rest or copies < 1:
            raise ValueError(f"{payments} is not a multiple of {there}")
        for pragma in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -2000000", "temp_store = MEMORY"):
            database.execute(f"PRAGMA {pragma}")
        database.create_function("renewed", 2, _renewed, deterministic=True)
        _check_sums(database)
        times = sorted({time for _, _, text in _texts(database) for time in _TIME.findall(text)})
        held = _held(database)
        database.execute("BEGIN")
        for emptied in search_index.begin(""):  # made of the events: the gateway makes it again
            database.execute(emptied.sql, emptied.params)
        for table, columns in tables(database):
            shown = {name: _copied(name, kind, len(times), held[table, name]) for name, kind in columns.items()}
            _copy(database, table, shown, times, copies)
        database.execute("UPDATE stored_bytes SET bytes = bytes * ?", (copies,))
        database.execute("COMMIT")
        database.execute("PRAGMA journal_mode = WAL")


def _copy(
    database: sqlite3.Connection, table: str, shown: Mapping[str, str], times: Sequence[str], copies: int
) -> None:
    """Insert the copies of those rows of a table that name an id; the oldest first, as they would have come."""
    named = " OR ".join(f"instr({name}, '_{time}')" for name in shown for time in times)
    database.execute(f"CREATE TEMP TABLE original AS SELECT * FROM {table} WHERE {named}")  # noqa: S608  # our own names
    insert = f"INSERT INTO {table} ({', '.join(shown)}) SELECT {', '.join(shown.values())} FROM original"  # noqa: S608  # as above
    (rows,) = database.execute("SELECT COUNT(*) FROM original").fetchone()
    span = int(times[-1], 16) - int(times[0], 16) + 1
    for copy in range(copies - 1, 0, -1) if rows else ():
        replaced = [text for time in times for text in (f"_{time}", f"_{int(time, 16) - copy * span:08x}")]
        database.execute(insert, [f"{MARK}-{copy:07d}", *replaced])
    database.execute("DROP TABLE original")


def _copied(name: str, kind: str, times: int, held: Set[str]) -> str:
    """A column with another mark (parameter 1), times (2 and 3, 4 and 5, …) and hashes, as far as it holds them."""
    text = f"CAST({name} AS TEXT)"
    if "mark" in held:
        text = f"replace({text}, '{MARK}-{0:07d}', ?1)"
    if "time" in held:
        for at in range(2, 2 * times + 2, 2):
            text = f"replace({text}, ?{at}, ?{at + 1})"
    if "hash" in held:
        text = f"renewed({text}, ?1)"
    return f"CAST({text} AS {kind})" if held else name


def _held(database: sqlite3.Connection) -> Mapping[tuple[str, str], Set[str]]:
    """What the texts of each column hold that every copy has of its own."""
    held: dict[tuple[str, str], set[str]] = collections.defaultdict(set)
    for table, column, text in _texts(database):
        found = {"mark": MARK in text, "time": _TIME.search(text), "hash": _HASH.search(text)}
        held[table, column].update(what for what, is_there in found.items() if is_there)
    return held


def _renewed(text: str | None, copy: str) -> str | None:
    return text and _HASH.sub(lambda found: hashlib.sha256(f"{copy} {found.group()}".encode()).hexdigest(), text)


def tables(database: sqlite3.Connection) -> Iterator[tuple[str, dict[str, str]]]:
    """Each table with its columns and their types."""
    names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (name,) in names.fetchall():
        yield name, {row[1]: row[2] for row in database.execute(f"PRAGMA table_info({name})")}


def _texts(database: sqlite3.Connection) -> Iterator[tuple[str, str, str]]:
    """Every text: table, column, value."""
    for table, columns in tables(database):
        for column in (name for name, kind in columns.items() if kind in _TEXTS):
            found = database.execute(f"SELECT CAST({column} AS TEXT) FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608  # as above
            yield from ((table, column, text) for (text,) in found)


def _check_sums(database: sqlite3.Connection) -> None:
    """The originals' bytes were counted; copies are as long, so multiplied sums are right too.

    To two percent: what a document grows by later is in the fixed part of its row.
    """
    counted = dict(database.execute("SELECT tenant, bytes FROM stored_bytes").fetchall())
    for tenant, size in database.execute(stored_bytes.RECOUNT).fetchall():
        if abs(counted[tenant] - size) > size / 50:
            raise RuntimeError(f"{tenant} occupies {size} bytes, and {counted[tenant]} are counted")


def filled(folder: Path, source: Path, payments: int) -> Path:
    """A copy of the originals, multiplied."""
    store = folder / f"filled-{payments}.db"
    shutil.copy(source, store)
    multiply(store, payments)
    with store.open("rb") as written:
        os.fsync(written.fileno())  # or the gateway's first commit would wait for gigabytes
    return store
