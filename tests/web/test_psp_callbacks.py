"""API-2 over HTTP: what every callback is answered, what it moves, and that nothing else moves.

Two tables: each kind of refusal, and each pair of an order's state and a callback's status.
"""

from __future__ import annotations

import asyncio
import http.client
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from gateway.core.payment import Payment, State
from tests.support.clients.psp_callbacks import (
    ABSENT,
    FAIL,
    NOT_PENDING,
    PROCESSING,
    SUCCESS,
    call_back,
    change_store,
    credentials,
    earlier,
    expire,
    force,
    new_payment,
    post,
    refusal_of,
    signed_body,
    stored,
)
from tests.support.stack import GatewayStack, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")

GRACE = timedelta(hours=72)


async def webhooks_made(stack: GatewayStack, payment_id: str) -> list[str]:
    """Types of the webhooks that were made, in version order."""
    return [row.type for row in await stack.gateway.store.deliveries.of_payment("acme", payment_id)]


# Order state x status, for callbacks that were not seen before

EXPIRED_AGO = {
    "expired in grace": GRACE - timedelta(minutes=1),
    "expired past grace": GRACE + timedelta(minutes=1),
}
CALLED_BACK = {"processing": PROCESSING, "succeeded": SUCCESS, "failed": FAIL}


async def put(stack: GatewayStack, payment: Any, place: str, transaction_id: Any) -> Payment:
    """Bring a pending order into a state by real events, under a transaction id where a callback does it."""
    if place in EXPIRED_AGO:
        await expire(stack, payment["id"], ago=EXPIRED_AGO[place])
    if place in CALLED_BACK:
        told = await call_back(stack, payment, status=CALLED_BACK[place], transaction_id=transaction_id)
        assert told.status == 204
    return await stored(stack, payment["id"])


class Cell(NamedTuple):
    """One cell of the table: what a callback is answered and what it does."""

    place: str
    status: int
    refusal: str | None
    state: str
    event: str | None = None
    review: str | None = None
    late: bool = False


CELLS = (
    Cell("pending", PROCESSING, None, "processing", "payment.processing"),
    Cell("pending", SUCCESS, None, "captured", "payment.captured"),
    Cell("pending", FAIL, None, "failed", "payment.failed"),
    Cell("processing", PROCESSING, None, "processing"),
    Cell("processing", SUCCESS, None, "captured", "payment.captured"),
    Cell("processing", FAIL, None, "failed", "payment.failed"),
    Cell("succeeded", PROCESSING, NOT_PENDING, "captured"),
    Cell("succeeded", SUCCESS, NOT_PENDING, "captured"),
    Cell("succeeded", FAIL, NOT_PENDING, "captured", "payment.review", "contradiction"),
    Cell("failed", PROCESSING, NOT_PENDING, "failed"),
    Cell("failed", SUCCESS, NOT_PENDING, "failed", "payment.review", "contradiction"),
    Cell("failed", FAIL, NOT_PENDING, "failed"),
    Cell("expired in grace", PROCESSING, None, "expired"),
    Cell("expired in grace", SUCCESS, None, "captured", "payment.captured", late=True),
    Cell("expired in grace", FAIL, None, "failed", "payment.failed"),
    Cell("expired past grace", PROCESSING, NOT_PENDING, "expired"),
    Cell("expired past grace", SUCCESS, NOT_PENDING, "expired", "payment.review", "paid_late"),
    Cell("expired past grace", FAIL, NOT_PENDING, "expired"),
)


@shared
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: f"{cell.place} {cell.status}")
async def test_a_new_callback_meets_a_state(shared_stack: GatewayStack, cell: Cell) -> None:
    """A callback never seen before moves what its cell says, once, and is answered as its cell says."""
    payment = await new_payment(shared_stack)
    before = await put(shared_stack, payment, cell.place, "T-1")
    # Without a transaction id the fingerprint is new in every state.
    reply = await call_back(shared_stack, payment, status=cell.status, transaction_id=ABSENT)
    assert refusal_of(reply) == cell.refusal
    assert reply.status == (400 if cell.refusal else 204)
    now = await shared_stack.payment(payment["id"])
    assert now["state"] == cell.state
    assert now["amount_captured"] == ("162.48" if cell.state == "captured" else "0.00")
    assert (now["review"] or {}).get("reason") == cell.review
    assert now["version"] == before.version + (1 if cell.event else 0)
    events = await shared_stack.events(payment["id"])
    assert [event["version"] for event in events] == list(range(1, now["version"] + 1))
    assert [event["type"] for event in events[before.version :]] == ([cell.event] if cell.event else [])
    assert ("late" in events[-1]["details"]) == cell.late
    assert await webhooks_made(shared_stack, payment["id"]) == [event["type"] for event in events]


