"""PSP bridges as they are, over HTTP: what differs from the description, and what the tenant sees of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import OutcomeUnknown
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.flows.plugin import calls
from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.stack import GatewayStack, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")


def noted(caplog: pytest.LogCaptureFixture) -> Iterator[tuple[str, str]]:
    """Account and kind of every unusual answer that the log names."""
    for record in caplog.records:
        if record.msg == "an answer is unusual but was read":
            yield vars(record)["account"], vars(record)["kind"]


@shared
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"success_status": 201}, "status 201"),
        ({"media_type": "text/html; charset=utf-8"}, "media type text/html; charset=utf-8"),
        ({"media_type": "text/plain"}, "media type text/plain"),
        ({"media_type": ""}, "no media type"),
        ({"byte_order_mark": True}, "a byte order mark"),
    ],
)
async def test_an_unusual_answer_is_read_and_noted_once(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, fault: dict[str, Any], kind: str
) -> None:
    """The customer gets the page; the operators get one line for an account and a kind, not one for each payment."""
    await shared_stack.faults("psp", **fault)
    for _ in range(2):
        reply = await shared_stack.create(psp_body())
        assert (reply.status, reply.json["state"]) == (201, "awaiting_customer"), reply.text
        assert reply.json["redirect_url"] is not None
    await shared_stack.create(psp_body(), tenant="globex")
    await shared_stack.faults("psp")
    assert list(noted(caplog)) == [("psp-main", kind)] * 2  # of two tenants


@shared
async def test_a_usual_answer_is_not_noted(shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """What the description promises is nothing to tell."""
    assert (await shared_stack.create(psp_body())).status == 201
    assert list(noted(caplog)) == []


async def test_a_bridge_of_many_words_hides_no_other(
    stack: GatewayStack, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that words each answer differently gets few lines, and another tenant's still gets its first."""
    monkeypatch.setattr(calls, "MAX_UNUSUAL_NOTED", 2)
    for number in range(4):
        await stack.faults("psp", media_type=f"text/x-{number}")
        await stack.create(psp_body())
    await stack.create(psp_body(), tenant="globex")
    assert [kind for _, kind in noted(caplog)] == [f"media type text/x-{number}" for number in (0, 1, 3)]


# A bridge that takes its time


class SlowBridge:
    """Stands before the real sender: calls take so many seconds on a clock that need not pass."""

    def __init__(self, stack: GatewayStack, seconds: float) -> None:
        self._send, self._seconds = stack.gateway.send, seconds
        self.gate: asyncio.Event | None = None
        self.has_taken_effect = asyncio.Event()
        stack.gateway.send = self

    async def __call__(self, request: HttpRequest, *, total: float, connect: float, owner: str) -> HttpResponse:
        response = await self._send(request, total=total, connect=connect, owner=owner)
        self.has_taken_effect.set()
        if total < self._seconds:
            raise OutcomeUnknown("timeout")
        if self.gate is not None:
            await self.gate.wait()
        return response


def patient(settings: dict[str, Any]) -> None:
    """One account may take a minute; its tenant is answered at once."""
    settings["timeouts"] = {"tenant_answer": "1ms"}
    settings["tenants"]["acme"]["accounts"]["psp-main"]["provider_total"] = "65s"


async def newest_page(stack: GatewayStack) -> str:
    """The path of the newest order's page, as the bridge would have answered it."""
    return f"/pay/{(await stack.provider_orders('psp'))[-1]['id']}"


async def test_a_bridge_that_answers_at_25_seconds(tmp_path: Path) -> None:
    """With ``provider_total: 65s`` the tenant gets 202, the customer pays, and the answer that comes then is taken."""
    async with running_stack(tmp_path, change=patient) as stack:
        slow = SlowBridge(stack, 25)
        slow.gate = asyncio.Event()
        reply = await stack.create(psp_body())
        assert (reply.status, reply.json["operation"]["status"]) == (202, "sending")
        await asyncio.wait_for(slow.has_taken_effect.wait(), 10)
        paid = await stack.call_provider("psp", "POST", f"{await newest_page(stack)}/pay")
        assert paid.json["status"] == 204
        slow.gate.set()
        await stack.gateway.tasks.drain(10)
        now = await stack.payment(reply.json["id"])
        assert (now["state"], now["pending_operation"], len(await stack.provider_orders("psp"))) == (
            "captured",
            None,
            1,
        )
        assert now["redirect_url"] is not None


async def test_a_bridge_that_answers_later_than_its_account_allows(tmp_path: Path) -> None:
    """Under the default of 20 seconds the outcome is unknown, nothing is sent again, and the callback settles it."""
    async with running_stack(tmp_path) as stack:
        SlowBridge(stack, 25)
        reply = await stack.create(psp_body())
        assert (reply.status, reply.json["operation"]["status"]) == (202, "unknown")
        assert (await stack.call_provider("psp", "POST", f"{await newest_page(stack)}/pay")).json["status"] == 204
        now = await stack.payment(reply.json["id"])
        assert (now["state"], now["pending_operation"], len(await stack.provider_orders("psp"))) == (
            "captured",
            None,
            1,
        )


