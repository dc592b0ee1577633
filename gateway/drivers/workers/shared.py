"""A value that every process has for itself, and the gateway as the total of them all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    from gateway.drivers.workers.peers import Peers

WITHIN = 1.0
"""Seconds in which the others answer; what has no answer then is left out."""


class HasPeers(Protocol):
    """The gateway, as far as it is one of several processes."""

    @property
    def peers(self) -> Peers | None:
        """The others; None for the only process."""
        ...


G = TypeVar("G", bound=HasPeers, contravariant=True)
T = TypeVar("T")


class Shared(Generic[G, T]):
    """``own`` is this process's part, ``total`` adds parts up, ``kind`` is their type.

    ``remains``: what of a part still counts once its process has ended, or does not answer; None for nothing. A process
    leaves that behind with each answer, so that a total of counts never falls below one that was told.
    """

    def __init__(
        self,
        name: str,
        kind: type[T],
        own: Callable[[G], T],
        total: Callable[[Sequence[T]], T],
        remains: Callable[[T], T] | None = None,
    ) -> None:
        self.name, self._own, self._total, self._remains = name, own, total, remains
        self._decoder = msgspec.msgpack.Decoder(kind)

    async def of(self, gw: G) -> T:
        """The total of all processes."""
        if gw.peers is None:
            return self._own(gw)
        answers = await gw.peers.ask(self.name, WITHIN)
        parts = [self._part(gw.peers, number, answer) for number, answer in answers.items()]
        return self._total([self._kept_part(gw, gw.peers)[0], *(part for part in parts if part is not None)])

    def answer(self, gw: G, peers: Peers) -> bytes:
        """This process's part, for the others."""
        return self._kept_part(gw, peers)[1]

    def _part(self, peers: Peers, number: int, answer: bytes | None) -> T | None:
        if answer:
            return self._decoder.decode(answer)
        return self._left(peers.kept(number, self.name))

    def _left(self, answer: bytes | None) -> T | None:
        return None if self._remains is None or answer is None else self._remains(self._decoder.decode(answer))

    def _kept_part(self, gw: G, peers: Peers) -> tuple[T, bytes]:
        part = self._own(gw)
        if self._remains is None:
            return part, msgspec.msgpack.encode(part)
        before = self._left(peers.before(self.name))
        if before is not None:
            part = self._total([before, part])
        encoded = msgspec.msgpack.encode(part)
        peers.keep(self.name, encoded)
        return part, encoded
