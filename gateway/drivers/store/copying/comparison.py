"""Whether two stores hold the same: rows and a hash of each table and tenant, whatever engine they are in."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from gateway.drivers.store.copying.tables import KEYS, Row, columns_of, pages
from gateway.drivers.store.reads import Store

_MODULUS = 2**256

ZERO_BYTE, IN_ITS_PLACE = rb"\u0000", "\ufffd".encode()
"""As they are in JSON."""


class Content(msgspec.Struct, frozen=True):
    """How many rows, and the sum of their SHA-256 in hex. A sum: engines have orders of their own."""

    rows: int = 0
    hash: str = f"{0:064x}"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One table of one tenant in both stores; ``tenant`` is empty in tables that are the gateway's own."""

    table: str
    tenant: str
    source: Content
    target: Content

    @property
    def is_equal(self) -> bool:
        """Whether both hold the same rows."""
        return self.source == self.target


Contents = Mapping[tuple[str, str], Content]
"""By table and tenant."""


async def contents(store: Store, *, tables: Sequence[str] = tuple(KEYS), tenant: str | None = None) -> Contents:
    """Read everything, page by page."""
    return {
        (table, name): content for table in tables for name, content in (await _content(store, table, tenant)).items()
    }


async def _content(store: Store, table: str, tenant: str | None) -> Mapping[str, Content]:
    key, columns = len(KEYS[table]), columns_of(table)
    place = key + columns.index("tenant") if "tenant" in columns else None
    rows: dict[str, int] = defaultdict(int)
    sums: dict[str, int] = defaultdict(int)
    async for page in pages(store, table, tenant=tenant):
        for row in page:
            name = "" if place is None else row[place] or ""
            rows[name] += 1
            sums[name] += _number(row[key:])
    return {name: Content(rows[name], f"{sums[name] % _MODULUS:064x}") for name in sorted(rows)}


def _number(row: Row) -> int:
    """The SHA-256 of a row. As JSON a row is the same text from every engine; bytes are base64 in it.

    PostgreSQL's texts have no zero bytes: its engine writes something in their place.
    """
    text = msgspec.json.encode(row).replace(ZERO_BYTE, IN_ITS_PLACE)
    return int.from_bytes(hashlib.sha256(text).digest())


def compared(source: Contents, target: Contents) -> list[Compared]:
    """Both, side by side: by table in the order of ``KEYS``, then by tenant."""
    order = {table: place for place, table in enumerate(KEYS)}
    return [
        Compared(table=table, tenant=tenant, source=source.get(key, Content()), target=target.get(key, Content()))
        for key in sorted({*source, *target}, key=lambda key: (order[key[0]], key[1]))
        for table, tenant in (key,)
    ]
