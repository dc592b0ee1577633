"""Which operations may be repeated, and what makes a request another one."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from gateway.core import documents
from gateway.core.commands import CapturePayment, CreatePayment, Item, Kind, Order
from gateway.core.facts import Cause, Stage
from gateway.core.money import Amount
from gateway.core.payment import ACCEPTED, Repeatable, Review, ReviewReason, State, Status
from gateway.core.repeats import REPEATED_FOR, digest_of, is_under_way, may_repeat
from gateway.core.secret import Secret
from gateway.core.states import apply
from gateway.core.wire import HttpRequest
from tests.support.factories.payments import AT, make_operation, make_payment, make_policy, saw, usd

POLICY = make_policy(repeatable=frozenset({CreatePayment, CapturePayment}))
KEPT = Repeatable(digest="d")
SECOND = timedelta(seconds=1)


def may(kind: Kind = Kind.CREATE, state: State = State.CREATED, *, after: timedelta = SECOND, **members: Any) -> bool:
    """Whether an operation with these members may be repeated."""
    review = members.pop("review", None)
    operation = make_operation(kind, **{"repeatable": KEPT, **members})
    return may_repeat(make_payment(state, review=review), operation, POLICY, AT + after)


def test_what_the_rules_name_is_repeated_while_its_outcome_is_unknown() -> None:
    """A create, and a capture of a payment in whatever state."""
    assert may()
    assert may(Kind.CAPTURE, State.AUTHORIZED)


NOT_REPEATED: Mapping[str, dict[str, Any]] = {
    "on its way": {"status": Status.SENDING},
    "resolved": {"status": Status.SUCCEEDED},
    "stored before it was repeatable": {"repeatable": None},
    "no longer repeatable": {"kind": Kind.REFUND},
    "accepted": {"note": ACCEPTED},
    "ruled out by a lookup, perhaps": {"contrary_since": AT},
    "under review": {"review": Review(reason=ReviewReason.AMOUNT, since=AT)},
    "begun already": {"state": State.AWAITING_CUSTOMER},
    "expired": {"state": State.EXPIRED},
    "too old": {"after": REPEATED_FOR},
}


@pytest.mark.parametrize("why", NOT_REPEATED)
def test_what_is_not_repeated(why: str) -> None:
    """Each of these alone is enough."""
    assert not may(**NOT_REPEATED[why])


def test_a_lookup_proves_no_absence_while_a_repetition_is_under_way() -> None:
    """Its effect may come after the lookup's answer; what a lookup does show counts."""
    kept = Repeatable(digest="d", under_way_until=AT + SECOND)
    operation = make_operation(Kind.CAPTURE, repeatable=kept)
    payment = make_payment(State.AUTHORIZED)
    for at, contrary_since in ((AT, None), (AT + SECOND, AT + SECOND)):
        assert is_under_way(operation, at) is (contrary_since is None)
        change = apply(payment, operation, saw(Stage.AUTHORIZED), cause=Cause.LOOKUP, policy=POLICY, at=at)
        assert change.operation is not None
        assert change.operation.contrary_since == contrary_since
    shown = apply(payment, operation, saw(Stage.CAPTURED), cause=Cause.LOOKUP, policy=POLICY, at=AT)
    assert shown.operation is not None
    assert (shown.operation.status, shown.operation.repeatable) == (Status.SUCCEEDED, None)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """An account's config: a secret, an amount and a set."""

    key: Secret = Secret("key-0123456789")
    limit: Amount = Amount("1.50")
    hosts: frozenset[str] = frozenset({"a", "b", "c"})


REQUEST = HttpRequest(
    method="POST", url="https://a.example/x", headers=(("Authorization", "Bearer t1"),), body=b"\xff{}"
)


def digest(
    request: HttpRequest = REQUEST, config: object = Config(), certificate: str = "", token: str = "", key: str = "k"
) -> str:
    return digest_of(request, config, certificate=certificate, token=token, key=Secret(key))


@pytest.mark.parametrize(
    "other",
    [
        {"request": msgspec.structs.replace(REQUEST, method="PUT")},
        {"request": msgspec.structs.replace(REQUEST, url="https://a.example/y")},
        {"request": msgspec.structs.replace(REQUEST, body=b"\xfe{}")},
        {"request": msgspec.structs.replace(REQUEST, headers=(("Authorization", "Bearer t2"),))},
        {"config": Config(key=Secret("key-of-another"))},
        {"config": Config(limit=Amount("1.60"))},
        {"certificate": "another"},
        {"key": "another"},
    ],
)
def test_every_part_of_a_request_and_its_account_counts(other: dict[str, Any]) -> None:
    """A request that differs in anything, or that is for another account, is another one."""
    assert digest() == digest()
    assert digest(**other) != digest()


def test_a_session_does_not_count() -> None:
    """The same request in the next session."""
    later = msgspec.structs.replace(REQUEST, headers=(("Authorization", "Bearer t2"),))
    assert digest(token="t1") == digest(later, token="t2")


def test_a_stored_command_is_read_as_it_was() -> None:
    """With its exact amounts and times."""
    item = Item(merchant_id="a", name="b", price=Amount("1.10"), quantity=2)
    command = CapturePayment(
        payment_id="pay_1",
        merchant_reference="SO-1",
        provider_reference="X",
        money=usd("10.50"),
        at=AT + timedelta(microseconds=17),
        memory={"order": "1"},
        operation_id="op_1",
        order=Order(items=[item]),
        merchant_status="shipped",
    )
    read = documents.command(Kind.CAPTURE, documents.encode(command))
    assert read == command
    assert isinstance(read, CapturePayment)
    assert (str(read.money.amount), read.money.digits) == (str(Decimal("10.50")), 2)
