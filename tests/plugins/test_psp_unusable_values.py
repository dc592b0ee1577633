"""gateway_psp_open_api.diagnosis.unusable_values: what an unusable member looks like, by its value."""

from __future__ import annotations

import pytest
from gateway_psp_open_api.diagnosis.unusable_values import describe

import gateway

TABLE = [
    ("time", "1795851349", "looks like seconds; send 1795851349000"),
    ("time", "1795851349.25", "looks like seconds with a fraction; send 1795851349250"),
    ("time", "1.795851349e9", "looks like seconds"),
    ("time", "1795851349123456", "looks like microseconds; send 1795851349123"),
    ("time", "1795851349123456789", "looks like nanoseconds; send 1795851349123"),
    ("time", "1795851349123.5", "looks like milliseconds with a fraction; send 1795851349123"),
    ("time", "20261128120000", "looks like a date written in digits"),
    ("time", "20261128", "looks like a date written in digits"),
    ("time", "0", "time is 0; it must be"),
    ("time", "-5", "time is -5; it must be"),
    ("time", "1e-9999999999999999999", "it must be"),
    ("time", '"1795851349123"', "that is text: send the number without quotes"),
    ("time", '"1795851349"', "that is text, and looks like seconds; send 1795851349000"),
    ("time", '"2026-11-28T12:00:00Z"', "a date as text: send 1795867200000"),
    ("time", '"2026-11-28T14:00:00+02:00"', "a date as text: send 1795867200000"),
    ("time", '"2026-11-28 12:00:00"', "without its zone: send 1795867200000 if it is UTC"),
    ("time", '"yesterday"', "that is text"),
    ("time", "true", "that is not a number"),
    ("time", "null", "time is missing"),
    ("status", '"1"', "send 1 without quotes"),
    ("status", '" 0 "', "send 0 without quotes"),
    ("status", '"SUCCESS"', "looks like 1; send the number 1"),
    ("status", '"Declined"', "looks like 0; send the number 0"),
    ("status", '"pending"', "looks like 2; send the number 2"),
    ("status", '"weird"', 'status is "weird": that is text'),
    ("status", "true", "that is not a number"),
    ("status", "200", "looks like an HTTP status"),
    ("status", "9", "status is 9; it must be a number: 0 failed, 1 succeeded, 2 processing"),
    ("status", "null", "status is missing"),
    ("amount", '"1,000.00"', "the comma does not belong there"),
    ("amount", '"25,50"', "the comma does not belong there"),
    ("amount", '"$25.50"', "currency signs, letters and blanks"),
    ("amount", '"25.50 USD"', "currency signs, letters and blanks"),
    ("amount", "-25.5", "that is not more than zero"),
    ("amount", "0", "that is not more than zero"),
    ("amount", "[25]", "that is not a number"),
    ("amount", "null", "amount is missing"),
    ("currency", "840", "looks like a numeric code"),
    ("currency", '"840"', "looks like a numeric code"),
    ("currency", '"US$"', "signs do not belong there"),
    ("currency", "null", "currency is missing"),
]


@pytest.mark.parametrize(("member", "value", "wanted"), TABLE)
def test_a_value_is_described_with_a_guess_and_what_belongs_there(member: str, value: str, wanted: str) -> None:
    """The value seen, what it looks like, what is right."""
    said = describe(member, gateway.loads(value.encode()))
    assert wanted in said
    assert "it must be" in said


def test_a_long_value_is_cut() -> None:
    """A sender's text of any length stays one short line."""
    assert len(describe("status", "x" * 5000)) < 200
