"""A create whose answer was lost at a provider that cannot be asked: an operator finds out, and there is a way on.

Whatever a person says, a callback that is proved later still counts, or is put before a person.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

from gateway.drivers.store import statements
from tests.support.cli import run
from tests.support.clients.psp_callbacks import call_back
from tests.support.scenarios.creditkey import awaiting, timeline
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")

ADMIN_KEY = "operators-test-key"
PAGE = "http://127.0.0.1:9/pay/found-in-the-portal"


def with_key(settings: dict[str, Any]) -> None:
    """Give the operators a key."""
    settings["server"]["admin"]["key_sha256"] = hashlib.sha256(ADMIN_KEY.encode()).hexdigest()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack whose operators have a key."""
    async with running_stack(tmp_path_factory.mktemp("office"), change=with_key) as opened:
        yield opened


@pytest.fixture(autouse=True)
def operators_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the operators' key into the environment, for the command line."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)


async def lost(stack: GatewayStack, **changes: Any) -> Any:
    """A payment whose create had its effect and no answer."""
    await stack.faults("psp", silence="after_effect", times=1)
    reply = await stack.create(psp_body(**changes))
    await stack.faults("psp")
    assert (reply.status, reply.json["state"], reply.json["redirect_url"]) == (202, "created", None)
    return reply.json


async def post(stack: GatewayStack, path: str, **body: Any) -> Reply:
    """Decide something at the operators' desk."""
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    sent = {"reason": "asked the bridge", **body}
    async with stack.http.post(f"{stack.admin_url}/admin/v1{path}", json=sent, headers=headers) as response:
        return Reply(response.status, response.headers, await response.text())


async def settle(stack: GatewayStack, payment: Any, outcome: str, **body: Any) -> Reply:
    """Settle its create."""
    return await post(stack, f"/operations/{payment['operation']['id']}/resolve", outcome=outcome, **body)


async def resolve(stack: GatewayStack, payment: Any, **body: Any) -> Reply:
    """Resolve the payment."""
    return await post(stack, f"/reviews/{payment['id']}/resolve", **body)


async def begin_again(stack: GatewayStack, payment: Any) -> Reply:
    """Create another payment under the same reference."""
    return await stack.create(psp_body(merchant_reference=payment["merchant_reference"]))


@shared
async def test_a_repeat_says_who_can_settle_it(office: GatewayStack) -> None:
    """A provider that cannot be asked is not being asked: its callback or an operator settles the create."""
    body, key = psp_body(), new_key()
    await office.faults("psp", silence="after_effect", times=1)
    assert (await office.create(body, key=key)).status == 202
    await office.faults("psp")
    repeat = await office.create(body, key=key)
    assert (repeat.status, repeat.json["code"]) == (409, "request_in_progress")
    assert "only the provider's callback or an operator can resolve" in repeat.json["detail"]


# It exists


@shared
async def test_an_order_that_exists_waits_for_its_customer(office: GatewayStack) -> None:
    """With its page the customer can pay as ever; the tenant hears of it by webhook, and a repeat answers with it."""
    payment = await lost(office)
    told = await settle(office, payment, "succeeded", redirect_url=PAGE)
    assert (told.status, told.json["state"], told.json["redirect_url"]) == (200, "awaiting_customer", PAGE)
    webhook = (await office.webhook(payment["id"], "payment.awaiting_customer"))["data"]["payment"]
    assert (webhook["redirect_url"], webhook["pending_operation"]) == (PAGE, None)
    assert (await call_back(office, payment, status=1)).status == 204
    assert (await office.payment(payment["id"]))["state"] == "captured"
    await timeline(office, payment)


@shared
async def test_an_order_whose_page_nobody_knows_waits_for_its_callback(office: GatewayStack) -> None:
    """The event says so; the page can be named later; a callback still pays it; the reference is held meanwhile."""
    payment = await lost(office)
    told = (await settle(office, payment, "succeeded")).json
    assert (told["state"], told["redirect_url"], told["pending_operation"]) == ("awaiting_customer", None, None)
    [event] = await office.events_of_type(payment["id"], "payment.awaiting_customer")
    assert "nobody here knows the customer's page" in event["details"]["note"]
    assert (await begin_again(office, payment)).json["code"] == "duplicate_reference"
    named = await resolve(office, payment, redirect_url=PAGE)
    assert (named.status, named.json["state"], named.json["redirect_url"]) == (200, "awaiting_customer", PAGE)
    assert (await call_back(office, payment, status=2)).status == 204
    assert (await call_back(office, payment, status=1)).status == 204
    assert (await office.payment(payment["id"]))["state"] == "captured"


