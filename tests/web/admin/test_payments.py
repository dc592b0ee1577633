"""Operators enter where a payment stands, with evidence and without a review; and see which ones nobody told of."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.clients.operators import desk, with_key
from tests.support.clients.psp_callbacks import call_back, change_store, expire, new_payment, post, signed_body
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import BEGUN, act, edit, operations, timeline
from tests.support.stack import GatewayStack, Reply, new_key, psp_body, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

REASON = "seen in the bridge's portal, ticket 88"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack whose operators have a key."""
    async with running_stack(tmp_path_factory.mktemp("office"), change=with_key) as opened:
        yield opened


async def resolve(stack: GatewayStack, payment: Any, state: str, **body: Any) -> Reply:
    """Enter where a payment stands."""
    told = {"state": state, "reason": REASON, **body}
    return await desk(stack, "POST", f"/payments/{payment['id']}/resolve", told)


async def verdicts(stack: GatewayStack, payment: Any) -> list[str]:
    """What was made of a payment's callbacks, oldest first."""
    listed = (await desk(stack, "GET", f"/inbox?payment_id={payment['id']}")).json["data"]
    return [row["verdict"] for row in reversed(listed)]


def fields(reply: Reply) -> set[str]:
    """The members that a refusal names."""
    assert (reply.status, reply.json["code"]) == (422, "validation_failed"), reply.text
    return {error["field"] for error in reply.json["errors"]}


# What is entered


async def test_a_payment_is_resolved_without_a_review(office: GatewayStack) -> None:
    """The customer paid and no callback came: one version with who and why, and the tenant's webhook."""
    payment = await new_payment(office)
    reply = await resolve(
        office, payment, "captured", provider_reference="T-9", actor="dana", version=payment["version"]
    )
    assert (reply.status, reply.json["state"], reply.json["provider_reference"]) == (200, "captured", "T-9")
    assert (reply.json["amount_captured"], reply.json["version"]) == (payment["amount"], payment["version"] + 1)
    last = (await office.events(payment["id"]))[-1]
    assert (last["type"], last["cause"]) == ("payment.captured", "operator")
    assert last["details"] == {
        "actor": "operator (dana)",
        "reason": REASON,
        "amount_captured": payment["amount"],
        "currency": payment["currency"],
        "provider_reference": "T-9",
    }
    webhook = (await office.webhook(payment["id"], "payment.captured"))["data"]["payment"]
    assert (webhook["state"], webhook["version"]) == ("captured", reply.json["version"])
    await timeline(office, payment)


async def test_the_whole_evidence_is_kept(office: GatewayStack) -> None:
    """State, transaction, captured and refunded totals, in one version."""
    payment = await new_payment(office)
    told = (
        await resolve(office, payment, "partially_refunded", amount_captured="100.00", amount_refunded="30.00")
    ).json
    assert (told["state"], told["amount_captured"], told["amount_refunded"]) == (
        "partially_refunded",
        "100.00",
        "30.00",
    )
    assert (await office.events(payment["id"]))[-1]["type"] == "payment.partially_refunded"


async def test_an_act_and_its_row_in_the_audit_trail_are_one_transaction(office: GatewayStack) -> None:
    """What cannot be audited is not done."""
    payment = await new_payment(office)
    balk = "CREATE TRIGGER balk BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'no'); END"
    await change_store(office, balk)
    assert (await resolve(office, payment, "captured")).status >= 500
    await change_store(office, "DROP TRIGGER balk")
    assert (await office.payment(payment["id"]))["version"] == payment["version"]
    assert (await resolve(office, payment, "captured")).status == 200


async def test_a_stale_version_is_a_conflict(office: GatewayStack) -> None:
    """The payment has moved since the operator looked: 409 says to which version, and nothing is changed."""
    payment = await new_payment(office)
    assert (await call_back(office, payment, status=0)).status == 204
    reply = await resolve(office, payment, "captured", version=payment["version"])
    assert (reply.status, reply.json["code"], reply.json["version"]) == (409, "invalid_state", payment["version"] + 1)
    assert (await office.payment(payment["id"]))["state"] == "failed"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"reason": None}, {"$.reason"}),
        ({"reason": "", "state": "created"}, {"$.reason", "$.state"}),
        ({"state": None}, {"$.state"}),
        ({"version": 0}, {"$.version"}),
        ({"amount": "1.00"}, {"$.amount"}),
        ({"amount_captured": "1000.00"}, {"$.amount_captured"}),
        ({"amount_captured": "0.00"}, {"$.amount_captured"}),
        ({"amount_captured": "1.001", "amount_refunded": "0.002"}, {"$.amount_captured", "$.amount_refunded"}),
        ({"amount_captured": "1000.00", "amount_refunded": "2000.00"}, {"$.amount_captured", "$.amount_refunded"}),
        ({"state": "refunded", "amount_captured": "9.00", "amount_refunded": "8.00"}, {"$.amount_refunded"}),
        ({"state": "failed", "amount_captured": "9.00"}, {"$.amount_captured"}),
        ({"state": "authorized"}, {"$.state"}),
    ],
)
async def test_evidence_that_cannot_be_is_refused(office: GatewayStack, body: dict[str, Any], named: set[str]) -> None:
    """422 with every member that contradicts, nothing changes."""
    payment = await new_payment(office)
    told = {"state": "captured", "reason": REASON, **body}
    told = {name: value for name, value in told.items() if value is not None}
    assert fields(await desk(office, "POST", f"/payments/{payment['id']}/resolve", told)) == named
    assert (await office.payment(payment["id"]))["version"] == payment["version"]


