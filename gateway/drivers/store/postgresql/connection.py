"""One connection to PostgreSQL: whole batches of statements in one message and one answer (libpq's pipeline mode).

Everything that is sent before a Sync is one implicit transaction: the Sync commits all of it, or nothing. psycopg's
cursors do the same with three times the CPU; of psycopg this uses only connecting and the binding of libpq.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

MAX_PREPARED = 500
"""How many statements one connection keeps prepared; further ones (some texts vary) are sent unprepared."""

FIRST_PLANS = 32
"""After how many exchanges a connection discards its plans for the first time; then after twice as many, and so on.

A plan that was made for an almost empty table may read all rows of a tenant. It would be kept until PostgreSQL
analyzes the table, a minute later or never.
"""

DEFAULTS = {
    "connect_timeout": "5",
    "client_encoding": "utf-8",
    "target_session_attrs": "read-write",  # of several hosts the primary
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "application_name": "gateway",
}
"""Parameters of a connection, unless the URL says otherwise."""

_REACHED = re.compile(
    r"connection to server [^\n]+ failed: [^\n]+|failed to resolve host"
    r"|invalid \"?[a-z_]+\"? value(?=: )|bad value for connect_timeout|invalid port number"
    r"|could not parse network address"
)

Parameter = str | bytes | int | float | bool | None


def conninfo(url: str, **parameters: str) -> str:
    """What libpq is given for a URL. Raises ``psycopg.ProgrammingError`` for one that it does not understand.

    ``options`` of the URL follow those given here, and count where both name the same.
    """
    given = conninfo_to_dict(url)
    if "options" in parameters and "options" in given:
        given["options"] = f"{parameters['options']} {given['options']}"
    return make_conninfo("", **{**DEFAULTS, **parameters, **given})


def why_refused(problem: psycopg.Error) -> str:
    """Why connecting failed: in the server's or libpq's words if those cannot quote a URL's password."""
    if problem.diag.message_primary:
        return problem.diag.message_primary
    reached = _REACHED.search(str(problem))  # other texts may quote a part of a misread URL
    return reached[0] if reached else type(problem).__name__


class Lost(Exception):
    """The connection ended before the answer arrived: what was sent may or may not have been executed."""


class Command(NamedTuple):
    """One statement in PostgreSQL's own words, and its parameters."""

    sql: str
    params: Sequence[Parameter]


