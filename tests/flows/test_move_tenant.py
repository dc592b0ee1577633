"""A tenant moves to another database while gateways serve it and others: nothing is lost, doubled or written twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.background import nodes as background_nodes
from tests.support import postgresql
from tests.support.cli import run
from tests.support.several_gateways import several_gateways
from tests.support.stack import GatewayStack, new_key, psp_body


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes look at the stores much more often."""
    monkeypatch.setattr(background_nodes, "RENEW_SECONDS", 0.1)
    monkeypatch.setattr(background_nodes, "MOVING_SECONDS", 0.05)


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[list[GatewayStack]]:
    """Two gateways on two databases; both tenants are in main."""
    with postgresql.fresh_database() as main, postgresql.fresh_database() as eu:

        def change(settings: dict[str, Any]) -> None:
            del settings["store"]
            settings["stores"] = {"main": {"url": main, "pool": 4}, "eu": {"url": eu, "pool": 4}}

        async with several_gateways(tmp_path, change=change, in_settings=True) as stacks:
            yield stacks


async def moved(stack: GatewayStack, tenant: str, to: str) -> Any:
    """Run the command."""
    config = stack.folder / "settings.yaml"
    done = await asyncio.to_thread(run, "store", "move-tenant", tenant, to, "--json", "--config", config)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_a_tenant_goes_on_in_the_other_store(two: list[GatewayStack]) -> None:
    """What it asked before is answered as before, and what comes is in the other store only."""
    body, key = psp_body(), new_key()
    first = await two[0].create(body, key=key)
    theirs = await two[0].create(psp_body(), tenant="globex")
    assert (first.status, theirs.status) == (201, 201)
    done = await moved(two[0], "acme", "eu")
    assert (done["moved"], done["from"], done["store"]) == (True, "main", "eu")
    for one in two:
        again = await one.create(body, key=key)
        assert (again.status, again.json) == (201, first.json)
    assert len(await two[0].provider_orders("psp")) == 2
    await two[1].click(first.json, "pay")
    for one in two:
        assert (await one.payment(first.json["id"]))["state"] == "captured"
    main, eu = two[0].gateway.store.parts
    assert await main.payment("acme", first.json["id"]) is None
    assert await eu.payment("acme", first.json["id"]) is not None
    assert "store: eu" in (two[0].folder / "settings.yaml").read_text()