async def test_a_transaction_belongs_to_one_payment(office: GatewayStack) -> None:
    """The other payment is named."""
    first, second = await new_payment(office), await new_payment(office)
    assert (await call_back(office, first, transaction_id="T-mine")).status == 204
    reply = await resolve(office, second, "captured", provider_reference="T-mine")
    assert fields(reply) == {"$.provider_reference"}
    assert first["id"] in reply.json["detail"]


async def test_the_key_of_lookups_never_changes(office: GatewayStack) -> None:
    """What the provider is asked by is on record."""
    payment = await creditkey.awaiting(office)
    reply = await resolve(office, payment, "captured", provider_reference="CK-other")
    assert fields(reply) == {"$.provider_reference"}
    assert payment["provider_reference"] in reply.json["detail"]


@pytest.mark.parametrize(
    ("state", "body"), [("failed", {}), ("awaiting_customer", {}), ("captured", {"amount_captured": "60.00"})]
)
async def test_proved_money_is_taken_back_only_by_who_looked(
    office: GatewayStack, state: str, body: dict[str, str]
) -> None:
    """Captured by a proved callback: without the version nothing changes; what a person entered then is corrected."""
    payment = await new_payment(office)
    assert (await call_back(office, payment)).status == 204
    before = await office.payment(payment["id"])
    refused = await resolve(office, payment, state, **body)
    assert fields(refused) == {"$.version"}
    assert f"{payment['amount']} {payment['currency']} were captured" in refused.json["detail"]
    assert await office.payment(payment["id"]) == before
    told = await resolve(office, payment, state, version=before["version"], **body)
    assert (told.status, told.json["state"]) == (200, state), told.text
    assert (await resolve(office, payment, "canceled")).status == 200


async def test_there_must_be_such_a_payment(office: GatewayStack) -> None:
    """404, whatever the evidence."""
    assert (await resolve(office, {"id": "pay_00000000000070008000000000000000"}, "captured")).status == 404


async def test_a_review_is_cleared_with_it(office: GatewayStack) -> None:
    """Failed, then paid by another attempt: the person names the one that counts."""
    payment = await new_payment(office)
    await call_back(office, payment, status=0, transaction_id="T-1")
    await call_back(office, payment, status=1, transaction_id="T-2")
    told = (await resolve(office, payment, "captured", provider_reference="T-2")).json
    assert (told["state"], told["review"], told["failure"]) == ("captured", None, None)
    again = await call_back(office, payment, status=1, transaction_id="T-2")
    now = await office.payment(payment["id"])
    assert (again.status, now["review"], now["amount_captured"]) == (204, None, payment["amount"])


async def test_two_live_orders_are_told(office: GatewayStack) -> None:
    """A failed payment turns out to be paid while its reference has a new one: both go to review."""
    old = await new_payment(office)
    await call_back(office, old, status=0)
    new = (await office.create(psp_body(merchant_reference=old["merchant_reference"]))).json
    assert (await resolve(office, old, "captured")).json["review"]["reason"] == "two_live_orders"
    assert (await office.payment(new["id"]))["review"]["reason"] == "two_live_orders"


# What the provider says afterwards


@pytest.mark.parametrize("named", [{}, {"provider_reference": "T-late"}])
async def test_the_late_callback_is_no_second_capture(office: GatewayStack, named: dict[str, str]) -> None:
    """The genuine callback with the same facts is taken, its repetition is one, and no review is raised."""
    payment = await new_payment(office)
    told = (await resolve(office, payment, "captured", **named)).json
    transaction = named.get("provider_reference", "T-none")
    body = signed_body(office, payment, transaction_id=transaction)
    assert [(await post(office, body)).status for _ in range(2)] == [204, 204]
    now = await office.payment(payment["id"])
    assert await verdicts(office, payment) == ["recorded", "repeated"]
    assert (now["amount_captured"], now["review"], now["provider_reference"]) == (payment["amount"], None, transaction)
    assert now["version"] - told["version"] == (0 if named else 1)
    types = [event["type"] for event in await office.events(payment["id"])]
    assert types.count("payment.captured") == 1


