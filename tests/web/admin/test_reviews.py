"""The operators' desk: payments that a person must look at, operations that only a person can settle, and the record.

A review stops a tenant's commands, never facts. Everything an operator decides is in the timeline with name and reason.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.drivers.store import schedule
from tests.support.clients.operators import ADMIN_KEY, desk, with_key
from tests.support.clients.psp_callbacks import call_back
from tests.support.passing_time import run_due_checks
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import BEGUN, accept, act, authorized, edit, operations, review_of, timeline
from tests.support.stack import GatewayStack, Reply, key_of, new_key, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")

REASON = "called Credit Key, case 4711"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack whose operators have a key."""
    async with running_stack(tmp_path_factory.mktemp("office"), change=with_key) as opened:
        yield opened


async def resolve(stack: GatewayStack, payment: Any, **body: Any) -> Reply:
    """Clear a payment's review flag."""
    return await desk(stack, "POST", f"/reviews/{payment['id']}/resolve", {"reason": REASON, **body})


async def rule(stack: GatewayStack, operation_id: str, **body: Any) -> Reply:
    """Settle an operation by word."""
    return await desk(stack, "POST", f"/operations/{operation_id}/resolve", {"reason": REASON, **body})


async def in_review(stack: GatewayStack) -> dict[str, str]:
    """The operators' list: payment id to reason."""
    listed = (await desk(stack, "GET", "/reviews")).json["data"]
    return {one["id"]: one["review"]["reason"] for one in listed}


async def suspicious(stack: GatewayStack, state: str = "authorized") -> Any:
    """A payment whose order shows an amount that is not its own."""
    payment = await BEGUN[state](stack)
    await edit(stack, payment, amount="1.00")
    assert (await act(stack, payment, "sync")).json["review"]["reason"] == "amount"
    await edit(stack, payment, amount="1067.33")
    return await stack.payment(payment["id"])


# Payments in review


@shared
async def test_a_review_is_listed_until_it_is_resolved(office: GatewayStack) -> None:
    """The list shows every tenant's payments that wait for a person, the newest first, and why."""
    first, second = await suspicious(office), await suspicious(office)
    listed = await in_review(office)
    assert [one for one in listed if one in (first["id"], second["id"])] == [second["id"], first["id"]]
    assert listed[first["id"]] == "amount"
    assert (await resolve(office, first)).status == 200
    assert first["id"] not in await in_review(office)
    assert second["id"] in await in_review(office)


@shared
async def test_a_review_is_told(office: GatewayStack) -> None:
    """The webhook ``payment.review`` names the reason and since when."""
    payment = await suspicious(office)
    webhook = (await office.webhook(payment["id"], "payment.review"))["data"]["payment"]
    assert webhook["review"] == payment["review"]
    assert payment["review"]["since"] == payment["updated_at"]
    assert (await timeline(office, payment))[-1] == "payment.review"


@shared
@pytest.mark.parametrize(
    ("verb", "state"),
    [("update", "authorized"), ("capture", "authorized"), ("cancel", "authorized"), ("refund", "captured")],
)
async def test_a_review_stops_the_tenants_commands(office: GatewayStack, verb: str, state: str) -> None:
    """Every money command is 409 ``under_review`` before any call, and stores nothing."""
    payment, key = await suspicious(office, state), new_key()
    sent = await creditkey.calls(office, payment)
    reply = await act(office, payment, verb, key=key)
    assert (reply.status, reply.json["code"], reply.json["payment_id"]) == (409, "under_review", payment["id"])
    assert await creditkey.calls(office, payment) == sent
    assert await office.gateway.store.idempotency_record("acme", key) is None
    assert (await resolve(office, payment)).status == 200
    assert (await act(office, payment, verb, key=key)).status in (200, 201)


