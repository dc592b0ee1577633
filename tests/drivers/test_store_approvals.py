"""Approvals in the store: the row of an act ends the one that it uses, or is not written."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store.approvals import end, insert
from gateway.drivers.store.audit import AuditContent, append
from gateway.drivers.store.reads import Store
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.statements import Statement
from tests.support import stores
from tests.support.factories.approvals import WAITING
from tests.support.factories.payments import AT
from tests.support.factories.sqlite import beside

OLD_TRIGGER = """
    CREATE TRIGGER approval_is_used AFTER INSERT ON audit_log WHEN new.approved_by IS NOT NULL
    BEGIN UPDATE approvals SET status = 'approved' WHERE id = new.approval_id AND status = 'open'; END"""


def act(approval_id: str = WAITING.id) -> Statement:
    """The row of an act that Dana approved."""
    row = AuditContent(
        at=5,
        key_id="kim",
        key_name=None,
        approved_by="dana",
        approval_id=approval_id,
        act="payments.resolve",
        tenant="acme",
        payment_id="pay_1",
        subject=None,
        reason=None,
        details="{}",
        secret_id="now",
    )
    return append(row, "k")


async def test_an_act_ends_its_approval(store: Store) -> None:
    """In its own transaction; the body is forgotten."""
    await store.commit("acme", [insert(WAITING)])
    await store.commit("acme", [act()])
    found = await store.approvals.find(WAITING.id)
    assert found is not None
    assert (found.status, found.decided_by, found.decided_at, found.body) == ("approved", "dana", 5, None)


@pytest.mark.parametrize("status", ["rejected", "approved", None])
async def test_without_an_open_approval_the_act_is_not_done(store: Store, store_url: str, status: str | None) -> None:
    """Nothing of its unit is written, whatever the gateway has checked before."""
    if status is not None:
        await store.commit(
            "acme", [insert(WAITING), act() if status == "approved" else end(WAITING.id, status, by="d", at=AT)]
        )
    before = await store.audit.head()
    with pytest.raises(Unavailable):
        await store.commit("acme", [Statement("INSERT INTO moments (name, at) VALUES ('done', 1)", ()), act()])
    with stores.beside(store_url) as other:
        assert other.run("SELECT count(*) FROM moments WHERE name = 'done'") == [(0,)]
    assert await store.audit.head() == before


async def test_a_store_with_the_earlier_trigger_is_as_strict(store: Store, path: Path) -> None:
    """Opening it replaces the one that let such an act pass."""
    await store.close()
    with beside(path) as other:
        other.execute("DROP TRIGGER approval_is_used_once")
        other.execute(OLD_TRIGGER)
    opened = await open_sqlite(path)
    try:
        with pytest.raises(Unavailable):
            await opened.commit("acme", [act()])
        with beside(path) as other:
            names = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'approval%'"
            assert other.execute(names).fetchall() == [("approval_is_used_once",)]
    finally:
        await opened.close()