@shared
@pytest.mark.parametrize(
    "cell", [cell for cell in CELLS if cell.refusal], ids=lambda cell: f"{cell.place} {cell.status}"
)
async def test_a_refused_callback_teaches_nothing(shared_stack: GatewayStack, cell: Cell) -> None:
    """A refused callback leaves nothing but the review flag: not even its transaction id is believed."""
    payment = await new_payment(shared_stack)
    before = await put(shared_stack, payment, cell.place, ABSENT)
    reply = await call_back(shared_stack, payment, status=cell.status, transaction_id="T-2")
    assert refusal_of(reply) == NOT_PENDING
    after = await stored(shared_stack, payment["id"])
    assert after.provider_reference is None
    assert after.version == before.version + (1 if cell.review else 0)


# Order state x status, for callbacks that were applied before

FORCED: dict[str, tuple[State, timedelta | None]] = {
    "pending": (State.AWAITING_CUSTOMER, None),
    "processing": (State.PROCESSING, None),
    "succeeded": (State.CAPTURED, None),
    "failed": (State.FAILED, None),
    **{place: (State.EXPIRED, ago) for place, ago in EXPIRED_AGO.items()},
}


@shared
@pytest.mark.parametrize("place", FORCED)
@pytest.mark.parametrize("status", [FAIL, SUCCESS, PROCESSING])
async def test_a_repeated_callback_has_no_effect(shared_stack: GatewayStack, place: str, status: int) -> None:
    """A callback applied before is answered 204 in every state and moves nothing, whatever its time and sign."""
    payment = await new_payment(shared_stack)
    assert (await call_back(shared_stack, payment, status=status, time=earlier())).status == 204
    state, ago = FORCED[place]
    await force(shared_stack, payment["id"], state, expired_ago=ago)
    before = await stored(shared_stack, payment["id"])
    reply = await call_back(shared_stack, payment, status=status)
    assert refusal_of(reply) is None
    assert await stored(shared_stack, payment["id"]) == before
    assert len(await webhooks_made(shared_stack, payment["id"])) == before.version


@shared
async def test_processing_again_under_another_transaction_is_refused(shared_stack: GatewayStack) -> None:
    """A second attempt for an order that is processing under another transaction id is refused and moves nothing."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, status=PROCESSING, transaction_id="T-1")
    before = await stored(shared_stack, payment["id"])
    reply = await call_back(shared_stack, payment, status=PROCESSING, transaction_id="T-2")
    assert (reply.status, refusal_of(reply)) == (400, "payment_request_exists")
    assert await stored(shared_stack, payment["id"]) == before


@shared
async def test_another_transaction_in_the_final_callback_is_applied_and_noted(shared_stack: GatewayStack) -> None:
    """The transaction id of the final callback may differ: the payment follows it and the timeline names both."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, status=PROCESSING, transaction_id="T-1")
    assert (await call_back(shared_stack, payment, status=SUCCESS, transaction_id="T-2")).status == 204
    now = await shared_stack.payment(payment["id"])
    assert (now["state"], now["provider_reference"]) == ("captured", "T-2")
    assert (await shared_stack.events(payment["id"]))[-1]["details"]["provider_reference_before"] == "T-1"


