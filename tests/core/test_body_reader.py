"""A body read closely: every member that cannot be used is named, and what is right is read as msgspec reads it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from gateway.core import body_reader, strictjson
from gateway.core.documents import amount_hook
from gateway.core.request_bodies import CreateBody, EmptyBody
from gateway.core.wording import unknown_name
from gateway.web.api.routes import ROUTES
from gateway.web.api.webhooks import RedeliverBody

ITEM = {"merchant_id": "PJ-1", "name": "Pallet jack", "price": "1.00", "quantity": 1}
BODY: dict[str, Any] = {
    "merchant_reference": "SO-1",
    "amount": "10.00",
    "currency": "USD",
    "customer": {"name": "Dana"},
    "order": {"items": [ITEM], "charges": {"total": "10.00", "grand_total": "10.00"}, "billing_address": {}},
    "checkout": {"mode": "link"},
    "fields": {"custom_1": "VIP"},
    "metadata": {"warehouse": "7"},
}


def parsed(literal: str, *path: str | int) -> Any:
    """The body with this JSON at this place."""
    body = copy.deepcopy(BODY)
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = "LITERAL"
    return strictjson.loads_exact(json.dumps(body).replace('"LITERAL"', literal).encode())


def problems(data: Any, wanted: type[Any] = CreateBody) -> list[tuple[str, str]]:
    return list(body_reader.read(data, wanted)[1])


KINDS = {"7": "a number", "2.5": "a number", "true": "a boolean", "null": "null", "[]": "an array", "{}": "an object"}


@pytest.mark.parametrize(("literal", "kind"), KINDS.items())
def test_a_wrong_kind_is_said_in_words_of_json(literal: str, kind: str) -> None:
    """Neither ``int`` nor ``dict`` nor any other word of Python's."""
    assert problems(parsed(literal, "merchant_reference")) == [
        ("$.merchant_reference", f"must be a string, not {kind}")
    ]


@pytest.mark.parametrize(
    ("path", "literal", "field", "sentence"),
    [
        (("metadata", "warehouse"), "7", "$.metadata.warehouse", "must be a string, not a number"),
        (("metadata", "a.b"), "7", '$.metadata["a.b"]', "must be a string, not a number"),
        (("metadata", "a b"), "true", '$.metadata["a b"]', "must be a string, not a boolean"),
        (("metadata", 'say "x"'), "null", '$.metadata["say \\"x\\""]', "must be a string, not null"),
        (("metadata", "größe"), "{}", '$.metadata["größe"]', "must be a string, not an object"),
        (("metadata", "1"), "[]", '$.metadata["1"]', "must be a string, not an array"),
        (("metadata", "warehouse"), json.dumps("x" * 501), "$.metadata.warehouse", "has 501 characters, at most 500"),
        (("metadata", "k" * 41), '"x"', f"$.metadata.{'k' * 41}", "the name has 41 characters, at most 40"),
        (("metadata", ""), '"x"', '$.metadata[""]', "the name must not be empty"),
        (("metadata", " "), '"x"', '$.metadata[" "]', "the name must not be blank"),
        (("metadata", "a\x00b"), '"x"', '$.metadata["a\\u0000b"]', "the name must not hold control characters"),
        (("metadata",), json.dumps({str(n): "" for n in range(21)}), "$.metadata", "has 21 members, at most 20"),
        (("fields", "custom_1"), "1", "$.fields.custom_1", "must be a string, not a number"),
        (("fields", "a b"), "1", '$.fields["a b"]', "must be a string, not a number"),
        (("checkout", "mode"), '"popup"', "$.checkout.mode", "must be link or redirect"),
        (("checkout", "mode"), "7", "$.checkout.mode", "must be link or redirect"),
        (("checkout", "contact_method"), '"fax"', "$.checkout.contact_method", "must be email or phone"),
        (("checkout", "notify_rep"), '"true"', "$.checkout.notify_rep", "must be true or false, not a string"),
        (("checkout", "notify_rep"), "1", "$.checkout.notify_rep", "must be true or false, not a number"),
        (("order",), "[]", "$.order", "must be an object, not an array"),
        (("order", "items"), "{}", "$.order.items", "must be an array, not an object"),
        (("order", "items", 0), '"PJ-1"', "$.order.items[0]", "must be an object, not a string"),
        (("order", "items", 0, "name"), "null", "$.order.items[0].name", "must be a string, not null"),
        (("order", "items", 0, "sku"), "7", "$.order.items[0].sku", "must be a string, not a number"),
        (("order", "items"), json.dumps([ITEM] * 501), "$.order.items", "has 501 items, at most 500"),
        (("currency",), '"usd"', "$.currency", "must be a currency code in upper case, such as USD"),
        (("currency",), '"USD\\n"', "$.currency", "must be a currency code in upper case, such as USD"),
        (("currency",), '""', "$.currency", "must not be empty"),
        (("merchant_reference",), '"ÄÖ-1"', "$.merchant_reference", "must be printable ASCII"),
        (("merchant_reference",), '"a\\tb"', "$.merchant_reference", "must be printable ASCII"),
        (("amount",), "[]", "$.amount", "must be a decimal string such as"),
        (("amount",), "1e2", "$.amount", "without exponent"),
        (("amuont",), '"1"', "$.amuont", 'is not known; did you mean "amount"?'),
        (("reference",), '"1"', "$.reference", 'is not known; did you mean "merchant_reference"?'),
        (("customer", "zzz"), '"1"', "$.customer.zzz", "is not known; known are id, name, email"),
        (("order", "items", 0, "qty"), "1", "$.order.items[0].qty", "is not known; "),
        (("4111 1111 1111 1111",), '"1"', '$["****1111"]', "is not known; "),
        (("x" * 200,), '"1"', f'$["{"x" * 64}…"]', "is not known; "),
    ],
)
def test_a_problem_is_named_by_its_whole_path(path: Any, literal: str, field: str, sentence: str) -> None:
    """Members, items and names of pairs: each has a path of its own, and a sentence that says what is right."""
    [(found, said)] = problems(parsed(literal, *path))
    assert found == field
    assert sentence in said