@shared
async def test_a_create_that_was_written_off_can_be_found_again(office: GatewayStack) -> None:
    """Its page can be named, which says that the order exists."""
    payment = await lost(office)
    assert (await settle(office, payment, "written_off")).json["state"] == "created"
    assert (await resolve(office, payment, redirect_url=PAGE)).json["state"] == "awaiting_customer"


@shared
async def test_the_order_of_another_payment_is_not_taken(office: GatewayStack) -> None:
    """Whoever canceled this payment would cancel the other one's order; 422 names it, and nothing is settled."""
    other = await awaiting(office)
    await office.faults("creditkey", operation="begin_standalone_checkout", silence="after_effect", times=1)
    payment = (await office.create(creditkey_body())).json
    theirs = {"redirect_url": PAGE, "provider_reference": other["provider_reference"]}
    refused = await settle(office, payment, "succeeded", **theirs)
    assert (refused.status, [error["field"] for error in refused.json["errors"]]) == (422, ["$.provider_reference"])
    assert other["id"] in refused.json["detail"]
    assert (await office.payment(payment["id"]))["pending_operation"]["status"] == "unknown"
    assert (await settle(office, payment, "succeeded", redirect_url=PAGE, provider_reference="mine")).status == 200


@shared
async def test_a_reference_on_record_is_not_overwritten(office: GatewayStack) -> None:
    """The provider named it; the same one again is taken."""
    payment = await lost(office)
    loaded = await office.gateway.store.payment("acme", payment["id"])
    assert loaded is not None
    known, still = replace(loaded.payment, provider_reference=f"T-{payment['id']}"), loaded.open_operation
    await office.gateway.store.commit(
        "acme", [statements.update_payment(loaded.payment, known, open_before=still, open_after=still)]
    )
    refused = await settle(office, payment, "succeeded", provider_reference="T-other")
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "$.provider_reference")
    assert known.provider_reference in refused.json["detail"]
    assert (await settle(office, payment, "succeeded", provider_reference=known.provider_reference)).status == 200


# It does not


@shared
async def test_an_order_that_does_not_exist_frees_its_reference_at_once(office: GatewayStack) -> None:
    """The payment failed, not created, for the operator's reason; the tenant can begin again under the same number."""
    payment = await lost(office)
    told = (await settle(office, payment, "declined")).json
    failure = {"code": "not_created", "message": "asked the bridge", "provider_code": None}
    assert (told["state"], told["failure"], told["expires_at"]) == ("failed", failure, None)
    again = await begin_again(office, payment)
    assert (again.status, again.json["state"]) == (201, "awaiting_customer")
    assert (await call_back(office, payment, status=1)).json["type"] == "payment_status_not_pending"
    now = await office.payment(payment["id"])
    assert (now["state"], now["review"]["reason"]) == ("failed", "contradiction")


# Given up


@shared
@pytest.mark.parametrize("outcome", ["succeeded", "written_off"])
@pytest.mark.parametrize("state", ["expired", "canceled", "failed"])
async def test_a_payment_that_is_given_up_frees_its_reference(office: GatewayStack, state: str, outcome: str) -> None:
    """Without a review flag, since nothing else can end it; with reason and name in the timeline."""
    payment = await lost(office)
    assert (await settle(office, payment, outcome)).status == 200
    told = await resolve(office, payment, state=state, actor="dana")
    assert (told.status, told.json["state"]) == (200, state), told.text
    [event] = await office.events_of_type(payment["id"], f"payment.{state}")
    assert (event["cause"], event["details"]["actor"]) == ("operator", "operator (dana)")
    assert (await begin_again(office, payment)).status == 201
    await timeline(office, payment)


@shared
@pytest.mark.parametrize("state", ["canceled", "failed"])
async def test_money_for_a_payment_that_was_called_dead_is_put_before_a_person(
    office: GatewayStack, state: str
) -> None:
    """A proved success is never dropped: the flag is raised, and a person can still take it as captured."""
    payment = await lost(office)
    await settle(office, payment, "succeeded")
    await resolve(office, payment, state=state)
    await call_back(office, payment, status=1)
    now = await office.payment(payment["id"])
    assert (now["state"], now["review"]["reason"]) == (state, "contradiction")
    told = (await resolve(office, payment, state="captured")).json
    assert (told["state"], told["failure"], told["canceled_at"]) == ("captured", None, None)


@shared
async def test_money_for_a_payment_that_was_given_up_counts_within_the_grace(office: GatewayStack) -> None:
    """As for every expired payment; beside a new payment of the same reference a person must look at both."""
    alone, replaced = await lost(office), await lost(office)
    for payment in (alone, replaced):
        await settle(office, payment, "succeeded")
        await resolve(office, payment, state="expired")
    other = (await begin_again(office, replaced)).json
    for payment in (alone, replaced):
        assert (await call_back(office, payment, status=1)).status == 204
    now = await office.payment(alone["id"])
    assert (now["state"], now["review"]) == ("captured", None)
    reviews = [(await office.payment(one["id"]))["review"] for one in (replaced, other)]
    assert [review and review["reason"] for review in reviews] == ["two_live_orders", "two_live_orders"]


