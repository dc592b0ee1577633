"""signature.py: canonical text, signing, and what is accepted as a signature."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_psp_open_api import signature
from gateway_psp_open_api.signature import Form
from hypothesis import given
from hypothesis import strategies as st

import gateway
from tests.support.factories.psp import TOKEN, VECTORS

SIGNED = [vector for vector in VECTORS["vectors"] if vector["expect"] == "sign"]
REFUSED = [vector for vector in VECTORS["vectors"] if vector["expect"] == "reject"]
VARIANTS = [
    (vector, name, variant)
    for vector in SIGNED
    for name, variant in vector.get("variants", {}).items()
    if name in ("literal", "python_naive", "js_unfiltered")
]


def named(value: Any) -> str | None:
    return value["name"] if isinstance(value, dict) and "name" in value else None


def with_sign(vector: dict[str, Any], text: str) -> Any:
    body = gateway.loads(vector["body"].encode())
    body[vector.get("sign_key", "sign")] = text
    return body


def test_all_published_vectors_are_here() -> None:
    """The copied file is whole: 92 vectors, each with a known expectation."""
    assert len(VECTORS["vectors"]) == len(SIGNED) + len(REFUSED) == 92


@pytest.mark.parametrize("vector", SIGNED, ids=named)
def test_canonical_text_is_the_published_one(vector: dict[str, Any]) -> None:
    """Every published body gives the published StringA."""
    body = gateway.loads(vector["body"].encode())
    assert signature.canonical(body, sign_key=vector.get("sign_key", "sign")) == vector["expected_string_a"]


@pytest.mark.parametrize("vector", SIGNED, ids=named)
def test_sign_is_the_published_one(vector: dict[str, Any]) -> None:
    """Every published StringA gives the published sign."""
    assert signature.sign(vector["expected_string_a"], gateway.Secret(vector["token"])) == vector["expected_sign"]


@pytest.mark.parametrize("vector", REFUSED, ids=named)
def test_unusable_bodies_are_refused_before_any_comparison(vector: dict[str, Any]) -> None:
    """A body that readers understand differently is refused by the parser or by the signature."""
    with pytest.raises((gateway.NotStrictJson, signature.Unsignable)):
        signature.matching(gateway.loads(vector["body"].encode()), TOKEN)


@pytest.mark.parametrize("vector", SIGNED, ids=named)
def test_the_canonical_sign_is_accepted(vector: dict[str, Any]) -> None:
    """Whoever signs the canonical form is believed."""
    body = with_sign(vector, vector["expected_sign"])
    token = gateway.Secret(vector["token"])
    assert signature.matching(body, token, sign_key=vector.get("sign_key", "sign")) is not None


@pytest.mark.parametrize(("vector", "name", "variant"), VARIANTS, ids=named)
def test_other_forms_are_accepted_only_as_published(vector: dict[str, Any], name: str, variant: dict[str, Any]) -> None:
    """The literal form is accepted; what naive senders sign is accepted only where it equals an accepted form."""
    form = signature.matching(with_sign(vector, variant["sign"]), gateway.Secret(vector["token"]))
    assert (form is not None) is variant["accept_on_verify"]


@pytest.mark.parametrize("name", ["api2_optional_null", "api2_optional_empty_string", "custom_key_empty_dropped"])
def test_signed_empties_are_accepted_with_the_switch(name: str) -> None:
    """With accept_unfiltered_empties a sender that does not drop null and "" is believed."""
    vector = next(vector for vector in SIGNED if vector["name"] == name)
    body = with_sign(vector, vector["variants"]["js_unfiltered"]["sign"])
    assert signature.matching(body, TOKEN, unfiltered=True) is Form.UNFILTERED


def test_printed_containers_are_never_accepted() -> None:
    """Even with the switch, a sender that prints empty containers is not believed."""
    vector = next(vector for vector in SIGNED if vector["name"] == "empty_containers_dropped")
    body = with_sign(vector, vector["variants"]["js_unfiltered"]["sign"])
    assert signature.matching(body, TOKEN, unfiltered=True) is None


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        ("100.0", "100"),
        ("162.480", "162.48"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("-12.50", "-12.5"),
        ("1e-6", "0.000001"),
        ("1e-7", "1e-7"),
        ("1.5e-7", "1.5e-7"),
        ("0.00012345", "0.00012345"),
        ("1e16", "10000000000000000"),
        ("999999999999999900000", "999999999999999900000"),
        ("1e21", "1e+21"),
        ("-1.25E22", "-1.25e+22"),
        ("9007199254740993", "9007199254740992"),
        ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
    ],
)
def test_numbers_print_as_javascript_prints_them(literal: str, text: str) -> None:
    """Shortest round trip, plain from 1e-6 to below 1e21."""
    assert signature.number_text(literal) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_number_text_reads_back_as_the_same_double(number: float) -> None:
    """No double changes by being printed, and the text is JSON."""
    assert float(json.loads(signature.number_text(repr(number)))) == number


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,8})?", fullmatch=True))
def test_a_number_that_needs_no_printing_is_printed_as_the_double_is(literal: str) -> None:
    """An exponent of zero says the same number in a form that is always printed anew."""
    assert signature.number_text(literal) == signature.number_text(f"{literal}e0")


@pytest.mark.parametrize(
    ("amount", "form"), [("25.5", Form.LITERAL), ("25.50", Form.CANONICAL), ("2.55e1", Form.CANONICAL)]
)
def test_numbers_sent_in_two_ways_are_signed_in_two(amount: str, form: Form) -> None:
    """Where the literal is not what JavaScript prints, both are candidates; where it is, the literal form matches."""
    body = {"amount": gateway.JsonNumber(amount), "sign": signature.sign("amount=25.5", TOKEN)}
    assert signature.matching(body, TOKEN) is form


@pytest.mark.parametrize("literal", ["1e400", "-1e400", "9" * 400])
def test_numbers_beyond_a_double_are_refused(literal: str) -> None:
    """A number that overflows a double is not signed in any form."""
    with pytest.raises(signature.Unsignable, match="not finite"):
        signature.matching({"amount": gateway.JsonNumber(literal), "sign": "0" * 40}, TOKEN)


@pytest.mark.parametrize("key", ["a=b", "a&b", "a\nb", "a\x7fb", "a\x85b"])
def test_keys_that_could_be_read_as_text_are_refused(key: str) -> None:
    """A key with a delimiter or a control character is refused."""
    with pytest.raises(signature.Unsignable, match="a key holds"):
        signature.canonical({key: "1"})


@pytest.mark.parametrize("value", [[1], {"a": "b"}, [[]]])
def test_containers_with_content_are_refused(value: object) -> None:
    """What JavaScript would print as [object Object] is refused, naming the member."""
    with pytest.raises(signature.Unsignable, match="member 'custom_1'"):
        signature.canonical({"custom_1": value})


@pytest.mark.parametrize("sign", [None, "", 12345, True, "0" * 39, "0" * 41, "g" * 40, " " + "0" * 40, "٠" * 40])
def test_a_sign_of_another_shape_matches_nothing(sign: object) -> None:
    """Only 40 ASCII hex digits are compared."""
    body = {"a": "1", "sign": gateway.JsonNumber(str(sign)) if sign == 12345 else sign}
    assert signature.matching(body, TOKEN) is None


@pytest.mark.parametrize(
    ("value", "is_ambiguous"),
    [
        ("1&b=2", True),
        ("x&_a.b-c=", True),
        ("1&=2", False),
        ("Smith & Co = fine", False),
        ("a=b", False),
        ("a&1=2", False),
        ("", False),
        (None, False),
    ],
)
def test_texts_that_read_as_members_are_recognised(value: object, is_ambiguous: bool) -> None:
    """A text is ambiguous when an ampersand, a name and an equals sign follow each other."""
    assert signature.ambiguous(value) is is_ambiguous


@pytest.mark.parametrize(
    ("form", "text"), [(Form.LITERAL, "432.980"), (Form.CANONICAL, "432.98"), (Form.UNFILTERED, "432.98")]
)
def test_the_proved_text_of_a_number_follows_the_form(form: Form, text: str) -> None:
    """Only the literal form vouches for every digit."""
    assert signature.covered({"amount": gateway.JsonNumber("432.980")}, form) == {"amount": gateway.JsonNumber(text)}


@pytest.mark.parametrize("value", ["100.00", None, True, [], {}])
def test_other_values_have_one_form(value: object) -> None:
    """Texts, null, booleans and containers are proved as they are, whatever form the numbers have."""
    assert signature.covered({"a": value}, Form.CANONICAL) == {"a": value}


def test_number_forms_are_not_mixed() -> None:
    """One number signed literally and another canonically is refused."""
    body = {"a": gateway.JsonNumber("1.0"), "b": gateway.JsonNumber("2.0")}
    assert signature.matching({**body, "sign": signature.sign("a=1.0&b=2", TOKEN)}, TOKEN) is None