@shared
async def test_a_review_stops_neither_reading_nor_facts(office: GatewayStack) -> None:
    """Read, timeline and ``sync`` stay, and the customer's acceptance still moves the payment; the flag remains."""
    payment = await suspicious(office, "awaiting_customer")
    assert (await act(office, payment, "sync")).status == 200
    assert len(await office.events(payment["id"])) == payment["version"]
    await accept(office, payment)
    now = await office.payment(payment["id"])
    assert (now["state"], now["review"]["reason"]) == ("authorized", "amount")


@shared
async def test_resolving_is_one_version_with_name_and_reason(office: GatewayStack) -> None:
    """The resolution is a line of the timeline and a webhook; without a name it is the key's alone."""
    payment = await suspicious(office)
    reply = await resolve(office, payment, actor="dana")
    assert (reply.status, reply.json["review"], reply.json["version"]) == (200, None, payment["version"] + 1)
    last = (await office.events(payment["id"]))[-1]
    assert (last["type"], last["cause"], last["details"]) == (
        "payment.updated",
        "operator",
        {"actor": "operator (dana)", "reason": REASON},
    )
    webhook = (await office.webhook(payment["id"], "payment.updated"))["data"]["payment"]
    assert (webhook["review"], webhook["version"]) == (None, reply.json["version"])
    other = await suspicious(office)
    await resolve(office, other)
    assert (await office.events(other["id"]))[-1]["details"]["actor"] == "operator"


STATES = ("awaiting_customer", "processing", "authorized", "captured", "canceled", "failed", "expired")


@shared
@pytest.mark.parametrize("state", STATES)
async def test_a_person_may_know_the_state_better(office: GatewayStack, state: str) -> None:
    """A state that is given with the resolution is set and told; ``captured`` means the whole amount."""
    payment = await suspicious(office, "awaiting_customer")
    reply = await resolve(office, payment, state=state)
    assert (reply.status, reply.json["state"], reply.json["review"]) == (200, state, None)
    assert reply.json["amount_captured"] == ("1067.33" if state == "captured" else "0.00")
    last = (await office.events(payment["id"]))[-1]
    kind = "payment.updated" if state == payment["state"] else f"payment.{state}"
    assert (last["type"], last["cause"], last["state_after"]) == (kind, "operator", state)
    await timeline(office, payment)


@shared
async def test_a_payment_that_a_person_authorized_can_be_captured(office: GatewayStack) -> None:
    """It has its capture deadline, no expiry, and the rise limit counts from its amount."""
    payment = await suspicious(office, "awaiting_customer")
    await accept(office, payment)
    told = await resolve(office, payment, state="authorized")
    assert (told.json["capture_by"] is not None, told.json["expires_at"]) == (True, None)
    assert (await act(office, payment, "capture")).json["state"] == "captured"


@shared
async def test_a_person_may_authorize_what_was_never_seen_authorized(office: GatewayStack) -> None:
    """The word of a person starts the capture deadline as proof would."""
    payment = await suspicious(office, "awaiting_customer")
    told = (await resolve(office, payment, state="authorized")).json
    assert (told["capture_by"] is not None, told["expires_at"]) == (True, None)


@shared
async def test_a_contradiction_is_resolved(office: GatewayStack) -> None:
    """A PSP that says failed and then paid leaves it to a person, who takes the payment as captured."""
    payment = (await office.create(psp_body())).json
    await call_back(office, payment, status=0, transaction_id="T-1")
    await call_back(office, payment, status=1, transaction_id="T-2")
    assert (await office.payment(payment["id"]))["review"]["reason"] == "contradiction"
    told = (await resolve(office, payment, state="captured")).json
    assert (told["state"], told["amount_captured"], told["failure"]) == ("captured", "162.48", None)
    webhook = (await office.webhook(payment["id"], "payment.captured"))["data"]["payment"]
    assert (webhook["failure"], webhook["captured_at"]) == (None, webhook["updated_at"])
    assert await office.payment(payment["id"]) == told


