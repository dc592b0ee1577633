"""Our addresses for one payment, as its provider is told them: each is made when a plugin asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self, get_args

Purpose = Literal["return", "cancel", "complete", "form"]
"""What an address with a token is for; a part of its path."""

PURPOSES = frozenset(get_args(Purpose))


class Urls:
    """Addresses the provider is told: already encoded, unguessable. A plugin appends its own placeholder as text."""

    __slots__ = ("_callback", "_of")

    def __init__(self, *, callback: str, return_: str, cancel: str, complete: str) -> None:
        given: dict[Purpose, str] = {"return": return_, "cancel": cancel, "complete": complete}
        self._callback = callback
        self._of: Callable[[Purpose], str] = given.__getitem__

    @classmethod
    def made_by(cls, of: Callable[[Purpose], str], *, callback: str) -> Self:
        """Make those with a token by this function: each takes a keyed hash, and most providers are told none."""
        urls = cls.__new__(cls)
        urls._callback, urls._of = callback, of
        return urls

    @property
    def callback(self) -> str:
        """The account's callback address."""
        return self._callback

    @property
    def return_(self) -> str:
        """Where the customer goes afterwards."""
        return self._of("return")

    @property
    def cancel(self) -> str:
        """Where a customer goes who gives up."""
        return self._of("cancel")

    @property
    def complete(self) -> str:
        """Where a visit shows that the customer finished the provider's page."""
        return self._of("complete")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Urls) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return (
            f"Urls(callback={self.callback!r}, return_={self.return_!r},"
            f" cancel={self.cancel!r}, complete={self.complete!r})"
        )
