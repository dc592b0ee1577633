"""Without room (on the disk, in a tenant's budget) no payment begins; what was begun goes on, and operators know."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.drivers.disk_space import DiskSpace
from gateway.drivers.store.statements import Statement
from gateway.flows import storage
from tests.support.clients.psp_callbacks import call_back
from tests.support.stack import (
    GatewayStack,
    Reply,
    creditkey_body,
    new_key,
    of_sqlite,
    order_of,
    psp_body,
    running_stack,
)

BUDGET = 1_000_000
LARGE = {f"{number}": "x" * 500 for number in range(20)}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A stack whose tenants have a small budget, and a mark of the disk that no disk here comes near."""

    def small(settings: dict[str, Any]) -> None:
        settings["limits"] = {"tenant_bytes": BUDGET, "low_disk": 100}

    async with running_stack(tmp_path, change=small) as opened:
        yield opened


class FakeDisk:
    """A disk whose free bytes a test sets."""

    def __init__(self, stack: GatewayStack) -> None:
        self.free, self.seconds = 0, 0.0
        stack.gateway.disk = DiskSpace(stack.settings.store_folders, 100, free=lambda _: self.free, now=self._now)

    def _now(self) -> float:
        self.seconds += 1
        return self.seconds


def code_of(reply: Reply) -> tuple[int, str]:
    """What a request was refused with."""
    return reply.status, reply.json["code"]


async def ready(stack: GatewayStack) -> tuple[int, Any]:
    """What ``/readyz`` says."""
    reply = await stack.visit(f"{stack.admin_url}/readyz")
    return reply.status, reply.json


async def what_exists_goes_on(stack: GatewayStack, psp: Any, creditkey: Any) -> None:
    """A callback, an update, a sync and a read of payments made before."""
    assert (await call_back(stack, psp)).status == 204
    assert (await stack.payment(psp["id"]))["state"] == "captured"
    changed = {"amount": "900.00", "order": order_of("900.00")}
    update = await stack.call("PATCH", f"/v1/payments/{creditkey['id']}", changed, key=new_key())
    assert (update.status, update.json["operation"]["status"]) == (200, "succeeded")
    assert (await stack.call("POST", f"/v1/payments/{creditkey['id']}/sync", {})).status == 200


@of_sqlite
async def test_a_disk_that_is_almost_full_takes_no_new_payment(stack: GatewayStack) -> None:
    """A create is 503 ``low_disk``: nothing is stored and no provider is called. All the rest goes on; it heals."""
    psp, creditkey = (await stack.create(psp_body())).json, (await stack.create(creditkey_body())).json
    heard = len(await stack.provider_requests("psp"))
    disk, body, key = FakeDisk(stack), psp_body(), new_key()
    refused = await stack.create(body, key=key)
    assert code_of(refused) == (503, "low_disk")
    assert "Retry-After" in refused.headers
    assert len(await stack.provider_requests("psp")) == heard
    assert (await stack.call("GET", f"/v1/payments?merchant_reference={body['merchant_reference']}")).json["data"] == []
    await what_exists_goes_on(stack, psp, creditkey)
    assert await ready(stack) == (200, {"status": "ok", "warnings": ["low_disk"]})
    disk.free = 100
    assert (await stack.create(body, key=key)).status == 201
    assert await ready(stack) == (200, {"status": "ok"})


async def test_a_repeated_create_is_answered_although_the_disk_is_low(stack: GatewayStack) -> None:
    """The payment exists: its stored answer takes no room."""
    body, key = psp_body(), new_key()
    first = await stack.create(body, key=key)
    FakeDisk(stack)
    assert (await stack.create(body, key=key)).text == first.text


@of_sqlite
async def test_a_successor_is_a_new_payment(stack: GatewayStack) -> None:
    """``allow_new_checkout`` begins a payment too: without room it is refused, and the old payment stays as it is."""
    payment = (await stack.create(creditkey_body())).json
    FakeDisk(stack)
    much = {"amount": "9999.00", "order": order_of("9999.00"), "allow_new_checkout": True}
    refused = await stack.call("PATCH", f"/v1/payments/{payment['id']}", much, key=new_key())
    assert code_of(refused) == (503, "low_disk")
    assert (await stack.payment(payment["id"]))["replaced_by"] is None


