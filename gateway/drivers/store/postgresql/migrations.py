"""The version of the tables on PostgreSQL, and how older ones are brought up to date: in one transaction, whole or not.

Nodes of an older gateway may go on working on newer tables as long as those say so (``works_from``).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, TypeVar

import psycopg

from gateway.core.errors import Unavailable
from gateway.drivers.clock import EPOCH, milliseconds
from gateway.drivers.store.postgresql.connection import conninfo, why_refused
from gateway.drivers.store.postgresql.schema import RENUMBERED, spelt, statements
from gateway.drivers.store.schema import MIGRATIONS, VERSION, WORKS_FROM
from gateway.drivers.store.store_files import AlreadyRunning

LOCK = 0x67617465776179
"""The advisory lock that is held while tables are made or changed."""

OLDEST_SERVER = 14
"""The oldest PostgreSQL that has what is used: earlier ones cannot ``CREATE OR REPLACE TRIGGER``."""

WHOLE_ENCODINGS = frozenset({"UTF8", "SQL_ASCII"})
"""Those of a database that holds every text; SQL_ASCII takes any bytes."""

TRIES = 5
"""How often it is tried to change tables that others work on."""

LOCK_MILLISECONDS = 5000
"""How long a change waits for others: who comes after it waits as long."""

IN_THE_WAY = ("40P01", "55P03")
"""Deadlock, lock not available in time: nothing was changed."""

VERSIONS = """
    CREATE TABLE IF NOT EXISTS schema_version (
        id BIGINT PRIMARY KEY CHECK (id = 1), version BIGINT NOT NULL, works_from BIGINT NOT NULL
    )"""

_NEW = re.compile(r"\s*CREATE (?:OR REPLACE )?(?:UNIQUE )?(?:TABLE|INDEX|TRIGGER) (?:IF NOT EXISTS )?(\w+)")
_NAMES = (
    "SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace"
    " UNION SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal"
)


class Found(NamedTuple):
    """The version of tables, and the oldest version whose gateways may work on them."""

    version: int
    works_from: int


_Connection = psycopg.AsyncConnection[tuple[Any, ...]]
_Result = TypeVar("_Result")


async def prepare(url: str) -> None:
    """Make the tables of an empty database; refuse those that this gateway cannot work on. Raises ``Unavailable``."""
    found = await _in_transaction(url, _found)
    if found is None:
        await migrate(url, EPOCH)
    else:
        check(found)
        await _in_transaction(url, _renumber)


async def _renumber(connection: _Connection) -> None:
    for sql in RENUMBERED:
        await connection.execute(sql.encode())


def check(found: Found) -> None:
    """Raises ``Unavailable`` for tables that are too old, or too new."""
    if found.version < VERSION:
        raise Unavailable(
            f"the store is of version {found.version}, and this gateway needs version {VERSION}: run gateway migrate"
        )
    if found.works_from > VERSION:
        raise Unavailable(
            f"the store is of version {found.version}, made by a newer gateway; this one knows version {VERSION}"
        )


async def check_found(url: str) -> None:
    """Refuse a database without tables, and tables that this gateway cannot work on. Raises ``Unavailable``."""
    if await version(url) is None:
        raise Unavailable("there is no store in the database: gateway serve makes it at its first start")


async def version(url: str) -> int | None:
    """The version of the tables; None without any. Raises ``Unavailable``, also for what ``check`` refuses."""
    found = await _in_transaction(url, _found)
    if found is None:
        return None
    check(found)
    return found.version


async def plan(url: str) -> list[str]:
    """The statements that would bring the tables up to date; none where they are. Raises ``Unavailable``."""
    return await _in_transaction(url, _plan)


async def migrate(url: str, now: datetime) -> None:
    """Bring the tables up to date, or make them; another process that does the same waits.

    Raises ``AlreadyRunning`` where nodes are alive that cannot work on the new ones, and ``Unavailable``.
    """

    async def bring_up_to_date(connection: _Connection) -> None:
        await _bring_up_to_date(connection, now)

    for _ in range(TRIES - 1):
        with contextlib.suppress(_InTheWay):
            await _in_transaction(url, bring_up_to_date)
            return
    await _in_transaction(url, bring_up_to_date)


async def _bring_up_to_date(connection: _Connection, now: datetime) -> None:
    await connection.execute(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
    await connection.execute("SET LOCAL statement_timeout = 0")
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
    await _refuse_older_nodes(connection, now)
    for sql in await _plan(connection):
        await connection.execute(sql.encode())


async def _refuse_older_nodes(connection: _Connection, now: datetime) -> None:
    found = await _found(connection)
    if found is not None and found.version < WORKS_FROM:
        alive = "SELECT host, pid FROM nodes WHERE alive_until > %s"
        nodes = [f"{host}, process {pid}" async for host, pid in await connection.execute(alive, (milliseconds(now),))]
        if nodes:
            raise AlreadyRunning(
                f"gateways of an older version cannot work on the new tables, end them first: {'; '.join(nodes)}"
            )


async def _plan(connection: _Connection) -> list[str]:
    found = await _found(connection)
    if found is None:
        _refuse_encoding(connection)
    if found is not None and found.version >= VERSION:
        check(found)
        return []
    steps = [] if found is None else [spelt(sql) for of in range(found.version, VERSION) for sql in MIGRATIONS[of]]
    there = {name async for (name,) in await connection.execute(_NAMES)}
    missing = [sql for sql in statements() if (new := _NEW.match(sql)) is None or new[1] not in there]
    set_version = (
        f"INSERT INTO schema_version (id, version, works_from) VALUES (1, {VERSION}, {WORKS_FROM})"  # noqa: S608  # numbers
        " ON CONFLICT (id) DO UPDATE SET version = excluded.version, works_from = excluded.works_from"
    )
    return [*steps, *missing, VERSIONS, set_version]


def _refuse_server(connection: _Connection) -> None:
    version = connection.info.server_version // 10_000
    if version < OLDEST_SERVER:
        raise Unavailable(f"the server is PostgreSQL {version}, and this gateway needs {OLDEST_SERVER} or newer")


def _refuse_encoding(connection: _Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in WHOLE_ENCODINGS:
        raise Unavailable(
            f"the database has the encoding {encoding}, which lacks characters that customers' names have: make one by"
            " createdb --template=template0 --encoding=UTF8"
        )


async def _found(connection: _Connection) -> Found | None:
    known, foreign = await _row(connection, "SELECT to_regclass('schema_version'), to_regclass('payments')")
    if known is None and foreign is not None:
        raise Unavailable(
            "the database has a table payments that is not the gateway's: name an empty database in store.url"
        )
    return None if known is None else Found(*await _row(connection, "SELECT version, works_from FROM schema_version"))


async def _row(connection: _Connection, sql: LiteralString) -> tuple[Any, ...]:
    return (await (await connection.execute(sql)).fetchall())[0]


async def _in_transaction(url: str, act: Callable[[_Connection], Awaitable[_Result]]) -> _Result:
    try:
        async with await psycopg.AsyncConnection.connect(conninfo(url)) as connection:
            _refuse_server(connection)
            return await act(connection)
    except psycopg.Error as problem:
        kind = _InTheWay if problem.sqlstate in IN_THE_WAY else Unavailable
        raise kind(f"the tables of the store cannot be made or read: {why_refused(problem)}") from None


class _InTheWay(Unavailable):
    """Others held locks; nothing was changed."""