def test_everything_wrong_is_named_at_once() -> None:
    """Five mistakes are five problems; what is missing is one too."""
    body = {"amount": True, "currency": 7, "foo": 1, "customer": {"name": 1, "emial": "x"}, "order": {"items": [{}]}}
    assert [field for field, _ in problems(body)] == [
        "$.foo",
        "$.merchant_reference",
        "$.amount",
        "$.currency",
        "$.customer.emial",
        "$.customer.name",
        *(f"$.order.items[0].{name}" for name in ITEM),
    ]


@pytest.mark.parametrize("data", [[], "x", 7, None, True])
def test_a_body_that_is_no_object(data: Any) -> None:
    """There is no member to be named but the whole."""
    value, [(field, sentence)] = body_reader.read(data, CreateBody)
    assert (value, field) == (None, "$")
    assert sentence.startswith("must be an object, not ")


def test_a_request_without_members_says_so() -> None:
    """Nothing could have been meant."""
    assert problems({"amount": "1"}, EmptyBody) == [("$.amount", "is not known; this request takes no members")]


def test_very_many_unknown_members_are_not_all_named() -> None:
    """A hostile body costs no more than this."""
    assert len(problems({**BODY, **{f"m{number}": 1 for number in range(5000)}})) == body_reader.MAX_UNKNOWN_NAMED


# Whole numbers


@pytest.mark.parametrize(
    "literal", ["2", "2.0", "2e0", "20e-1", "0.2e1", "2.000000000000000000000000000000000", "2E+0"]
)
def test_a_whole_number_is_taken_in_any_spelling(literal: str) -> None:
    """JSON Schema's ``integer`` is any number without a fraction."""
    body, found = body_reader.read(parsed(literal, "order", "items", 0, "quantity"), CreateBody)
    assert found == []
    assert body is not None
    assert body.order is not None
    assert [item.quantity for item in body.order.items or ()] == [2]


@pytest.mark.parametrize(
    ("literal", "sentence"),
    [
        ("2.5", "must be a whole number: for part of a unit write 1 and fold the part into price and name"),
        ("25e-1", "must be a whole number: for part of a unit write 1 and fold the part into price and name"),
        ("1e-400", "must be a whole number: for part of a unit write 1 and fold the part into price and name"),
        ("2.00000000000000000000000000000000001", "must be a whole number: for part of a unit"),
        ('"2"', "must be a whole number, not a string"),
        ("true", "must be a whole number, not a boolean"),
        ("null", "must be a whole number, not null"),
        ("0", "must be at least 1"),
        ("0.0", "must be at least 1"),
        ("-1", "must be at least 1"),
        ("1000000001", "must be at most 1000000000"),
        ("1e999999", "must be at most 1000000000"),
        ("9" * 400, "must be at most 1000000000"),
        ("-1e999999", "must be at least 1"),
    ],
)
def test_other_numbers_are_not(literal: str, sentence: str) -> None:
    """A fraction names its way out; a text and a boolean are not numbers, however they look."""
    [(field, said)] = problems(parsed(literal, "order", "items", 0, "quantity"))
    assert field == "$.order.items[0].quantity"
    assert said.startswith(sentence)


