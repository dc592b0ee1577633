"""Limit repeated log lines about the same failure to a few a minute, so that they do not fill the disk."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from types import TracebackType

WINDOW_SECONDS = 60.0
"""Seconds between two lines about the same thing."""

MAX_SIMILAR_LINES = 20
"""Lines a minute about one account's callbacks that are refused for the same reason, since anybody can send them, or
about its operations of one kind whose outcome is unknown, since a broken bridge makes one with every payment."""

SIMILAR_FIELDS = frozenset({"callback_id", "note"})
"""Members that such lines have."""

MAX_KEYS = 1000
"""Places that are remembered; the one that came first is forgotten first."""

THROTTLED_FIELDS = frozenset({"member", "delivery_id", "map", *SIMILAR_FIELDS})
"""Fields by which a line of the gateway itself is known to be one of many."""

GATEWAY_LOGGER = "gateway"


def is_from_gateway(record: logging.LogRecord) -> bool:
    """Whether the gateway itself wrote it, and not a library."""
    return record.name == GATEWAY_LOGGER or record.name.startswith(f"{GATEWAY_LOGGER}.")


class RepeatFilter(logging.Filter):
    """Lets the first of equal records of a library or about a plugin through, then one a minute.

    ``repeated`` says how many came since. Equal are records of one logger and place, with the same kind of exception
    from the same place; about plugins (with a ``member``) those of one account, member and mistake. Of refused
    callbacks (with a ``callback_id``) those of one account and reason are equal, of operations with unknown outcomes
    (with a ``note``) those of one account and kind; ``MAX_SIMILAR_LINES`` a minute of these go through.
    Of webhooks that were not sent (with a ``delivery_id``) those of one tenant, host and reason are equal, of reply
    maps that failed (with a ``map``) those of one tenant and map.
    """

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[Hashable, tuple[float, int]] = {}  # the minute's beginning, records in it

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written."""
        given = vars(record)
        if is_from_gateway(record) and THROTTLED_FIELDS.isdisjoint(given):
            return True
        key, most = _key(record), 1 if SIMILAR_FIELDS.isdisjoint(given) else MAX_SIMILAR_LINES
        since, came = self._written.get(key, (record.created, 0))
        if record.created - since < WINDOW_SECONDS:
            self._remember(key, since, came + 1)
            return came < most
        if came >= most:
            given["repeated"] = came - most + 1
        self._remember(key, record.created, 1)
        return True

    def _remember(self, key: Hashable, since: float, came: int) -> None:
        if key not in self._written and len(self._written) >= MAX_KEYS:
            del self._written[next(iter(self._written))]
        self._written[key] = since, came


def _key(record: logging.LogRecord) -> Hashable:
    kind, _, trace = record.exc_info or (None, None, None)
    about = tuple(vars(record).get(name) for name in ("tenant", "account", "host", "member", "map", "kind", "reason"))
    return record.name, record.pathname, record.lineno, kind, _raised_at(trace), about


def _raised_at(trace: TracebackType | None) -> tuple[str, int] | None:
    if trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_filename, trace.tb_lineno
