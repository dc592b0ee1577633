"""Hold units back while a shared database may be older than it was: as long as nobody has looked whether it is.

Every new connection says on which server and timeline it is. Flows say which one they have looked at
(``flows/background/timelines.py``); in between the units of tenants wait. Reads and the gateway's own units go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

WAIT_SECONDS = 3.0
"""How long units wait; those that come later are refused at once."""

GoOn = Callable[[bool], None]
"""Called once: whether to go on, or to refuse the unit."""


class Gate:
    """Of one database. Open until a connection is elsewhere than flows know; always where nothing is known."""

    def __init__(self) -> None:
        self.noticed = asyncio.Event()
        """Set when there is reason to look: a connection is elsewhere, or one was lost."""
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
        """Note where a new connection leads, before anything is sent on it. None where the server does not say it."""
        self._seen = server or self._seen
        if self.is_held or self._known is None or server in (None, self._known):
            return
        self.is_held = True
        self._ends = asyncio.get_running_loop().call_later(WAIT_SECONDS, self.refuse)
        self.noticed.set()
        self.on_hold()

    def lose(self, server: str | None) -> None:
        """Note that a connection was lost: units may soon go elsewhere."""
        if self._seen == server:
            self._seen = None
        self.noticed.set()

    def wait(self, go_on: GoOn) -> None:
        """Let a unit wait."""
        if self._ends is None:
            go_on(False)
        else:
            self._waiting.append(go_on)

    def know(self, server: str | None) -> None:
        """Go on where connections lead to this server, which was looked at: it lacks nothing."""
        self._known = server
        if server is None or self._seen in (None, server):
            self.is_held = False
            self._end_waiting(may_go_on=True)

    def go_on_carefully(self) -> None:
        """Go on wherever connections are. What waits is refused: it was decided without care."""
        self._known = self._seen or self._known
        self.is_held = False
        self.refuse()

    def refuse(self) -> None:
        """Refuse what waits, and while units are held what comes."""
        self._end_waiting(may_go_on=False)

    def _end_waiting(self, *, may_go_on: bool) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None
        waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on(may_go_on)