# Blanks and control characters


@pytest.mark.parametrize("blank", [" ", "  ", "\t", "\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff", " \u200d\n"])
def test_a_text_of_blanks_is_not_given(blank: str) -> None:
    """Where the empty text is allowed blanks are none; where it is not, they are refused."""
    literal = json.dumps(blank)
    body, found = body_reader.read(parsed(literal, "customer", "name"), CreateBody)
    assert found == []
    assert body is not None
    assert body.customer is not None
    assert body.customer.name is None
    for path, field in ((("account",), "$.account"), (("order", "items", 0, "name"), "$.order.items[0].name")):
        assert problems(parsed(literal, *path)) == [(field, "must not be blank")]


@pytest.mark.parametrize("character", ["\x00", "\x08", "\x0b", "\x1b", "\x1f", "\x7f"])
def test_control_characters_are_refused(character: str) -> None:
    """Nobody can see them, and what they do elsewhere is somebody's guess."""
    said = f"must not hold control characters such as U+{ord(character):04X}"
    for path in (("customer", "name"), ("metadata", "warehouse"), ("fields", "custom_1"), ("merchant_reference",)):
        assert problems(parsed(json.dumps(f"a{character}b"), *path)) == [(f"$.{'.'.join(path)}", said)]


def test_a_long_text_may_have_lines() -> None:
    """Tab and line breaks are what one writes."""
    assert problems(parsed(json.dumps("one\ttwo\r\nthree"), "metadata", "warehouse")) == []


# The same as msgspec


def test_every_type_of_a_body_can_be_read() -> None:
    """A body with a new kind of member needs a reader for it."""

    def kinds(info: Any) -> Iterator[type[inspect.Type]]:
        yield type(info)
        for inner in (*getattr(info, "types", ()), *(field.type for field in getattr(info, "fields", ()))):
            yield from kinds(inner)
        for name in ("type", "item_type", "key_type", "value_type"):
            if hasattr(info, name):
                yield from kinds(getattr(info, name))

    bodies = [inspect.type_info(route.body) for route in ROUTES if route.body is not None]
    assert {kind for body in bodies for kind in kinds(body)} <= {*body_reader.READERS, inspect.NoneType}


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2**31), st.sampled_from(["", "USD", "usd", "1.00", "-1", "x" * 300, "ü"])
)
PLACES = [
    *((name,) for name in CreateBody.__struct_fields__),
    ("order", "items", 0),
    *(("order", "items", 0, name) for name in ITEM),
    ("order", "charges", "tax"),
    ("customer", "name"),
    ("checkout", "mode"),
    ("checkout", "notify_rep"),
    ("metadata", "warehouse"),
    ("nobody",),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PLACES), st.one_of(SCALARS, st.just([]), st.just({}))), max_size=3))
def test_it_takes_what_msgspec_takes(changes: list[tuple[tuple[str | int, ...], Any]]) -> None:
    """Both readers agree which bodies are right, and what they say."""
    body = copy.deepcopy(BODY)
    for path, value in changes:
        place: Any = body
        try:
            for step in path[:-1]:
                place = place[step]
            place[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue
    found, wrong = body_reader.read(body, CreateBody)
    try:
        expected = msgspec.convert(body, CreateBody, dec_hook=amount_hook)
    except msgspec.ValidationError:
        assert wrong != []
    else:
        assert (found, wrong) == (expected, [])


@pytest.mark.parametrize(
    "at", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+02:00", "2026-01-31T12:00:00", "x", 7, None]
)
def test_a_time_is_taken_as_msgspec_takes_it(at: Any) -> None:
    """With its zone, or it is named."""
    data = {"created_after": at}
    found, wrong = body_reader.read(data, RedeliverBody)
    try:
        assert (found, wrong) == (msgspec.convert(data, RedeliverBody), [])
    except msgspec.ValidationError:
        assert wrong == [("$.created_after", "must be a time with its zone such as 2026-01-31T12:00:00Z")]


def test_an_unknown_name_has_its_hint() -> None:
    """What was probably meant, else what there is, else nothing."""
    assert unknown_name("amout", ["amount", "currency"]) == 'is not known; did you mean "amount"?'
    assert unknown_name("zzz", ["amount", "currency"]) == "is not known; known are amount, currency"
    assert unknown_name("zzz", []) == "is not known"
