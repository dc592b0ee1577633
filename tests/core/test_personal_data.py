"""Personal data is taken out of a payment and its records, and nothing else is."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from gateway.core.commands import Address, Charges, Customer, Item, Kind, Order
from gateway.core.facts import Cause, Event, Form, Observation, Stage
from gateway.core.money import Amount
from gateway.core.payment import Failure, FailureCode, Payment, PaymentEvent, Repeatable, Review, ReviewReason, State
from gateway.core.personal_data import DISTINCT, ENDED, ERASED, Eraser, Subject, identifying, is_erasable
from gateway.core.views import payment_json, webhook_body
from tests.support.factories.payments import AT, make_operation, make_payment

ADDRESS = Address(first_name="Dana", last_name="Reyes", email="Dana@Home.example", phone_number="0049 30 123456")
PAYMENT = replace(
    make_payment(state=State.CAPTURED),
    customer=Customer(id="C-88", name="Dana Reyes", email="dana@reyes.example", phone="+1 (253) 555-0142"),
    order=Order(
        items=[Item(merchant_id="m", name="Engraving for Dana", price=Amount("1.00"), quantity=1)],
        charges=Charges(total=Amount("1.00"), grand_total=Amount("1.00")),
        billing_address=ADDRESS,
    ),
    metadata={"plan": "gold-card-of-dana", "state": "captured"},
    fields={"note": "left at Mr. Ødegård's"},
    redirect_url="https://pay.example/?who=dana",
    form=Form("https://pay.example", {"name": "Dana"}),
    failure=Failure(code=FailureCode.DECLINED, message="Card of DANA%20REYES refused", provider_code="51"),
    memory={"token": "T-1", "payer": "Dana Reyes"},
)


@pytest.mark.parametrize(
    ("kind", "written", "found"),
    [
        ("email", " DANA@reyes.EXAMPLE ", True),
        ("email", "dana@home.example", True),
        ("email", "ana@reyes.example", False),
        ("phone", "+12535550142", True),
        ("phone", "49-30-123456", True),
        ("phone", "5550142", False),
        ("customer_id", " C-88 ", True),
        ("customer_id", "c-88", False),
    ],
)
def test_a_customer_is_found_however_it_is_written(kind: str, written: str, found: bool) -> None:
    """Case of an address and all but a number's digits do not count; a part is somebody else."""
    subject = Subject(kind=kind, written=written)  # type: ignore[arg-type]  # one of the three
    assert subject.is_of(PAYMENT) is found


def test_the_payment_keeps_its_amounts_and_references() -> None:
    """Everything else is as it was, and the erased payment names when."""
    erased = Eraser.of(PAYMENT).payment(PAYMENT, AT)
    text = msgspec.json.encode(erased, enc_hook=str).decode().lower()
    assert not [word for word in ("dana", "reyes", "ødegård", "gold-card", "555", "engraving") if word in text]
    for kept in (
        "id",
        "state",
        "money",
        "captured",
        "merchant_reference",
        "provider_reference",
        "version",
        "created_at",
    ):
        assert getattr(erased, kept) == getattr(PAYMENT, kept)
    assert (erased.order.charges, erased.memory["token"]) == (PAYMENT.order.charges, "T-1")
    assert erased.failure == Failure(code=FailureCode.DECLINED, message=f"Card of {ERASED} refused", provider_code="51")
    assert erased.erased_at == AT


def test_a_short_number_is_an_amount_or_a_date() -> None:
    """A tenant's pair may be any number; a long one is somebody's."""
    eraser = Eraser(["100", "12345678"])
    assert eraser.sentence("refunded 100.00 of 12345678") == f"refunded 100.00 of {ERASED}"


def test_what_is_not_json_is_a_sentence() -> None:
    """An older gateway may have stored it."""
    assert Eraser.of(PAYMENT).body("to Dana Reyes {") == f"to {ERASED} {{"


def test_a_state_that_a_pair_happens_to_name_stays() -> None:
    """A tenant's own pair may say ``captured``: that names nobody, and it stays in sentences."""
    assert (
        Eraser.of(PAYMENT).sentence("captured by Dana, plan gold-card-of-dana")
        == f"captured by {ERASED}, plan {ERASED}"
    )


def test_an_operation_loses_what_it_takes_to_send_it_again() -> None:
    """And the reason that somebody wrote; what it did stays."""
    operation = replace(
        make_operation(Kind.REFUND), reason="Dana called", repeatable=Repeatable(digest="d", command='{"a":1}')
    )
    erased = Eraser.of(PAYMENT).operation(operation)
    assert erased == replace(operation, reason=None, repeatable=None)


