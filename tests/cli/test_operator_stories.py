"""What operators are called for at night: each story is found and ended with the commands alone.

``pytest -s`` prints how long each took.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.drivers.disk_space import DiskSpace
from gateway.flows.background import reconcile
from tests.support.cli import run
from tests.support.clients.psp_callbacks import call_back, expire, new_payment
from tests.support.factories.deliveries import rows_when
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import ADMIN_KEY, RIGHT, WRONG, deliver, with_token
from tests.support.stack import GatewayStack, key_of, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock

WHY = ("--reason", "looked into it, case 4711")
LONG_AGO = ("--since", "2026-01-01")


class Desk(NamedTuple):
    """A running gateway, and the commands. ``clock`` is the gateway's where days pass."""

    stack: GatewayStack
    clock: VirtualClock

    async def ask(self, *arguments: str, status: int = 0) -> Any:
        """Run a command that calls the operators' listener; what it prints as JSON."""
        return await self.read(*arguments, "--admin-url", self.stack.admin_url, status=status)

    async def read(self, *arguments: str, status: int = 0) -> Any:
        """Run a command that reads the store."""
        config = self.stack.folder / "settings.yaml"
        result = await asyncio.to_thread(run, *arguments, "--json", "--config", config)
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    async def status_of(self, key: str) -> int:
        """How a tenant with this key is answered."""
        headers = {"Authorization": f"Bearer {key}"}
        async with self.stack.http.get(f"{self.stack.url}/v1/payments", headers=headers) as answer:
            return answer.status

    async def found(self, text: str) -> Any:
        """The only payment that is found by this."""
        [found] = (await self.ask("find", text))["data"]
        return found


async def customer_paid_and_nothing_happened(desk: Desk) -> None:
    """The answer to the create was lost, and the customer has paid: found by the merchant's reference."""
    await desk.stack.faults("psp", silence="after_effect", times=1)
    reference = (await desk.stack.create(psp_body())).json["merchant_reference"]
    payment = await desk.found(reference)
    assert payment["state"] == "created"
    await desk.ask("payments", "resolve", payment["id"], "--state", "captured", "--provider-reference", "T-9", *WHY)
    assert (await desk.found(reference))["state"] == "captured"
    assert (await desk.ask("payments", "review", "operations"))["data"] == []


async def the_only_callback_never_came(desk: Desk) -> None:
    """Expired without a word; the callback that comes after all is taken, and captures nothing again."""
    payment = await new_payment(desk.stack)
    await expire(desk.stack, payment["id"])
    [silent] = (await desk.ask("payments", "silent"))["data"]
    await desk.ask("payments", "resolve", silent["id"], "--state", "captured", *WHY)
    assert (await desk.ask("payments", "silent"))["data"] == []
    await call_back(desk.stack, payment)
    [callback] = (await desk.read("inbox", "list", "--payment-id", payment["id"]))["data"]
    assert callback["verdict"] == "recorded"
    assert (await desk.ask("payments", "review", "list"))["data"] == []


async def endpoint_was_dead(desk: Desk) -> None:
    """The status names the command; what the tenant missed goes out."""
    desk.stack.webhook_answer = lambda _: 410
    payment = await new_payment(desk.stack)
    await rows_when(desk.stack, payment["id"], lambda rows: {row.status for row in rows} == {"dead"})
    desk.stack.webhook_answer = lambda _: 204
    said = (await desk.ask("status", status=1))["needs_person"]
    assert any("gateway endpoints enable acme" in one for one in said)
    [disabled] = [one for one in (await desk.ask("endpoints", "list"))["data"] if not one["enabled"]]
    await desk.ask("endpoints", "enable", disabled["tenant"], "--redeliver", *WHY)
    assert (await desk.ask("deliveries", "list", "--tenant", "acme", "--status", "dead"))["data"] == []
    assert (await desk.ask("status"))["needs_person"] == []


async def token_was_wrong(desk: Desk) -> None:
    """Callbacks were refused; with the right token in the settings they are believed."""
    payment = await new_payment(desk.stack)
    await deliver(desk.stack, payment, RIGHT)
    [refused] = (await desk.read("inbox", "list", "--verdict", "refused"))["data"]
    assert refused["reason"] == "unauthentic"
    path = desk.stack.folder / "settings.yaml"
    path.write_text(path.read_text().replace(WRONG, RIGHT))
    await desk.ask("reload")
    made = await desk.ask("inbox", "reverify", "--account", "psp-main", *LONG_AGO, "--apply", *WHY)
    assert made["counts"]["applied"] == 1
    assert (await desk.found(payment["id"]))["state"] == "captured"


async def provider_was_down(desk: Desk) -> None:
    """Refunds were made at its portal meanwhile: all its payments are looked at again."""
    payment = await creditkey.captured(desk.stack)
    await creditkey.edit(desk.stack, payment, refunded_amount="10.00")
    queued = await desk.ask("payments", "sync", "--account", "creditkey-main", *LONG_AGO, "--apply", *WHY)
    assert queued["queued"] == 1
    await desk.stack.gateway.tasks.drain(10)
    assert (await desk.found(payment["id"]))["state"] == "partially_refunded"


