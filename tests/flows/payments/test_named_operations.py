"""Operations that a provider names: refunds answered 202 without totals, confirmed by a lookup or by a delta."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio

import gateway
from gateway.core.errors import NotSent, TenantError
from gateway.core.facts import ReviewResolved
from gateway.core.wire import HttpRequest
from gateway.flows.background import reconcile
from gateway.flows.payments.review import resolve_review
from tests.support.scenarios import creditkey
from tests.support.scripted_provider import KEY, ScriptedStack, answered, running_scripted_stack
from tests.support.stack import new_key
from tests.support.virtual_clock import START, VirtualClock

pytestmark = pytest.mark.asyncio(loop_scope="module")

YES, NO = {"type": "succeeded"}, {"type": "declined", "code": "D-1", "message": "account closed"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[ScriptedStack, VirtualClock]]:
    """One stack for all tests here, whose clock and checks the tests turn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "run", creditkey.idle)
        clock = VirtualClock(START)
        async with running_scripted_stack(tmp_path_factory.mktemp("stack"), clock=clock) as made:
            yield made, clock


@pytest.fixture
def clock(opened: tuple[ScriptedStack, VirtualClock]) -> VirtualClock:
    """The clock."""
    return opened[1]


@pytest.fixture
def scripted(opened: tuple[ScriptedStack, VirtualClock]) -> ScriptedStack:
    """The plugin as it was written."""
    opened[0].reset()
    return opened[0]


def outcome_of(operation_id: str | None, outcome: Any, provider_id: str | None = None) -> dict[str, Any]:
    """The outcome of one operation, in JSON."""
    return {"operation_id": operation_id, "provider_id": provider_id, "outcome": outcome}


async def refund(scripted: ScriptedStack, *, provider_id: str | None = None, amount: str = "4.00") -> tuple[Any, str]:
    """A captured payment with a refund that was accepted; the payment and the operation's id."""
    payment = await scripted.begin("captured")

    def respond(request: HttpRequest) -> dict[str, Any]:
        if request.url.endswith("FetchPayment"):
            return {"stage": "captured", "payment_id": payment["id"]}
        command: Any = scripted.provider.built[-1]
        named = [] if provider_id is None else [outcome_of(command.operation_id, None, provider_id)]
        return {"is": "pending", "operations": named}

    scripted.respond = respond
    answer = await scripted.act(payment, "refunds", {"amount": amount})
    assert (answer.status, answer.json["status"]) == (202, "unknown")
    return payment, (await scripted.operations(payment))[-1].id


async def refunds(scripted: ScriptedStack, payment: Any) -> list[tuple[str, str]]:
    """Status and amount of each refund, as its tenant reads it."""
    found = await scripted.stack.call("GET", f"/v1/payments/{payment['id']}/refunds")
    return [(one["status"], one["amount"]) for one in found.json["data"]]


@pytest.mark.parametrize(
    ("outcome", "status", "state", "total"),
    [(YES, "succeeded", "partially_refunded", "4.00"), (NO, "declined", "captured", "0.00")],
)
async def test_a_refund_without_totals_is_resolved_by_a_lookup(
    scripted: ScriptedStack, outcome: Any, status: str, state: str, total: str
) -> None:
    """The lookup says which operation is open: kind, money, and the provider's id of it; its outcome is asked for."""
    payment, operation_id = await refund(scripted, provider_id="R-1")
    scripted.answers({"payment_id": payment["id"], "operations": [outcome_of(None, outcome, "R-1")]})
    now = (await scripted.act(payment, "sync")).json
    command: Any = scripted.provider.built[-1]
    assert command.open_operation == gateway.OpenOperation(
        id=operation_id,
        kind=gateway.Kind.REFUND,
        money=gateway.Money.of(gateway.Amount.read("4.00"), "USD", 2),
        provider_id="R-1",
    )
    assert (now["state"], now["amount_refunded"], now["pending_operation"]) == (state, total, None)
    assert await refunds(scripted, payment) == [(status, "4.00")]


async def test_a_lookup_without_an_open_operation_names_none(scripted: ScriptedStack) -> None:
    """Nor does one that has ended."""
    payment = await scripted.begin()
    scripted.answers({"payment_id": payment["id"], "stage": "captured"})
    await scripted.act(payment, "sync")
    command: Any = scripted.provider.built[-1]
    assert command.open_operation is None


async def test_a_webhook_that_carries_a_delta(scripted: ScriptedStack) -> None:
    """One refund of 4.00 at a time; the same again is nothing; its tenant gets the answer under its own key."""
    payment, operation_id = await refund(scripted)
    event = {"event_id": operation_id, "payment_id": payment["id"], "operation": outcome_of(operation_id, YES, "R-1")}
    first = await scripted.call_back(event)
    again = await scripted.call_back(event)
    another = await scripted.call_back({**event, "event_id": f"{operation_id}-2"})
    assert [one.status for one in (first, again, another)] == [204, 204, 422]
    assert (await scripted.now(payment))["amount_refunded"] == "4.00"
    assert await refunds(scripted, payment) == [("succeeded", "4.00")]


