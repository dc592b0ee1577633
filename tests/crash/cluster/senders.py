"""Which process is at the other end of a connection on loopback, asked of the kernel."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterable

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST = 4, 20, 1
_REQUEST = struct.Struct("=IHHII BBBxI")
"""The header of a netlink message, then family, protocol, nothing asked for besides, and every state."""
_INODE_AT = 16 + 4 + 48 + 16
"""Behind the header, the socket's state, its addresses, and four numbers."""


class Senders:
    """Finds senders among some processes."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)

    def process_of(self, peer: tuple[str, int], here: tuple[str, int], among: Iterable[int]) -> int | None:
        """The process whose socket has the address ``peer`` and is connected to ``here``; None once it is gone."""
        inode = self._inode(peer, here)
        return next((pid for pid in among if inode and _has(pid, f"socket:[{inode}]")), None)

    def _inode(self, peer: tuple[str, int], here: tuple[str, int]) -> int:
        ends = struct.pack("!HH", peer[1], here[1]) + socket.inet_aton(peer[0]).ljust(16, b"\0")
        ends += socket.inet_aton(here[0]).ljust(16, b"\0") + struct.pack("=III", 0, 0xFFFFFFFF, 0xFFFFFFFF)
        head = _REQUEST.pack(
            _REQUEST.size + len(ends), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 0, 0, socket.AF_INET, 6, 0, 0xFFFFFFFF
        )
        self._netlink.send(head + ends)
        answer = self._netlink.recv(4096)
        (kind,) = struct.unpack_from("=H", answer, 4)
        return int(struct.unpack_from("=I", answer, _INODE_AT)[0]) if kind == SOCK_DIAG_BY_FAMILY else 0


def _has(pid: int, link: str) -> bool:
    with contextlib.suppress(OSError):
        for one in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(one.path) == link:
                    return True
    return False