@shared
async def test_a_payment_with_refunds_was_captured_whatever_a_person_says(office: GatewayStack) -> None:
    """Money that went back was taken before: 409, the flag stays; ``captured`` leaves the state to the totals."""
    payment = await BEGUN["captured"](office)
    assert (await act(office, payment, "refund", {"amount": "10.00"})).status == 201
    await edit(office, payment, amount="1.00")
    assert (await act(office, payment, "sync")).json["review"]["reason"] == "amount"
    refused = await resolve(office, payment, state="canceled")
    assert (refused.status, refused.json["code"]) == (409, "invalid_state")
    assert "10.00 USD of this payment were refunded" in refused.json["detail"]
    told = (await resolve(office, payment, state="captured")).json
    assert (told["state"], told["amount_refunded"], told["review"]) == ("partially_refunded", "10.00", None)


# What an operator may not


@shared
async def test_a_review_cannot_be_resolved_while_an_outcome_is_open(office: GatewayStack) -> None:
    """First the operation, then the review: 409 names the operation, nothing changes."""
    payment, operation_id = await unknown_refund(office)
    await edit(office, payment, refunded_amount="15.00")
    assert (await act(office, payment, "sync")).json["review"]["reason"] == "refund_unclear"
    reply = await resolve(office, payment)
    assert (reply.status, reply.json["code"]) == (409, "operation_outcome_pending")
    assert reply.json["operation_id"] == operation_id
    assert await review_of(office, payment) == "refund_unclear"
    assert (await rule(office, operation_id, outcome="succeeded")).status == 200
    assert (await resolve(office, payment)).status == 200
    assert (await office.payment(payment["id"]))["amount_refunded"] == "15.00"


@shared
async def test_only_a_review_can_be_resolved(office: GatewayStack) -> None:
    """A payment that waits for nobody is 409 ``invalid_state``, one that does not exist 404."""
    payment = await authorized(office)
    reply = await resolve(office, payment, state="captured")
    assert (reply.status, reply.json["code"]) == (409, "invalid_state")
    assert (await office.payment(payment["id"]))["version"] == payment["version"]
    missing = await resolve(office, {"id": "pay_00000000000070008000000000000000"})
    assert (missing.status, missing.json["code"]) == (404, "not_found")


BAD_BODIES = {
    "no reason": ({"reason": None}, "$.reason"),
    "empty reason": ({"reason": ""}, "$.reason"),
    "a state that follows from money": ({"state": "refunded"}, "$.state"),
    "a state of nothing": ({"state": "created"}, "$.state"),
    "unknown member": ({"amount": "1.00"}, "$.amount"),
    "empty name": ({"actor": ""}, "$.actor"),
}


@shared
@pytest.mark.parametrize("name", BAD_BODIES)
async def test_a_resolution_must_be_complete(office: GatewayStack, name: str) -> None:
    """A body that cannot be used is 422 by the member's name and leaves the flag."""
    body, field = BAD_BODIES[name]
    payment = await suspicious(office)
    reply = await resolve(office, payment, **body)
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, field)
    assert await review_of(office, payment) == "amount"


ROUTES = (
    ("GET", "/reviews"),
    ("POST", "/reviews/pay_x/resolve"),
    ("GET", "/operations"),
    ("POST", "/operations/op_x/resolve"),
)


@shared
@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("key", [None, "", "operators-test-kez", "a tenant's"])
async def test_the_desk_needs_its_key(office: GatewayStack, method: str, path: str, key: str | None) -> None:
    """Without the operators' own key nothing is answered, a tenant's key opens nothing here."""
    sent = key_of("acme") if key == "a tenant's" else key
    reply = await desk(office, method, path, {} if method == "POST" else None, key=sent)
    assert (reply.status, reply.json["code"]) == (401, "unauthorized")


async def test_without_a_key_the_desk_is_closed(stack: GatewayStack) -> None:
    """Where the settings name no key, none opens."""
    for key in ("", ADMIN_KEY, None):
        assert (await desk(stack, "GET", "/reviews", key=key)).status == 401


@shared
async def test_tenants_do_not_reach_the_desk(office: GatewayStack) -> None:
    """The public listener knows none of the operators' routes."""
    reply = await office.call("GET", "/admin/v1/reviews")
    assert (reply.status, reply.json["code"]) == (404, "not_found")


