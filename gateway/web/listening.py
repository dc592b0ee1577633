"""Stop listening without breaking a connection that is being made.

Closing a listening socket resets every connection that the kernel has made but nobody has accepted, together with the
request it may carry already. So first nothing new is let in, while what has begun is still accepted.
"""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
import sys
from asyncio.trsock import TransportSocket

SO_ATTACH_FILTER = 26
"""Linux: a program (classic BPF) judges each packet for a socket; the ``socket`` module has no name for it."""

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


def refuse_new(listening: TransportSocket | socket.socket) -> None:
    """Let no new connection begin; who tries is refused once the socket is closed.

    Elsewhere than on Linux, or where filters are forbidden, nothing happens and a short window stays open.
    """
    if sys.platform != "linux":
        return
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in NO_FIRST_PACKETS))
    pointer = struct.pack("HP", len(NO_FIRST_PACKETS), ctypes.addressof(program))
    with contextlib.suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
