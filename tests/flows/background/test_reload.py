"""What a new version of the settings means for work that has begun, for sessions, deliveries and memory."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from gateway.core.errors import NotSent, Unavailable
from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.workers.peers import Peers
from gateway.flows.background import startup
from gateway.flows.background.reload import RELOAD, Answer
from gateway.flows.runtime import Gateway
from gateway.provider import Session
from tests.support.settings_file import config, reload, rewrite, with_operator
from tests.support.stack import GatewayStack, Reply, psp_body, running_stack


@pytest.fixture
async def operated(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack that operators have a key for."""
    async with running_stack(tmp_path, change=with_operator) as opened:
        yield opened


class Held:
    """Stands before the real sender: calls wait until they are released."""

    def __init__(self, stack: GatewayStack) -> None:
        self._send = stack.gateway.send
        self.came, self.released = asyncio.Event(), asyncio.Event()
        self.fails_with: Exception | None = None
        stack.gateway.send = self

    async def __call__(self, request: HttpRequest, *, total: float, connect: float, owner: str) -> HttpResponse:
        """Send one request, or fail, once it is released."""
        self.came.set()
        await self.released.wait()
        if self.fails_with is not None:
            raise self.fails_with
        return await self._send(request, total=total, connect=connect, owner=owner)


async def test_work_in_flight_ends_under_its_version(operated: GatewayStack) -> None:
    """A payment that has begun has a webhook although the new version has none; the next one has none."""
    held = Held(operated)
    creating = asyncio.create_task(operated.create(psp_body()))
    await held.came.wait()
    assert (await reload(operated, lambda settings: settings["tenants"]["acme"].update(webhook=None))).status == 200
    held.released.set()
    replies = [await creating, await operated.create(psp_body())]
    assert [reply.status for reply in replies] == [201, 201]
    store = operated.gateway.store.deliveries
    found = [await store.of_payment("acme", reply.json["id"]) for reply in replies]
    assert [bool(rows) for rows in found] == [True, False]


def without_globex(settings: dict[str, Any]) -> None:
    """Remove a whole tenant."""
    settings["tenants"].pop("globex")


def with_another_provider(settings: dict[str, Any]) -> None:
    """Keep the name of an account alone."""
    globex = settings["tenants"]["globex"]
    globex["accounts"]["psp-main"] = settings["tenants"]["acme"]["accounts"]["creditkey-main"]
    globex.pop("deposit_methods", None)


@pytest.mark.parametrize("change", [without_globex, with_another_provider])
async def test_nothing_begins_on_an_account_that_is_leaving(
    operated: GatewayStack, monkeypatch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], object]
) -> None:
    """Once it was found unused, until it is gone: what began then would be lost, as no callback of it is taken."""
    replies: list[Reply] = []
    check = startup.check_names

    async def check_then_create(gw: Gateway) -> None:
        await check(gw)
        replies.append(await operated.create(psp_body(), tenant="globex"))

    monkeypatch.setattr(startup, "check_names", check_then_create)
    assert (await reload(operated, change)).status == 200
    assert [(reply.status, reply.json["code"]) for reply in replies] == [(503, "store_unavailable")]


async def test_a_create_does_not_fall_back_to_an_account_that_has_left(operated: GatewayStack) -> None:
    """It would be lost there: no callback of an account that is not in the settings is taken."""

    def add(settings: dict[str, Any]) -> None:
        acme = settings["tenants"]["acme"]
        acme["accounts"]["psp-second"] = acme["accounts"]["psp-main"]
        acme["deposit_methods"]["second"] = {"account": "psp-second"}
        acme["routing"] = [{"account": "psp-main", "fallback": ["psp-second"]}]

    def remove(settings: dict[str, Any]) -> None:
        acme = settings["tenants"]["acme"]
        del acme["accounts"]["psp-second"], acme["deposit_methods"]["second"], acme["routing"]

    assert (await reload(operated, add)).status == 200
    held = Held(operated)
    held.fails_with = NotSent("connect_failed", connection=False)
    body = {name: value for name, value in psp_body().items() if name != "account"}
    creating = asyncio.create_task(operated.create(body))
    await held.came.wait()
    assert (await reload(operated, remove)).status == 200
    held.released.set()
    made = (await creating).json
    assert (made["account"], made["state"], made["operation"]["status"]) == ("psp-main", "failed", "not_sent")


async def test_what_another_process_refuses_is_answered(operated: GatewayStack) -> None:
    """With its number: the operator hears of it as of what is wrong here."""
    others = {2: msgspec.msgpack.encode(Answer(("a key is missing",))), 3: msgspec.msgpack.encode(Answer(())), 4: None}

    async def ask(name: str, _: float) -> dict[int, bytes | None]:
        return others if name == RELOAD else {}

    operated.gateway.peers = cast("Peers", SimpleNamespace(ask=ask, number=1, count=4, before=str, keep=str))
    refused = await reload(operated)
    assert refused.status == 422
    assert "worker 2: a key is missing" in refused.text


