"""What every call has, direct or through a proxy: an owner, a connection slot, and two deadlines."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, Self

from gateway.core.errors import NotSent, OutcomeUnknown
from gateway.core.urls import is_address
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.deadlines import Deadlines, DeadlinesByLength, TimeLimit
from gateway.drivers.forbidden_addresses import is_forbidden
from gateway.drivers.sender.connection_slots import ConnectionSlots
from gateway.drivers.sender.failure_words import TIMED_OUT
from gateway.drivers.sender.request import Target, target_of

if TYPE_CHECKING:
    import ssl


class Progress:
    """How far one call has come. ``is_written``: it may have arrived. ``limit`` ends it when a deadline passes."""

    def __init__(self, connecting: Deadlines[Progress] | None) -> None:
        self.limit = TimeLimit()
        self.is_written = False
        self._connecting = connecting

    def written(self) -> None:
        """Note that the request goes out now: from here on the whole time is left, and silence is "unknown"."""
        self.is_written = True
        if self._connecting is not None:
            self._connecting.leave(self)

    def late(self) -> None:
        """End the call: its time is over. An answer that came in this turn of the event loop still counts."""
        asyncio.get_running_loop().call_soon(self.limit.pass_by)

    def late_to_connect(self) -> None:
        """The same for its connection, unless the request goes out in this turn."""
        asyncio.get_running_loop().call_soon(self._give_up_connecting)

    def _give_up_connecting(self) -> None:
        if not self.is_written:
            self.limit.pass_by()


class Transport(Protocol):
    """How requests get to a server: over connections of our own, or through a proxy."""

    async def exchange(
        self, request: HttpRequest, target: Target, progress: Progress, tls: ssl.SSLContext | None = None
    ) -> HttpResponse:
        """Send one request on a connection of its own; call ``progress.written`` before the first byte leaves.

        ``tls``: what to speak TLS with, if not as with everybody.

        Raises ``NotSent`` while nothing was written, ``OutcomeUnknown`` after that.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...


class Sender:
    """The only way out, used as ``async with``. ``allow_private`` is for development: any address, plain http."""

    def __init__(self, transport: Transport, slots: ConnectionSlots, *, allow_private: bool = False) -> None:
        self._transport = transport
        self._allow_private = allow_private
        self._slots = slots
        self._whole = DeadlinesByLength[Progress](Progress.late)
        self._connecting = DeadlinesByLength[Progress](Progress.late_to_connect)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.close()

    async def send(
        self, request: HttpRequest, *, total: float, connect: float, owner: str, tls: ssl.SSLContext | None = None
    ) -> HttpResponse:
        """Send a request and read the answer, all within ``total`` seconds, ``connect`` of them for a connection.

        Waiting for a slot among the ``owner``'s connections counts as connecting. Any status is an answer, a
        redirect too. ``tls`` has the owner's client certificate. Raises ``NotSent`` when no byte of the request left,
        ``OutcomeUnknown`` in every other case without a whole answer. Their messages are fixed words, never what came
        back.
        """
        target = target_of(request.url)
        if not self._allow_private:
            _check_target(target)
        whole = self._whole[total]
        connecting = self._connecting[connect] if connect < total else None
        progress = Progress(connecting)
        whole.enter(progress)
        if connecting is not None:
            connecting.enter(progress)
        try:
            with progress.limit:
                return await self._in_slot(owner, request, target, progress, tls)
        except TimeoutError:
            if progress.is_written:
                raise OutcomeUnknown("timeout") from None
            raise NotSent("connect_failed", connection=True, why=TIMED_OUT) from None
        finally:
            whole.leave(progress)
            if connecting is not None:
                connecting.leave(progress)

    async def _in_slot(
        self, owner: str, request: HttpRequest, target: Target, progress: Progress, tls: ssl.SSLContext | None
    ) -> HttpResponse:
        await self._slots.take(owner)
        try:
            return await self._transport.exchange(request, target, progress, tls)
        finally:
            self._slots.give_back(owner)


def _check_target(target: Target) -> None:
    """Refuse what the text alone shows: plain http, and an address of the table or one in an unusual spelling."""
    if target.scheme != "https":
        raise NotSent("https_required", connection=True)
    if is_address(target.host) and is_forbidden(target.host):
        raise NotSent("address_not_allowed", connection=True)
