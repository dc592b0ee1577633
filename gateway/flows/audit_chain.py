"""Check the chain of the audit trail: is every row as it was written, and is every row there?"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from gateway.core.secret import Secret
from gateway.core.signing import same
from gateway.drivers.store.audit import AuditHead, AuditRow, hash_of, hmac_sha256_hex
from gateway.drivers.store.reads import Store
from gateway.flows.audit import key_of, secret_id_of

PAGE = 500
"""Rows that are read at a time."""

MOST_NAMED = 20
"""Problems that are named."""


class Kept(NamedTuple):
    """Number and hash of a row, as somebody wrote them down elsewhere."""

    sequence: int
    hash: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found: nothing in ``problems`` where the trail is whole. ``head`` is the newest row."""

    rows: int
    head: AuditHead
    problems: tuple[str, ...]


class _Chain:
    """The rows read so far. ``proved``: number of the last whose keyed hash is known to be the gateway's."""

    def __init__(self, secrets: Collection[Secret], kept: Kept | None) -> None:
        self._keys = {secret_id_of(secret): key_of(secret) for secret in secrets}
        self.last = AuditHead()
        self.rows = 0
        self.proved = 0
        self.kept = kept
        self.problems: list[str] = []

    def add(self, row: AuditRow) -> None:
        """Check the next row against the one before."""
        last = self.last.sequence
        if row.sequence != last + 1:
            self.problems.append(f"rows {last + 1} to {row.sequence - 1} are missing")
        elif row.previous_hash != self.last.hash:
            self.problems.append(f"row {row.sequence} does not follow row {last}: one of them is not the one written")
        elif hash_of(self.last, row) != row.hash:
            self.problems.append(f"row {row.sequence} or the keyed hash of the row before was changed")
        key = self._keys.get(row.secret_id)
        if key is not None and same(hmac_sha256_hex(key, row.hash), row.mac):
            self.proved = row.sequence
        elif key is not None:
            self.problems.append(f"row {row.sequence} was not written by the gateway: its keyed hash is another")
        self.rows += 1
        self.last = AuditHead(sequence=row.sequence, hash=row.hash, mac=row.mac)
        if self.kept == Kept(row.sequence, row.hash):
            self.kept = None

    def end(self, before: AuditHead | None, after: AuditHead | None) -> None:
        """Compare with the heads that the store had before and after the rows were read."""
        last = self.last.sequence
        if before is None or after is None:
            self.problems.append("the note of the newest row (audit_head) is gone")
        elif before.sequence > last:
            self.problems.append(f"rows {last + 1} to {before.sequence} are missing at the end")
        elif after.sequence < last or (after.sequence == last and after != self.last):
            self.problems.append(f"row {last} is not the newest one that was written")
        if self.proved < last:
            self.problems.append(f"no secret of the settings proves the rows after {self.proved}")
        if self.kept is not None:
            self.problems.append(f"row {self.kept.sequence} with the hash that was kept is not there")


async def verify(store: Store, secrets: Collection[Secret], kept: Kept | None = None) -> Verified:
    """Read the whole trail, beside a running gateway too. ``secrets``: in the settings. Raises ``Unavailable``."""
    chain = _Chain(secrets, kept)
    # A row is written together with the head, so neither can be ahead of the other but for what comes meanwhile.
    before = await store.audit.head()
    while rows := await store.audit.after(chain.last.sequence, PAGE):
        for row in rows:
            chain.add(row)
    chain.end(before, await store.audit.head())
    return Verified(rows=chain.rows, head=chain.last, problems=tuple(chain.problems[:MOST_NAMED]))