async def refund_is_unclear(desk: Desk) -> None:
    """Its answer was lost; the portal shows the total."""
    payment = await creditkey.captured(desk.stack)
    await desk.stack.faults("creditkey", operation="refund", silence="before_effect", times=1)
    await creditkey.act(desk.stack, payment, "refund", {"amount": "10.00"})
    [operation] = (await desk.ask("payments", "review", "operations"))["data"]
    assert operation["payment_id"] == payment["id"]
    totals = ("--state", "partially_refunded", "--amount-refunded", "10.00")
    told = await desk.ask("payments", "resolve", operation["payment_id"], *totals, *WHY)
    assert (told["amount_refunded"], told["pending_operation"]) == ("10.00", None)


async def success_after_failure(desk: Desk) -> None:
    """The first attempt failed, the second one paid: a person names the one that counts."""
    payment = await new_payment(desk.stack)
    await call_back(desk.stack, payment, status=0, transaction_id="T-1")
    await call_back(desk.stack, payment, status=1, transaction_id="T-2")
    [flagged] = (await desk.ask("payments", "review", "list"))["data"]
    assert flagged["review"]["reason"] == "contradiction"
    await desk.ask("payments", "resolve", flagged["id"], "--state", "captured", "--provider-reference", "T-2", *WHY)
    assert (await desk.ask("payments", "review", "list"))["data"] == []


async def who_did_that(desk: Desk) -> None:
    """A state that somebody entered: by whose key and why."""
    payment = await new_payment(desk.stack)
    await desk.ask("payments", "resolve", payment["id"], "--state", "failed", *WHY)
    [act] = (await desk.ask("audit", "--payment-id", payment["id"]))["data"]
    assert (act["act"], act["key_id"], act["reason"]) == ("payments.resolve", "operator", WHY[1])
    assert (await desk.found(payment["id"]))["state"] == "failed"


async def why_422(desk: Desk) -> None:
    """A tenant has the id of a request of yesterday: code and member."""
    reply = await desk.stack.create(psp_body(amount="-1.00"))
    [refused] = (await desk.ask("find", reply.headers["X-Request-Id"]))["refused_requests"]
    assert (refused["status"], refused["code"], refused["fields"]) == (422, "validation_failed", ["$.amount"])


async def tenants_key_leaked(desk: Desk) -> None:
    """A new key first, then the old one ends."""
    new = await desk.ask("keys", "rotate", "--tenant", "acme")
    await desk.ask("reload")
    assert [await desk.status_of(key) for key in (key_of("acme"), new["key"])] == [200, 200]
    await desk.ask("keys", "rotate", "--tenant", "acme", "--finish")
    await desk.ask("reload")
    assert [await desk.status_of(key) for key in (key_of("acme"), new["key"])] == [401, 200]


async def capture_deadline_is_near(desk: Desk) -> None:
    """Authorized and never captured: the tenant is asked, and captures it in the portal."""
    timed = creditkey.TimedStack(desk.stack, desk.clock)
    order = await creditkey.authorized(desk.stack)
    await timed.advance(27.5 * creditkey.DAY)
    [found] = (await desk.read("payments", "list", "--state", "authorized"))["data"]
    shown = await desk.read("payments", "show", found["id"])
    assert shown["payment"]["alerts"][0]["code"] == "capture_deadline_near"
    await creditkey.edit(desk.stack, order, capture_status="captured")
    await desk.ask("payments", "sync", "--state", "authorized", "--apply", *WHY)
    async with asyncio.timeout(10):
        while (await desk.stack.payment(order["id"]))["state"] != "captured":
            pass
    assert (await desk.found(order["id"]))["state"] == "captured"
    await desk.clock.advance(1)  # the pause after a look is over, and nobody waits for it at the end


async def disk_is_nearly_full(desk: Desk) -> None:
    """No new payment is taken; when somebody has made room, all is well again by itself."""
    free = [0]
    desk.stack.gateway.disk = DiskSpace(
        desk.stack.settings.store_folders, 10**6, free=lambda _: free[0], now=count().__next__
    )
    assert (await desk.stack.create(psp_body())).json["code"] == "low_disk"
    [said] = (await desk.ask("status", status=1))["needs_person"]
    assert "the disk is almost full" in said
    free[0] = 10**7
    assert (await desk.ask("status"))["needs_person"] == []
    assert (await desk.stack.create(psp_body())).status == 201


STORIES: tuple[Callable[[Desk], Awaitable[None]], ...] = (
    customer_paid_and_nothing_happened,
    the_only_callback_never_came,
    endpoint_was_dead,
    token_was_wrong,
    provider_was_down,
    refund_is_unclear,
    success_after_failure,
    who_did_that,
    why_422,
    tenants_key_leaked,
    capture_deadline_is_near,
    disk_is_nearly_full,
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_story_is_found_and_ended(
    story: Callable[[Desk], Awaitable[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With commands alone; nothing else is looked at."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    change = with_token(WRONG if story is token_was_wrong else None)
    clock = VirtualClock(datetime.now(UTC).replace(microsecond=0))
    days_pass = story is capture_deadline_is_near
    if days_pass:
        monkeypatch.setattr(reconcile, "run", creditkey.idle)
    async with running_stack(tmp_path, change=change, clock=clock if days_pass else None) as stack:
        began = time.monotonic()
        await story(Desk(stack, clock))
        print(f"{story.__name__}: {time.monotonic() - began:.1f} s")  # for who reads
