"""What reads have in common: conditions, lists of values, rows as Structs, times."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from heapq import nlargest
from typing import Any, Protocol, TypeVar

import msgspec

from gateway.core.ids import time_ordered
from gateway.core.views import optional_rfc3339
from gateway.drivers.clock import EPOCH, milliseconds

Row = TypeVar("Row", bound=msgspec.Struct)


class PageRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a list that is read: at most ``limit`` rows beyond ``cursor``, the id of the last row before them."""

    limit: int
    cursor: str | None = None


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


S = TypeVar("S", bound=PageRequest)
Listed = TypeVar("Listed", bound=_WithId)


def where(*conditions: tuple[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Join the conditions whose value is given with AND; return them and these values."""
    given = [(sql, value) for sql, value in conditions if value is not None]
    return " AND ".join(sql for sql, _ in given), tuple(value for _, value in given)


def columns(kind: type[msgspec.Struct]) -> str:
    """The columns that make a Struct, as ``members`` reads them."""
    return ", ".join(kind.__struct_fields__)


def members(kind: type[msgspec.Struct], row: Sequence[Any]) -> dict[str, Any]:
    """A row of the columns of a Struct, by name."""
    return dict(zip(kind.__struct_fields__, row, strict=True))


def made_of(kind: type[Row], row: Sequence[Any]) -> Row:
    """A row of the columns of a Struct as that Struct."""
    return kind(**members(kind, row))


async def newest_of(
    tenants: Sequence[str], newest: Callable[[str, S], Awaitable[Sequence[Listed]]], wanted: S
) -> list[Listed]:
    """The newest rows of several tenants: ids are time-ordered, also across tenants.

    Each tenant is read by itself, as an index has its rows.
    """
    found = [row for tenant in tenants for row in await newest(tenant, wanted)]
    return nlargest(wanted.limit, found, key=lambda row: row.id)


def first_id(prefix: str, at: datetime) -> str:
    """The least id that can be made at a time: ids are time-ordered, so it bounds a range of them."""
    return time_ordered(prefix, milliseconds(at), 0, 0)


def from_milliseconds(at: int) -> datetime:
    """A time column as a time."""
    return EPOCH + timedelta(milliseconds=at)


def optional_text(at: int | None) -> str | None:
    """A time column that may be empty, as it is shown: RFC 3339."""
    return optional_rfc3339(optional_from_milliseconds(at))


def optional_from_milliseconds(at: int | None) -> datetime | None:
    """The same for a time that may be absent."""
    return None if at is None else from_milliseconds(at)