async def refund_reported_first(scripted: ScriptedStack, reply: Any) -> tuple[Any, Any]:
    """A payment whose refund of 4.00 a webhook confirms before its reply; the payment, and the tenant's answer."""
    payment = await scripted.begin("captured")
    scripted.answers({"stage": "captured", "payment_id": payment["id"]})
    arrived, go, send = asyncio.Event(), asyncio.Event(), scripted.stack.gateway.send

    async def held(request: HttpRequest, **rest: Any) -> Any:
        if request.url.endswith("RefundPayment"):
            arrived.set()
            await go.wait()
            scripted.answers(reply)
        return await send(request, **rest)

    scripted.stack.gateway.send = held
    try:
        asked = asyncio.create_task(scripted.act(payment, "refunds", {"amount": "4.00"}))
        await arrived.wait()
        operation_id = (await scripted.operations(payment))[-1].id
        event = {"payment_id": payment["id"], "operation": outcome_of(operation_id, YES)}
        assert (await scripted.call_back({"event_id": operation_id, **event})).status == 204
        assert (await scripted.now(payment))["amount_refunded"] == "0.00"
        go.set()
        return await scripted.now(payment), await asked
    finally:
        scripted.stack.gateway.send = send


@pytest.mark.parametrize("reply", [{"is": "pending"}, {"stage": "captured"}, gateway.OutcomeUnknown("timeout")])
async def test_a_webhook_before_the_reply(scripted: ScriptedStack, reply: Any) -> None:
    """It waits for the reply; whatever leaves the outcome open lets it decide, and the amount is added once."""
    _, answer = await refund_reported_first(scripted, reply)
    assert (answer.status, answer.json["status"]) == (201, "succeeded")
    assert answer.json["payment"]["amount_refunded"] == "4.00"


@pytest.mark.parametrize(
    "reply", [{"is": "declined", "code": "D-1", "message": ""}, NotSent("refused", connection=True)]
)
async def test_a_reply_that_denies_the_webhook(scripted: ScriptedStack, reply: Any) -> None:
    """A person decides, and nothing is sent again, even where the connection seemed to fail."""
    payment, answer = await refund_reported_first(scripted, reply)
    now = await scripted.now(payment)
    assert (answer.status, now["review"]["reason"], now["amount_refunded"]) == (202, "refund_unclear", "0.00")
    assert [one.url.endswith("RefundPayment") for one in scripted.sent].count(True) == 1


async def test_what_names_an_operation_holds_no_secret(scripted: ScriptedStack) -> None:
    """Its texts are masked; an id that holds one is refused."""
    payment, operation_id = await refund(scripted)
    no = {"type": "declined", "code": f"D {KEY}", "message": f"key {KEY}"}
    event = {"payment_id": payment["id"], "operation": outcome_of(operation_id, no)}
    unusable = {"payment_id": payment["id"], "operation": outcome_of(operation_id, None, KEY)}
    assert (await scripted.call_back({"event_id": f"{operation_id}-1", **unusable})).status == 422
    assert (await scripted.call_back({"event_id": f"{operation_id}-2", **event})).status == 204
    assert [one.failure and one.failure.message for one in await scripted.operations(payment)] == [None, "key ***"]
    payment, operation_id = await refund(scripted)
    scripted.answers({"payment_id": payment["id"], "operations": [outcome_of(operation_id, no)]})
    await scripted.act(payment, "sync")
    (declined,) = [one.failure for one in await scripted.operations(payment) if one.failure is not None]
    assert (declined.provider_code, declined.message) == ("D ***", "key ***")


async def test_a_refund_that_failed_after_all(scripted: ScriptedStack) -> None:
    """Its tenant is event by a review, by callback and by lookup alike, once; commands stop until a person decides."""
    payment, operation_id = await refund(scripted, provider_id="R-1")
    event = {"payment_id": payment["id"], "operation": outcome_of(None, YES, "R-1")}
    await scripted.call_back({"event_id": f"{operation_id}-1", **event})
    failed = {"payment_id": payment["id"], "operation": outcome_of(None, NO, "R-1")}
    answer = await scripted.call_back({"event_id": f"{operation_id}-2", **failed})
    now = await scripted.now(payment)
    assert (answer.status, now["review"]["reason"], now["amount_refunded"]) == (204, "refund_reversed", "4.00")
    assert "the provider says that it was declined (D-1)" in now["review"]["detail"]
    assert (await scripted.act(payment, "refunds", {"amount": "1.00"})).json["code"] == "under_review"
    scripted.answers({"payment_id": payment["id"], "stage": "captured", "operations": [outcome_of(None, NO, "R-1")]})
    await scripted.act(payment, "sync")
    assert (await scripted.now(payment))["version"] == now["version"]


async def test_a_refund_that_never_arrived(scripted: ScriptedStack, clock: VirtualClock) -> None:
    """The provider does not know it: 404, twice. It is declined, and its amount can be refunded."""
    payment, operation_id = await refund(scripted)
    absent = {"is": "absent", "operation_id": operation_id}
    scripted.respond = lambda _: answered(absent, 404)
    assert (await scripted.act(payment, "sync")).json["pending_operation"]["status"] == "unknown"
    await clock.advance(3600)
    now = (await scripted.act(payment, "sync")).json
    assert (now["pending_operation"], now["state"]) == (None, "captured")
    assert await refunds(scripted, payment) == [("declined", "4.00")]


