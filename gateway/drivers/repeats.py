"""A library or a plugin that fails in the same way again and again gets one line a minute: a full disk helps nobody."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from types import TracebackType

EVERY = 60.0
"""Seconds between two lines about the same thing."""

MOST_PLACES = 1000
"""Places that are remembered; the one that came first is forgotten first."""

OURS = "gateway"


def is_ours(record: logging.LogRecord) -> bool:
    """Whether the gateway itself wrote it, and not a library."""
    return record.name == OURS or record.name.startswith(f"{OURS}.")


class OncePerMinute(logging.Filter):
    """Lets the first of equal records of a library or about a plugin through, then one a minute.

    ``repeated`` says how many came since. Equal are records of one logger and place, with the same kind of exception
    from the same place; about plugins (with a ``member``) those of one account, member and mistake.
    """

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[Hashable, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written."""
        if is_ours(record) and "member" not in vars(record):
            return True
        key = _key(record)
        last = self._written.get(key)
        if last is None:
            self._remember(key, record)
            return True
        since, unwritten = last
        if record.created - since < EVERY:
            self._written[key] = since, unwritten + 1
            return False
        vars(record)["repeated"] = unwritten + 1
        self._written[key] = record.created, 0
        return True

    def _remember(self, key: Hashable, record: logging.LogRecord) -> None:
        if len(self._written) >= MOST_PLACES:
            del self._written[next(iter(self._written))]
        self._written[key] = record.created, 0


def _key(record: logging.LogRecord) -> Hashable:
    kind, _, trace = record.exc_info or (None, None, None)
    plugin = tuple(vars(record).get(name) for name in ("tenant", "account", "member", "kind"))
    return record.name, record.pathname, record.lineno, kind, _raised_at(trace), plugin


def _raised_at(trace: TracebackType | None) -> tuple[str, int] | None:
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno
