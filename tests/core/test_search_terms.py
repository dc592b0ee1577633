"""Terms of the search index: one number for every spelling, none for what is not there."""

from __future__ import annotations

from decimal import Decimal

import pytest

from gateway.core.search_terms import (
    Term,
    TermHash,
    amount_of,
    kinds_of,
    place_at,
    place_of,
    terms_of_event,
    terms_of_purchase,
    units_of,
    units_of_summary,
)
from gateway.drivers.clock import Ids, milliseconds
from tests.support.virtual_clock import START, VirtualClock

hashed = TermHash(b"a key of the tests")
DIGITS = "0192f0c4a5b87c3d9e1f2a3b4c5d6e7f"


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        (Term.EMAIL, ["dana@reyes.example", " Dana@Reyes.EXAMPLE "]),
        (Term.PHONE, ["+49 170 123-4567", "0049 (170) 1234567", "49/1701234567"]),
        (Term.CUSTOMER_ID, ["C-Ünique", "c-ünique", "C-U\u0308nique"]),
        (Term.ID, [f"op_{DIGITS}", f"ref_{DIGITS}", f" OP_{DIGITS.upper()}"]),
        (Term.ID, [f"evt_{DIGITS}", f"dlv_{DIGITS}"]),
    ],
)
def test_spellings_of_one_term_are_one_number(kind: Term, spellings: list[str]) -> None:
    """What people write differently is the same; a refund has its operation's digits, a webhook its event's."""
    assert len({hashed(kind, one) for one in spellings}) == 1


def test_other_texts_kinds_and_keys_are_other_numbers() -> None:
    """A number fits a column of 64 bits and says nothing without the key."""
    numbers = {hashed(Term.EMAIL, "a@x.example"), hashed(Term.EMAIL, "b@x.example"), hashed(Term.ID, "a@x.example")}
    numbers.add(TermHash(b"another key")(Term.EMAIL, "a@x.example"))
    assert len(numbers) == 4
    assert all(-(2**63) <= number < 2**63 for number in numbers)


def test_only_what_looks_like_a_phone_number_is_looked_for_as_one() -> None:
    """An order number with letters is none."""
    assert Term.PHONE in kinds_of("+1 (253) 555-0142")
    assert Term.PHONE not in kinds_of("SO-2535550142")
    assert Term.EMAIL in kinds_of("+1 (253) 555-0142")


def test_places_sort_as_ids_do() -> None:
    """Also within a millisecond; a time has the place of the first id that it can have."""
    clock = VirtualClock()
    ids = Ids(clock)
    made = [ids.new("pay") for _ in range(3)]
    clock.set(START.replace(year=START.year + 1))
    made.append(ids.new("pay"))
    places = [place_of(one) or 0 for one in made]
    assert places == sorted(set(places))
    assert place_at(milliseconds(START)) <= places[0] < place_at(milliseconds(START) + 1)


@pytest.mark.parametrize("text", ["", "pay_1", "D-1", f"op_{DIGITS}", f"pay_{DIGITS}0"])
def test_what_is_no_payments_id_has_no_place(text: str) -> None:
    """The index passes it over."""
    assert place_of(text) is None


def test_amounts_are_whole_numbers_that_sort_alike() -> None:
    """The largest of 15 digits fit a column, too."""
    amounts = [Decimal("0.0001"), Decimal("1.5"), Decimal(10**14), Decimal(10**15)]
    units = [units_of(amount) for amount in amounts]
    assert units == sorted(set(units))
    assert units[-1] < 2**63
    assert amount_of("162.48") == units_of(Decimal("162.480")) == units_of_summary('{"money": {"amount": "162.48"}}')
    assert [amount_of(text) for text in ("SO-1", "1e3", "-1", "1.")] == [None] * 4


def test_an_event_names_its_request_its_operation_references_and_failures() -> None:
    """Whatever else is in its details is no term."""
    document = """{"type": "payment.failed", "request_id": "req_1", "details":
        {"operation_id": "op_1", "provider_reference": "T-1", "failure": "declined", "provider_code": "E7", "n": ""}}"""
    assert {*terms_of_event(document)} == {
        (Term.ID, "req_1"),
        (Term.ID, "op_1"),
        (Term.PROVIDER_REFERENCE, "T-1"),
        (Term.ERROR, "declined"),
        (Term.ERROR, "E7"),
    }
    assert [*terms_of_event('{"type": "payment.updated"}')] == []


def test_a_purchase_names_its_customer() -> None:
    """By the customer's members and by the addresses of the order; what is not there is no term."""
    document = """{"customer": {"id": "C-1", "name": "Dana"}, "order": {"items": [],
        "billing_address": {"email": "d@x.example", "phone_number": "1"}, "shipping_address": {"email": ""}}}"""
    assert terms_of_purchase(document) == [
        (Term.CUSTOMER_ID, "C-1"),
        (Term.EMAIL, "d@x.example"),
        (Term.PHONE, "1"),
    ]
    assert terms_of_purchase("{}") == []
