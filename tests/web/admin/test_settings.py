"""Reloading over HTTP: what changes without a restart, what does not, and what a mistake leaves as it was."""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.scenarios.inbox import admin
from tests.support.settings_file import config, reload, with_operator
from tests.support.stack import GatewayStack, key_of, psp_body, running_stack


@pytest.fixture
async def operated(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack that operators have a key for."""
    async with running_stack(tmp_path, change=with_operator) as opened:
        yield opened


def add_tenant(settings: dict[str, Any]) -> None:
    """A third tenant, like the second."""
    made = copy.deepcopy(settings["tenants"]["globex"])
    made["keys"][0]["sha256"] = hashlib.sha256(key_of("initech").encode()).hexdigest()
    made["webhook"]["url"] = made["webhook"]["url"].replace("globex", "initech")
    settings["tenants"]["initech"] = made


async def test_a_new_tenant_can_pay_and_hears_of_it(operated: GatewayStack) -> None:
    """Its key works at once and its webhooks are delivered; the answer and the status name the version."""
    before = await config(operated)
    assert (await operated.create(psp_body(), tenant="initech")).status == 401
    answer = await reload(operated, add_tenant)
    assert (answer.status, answer.json.keys()) == (200, {"hash", "loaded_at"})
    assert answer.json["hash"] != before["hash"]
    assert await config(operated) == {**answer.json, "problems": []}
    paid = await operated.create(psp_body(), tenant="initech")
    assert paid.status == 201
    async with asyncio.timeout(10), operated.webhook_arrived:
        await operated.webhook_arrived.wait_for(lambda: "initech" in {name for name, _, _ in operated.webhook_attempts})


async def test_a_removed_key_and_a_removed_tenant_are_refused(operated: GatewayStack) -> None:
    """What left the file opens nothing any more."""

    def change(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["keys"] = []
        del settings["tenants"]["globex"]

    assert {(await operated.call("GET", "/v1/accounts", tenant=name)).status for name in ("acme", "globex")} == {200}
    assert (await reload(operated, change)).status == 200
    assert {(await operated.call("GET", "/v1/accounts", tenant=name)).status for name in ("acme", "globex")} == {401}


async def test_maps_rates_and_webhooks_change(operated: GatewayStack) -> None:
    """The next payment leaves under the new keys, the next webhook goes to the new address, the new rate holds."""

    def change(settings: dict[str, Any]) -> None:
        acme = settings["tenants"]["acme"]
        acme["accounts"]["psp-main"]["fields"]["amount"] = {"key": "total"}
        acme["webhook"]["url"] += "-2"
        acme["rate_limit"] = {"per_second": 0.01, "burst": 1}

    assert (await reload(operated, change)).status == 200
    assert (await operated.create(psp_body())).status == 201
    assert (await operated.create(psp_body())).status == 429
    [sent] = await operated.provider_requests("psp")
    assert '"total"' in sent["body"]
    assert '"sum"' not in sent["body"]
    async with asyncio.timeout(10), operated.webhook_arrived:
        await operated.webhook_arrived.wait_for(lambda: operated.webhook_attempts)
    assert {name for name, _, _ in operated.webhook_attempts} == {"acme-2"}


async def test_limits_of_a_removed_tenant_go_and_a_new_callback_rate_holds(operated: GatewayStack) -> None:
    """A tenant that is back begins anew; an account that stayed has the new rate of callbacks at once."""
    removed: dict[str, Any] = {}

    async def call() -> int:
        return (await operated.call("GET", "/v1/accounts", tenant="globex")).status

    def slow(settings: dict[str, Any]) -> None:
        settings["tenants"]["globex"]["rate_limit"] = {"per_second": 0.001, "burst": 1}
        settings["server"]["callback_rate"] = {"per_second": 0.001, "burst": 2}

    assert (await reload(operated, slow)).status == 200
    assert [await call(), await call()] == [200, 429]
    await reload(operated, lambda settings: removed.update(settings["tenants"].pop("globex")))
    await reload(operated, lambda settings: settings["tenants"].update(globex=removed))
    assert [await call(), await call()] == [200, 429]
    path = operated.entry("acme", "psp-main").callback_path
    answers = [(await operated.call("POST", path, {}, tenant=None)).status for _ in range(3)]
    assert answers[0] < 429
    assert answers[-1] in (429, 503)


async def test_a_mistake_changes_nothing_and_is_told(operated: GatewayStack) -> None:
    """422 with the file, line, tenant and key; the status keeps it until a good version is loaded."""
    before = await config(operated)

    def spoil(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["psp-main"]["provider"] = "psp_opan_api"
        settings["tenants"]["globex"]["keys"] = []

    answer = await reload(operated, spoil)
    assert (answer.status, answer.json["code"]) == (422, "validation_failed")
    [error] = answer.json["errors"]
    assert error["field"].startswith("settings.yaml:")
    assert error["message"].startswith(f"{error['field']}: tenant acme: accounts.psp-main.provider: unknown provider")
    assert await config(operated) == {**before, "problems": [error["message"]]}
    assert (await operated.create(psp_body(), tenant="globex")).status == 201

    def mend(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["psp-main"]["provider"] = "psp_open_api"
        settings["tenants"]["globex"]["keys"] = [{"id": "k1", "sha256": "0" * 63 + "1"}]

    assert (await reload(operated, mend)).status == 200
    assert (await config(operated))["problems"] == []


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (lambda tenants: tenants["acme"].update(accounts={}, deposit_methods={}), "tenant acme: accounts.psp-main"),
        (lambda tenants: _renamed(tenants["acme"]["deposit_methods"], "bank"), "tenant acme: deposit_methods.bank"),
        (lambda tenants: tenants.pop("acme"), "tenant acme: accounts.psp-main"),
    ],
)
async def test_what_open_payments_need_cannot_go(operated: GatewayStack, gone: Any, named: str) -> None:
    """409 that names it; once the payments are done the same file is loaded."""
    paid = (await operated.create(psp_body(account=None, deposit_method="bank"))).json
    answer = await reload(operated, lambda settings: gone(settings["tenants"]))
    assert (answer.status, answer.json["code"]) == (409, "invalid_state")
    assert named in answer.json["errors"][0]["message"]
    assert named in (await config(operated))["problems"][0]
    await operated.click(paid, "fail")
    assert (await reload(operated)).status == 200


def _renamed(held: dict[str, Any], name: str) -> None:
    held[f"{name}-2"] = held.pop(name)


async def test_what_only_a_start_can_change_is_kept_and_named(operated: GatewayStack) -> None:
    """The rest of the file is loaded without it; the server still listens and its store is the same."""

    def change(settings: dict[str, Any]) -> None:
        settings["server"].update(port=1, secret="another-master-secret-of-forty-characters")
        settings["store"]["url"] = "sqlite:///data/other.db"
        settings["tenants"]["acme"]["return_origins"].append("https://other.example")

    before = operated.gateway.settings
    answer = await reload(operated, change)
    changed = ["server.port", "server.secret", "store.url"]
    assert (answer.status, sorted(answer.json["needs_restart"])) == (200, changed)
    assert sorted((await config(operated))["needs_restart"]) == changed
    now = operated.current.gateway.settings
    assert (now.store.path, now.server) == (before.store.path, before.server)
    assert now.tenants["acme"].accounts["psp-main"].endpoint_id == operated.entry("acme", "psp-main").endpoint_id
    assert (await operated.create(psp_body(return_url="https://other.example/done"))).status == 201


async def test_a_reload_needs_the_operators_key_and_is_audited(
    operated: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody else can cause it, and the log names who did and which version came of it."""
    caplog.set_level("INFO", logger="gateway")
    async with operated.http.post(f"{operated.admin_url}/admin/v1/reload") as refused:
        assert refused.status == 401
    answer = await reload(operated)
    assert [(one.operator, one.route) for one in caplog.records if one.message == "operators' call"] == [  # type: ignore[attr-defined]
        ("operator", "/admin/v1/reload")
    ]
    assert [one.hash for one in caplog.records if one.message == "settings loaded"] == [answer.json["hash"]]  # type: ignore[attr-defined]
    assert (await admin(operated, "GET", "/admin/v1/reload")).status == 405
