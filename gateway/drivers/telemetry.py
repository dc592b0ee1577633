"""Logs: one JSON object per line on stderr. What is not listed here never reaches a log.

A record of the gateway is a fixed sentence plus fields of ``FIELDS``. Of a library's record only its place is logged,
of an exception only its type and its stack's places: their texts quote URLs, headers and what came over the wire. What
a library repeats is one line a minute (``log_throttle.py``). Lines are written in batches (``log_lines.py``).
"""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import time
import traceback
import zlib
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import msgspec

from gateway.core.views import rfc3339
from gateway.drivers.log_lines import BatchedLines, taking_turns
from gateway.drivers.log_throttle import GATEWAY_LOGGER, THROTTLED_FIELDS, RepeatFilter, is_from_gateway

FIELDS = (
    "request_id",
    "method",
    "route",
    "status",
    "milliseconds",
    "tenant",
    "account",
    "provider",
    "provider_status",
    "payment_id",
    "operation_id",
    "callback_id",
    "reason",
    "detail",
    "note",
    "code",
    "problem",
    "fields",
    "error",
    "kind",
    "work",
    "plugin",
    "distribution",
    "version",
    "hash",
    "member",
    "map",
    "place",
    "operator",
    "key",
    "delivery_id",
    "host",
    "target",
    "address",
    "repeated",
    "descriptors",
    "callers",
    "operators",
    "outgoing",
    "leaving",
    "worker",
    "pid",
)
"""The extra fields a record may carry, in the order they are written. All others are dropped."""

LIBRARY_MESSAGE = "a library logged"
"""Stands for the message of every logger that is not ours."""

current_request: ContextVar[str | None] = ContextVar("current_request", default=None)
"""The id of the request that what runs now is done for, also after its answer; None for the gateway's own work."""

about_request: ContextVar[dict[str, object] | None] = ContextVar("about_request", default=None)
"""What is known of that request, for its line; None once it is answered."""

_LONGEST = 1000  # characters of one field: a log line is read by people
_DEEPEST = 5  # causes of causes logged of one exception

_log = logging.getLogger(GATEWAY_LOGGER)


class Sample(logging.Filter):
    """Lets a share of what is healthy through: all lines of a request, or none.

    Warnings, requests that were refused, what operators do, and what belongs to no request always go through.
    """

    share = 1.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written."""
        return record.levelno >= logging.WARNING or self.has(vars(record))

    def has(self, fields: Mapping[str, Any]) -> bool:
        """Whether a line of level info with these fields is written."""
        if self.share >= 1 or "operator" in fields or (fields.get("status") or 0) >= 400:
            return True
        request_id = fields.get("request_id") or current_request.get()
        return request_id is None or zlib.crc32(request_id.encode()) < self.share * 2**32


_sample = Sample()

_process: dict[str, object] = {}
"""What every line of this process says beside; nothing where the gateway is one process."""


class JsonLines(logging.Formatter):
    """Write a record as one line of JSON: time, level, message, fields, exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Format one record. Arguments of the message are never filled in: they are not on the list."""
        if is_from_gateway(record):
            message, place = str(record.msg), {}
        else:
            message, place = LIBRARY_MESSAGE, {"logger": record.name, "place": f"{record.pathname}:{record.lineno}"}
        given, request_id = vars(record), current_request.get()
        if request_id is not None and "request_id" not in given:
            given = {**given, "request_id": request_id}
        line = _members(record.created, record.levelname.lower(), message, given, place)
        if record.exc_info and record.exc_info[1] is not None and "repeated" not in line:
            line["exception"] = exception_told(record.exc_info[1])
        return _as_json(line)


def log_often(message: str, fields: Mapping[str, object]) -> None:
    """Log at level info a line that every request has. Where nobody else listens it may wait for others."""
    if not _log.isEnabledFor(logging.INFO) or not _sample.has(fields):
        return
    handlers = logging.getLogger().handlers
    if len(handlers) == 1 and isinstance(handlers[0], BatchedLines) and THROTTLED_FIELDS.isdisjoint(fields):
        handlers[0].take(functools.partial(_often_line, time.time(), message, fields))
    else:
        _log.info(message, extra=fields)


def exception_told(error: BaseException, depth: int = 0) -> dict[str, Any]:
    """Describe an exception without its text: type, ``file:line`` of its stack (outermost first), what it came from."""
    described: dict[str, Any] = {
        "type": type(error).__qualname__,
        "stack": [f"{frame.f_code.co_filename}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)],
    }
    origins = _origins(error) if depth < _DEEPEST else []
    if origins:
        described["from"] = [exception_told(origin, depth + 1) for origin in origins]
    return described


def setup_logging() -> None:
    """Send every log of this process to stderr as JSON lines, as ``use_level`` says or else ours from INFO."""
    handler = BatchedLines(sys.stderr)
    handler.setFormatter(JsonLines())
    handler.addFilter(_sample)
    handler.addFilter(RepeatFilter())
    logging.basicConfig(handlers=[handler], force=True)
    use_level("info", 1)
    logging.captureWarnings(True)
    # Else a handler that fails prints the record with all it carries.
    logging.raiseExceptions = False
    # No line names them, and finding them out costs as much as writing a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sys.excepthook = _log_uncaught


def share_lines(lock: int) -> None:
    """Write to stderr in turn with the processes that are started from here on. ``lock``: an open file of theirs."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, BatchedLines):
            handler.turn = functools.partial(taking_turns, lock)


def as_worker(number: int) -> None:
    """Name the process in each line."""
    _process.update(worker=number, pid=os.getpid())


def use_level(level: str, sample: float) -> None:
    """Write our lines from a level on, libraries' from WARNING or that level on, and this share of healthy ones."""
    number = logging.getLevelNamesMapping()[level.upper()]
    _log.setLevel(number)
    logging.getLogger().setLevel(max(number, logging.WARNING))
    _sample.share = sample


def _often_line(at: float, message: str, fields: Mapping[str, object]) -> str:
    return _as_json(_members(at, "info", message, fields, {}))


def _as_json(line: dict[str, Any]) -> str:
    """One line of JSON in printable ASCII: terminals and collectors read it in whatever encoding they expect."""
    try:
        text = msgspec.json.format(msgspec.json.encode(line), indent=0).decode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(line)
    # The other one escapes all else, and takes twice as long.
    return text if text.isascii() and text.isprintable() else json.dumps(line)


def _members(
    at: float, level: str, message: str, given: Mapping[str, object], place: Mapping[str, str]
) -> dict[str, Any]:
    """What a line says, in the order of ``FIELDS``. ``at``: Unix seconds."""
    shown: dict[str, object] = {}
    for name in FIELDS:
        if name in given:
            value = given[name]
            shown[name] = value[:_LONGEST] if type(value) is str else _plain(value)
    time_stamp = rfc3339(datetime.fromtimestamp(at, UTC))
    return {"time": time_stamp, "level": level, "message": message, **place, **_process, **shown}


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last line of a process that dies: Python's own would print the exception's text."""
    _log.critical("the process ends by a fault", exc_info=(kind, error, trace))


def _origins(error: BaseException) -> list[BaseException]:
    members = list(error.exceptions) if isinstance(error, BaseExceptionGroup) else []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return [*members, *([cause] if cause is not None else [])]


def _plain(value: object) -> object:
    """A scalar as it is; of anything else only its type, because nobody knows what its text would show."""
    if isinstance(value, str):
        return value[:_LONGEST]
    return value if value is None or isinstance(value, bool | int | float) else type(value).__name__
