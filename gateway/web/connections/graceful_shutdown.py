"""Stop listening, and let the connections that have begun end by themselves.

Without this module a stop resets clients in two ways. aiohttp closes idle connections at once, also one whose client
is just sending its next request; ``wait_for_connections`` gives those time, in which they are answered that the
gateway stops. And closing a listening socket makes the kernel reset every connection that it has completed but that
nobody has accepted yet, together with the request it may carry already. Python offers no call that refuses new
connections and keeps the queued ones, so ``stop_listening`` first attaches a packet filter which drops the packets
that ask for new connections, accepts what has begun, and closes then. Clients whose packets were dropped repeat them
and are refused.

The packet filter may be deleted once the gateway only ever runs behind a proxy that stops sending before it is
stopped, or once listening sockets are handed over from one process to the next.
``tests/web/connections/test_graceful_shutdown.py`` shows the resets that come back then.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from array import array
from asyncio.trsock import TransportSocket
from collections.abc import Collection, Iterable, Iterator

from aiohttp import web

from gateway.web.connections.capacity import Capacity
from gateway.web.connections.connection import Connection

HANDSHAKE_SECONDS = 0.1
"""For connections whose handshake was under way when the filter was attached."""

POLL_SECONDS = 0.02
"""Between two looks at the connections that are left."""

SO_ATTACH_FILTER = 26
"""Linux: attach a program (classic BPF) that filters a socket's packets; the ``socket`` module has no name for it."""

TCP_FLAGS, SYN, SYN_OR_ACK = 13, 0x02, 0x12
_LOAD_BYTE, _AND, _IF_EQUAL, _RETURN = 0x30, 0x54, 0x15, 0x06
_DROP, _KEEP = 0, 0xFFFFFFFF

NO_FIRST_PACKETS = (
    (_LOAD_BYTE, 0, 0, TCP_FLAGS),
    (_AND, 0, 0, SYN_OR_ACK),
    (_IF_EQUAL, 0, 1, SYN),
    (_RETURN, 0, 0, _DROP),
    (_RETURN, 0, 0, _KEEP),
)
"""Drop the packet that asks for a connection, keep those of a handshake under way: (code, jump if, else, value)."""


def listening_sockets(sites: Iterable[web.BaseSite]) -> Iterator[TransportSocket]:
    """The sockets of aiohttp's sites, which have no public name for them."""
    for site in sites:
        yield from getattr(site._server, "sockets", ())


async def stop_listening(sites: Collection[web.BaseSite], *, are_shared: bool = False) -> None:
    """Let no new connection begin, accept those that have begun, then close the listening sockets.

    ``are_shared``: other processes listen there too. A filter would stop them as well, so the supervisor attaches it
    when all of them stop; what is left in the queue is theirs.
    """
    for listening in () if are_shared else listening_sockets(sites):
        drop_new_connections(listening)
    await asyncio.sleep(HANDSHAKE_SECONDS)
    for site in sites:
        await site.stop()


async def wait_for_connections(capacity: Capacity[Connection], *, idle_until: float, until: float) -> None:
    """Wait until every connection has ended: idle ones at most to ``idle_until``, others to ``until`` (loop time)."""
    clock = asyncio.get_running_loop().time
    while len(capacity) and clock() < until:
        if clock() >= idle_until and all(one.is_idle for one in capacity):
            break
        await asyncio.sleep(POLL_SECONDS)


def drop_new_connections(listening: TransportSocket | socket.socket) -> None:
    """Drop the packets that ask for a new connection; their senders are refused once the socket is closed.

    Elsewhere than on Linux, or where filters are forbidden, nothing happens and a short window stays open.
    """
    if sys.platform != "linux":
        return
    program = array("B", b"".join(struct.pack("HBBI", *step) for step in NO_FIRST_PACKETS))
    address, _ = program.buffer_info()
    pointer = struct.pack("HP", len(NO_FIRST_PACKETS), address)
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
