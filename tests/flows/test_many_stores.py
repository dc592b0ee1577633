"""A gateway whose tenants are in two databases: payments, webhooks, callbacks, searches, acts, and one that is down."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import StillNeeded, Unavailable
from gateway.drivers.disk_space import DiskSpace
from gateway.drivers.settings import load_settings
from gateway.drivers.store.many import ManyStores
from gateway.drivers.store.moves import Move, Step
from gateway.flows.customers import old_data
from gateway.web.server import running
from tests.support import postgresql
from tests.support.cli import run
from tests.support.scenarios.inbox import admin
from tests.support.settings_file import reload, with_operator
from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body, run_gateway, running_stack


def in_two(settings: dict[str, Any]) -> None:
    """acme in eu, globex in main."""
    del settings["store"]
    settings["stores"] = {name: {"url": f"sqlite:///{name}/gateway.db"} for name in ("main", "eu")}
    settings["tenants"]["acme"]["store"] = "eu"
    with_operator(settings)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """Running on both."""
    async with running_stack(tmp_path, change=in_two) as opened:
        yield opened


def parts(stack: GatewayStack) -> tuple[Any, Any]:
    """The stores main and eu."""
    store = stack.gateway.store
    assert isinstance(store, ManyStores)
    main, eu = store.parts
    return main, eu


async def paid(stack: GatewayStack, tenant: str) -> Any:
    """A payment that its customer has paid."""
    created = await stack.create(psp_body(), tenant=tenant)
    assert created.status == 201, created.text
    await stack.click(created.json, "pay")
    return await stack.payment(created.json["id"], tenant=tenant)


async def test_each_tenant_is_served_from_its_own(stack: GatewayStack) -> None:
    """From the create to the callback; operators find both by one search, and see them in one status."""
    ours, theirs = await paid(stack, "acme"), await paid(stack, "globex")
    assert (ours["state"], theirs["state"]) == ("captured", "captured")
    main, eu = parts(stack)
    assert await eu.payment("acme", ours["id"]) is not None
    assert await main.payment("acme", ours["id"]) is None
    assert await main.payment("globex", theirs["id"]) is not None
    found = (await admin(stack, "GET", "/admin/v1/search?state=captured")).json["data"]
    assert [one["id"] for one in found] == [theirs["id"], ours["id"]]
    status = (await admin(stack, "GET", "/admin/v1/status")).json
    assert (status["store"]["down"], status["queues"]["outbox"]["dead"]) == ([], 0)


async def test_an_act_is_on_record_in_the_tenants_store(stack: GatewayStack) -> None:
    """In the trail of its store, in the unit of the act; one list has all, and each trail is proved by itself."""
    for tenant in ("acme", "globex", "acme"):
        enabled = await admin(stack, "POST", f"/admin/v1/endpoints/{tenant}/enable", {})
        assert enabled.status == 200, enabled.text
    pages, cursor = [], ""
    while cursor is not None:
        page = (await admin(stack, "GET", f"/admin/v1/audit?limit=1{cursor and '&cursor='}{cursor}")).json
        pages += [row["tenant"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert pages == ["acme", "globex", "acme", None]  # the start is first
    config = stack.folder / "settings.yaml"
    checked = await asyncio.to_thread(run, "audit", "verify", "--json", "--config", config)
    found = json.loads(checked.stdout)["stores"]
    assert {name: one["problems"] for name, one in found.items()} == {"main": [], "eu": []}
    kept = ("audit", "verify", "--head", found["eu"]["head"], "--config", config)
    assert [(await asyncio.to_thread(run, *kept, "--store", name)).exit_code for name in ("eu", "main")] == [0, 1]


async def test_an_approved_erasure_is_on_record_where_its_payments_are(tmp_path: Path) -> None:
    """The approval is in the first store, whose row ends it; the other's has a row of its own."""

    def under_four_eyes(settings: dict[str, Any]) -> None:
        in_two(settings)
        second = {"id": "second", "sha256": hashlib.sha256(SECOND_KEY.encode()).hexdigest()}
        settings["server"]["admin"] |= {"keys": [second], "approvals": 2}

    async with running_stack(tmp_path, change=under_four_eyes) as stack:
        await paid(stack, "acme")
        await erase_approved(stack, tenant="acme")
        in_main = [("approvals.request", None, None), ("customers.erase", "acme", "second")]
        assert await acts(stack) == (in_main, [("customers.erase", "acme", None)])
        await paid(stack, "acme")
        await paid(stack, "globex")
        await erase_approved(stack)
        in_main += [("approvals.request", None, None), ("customers.erase", "globex", "second")]
        assert await acts(stack) == (in_main, [("customers.erase", "acme", None)] * 2)
        assert await stack.gateway.store.pending_erasures.page(("", ""), 9) == []


SECOND_KEY = "gw_second_test-key-of-another-operator"


