"""A secret is found in whatever form somebody wrote it, and nothing else is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from gateway.core import masking
from gateway.core.masking import HALVED, Mask, clean_message, line, without_numbers_and_keys
from gateway.core.secret import Secret

SECRET = "a+Secret/token==of 1 acc&unt"
KEY = "gw_k1_0123456789abcdefABCDEF-_0123456789abcdef"
LINK = "https://gateway.example/callbacks/x/return/" + "A1-_" * 10 + "xyz"
MASK = Mask([SECRET, "pin42", "tóken-with-accents"])

WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "upper case": str.upper,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded as a path": quote,
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "every character in lower-case percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "as a JSON text": json.dumps,
    "as a JSON text with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "every character escaped": lambda text: "".join(f"\\u{ord(one):04X}" for one in text),
    "a JSON text within a JSON text": lambda text: json.dumps(json.dumps(f"é{text}")),
    "HTML entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 with a user": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 in the middle": lambda text: base64.urlsafe_b64encode(f"us:{text}:rest".encode()).decode(),
    "base64 in lines": lambda text: base64.encodebytes(f"{'x' * 40}{text}".encode()).decode(),
    "base64 in a query": lambda text: quote(base64.b64encode(f"u:{text}".encode()).decode(), safe=""),
    "hex": lambda text: text.encode().hex(),
    "upper-case hex": lambda text: text.encode().hex().upper(),
    "with a NUL inside": lambda text: f"{text[:5]}\0{text[5:]}",
    "with a line break inside": lambda text: f"{text[:5]}\r\n{text[5:]}",
    "with an invisible character inside": lambda text: f"{text[:5]}\u200b{text[5:]}",
}


@pytest.mark.parametrize("secret", [SECRET, "tóken-with-accents"])
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_found_in_every_form(way: str, secret: str) -> None:
    """What is left reads on, and holds the secret in no form."""
    masked = MASK.over(f"before {WAYS[way](secret)} after")
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    assert "***" in masked
    assert not MASK.surely_spares(f"before {WAYS[way](secret)} after")
    assert WAYS[way](secret) not in masked
    assert not MASK.holds(masked)


@pytest.mark.parametrize(
    "text", ["", "nothing", "pin421", "1pin42", "a+Secret/token", "50 %", "\\ &", "%zz&amp", "\ud800", "İ", "x\ny"]
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    """A part of a secret is none, and a short secret is one only where it stands alone."""
    assert MASK.over(text) == text
    assert not MASK.holds(text)


CLEAN = '{"merchant_id": "bdff1190-af3c-4f8f-a0d6-47b8e39882db", "amount": 162.48, "time": 1795892598755, "status": 1}'


def test_the_quick_look_spares_a_clean_text() -> None:
    """Most texts are looked at once."""
    assert MASK.surely_spares(CLEAN)


@pytest.mark.parametrize("secret", [SECRET, KEY, LINK])
@pytest.mark.parametrize("before", ["", "u", "us"])
def test_the_quick_look_spares_no_credential(secret: str, before: str) -> None:
    """Neither as they are nor in base64 or hex, at every offset."""
    data = f"{before}{secret}".encode()
    for written in (data, base64.b64encode(data), base64.urlsafe_b64encode(data), data.hex().encode()):
        text = CLEAN + written.decode()
        assert MASK.over(text) != text or without_numbers_and_keys(text) != text
        assert not MASK.surely_spares(text)


def test_a_short_secret_is_found_where_it_stands_alone() -> None:
    """It may be a part of any word."""
    assert MASK.over('{"pin": "pin42", "pin421": "(PIN42)"}') == '{"pin": "***", "pin421": "(***)"}'


def test_what_is_written_instead_may_depend_on_what_stood_there() -> None:
    """So that it can be put back by whoever knows the secret."""
    assert Mask(["secret-one", "secret"]).over("x secret-one y", lambda found: f"<{found}>") == "x <secret-one> y"


def test_no_secret_means_no_mask() -> None:
    """An account without secrets, or with an empty one, has nothing to hide."""
    assert Mask([]).over("text") == Mask([""]).over("text") == "text"


def test_letters_that_grow_in_lower_case_move_nothing() -> None:
    """``İ`` has two characters in lower case: the place of a secret behind it is right all the same."""
    assert MASK.over(f"İİ {SECRET.upper()} x") == "İİ *** x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("declined\r\nsee\tbelow ", "declined see below"),
        (f"token {SECRET[:4]}\0{SECRET[4:]} is wrong", "token *** is wrong"),
        (f"{SECRET[:9]}\u2028{SECRET[9:]}", "***"),
        ("card 4111 1111\t1111 1111 declined", "card ****1111 declined"),
        ("x" * 20, "x" * 12),
        (" \0 ", ""),
    ],
)
def test_a_providers_text_becomes_one_clean_line(text: str, shown: str) -> None:
    """Control characters go before the secrets do, and what is left is cut."""
    assert line(text, MASK, max(len(shown), 12)) == shown


def test_a_secret_is_masked_before_the_text_is_cut() -> None:
    """No half of it stays at the end."""
    assert line(f"{'x' * 10}{SECRET}", MASK, 20) == f"{'x' * 10}***"


@pytest.mark.parametrize("ahead", ["\0", "%20"])
@pytest.mark.parametrize("form", [SECRET, SECRET.encode().hex(), "4111111111111111", "gw_k1_" + "K" * 40])
def test_of_a_long_text_no_half_of_a_secret_is_left(ahead: str, form: str) -> None:
    """Only the beginning of a long text is looked at, wherever that ends in a secret, and whatever is gone ahead."""
    looked_at = 4 * 500 + 2 * (MASK.reach + HALVED)
    for half in range(5, len(form), 4):
        shown = line((ahead * looked_at)[: looked_at - half] + form + "z" * 60_000, MASK, 500)
        assert form[:5].lower() not in shown.lower()


def test_of_a_long_text_little_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be anything that a provider likes to send, and the event loop waits for it."""
    looked_at = []
    monkeypatch.setattr(masking, "without_card_numbers", lambda text: looked_at.append(len(text)) or text)
    assert line("4 " * 30_000, MASK, 500) == ("4 " * 250).rstrip()
    assert max(looked_at) < 5000


def test_a_message_is_cleaned_for_a_plugin() -> None:
    """It is one line without the given secrets, cut, as the gateway itself would store it."""
    text = f"key {SECRET}\nis\x00 wrong {'!' * 600}"
    made = clean_message(text, [Secret("other"), Secret(SECRET)])
    assert made == line(text, Mask([SECRET, "other"]), 500)
    assert made.startswith("key ***")
    assert len(made) == 500


@pytest.mark.parametrize("value", [None, 7, ["text"], ""])
def test_what_is_not_a_message_is_empty(value: object) -> None:
    """A provider may put anything where a sentence is expected."""
    assert clean_message(value, [Secret(SECRET)]) == ""


def test_a_message_is_cut_to_a_given_length() -> None:
    """A code is shorter than a sentence."""
    assert clean_message("not allowed at all", [], 11) == "not allowed"
