"""No callback is accepted that a bridge did not sign, and none refused that it did, according to a second verifier."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.security.callback_fuzz import fuzz
from tests.security.json_scanner import Number, Unreadable, scan
from tests.security.psp_verifier import javascript

CASES = 5_000
"""``make fuzz`` tries 100,000."""


async def test_spoilt_callbacks_are_judged_as_a_second_verifier_judges_them(tmp_path: Path) -> None:
    """No mutated callback is wrongly accepted or refused, fails, or changes what it must not."""
    logging.disable(logging.CRITICAL)
    try:
        found = await fuzz(tmp_path, cases=CASES, seed=8)
    finally:
        logging.disable(logging.NOTSET)
    assert (found.accepted, found.refused, found.faults, found.moved) == ([], [], [], [])
    assert found.cases > CASES * 0.99
    assert found.reasons["accepted"] > CASES / 10
    assert len(found.reasons) > 20


@pytest.mark.parametrize(
    ("literal", "text"),
    [
        *(("0", "0"), ("-0", "0"), ("-0.0e9", "0"), ("100.0", "100"), ("162.480", "162.48"), ("1e21", "1e+21")),
        *(
            ("1e20", "100000000000000000000"),
            ("123456789012345680000", "123456789012345680000"),
            ("0.000001", "0.000001"),
        ),
        *(("1e-7", "1e-7"), ("0.1", "0.1"), ("0.30000000000000004", "0.30000000000000004"), ("-1.5e-9", "-1.5e-9")),
        *(
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("5e-324", "5e-324"),
            ("9007199254740993", "9007199254740992"),
        ),
    ],
)
def test_the_second_verifier_prints_numbers_as_ecmascript_does(literal: str, text: str) -> None:
    """Examples of the standard check the second verifier itself."""
    assert javascript(literal) == text


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "{",
            "{}}",
            "[1,]",
            '{"a":1,}',
            '{"a":1,"\\u0061":2}',
            "01",
            "1.",
            ".1",
            "+1",
            "NaN",
            "tru",
            "'a'",
            '"\n"',
        ),
        *(
            '"\\x"',
            '"\\ud800"',
            '"\\udc00\\ud800"',
            "\ufeff{}",
            "[" * 65 + "]" * 65,
            "{a:1}",
            '{"a" 1}',
            "1 2",
            "\x0c1",
        ),
    ],
)
def test_the_second_verifier_refuses_what_is_not_json(text: str) -> None:
    """Bytes that are not JSON, or have two readings."""
    with pytest.raises(Unreadable):
        scan(text.encode())


def test_the_second_verifier_reads_json() -> None:
    """All kinds of values, with blanks, escapes and number texts as they stand."""
    read = scan(b' {"a" : [1.50, -2E+3, true, null, "\\u00e9\\ud83d\\ude00\\/"], "b":{} }\n')
    assert read == {"a": [Number("1.50"), Number("-2E+3"), True, None, "é😀/"], "b": {}}