async def fill(stack: GatewayStack) -> Reply:
    """Create payments until one is refused."""
    for _ in range(BUDGET // 10_000):
        reply = await stack.create(psp_body(metadata=LARGE))
        if reply.status != 201:
            return reply
    raise AssertionError("no create was refused")


@of_sqlite
async def test_a_tenant_that_occupies_its_budget_makes_no_new_payment(stack: GatewayStack) -> None:
    """A create is 507 without a call to the provider; the tenant's payments and other tenants' creates go on."""
    psp, creditkey = (await stack.create(psp_body())).json, (await stack.create(creditkey_body())).json
    assert code_of(await fill(stack)) == (507, "storage_budget_exceeded")
    heard = len(await stack.provider_requests("psp"))
    body, key = psp_body(), new_key()
    assert code_of(await stack.create(body, key=key)) == (507, "storage_budget_exceeded")
    assert len(await stack.provider_requests("psp")) == heard
    await what_exists_goes_on(stack, psp, creditkey)
    assert (await stack.create(psp_body(), tenant="globex")).status == 201
    stored = await stack.gateway.store.stored_bytes()
    assert BUDGET <= stored["acme"] < BUDGET + 100_000
    stack.gateway.settings = replace(
        stack.gateway.settings, limits=replace(stack.gateway.settings.limits, tenant_bytes=2 * BUDGET)
    )
    assert (await stack.create(body, key=key)).status == 201


@pytest.mark.parametrize("lacks", ["disk", "budget"])
async def test_a_test_webhook_needs_room(stack: GatewayStack, lacks: str) -> None:
    """A test is kept like a payment: without room it is refused and nothing is stored."""
    assert (await stack.call("POST", "/v1/webhooks/test", {})).status == 202
    if lacks == "disk":
        FakeDisk(stack)
    else:
        await ready(stack)  # makes the row that is updated
        await stack.gateway.store.commit("acme", room_taken("acme", BUDGET))
    refused = await stack.call("POST", "/v1/webhooks/test", {})
    assert code_of(refused) == {"disk": (503, "low_disk"), "budget": (507, "storage_budget_exceeded")}[lacks]
    assert len((await stack.call("GET", "/v1/webhooks/deliveries")).json["data"]) == 1


async def test_operators_are_told_of_a_budget_that_runs_out(
    stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """One line at 80 percent and one at 100; ``/readyz`` stays 200 and warns as long as it is so."""
    budget = stack.gateway.settings.limits.tenant_bytes
    assert budget is not None
    with caplog.at_level(logging.WARNING, "gateway"):
        for part in (0.79, 0.8, 0.9, 1.0, 1.1, 0.5):
            occupied = (await stack.gateway.store.stored_bytes()).get("acme", 0)
            await stack.gateway.store.commit("acme", room_taken("acme", int(budget * part) - occupied))
            await storage.check(stack.gateway)
            warns = part >= 0.8
            expected = {"status": "ok", "warnings": ["storage_budget"]} if warns else {"status": "ok"}
            assert await ready(stack) == (200, expected), part
    lines = [record for record in caplog.records if record.message == "a tenant's storage budget runs out"]
    assert [(line.tenant, line.kind) for line in lines] == [("acme", "80 percent"), ("acme", "100 percent")]  # type: ignore[attr-defined]


def room_taken(tenant: str, size: int) -> list[Any]:
    """A unit that only counts."""
    return [Statement("UPDATE heartbeat SET at = at", (), None, (tenant, size))]


@pytest.mark.parametrize(("stored", "level"), [(0, 0), (799, 0), (800, 80), (999, 80), (1000, 100), (5000, 100)])
def test_levels(stored: int, level: int) -> None:
    """The levels that operators are told of."""
    assert storage.level_of(stored, 1000) == level
    assert storage.level_of(stored, None) == 0
