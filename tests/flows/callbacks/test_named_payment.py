"""Which payment a callback is about: named by our id, by the provider's reference, or by a merchant reference alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import gateway
from gateway.flows.callbacks import explain, reprocess
from gateway.flows.callbacks.reprocess import Order
from gateway.flows.payments.intent import urls_of
from tests.support.scripted_provider import KEY, ScriptedProvider, ScriptedStack, running_scripted_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack with the outside plugin for all tests here: each makes payments of its own."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def scripted(opened: ScriptedStack) -> ScriptedStack:
    """The plugin as it was written; its callbacks are hints under the names they give."""
    opened.reset()
    return opened


def hints(scripted: ScriptedStack, **names: str) -> None:
    """Every callback is a hint under these names."""
    scripted.provider.verify = lambda *_: gateway.Hint(**names)  # type: ignore[method-assign]


async def looked_up(scripted: ScriptedStack) -> list[str]:
    """The commands that were sent since the last look, after the background work."""
    await scripted.stack.gateway.tasks.drain(10)
    sent = [request.url.rpartition("/")[2] for request in scripted.sent]
    scripted.sent.clear()
    return sent


async def last(scripted: ScriptedStack) -> Any:
    """The verdict, reason, detail and payment of the newest callback."""
    row = (await scripted.inbox())[0]
    return row.verdict, row.reason, row.detail, row.payment_id


@pytest.mark.parametrize("name", ["payment_id", "provider_reference", "merchant_reference"])
async def test_a_hint_on_the_account_s_address_names_its_payment(scripted: ScriptedStack, name: str) -> None:
    """By any name it causes one lookup, which moves the payment; the hint itself does not."""
    payment = await scripted.begin(provider_reference=f"P-{name}")
    named = {"payment_id": payment["id"], **payment}[name]
    scripted.sent.clear()
    scripted.answers({"stage": "captured", "payment_id": payment["id"]})
    hints(scripted, **{name: named})
    assert (await scripted.call_back({})).status == 204
    assert await looked_up(scripted) == ["FetchPayment"]
    assert (await scripted.now(payment))["state"] == "captured"
    assert await last(scripted) == ("recorded", None, None, payment["id"])


async def test_the_token_in_the_address_wins(scripted: ScriptedStack) -> None:
    """A customer's return address is about its own payment, whatever else the visit names."""
    own, other = await scripted.begin(), await scripted.begin()
    hints(scripted, payment_id=other["id"], merchant_reference=other["merchant_reference"])
    urls = urls_of(scripted.stack.gateway, scripted.stack.entry("acme", "outside-main"), own["id"])
    async with scripted.stack.http.get(urls.return_) as reply:
        assert reply.status == 200
    assert (await last(scripted))[3] == own["id"]


@pytest.mark.parametrize(
    ("names", "detail"),
    [
        ({}, "it names no payment"),
        ({"payment_id": "pay_nobody"}, 'this account has no payment "pay_nobody"'),
        ({"provider_reference": "P-0"}, 'this account has no payment of the provider_reference "P-0"'),
        ({"merchant_reference": "SO-0"}, 'this account has no payment of the merchant_reference "SO-0"'),
    ],
)
async def test_a_hint_that_names_nothing_we_know_says_which_name_was_tried(
    scripted: ScriptedStack, names: dict[str, str], detail: str
) -> None:
    """It is refused, stored, and causes no lookup; ``callback explain`` says the same."""
    hints(scripted, **names)
    assert (await scripted.call_back({})).text == "not_found"
    assert await last(scripted) == ("refused", "not_found", detail, None)
    assert await looked_up(scripted) == []
    row = await reprocess.find(scripted.stack.gateway, (await scripted.inbox())[0].id)
    explained = await explain.explain(scripted.stack.gateway, row)
    assert (explained.verdict, explained.reason, explained.detail) == ("refused", "not_found", detail)


async def test_a_hint_that_was_followed_is_explained_as_it_was_judged(scripted: ScriptedStack) -> None:
    """The inbox and the explanation agree on a hint by reference, too."""
    payment = await scripted.begin()
    hints(scripted, merchant_reference=payment["merchant_reference"])
    await scripted.call_back({})
    row = await reprocess.find(scripted.stack.gateway, (await scripted.inbox())[0].id)
    explained = await explain.explain(scripted.stack.gateway, row)
    assert (row.verdict, explained.verdict, explained.reason) == ("recorded", "recorded", None)