@shared
async def test_money_for_a_payment_that_was_given_up_long_ago_is_put_before_a_person(office: GatewayStack) -> None:
    """Past the grace it moves nothing: review ``paid_late``."""
    payment = await lost(office)
    await settle(office, payment, "succeeded")
    await resolve(office, payment, state="expired")
    loaded = await office.gateway.store.payment("acme", payment["id"])
    assert loaded is not None
    assert loaded.payment.expired_at is not None
    long_ago = loaded.payment.expired_at - office.settings.clocks.late_grace - timedelta(seconds=1)
    older = replace(loaded.payment, expired_at=long_ago)
    await office.gateway.store.commit(
        "acme", [statements.update_payment(loaded.payment, older, open_before=None, open_after=None)]
    )
    await call_back(office, payment, status=1)
    now = await office.payment(payment["id"])
    assert (now["state"], now["review"]["reason"]) == ("expired", "paid_late")


# What an operator may not


@shared
@pytest.mark.parametrize("url", ["javascript:alert(1)", "/pay/1", "http://user@pay.example/", "http://pay.example/a b"])
async def test_a_page_that_no_customer_may_be_sent_to_is_refused(office: GatewayStack, url: str) -> None:
    """By name, whether the create is settled with it or it is named later; nothing is settled."""
    payment = await lost(office)
    refused = await settle(office, payment, "succeeded", redirect_url=url)
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "$.redirect_url")
    assert (await office.payment(payment["id"]))["pending_operation"]["status"] == "unknown"
    await settle(office, payment, "succeeded")
    later = await resolve(office, payment, redirect_url=url)
    assert (later.status, later.json["errors"][0]["field"]) == (422, "$.redirect_url")


@shared
@pytest.mark.parametrize("outcome", ["declined", "written_off"])
async def test_a_page_belongs_to_an_order_that_exists(office: GatewayStack, outcome: str) -> None:
    """An order that does not exist has no page."""
    refused = await settle(office, await lost(office), outcome, redirect_url=PAGE)
    assert (refused.status, refused.json["errors"][0]["field"]) == (422, "$.redirect_url")


@shared
async def test_a_payment_that_can_be_canceled_is_canceled(office: GatewayStack) -> None:
    """Where the provider takes a cancel, nobody ends its order here alone; without a flag only an end can be set."""
    payment = await awaiting(office)
    for state in ("expired", "canceled", "failed"):
        refused = await resolve(office, payment, state=state)
        assert (refused.status, refused.json["code"]) == (409, "invalid_state")
        assert f"/v1/payments/{payment['id']}/cancel" in refused.json["detail"]
    open_one = (await office.create(psp_body())).json
    for state in ("authorized", "captured", "processing"):
        refused = await resolve(office, open_one, state=state)
        assert (refused.status, refused.json["code"]) == (409, "invalid_state")
    assert (await office.payment(open_one["id"]))["version"] == open_one["version"]


@shared
async def test_a_provider_that_can_be_asked_is_asked(office: GatewayStack) -> None:
    """Settled by word without a page, the payment stays where it is until a lookup shows the order."""
    await office.faults("creditkey", operation="begin_standalone_checkout", silence="after_effect", times=1)
    payment = (await office.create(creditkey_body())).json
    assert (await settle(office, payment, "succeeded")).json["state"] == "created"
    found = await office.call("POST", f"/v1/payments/{payment['id']}/sync", {})
    assert (found.json["state"], found.json["customer_notified"]) == ("awaiting_customer", True)


# On the screen


@shared
async def test_the_screen_says_what_to_do_next(office: GatewayStack) -> None:
    """An operator who follows what is printed needs no page of ours."""

    async def review(*arguments: str) -> str:
        wanted = [*arguments, "--reason", "asked", "--admin-url", office.admin_url]
        result = await asyncio.to_thread(run, "payments", "review", *wanted)
        assert result.exit_code == 0, result.output
        return result.output

    payment = await lost(office)
    printed = await review("settle", payment["operation"]["id"], "--outcome", "succeeded")
    for words in ("the customer's page is unknown", payment["merchant_reference"], "--redirect-url URL"):
        assert words in printed
    assert f"review resolve {payment['id']} --reason TEXT --state expired" in printed
    ended = await review("resolve", payment["id"], "--state", "expired")
    assert f"the reference {payment['merchant_reference']} is free" in ended
    other = await lost(office)
    assert "next:" not in await review(
        "settle", other["operation"]["id"], "--outcome", "succeeded", "--redirect-url", PAGE
    )
