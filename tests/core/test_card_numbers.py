"""Card numbers are found and masked however they are written; other numbers stay."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from random import Random

import pytest

from gateway.core.card_numbers import (
    holds_card_number,
    holds_issued_number,
    is_written_as_on_a_card,
    split_number,
    without_card_numbers,
)

VISA = "4111111111111111"
BRANDS = [
    VISA,
    "4222222222222",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "30569309025904",
    "38520000023237",
    "3530111333300000",
    "6200000000000005",
    "6759649826438453",
    "6304000000000000000",
]
"""Test numbers that card brands publish: Visa (16 and 13 digits), Mastercard, Amex, Discover, Diners, JCB, others."""


def spellings(number: str) -> Iterator[str]:
    """A number as people and programs write it."""
    fours = [number[at : at + 4] for at in range(0, len(number), 4)]
    for between in (" ", "-", ".", "/", "_", ",", "\u00a0", "\u2011", "  ", " - ", "\t", "\r\n", "\u200b", "…"):
        yield between.join(fours)
    yield "-".join(number)
    yield number.translate({ord("0") + digit: chr(0xFF10 + digit) for digit in range(10)})
    yield number.translate({ord("0") + digit: chr(0x0660 + digit) for digit in range(10)})
    yield number.translate({ord("0") + digit: chr(0x1D7CE + digit) for digit in range(10)})
    yield f"{fours[0]}.{fours[1]}/{fours[2]} {''.join(fours[3:])}" if len(number) == 16 else number


@pytest.mark.parametrize("number", BRANDS)
@pytest.mark.parametrize("written", ["{}", "card {}!", "x{}x", "{} 123", "{} 12 27", "no 7 {}", "+1 {} 9", "a-{}-b"])
def test_card_numbers_are_found(number: str, written: str) -> None:
    """Numbers of every brand are found, whatever stands around them."""
    assert holds_card_number(written.format(number))


@pytest.mark.parametrize("number", BRANDS)
def test_card_numbers_are_found_however_they_are_written(number: str) -> None:
    """Separators and the digits of other scripts hide nothing, and nothing is left where they are masked."""
    for text in spellings(number):
        assert holds_card_number(text), text
        assert without_card_numbers(f"pay {text} now") == f"pay ****{number[-4:]} now", text


@pytest.mark.parametrize("text", [f"1{VISA}", f"{VISA}1", f"9{VISA}", "1378282246310005"])
def test_one_digit_too_many_hides_nothing(text: str) -> None:
    """A digit that slipped in before or after the number."""
    assert holds_card_number(text)
    assert text[-8:] not in without_card_numbers(text)


@pytest.mark.parametrize("text", ["4111 1111 1111 1111", "4111-1111-1111-1111", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"])
def test_grouped_card_numbers_are_found(text: str) -> None:
    """Blanks and dashes between the digits hide nothing."""
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4111111111111112",
        "1111111111111117",
        "7992739871300003",
        "0000000000000000",
        "5222222222221",
        "411111111111",
        "411111111111111100000",
        "4111....1111....1111....1111",
        "4111 1111 1111 111x",
        "+1 253 555 0142",
        "2026-01-02 03:04:05",
        "52.520008, 13.404954",
        "45.00, 12.50, 99.99 12.00",
        "1Z999AA10123456784",
        "1732786498123",
        "20241128123456789",
    ],
)
def test_other_digits_are_no_card_numbers(text: str) -> None:
    """A wrong Luhn sum, first digit or length, groups that do not belong together: no card number."""
    assert not holds_card_number(text)
    assert without_card_numbers(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "pay_019b7caca6b4700083838525b2e8a7ff",
        "019b7cac-a6b4-7000-8383-8525b2e8a7ff",
        "D96B9A4111111111111111BD1A57405A66E5BF4D",
    ],
)
def test_ids_and_hashes_stay(text: str) -> None:
    """Digits between the letters of a long hex text are no card number."""
    assert not holds_card_number(f"id {text}!")
    assert without_card_numbers(text) == text


@pytest.mark.parametrize("text", [f"B{VISA}^DOE", f"card{VISA}", f"face-{VISA}-bad", f"cafe-cafe-cafe-{VISA}-x"])
def test_letters_beside_a_number_hide_nothing(text: str) -> None:
    """Short words, and a number by itself between hyphens."""
    assert holds_card_number(text)
    assert VISA not in without_card_numbers(text)


def test_every_number_of_a_text_is_masked() -> None:
    """The last four digits stay, and so does everything else."""
    said = 'old {"pan": "4111 1111 1111 1111"}, new 5555555555554444; 12345'
    assert without_card_numbers(said) == 'old {"pan": "****1111"}, new ****4444; 12345'
    assert without_card_numbers(said, lambda last: f"<{last}>") == 'old {"pan": "<1111>"}, new <4444>; 12345'


@pytest.mark.parametrize("text", [VISA, f"+{VISA}", f"{VISA}@shop.example", "https://shop.example/4111-1111-1111-1111"])
def test_a_whole_number_within_an_id_is_found(text: str) -> None:
    """As a customer's id, phone or address, or in one."""
    assert holds_issued_number(text)


