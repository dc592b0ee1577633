"""The acts of several audit trails in one list, newest first: each store numbers its own rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from heapq import nlargest
from operator import attrgetter

from msgspec.structs import replace

from gateway.drivers.store.audit import AuditFilter, AuditRow
from gateway.drivers.store.reads import Store
from gateway.drivers.store.rows import from_milliseconds

MILLISECOND = timedelta(milliseconds=1)


class PlacedRow(AuditRow, frozen=True, kw_only=True):
    """A row of one of several trails; ``part`` is the number of its store."""

    part: int

    @property
    def cursor(self) -> str:
        """By time first, since its number says nothing in the other trails: 27 digits."""
        return f"{self.at:015}{self.part:02}{self.sequence:010}"


async def newest_acts(parts: Sequence[Store], wanted: AuditFilter) -> list[AuditRow]:
    """Rows of all trails. Raises ``Unavailable``."""
    found = [
        PlacedRow(**{name: getattr(row, name) for name in AuditRow.__struct_fields__}, part=number)
        for number, part in enumerate(parts)
        for row in await part.audit.newest(_rest_of(number, wanted))
    ]
    return nlargest(wanted.limit, found, key=attrgetter("cursor"))


def _rest_of(number: int, wanted: AuditFilter) -> AuditFilter:
    """What is left of one trail behind the cursor."""
    if wanted.cursor is None:
        return wanted
    whole = wanted.cursor.zfill(27)
    at, part, sequence = from_milliseconds(int(whole[:15])), int(whole[15:17]), whole[17:]
    if number == part:
        return replace(wanted, cursor=sequence)
    until = at + MILLISECOND if number < part else at
    return replace(wanted, cursor=None, until=min(until, wanted.until or datetime.max.replace(tzinfo=until.tzinfo)))