class Refused(Exception):
    """The server refused the command at ``place`` (from 0) and rolled back those before it. ``sqlstate`` says why."""

    def __init__(self, place: int, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.place, self.sqlstate = place, sqlstate


Outcome = list[pq.abc.PGresult] | Refused | Lost
"""The results of all commands, or why they are missing."""

Ended = Callable[[Outcome], None]
"""Called once."""

ENDING = ("08", "57P")
"""Classes of SQLSTATE with which the server ends the connection: what was sent may or may not have been executed."""

READ_ONLY = "25006"
"""The SQLSTATE of a write on a standby: the connection leads to a server that is not the primary any more."""

NO_TEXT = "22021"
"""The SQLSTATE of text that is not in UTF-8: half a surrogate pair is found before it is sent."""


class _Exchange:
    """Commands that were sent, and their results so far.

    ``sent`` has None for a command, the statement's text for its preparation, and "" for ``DISCARD PLANS``.
    """

    __slots__ = ("ended", "failed", "results", "sent")

    def __init__(self, ended: Ended) -> None:
        self.ended = ended
        self.sent: list[str | None] = []
        self.results: list[pq.abc.PGresult] = []
        self.failed: Refused | Lost | None = None


class Connection:
    """Carries one exchange at a time. A connection that ``is_lost`` is never used again."""

    def __init__(self, opened: psycopg.AsyncConnection[Any], answer_within: float) -> None:
        self._opened = opened  # whose end would close the connection
        self._pg = opened.pgconn
        self._answer_within = answer_within
        self._names: dict[str, bytes] = {}
        self._prepared = 0
        self._begun, self._plans_until = 0, FIRST_PLANS
        self._exchange: _Exchange | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._pg.nonblocking = 1
        self._pg.enter_pipeline_mode()
        self._socket = self._pg.socket
        self._loop.add_reader(self._socket, self._read)
        self.is_lost = False
        self.when_lost: Callable[[], None] = lambda: None
        """Called when it is lost, also while it is idle."""

    def begin(self, commands: Sequence[Command], ended: Ended) -> None:
        """Send commands as one transaction; ``ended`` is called with the outcome, also if they cannot be sent."""
        exchange = self._exchange = _Exchange(ended)
        self._deadline = self._loop.call_later(self._answer_within, self.lose, "no answer in time")
        try:
            encoded = [_encoded(command.params) for command in commands]  # all, before the first is sent
            self._plan_anew(exchange)
            for command, (values, formats) in zip(commands, encoded, strict=True):
                self._send(command.sql, values, formats, exchange)
            self._pg.pipeline_sync()
            self._write()
        except UnicodeEncodeError as problem:
            self._loop.call_soon(self._end, Refused(0, NO_TEXT, str(problem)))
        except psycopg.Error as problem:
            self._loop.call_soon(self.lose, str(problem))

    def close(self) -> None:
        """End the connection now."""
        self.lose("closed")

    def lose(self, why: str) -> None:
        """Close the connection for good; a running exchange ends with ``Lost``."""
        if self.is_lost:
            return
        self.is_lost = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pg.finish()
        self._end(Lost(why))
        self.when_lost()

    def _plan_anew(self, exchange: _Exchange) -> None:
        self._begun += 1
        if self._begun > self._plans_until:
            self._plans_until *= 2
            self._pg.send_query_params(b"DISCARD PLANS", None)
            exchange.sent.append("")

    def _send(self, sql: str, values: list[bytes | None], formats: list[int], exchange: _Exchange) -> None:
        name = self._names.get(sql)
        if name is None and self._prepared < MAX_PREPARED:
            self._prepared += 1
            name = self._names[sql] = b"s%d" % self._prepared
            self._pg.send_prepare(name, sql.encode())
            exchange.sent.append(sql)
        exchange.sent.append(None)
        if name is None:
            self._pg.send_query_params(sql.encode(), values, param_formats=formats)
        else:
            self._pg.send_query_prepared(name, values, formats)

    def _write(self) -> None:
        if self._pg.flush():
            self._loop.add_writer(self._socket, self._write_more)

    def _write_more(self) -> None:
        try:
            if not self._pg.flush():
                self._loop.remove_writer(self._socket)
        except psycopg.Error as problem:
            self.lose(str(problem))

    def _read(self) -> None:
        try:
            self._pg.consume_input()
            while self._exchange is not None and not self._pg.is_busy():
                # None ends the answer to one command; a second one that there is nothing more.
                result = self._pg.get_result() or (None if self._pg.is_busy() else self._pg.get_result())
                if result is None:
                    break
                self._take(result, self._exchange)
        except psycopg.Error as problem:
            self.lose(str(problem))
        if self._pg.status == pq.ConnStatus.BAD:
            self.lose("the server ended the connection")

    def _take(self, result: pq.abc.PGresult, exchange: _Exchange) -> None:
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            self._end(exchange.failed or exchange.results)
            return
        is_good = result.status in _GOOD
        prepared = exchange.sent.pop(0) if exchange.sent else None
        if prepared is not None and not is_good:
            self._names.pop(prepared, None)
        elif prepared is None and is_good:
            exchange.results.append(result)
        if result.status == pq.ExecStatus.FATAL_ERROR and exchange.failed is None:
            exchange.failed = _failure(result, len(exchange.results))

    def _end(self, outcome: Outcome) -> None:
        exchange, self._exchange = self._exchange, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if isinstance(outcome, Lost) or (isinstance(outcome, Refused) and outcome.sqlstate == READ_ONLY):
            self.lose(str(outcome))
        if exchange is not None:
            exchange.ended(outcome)


_GOOD = (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK)


def _failure(result: pq.abc.PGresult, place: int) -> Refused | Lost:
    state = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"08006").decode()
    if state.startswith(ENDING):
        return Lost(f"SQLSTATE {state}")
    message = result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""
    return Refused(place, state, message.decode("utf-8", "replace"))


def _encoded(params: Sequence[Parameter]) -> tuple[list[bytes | None], list[int]]:
    """Parameters as libpq takes them: bytes as they are, all else as text, in which U+FFFD replaces a zero byte."""
    values: list[bytes | None] = []
    formats: list[int] = []
    for value in params:
        kind = type(value)
        formats.append(kind is bytes)
        if kind is str:
            values.append((value if "\0" not in value else value.replace("\0", "\ufffd")).encode())  # type: ignore[union-attr, operator, arg-type]
        elif value is None or kind is bytes:
            values.append(value)  # type: ignore[arg-type]
        elif kind is bool:
            values.append(b"t" if value else b"f")
        else:
            values.append(str(value).encode())
    return values, formats


def _bytes(text: bytes) -> bytes:
    return bytes.fromhex(text[2:].decode())


def _whole(text: bytes) -> int | float:
    return int(text) if text.isdigit() or text[1:].isdigit() else float(text)


_READ_AS: dict[int, Callable[[bytes], Any]] = {
    16: lambda text: text == b"t",  # boolean
    17: _bytes,  # bytea
    20: int,  # bigint
    21: int,
    23: int,
    700: float,
    701: float,
    1700: _whole,  # numeric, of sums
}
"""By the number of a type: how its text becomes a value. All others are texts."""


def rows_of(result: pq.abc.PGresult) -> list[tuple[Any, ...]]:
    """The rows of an answer."""
    width = range(result.nfields)
    readers = [_READ_AS.get(result.ftype(column), bytes.decode) for column in width]
    value = result.get_value
    return [
        tuple([None if (text := value(row, column)) is None else readers[column](text) for column in width])
        for row in range(result.ntuples)
    ]
