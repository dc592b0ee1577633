"""What a process remembers of payments: the first callback reads nothing, and what is old is never believed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from gateway.core import documents
from gateway.core.payment import State
from gateway.drivers.store import statements
from gateway.drivers.store.reads import Store
from gateway.flows.recent_payments import RecentPayments
from tests.support.factories.payments import make_payment
from tests.support.scripted_provider import ScriptedStack, running_scripted_stack
from tests.support.stack import of_sqlite

THREE = [make_payment(id=f"pay_{number}" + "0" * 31) for number in range(3)]
ROOM = 2 * len(documents.encode(THREE[0]))
"""Bytes of two payments."""


def remembered(recent: RecentPayments) -> list[bool]:
    """Which of the three are."""
    return [recent.find(payment.tenant, payment.id) == payment for payment in THREE]


def test_a_payment_is_found_as_it_was_noted_last() -> None:
    """With every member, under its own tenant alone."""
    recent, payment = RecentPayments(), make_payment()
    recent.note(payment)
    recent.note(replace(payment, version=2, revision=1))
    assert recent.find(payment.tenant, payment.id) == replace(payment, version=2, revision=1)
    assert recent.find("another", payment.id) is None


def test_where_there_is_no_room_the_oldest_are_forgotten() -> None:
    """One that is noted again is not the oldest any more, and takes its room once."""
    recent = RecentPayments(ROOM)
    one, two, three = THREE
    for payment in (one, two, one, one, three):
        recent.note(payment)
    assert remembered(recent) == [True, False, True]


def test_what_is_forgotten_makes_room() -> None:
    """Also where it was not remembered."""
    recent = RecentPayments(ROOM)
    one, two, three = THREE
    for payment in (one, two):
        recent.note(payment)
    for _ in range(2):
        recent.forget(two.tenant, two.id)
    recent.note(three)
    assert remembered(recent) == [True, False, True]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scripted(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack for all tests here: each makes payments of its own."""
    folder: Path = tmp_path_factory.mktemp("stack")
    async with running_scripted_stack(folder) as made:
        yield made


async def call_back(scripted: ScriptedStack, payment: Any, stage: str, event: str = "1") -> tuple[int, str]:
    """Report a stage of a payment; status and text of the answer."""
    said = {"payment_id": payment["id"], "stage": stage, "amount": "10.00", "currency": "USD"}
    answer = await scripted.call_back({**said, "event_id": f"{payment['id']} {event}"})
    return answer.status, answer.text


async def move_unseen(scripted: ScriptedStack, payment: Any, state: State) -> None:
    """Move a payment in the store alone."""
    store = scripted.stack.gateway.store
    loaded = await store.payment("acme", payment["id"])
    assert loaded is not None
    moved = replace(loaded.payment, state=state, version=loaded.payment.version + 1)
    await store.commit("acme", [statements.update_payment(loaded.payment, moved, open_before=None, open_after=None)])


@of_sqlite
@pytest.mark.asyncio(loop_scope="module")
async def test_callbacks_about_a_payment_just_made_read_nothing(
    scripted: ScriptedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From its create on, as long as it waits for its customer; one that is over is not remembered."""
    payment, gw = await scripted.begin(), scripted.stack.gateway
    with monkeypatch.context() as patched:
        patched.setattr(Store, "payment", None)
        assert await call_back(scripted, payment, "processing", "1") == (204, "")
        assert await call_back(scripted, payment, "captured", "2") == (204, "")
    assert gw.memory.recent_payments.find("acme", payment["id"]) is None
    assert (await scripted.now(payment))["state"] == "captured"


@pytest.mark.asyncio(loop_scope="module")
async def test_a_callback_is_applied_to_the_payment_as_it_is_stored(scripted: ScriptedStack) -> None:
    """One that has moved since is read, and what contradicts it moves nothing."""
    payment = await scripted.begin()
    await move_unseen(scripted, payment, State.CANCELED)
    assert await call_back(scripted, payment, "captured") == (422, "repeated_final")
    after = await scripted.now(payment)
    assert (after["state"], after["review"]["reason"]) == ("canceled", "contradiction")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_callback_that_moves_nothing_is_judged_by_the_payment_as_it_is_stored(scripted: ScriptedStack) -> None:
    """Nothing of the payment is written, so no conflict would show that it has moved."""
    payment = await scripted.begin()
    await move_unseen(scripted, payment, State.FAILED)
    assert await call_back(scripted, payment, "awaiting_customer") == (422, "repeated_final")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_repetition_about_a_payment_that_still_waits_is_noticed(scripted: ScriptedStack) -> None:
    """The event was applied before, and the payment is remembered as that left it."""
    payment = await scripted.begin()
    assert await call_back(scripted, payment, "processing") == (204, "")
    assert await call_back(scripted, payment, "processing") == (204, "")
    assert [row.verdict for row in (await scripted.inbox())[:2]] == ["repeated", "recorded"]
