"""What a customer needs to pay without a page: from the plugin to the tenant, to the letter and without secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.scripted_provider import KEY, ScriptedStack, running_scripted_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

BANK = {"iban": "DE02 1203 0000 0000 2020 51", "virtual account": "4111 1111 1111 1111", "note": "two\nlines; 8 €"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack with the outside plugin for all tests here."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def scripted(opened: ScriptedStack) -> ScriptedStack:
    """The plugin as it was written."""
    opened.reset()
    return opened


async def test_they_reach_the_tenant_to_the_letter(scripted: ScriptedStack) -> None:
    """In the answer, in the webhook, in the list; numbers that look like a card's are a bank's."""
    created = await scripted.begin(instructions=BANK)
    assert (created["instructions"], created["redirect_url"]) == (BANK, None)
    told = (await scripted.stack.webhook(created["id"], "payment.awaiting_customer"))["data"]["payment"]
    assert told["instructions"] == (await scripted.now(created))["instructions"] == BANK
    listed = await scripted.stack.call("GET", f"/v1/payments?merchant_reference={created['merchant_reference']}")
    assert listed.json["data"][0]["instructions"] == BANK


async def test_others_are_a_version(scripted: ScriptedStack) -> None:
    """As when a code is shown again after it ran out."""
    payment = await scripted.begin(instructions=BANK)
    scripted.answers({"payment_id": payment["id"], "stage": "awaiting_customer", "instructions": {"qr": "0002"}})
    now = (await scripted.act(payment, "sync")).json
    assert (now["instructions"], now["version"]) == ({"qr": "0002"}, payment["version"] + 1)
    events = await scripted.stack.events(payment["id"])
    assert events[-1]["type"] == "payment.updated"


async def test_they_hold_no_secret(scripted: ScriptedStack) -> None:
    """Neither in a name nor in a value, as it is or in capitals."""
    payment = await scripted.begin(instructions={f"use {KEY}": "x", "key": f"key={KEY.upper()};"})
    assert payment["instructions"] == {"use ***": "x", "key": "key=***;"}


@pytest.mark.parametrize(
    "given", [{"n" * 65: "x"}, {"": "x"}, {"x": "v" * 4097}, {f"n{number}": "x" for number in range(21)}, {"x": 1}]
)
async def test_too_much_of_it_is_a_fault_of_the_plugin(scripted: ScriptedStack, given: dict[str, object]) -> None:
    """The answer cannot be read then: the outcome is unknown, and the note says which member."""
    scripted.answers({"stage": "awaiting_customer", "instructions": given})
    created = await scripted.create()
    assert created.status == 202
    assert "Observation: instructions" in created.json["pending_operation"]["note"]