async def test_a_version_that_nobody_uses_is_freed(operated: GatewayStack) -> None:
    """The first one too; no worker and no listener holds it."""
    before = [weakref.ref(operated.gateway)]
    for name in ("Acme 1", "Acme 2"):
        assert (
            await reload(operated, lambda settings, name=name: settings["tenants"]["acme"].update(name=name))
        ).status == 200  # type: ignore[misc]
        before.append(weakref.ref(operated.gateway))
    async with asyncio.timeout(10):
        while any(one() for one in before[:-1]):
            await config(operated)
            gc.collect()
    assert before[-1]() is operated.gateway


async def test_a_store_that_is_down_does_not_end_reloading(
    operated: GatewayStack, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Names are gone and nobody can say whether payments need them: nothing changes, and the next one is loaded."""

    async def down(_: int) -> Any:
        raise Unavailable("down")

    def without_globex(settings: dict[str, Any]) -> None:
        settings["tenants"].pop("globex", None)

    before = operated.gateway
    with monkeypatch.context() as patch:
        patch.setattr(before.store, "accounts_in_use", down)
        rewrite(operated.folder, without_globex)
        assert (await reload(operated)).json["code"] == "store_unavailable"
        operated.wanted.set()
        async with asyncio.timeout(10):
            while "the settings were not reloaded" not in caplog.messages:
                await config(operated)
    assert operated.gateway is before
    operated.wanted.set()
    async with asyncio.timeout(10):
        await operated.current.changed.wait()
    assert operated.gateway.settings.tenants.keys() == {"acme"}


async def test_sessions_of_changed_and_removed_accounts_end(operated: GatewayStack) -> None:
    """Those of accounts that are as they were are kept, and their tokens stay masked."""
    names = (("acme", "psp-main", "refunds"), ("acme", "creditkey-main", ""), ("globex", "psp-main", ""))
    held = {
        name: (Session(token=Secret(f"token-of-{name[0]}-{name[1]}"), expires_in=60), datetime.now(UTC))
        for name in names
    }
    operated.gateway.sessions |= held
    for name, (session, _) in held.items():
        operated.gateway.masks.learn(operated.entry(*name[:2]), session.token)

    def change(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["creditkey-main"]["config"]["public_key"] = "pk_other"
        del settings["tenants"]["globex"]

    assert (await reload(operated, change)).status == 200
    assert operated.gateway.sessions.keys() == {("acme", "psp-main", "refunds")}
    assert operated.gateway.masks.of("acme").holds("token-of-acme-psp-main")


async def test_deliveries_of_a_removed_tenant_end_and_go_on_when_it_is_back(operated: GatewayStack) -> None:
    """Its task ends and what is due waits in the store; the tenant that is back gets each webhook once."""
    operated.webhook_answer = lambda _: 503

    def tasks() -> set[str]:
        return {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("webhooks of ")}

    paid = (await operated.create(psp_body(), tenant="globex")).json
    await operated.click(paid, "fail")
    removed: dict[str, Any] = {}
    assert tasks() == {"webhooks of globex"}  # nothing happened at acme
    assert (await reload(operated, lambda settings: removed.update(settings["tenants"].pop("globex")))).status == 200
    async with asyncio.timeout(10):
        while "webhooks of globex" in tasks():
            await config(operated)
    operated.webhook_answer = lambda _: 204
    assert (await reload(operated, lambda settings: settings["tenants"].update(globex=removed))).status == 200
    async with asyncio.timeout(20), operated.webhook_arrived:
        await operated.webhook_arrived.wait_for(lambda: operated.delivered_webhooks)
    assert tasks() == {"webhooks of globex"}  # nothing happened at acme


async def test_a_watched_file_is_reloaded_when_it_or_an_included_one_changes(tmp_path: Path) -> None:
    """Also a file that is new, in a folder that is; the store beside the settings causes nothing."""

    def change(settings: dict[str, Any]) -> None:
        with_operator(settings)
        settings["server"]["watch"] = True
        settings["include"] = ["tenants/*.yaml"]

    async with running_stack(tmp_path, change=change) as stack, asyncio.timeout(30):

        async def changed() -> set[str]:
            await stack.current.changed.wait()
            return set(stack.gateway.settings.tenants)

        waiting = asyncio.create_task(changed())
        await asyncio.sleep(0)
        assert (await stack.create(psp_body())).status == 201
        rewrite(tmp_path, lambda settings: settings["tenants"].pop("globex"))
        assert await waiting == {"acme"}
        waiting = asyncio.create_task(changed())
        await asyncio.sleep(0)
        (tmp_path / "tenants").mkdir()
        (tmp_path / "tenants" / "initech.yaml").write_text("tenants: {initech: {name: Initech}}\n")
        while "initech" not in await waiting:
            waiting = asyncio.create_task(changed())
        assert (await config(stack))["problems"] == []
