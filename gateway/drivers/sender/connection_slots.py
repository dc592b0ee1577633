"""How many connections may be open to others at a time, and whose they are.

Shared by all owners (accounts and webhook endpoints) so that a slow server delays its own owner's calls only.
"""

from __future__ import annotations

import asyncio
from collections import deque

MAX_PER_OWNER = 100
RESERVED_FRACTION = 4


class ConnectionSlots:
    """``most`` slots for connections, a quarter of them reserved for owners that hold none.

    Of the others an owner may take one while it holds fewer of them than are free: a single busy one gets half. So a
    new owner gets a slot at once, however slow the servers of all others are, until the reserved part is used up.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._reserved = self._free // RESERVED_FRACTION
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def take(self, owner: str) -> None:
        """Take a slot, or wait for one behind the owner's other calls."""
        if owner not in self._waiting and self._may_take(owner):
            self._grant(owner)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._stop_waiting(owner, turn)
            else:  # granted and cancelled in the same moment
                self.give_back(owner)
            raise

    def give_back(self, owner: str) -> None:
        """Give a slot back; the waiting owner that holds the fewest is served next."""
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._serve()

    def _serve(self) -> None:
        while self._waiting:
            owner = min(self._waiting, key=lambda name: self._held.get(name, 0))
            if not self._may_take(owner):
                return  # nor may any other: they hold as many or more
            turn = self._waiting[owner][0]
            self._stop_waiting(owner, turn)
            self._grant(owner)
            turn.set_result(None)

    def _may_take(self, owner: str) -> bool:
        held = self._held.get(owner, 0)
        if held == 0:
            return self._free > 0
        return held < min(self._free - self._reserved, MAX_PER_OWNER)

    def _grant(self, owner: str) -> None:
        self._free -= 1
        self._held[owner] = self._held.get(owner, 0) + 1

    def _stop_waiting(self, owner: str, turn: asyncio.Future[None]) -> None:
        self._waiting[owner].remove(turn)
        if not self._waiting[owner]:
            del self._waiting[owner]