async def reversed_refund(scripted: ScriptedStack) -> Any:
    """A payment of 10.00 whose refund of 4.00 succeeded and then failed."""
    payment, operation_id = await refund(scripted)
    for at, outcome in enumerate((YES, NO)):
        event = {"payment_id": payment["id"], "operation": outcome_of(operation_id, outcome)}
        await scripted.call_back({"event_id": f"{operation_id}-{at}", **event})
    return await scripted.now(payment)


def by_a_person(**found: Any) -> ReviewResolved:
    """What a person decides."""
    return ReviewResolved(actor="kim", reason="the bank says so", **found)


@pytest.mark.parametrize(
    ("refunded", "state", "left"),
    [("0", "captured", "10.00"), ("4.00", "partially_refunded", "6.00"), ("10", "refunded", "0.00")],
)
async def test_a_person_gives_the_amount_back(scripted: ScriptedStack, refunded: str, state: str, left: str) -> None:
    """The total that did go back decides the state, and what can be refunded from then on."""
    payment = await reversed_refund(scripted)
    await resolve_review(scripted.stack.gateway, payment["id"], by_a_person(refunded=Decimal(refunded)))
    now = await scripted.now(payment)
    assert (now["state"], now["review"]) == (state, None)
    assert Decimal(now["amount_captured"]) - Decimal(now["amount_refunded"]) == Decimal(left)
    scripted.answers({"stage": "captured", "payment_id": payment["id"]})
    too_much = await scripted.act(payment, "refunds", {"amount": f"{Decimal(left) + 1}"})
    assert too_much.status in (409, 422)
    if Decimal(left):
        assert (await scripted.act(payment, "refunds", {"amount": left})).json["payment"]["state"] == "refunded"


@pytest.mark.parametrize(
    ("found", "why"),
    [
        ({"refunded": Decimal("10.01")}, "must be 0 to 10.00, which was captured"),
        ({"refunded": Decimal("-1")}, "must be 0 to 10.00, which was captured"),
        ({"refunded": Decimal("1.001")}, "has more than the 2 decimals of its currency"),
        ({"refunded": Decimal("1.00"), "state": "captured"}, "decides the state: leave state out"),
    ],
)
async def test_a_total_that_cannot_be(scripted: ScriptedStack, found: Any, why: str) -> None:
    """The error names the member and what would be right; nothing is changed."""
    payment = await reversed_refund(scripted)
    with pytest.raises(TenantError) as refused:
        await resolve_review(scripted.stack.gateway, payment["id"], by_a_person(**found))
    assert [(one.field, one.message) for one in refused.value.errors] == [("$.amount_refunded", why)]
    assert await scripted.now(payment) == payment


async def test_totals_are_the_providers_where_it_denied_nothing(scripted: ScriptedStack) -> None:
    """A person cannot set a refunded total for another review."""
    payment = await scripted.begin("captured")
    await scripted.call_back({"event_id": payment["id"], "payment_id": payment["id"], "stage": "failed"})
    with pytest.raises(TenantError) as refused:
        await resolve_review(scripted.stack.gateway, payment["id"], by_a_person(refunded=Decimal(1)))
    assert refused.value.errors[0].message.startswith("is only for a captured payment of which the provider denied")


async def test_a_refund_that_nobody_here_made(scripted: ScriptedStack) -> None:
    """A name from the provider's portal moves nothing; its total does, as ever."""
    payment = await scripted.begin("captured")
    event = {"payment_id": payment["id"], "operation": outcome_of(None, YES, "portal-1")}
    await scripted.call_back({"event_id": f"{payment['id']}-1", **event})
    assert (await scripted.now(payment))["amount_refunded"] == "0.00"
    await scripted.call_back({"event_id": f"{payment['id']}-2", "stage": "captured", "refunded": "3.00", **event})
    assert (await scripted.now(payment))["amount_refunded"] == "3.00"


async def test_a_capture_that_is_under_way_is_waited_for(scripted: ScriptedStack, clock: VirtualClock) -> None:
    """However often it is not seen: the provider itself says that it has no outcome yet."""
    payment = await scripted.begin("authorized")
    scripted.answers({"is": "pending"})
    await scripted.stack.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=new_key())
    operation_id = (await scripted.operations(payment))[-1].id
    seen = {"payment_id": payment["id"], "stage": "authorized"}
    scripted.answers({**seen, "operations": [outcome_of(operation_id, None)]})
    for _ in range(3):
        await clock.advance(3600)
        now = (await scripted.act(payment, "sync")).json
        assert now["pending_operation"]["status"] == "unknown"
    scripted.answers({**seen, "operations": [outcome_of(operation_id, YES)]})
    now = (await scripted.act(payment, "sync")).json
    assert (now["state"], now["amount_captured"], now["pending_operation"]) == ("captured", "10.00", None)