@pytest.mark.parametrize(
    "text", ["4222222222222", "4006381333931", f"1{VISA}", "+49 1512 3456789", "4111111111111112", "3056930902590"]
)
def test_short_and_longer_numbers_are_honest_ids(text: str) -> None:
    """Barcodes, phones and numbers with more digits are not refused."""
    assert not holds_issued_number(text)


def test_only_groups_as_on_a_card_are_found_in_references() -> None:
    """A reference may be a long number: one in ten passes Luhn by chance."""
    assert is_written_as_on_a_card("order 4111-1111-1111-1111")
    assert is_written_as_on_a_card("3782 822463 10005")
    assert not is_written_as_on_a_card(VISA)
    assert not is_written_as_on_a_card("4111-1111-1111-1112")


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        (["41111111", "11111111"], (0, 2)),
        (["7", "4111", "1111", "1111", "1111"], (1, 5)),
        (["12345", "378282246", "310005"], (1, 3)),
        (["4111 1111 1111", "1111"], (0, 2)),
        (["41111111", "11111112"], None),
        (["41111111", "1", "1111111"], None),
        ([VISA], (0, 1)),
        ([], None),
    ],
)
def test_a_number_in_parts(parts: list[str], place: tuple[int, int] | None) -> None:
    """Neighbouring texts of digits that together are a card number."""
    assert split_number(parts) == place


@pytest.mark.parametrize("text", ["4. " * 21_000, "44 " * 21_000, "4" * 64_000, "4---" * 16_000])
def test_a_hostile_text_is_looked_through(text: str) -> None:
    """Digits without end that almost are numbers, as many as a body may hold."""
    assert without_card_numbers(text) == text


def test_ids_in_hex_are_no_card_numbers() -> None:
    """Of a hundred thousand UUIDs, hashes and ids of ours a hundred would be refused or masked by their digits."""
    random = Random(8)
    for _ in range(10_000):
        one = uuid.UUID(int=random.getrandbits(128), version=4)
        digest = random.randbytes(20).hex()
        for text in (str(one), one.hex, f"pay_{one.hex}", f"key-{one}", f"see {digest}", one.hex[:24]):
            assert not holds_card_number(text), text
            assert not holds_issued_number(text), text
            assert without_card_numbers(f'"{text}"') == f'"{text}"'


@pytest.mark.parametrize("text", [f"{VISA}-0000", f"{VISA}abcdef", f"{VISA[:8]}-{VISA[8:12]}-{VISA[12:]}"])
def test_a_number_that_looks_a_little_like_an_id_is_found(text: str) -> None:
    """Only the whole form of an id is left alone."""
    assert holds_card_number(text) or without_card_numbers(text) != text