@shared
async def test_a_second_success_under_another_transaction_is_told_once(shared_stack: GatewayStack) -> None:
    """The customer may have paid twice: the wire's answer is as before, the tenant is told once per transaction."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, status=SUCCESS, transaction_id="PHP-1")
    for transaction in ("PHP-2", "PHP-2", "PHP-3", "PHP-2"):
        reply = await call_back(shared_stack, payment, status=SUCCESS, transaction_id=transaction)
        assert (reply.status, refusal_of(reply)) == (400, NOT_PENDING)
    now = await shared_stack.payment(payment["id"])
    assert (now["state"], now["amount_captured"], now["provider_reference"]) == ("captured", "162.48", "PHP-1")
    assert now["review"]["reason"] == "contradiction"
    told = (await shared_stack.events(payment["id"]))[3:]
    assert [(one["type"], one["details"]["paid_again_by"]) for one in told] == [
        ("payment.review", "PHP-2"),
        ("payment.updated", "PHP-3"),
    ]
    assert len(await webhooks_made(shared_stack, payment["id"])) == now["version"] == 5


async def test_strict_duplicates_refuses_every_callback_of_a_terminal_order(tmp_path: Path) -> None:
    """Under ``strict_duplicates`` the repetition of an applied callback is refused as the real CRM does."""

    def strict(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["psp-main"]["config"]["strict_duplicates"] = True

    async with running_stack(tmp_path, change=strict) as stack:
        payment = await new_payment(stack)
        assert (await call_back(stack, payment)).status == 204
        again = await call_back(stack, payment)
        assert (again.status, refusal_of(again)) == (400, NOT_PENDING)
        assert (await stack.payment(payment["id"]))["version"] == 3


@shared
async def test_fifty_copies_at_once_move_the_payment_once(shared_stack: GatewayStack) -> None:
    """Fifty copies of one callback arriving together are all answered 204 and capture the payment once."""
    payment = await new_payment(shared_stack)
    body = signed_body(shared_stack, payment)
    replies = await asyncio.gather(*(post(shared_stack, body) for _ in range(50)))
    assert {reply.status for reply in replies} == {204}
    assert await webhooks_made(shared_stack, payment["id"]) == [
        "payment.created",
        "payment.awaiting_customer",
        "payment.captured",
    ]


# Beyond the nine: the extensions, and what the endpoint is


async def test_what_cannot_be_stored_is_never_acknowledged(stack: GatewayStack) -> None:
    """While the store takes no callback the answer is 503; the same callback is applied once it does again."""
    payment = await new_payment(stack)
    body = signed_body(stack, payment)
    await change_store(stack, "ALTER TABLE inbox RENAME TO elsewhere")
    reply = await post(stack, body)
    assert (reply.status, refusal_of(reply)) == (503, "temporarily_unavailable")
    assert int(reply.headers["Retry-After"]) > 0
    assert (await stack.payment(payment["id"]))["state"] == "awaiting_customer"
    await change_store(stack, "ALTER TABLE elsewhere RENAME TO inbox")
    assert (await post(stack, body)).status == 204
    assert (await stack.payment(payment["id"]))["state"] == "captured"


@shared
@pytest.mark.parametrize("path", ["", "/", "/pay/callback", "/pay/callback/"])
async def test_the_bare_endpoint_is_the_callback_too(shared_stack: GatewayStack, path: str) -> None:
    """A sender that takes the shown address for the whole one reaches the same place."""
    payment = await new_payment(shared_stack)
    assert (await post(shared_stack, signed_body(shared_stack, payment), path=path)).status == 204
    assert (await shared_stack.payment(payment["id"]))["state"] == "captured"


@shared
async def test_success_has_no_body_at_all(shared_stack: GatewayStack) -> None:
    """204 is sent without a body and without a length of one."""
    payment = await new_payment(shared_stack)
    address = urlsplit(shared_stack.url)
    endpoint = f"/callbacks/{shared_stack.entry('acme', 'psp-main').endpoint_id}/pay/callback"
    headers = {"Content-Type": "application/json", "crm-pay-token": credentials(shared_stack)[1]}

    def send() -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(address.hostname or "", address.port)
        connection.request("POST", endpoint, signed_body(shared_stack, payment), headers)
        return connection.getresponse()

    response = await asyncio.to_thread(send)
    assert (response.status, response.read()) == (204, b"")
    assert response.headers["Content-Length"] is None
    assert response.headers["Content-Type"] is None


# Races with API-1's own answer, and bytes that change on the way


async def test_a_callback_before_the_answer_is_applied(stack: GatewayStack) -> None:
    """A callback that overtakes API-1's answer captures the payment, which still gets its payment page."""
    await stack.faults("psp", early_callback=True)
    created = await stack.create(psp_body())
    assert created.status == 201, created.text
    payment = await stack.payment(created.json["id"])
    assert (payment["state"], payment["amount_captured"]) == ("captured", "162.48")
    assert payment["redirect_url"].startswith("http://127.0.0.1:")
    assert payment["pending_operation"] is None
    assert created.json["operation"]["status"] == "succeeded"
    versions = [event["version"] for event in await stack.events(payment["id"])]
    assert versions == list(range(1, payment["version"] + 1))


async def test_a_callback_before_silence_settles_the_create(stack: GatewayStack) -> None:
    """When the callback came and API-1's answer never does, the create counts as done."""
    await stack.faults("psp", early_callback=True, silence="after_effect")
    created = await stack.create(psp_body())
    assert (created.status, created.json["operation"]["status"]) == (201, "succeeded")
    assert created.json["state"] == "captured"
    assert len(await stack.provider_requests("psp")) == 1


async def test_a_callback_sent_twice_by_its_sender_moves_once(stack: GatewayStack) -> None:
    """A sender that says everything twice, with a new time and sign, moves the payment once."""
    await stack.faults("psp", duplicate_callback=True)
    payment = await new_payment(stack)
    await stack.click(payment, "pay")
    [order] = await stack.provider_orders("psp")
    assert [told["http_status"] for told in order["callbacks"]] == [204, 204]
    assert (await stack.payment(payment["id"]))["version"] == 3