async def test_a_guess_is_answered_alike_whether_there_is_such_a_payment(scripted: ScriptedStack) -> None:
    """Without a secret of the account nobody learns which payments exist."""
    payment = await scripted.begin()
    answers = []
    for reference in (payment["merchant_reference"], "SO-guess"):
        hints(scripted, merchant_reference=reference)
        reply = await scripted.call_back({}, key="not-the-key")
        answers.append((reply.status, reply.text, await last(scripted)))
    (known, guess) = answers
    assert known[:2] == guess[:2] == (204, "")
    assert (known[2][0], guess[2][:2]) == ("recorded", ("refused", "not_found"))


# Events by merchant reference


def event(payment: Any, **members: Any) -> dict[str, Any]:
    """An event that names its payment by the merchant reference alone."""
    said = {"stage": "captured", "amount": "10.00", "currency": "USD", "event_id": f"E {payment['id']}"}
    return {**said, "merchant_reference": payment["merchant_reference"], **members}


async def test_an_event_by_merchant_reference_moves_its_payment(scripted: ScriptedStack) -> None:
    """One live payment holds the reference, so the event is about that."""
    payment = await scripted.begin()
    reply = await scripted.call_back(event(payment))
    assert (reply.status, (await scripted.now(payment))["state"]) == (204, "captured")


@pytest.mark.asyncio(loop_scope="function")
async def test_a_provider_without_lookups_names_it_so_too(tmp_path: Path) -> None:
    """``provider_reference`` names no payment there, so the merchant reference decides."""
    provider = ScriptedProvider()
    provider.commands = frozenset({gateway.CreatePayment})
    async with running_scripted_stack(tmp_path, provider=provider) as scripted:
        payment = await scripted.begin(provider_reference="attempt-1")
        reply = await scripted.call_back(event(payment, provider_reference="attempt-2"))
        assert (reply.status, (await scripted.now(payment))["state"]) == (204, "captured")


async def test_a_payment_that_has_ended_is_named_by_its_id(scripted: ScriptedStack) -> None:
    """Its reference may be another payment's tomorrow; a repetition of what ended it is still one."""
    payment = await scripted.begin()
    ends = event(payment, stage="failed")
    assert (await scripted.call_back(ends)).status == 204
    assert (await scripted.call_back(ends)).status == 204
    assert (await last(scripted))[0] == "repeated"
    reply = await scripted.call_back(event(payment, event_id=f"E2 {payment['id']}"))
    assert (reply.status, reply.text) == (422, "not_found")
    named = f"{payment['id']}, which had this merchant_reference, is failed: name it by its id"
    assert await last(scripted) == ("refused", "not_found", named, None)
    assert (await scripted.now(payment))["state"] == "failed"


async def test_another_order_under_the_reference_is_another_payment(scripted: ScriptedStack) -> None:
    """A provider reference that is not the stored one belongs to somebody else: nothing goes to review."""
    payment = await scripted.begin(provider_reference="P-own")
    reply = await scripted.call_back(event(payment, provider_reference="P-foreign"))
    assert (reply.status, reply.text) == (422, "not_found")
    now = await scripted.now(payment)
    assert (now["state"], now["review"]) == ("awaiting_customer", None)


async def test_a_lost_create_is_found_by_its_reference(scripted: ScriptedStack) -> None:
    """No provider reference is stored yet: the event brings it, and resolves the create."""
    payment = await scripted.lose()
    assert (await scripted.call_back(event(payment, provider_reference="P-new"))).status == 204
    now = await scripted.now(payment)
    assert (now["state"], now["provider_reference"], now["pending_operation"]) == ("captured", "P-new", None)


async def test_a_refused_event_is_judged_again_once_its_payment_exists(scripted: ScriptedStack) -> None:
    """``replay`` finds the payment under the same name."""
    scripted.reset()
    reference = "SO-later"
    early = {"merchant_reference": reference, "id": "later"}
    assert (await scripted.call_back(event(early))).text == "not_found"
    row = (await scripted.inbox())[0]
    scripted.answers({"stage": "awaiting_customer"})
    made = await scripted.create(merchant_reference=reference)
    again = await reprocess.replay(scripted.stack.gateway, row.id, Order(by="dana", how="replay"))
    assert (again.evaluation.verdict.name, KEY in str(again.row.detail)) == ("recorded", False)
    assert (await scripted.now(made.json))["state"] == "captured"
