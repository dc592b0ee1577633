"""``gateway store move-tenant``: what callers and operators see before and after, on both engines, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.drivers.settings import load_settings
from gateway.drivers.store import moves
from gateway.drivers.store.moves import Move
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows import move_tenant as flow
from gateway.flows.background import nodes as background_nodes
from tests.support.cli import run, running, write
from tests.support.factories.store_units import stored
from tests.support.scenarios.inbox import admin
from tests.support.settings_file import with_operator
from tests.support.stack import GatewayStack, new_key, psp_body, run_gateway, simulated
from tests.support.stores import ENGINES, fresh_url

READS = ("/v1/payments", "/v1/payments?state=captured", "/v1/webhooks/deliveries", "/v1/callbacks")
SEARCHES = (
    "/admin/v1/search?state=captured",
    "/admin/v1/search?q=C-88",
    "/admin/v1/operations",
    "/admin/v1/deliveries",
)


@pytest.fixture(params=ENGINES)
async def tried(
    request: pytest.FixtureRequest, tmp_path: Path, stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[GatewayStack]:
    """A gateway that is to run on two stores of an engine, beside another one and its providers."""
    monkeypatch.setattr(background_nodes, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(background_nodes, "MOVING_SECONDS", 0.05)
    settings = yaml.safe_load((stack.folder / "settings.yaml").read_text())
    with contextlib.ExitStack() as opened:
        folder = tmp_path / "tried"
        folder.mkdir()
        urls = {name: opened.enter_context(fresh_url(request.param, folder / name)) for name in ("main", "eu")}
        del settings["store"]
        settings["stores"] = {name: {"url": url} for name, url in urls.items()}
        with_operator(settings)
        (folder / "settings.yaml").write_text(yaml.safe_dump(settings))
        yield reloaded(replace(stack, folder=folder))


def reloaded(stack: GatewayStack) -> GatewayStack:
    """With the settings that the file has now."""
    path = stack.folder / "settings.yaml"
    return replace(stack, settings=load_settings(path, providers=stack.registry.providers, environ={}))


@contextlib.asynccontextmanager
async def at_work(stack: GatewayStack) -> AsyncIterator[GatewayStack]:
    """Run its gateway, which the providers call from now on."""
    async with run_gateway(stack):
        stack.simulated["psp"].update(simulated(stack, "psp_open_api"))
        yield stack


async def command(folder: Path, *arguments: str) -> Any:
    """Run it."""
    return await asyncio.to_thread(run, "store", "move-tenant", *arguments, "--config", folder / "settings.yaml")


async def answers(stack: GatewayStack, payment_ids: list[str]) -> dict[str, Any]:
    """All that can be asked about a tenant's payments."""
    paths = [*READS, *(f"/v1/payments/{one}{more}" for one in payment_ids for more in ("", "/events", "/refunds"))]
    found = {path: await stack.call("GET", path) for path in paths}
    found |= {path: await admin(stack, "GET", path) for path in SEARCHES}
    status = (await admin(stack, "GET", "/admin/v1/status")).json
    return {path: (reply.status, reply.json) for path, reply in found.items()} | {"queues": status["queues"]}


async def delivered(stack: GatewayStack, payment: Any, kind: str) -> None:
    """Wait for a webhook, until its outcome is stored."""
    await stack.webhook(payment["id"], kind)
    while await stack.gateway.store.deliveries.has_pending("acme"):
        await stack.gateway.clock.sleep(0.02)


async def test_answers_are_the_same_before_and_after(tried: GatewayStack) -> None:
    """Lists, payments, timelines, webhooks, searches, the status; a repetition; and it goes on."""
    body, key = psp_body(), new_key()
    async with contextlib.AsyncExitStack() as running:
        stack = await running.enter_async_context(at_work(tried))
        paid = (await stack.create(body, key=key)).json
        await stack.click(paid, "pay")
        waiting = (await stack.create(psp_body())).json
        await stack.webhook(paid["id"], "payment.captured")
        await delivered(stack, waiting, "payment.awaiting_customer")
        before = await answers(stack, [paid["id"], waiting["id"]])
        assert {status for status, _ in (one for path, one in before.items() if path != "queues")} == {200}
        assert [len(before[path][1]["data"]) for path in (*READS, *SEARCHES)] == [2, 1, 5, 1, 1, 2, 0, 5]
        if not stack.gateway.store.is_shared:
            refused = await command(stack.folder, "acme", "eu")
            assert (refused.exit_code, "another gateway is using" in refused.stderr) == (3, True)
            await running.aclose()
        done = await command(tried.folder, "acme", "eu", "--json")
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert (found["moved"], found["from"], found["store"], found["file"]) == (True, "main", "eu", "settings.yaml")
        if not tried.gateway.store.is_shared:
            stack = await running.enter_async_context(at_work(reloaded(tried)))
        assert await answers(stack, [paid["id"], waiting["id"]]) == before
        again = await stack.create(body, key=key)
        assert (again.status, again.json, again.headers["Idempotency-Replayed"]) == (201, paid, "true")
        assert len(await stack.provider_orders("psp")) == 2
        await stack.click(waiting, "pay")
        await delivered(stack, waiting, "payment.captured")
        acts = (await admin(stack, "GET", "/admin/v1/audit?tenant=acme")).json["data"]
        assert [(one["act"], one["details"]["from"], one["details"]["to"]) for one in acts] == [
            ("tenants.move", "main", "eu")
        ]


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """Settings with two stores, and a payment of acme in main."""
    path = write(tmp_path)
    settings = yaml.safe_load(path.read_text())
    del settings["store"]
    settings["stores"] = {name: {"url": f"sqlite:///{name}/gateway.db"} for name in ("main", "eu")}
    path.write_text("# ours\n" + yaml.safe_dump(settings))
    store = await open_sqlite(tmp_path / "main" / "gateway.db")
    await stored(store, 1, account="psp-main", provider="psp_open_api")
    await store.close()
    return path


