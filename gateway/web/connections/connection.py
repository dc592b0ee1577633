"""One connection of a caller: how much it may send, for how long, and what ends it.

aiohttp reads and answers the requests. It waits forever for a head and for a client that does not read, keeps an idle
connection for an hour, and accepts a megabyte of head. Here every phase of a connection has a deadline, and what it
may hold is bounded. Only this module, ``listener.py``, ``graceful_shutdown.py`` and ``web/direct_routes.py`` use
internals of aiohttp: a request passes through ``_handle_request``, ``finish_response`` and ``handle_error``;
``_messages`` are requests that are read and wait for their turn; ``_loop`` is what its ``start`` works with.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import math
import socket
import struct
import termios
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from aiohttp import HttpVersion10, HttpVersion11, StreamReader, web
from aiohttp.streams import EMPTY_PAYLOAD

from gateway.flows.runtime import log
from gateway.web.connections.answer_blocks import block_of
from gateway.web.connections.capacity import Capacity, Phase
from gateway.web.connections.malformed_requests import (
    FAULTS,
    TOO_LARGE,
    Handler,
    head_size,
    raw_head_too_large,
    refusal,
    refuse_head,
    refuse_version,
)
from gateway.web.response_headers import REQUEST_ID_HEADER, add_headers

IDLE, HEAD, UNREAD, BODY, WORK = Phase  # by their names: before Python 3.12 ``Phase.IDLE`` costs ten times as much

READ_BYTES = 64 * 1024
"""The most that is taken from a socket at once. asyncio would make room for four times as much at each reading, and
give it back, which takes longer than to read a request."""

NO_LINGER = struct.pack("ii", 1, 0)
"""``SO_LINGER``: the kernel sends nothing after the socket is closed."""


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one connection. ``seconds``: how long it may stay in a phase; work has no limit."""

    head_bytes: int
    seconds: Mapping[Phase, float]


NoteUnread = Callable[[str | None, int], str]
"""Logs that an address was answered with a status and no handler ran; returns the request id for the answer."""


