"""Why a callback was refused: the same sentence in the inbox row and in one line of the log, without secrets."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.drivers.store.inbox import InboxFilter, InboxRow
from gateway.drivers.telemetry import JsonLines
from tests.support.clients.psp_callbacks import ABSENT, call_back, credentials, new_payment, post, signed_body
from tests.support.stack import GatewayStack

shared = pytest.mark.asyncio(loop_scope="module")

NOW = 1795851349


async def newest(stack: GatewayStack) -> InboxRow:
    """The newest callback of tenant acme."""
    return (await stack.gateway.store.inbox.newest("acme", InboxFilter(limit=1)))[0]


def logged(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """The lines about refused callbacks, as they would be written."""
    return [record for record in caplog.records if record.message == "callback refused"]


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"time": NOW}, "time", f"time is {NOW}: looks like seconds"),
    ({"time": NOW * 10**6}, "time", "looks like microseconds"),
    ({"time": NOW * 10**9}, "time", "looks like nanoseconds"),
    ({"time": "2026-11-28T12:00:00Z"}, "time", "a date as text"),
    ({"time": str(NOW * 1000)}, "time", "send the number without quotes"),
    ({"time": ABSENT}, "time", "time is missing"),
    ({"time": 1700000000000}, "time", "was sent, it may be"),
    ({"status": "1"}, "status", "send 1 without quotes"),
    ({"status": "success"}, "status", "looks like 1"),
    ({"status": 9}, "status", "status is 9"),
    ({"amount": 16248}, "amount", "looks like the smallest unit of USD; send 162.48"),
    ({"amount": 162.5}, "amount", "162.5 was sent, the payment's is 162.48"),
    ({"amount": ABSENT}, "amount", "amount is missing"),
    ({"amount": "1,000.00"}, "amount", "the comma"),
    ({"currency": "EUR"}, "currency", "EUR was sent, the payment is in USD"),
    ({"currency": "US$"}, "currency", "signs do not belong there"),
    ({"order_no": "pay_none"}, "not_found", 'this account has no payment "pay_none"'),
    ({"order_no": ABSENT}, "not_found", "it names no payment"),
    ({"merchant_id": "other"}, "wrong_account", "merchant_id"),
]


@shared
@pytest.mark.parametrize(("changes", "reason", "told"), REFUSED, ids=[told[:40] for _, _, told in REFUSED])
async def test_the_reason_stands_in_row_and_log(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], reason: str, told: str
) -> None:
    """One warning with callback, account, reason and detail; the row says the same, and what is only claimed."""
    payment = await new_payment(shared_stack)
    caplog.clear()
    assert (await call_back(shared_stack, payment, **changes)).status == 400
    row = await newest(shared_stack)
    assert (row.verdict, row.reason) == ("refused", reason)
    assert told in (row.detail or "")
    (line,) = logged(caplog)
    assert (line.tenant, line.account, line.callback_id) == ("acme", "psp-main", row.id)
    assert (line.levelname, line.reason) == ("WARNING", reason)
    assert (row.detail or "").partition("; it claims")[0] == line.detail
    written = JsonLines().format(line)
    assert row.id in written
    assert credentials(shared_stack)[1] not in written


@shared
@pytest.mark.parametrize(("status", "told"), [(0, "this failure"), (2, '"processing"')])
async def test_a_finished_payment_says_so(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, status: int, told: str
) -> None:
    """The state stands in the detail, the payment's id in the line."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment)
    caplog.clear()
    await call_back(shared_stack, payment, status=status, transaction_id="T-9")
    detail = (await newest(shared_stack)).detail or ""
    assert "the payment is captured already" in detail
    assert told in detail
    assert logged(caplog)[0].payment_id == payment["id"]


@shared
async def test_another_name_of_the_payment_is_recognised(shared_stack: GatewayStack) -> None:
    """Its merchant_reference, its provider_reference, its id in capitals: the id that is meant is named."""
    payment = await new_payment(shared_stack)
    await call_back(shared_stack, payment, status=2, transaction_id=f"T-{payment['id']}")
    for name in (payment["merchant_reference"], f"T-{payment['id']}", payment["id"].upper(), f" {payment['id']} "):
        await call_back(shared_stack, payment, order_no=name)
        assert payment["id"] in ((await newest(shared_stack)).detail or "").partition(":")[2], name


@shared
async def test_the_amount_of_the_customer_s_other_payment_names_both(shared_stack: GatewayStack) -> None:
    """A success that was booked on the customer's previous order is refused, and both ids are said."""
    customer = {"id": "C-two-orders"}
    first = await new_payment(shared_stack, amount="10.00", customer=customer)
    second = await new_payment(shared_stack, amount="20.00", customer=customer)
    foreign = await new_payment(shared_stack, amount="20.00", customer={"id": "C-somebody-else"})
    await call_back(shared_stack, first, amount=20)
    row = await newest(shared_stack)
    assert row.reason == "amount"
    assert first["id"] in (row.detail or "")
    assert second["id"] in (row.detail or "")
    assert foreign["id"] not in (row.detail or "")


@shared
async def test_what_is_not_proved_is_logged_without_what_was_sent(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong token and a wrong path: fixed words; an unknown endpoint leaves no such line."""
    payment = await new_payment(shared_stack)
    caplog.clear()
    await post(shared_stack, signed_body(shared_stack, payment), headers={"crm-pay-token": "guessed-0123456789"})
    await post(shared_stack, signed_body(shared_stack, payment), path="/pay/callbacks")
    await shared_stack.call("POST", "/callbacks/nobody-knows-this-endpoint", tenant=None, data=b"{}")
    lines = logged(caplog)
    assert [line.reason for line in lines] == ["unauthentic", "unauthentic"]
    assert all(line.detail and "guessed" not in line.detail for line in lines)
