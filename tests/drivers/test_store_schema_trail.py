"""What the gateway before version 5 left is there as it was: the audit trail, refused requests, the search index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.secret import Secret
from gateway.drivers.store.search_index import Wanted
from gateway.drivers.store.sqlite import open_sqlite
from gateway.flows.audit_chain import verify
from tests.support.factories.releases import left_by_release
from tests.support.factories.sqlite import beside

SECRET = Secret("now-" * 10)
"""The secret under which the trail of the kept store was written."""

ROWS = (
    "SELECT sequence, at, key_id, key_name, approved_by, approval_id, act, tenant, payment_id, subject, reason,"
    " details, previous_hash, hash, secret_id, mac FROM audit_log ORDER BY sequence"
)


@pytest.fixture
def before(path: Path) -> Path:
    """A store of version 4."""
    return left_by_release(path, 4)


def rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    """Read beside the store."""
    with beside(path) as look:
        return look.execute(sql).fetchall()


async def test_the_audit_trail_is_the_same_byte_by_byte(before: Path) -> None:
    """Every row is proved by the ones before, and the head by all."""
    written = rows(before, ROWS)
    store = await open_sqlite(before)
    found = await verify(store, [SECRET])
    await store.close()
    assert rows(before, ROWS) == written
    assert (found.rows, found.problems) == (3, ())


async def test_refused_requests_are_found_in_their_order(before: Path) -> None:
    """The newest first, and each before those that come."""
    store = await open_sqlite(before)
    found = await store.refused_requests.find("req_1")
    (newest,) = await store.refused_requests.find("req_2")
    await store.close()
    assert [one.tenant for one in found] == ["globex", "acme"]
    assert found[1].id < found[0].id < newest.id < "rfd_019"


async def test_what_was_indexed_is_found(before: Path) -> None:
    """It need not be indexed anew."""
    store = await open_sqlite(before)
    (hit,) = await store.search.hits(Wanted(terms=[99], before=100), [0], 9)
    progress = await store.search.progress()
    await store.close()
    assert (hit.place, hit.tenant, hit.payment_id) == (7, "acme", "pay_001")
    assert progress is not None
    assert progress.event_row == 1
