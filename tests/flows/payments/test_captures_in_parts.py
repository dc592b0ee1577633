"""Several captures of one payment at an outside plugin: what the tenant asks for, what the plugin is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

import gateway
from gateway.core.errors import OutcomeUnknown
from gateway.core.wire import HttpRequest
from tests.support.scripted_provider import ScriptedProvider, ScriptedStack, running_scripted_stack
from tests.support.stack import new_key

pytestmark = pytest.mark.asyncio(loop_scope="module")


class InParts(ScriptedProvider):
    """A provider that captures in parts, and says in the body what it is told."""

    def rules(self, account: gateway.Account) -> gateway.Rules:
        """Many captures; no ``partial_capture`` besides."""
        return replace(super().rules(account), captures="many", partial_capture=False)

    def build(self, command: gateway.Command, account: gateway.Account) -> HttpRequest:
        """With what a capture is told."""
        made = super().build(command, account)
        if not isinstance(command, gateway.CapturePayment):
            return made
        return replace(made, body=gateway.dumps({"amount": command.money.text(), "final": command.final}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack with that plugin for all tests here."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack"), provider=InParts()) as made:
        yield made


async def capture(scripted: ScriptedStack, payment: Any, body: Any, **said: Any) -> Any:
    """A capture that succeeds, and what the plugin was told."""
    scripted.answers({"stage": "authorized", **said})
    reply = await scripted.act(payment, "capture", body)
    assert reply.status == 200, reply.text
    told = gateway.loads(scripted.sent[-1].body)
    return reply.json, (told["amount"], told["final"])


def seen(payment: Any) -> tuple[str, str]:
    """State and captured total."""
    return payment["state"], payment["amount_captured"]


async def test_a_payment_is_captured_part_by_part(opened: ScriptedStack) -> None:
    """It stays authorized while some of it is open; what is left is taken without naming an amount."""
    payment = await opened.begin("authorized")
    first, told = await capture(opened, payment, {"amount": "4.00"})
    assert (seen(first), told, first["operation"]["status"]) == (("authorized", "4.00"), ("4.00", False), "succeeded")
    second, told = await capture(opened, payment, {"amount": "2.50"}, captured="6.50")
    assert (seen(second), told) == (("authorized", "6.50"), ("2.50", False))
    last, told = await capture(opened, payment, {})
    assert (seen(last), told) == (("captured", "10.00"), ("3.50", True))
    assert last["captured_at"] is not None
    types = [event["type"] for event in await opened.stack.events(payment["id"])]
    assert types == ["payment.created", "payment.authorized", "payment.updated", "payment.updated", "payment.captured"]


async def test_the_last_part_releases_the_rest(opened: ScriptedStack) -> None:
    """``final`` closes the payment at what was captured; then refunds are possible."""
    payment = await opened.begin("authorized")
    await capture(opened, payment, {"amount": "4.00"})
    last, told = await capture(opened, payment, {"amount": "1.00", "final": True})
    assert (seen(last), told) == (("captured", "5.00"), ("1.00", True))
    opened.answers({"payment_id": payment["id"], "stage": "captured"}, {"stage": "captured", "refunded": "5.00"})
    assert (await opened.act(payment, "refunds")).json["payment"]["state"] == "refunded"


async def test_a_cancel_releases_the_rest(opened: ScriptedStack) -> None:
    """The payment is captured then, not canceled: money was taken."""
    payment = await opened.begin("authorized")
    await capture(opened, payment, {"amount": "4.00"})
    opened.answers({"stage": "canceled"})
    done = (await opened.act(payment, "cancel")).json
    assert (seen(done), done["operation"]["status"], done["canceled_at"]) == (("captured", "4.00"), "succeeded", None)


@pytest.mark.parametrize(
    ("verb", "body", "code"),
    [
        ("capture", {"amount": "6.01"}, "amount_too_large"),
        ("capture", {"amount": "0"}, "validation_failed"),
        ("capture", {"amount": "1.00", "final": "yes"}, "validation_failed"),
        ("refunds", {"amount": "1.00"}, "invalid_state"),
        ("", {"amount": "9.00"}, "invalid_state"),
    ],
)
async def test_what_is_refused_while_parts_are_open(opened: ScriptedStack, verb: str, body: Any, code: str) -> None:
    """More than is left, refunds before the end, and a change of what was agreed; nothing is sent."""
    payment = await opened.begin("authorized")
    await capture(opened, payment, {"amount": "4.00"})
    sent = len(opened.sent)
    if verb:
        refused = await opened.act(payment, verb, body)
    else:
        refused = await opened.stack.call("PATCH", f"/v1/payments/{payment['id']}", body, key=new_key())
    assert (refused.json["code"], len(opened.sent)) == (code, sent)
    assert seen(await opened.now(payment)) == ("authorized", "4.00")


async def test_a_lost_part_is_found_by_its_total(opened: ScriptedStack) -> None:
    """Its outcome is unknown until a lookup shows the total; it is never sent again."""
    payment = await opened.begin("authorized")
    await capture(opened, payment, {"amount": "4.00"})
    opened.answers(OutcomeUnknown("timeout"))
    lost = await opened.act(payment, "capture", {"amount": "3.00"})
    assert (lost.status, seen(lost.json)) == (202, ("authorized", "4.00"))
    opened.answers({"payment_id": payment["id"], "stage": "authorized", "captured": "7.00"})
    found = (await opened.act(payment, "sync")).json
    assert (seen(found), found["pending_operation"]) == (("authorized", "7.00"), None)
    captures = [one for one in opened.sent if one.url.endswith("CapturePayment")]
    assert sum(gateway.loads(one.body)["amount"] == "3.00" for one in captures) == 1


async def test_a_part_that_a_restored_store_has_forgotten_is_not_captured_again(
    opened: ScriptedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The repeated request looks like a new one: the provider is asked first, and a person decides."""
    payment = await opened.begin("authorized")
    monkeypatch.setattr(opened.stack.gateway, "restored_at", opened.stack.gateway.clock.now())
    opened.answers({"payment_id": payment["id"], "stage": "authorized", "captured": "4.00"})
    again = await opened.act(payment, "capture", {"amount": "4.00"})
    assert (again.status, again.json["code"]) == (409, "under_review")
    assert not any(one.url.endswith("CapturePayment") for one in opened.sent[-2:])
    now = await opened.now(payment)
    assert (seen(now), now["review"]["reason"]) == (("authorized", "4.00"), "amount")
    assert (await opened.stack.events(payment["id"]))[-1]["details"]["restored"] == "true"


async def test_charges_of_a_part_come_to_the_part(opened: ScriptedStack) -> None:
    """The order of a shipment has its own sum; without an amount it is that of all that is left."""
    payment = await opened.begin("authorized")
    await capture(opened, payment, {"amount": "4.00", "order": {"charges": {"total": "4.00", "grand_total": "4.00"}}})
    wrong = {"order": {"charges": {"total": "10.00", "grand_total": "10.00"}}}
    assert (await opened.act(payment, "capture", wrong)).json["code"] == "validation_failed"
    rest = {"order": {"charges": {"total": "6.00", "grand_total": "6.00"}}}
    assert seen((await capture(opened, payment, rest))[0]) == ("captured", "10.00")


async def test_the_account_says_so(opened: ScriptedStack) -> None:
    """A front end sees where a payment may be captured in parts."""
    accounts = {one["name"]: one for one in (await opened.stack.call("GET", "/v1/accounts")).json["data"]}
    assert {name: one["captures"] for name, one in accounts.items()} == {
        "creditkey-main": "one",
        "psp-main": "one",
        "outside-main": "many",
    }
