"""Several databases as one store: what is read and written where, and what one that is down stops."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from msgspec.structs import replace

from gateway.core import documents
from gateway.core.errors import TenantMoves, Unavailable
from gateway.drivers.settings import Settings, load_settings
from gateway.drivers.store import approvals, claims, databases, inbox, many, moves, nodes
from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.many import ManyStores
from gateway.drivers.store.moves import Move, Step
from gateway.drivers.store.opening import open_stores
from gateway.drivers.store.pending_erasures import ask_to_erase
from gateway.drivers.store.queues import Queue
from gateway.drivers.store.reads import Store
from gateway.drivers.store.rows import PageRequest
from gateway.drivers.store.statements import NO_TENANT, Statement
from tests.drivers.test_store_approvals import WAITING
from tests.drivers.test_store_nodes import node_row
from tests.support.factories.payments import AT
from tests.support.factories.store_units import a_callback, create_of, reserving
from tests.support.shared_engine import shared_database, shared_store
from tests.support.virtual_clock import VirtualClock


def settings_of(folder: Path, names: Sequence[str] = ("main", "eu"), urls: Mapping[str, str] | None = None) -> Settings:
    """Two stores, or those named, or those of these URLs: acme is in eu, globex in the first."""
    tenants: dict[str, Any] = {"acme": {"store": "eu"}, "globex": {}}
    files = {name: f"sqlite:///{name}/gateway.db" for name in names}
    stores = {name: {"url": url} for name, url in (urls or files).items()}
    server = {"secret": "test-master-secret-of-forty-characters-00", "development": True}
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump({"server": server, "stores": stores, "tenants": tenants}))
    return load_settings(path, providers={}, environ={})


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ManyStores]:
    """Both, open and empty."""
    opened = await open_stores(settings_of(tmp_path))
    assert isinstance(opened, ManyStores)
    yield opened
    await opened.close()


async def paid(store: Store, tenant: str, number: int) -> str:
    """A payment of a tenant, whose create is on its way."""
    payment, operation = create_of(number, tenant=tenant)
    await store.commit(tenant, reserving(payment, operation))
    return payment.id


def test_every_read_has_its_place() -> None:
    """A read that names no tenant is in exactly one of the tables."""
    named = [*many.FROM_ALL, *many.FROM_AVAILABLE, *many.FROM_ONE, many.MERGED_BY_TIME]
    reads, of_a_tenant = set(), set()
    for group, kind in {"": Store, **many.GROUPS}.items():
        for name in many.reads_of(kind):
            first = [*inspect.signature(getattr(kind, name)).parameters][1:2]
            (of_a_tenant if first in (["tenant"], ["payment"]) else reads).add(f"{group}.{name}".lstrip("."))
    assert len(named) == len(set(named))
    assert {*named} == reads - {"prove_writable"}


async def test_nothing_of_a_store_is_missing(store: ManyStores) -> None:
    """What one database offers, several offer too."""
    offered = {name for name in vars(store.parts[0]) if not name.startswith("_")} - {
        "gate",
        "rows",
    }  # of one: for looks and copies
    assert [name for name in offered if not hasattr(store, name)] == []


async def test_a_tenant_is_in_one_of_them(store: ManyStores) -> None:
    """Its rows are written and read there; what is read over all tenants is in all."""
    ours, theirs = await paid(store, "acme", 1), await paid(store, "globex", 2)
    main, eu = store.parts
    assert (await eu.payment("acme", ours), await main.payment("acme", ours)) == (
        await store.payment("acme", ours),
        None,
    )
    assert await main.payment("globex", theirs) is not None
    assert {one.payment_id for one in await store.open_operations("sending")} == {ours, theirs}
    assert (await store.queues.operations("sending")).count == 2
    assert sorted(await store.stored_bytes()) == ["acme", "globex"]


@pytest.mark.parametrize(("left", "to"), [("main", "eu"), ("eu", "main")])
async def test_rows_that_a_move_has_left_are_not_found(store: ManyStores, left: str, to: str) -> None:
    """Before they are deleted they are old: neither in a list, nor where one is asked for."""
    here, there = store.by_name[left], store.by_name[to]
    payment, operation = create_of(1)
    for part in (here, there):
        await part.commit("acme", reserving(payment, operation))
    changed = replace(operation, node="node_b")
    await there.commit("acme", [Statement("UPDATE payments SET open_doc = ?", (documents.encode(changed),))])
    store.tenants.note_moves(left, [Move(tenant="acme", to=to, step=Step.MOVED, at=1)])
    assert await store.open_operations("sending") == [changed]
    assert await store.open_operation("sending", operation.id) == changed


async def test_rows_that_a_move_has_left_keep_nobody_out(store: ManyStores) -> None:
    """Neither from a page for people nor from the next work, nor is any of them due."""
    main = store.by_name["main"]
    for number, tenant in enumerate(("globex", "acme"), start=1):
        payment, due = await paid(main, tenant, number), AT - timedelta(seconds=number)
        callback = {"tenant": tenant, "account": "main", "callback": a_callback(), "verdict": "pending"}
        reviewed = Statement("UPDATE payments SET review = 'amount'", ())
        waiting = [inbox.insert_callback(f"cb_{number}", **callback, next_attempt_at=due), reviewed]  # type: ignore[arg-type]
        await main.commit(tenant, [*waiting, *ask_to_erase([(tenant, payment)], AT)])
    left = Move(tenant="acme", to="eu", step=Step.MOVED, at=1)
    await main.commit(NO_TENANT, [moves.announce(left), moves.bar("acme", AT)])
    await store.read_moves()
    one = PageRequest(limit=1)
    assert [row.payment.tenant for row in await store.reviews(["acme", "globex"], one)] == ["globex"]
    assert [row.id for row in await store.inbox.due(AT, 1)] == ["cb_1"]
    assert await store.inbox.next_due() == AT - timedelta(seconds=1)
    assert [row.key[0] for row in await store.pending_erasures.page(("", ""), 1)] == ["globex"]


async def test_a_tenant_that_is_moved_during_a_read(store: ManyStores, monkeypatch: pytest.MonkeyPatch) -> None:
    """That it found nothing means nothing: the rows may have been deleted in the store that was left."""
    eu, read = store.by_name["eu"], store.by_name["eu"].payment

    async def slowly(*about: str) -> object:
        store.tenants.note_moves("eu", [Move(tenant="acme", to="main", step=Step.MOVED, at=1)])
        return await read(*about)

    monkeypatch.setattr(eu, "payment", slowly)
    with pytest.raises(TenantMoves):
        await store.payment("acme", "pay_1")
    assert await store.payment("acme", "pay_1") is None


async def test_what_is_due_is_that_of_all(store: ManyStores) -> None:
    """How much it is together, since when the longest, and that one first."""
    for number, tenant in enumerate(("acme", "globex"), start=1):
        await paid(store, tenant, number)
        await store.commit(tenant, [Statement("UPDATE payments SET due_at = ?", (number * 1000,))])
    main, eu = [await part.queues.schedule(AT) for part in store.parts]
    assert (main.count, eu.count) == (1, 1)
    assert await store.queues.schedule(AT) == Queue(count=2, due_since=eu.due_since)
    assert [row.tenant for row in await store.due_checks(AT, 2)] == ["acme", "globex"]


async def test_the_gateways_own_rows_are_in_the_first(store: ManyStores) -> None:
    """They belong to no tenant."""
    await store.commit(NO_TENANT, [approvals.insert(WAITING)])
    assert await store.approvals.find(WAITING.id) == await store.parts[0].approvals.find(WAITING.id) == WAITING


async def test_one_that_is_down_stops_only_its_tenants(store: ManyStores) -> None:
    """The workers go on with what the others have; what people ask of all is refused, and says which is down."""
    await paid(store, "acme", 1)
    theirs = await paid(store, "globex", 2)
    await store.parts[1].close()
    assert await store.payment("globex", theirs) is not None
    with pytest.raises(Unavailable):
        await store.payment("acme", "pay_1")
    assert (await store.queues.operations("sending")).count == 1
    assert (store.down, store.reachable, store.cannot_serve("acme"), store.cannot_serve("globex")) == (
        ("eu",),
        store.parts[:1],
        True,
        False,
    )
    with pytest.raises(Unavailable, match="store eu: "):
        await store.open_operations("sending")
    await store.prove_writable(AT, "globex")
    with pytest.raises(Unavailable):
        await store.prove_writable(AT, "acme")


async def test_what_is_claimed_is_noted_beside_its_rows(tmp_path: Path) -> None:
    """In the database of its tenant, where the others look for it."""
    databases = [shared_database(VirtualClock(AT)) for _ in range(2)]
    main, eu = map(shared_store, databases)
    store = ManyStores({"main": main, "eu": eu}, settings_of(tmp_path))
    for part in store.parts:
        await part.commit(NO_TENANT, [nodes.renew(node_row("node_a"))])
    claim = claims.claim_ids("check", Claimant("node_a", AT), "acme", ["pay_1"])
    assert await store.claim("acme", claim) == [("acme", "pay_1")]
    noted = [database.execute("SELECT id FROM claims").fetchall() for database in databases]
    assert noted == [[], [("pay_1",)]]
    for database in databases:
        database.close()


async def test_a_store_that_the_start_did_not_open(store: ManyStores, tmp_path: Path) -> None:
    """A tenant that a reload adds there has no store until the next start."""
    settings = settings_of(tmp_path)
    tenant = settings.tenants["acme"]
    store.tenants.use(replace(settings, tenants={"acme": replace(tenant, store="us")}))
    with pytest.raises(Unavailable, match="store us is not open"):
        await store.payment("acme", "pay_1")


async def test_one_that_says_nothing_is_down_too(store: ManyStores, monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps nobody waiting who asks all."""

    async def never() -> int:
        await asyncio.Event().wait()
        return 0

    async def at_once() -> int:
        return 7

    monkeypatch.setattr(databases, "ANSWER_SECONDS", 0.01)
    monkeypatch.setattr(store.parts[0].queues, "dead_webhooks", at_once)  # a busy machine may read for longer
    monkeypatch.setattr(store.parts[1].queues, "dead_webhooks", never)
    assert (await store.queues.dead_webhooks(), store.down) == (7, ("eu",))
