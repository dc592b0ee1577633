"""A provider's answer described for people: what it is, never what it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest

from gateway.core.errors import OutcomeUnknown
from gateway.core.money import Amount
from gateway.core.response_body import (
    decimal_of,
    described,
    json_object,
    read_amount,
    read_answer,
    read_id,
    read_json,
)
from gateway.core.strictjson import JsonNumber
from gateway.core.wire import HttpResponse

HTML = ("Content-Type", "text/html; charset=utf-8")
JSON = ("Content-Type", "application/json")


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (404, (HTML,), b"<p>x", "HTTP 404, text/html, 4 bytes, an HTML page: check the address in the settings"),
        (
            403,
            (HTML,),
            b"<html>",
            "HTTP 403, text/html, 6 bytes, an HTML page, perhaps of a firewall in front of the API",
        ),
        (200, (), b" <!DOCTYPE html>", "HTTP 200, no media type, 16 bytes, an HTML page"),
        (204, (), b"", "HTTP 204, no media type, no body"),
        (200, (JSON,), b"", "HTTP 200, application/json, no body"),
        (200, (JSON,), b'{"customer":"Dana"}', "HTTP 200, application/json, 19 bytes"),
        (200, (JSON,), b"<br />\n<b>Notice</b>: x", 'HTTP 200, application/json, 23 bytes, begins with "<br"'),
        (200, (JSON,), b"Notice: Undefined index", 'HTTP 200, application/json, 23 bytes, begins with "Notice"'),
        (200, (JSON,), b"\xef\xbb\xbfWarning: x", 'HTTP 200, application/json, 13 bytes, begins with "Warning"'),
        (200, (HTML,), b"Fatal error: x", 'HTTP 200, text/html, 14 bytes, begins with "Fatal"'),
        (502, (HTML,), b"<html><h1>", "HTTP 502, text/html, 10 bytes, an HTML page"),
        (500, (), b"abcdefghijklmnopqrstuvwxyz", "HTTP 500, no media type, 26 bytes"),
        (
            200,
            (JSON, ("Content-Encoding", "gzip")),
            b"\x1f\x8b",
            "HTTP 200, application/json, 2 bytes, compressed (gzip) although identity was asked for",
        ),
        (
            301,
            (("Location", "https://bridge.example/new?token=x"),),
            b"",
            "HTTP 301, no media type, no body, to https://bridge.example/new",
        ),
    ],
)
def test_an_answer_is_described(status: int, headers: tuple[tuple[str, str], ...], body: bytes, said: str) -> None:
    """Status, media type and size; then what says most about the cause."""
    assert described(HttpResponse(status=status, headers=headers, body=body)) == said


@pytest.mark.parametrize("body", [b'{"id":"a"}', b'\xef\xbb\xbf{"id": "a"}'])
def test_an_object_is_read_under_any_media_type(body: bytes) -> None:
    """What the members say counts, not how the provider labels them."""
    assert json_object(HttpResponse(status=200, headers=(HTML,), body=body)) == {"id": "a"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the answer is not readable: "),
        (b"<html>", "the answer is not readable: expecting value at line 1 column 1"),
        (b'{"a":1,"a":2}', "the answer is not readable: "),
        (b"[]", "the answer is JSON, but not an object"),
        (b"null", "the answer is JSON, but not an object"),
    ],
)
def test_what_is_not_an_object_leaves_the_outcome_open(body: bytes, said: str) -> None:
    """Such an answer proves neither success nor failure."""
    with pytest.raises(OutcomeUnknown, match=f"^{re.escape(said)}"):
        json_object(HttpResponse(status=200, headers=(JSON,), body=body))


@pytest.mark.parametrize(
    ("value", "exact"),
    [
        (JsonNumber("432.980"), "432.980"),
        (7, "7"),
        (JsonNumber("1.5e3"), "1500"),
        (JsonNumber("-0.5"), "-0.5"),
        ("10.50", "10.50"),
        (JsonNumber("1e30"), "1e30"),
        (JsonNumber("1" * 31), "1" * 31),
        (JsonNumber(f"{'1' * 30}.{'1' * 30}"), f"{'1' * 30}.{'1' * 30}"),
        (JsonNumber(f"0.{'0' * 29}1"), "1e-30"),
    ],
)
def test_a_number_is_read_exactly(value: object, exact: str) -> None:
    """A JSON number or a decimal text keeps every digit."""
    assert decimal_of(value) == Decimal(exact)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "",
        "1e3",
        " 1",
        "1,000.00",
        [],
        1.5,
        JsonNumber("1e31"),
        JsonNumber("1e-31"),
        JsonNumber(f"0.{'0' * 30}1"),
        JsonNumber(f"1.{'1' * 60}"),
        JsonNumber("1" * 61),
        JsonNumber("1e99999999999999999999"),
    ],
)
def test_what_is_not_a_number_is_refused(value: Any) -> None:
    """So is a number whose size would cost time."""
    with pytest.raises(ValueError, match="must be"):
        decimal_of(value)


class Paid(msgspec.Struct, frozen=True, kw_only=True):
    """An answer as a plugin declares it."""

    id: str
    amount: Amount | None = None
    status: Literal["paid", "open"] = "open"


@pytest.mark.parametrize("amount", ["10.50", '"10.50"', "1.05e1"])
def test_an_answer_is_read_as_a_struct(amount: str) -> None:
    """Amounts are exact, as numbers and as texts; unknown members are ignored."""
    body = f'{{"id":"a","amount":{amount},"new":1}}'.encode()
    assert read_answer(HttpResponse(status=200, body=body), Paid) == Paid(id="a", amount=Amount("10.50"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "the answer is JSON, but not an object"),
        (b"{}", "the answer is not readable: Object missing required field `id`"),
        (b'{"id":7}', "the answer is not readable: Expected `str`, got `JsonNumber` - at `$.id`"),
        (b'{"id":"a","status":"a secret"}', "the answer is not readable: Invalid enum value - at `$.status`"),
        (b'{"id":"a","amount":"ten"}', "- at `$.amount`"),
        (b'{"id":"a","amount":1e400}', "- at `$.amount`"),
    ],
)
def test_an_answer_of_another_shape_leaves_the_outcome_open(body: bytes, said: str) -> None:
    """What was wrong is named by its place."""
    with pytest.raises(OutcomeUnknown, match=re.escape(said)):
        read_answer(HttpResponse(status=200, body=body), Paid)


class InMinorUnits(msgspec.Struct, frozen=True, kw_only=True):
    """An answer with whole numbers, in the Struct and in one of its lists."""

    amount: int
    fee: Amount | None = None
    parts: list[Paid] = []
    id: Any = None


@pytest.mark.parametrize("read", [read_json, lambda body, kind: read_answer(HttpResponse(status=200, body=body), kind)])
def test_whole_numbers_are_read_as_int(read: Callable[[bytes, type[InMinorUnits]], InMinorUnits]) -> None:
    """As minor units are given; an ``Amount`` beside them stays exact, and may be whole."""
    assert read(b'{"amount":106733,"fee":12}', InMinorUnits) == InMinorUnits(amount=106733, fee=Amount(12))
    assert read(b'{"amount":0,"fee":1.5}', InMinorUnits).fee == Amount("1.5")


@pytest.mark.parametrize("amount", ["1.0", "1e2", '"1"', "true", "1" * 40])
def test_what_is_not_a_whole_number_is_refused(amount: str) -> None:
    """An amount in the smallest unit has one way to be written."""
    with pytest.raises(OutcomeUnknown, match=r"at `\$.amount`"):
        read_answer(HttpResponse(status=200, body=f'{{"amount":{amount}}}'.encode()), InMinorUnits)


def test_a_callback_is_read_as_a_struct() -> None:
    """Its sender is not answered by an outcome, so an error is a plain ``ValueError``, which quotes no value."""
    assert read_json(b'{"id":"a","amount":10.50}', Paid) == Paid(id="a", amount=Amount("10.50"))
    for body, said in [(b"<html>", "expecting value"), (b'{"id":"a","status":"a secret"}', "Invalid enum value - at")]:
        with pytest.raises(ValueError, match=said) as refused:
            read_json(body, Paid)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("SO-7", "SO-7"),
        (7001, "7001"),
        (JsonNumber("7001"), "7001"),
        (JsonNumber("7.10"), "7.10"),
        ("", ""),
        (None, None),
    ],
)
def test_an_id_may_come_as_a_number(value: object, read: str | None) -> None:
    """A number is read as it was written; an absent id is None."""
    assert read_id(value, "order") == read


@pytest.mark.parametrize("value", [True, [], {}])
def test_another_shape_is_not_an_id(value: object) -> None:
    """Whatever is neither text nor number makes the answer unreadable, and the member is named."""
    with pytest.raises(OutcomeUnknown, match=r"^order "):
        read_id(value, "order")


@pytest.mark.parametrize(
    ("value", "digits", "amount"),
    [
        (None, 2, None),
        ("10.5", 2, "10.50"),
        (JsonNumber("1e3"), 2, "1000.00"),
        (JsonNumber("5"), 0, "5"),
        ("0", 2, "0.00"),
    ],
)
def test_an_amount_has_the_digits_of_its_currency(value: object, digits: int, amount: str | None) -> None:
    """Text and number are read exactly; an absent amount is None."""
    read = read_amount(value, digits, "amount")
    assert (None if read is None else str(read)) == amount


@pytest.mark.parametrize("value", ["-1", "1.005", "ten", True, [], JsonNumber("-0.01"), JsonNumber("1e400")])
def test_an_amount_is_never_guessed(value: object) -> None:
    """What is negative or not exact makes the answer unreadable, and the member is named."""
    with pytest.raises(OutcomeUnknown, match=r"^refunded "):
        read_amount(value, 2, "refunded")