async def test_nobody_takes_a_long_call_for_a_dead_one(tmp_path: Path) -> None:
    """The longest time any account has decides after which silence an operation counts as left alone."""
    async with running_stack(tmp_path, change=patient) as stack:
        assert stack.gateway.schedules.silence.total_seconds() > 65
        assert stack.entry("acme", "psp-main").provider_total == 65
        assert stack.entry("acme", "creditkey-main").provider_total == 20


# Amounts as they arrive


def rounds(settings: dict[str, Any]) -> None:
    """Book what arrived, its remainder cut off."""
    settings["tenants"]["acme"]["accounts"]["psp-main"]["config"] |= {"amount_rule": "actual", "round": "down"}


@pytest.mark.parametrize(
    ("received", "booked", "noted_as"),
    [
        (99.9731, "99.97", "99.9731"),
        ("99.9731", "99.97", "99.9731"),
        (100.009, "100.00", "100.009"),
        (0.0199999999, "0.01", "0.0199999999"),
        (162.48, "162.48", None),
        ("162.480", "162.48", None),
        (250, "250.00", None),
    ],
)
async def test_a_remainder_is_cut_off_and_noted(
    tmp_path: Path, received: Any, booked: str, noted_as: str | None
) -> None:
    """Crypto leaves decimals that the currency does not have: the rest is in the event, and a repeat is the same."""
    async with running_stack(tmp_path, change=rounds) as stack:
        payment = await new_payment(stack)
        for _ in range(2):
            assert (await call_back(stack, payment, amount=received, status=1)).status == 204
        now = await stack.payment(payment["id"])
        assert (now["state"], now["amount_captured"], now["review"]) == ("captured", booked, None)
        [event] = await stack.events_of_type(payment["id"], "payment.captured")
        assert event["details"].get("amount_received") == noted_as


@pytest.mark.parametrize("received", [0.0099, "0.0099", 0, -1.0])
async def test_less_than_the_smallest_coin_is_refused(tmp_path: Path, received: Any) -> None:
    """Nothing is left of it, so nothing is booked."""
    async with running_stack(tmp_path, change=rounds) as stack:
        payment = await new_payment(stack)
        reply = await call_back(stack, payment, amount=received, status=1)
        assert (reply.status, reply.json["type"]) == (400, "payment_amount_not_allowed")
        assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"


# A failure, and a success right after it


@shared
@pytest.mark.parametrize("first", [0, 1])
async def test_a_success_after_a_failure_is_reviewed_and_told_once(shared_stack: GatewayStack, first: int) -> None:
    """A bridge's clock and a late customer: 0, then 1 (or the other way) within a second. A person decides."""
    stack = shared_stack
    payment = await new_payment(stack)
    now = int(time.time() * 1000)
    assert (await call_back(stack, payment, status=first, time=now)).status == 204
    for later in (600, 900):
        reply = await call_back(stack, payment, status=1 - first, time=now + later)
        assert (reply.status, reply.json["type"]) == (400, "payment_status_not_pending")
    after = await stack.payment(payment["id"])
    assert (after["state"], after["review"]["reason"]) == ({0: "failed", 1: "captured"}[first], "contradiction")
    await stack.webhook(payment["id"], "payment.review")
    told = [event["type"] for event in await stack.events(payment["id"])]
    assert told.count("payment.review") == 1
    assert told.count("payment.captured") == first


# What API-1 has no member for


def with_address(settings: dict[str, Any]) -> None:
    """Send the customer's address, which the tenant knows, under a name of the bridge's."""
    fields = settings["tenants"]["acme"]["accounts"]["psp-main"]["fields"]
    fields["customer_ip"] = {"from": "metadata.ip"}
    fields["customer_agent"] = {"from": "metadata.agent", "key": "user_agent", "max_length": 200}


async def test_the_customers_address_by_metadata(tmp_path: Path) -> None:
    """The recipe of the page on this provider; a payment without it leaves the member out."""
    async with running_stack(tmp_path, change=with_address) as stack:
        for metadata, wanted in (
            ({"ip": "198.51.100.7", "agent": "Mozilla/5.0"}, ("198.51.100.7", "Mozilla/5.0")),
            ({"ip": "2001:db8::7"}, ("2001:db8::7", None)),
            ({}, (None, None)),
        ):
            assert (await stack.create(psp_body(metadata=metadata))).status == 201
            sent = (await stack.provider_orders("psp"))[-1]["fields"]
            assert (sent.get("customer_ip"), sent.get("user_agent")) == wanted
