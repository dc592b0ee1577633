"""The pieces of the how-to for authors run as they stand, one after the other in one module."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import Any
from urllib.parse import urlencode

import pytest

import gateway
from tests.support.docs_pages import blocks, text_of

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ACCOUNT: Any = SimpleNamespace(
    config=SimpleNamespace(base_url="https://api.example", key=gateway.Secret("how-to-key-0123"))
)
MONEY = gateway.Money.of(gateway.Amount.read("10.00"), "USD", 2)
COMMON = {"payment_id": "pay_1", "merchant_reference": "SO-1", "provider_reference": "pr_1", "money": MONEY, "at": NOW}


@pytest.fixture(scope="module")
def piece() -> Iterator[Any]:
    """Everything that the page defines, as a module."""
    made = sys.modules["how_to_pieces"] = ModuleType("how_to_pieces")
    for block in blocks(text_of("docs/how-to-providers.md"), "python"):
        exec(block, vars(made))  # noqa: S102  # our own page
    yield made
    del sys.modules["how_to_pieces"]


def callback(body: str = "", **members: Any) -> gateway.Callback:
    """A callback that came now."""
    given = {"method": "POST", "suffix": "", "query": "", "headers": (), "remote": "192.0.2.1", "received_at": NOW}
    return gateway.Callback(body=body.encode(), **{**given, **members})


def test_a_page(piece: Any) -> None:
    """The return and the notice are hints, anything else is refused."""
    assert piece.verify(None, callback(payment_id="pay_1"), ACCOUNT) == gateway.Hint()
    assert piece.verify(None, callback("id=pr_1"), ACCOUNT).provider_reference == "pr_1"
    with pytest.raises(gateway.CallbackRejected):
        piece.verify(None, callback("name=pr_1"), ACCOUNT)


def test_polling(piece: Any) -> None:
    """A lookup asks for the open refund, and reports its outcome."""
    asked = gateway.OpenOperation(id="op_1", kind=gateway.Kind.REFUND, money=MONEY)
    command = gateway.FetchPayment(**COMMON, open_operation=asked)
    assert len(piece.rules(None, ACCOUNT).poll) == 6
    assert piece.lookup(None, command, ACCOUNT).url.endswith(f"/refunds/{piece.our_uuid('op_1')}")
    (told,) = piece.refund_seen(command, "done").operations
    assert told == gateway.OperationOutcome(operation_id="op_1", outcome=gateway.Succeeded())


@pytest.mark.parametrize(("secret", "at"), [("how-to-key-0123", 0), ("another", 0), ("how-to-key-0123", 3600)])
def test_signed_callbacks(piece: Any, secret: str, at: int) -> None:
    """Only the right key of this time is believed."""
    body, stamp = json.dumps({"id": "evt_1", "payment": "pay_1", "refund": "re_1", "status": "done"}), NOW.timestamp()
    mac = hmac.new(secret.encode(), f"{stamp - at:.0f}.{body}".encode(), hashlib.sha256).hexdigest()
    signed = callback(body, headers=(("Provider-Signature", f"{stamp - at:.0f}.{mac}"),))
    if secret == "another" or at:
        with pytest.raises(gateway.CallbackRejected):
            piece.refund_event(signed, ACCOUNT)
    else:
        assert piece.refund_event(signed, ACCOUNT).operation.provider_id == "re_1"


def test_two_steps(piece: Any) -> None:
    """The completion has a request of its own."""
    command = gateway.CompletePayment(**COMMON, operation_id="op_1")
    assert piece.approve_or_complete(command, ACCOUNT).url == "https://api.example/orders/pr_1/complete"


def test_batches(piece: Any) -> None:
    """Each item is an event; a word that nobody knows is unknown."""
    items = [{"id": f"evt_{n}", "payment": f"pay_{n}", "status": word} for n, word in enumerate(("paid", "odd"))]
    stages = [event.observation.stage for event in piece.batch(callback(json.dumps({"items": items})))]
    assert stages == [gateway.Stage.CAPTURED, gateway.Stage.UNKNOWN]


def test_several_ids(piece: Any) -> None:
    """What was remembered names the capture that is refunded."""
    seen = piece.with_ids(gateway.Observation(stage=gateway.Stage.CAPTURED), {"capture_id": "ca_1", "other": None})
    command = gateway.RefundPayment(**COMMON, operation_id="op_1", reason=None, memory=seen.memory)
    assert piece.refund(command, ACCOUNT).url == "https://api.example/captures/ca_1/refunds"


def test_a_form(piece: Any) -> None:
    """The create needs no call, and the return is proved over all its fields."""
    urls = gateway.Urls(callback="https://gw.example/c", return_="https://gw.example/r", cancel="", complete="")
    parts = {"customer": gateway.Customer(), "order": gateway.Order(), "checkout": gateway.Checkout()}
    create = gateway.CreatePayment(**COMMON, **parts, operation_id="op_1", fields={}, metadata={}, urls=urls)
    assert piece.form(create, ACCOUNT).form.fields["return_url"] == "https://gw.example/r"
    fields = {"order": "pay_1", "status": "paid", "amount": "10.00", "currency": "USD"}
    fields["sign"] = piece.signed(fields, ACCOUNT.config.key)
    assert piece.returned(callback(urlencode(fields)), ACCOUNT).observation.stage is gateway.Stage.CAPTURED
    with pytest.raises(gateway.CallbackRejected):
        piece.returned(callback(urlencode({**fields, "amount": "1.00"})), ACCOUNT)


def test_instructions(piece: Any) -> None:
    """Texts for the customer, and an event by the reference that the customer typed."""
    assert piece.with_instructions("SO-1").instructions["reference"] == "SO-1"
    fields = {"id": "1", "reference": "SO-1", "currency": "EUR", "amount": "10.00"}
    assert piece.money_arrived(fields).observation.merchant_reference == "SO-1"


def test_a_second_question(piece: Any) -> None:
    """The page's answer leads on, the payment's does not."""
    command = gateway.FetchPayment(**COMMON)
    page = {"payment": "p_1", "status": "paid", "order": "pay_1"}
    asked = piece.page_read(command, page, ACCOUNT)
    again = gateway.FetchPayment(**COMMON, memory=asked.memory)
    assert asked.request.url == "https://api.example/payments/p_1"
    assert piece.page_read(again, page, ACCOUNT).stage is gateway.Stage.CAPTURED