async def erase_approved(stack: GatewayStack, **about: str) -> None:
    """Let one operator ask for the erasure of a customer, and another approve it."""
    body = {"customer_id": "C-88", "apply": True, "reason": "letter", **about}
    asked = (await admin(stack, "POST", "/admin/v1/customers/erase", body)).json
    path = f"/admin/v1/approvals/{asked['approval']['id']}/approve"
    done = await admin(stack, "POST", path, {}, key=SECOND_KEY)
    assert (done.status, done.json["payments"]) == (200, 1 if about else 2), done.text


async def acts(stack: GatewayStack) -> tuple[Any, Any]:
    """Act, tenant and who approved it, of each row of the trails in main and eu but for the start's, oldest first."""
    main, eu = [
        [(row.act, row.tenant, row.approved_by) for row in await part.audit.after(0, 99) if row.act != "start"]
        for part in parts(stack)
    ]
    return main, eu


async def test_operators_act_on_a_payment_wherever_it_is(stack: GatewayStack) -> None:
    """By its id alone; each act is on record in the store of its tenant."""
    created = (await stack.create(creditkey_body())).json
    synced = await admin(stack, "POST", "/admin/v1/payments/sync", {"payment_ids": [created["id"]]})
    assert (synced.status, synced.json["queued"]) == (200, 1), synced.text
    resolved = {"state": "canceled", "reason": "the portal shows it canceled"}
    told = await admin(stack, "POST", f"/admin/v1/payments/{created['id']}/resolve", resolved)
    assert (told.status, told.json["state"]) == (200, "canceled"), told.text
    assert await acts(stack) == ([], [("payments.sync", "acme", None), ("payments.resolve", "acme", None)])


async def test_a_disk_that_is_almost_full_stops_only_new_payments_on_it(stack: GatewayStack) -> None:
    """acme's is: its creates are refused, those of globex are not; operators are told which disk it is."""
    main, eu = stack.settings.store_folders
    free = {main: 100, eu: 99}
    stack.gateway.disk = DiskSpace(free, 100, free=free.__getitem__)
    refused = await stack.create(psp_body(), tenant="acme")
    assert (refused.status, refused.json["code"]) == (503, "low_disk")
    assert (await stack.create(psp_body(), tenant="globex")).status == 201
    status = (await admin(stack, "GET", "/admin/v1/status")).json
    assert status["store"]["disk_is_low"]
    assert [line for line in status["needs_person"] if line.endswith(f"df -h {eu}")]
    moved = Move(tenant="acme", to="main", step=Step.CLEARED, at=1)
    stack.gateway.store.tenants.note_moves("eu", [moved])  # which the settings do not say
    assert (await stack.create(psp_body(), tenant="acme")).status == 201


async def test_one_that_is_down_stops_only_its_tenants(stack: GatewayStack) -> None:
    """acme is answered 503, globex is served, and operators are told which store it is."""
    await paid(stack, "acme")
    _, eu = parts(stack)
    await eu.close()
    assert (await stack.create(psp_body(), tenant="acme")).status == 503
    assert (await paid(stack, "globex"))["state"] == "captured"
    ready = (await admin(stack, "GET", "/readyz")).json
    assert (ready["status"], ready["warnings"]) == ("ok", ["store_down eu"])
    [problem] = ready["problems"]
    assert problem.startswith("store eu is unavailable since ")
    metrics = (await admin(stack, "GET", "/metrics")).text
    assert 'gateway_store_readable{store="eu"} 0' in metrics
    assert 'gateway_store_readable{store="main"} 1' in metrics
    status = (await admin(stack, "GET", "/admin/v1/status")).json
    [outage] = status["store"]["outages"]
    assert (status["store"]["down"], outage["name"]) == (["eu"], "eu")
    said = f"store eu is unavailable since {outage['since']} ({outage['problem']})"
    assert any(line.startswith(said) for line in status["needs_person"])


async def test_one_that_is_down_keeps_no_customer_of_the_others(tmp_path: Path) -> None:
    """Whose tenants come first in the settings: what has become old in the other is erased."""

    def kept_for_no_time(settings: dict[str, Any]) -> None:
        in_two(settings)
        settings["retention"] = {"customer_data": "1s"}

    async with running_stack(tmp_path, change=kept_for_no_time) as stack:
        theirs = await paid(stack, "globex")
        _, eu = parts(stack)
        await eu.close()
        stack.gateway.clock.now = lambda: datetime.now(UTC) + timedelta(days=1)  # type: ignore[method-assign]
        await old_data.erase(stack.gateway)
        found = await stack.gateway.store.payment("globex", theirs["id"])
        assert found is not None
        assert found.payment.erased_at is not None


