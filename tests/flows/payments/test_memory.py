"""What a plugin asks to keep with a payment comes back with every later command, and is shown to nobody."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.scripted_provider import KEY, ScriptedStack, running_scripted_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

OTHERS = {f"n{at}": "v" for at in range(9)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack for all tests here."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def scripted(opened: ScriptedStack) -> ScriptedStack:
    """The plugin as it was written."""
    opened.reset()
    return opened


async def memory_of(scripted: ScriptedStack, payment: Any) -> Any:
    """What is stored."""
    snapshot = await scripted.stack.gateway.store.payment("acme", payment["id"])
    assert snapshot is not None
    return snapshot.payment.memory


async def test_each_later_command_has_what_earlier_answers_said(scripted: ScriptedStack) -> None:
    """Order, authorization, capture id: by replies, a callback and a lookup; the newest value counts."""
    payment = await scripted.begin(memory={"order": "O-1", "step": "1"})
    await scripted.call_back(
        {"event_id": payment["id"], "payment_id": payment["id"], "stage": "authorized", "memory": {"step": "2"}}
    )
    scripted.answers({"payment_id": payment["id"], "stage": "authorized", "memory": {"looked": "yes"}})
    await scripted.act(payment, "sync")
    scripted.answers({"stage": "captured", "memory": {"capture": "C-1"}})
    await scripted.act(payment, "capture")
    scripted.answers({"stage": "captured", "payment_id": payment["id"]}, {"stage": "captured", "refunded": "1.00"})
    await scripted.act(payment, "refunds", {"amount": "1.00"})
    assert [dict(one.memory) for one in scripted.provider.built] == [
        {},
        {"order": "O-1", "step": "2"},
        {"order": "O-1", "step": "2", "looked": "yes"},
        {"order": "O-1", "step": "2", "looked": "yes", "capture": "C-1"},
        {"order": "O-1", "step": "2", "looked": "yes", "capture": "C-1"},
    ]


async def test_it_is_kept_without_a_version_and_never_shown(scripted: ScriptedStack) -> None:
    """Nothing else of the payment changes: no version, no webhook, no word of it."""
    payment = await scripted.begin()
    scripted.answers({"payment_id": payment["id"], "stage": "awaiting_customer", "memory": {"order": "canary-17"}})
    synced = await scripted.act(payment, "sync")
    events = await scripted.stack.call("GET", f"/v1/payments/{payment['id']}/events")
    assert await memory_of(scripted, payment) == {"order": "canary-17"}
    assert synced.json["version"] == payment["version"]
    assert "canary-17" not in synced.text + events.text


async def test_a_finished_payment_still_learns(scripted: ScriptedStack) -> None:
    """A callback that comes after its payment is captured is not refused where it brings something to keep."""
    payment = await scripted.begin("captured")
    said = {"payment_id": payment["id"], "stage": "captured", "memory": {"capture": "C-1"}}
    first = await scripted.call_back({"event_id": "1" + payment["id"], **said})
    second = await scripted.call_back({"event_id": "2" + payment["id"], **said})
    assert (first.status, second.status, second.text) == (204, 422, "repeated_final")
    assert await memory_of(scripted, payment) == {"capture": "C-1"}


async def test_accepted_and_not_done_is_remembered_as_well(scripted: ScriptedStack) -> None:
    """A 202 names what the lookup has to ask for."""
    payment = await scripted.begin("captured")
    scripted.answers({"stage": "captured", "payment_id": payment["id"]}, {"is": "pending", "memory": {"refund": "R-1"}})
    assert (await scripted.act(payment, "refunds", {"amount": "1.00"})).status == 202
    assert await memory_of(scripted, payment) == {"refund": "R-1"}


@pytest.mark.parametrize("misfit", [{"amount": "9.00"}, {"currency": "EUR"}, {"merchant_reference": "another"}])
async def test_what_does_not_fit_the_payment_is_not_remembered(scripted: ScriptedStack, misfit: dict[str, str]) -> None:
    """By callback, lookup and reply alike."""
    payment = await scripted.begin("authorized")
    said = {"payment_id": payment["id"], "stage": "authorized", "memory": {"order": "O-2"}, **misfit}
    scripted.answers(said)
    await scripted.act(payment, "capture")
    await scripted.act(payment, "sync")
    await scripted.call_back({"event_id": payment["id"], **said})
    assert await memory_of(scripted, payment) == {}


async def test_at_most_ten_pairs_are_kept(scripted: ScriptedStack, caplog: pytest.LogCaptureFixture) -> None:
    """Known names are updated; further new ones are left out with a line in the log; the fact itself counts."""
    payment = await scripted.begin(memory={**OTHERS, "order": "O-1"})
    with caplog.at_level(logging.WARNING):
        said = {"payment_id": payment["id"], "stage": "captured", "memory": {"order": "O-2", "extra": "1"}}
        await scripted.call_back({"event_id": payment["id"], **said})
    assert await memory_of(scripted, payment) == {**OTHERS, "order": "O-2"}
    assert (await scripted.now(payment))["state"] == "captured"
    (line,) = [record for record in caplog.records if record.message == "the memory of a payment is full"]
    assert vars(line)["problem"] == "10 pairs are kept; left out: extra"


@pytest.mark.parametrize("memory", [{"key": KEY}, {KEY: "x"}])
async def test_memory_that_holds_a_secret_is_refused(scripted: ScriptedStack, memory: dict[str, str]) -> None:
    """As an id that holds one is: the answer cannot be used."""
    scripted.answers({"stage": "awaiting_customer", "memory": memory})
    created = await scripted.create()
    assert created.status == 202
    assert created.json["pending_operation"]["note"].startswith("plugin_error an id, an address, memory")
    assert await memory_of(scripted, created.json) == {}


async def test_it_outlives_the_process(tmp_path: Path) -> None:
    """It is stored with the payment."""
    async with running_scripted_stack(tmp_path) as scripted:
        payment = await scripted.begin(memory={"order": "O-1"})
    async with running_scripted_stack(tmp_path) as scripted:
        scripted.answers({"payment_id": payment["id"], "stage": "awaiting_customer"})
        await scripted.act(payment, "sync")
        assert scripted.provider.built[0].memory == {"order": "O-1"}
