"""Strict JSON: whatever two parsers could read differently is refused, and number text is kept."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.money import Amount
from gateway.core.strictjson import MAX_NESTING, JsonNumber, NotStrictJson, _nesting_over, dumps, loads, loads_exact

BOTH = pytest.mark.parametrize("read", [loads, loads_exact])


@BOTH
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"a":1,"a":2}', 'member "a" is written twice'),
        (b'{"a":1,"\\u0061":2}', 'member "a" is written twice'),
        (b'{"a":1,"a":"\\u0022\\u0022"}', 'member "a" is written twice'),
        (b'{"x":{"b":1,"a":0,"\\u0062":1}}', 'member "b" is written twice'),
        (b'[{"":1,"":1}]', 'member "" is written twice'),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b"Infinity", "Infinity is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b'"\\ud800"', "half of a surrogate pair"),
        (b'{"\\udfff":1}', "half of a surrogate pair"),
        (b'["\\ude00\\ud83d"]', "half of a surrogate pair"),
        (b'"\xed\xa0\x80"', "byte 1 is not UTF-8"),
        (b'"\xff"', "byte 1 is not UTF-8"),
        (b'{"a":"\xc0\xaf"}', "byte 6 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "begins with a byte order mark"),
        ("{}".encode("utf-16"), "not UTF-8"),
        (b"", "expecting value"),
        (b"{} {}", "extra data"),
        (b"{'a':1}", "expecting property name"),
        (b"[1,]", "at line 1"),
        (b'{"a":1,}', "at line 1"),
        (b"01", "extra data"),
        (b"+1", "expecting value"),
        (b".5", "expecting value"),
        (b"1.", "extra data"),
        (b'"a\x00b"', "invalid control character"),
        (b'"\\x41"', "escape"),
        (b"True", "expecting value"),
    ],
)
def test_what_parsers_disagree_about_is_refused(read: Callable[[bytes], Any], data: bytes, why: str) -> None:
    """Duplicates in any spelling, constants, half surrogates, a BOM and loose syntax are refused with the reason."""
    with pytest.raises(NotStrictJson, match=why):
        read(data)


@BOTH
@pytest.mark.parametrize("bracket", [b"[", b'{"a":', b'[{"a":'])
def test_a_nesting_bomb_is_refused(read: Callable[[bytes], Any], bracket: bytes) -> None:
    """Bottomless nesting is refused before it costs a stack."""
    with pytest.raises(NotStrictJson, match=f"deeper than {MAX_NESTING}"):
        read(bracket * 30_000)


@BOTH
def test_nesting_up_to_the_limit_is_read(read: Callable[[bytes], Any]) -> None:
    """Exactly the limit is allowed; one more is not."""
    read(b"[" * MAX_NESTING + b"]" * MAX_NESTING)
    with pytest.raises(NotStrictJson):
        read(b"[" * (MAX_NESTING + 1) + b"]" * (MAX_NESTING + 1))


@BOTH
def test_brackets_that_do_not_nest_are_no_depth(read: Callable[[bytes], Any]) -> None:
    """Brackets in texts, behind escaped quotes and beside one another count for nothing."""
    assert read(b'"' + b"[" * 200 + b'"') == "[" * 200
    assert read(b'"\\"' + b"{" * 200 + b'"') == '"' + "{" * 200
    assert len(read(b"[" + b",".join([b"[]"] * 200) + b"]")) == 200


def deepest(text: str) -> int:
    """How deep brackets nest outside of strings, character by character."""
    depth = most = 0
    in_string = is_escaped = False
    for character in text:
        if in_string:
            is_escaped, in_string = character == "\\" and not is_escaped, character != '"' or is_escaped
        elif character == '"':
            in_string = True
        else:
            depth += (character in "[{") - (character in "]}")
            most = max(most, depth)
    return most


@given(st.text(alphabet='[]{}"\\a\n', max_size=60), st.integers(0, 5))
def test_depth_is_counted_outside_of_strings(text: str, limit: int) -> None:
    """Whatever stands in strings, ended or not, escaped or not, the depth is what a walk finds."""
    assert _nesting_over(text, limit) == (deepest(text) > limit)


def test_escaped_pairs_are_text() -> None:
    """Both halves of a surrogate pair are one character."""
    assert loads(b'"\\ud83d\\ude00"') == "\U0001f600"


@pytest.mark.parametrize("text", ["432.980", "-0", "1E400", "1e-7", "0.10", "12345678901234567890123", "9" * 5000])
def test_number_text_is_kept(text: str) -> None:
    """A number is its literal text, whatever its size."""
    assert loads(text.encode()) == JsonNumber(text)


@pytest.mark.parametrize(("text", "value"), [("0.10", JsonNumber("0.10")), ("7", 7), ("1e2", JsonNumber("1e2"))])
def test_exact_numbers(text: str, value: object) -> None:
    """Integers are integers, other numbers keep their text, never floats."""
    found = loads_exact(text.encode())
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize("text", ["9" * 19, "9" * 5000, "1e99999999999999999999", "1e-99999999999999999999"])
def test_numbers_no_machine_holds_keep_their_text(text: str) -> None:
    """A number beyond 64 bits is still only text; whoever wants its value judges it."""
    assert loads_exact(text.encode()) == JsonNumber(text)


def test_the_error_quotes_no_value() -> None:
    """A refusal never shows what a member held."""
    with pytest.raises(NotStrictJson) as refused:
        loads(b'{"a":"4111111111111111","a":"4111111111111111"}')
    assert "4111" not in str(refused.value)


def test_a_long_duplicate_name_is_cut() -> None:
    """A refusal is short, however long the name that stands twice."""
    with pytest.raises(NotStrictJson) as refused:
        loads(b'{"%s":1,"%s":1}' % (b"n" * 9000, b"n" * 9000))
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize("data", [b'{"b":432.980,"a":[1,null,true,"\xc3\xa4"]}', b"[1E400]", b"{}"])
def test_reading_and_writing_keep_numbers_and_order(data: bytes) -> None:
    """What was read is written with the same number texts and the same order of members."""
    assert dumps(loads(data)) == data


def test_decimals_are_written_as_text() -> None:
    """A decimal becomes a text member with its own digits, a tenant's amount without exponent."""
    assert dumps({"amount": Decimal("100.00")}) == b'{"amount":"100.00"}'
    assert dumps({"amount": Amount("0.00000001")}) == b'{"amount":"0.00000001"}'


def test_other_values_are_not_written() -> None:
    """What has no JSON form is refused rather than guessed."""
    with pytest.raises(TypeError, match="cannot write object"):
        dumps({"a": object()})


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes raise anything but the one error."""
    for read in (loads, loads_exact):
        try:
            read(data)
        except NotStrictJson:
            continue


@given(
    st.recursive(st.none() | st.booleans() | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))
)
def test_written_json_reads_back(value: object) -> None:
    """Every value without numbers survives writing and reading."""
    try:
        written = dumps(value)
    except UnicodeEncodeError:
        return
    assert loads(written) == value