async def test_another_transaction_after_the_late_callback_is_money_twice(office: GatewayStack) -> None:
    """The operator's word is confirmed once, by the first success: the next one raises a review."""
    payment = await new_payment(office)
    await resolve(office, payment, "captured")
    for transaction in ("T-first", "T-second"):
        await call_back(office, payment, transaction_id=transaction)
    now = await office.payment(payment["id"])
    assert (now["provider_reference"], now["amount_captured"]) == ("T-first", payment["amount"])
    assert now["review"]["reason"] == "contradiction"


@pytest.mark.parametrize(
    ("state", "body", "changes", "reason"),
    [
        ("captured", {}, {"status": 0}, "contradiction"),
        ("failed", {}, {}, "contradiction"),
        ("captured", {"amount_captured": "60.00"}, {}, "amount"),
        ("captured", {"provider_reference": "T-other"}, {}, "contradiction"),
    ],
)
async def test_a_callback_that_contradicts_raises_a_review(
    office: GatewayStack, state: str, body: dict[str, str], changes: dict[str, Any], reason: str
) -> None:
    """Nothing of it is booked."""
    payment = await new_payment(office)
    told = (await resolve(office, payment, state, **body)).json
    await call_back(office, payment, **changes)
    now = await office.payment(payment["id"])
    assert (now["state"], now["amount_captured"]) == (told["state"], told["amount_captured"])
    assert now["review"]["reason"] == reason
    assert await verdicts(office, payment) == ["refused"]


# Open operations


async def test_a_lost_create_ends_with_its_payment(office: GatewayStack) -> None:
    """API-1's answer was lost and the portal shows that the customer paid: one act, and the tenant's key answers."""
    await office.faults("psp", silence="after_effect", times=1)
    body, key = psp_body(), new_key()
    payment = (await office.create(body, key=key)).json
    assert payment["pending_operation"]["status"] == "unknown"
    told = (await resolve(office, payment, "captured", provider_reference="T-7")).json
    assert (told["state"], told["pending_operation"]) == ("captured", None)
    assert (await operations(office, payment))[-1] == ("create", "succeeded")
    again = await office.create(body, key=key)
    assert (again.status, again.json["state"]) == (201, "captured")
    await timeline(office, payment)


async def test_a_lost_create_gets_its_way_on(office: GatewayStack) -> None:
    """The portal shows the order and its page: the payment waits for its customer there."""
    await office.faults("psp", silence="after_effect", times=1)
    payment = (await office.create(psp_body())).json
    told = await desk(
        office,
        "POST",
        f"/operations/{payment['pending_operation']['id']}/resolve",
        {
            "outcome": "succeeded",
            "reason": REASON,
            "redirect_url": "https://pay.example/x",
            "provider_reference": "T-8",
        },
    )
    assert told.status == 200, told.text
    assert (told.json["state"], told.json["redirect_url"]) == ("awaiting_customer", "https://pay.example/x")
    assert told.json["provider_reference"] == "T-8"
    await office.webhook(payment["id"], "payment.awaiting_customer")


async def test_an_operation_that_is_not_decided_is_named(office: GatewayStack) -> None:
    """A lost refund: a total that was not looked up does not say how it ended; 409, nothing changes."""
    payment = await BEGUN["captured"](office)
    await office.faults("creditkey", operation="refund", silence="before_effect", times=1)
    assert (await act(office, payment, "refund", {"amount": "10.00"})).status == 202
    operation_id = (await office.payment(payment["id"]))["pending_operation"]["id"]
    reply = await resolve(office, payment, "captured")
    assert (reply.status, reply.json["code"]) == (409, "operation_outcome_pending")
    assert (reply.json["operation_id"], operation_id in reply.json["detail"]) == (operation_id, True)
    told = (await resolve(office, payment, "partially_refunded", amount_refunded="10.00")).json
    assert (told["amount_refunded"], told["pending_operation"]) == ("10.00", None)
    assert (await operations(office, payment))[-1] == ("refund", "succeeded")


async def test_what_an_operator_refunded_is_not_refundable_again(office: GatewayStack) -> None:
    """What is left is captured less refunded, by the operator's totals."""
    payment = await BEGUN["captured"](office)
    await edit(office, payment, refunded_amount="1000.00")
    told = (await resolve(office, payment, "partially_refunded", amount_refunded="1000.00")).json
    assert told["amount_refunded"] == "1000.00"
    refused = await act(office, payment, "refund", {"amount": "67.34"})
    assert (refused.status, refused.json["code"]) == (422, "amount_too_large")
    assert (await act(office, payment, "refund", {"amount": "67.33"})).status == 201
    assert (await office.payment(payment["id"]))["state"] == "refunded"
    assert await creditkey.calls(office, payment, "refund") == ["refund"]