# Operations without an outcome


async def unknown(
    stack: GatewayStack, verb: str, call: str, body: Any, state: str, key: str | None = None
) -> tuple[Any, str]:
    """A payment with an operation whose answer was lost before any effect, and that operation's id."""
    payment = await BEGUN[state](stack)
    await stack.faults("creditkey", operation=call, silence="before_effect", times=1)
    assert (await act(stack, payment, verb, body, key=key)).status == 202
    return payment, (await stack.payment(payment["id"]))["pending_operation"]["id"]


async def unknown_refund(stack: GatewayStack, key: str | None = None) -> tuple[Any, str]:
    return await unknown(stack, "refund", "refund", {"amount": "10.00"}, "captured", key)


@shared
async def test_operations_without_an_outcome_are_listed(office: GatewayStack) -> None:
    """The list names operation, payment, tenant, and why it is open; nothing but ``unknown`` can be asked for."""
    payment, operation_id = await unknown_refund(office)
    listed = (await desk(office, "GET", "/operations?status=unknown")).json["data"]
    [found] = [one for one in listed if one["id"] == operation_id]
    assert (found["kind"], found["status"], found["tenant"]) == ("refund", "unknown", "acme")
    assert (found["payment_id"], found["note"].partition(":")[0]) == (payment["id"], "connection_lost")
    assert (await desk(office, "GET", "/operations?status=sending")).status == 422


class Ruling(NamedTuple):
    """What is settled and how; then the payment's members, and the event that tells it."""

    verb: str
    call: str
    body: Mapping[str, Any]
    state: str
    outcome: str
    payment: Mapping[str, str]
    event: str


REFUND = ("refund", "refund", {"amount": "10.00"}, "captured")
CAPTURE = ("capture", "confirm_order", {}, "authorized")
UPDATE = ("update", "update_order", creditkey.total_of("1100.00"), "authorized")
CANCEL = ("cancel", "cancel_order", {}, "authorized")

RULINGS = {
    "refund succeeded": Ruling(
        *REFUND,
        "succeeded",
        {"state": "partially_refunded", "amount_refunded": "10.00"},
        "payment.partially_refunded",
    ),
    "refund declined": Ruling(
        *REFUND, "declined", {"state": "captured", "amount_refunded": "0.00"}, "operation.declined"
    ),
    "refund written off": Ruling(
        *REFUND, "written_off", {"state": "captured", "amount_refunded": "0.00"}, "payment.updated"
    ),
    "capture declined": Ruling(*CAPTURE, "declined", {"state": "authorized"}, "operation.declined"),
    "capture written off": Ruling(*CAPTURE, "written_off", {"state": "authorized"}, "payment.updated"),
    "update succeeded": Ruling(*UPDATE, "succeeded", {"state": "authorized", "amount": "1100.00"}, "payment.updated"),
    "update declined": Ruling(*UPDATE, "declined", {"amount": "1067.33"}, "operation.declined"),
    "cancel written off": Ruling(*CANCEL, "written_off", {"state": "authorized"}, "payment.updated"),
}


@shared
@pytest.mark.parametrize("name", RULINGS)
async def test_a_person_settles_an_operation(office: GatewayStack, name: str) -> None:
    """The operation ends as ruled, the payment is free again, and timeline, webhook and the tenant's key all say so."""
    row, key = RULINGS[name], new_key()
    payment, operation_id = await unknown(office, row.verb, row.call, row.body, row.state, key)
    told = await rule(office, operation_id, outcome=row.outcome, actor="dana")
    assert told.status == 200, told.text
    now = await office.payment(payment["id"])
    assert {name: now[name] for name in row.payment} == row.payment
    assert (now["pending_operation"], now["version"]) == (None, payment["version"] + 1)
    assert (await operations(office, payment))[-1] == (row.verb, row.outcome)
    last = (await office.events(payment["id"]))[-1]
    assert (last["type"], last["cause"]) == (row.event, "operator")
    audit = {"actor": "operator (dana)", "reason": REASON, "outcome": row.outcome, "operation_id": operation_id}
    assert last["details"] == last["details"] | audit
    await office.webhook(payment["id"], row.event)
    again = await act(office, payment, row.verb, row.body, key=key)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json.get("operation", again.json)["status"] == row.outcome
    assert await creditkey.calls(office, payment, row.call) == [row.call]
    await timeline(office, payment)


