"""The audit trail in the store: rows join the transaction of their act, follow one another, and stay as they are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.core.errors import Conflict, Unavailable
from gateway.drivers.store.approvals import insert
from gateway.drivers.store.audit import AuditContent, AuditFilter, AuditHead, append, hash_of, hmac_sha256_hex
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import Statement
from tests.support import stores
from tests.support.factories.approvals import WAITING
from tests.support.factories.payments import AT, LATER

KEY = "k"
FAILS = Statement("DELETE FROM payments", (), "nothing")


def content(number: int = 1, **changes: Any) -> AuditContent:
    """An act."""
    members: dict[str, Any] = {
        "at": number,
        "key_id": "k1",
        "key_name": "Dana",
        "approved_by": None,
        "approval_id": None,
        "act": "reviews.resolve",
        "tenant": "acme",
        "payment_id": f"pay_{number}",
        "subject": None,
        "reason": 'it\'s "fine" — \u2028 ä',
        "details": '{"n":1}',
        "secret_id": "now",
    }
    return AuditContent(**{**members, **changes})


async def write(store: Store, *rows: AuditContent) -> None:
    """Append rows, each in a unit of its own, at the same time."""
    await asyncio.gather(*(store.commit("acme", [append(row, KEY)]) for row in rows))


async def test_each_row_holds_the_hash_of_the_one_before(store: Store) -> None:
    """Also where several units share a transaction; the head is the newest one's."""
    await write(store, *map(content, range(1, 6)))
    rows = await store.audit.after(0, 10)
    assert [row.sequence for row in rows] == [1, 2, 3, 4, 5]
    assert [row.previous_hash for row in rows] == ["", *(row.hash for row in rows[:-1])]
    heads = [AuditHead(), *(AuditHead(sequence=row.sequence, hash=row.hash, mac=row.mac) for row in rows)]
    assert [row.hash for row in rows] == [hash_of(*pair) for pair in zip(heads, rows, strict=False)]
    assert [row.mac for row in rows] == [hmac_sha256_hex(KEY, row.hash) for row in rows]
    assert await store.audit.head() == heads[-1]


async def test_an_act_that_fails_leaves_no_row_and_no_gap(store: Store) -> None:
    """The row is written with the act or not at all, wherever it stands in the unit."""
    with pytest.raises(Conflict):
        await store.commit("acme", [append(content(), KEY), FAILS])
    await write(store, content())
    assert [row.sequence for row in await store.audit.after(0, 10)] == [1]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_log SET reason = 'other'",
        "DELETE FROM audit_log",
        "INSERT INTO audit_log (sequence, at, key_id, act, details, previous_hash, hash, secret_id, mac)"
        " SELECT 7, at, key_id, act, details, previous_hash, hash, secret_id, mac FROM audit_log",
    ],
)
async def test_rows_are_not_changed(store: Store, store_url: str, sql: str) -> None:
    """Neither by the gateway's own connection nor by another, while the triggers are there."""
    await write(store, content())
    with pytest.raises(Unavailable):
        await store.commit("acme", [Statement(sql, ())])
    with stores.beside(store_url) as other, pytest.raises(stores.ERRORS, match="append-only"):
        other.run(sql)


async def test_without_the_head_nothing_is_appended(store: Store) -> None:
    """An act that cannot be recorded is not done."""
    await store.commit("acme", [Statement("DELETE FROM audit_head", ())])
    with pytest.raises(Conflict):
        await write(store, content())


@pytest.mark.parametrize(
    ("chosen", "numbers"),
    [
        ({}, [3, 2, 1]),
        ({"tenant": "globex"}, [2]),
        ({"payment_id": "pay_1"}, [1]),
        ({"key_id": "k2"}, [3, 2]),
        ({"since": AT}, [3, 2]),
        ({"until": LATER}, [2, 1]),
        ({"cursor": "3"}, [2, 1]),
        ({"limit": 1}, [3]),
    ],
)
async def test_the_list_is_newest_first(store: Store, chosen: dict[str, Any], numbers: list[int]) -> None:
    """By tenant, payment, key (that acted or approved) and time; a cursor is the number of a row."""
    at, later = (int(one.timestamp() * 1000) for one in (AT, LATER))
    await write(store, content(1))
    await write(store, content(2, tenant="globex", key_id="k2", at=at))
    await store.commit("acme", [insert(WAITING)])
    await write(store, content(3, approved_by="k2", approval_id=WAITING.id, at=later))
    found = await store.audit.newest(AuditFilter(**{"limit": 10, **chosen}))
    assert [row.sequence for row in found] == numbers
