"""Derived secrets and tokens: published vectors, and forgeries of every kind."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.secret import Secret
from gateway.core.signing import derive, hkdf, keyed_hash, make_token, read_token, same, sha256_hex

KEY = Secret("master-secret-of-the-tests")
PAYMENT = "pay_018f000000007000800000000000002a"
TOKEN = make_token(KEY, "endpoint-1", PAYMENT, "return")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

RFC_5869 = [
    (
        b"\x0b" * 22,
        bytes(range(13)),
        bytes(range(0xF0, 0xFA)),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    ),
    (
        bytes(range(0x50)),
        bytes(range(0x60, 0xB0)),
        bytes(range(0xB0, 0x100)),
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09"
        "da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87",
    ),
    (
        b"\x0b" * 22,
        b"",
        b"",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
    ),
]
"""Test cases 1 to 3 of RFC 5869, appendix A: key, salt, info, output."""


@pytest.mark.parametrize(("key", "salt", "info", "output"), RFC_5869)
def test_hkdf_gives_the_published_output(key: bytes, salt: bytes, info: bytes, output: str) -> None:
    """HKDF with SHA-256 agrees with RFC 5869."""
    expected = bytes.fromhex(output)
    assert hkdf(key, salt=salt, info=info, length=len(expected)) == expected


def test_a_derived_secret_is_43_url_safe_characters() -> None:
    """A derived secret has 256 bits in a form that fits into URLs and headers."""
    derived = derive(KEY, "acme", "psp-main", "token", "1").reveal()
    assert len(derived) == 43
    assert set(derived) <= set(ALPHABET)


PARTS = st.lists(st.text(max_size=4), max_size=4)


@given(left=PARTS, right=PARTS)
def test_derivation_belongs_to_its_parts_alone(left: list[str], right: list[str]) -> None:
    """Two lists of parts derive the same secret only when they are the same list."""
    assert (derive(KEY, *left) == derive(KEY, *right)) is (left == right)


@pytest.mark.parametrize(
    ("left", "right"), [(("ab", "c"), ("a", "bc")), (("a", ""), ("a",)), (("a",), ("", "a")), ((), ("",))]
)
def test_moving_a_boundary_derives_another_secret(left: tuple[str, ...], right: tuple[str, ...]) -> None:
    """Parts are not merely joined: their boundaries count."""
    assert derive(KEY, *left) != derive(KEY, *right)


def test_another_master_derives_another_secret() -> None:
    """The master secret matters."""
    assert derive(KEY, "a") != derive(Secret("another master"), "a")


def test_a_token_names_its_payment() -> None:
    """A token of ours gives the payment back; its text never changes, since providers and customers hold it."""
    assert TOKEN == "AY8AAAAAcACAAAAAAAAAKnily5MwFJ24u0KfBM1kMoc"
    assert read_token(KEY, "endpoint-1", TOKEN, "return") == PAYMENT


@pytest.mark.parametrize(
    ("key", "endpoint", "purpose"),
    [
        (Secret("other"), "endpoint-1", "return"),
        (KEY, "endpoint-2", "return"),
        (KEY, "endpoint-1", "cancel"),
        (KEY, "endpoint-1", "complete"),
        (KEY, "endpoint-1", ""),
    ],
)
def test_a_token_counts_at_its_own_place_only(key: Secret, endpoint: str, purpose: str) -> None:
    """Another secret, endpoint or purpose does not know the token."""
    assert read_token(key, endpoint, TOKEN, purpose) is None


def test_every_changed_character_is_refused() -> None:
    """No single character of a token can be another one, also where base64 would decode to the same bytes."""
    forged = [
        TOKEN[:at] + other + TOKEN[at + 1 :] for at in range(len(TOKEN)) for other in ALPHABET if other != TOKEN[at]
    ]
    assert [token for token in forged if read_token(KEY, "endpoint-1", token, "return") is not None] == []


def test_another_spelling_of_the_same_bytes_is_refused() -> None:
    """The unused bits of the last character must be zero: one token has one spelling."""
    twin = TOKEN[:-1] + ALPHABET[ALPHABET.index(TOKEN[-1]) | 1]
    assert twin != TOKEN
    assert base64.urlsafe_b64decode(twin + "=") == base64.urlsafe_b64decode(TOKEN + "=")
    assert read_token(KEY, "endpoint-1", twin, "return") is None


@pytest.mark.parametrize(
    "token",
    [
        "",
        "=",
        TOKEN + "=",
        TOKEN + "A",
        TOKEN[:-1],
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN[:5] + "ä" + TOKEN[6:],
        "A" * 43,
        "AAAAA",
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    """Padding, blanks, other lengths and other characters are no token."""
    assert read_token(KEY, "endpoint-1", token, "return") is None


@given(st.text(max_size=60))
def test_any_text_is_refused_without_an_error(token: str) -> None:
    """Whatever stands in the URL, reading it raises nothing."""
    assert read_token(KEY, "endpoint-1", token, "return") is None


def test_texts_and_bytes_compare() -> None:
    """The constant-time comparison takes text beyond ASCII and bytes alike."""
    assert same("ä", "ä".encode())
    assert not same("a", "b")
    assert not same("a", "aa")


def test_hashes() -> None:
    """The hash of a bearer key is plain SHA-256; the hash of a secret header needs the key."""
    assert sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert keyed_hash(KEY, "abc") != keyed_hash(Secret("other"), "abc")
    assert len(keyed_hash(KEY, "header with \udcff from the wire")) == 64
