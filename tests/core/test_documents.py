"""Stored documents come back as they went, to the last digit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import compress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import documents
from gateway.core.commands import Address, Charges, Checkout, Customer, Item, Kind, Order
from gateway.core.facts import Cause, Declined, Event, Form, Observation, Stage
from gateway.core.money import Amount, Money
from gateway.core.payment import (
    Alert,
    AlertCode,
    Before,
    Failure,
    FailureCode,
    Operation,
    Payment,
    PaymentEvent,
    Repeatable,
    Review,
    ReviewReason,
    State,
    Status,
)
from tests.support.factories.payments import AT, LATER

ADDRESS = Address(**{name: f"{name} ä" for name in Address.__struct_fields__})
ORDER = Order(
    items=[
        Item(merchant_id="m", name="n", price=Amount("0.10"), quantity=1_000_000_000, sku="s", size="XL", color="red")
    ],
    charges=Charges(
        total=Amount("942.50"),
        grand_total=Amount("1067.330"),
        shipping=Amount("60.00"),
        tax=Amount("84.83"),
        discount_amount=Amount("20"),
    ),
    billing_address=ADDRESS,
    shipping_address=ADDRESS,
)
FAILURE = Failure(code=FailureCode.DECLINED, message="no 'funds' \u2028", provider_code="D-1")
PAYMENT = Payment(
    id="pay_1",
    tenant="acme",
    account="main",
    provider="sandbox",
    merchant_reference="0123",
    money=Money.of(Decimal("1067.33"), "USD", 2),
    accepted_amount=Decimal("1067.30"),
    created_at=AT,
    updated_at=LATER + timedelta(microseconds=1),
    state=State.PARTIALLY_REFUNDED,
    provider_reference="00042",
    captured=Decimal("1067.33"),
    refunded=Decimal("0.10"),
    disputed=Decimal("3.05"),
    instructions={"iban": "DE02 1203 0000 0000 2020 51"},
    redirect_url="https://pay.example/a?b=%C3%A4",
    customer_notified=True,
    completed=False,
    review=Review(reason=ReviewReason.AMOUNT, since=AT, detail="90 of 100"),
    failure=FAILURE,
    alerts=(
        Alert(code=AlertCode.CAPTURE_DEADLINE_NEAR, message="b"),
        Alert(code=AlertCode.NEW_CHECKOUT_STARTED, message="d"),
    ),
    replaces="pay_0",
    replaced_by="pay_2",
    capture_by=AT,
    expires_at=AT,
    expired_at=AT,
    authorized_at=AT,
    captured_at=AT,
    canceled_at=AT,
    unknown_statuses=("Placed",),
    paid_again_by=("T-2",),
    denied_operations=("op_2",),
    stated="T-1",
    erased_at=AT,
    deadline_warnings=2,
    revision=7,
    version=7,
    deposit_method="bank",
    customer=Customer(**{name: name for name in Customer.__struct_fields__}),
    order=ORDER,
    checkout=Checkout(mode="link", contact_method="phone", notify_rep=False, rep_email="r@x.example"),
    fields={"custom_1": "VIP"},
    metadata={"warehouse": "7"},
    memory={"capture": "C-1"},
    return_url="https://shop.example/",
    cancel_url="https://shop.example/no",
    capture="later",
    form=Form("https://pay.example/start", {"sign": "c2ln"}, origins=("https://api.pay.example",)),
)
OPERATION = Operation(
    id="op_1",
    tenant="acme",
    payment_id="pay_1",
    account="main",
    kind=Kind.REFUND,
    status=Status.UNKNOWN,
    amount=Decimal("10.00"),
    before=Before(
        amount=Decimal("1067.33"), captured=Decimal("1067.33"), refunded=Decimal("0.10"), stage=Stage.CAPTURED
    ),
    created_at=AT,
    updated_at=LATER,
    idempotency_key="key-0001",
    not_sent_before=("psp-main op_0",),
    answers_with="pay_0",
    order=ORDER,
    reason="damaged",
    failure=FAILURE,
    note="silence",
    contrary_since=AT,
    provider_id="R-1",
    reported=Declined(code="D-1", message="no funds"),
    final=True,
    repeatable=Repeatable(digest="d", command="{}", under_way_until=AT),
    node="node_1",
)
EVENT = PaymentEvent(
    type="payment.captured",
    version=3,
    cause=Cause.CALLBACK,
    state_before=State.PROCESSING,
    state_after=State.CAPTURED,
    at=AT,
    details={"late": "true"},
    request_id="req_1",
)
READERS: dict[type, Callable[[str], Any]] = {
    Payment: documents.payment,
    Operation: documents.operation,
    PaymentEvent: documents.event,
    Event: documents.proved,
}
SMALL_PAYMENT = Payment(
    **{name: getattr(PAYMENT, name) for name in Payment.__struct_fields__[: Payment.__struct_fields__.index("state")]}
)
SMALL_OPERATION = Operation(
    id="op_1",
    tenant="acme",
    payment_id="pay_1",
    account="main",
    kind=Kind.CREATE,
    status=Status.SENDING,
    amount=Decimal(1),
    before=Before(amount=Decimal(1), captured=Decimal(0), refunded=Decimal(0)),
    created_at=AT,
    updated_at=AT,
)
FIRST_EVENT = PaymentEvent(
    type="payment.created", version=1, cause=Cause.TENANT, state_before=None, state_after=State.CREATED, at=AT
)
PROVED = Event(event_id="e-1", observation=Observation(stage=Stage.CAPTURED))

WHOLE_PAYMENT = (
    '{"id":"pay_1","tenant":"acme","account":"main","provider":"sandbox","merchant_reference":"0123",'
    '"money":{"amount":"1067.33","currency":"USD","digits":2},"accepted_amount":"1067.30",'
    '"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06.000001Z","state":"created",'
    '"provider_reference":null,"captured":"0","refunded":"0","redirect_url":null,"customer_notified":false,'
    '"completed":true,"review":null,"failure":null,"alerts":[],"replaces":null,"replaced_by":null,"capture_by":null,'
    '"expires_at":null,"expired_at":null,"authorized_at":null,"captured_at":null,"canceled_at":null,'
    '"unknown_statuses":[],"paid_again_by":[],"deadline_warnings":0,"version":1,"revision":0,"deposit_method":null,'
    '"metadata":{},"customer":{},"order":{},"checkout":{},"fields":{},"return_url":null,"cancel_url":null}'
)
WHOLE_OPERATION = (
    '{"id":"op_1","kind":"create","status":"sending","note":null,"tenant":"acme","payment_id":"pay_1","account":"main",'
    '"amount":"1","before":{"amount":"1","captured":"0","refunded":"0","stage":null},'
    '"created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","idempotency_key":null,'
    '"answers_with":null,"not_sent_before":[],"order":null,"reason":null,"failure":null,"contrary_since":null}'
)
WHOLE_EVENT = (
    '{"type":"payment.created","version":1,"cause":"tenant","state_before":null,"state_after":"created",'
    '"at":"2026-01-02T03:04:05Z","details":{}}'
)
WHOLE_PROVED = (
    '{"event_id":"e-1","observation":{"stage":"captured","payment_id":null,"provider_reference":null,'
    '"merchant_reference":null,"currency":null,"amount":null,"captured":null,"refunded":null,"redirect_url":null,'
    '"customer_notified":null,"raw_status":null,"unknown_status":null},"occurred_at":null,"problem":null,"detail":null}'
)


def unset(value: msgspec.Struct) -> list[str]:
    """The members, at any depth, that still have their default: a full sample has none."""
    defaults = {field.name: field.default for field in msgspec.structs.fields(value)}
    members = {name: getattr(value, name) for name in value.__struct_fields__}
    found = [name for name, member in members.items() if member == defaults[name]]
    return found + [name for member in members.values() if isinstance(member, msgspec.Struct) for name in unset(member)]


@pytest.mark.parametrize("document", [PAYMENT, OPERATION, EVENT, SMALL_PAYMENT, SMALL_OPERATION, FIRST_EVENT])
def test_round_trip(document: Any) -> None:
    """Each stored Struct is read back equal and of the same types, full and with nothing but what it must have."""
    back = READERS[type(document)](documents.encode(document))
    assert back == document
    assert repr(back) == repr(document)


@pytest.mark.parametrize("document", [PAYMENT, OPERATION, EVENT])
def test_the_full_samples_are_full(document: msgspec.Struct) -> None:
    """A member that is added later must be added to the samples."""
    assert unset(document) == []


def test_what_most_payments_do_not_have_takes_no_room() -> None:
    """Members of few payments are not stored with the others."""
    stored = documents.encode(SMALL_PAYMENT) + documents.encode_purchase(SMALL_PAYMENT)
    assert [name for name in ("disputed", "instructions", "capture", "form") if name in stored] == []


@pytest.mark.parametrize("payment", [PAYMENT, SMALL_PAYMENT])
def test_a_payment_is_its_summary_and_its_purchase(payment: Payment) -> None:
    """Each member is in one of the two documents; joined they are the payment."""
    summary, purchase = documents.encode_summary(payment, revision=8), documents.encode_purchase(payment)
    assert set(json.loads(summary)) <= set(documents.SUMMARY)
    is_given = [value is not None for value in documents.purchase_of(payment)]
    assert list(json.loads(purchase)) == [*compress(documents.PURCHASE, is_given)]
    assert documents.payment(documents.joined(summary, purchase)) == msgspec.structs.replace(payment, revision=8)
    assert documents.payment_summary(summary).id == payment.id


@pytest.mark.parametrize(
    ("smallest", "whole"),
    [
        (SMALL_PAYMENT, WHOLE_PAYMENT),
        (SMALL_OPERATION, WHOLE_OPERATION),
        (FIRST_EVENT, WHOLE_EVENT),
        (PROVED, WHOLE_PROVED),
    ],
)
def test_what_is_not_stored_means_the_same_for_ever(smallest: Any, whole: str) -> None:
    """A member with its default is not written, and reads as it did when it was: a default can never change."""
    assert len(documents.encode(smallest)) < len(whole)
    assert READERS[type(smallest)](whole) == smallest


def test_amounts_keep_trailing_zeros() -> None:
    """What a tenant wrote as ``1067.330`` is stored so."""
    stored = documents.payment(documents.encode(PAYMENT))
    assert stored.order.charges is not None
    assert str(stored.order.charges.grand_total) == "1067.330"
    assert str(stored.refunded) == "0.10"


@given(units=st.integers(1, 10**15 - 1), digits=st.integers(0, 8))
def test_every_amount_of_money_survives(units: int, digits: int) -> None:
    """Any amount of any currency is the same after storing, with the same digits."""
    money = Money.of(Decimal(units).scaleb(-digits), "XXX", digits)
    stored = documents.payment(documents.encode(msgspec.structs.replace(PAYMENT, money=money, captured=money.amount)))
    assert (stored.money.text(), stored.captured.as_tuple()) == (money.text(), money.amount.as_tuple())


@pytest.mark.parametrize("price", ["0.00000001", "10.50", "0", "123456789012345678901234567890"])
def test_an_amount_is_stored_as_plain_text(price: str) -> None:
    """A tenant's amounts are stored without exponent, since that is how they are read."""
    item = Item(merchant_id="m", name="n", price=Amount(price), quantity=1)
    stored = documents.payment(documents.encode(msgspec.structs.replace(PAYMENT, order=Order(items=[item]))))
    assert stored.order.items == [item]


def test_what_has_no_stored_form_is_refused() -> None:
    """Nothing is stored by its repr."""
    with pytest.raises(TypeError, match="cannot store object"):
        documents.encode(msgspec.structs.replace(PAYMENT, metadata={"a": object()}))  # type: ignore[dict-item]  # on purpose
