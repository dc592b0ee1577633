"""The addresses of one payment: made when asked for, and equal to those that were written down."""

from __future__ import annotations

import pytest

from gateway.core.payment_urls import Purpose, Urls

GIVEN = {"callback": "https://p/c", "return_": "https://p/c/return", "cancel": "https://p/c/cancel"}
WRITTEN = Urls(**GIVEN, complete="https://p/c/complete")


def test_an_address_is_made_when_it_is_asked_for() -> None:
    """Nobody pays for a token that no provider is told."""
    asked: list[Purpose] = []

    def address(purpose: Purpose) -> str:
        asked.append(purpose)
        return f"https://p/c/{purpose}"

    urls = Urls.made_by(address, callback="https://p/c")
    assert (urls.callback, asked) == ("https://p/c", [])
    assert (urls.cancel, asked) == ("https://p/c/cancel", ["cancel"])
    assert (urls.return_, urls.complete) == (WRITTEN.return_, WRITTEN.complete)


def test_equal_by_their_addresses() -> None:
    """However they came about."""
    made = Urls.made_by(lambda purpose: f"https://p/c/{purpose}", callback="https://p/c")
    assert (made == WRITTEN, hash(made) == hash(WRITTEN), repr(made) == repr(WRITTEN)) == (True, True, True)
    assert made != Urls(**GIVEN, complete="https://p/other")


@pytest.mark.parametrize("name", ["callback", "return_", "cancel", "complete"])
def test_nothing_is_changed(name: str) -> None:
    """Addresses are a value."""
    with pytest.raises(AttributeError):
        setattr(WRITTEN, name, "https://elsewhere.example")