# Listed


async def test_payments_of_all_tenants_are_listed(office: GatewayStack) -> None:
    """Newest first, a page at a time; each filter keeps what fits and drops the rest."""
    first, second = await new_payment(office), (await office.create(psp_body(), tenant="globex")).json
    await call_back(office, first, transaction_id="T-listed")
    at, reference = first["created_at"], first["merchant_reference"]
    for query, expected in (
        (f"since={at}", [second, first]),
        (f"since={at}&limit=1", [second]),
        (f"since={at}&limit=1&cursor={second['id']}", [first]),
        (f"since={at}&tenant=acme", [first]),
        (f"since={at}&state=captured", [first]),
        (f"since={at}&account={first['account']}&until={at}", [first]),
        (f"merchant_reference={reference}", [first]),
        ("provider_reference=T-listed", [first]),
    ):
        reply = await desk(office, "GET", f"/payments?{query}")
        assert [one["id"] for one in reply.json["data"]] == [one["id"] for one in expected], query
    assert reply.json["data"] == [await office.payment(first["id"])]
    assert reply.json["next_cursor"] is None


@pytest.mark.parametrize("query", ["account=nope", "tenant=nope", "state=nope", "since=nope", "limit=0", "cursor=nope"])
async def test_a_list_that_nothing_can_fit_is_refused(office: GatewayStack, query: str) -> None:
    """The parameter that is wrong is named, so that an empty list is never a slip of the pen."""
    assert fields(await desk(office, "GET", f"/payments?{query}")) == {query.partition("=")[0]}


# Expired without a word


async def silent(stack: GatewayStack, query: str = "") -> list[str]:
    """The ids of the list."""
    reply = await desk(stack, "GET", f"/payments/silent{query}")
    assert reply.status == 200, reply.text
    return [one["id"] for one in reply.json["data"]]


async def test_what_expired_without_a_word_is_listed(office: GatewayStack) -> None:
    """PSP payments whose only callback never came; not one that waits, spoke, or can be asked."""
    quiet, waits, spoke = [await new_payment(office) for _ in range(3)]
    await call_back(office, spoke, status=2)
    asked = await creditkey.awaiting(office)
    for payment in (quiet, spoke, asked):
        await expire(office, payment["id"])
    found = await silent(office)
    assert quiet["id"] in found
    assert not {waits["id"], spoke["id"], asked["id"]} & set(found)
    assert quiet["id"] not in await silent(office, "?tenant=globex")
    await resolve(office, quiet, "captured")
    assert quiet["id"] not in await silent(office)


async def test_who_looked_and_found_nothing_is_not_asked_again(office: GatewayStack) -> None:
    """Entered as expired: it stays so, a late callback counts as ever, and the list shows it no more."""
    payment = await new_payment(office)
    await expire(office, payment["id"])
    assert (await resolve(office, payment, "expired")).json["state"] == "expired"
    assert payment["id"] not in await silent(office)
    assert (await call_back(office, payment, transaction_id="T-after-all")).status == 204
    assert (await office.payment(payment["id"]))["state"] == "captured"


async def test_the_list_of_a_time(office: GatewayStack) -> None:
    """Made since a time and before another."""
    payment = await new_payment(office)
    await expire(office, payment["id"])
    at = payment["created_at"]
    assert await silent(office, f"?since={at}") == [payment["id"]]
    assert payment["id"] not in await silent(office, f"?until={at}")


async def test_the_list_is_paged(office: GatewayStack) -> None:
    """Newest first, by the id of the last one."""
    made = [await new_payment(office) for _ in range(3)]
    for payment in made:
        await expire(office, payment["id"])
    first = (await desk(office, "GET", "/payments/silent?limit=2")).json
    assert [one["id"] for one in first["data"]] == [made[2]["id"], made[1]["id"]]
    assert (await silent(office, f"?limit=1&cursor={first['next_cursor']}")) == [made[0]["id"]]


@pytest.mark.parametrize("how", ["payments", "reviews"])
async def test_a_third_transaction_after_a_review_was_resolved_is_a_second_payment(
    office: GatewayStack, how: str
) -> None:
    """One success was proved already: another one does not confirm what the operator entered."""
    payment = await new_payment(office)
    await call_back(office, payment, status=0, transaction_id=f"{how}-1")
    await call_back(office, payment, status=1, transaction_id=f"{how}-2")
    told = {"state": "captured", "reason": REASON}
    assert (await desk(office, "POST", f"/{how}/{payment['id']}/resolve", told)).json["state"] == "captured"
    await call_back(office, payment, status=1, transaction_id=f"{how}-3")
    now = await office.payment(payment["id"])
    assert f"a success of {how}-3" in now["review"]["detail"]
    assert (await verdicts(office, payment))[-1] == "refused"