async def test_rows_elsewhere_stop_the_start(tmp_path: Path) -> None:
    """A tenant whose store was changed by hand would lose sight of its payments, and pay twice."""
    async with running_stack(tmp_path, change=in_two) as stack:
        await paid(stack, "acme")
    path = stack.folder / "settings.yaml"
    path.write_text(path.read_text().replace("store: eu", "store: main"))
    changed = replace(stack, settings=load_settings(path, providers=stack.registry.providers, environ={}))
    with pytest.raises(StillNeeded, match="tenant acme: store: must be eu, where its payments are"):
        async with run_gateway(changed):
            pass


async def test_a_refused_reload_moves_nobody(stack: GatewayStack) -> None:
    """The settings that run go on, and so does their map: a request that is repeated finds its key."""
    body, key = psp_body(), new_key()
    first = await stack.create(body, key=key)
    assert (await reload(stack, lambda settings: settings["tenants"].pop("acme"))).status == 409
    again = await stack.create(body, key=key)
    assert (again.status, again.json, len(await stack.provider_orders("psp"))) == (201, first.json, 1)


async def test_a_tenant_that_comes_back_finds_its_payments(stack: GatewayStack) -> None:
    """It was taken out of the settings and put back without its store, which would have paid twice."""
    body, key, kept = psp_body(), new_key(), {}
    first = await stack.create(body, key=key)
    await stack.click(first.json, "pay")
    assert (await reload(stack, lambda settings: kept.update(settings["tenants"].pop("acme")))).status == 200
    for store, status in ({}, 409), ({"store": "eu"}, 200):
        back = {**{name: value for name, value in kept.items() if name != "store"}, **store}
        loaded = await reload(stack, lambda settings, back=back: settings["tenants"].update(acme=back))
        assert (loaded.status, "store: must be eu" in loaded.text) == (status, status == 409)
    assert (await stack.create(body, key=key)).json["id"] == first.json["id"]


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_who_has_left_the_settings_is_erased(tmp_path: Path, is_restarted: bool) -> None:
    """What was asked for while a payment was open is done, where the payment is."""
    async with running_stack(tmp_path, change=in_two) as stack:
        created = (await stack.create(psp_body())).json
        body = {"customer_id": "C-88", "apply": True, "reason": "letter"}
        assert (await admin(stack, "POST", "/admin/v1/customers/erase", body)).json["waiting"] == 1
        await stack.click(created, "pay")
        assert (await reload(stack, lambda settings: settings["tenants"].pop("acme"))).status == 200
        if not is_restarted:
            assert await old_data.erase_noted(stack.gateway) == 1
    if is_restarted:
        settings = load_settings(tmp_path / "settings.yaml", providers=stack.registry.providers, environ={})
        async with running(settings, stack.registry) as again:
            assert await old_data.erase_noted(again.gateway) == 1


async def test_two_databases_and_one_that_goes_away(tmp_path: Path) -> None:
    """On PostgreSQL a process has a lease in each: what it claims in one does not wait for the other."""
    with postgresql.fresh_database() as main, postgresql.fresh_database() as eu:

        def change(settings: dict[str, Any]) -> None:
            in_two(settings)
            settings["stores"] = {"main": {"url": main, "pool": 4}, "eu": {"url": eu, "pool": 4}}

        async with running_stack(tmp_path, change=change) as stack:
            for tenant in ("acme", "globex"):
                assert (await paid(stack, tenant))["state"] == "captured"
            node = stack.gateway.node
            for part in stack.gateway.store.parts:
                assert [one.id for one in await part.nodes.all()] == [node.id]
            await webhooks_delivered(stack, "acme", "globex")
            postgresql.shut(eu)
            assert (await stack.create(psp_body(), tenant="acme")).status == 503
            assert (await paid(stack, "globex"))["state"] == "captured"
            await webhooks_delivered(stack, "globex")
            with pytest.raises(Unavailable, match=r"^store eu: .+ is not currently accepting connections$"):
                await node.renew("", "")
            assert node.may_begin("globex", stack.gateway.clock.now())


async def webhooks_delivered(stack: GatewayStack, *tenants: str) -> None:
    """Wait until nothing of these tenants waits."""
    async with asyncio.timeout(30):
        for tenant in tenants:
            while await stack.gateway.store.deliveries.has_pending(tenant):
                await stack.gateway.clock.sleep(0.05)


async def test_a_backup_is_of_one_store(stack: GatewayStack) -> None:
    """Of which, it must be said."""

    async def command(*arguments: object) -> Any:
        return await asyncio.to_thread(run, *arguments, "--config", stack.folder / "settings.yaml")

    await paid(stack, "acme")
    refused = await command("backup", tmp := stack.folder / "copy.db")
    assert (refused.exit_code, "--store must be one of main, eu" in refused.stderr, tmp.exists()) == (2, True, False)
    copied = await command("backup", "--store", "eu", "--json", tmp)
    assert json.loads(copied.stdout)["payments"] == 1