@shared
async def test_a_declined_ruling_frees_the_amount(office: GatewayStack) -> None:
    """What a person knows was not refunded can be refunded."""
    payment, operation_id = await unknown_refund(office)
    await rule(office, operation_id, outcome="declined")
    again = await act(office, payment, "refund", {})
    assert (again.json["status"], again.json["amount"]) == ("succeeded", "1067.33")


@shared
async def test_a_create_that_was_ruled_declined_has_failed(office: GatewayStack) -> None:
    """A create that a person knows was never begun fails the payment and frees its reference."""
    await office.faults("creditkey", operation="begin_standalone_checkout", silence="before_effect", times=1)
    payment = (await office.create(creditkey.creditkey_body())).json
    told = await rule(office, payment["pending_operation"]["id"], outcome="declined")
    assert (told.json["state"], told.json["failure"]["code"]) == ("failed", "not_created")
    again = await office.create(creditkey.creditkey_body(merchant_reference=payment["merchant_reference"]))
    assert again.status == 201


@shared
async def test_a_capture_that_was_written_off_is_still_seen(office: GatewayStack) -> None:
    """A ruling is a word, not a proof: when Credit Key shows the capture after all, the payment is captured."""
    payment, operation_id = await unknown(office, "capture", "confirm_order", {}, "authorized")
    await rule(office, operation_id, outcome="written_off")
    await edit(office, payment, status="shipped", capture_status="captured")
    assert (await act(office, payment, "sync")).json["state"] == "captured"
    assert (await operations(office, payment))[-1] == ("capture", "written_off")


@shared
async def test_an_operation_is_settled_once(office: GatewayStack) -> None:
    """A second ruling finds no open operation, nor does one of an operation that never was."""
    payment, operation_id = await unknown_refund(office)
    assert (await rule(office, operation_id, outcome="declined")).status == 200
    again = await rule(office, operation_id, outcome="succeeded")
    assert (again.status, again.json["code"]) == (404, "not_found")
    assert (await operations(office, payment))[-1] == ("refund", "declined")
    assert (await rule(office, "op_none", outcome="declined")).status == 404


@shared
@pytest.mark.parametrize("body", [{}, {"outcome": "sending"}, {"outcome": "declined", "reason": ""}])
async def test_a_ruling_must_be_complete(office: GatewayStack, body: Mapping[str, Any]) -> None:
    """A ruling without a usable outcome and reason is 422 and settles nothing."""
    payment, operation_id = await unknown_refund(office)
    assert (await rule(office, operation_id, **body)).status == 422
    assert (await operations(office, payment))[-1] == ("refund", "unknown")


# Two live orders


@shared
async def test_two_live_orders_that_a_person_allowed_stay_allowed(office: GatewayStack) -> None:
    """After both flags were cleared, the gateway's next looks do not raise them again."""
    old = await authorized(office)
    reply = await act(office, old, "update", creditkey.total_of("1300.00", allow_new_checkout=True))
    successor = await office.payment(reply.json["replaced_by"])
    await office.faults("creditkey", operation="cancel_order", status=400, body={"result": "no"})
    await accept(office, successor)
    await office.webhook(old["id"], "payment.review")
    await office.webhook(successor["id"], "payment.review")
    await office.faults("creditkey")
    for payment in (old, successor):
        assert (await resolve(office, payment)).status == 200
        await office.gateway.store.commit(
            "acme", [schedule.bring_check_forward("acme", payment["id"], office.gateway.clock.now())]
        )
    await run_due_checks(office.gateway)
    assert (await review_of(office, old), await review_of(office, successor)) == (None, None)
