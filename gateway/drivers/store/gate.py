"""Hold units back while a shared database may have lost commits, until somebody has checked whether it has.

Every new connection reports its server and timeline, and flows report which one they have checked
(``flows/background/timelines.py``). While the two differ, the units of tenants wait; reads and the gateway's own units
go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WAIT_SECONDS = 3.0
"""How long units wait; those that come later are refused at once."""

GoOn = Callable[[bool], None]
"""Called once, with whether the unit may go on; else it is refused."""


class Gate:
    """The gate of one database. It closes when a connection leads to a server or timeline that flows did not check."""

    def __init__(self) -> None:
        self.noticed = asyncio.Event()
        """Set when flows should check: a connection leads elsewhere, or one was lost."""
        self.on_hold: Callable[[], None] = lambda: None
        """Called when units are held from now on."""
        self.is_held = False
        self.is_ending = False
        """Set when the process ends: nobody waits long any more for a unit that is in doubt."""
        self._known: str | None = None
        self._seen: str | None = None
        self._waiting: list[GoOn] = []
        self._ends: asyncio.TimerHandle | None = None

    def see(self, server: str | None) -> None:
        """Note server and timeline of a new connection before anything is sent on it; None: they are not reported."""
        self._seen = server or self._seen
        if self.is_held or self._known is None or server in (None, self._known):
            return
        self.is_held = True
        self._ends = asyncio.get_running_loop().call_later(WAIT_SECONDS, self.refuse)
        self.noticed.set()
        self.on_hold()

    def lose(self, server: str | None) -> None:
        """Note that a connection was lost: the next one may lead elsewhere."""
        if self._seen == server:
            self._seen = None
        self.noticed.set()

    def wait(self, go_on: GoOn) -> None:
        """Make a unit wait until ``go_on`` is called."""
        if self._ends is None:
            go_on(False)
        else:
            self._waiting.append(go_on)

    def know(self, server: str | None) -> None:
        """Note that this server was checked and has lost nothing; open the gate if connections lead there."""
        self._known = server
        if server is None or self._seen in (None, server):
            self.is_held = False
            self._end_waiting(may_go_on=True)

    def go_on_carefully(self) -> None:
        """Open the gate wherever connections lead, now that flows are careful. Units that wait are refused: they were
        decided before that."""
        self._known = self._seen or self._known
        self.is_held = False
        self.refuse()

    def refuse(self) -> None:
        """Refuse units that wait, and those that come while the gate is closed."""
        self._end_waiting(may_go_on=False)

    def _end_waiting(self, *, may_go_on: bool) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None
        waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on(may_go_on)
