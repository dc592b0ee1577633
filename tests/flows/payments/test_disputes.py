"""A dispute at an outside plugin: what the tenant is told, and what it may still ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.core.errors import TenantError
from gateway.core.facts import ReviewResolved
from gateway.flows.payments.review import resolve_review
from tests.support.scripted_provider import ScriptedStack, running_scripted_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


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


def disputed(payment: Any, event_id: str, total: str) -> dict[str, Any]:
    """A callback about a dispute."""
    return {"event_id": f"{payment['id']} {event_id}", "payment_id": payment["id"], "disputed": total}


async def test_the_tenant_reads_it_and_is_notified(scripted: ScriptedStack) -> None:
    """A total beside the state: each rise is one version with its webhook, a repetition none."""
    payment = await scripted.begin("captured")
    assert payment["amount_disputed"] == "0.00"
    answered = [(await scripted.call_back(disputed(payment, name, "4.00"))).status for name in ("d1", "d1", "d2")]
    now = await scripted.now(payment)
    assert answered == [204, 204, 422]
    assert (now["state"], now["amount_disputed"], now["version"]) == ("captured", "4.00", payment["version"] + 1)
    told = (await scripted.stack.webhook(payment["id"], "payment.disputed"))["data"]["payment"]
    assert told == now


async def test_a_refund_stays_possible(scripted: ScriptedStack) -> None:
    """Whether money that is disputed can go back too, the provider says; the refund is asked for as ever."""
    payment = await scripted.begin("captured")
    await scripted.call_back(disputed(payment, "d1", "10.00"))
    scripted.answers(
        {"payment_id": payment["id"], "stage": "captured"}, {"is": "declined", "code": "disputed", "message": ""}
    )
    refused = (await scripted.act(payment, "refunds")).json
    assert (refused["status"], refused["failure"]["provider_code"]) == ("declined", "disputed")
    scripted.answers({"payment_id": payment["id"], "stage": "captured"}, {"stage": "captured", "refunded": "10.00"})
    done = (await scripted.act(payment, "refunds")).json
    assert (done["status"], done["payment"]["state"], done["payment"]["amount_disputed"]) == (
        "succeeded",
        "refunded",
        "10.00",
    )


async def test_more_than_was_captured_is_for_a_person(scripted: ScriptedStack) -> None:
    """Like a refunded total that cannot be."""
    payment = await scripted.begin("captured")
    assert (await scripted.call_back(disputed(payment, "d1", "10.01"))).status == 422
    now = await scripted.now(payment)
    assert (now["amount_disputed"], now["review"]["reason"]) == ("0.00", "amount")


async def test_a_disputed_payment_stays_captured_by_a_persons_word(scripted: ScriptedStack) -> None:
    """Money that was disputed was taken: nobody may call such a payment failed."""
    payment = await scripted.begin("captured")
    await scripted.call_back(disputed(payment, "d1", "2.00"))
    await scripted.call_back(disputed(payment, "d2", "10.01"))
    decided = ReviewResolved(actor="dana", reason="x", state="failed")
    with pytest.raises(TenantError, match=r"2\.00 USD of this payment were disputed: it cannot be failed"):
        await resolve_review(scripted.stack.gateway, payment["id"], decided)