class Connection(web.RequestHandler):
    """A connection that knows its phase. ``deadline``: when it is closed if it is still in that phase, in loop time."""

    __slots__ = (
        "_answer_by", "_body", "_bounds", "_capacity", "_head", "_is_held", "_is_long", "_is_proved", "_is_refused",
        "_is_working", "_link", "_note_unread", "_phase", "deadline",
    )  # fmt: skip

    def __init__(
        self,
        manager: web.Server,
        *,
        capacity: Capacity[Connection],
        bounds: Bounds,
        note_unread: NoteUnread,
        **settings: Any,
    ) -> None:
        super().__init__(manager, **settings)
        self._capacity = capacity
        self._bounds = bounds
        self._note_unread = note_unread
        self._link: asyncio.Transport | None = None  # aiohttp forgets its own before everything is written
        self._phase: Phase | None = None
        self._head = 0  # bytes that came and are not part of a whole head or of a body
        self._is_long = False  # whether a head that was read may be longer than it may be
        self._is_working = False
        self._is_held = False
        self._is_proved = False
        self._is_refused = False
        self._body: StreamReader = EMPTY_PAYLOAD
        self._answer_by: float | None = None  # when the present answer must have been taken
        self.deadline = math.inf

    @property
    def is_idle(self) -> bool:
        """Whether no request on it is being read or answered."""
        return self._phase in (IDLE, HEAD)

    def prove(self) -> None:
        """Note that a request on it carried a valid credential."""
        if not self._is_proved:
            self._is_proved = True
            if self._phase is not None:
                self._capacity.move(self, self._phase, is_proved=True)

    def end(self) -> None:
        """Close it now, even if an answer is not written. The kernel too drops what the client has not read."""
        self._capacity.leave(self)
        self.deadline = math.inf
        self.force_close()
        if self._link is not None:
            forget_unread(self._link.get_extra_info("socket"))
            self._link.abort()

    # Called by asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or close it at once where there is no place."""
        link = cast("asyncio.Transport", transport)
        self._link = link
        link.set_write_buffer_limits(high=0)  # pause_writing says that the client does not take all at once
        link.max_size = READ_BYTES  # type: ignore[attr-defined]  # of asyncio's own transports
        super().connection_made(link)
        self._loop = _awaiting(self._loop)
        if self._is_admitted(self._address):
            self._begin(HEAD)
        else:
            self.end()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop counting it."""
        self._capacity.leave(self)
        self.deadline = math.inf
        super().connection_lost(exc)
        if not self._is_working:
            self._body.feed_eof()  # aiohttp would wait for the rest of a refused body as if it could still come

    def pause_writing(self) -> None:
        """The client does not read what is written."""
        super().pause_writing()
        if self._answer_by is None:
            self._answer_by = self._loop.time() + self._bounds.seconds[UNREAD]
        self._follow()

    def resume_writing(self) -> None:
        """The client has read what was written so far, perhaps only a part of its answer."""
        super().resume_writing()
        self._follow()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Read on after a pause. aiohttp calls this after every piece of a body, and would parse nothing once more."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        """Parse what arrived, and stop reading where more arrives than may be held."""
        if self._is_refused:
            return
        was, body_before = self._phase, self._body.total_bytes
        super().data_received(data)
        if was is BODY:
            self._count_around_body(0 if self._body.total_bytes > body_before else len(data))
        elif was is not IDLE and was is not HEAD:
            self._hold(len(data))
        elif self._messages:
            self._is_long = self._head + len(data) > self._bounds.head_bytes
            self._head, self._is_working = 0, True
            self._body = self._messages[0][1]
        else:
            self._count_head(len(data))
        self._follow()

    # Called by aiohttp for a request

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, request_handler: Handler
    ) -> tuple[web.StreamResponse, bool]:
        if self._body is not request.content:  # it came together with others, and waited
            self._body = request.content
            if self._is_held and not self._body.is_eof():
                self._let_go()
            self._follow()
        if self._is_long and head_size(request) > self._bounds.head_bytes:
            request_handler = refuse_head
        elif not HttpVersion10 <= request.version <= HttpVersion11:
            request_handler = refuse_version
        if self._messages:
            await asyncio.sleep(0)  # others have their turn between the requests of a client that sends many at once
        try:
            return await super()._handle_request(request, start_time, request_handler)
        finally:
            self._is_working = bool(self._messages)
            if not self.writing_paused:
                self._answer_by = None
            if self._is_held and not self._is_working:
                self._let_go()
            self._follow()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, a handler's or aiohttp's own, with the headers that every answer has."""
        if isinstance(resp, web.HTTPException):
            resp.text = f"{resp.reason}\n"  # aiohttp's own text quotes the request
        is_ours = REQUEST_ID_HEADER in resp.headers
        block = block_of(request, resp) if is_ours and not self._upgraded else None
        if block is not None:
            return resp, await self._write_whole(block, request, resp)
        add_headers(resp)
        if not is_ours:
            resp.headers[REQUEST_ID_HEADER] = self._note_unread(self._address, resp.status)
        return await super().finish_response(request, resp, start_time)

    async def _write_whole(self, block: bytes, request: web.BaseRequest, resp: web.StreamResponse) -> bool:
        """Write an answer; the connection lasts. Returns whether the client is gone."""
        request._finish()
        resp._keep_alive = True
        try:
            await request.writer.write_eof(block)
        except ConnectionError:
            return True
        return False

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002  # aiohttp's message quotes the request
    ) -> web.StreamResponse:
        """Answer a malformed request, or an error that no handler caught, in fixed words."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        if status >= FAULTS:
            log.error("fault", exc_info=exc)
        return refusal(status, exc)

    # Phases and bounds

    def _follow(self) -> None:
        if self.writing_paused:
            phase = UNREAD
        elif not self._body.is_eof():
            phase = BODY
        elif self._is_working:
            phase = WORK
        else:
            phase = HEAD if self._head else IDLE
        if phase is not self._phase and self._link is not None and not self._link.is_closing():
            self._begin(phase)

    def _begin(self, phase: Phase) -> None:
        self._phase = phase
        self._capacity.move(self, phase, is_proved=self._is_proved)
        if phase is WORK:
            self.deadline = math.inf
        elif phase is UNREAD and self._answer_by is not None:
            self.deadline = self._answer_by
        else:
            self.deadline = self._loop.time() + self._bounds.seconds[phase]

    @property
    def _address(self) -> str | None:
        peer = self._link.get_extra_info("peername") if self._link is not None else None
        return peer[0] if peer else None

    def _is_admitted(self, address: str | None) -> bool:
        """Whether it may stay. Where all places are taken, another connection is closed for it."""
        capacity = self._capacity
        if capacity.is_full or not capacity.takes_from(address):
            capacity.turned_away += 1
            least = capacity.next_to_go() if capacity.takes_from(address) else None
            if least is None:
                return False
            least.end()
        capacity.enter(self, address)
        return True

    def _count_head(self, more: int) -> None:
        """Refuse a head that is too long. What still arrives is not read, so that the client gets the answer."""
        self._head += more
        if self._head > self._bounds.head_bytes and self._link is not None:
            self._is_refused = True
            self._link.write(raw_head_too_large(self._note_unread(self._address, TOO_LARGE)))
            self._link.write_eof()
            self.close()

    def _count_around_body(self, more: int) -> None:
        """Bound what is sent beside the bytes of a body: trailers and chunk extensions."""
        self._head = self._head + more if more and not self._body.is_eof() else 0
        if self._head > self._bounds.head_bytes:
            self.end()

    def _hold(self, more: int) -> None:
        """Stop reading while a request is in work; what arrives is read after it."""
        if self._link is None or not more:
            return
        self._head = 0 if self._messages else self._head + more
        self._is_held = self._is_long = True
        self._link.pause_reading()

    def _let_go(self) -> None:
        self._is_held = False
        if self._link is not None:
            self._link.resume_reading()


@functools.lru_cache(1)
def _awaiting(loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
    """The event loop for aiohttp's ``start``, which makes a task of each request: here the request itself is awaited.

    A task costs a request two turns of the loop. From Python 3.12 on aiohttp begins it at once and looks here no more.
    """
    start = SimpleNamespace(
        create_future=loop.create_future, time=loop.time, call_at=loop.call_at, create_task=lambda request: request
    )
    return cast("asyncio.AbstractEventLoop", start)


def forget_unread(sock: TransportSocket) -> None:
    """Let the kernel reset a connection on close if it still holds bytes that the client has not read.

    Otherwise it would keep offering them, in its own memory, for minutes.
    """
    with contextlib.suppress(OSError, ValueError):  # closed already
        (unread,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))
        if unread:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)


def note_proof(request: web.BaseRequest) -> None:
    """Note that a request carried a valid credential, so that its connection is closed after unproved ones."""
    if isinstance(request.protocol, Connection):
        request.protocol.prove()