def test_a_sentence_of_the_timeline_loses_the_customer_only() -> None:
    """Who decided and why is the record of a decision."""
    details = {"actor": "k1 (kim)", "reason": "Dana Reyes called; paid", "amount": "1.00"}
    event = PaymentEvent(
        type="payment.updated", version=2, cause=Cause.OPERATOR, state_before=None, state_after=State.CAPTURED, at=AT,
        details=details,
    )  # fmt: skip
    erased = Eraser.of(PAYMENT).event(event)
    assert erased.details == {**details, "reason": f"{ERASED} called; paid"}


def test_a_webhook_loses_the_same_members() -> None:
    """The rest is the same JSON, amounts to the last digit."""
    event = PaymentEvent(
        type="payment.captured", version=1, cause=Cause.REPLY, state_before=None, state_after=State.CAPTURED, at=AT
    )
    seen = replace(PAYMENT, state=State.AWAITING_CUSTOMER, instructions={"iban": "DE-of-dana"})
    body = webhook_body(event, payment_json(seen, None)).decode()
    erased = json.loads(Eraser.of(PAYMENT).body(body))
    before = json.loads(body)
    for gone, empty in (("metadata", {}), ("instructions", {}), ("redirect_url", None)):
        assert before["data"]["payment"].pop(gone)
        assert erased["data"]["payment"].pop(gone) == empty
    before["data"]["payment"]["failure"]["message"] = f"Card of {ERASED} refused"
    assert erased == before


def test_a_review_keeps_its_word_and_a_refund_loses_its_reason() -> None:
    """Both members are called ``reason``."""
    review = Review(reason=ReviewReason.AMOUNT, since=AT, detail="Dana paid 2.00")
    body = json.loads(payment_json(replace(PAYMENT, review=review), None))
    erased = json.loads(Eraser.of(PAYMENT).body(json.dumps({"reason": "Dana called", "payment": body})))
    assert erased["payment"]["review"] | {"since": ""} == {
        "reason": "amount",
        "since": "",
        "detail": f"{ERASED} paid 2.00",
    }
    assert erased["reason"] is None


def test_a_body_under_own_names_loses_the_customers_values() -> None:
    """Names say nothing there; a state and numbers with all their digits stay."""
    body = '{"data":{"plan":"gold-card-of-dana","state":"captured","paid":1.10,"who":["To: Dana Reyes",{"n":"C-88"}]}}'
    assert Eraser.of(PAYMENT).body(body) == (
        f'{{"data":{{"plan":"{ERASED}","state":"captured","paid":1.10,"who":["To: {ERASED}",{{"n":"{ERASED}"}}]}}}}'
    )


def test_a_proved_event_can_still_be_applied() -> None:
    """What it proves stays; pages, instructions and texts go."""
    seen = Observation(
        stage=Stage.CAPTURED, captured=Decimal("1.00"), redirect_url="https://x", instructions={"a": "b"},
        memory={"payer": "Dana Reyes", "token": "T-1"}, raw_status="PAID by Dana",
    )  # fmt: skip
    erased = Eraser.of(PAYMENT).proved(Event(event_id="e-1", observation=seen))
    assert (erased.event_id, erased.observation.captured) == ("e-1", Decimal("1.00"))
    assert (erased.observation.redirect_url, erased.observation.instructions) == (None, {})
    assert erased.observation.memory == {"payer": ERASED, "token": "T-1"}
    assert erased.observation.raw_status == f"PAID by {ERASED}"


@pytest.mark.parametrize("state", State)
def test_only_what_has_ended_is_erased(state: State) -> None:
    """An open payment's provider may need what was bought."""
    payment: Payment = replace(PAYMENT, state=state, expired_at=AT)
    assert is_erasable(payment, has_open_operation=False, grace_began=AT) is (state in ENDED)
    assert not is_erasable(payment, has_open_operation=True, grace_began=AT)
    under_review = replace(payment, review=Review(reason=ReviewReason.AMOUNT, since=AT))
    assert not is_erasable(under_review, has_open_operation=False, grace_began=AT)
    earlier = AT - timedelta(seconds=1)
    in_grace = is_erasable(payment, has_open_operation=False, grace_began=earlier)
    assert in_grace is (state in ENDED - {State.EXPIRED})


def test_only_long_texts_name_somebody_by_themselves() -> None:
    """A short id may be in callbacks of others, too."""
    found = set(identifying(PAYMENT))
    assert "C-88" not in found
    assert {"Dana Reyes", "dana@reyes.example", "0049 30 123456"} <= found
    assert all(len(text) >= DISTINCT for text in found)