def text_of(config: Path) -> str:
    """The settings file."""
    return config.read_text()


def use(config: Path, text: str) -> None:
    """Write the settings file."""
    config.write_text(text)


async def test_there_and_back(config: Path) -> None:
    """The file says each time where the tenant is, and keeps the rest; what is there already is not moved."""
    for to, is_moved in (("eu", True), ("eu", False), ("main", True), ("main", False)):
        done = json.loads((await command(config.parent, "acme", to, "--json")).stdout)
        assert (done["store"], done["moved"], done["file"]) == (to, is_moved, "settings.yaml" if is_moved else None)
        assert f"    store: {to}\n" in text_of(config)
        assert text_of(config).startswith("# ours\n")
        assert (await asyncio.to_thread(run, "check", "--store", "--config", config)).exit_code == 0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda text: text + "typo: 1\n", "write tenants.acme.store: eu by hand"),
        (lambda text: text.replace("acme", "a2"), ""),
    ],
    ids=["mistake", "gone"],
)
async def test_a_file_that_is_changed_meanwhile(
    config: Path, monkeypatch: pytest.MonkeyPatch, changed: Callable[[str], str], said: str
) -> None:
    """The tenant has moved all the same, and that is said."""
    clear = flow.clear

    async def beside(*about: Any) -> None:
        await clear(*about)
        use(config, changed(text_of(config)))

    monkeypatch.setattr(flow, "clear", beside)
    done = await command(config.parent, "acme", "eu", "--json")
    assert (done.exit_code, said in done.stderr, json.loads(done.stdout)["moved"]) == (0, True, True)


@pytest.mark.parametrize(
    ("tenant", "to", "said"),
    [("initech", "eu", 'there is no tenant "initech"'), ("acme", "us", 'there is no store "us"; known are main, eu')],
)
async def test_names_are_checked(config: Path, tenant: str, to: str, said: str) -> None:
    """Bad usage is 2, and says which is wrong."""
    refused = await command(config.parent, tenant, to)
    assert (refused.exit_code, said in refused.stderr) == (2, True)


async def test_one_store_is_not_enough(tmp_path: Path) -> None:
    """2."""
    write(tmp_path)
    refused = await command(tmp_path, "acme", "main")
    assert (refused.exit_code, "name several in stores" in refused.stderr) == (2, True)


async def test_a_move_is_given_up(config: Path) -> None:
    """By the name of the store that is left."""
    store = await open_sqlite(config.parent / "main" / "gateway.db")
    await store.commit(NO_TENANT, [moves.announce(Move(tenant="acme", to="eu", at=1))])
    await store.close()
    target = await open_sqlite(config.parent / "eu" / "gateway.db")
    await target.commit(NO_TENANT, moves.begin_arrival(Move(tenant="acme", to="eu", at=1)))
    await target.close()
    done = await command(config.parent, "acme", "main", "--json")
    assert (done.exit_code, json.loads(done.stdout)["moved"]) == (0, False)
    assert (await command(config.parent, "acme", "eu")).exit_code == 0


async def test_the_store_of_a_tenant_is_not_taken_away(config: Path) -> None:
    """Without it a list of the tenant's payments would be empty: a start ends with 2, and so does what only reads."""
    assert (await command(config.parent, "acme", "eu")).exit_code == 0
    found = json.loads((await asyncio.to_thread(run, "payments", "list", "--json", "--config", config)).stdout)
    settings = yaml.safe_load(text_of(config))
    settings["store"] = settings.pop("stores")["main"]
    del settings["tenants"]["acme"]["store"]
    use(config, yaml.safe_dump(settings))
    with running("serve", "--config", config, lines=0) as process:
        code, errors = process.ended()
    said = errors.splitlines()[-1]
    assert (
        code,
        said.endswith("tenant acme: store: must be eu, to which its payments were moved, and stores must have it"),
    ) == (2, True)
    (payment,) = found["data"]
    for words in (
        ("check", "--store"),
        ("payments", "list"),
        ("payments", "show", payment["id"]),
        ("inbox", "list"),
        ("inbox", "show", "cb_1"),
        ("callback", "explain", "cb_1"),
        ("callback", "sign", "--order", payment["id"], "psp-main"),
        ("audit", "verify"),
    ):
        refused = await asyncio.to_thread(run, *words, "--config", config)
        assert (refused.exit_code, refused.stdout, refused.stderr.rstrip()) == (2, "", said), words


async def test_settings_that_are_behind_are_named(config: Path) -> None:
    """By check: where a tenant was moved it is advice; where its payments are elsewhere without that, 2."""
    text = text_of(config)
    assert (await command(config.parent, "acme", "eu")).exit_code == 0
    use(config, text)
    checked = await asyncio.to_thread(run, "check", "--store", "--config", config)
    assert checked.exit_code == 0
    assert "advice: tenants.acme.store: must be eu, to which the tenant was moved" in checked.stderr
    listed = await asyncio.to_thread(run, "payments", "list", "--json", "--config", config)
    assert len(json.loads(listed.stdout)["data"]) == 1
    for name in ("main", "eu"):
        store = await open_sqlite(config.parent / name / "gateway.db")
        for one in await store.moves.all():
            await store.commit(NO_TENANT, [moves.delete(one)])
        await store.close()
    checked = await asyncio.to_thread(run, "check", "--store", "--config", config)
    assert (checked.exit_code, "store: must be eu, where its payments are" in checked.stderr) == (2, True)
