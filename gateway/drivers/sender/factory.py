"""Which way calls take: directly, or through a proxy where the settings name one."""

from __future__ import annotations

from gateway.drivers.sender.connection import ClosingConnections
from gateway.drivers.sender.connection_slots import ConnectionSlots
from gateway.drivers.sender.direct import Direct
from gateway.drivers.sender.sender import Sender, Transport


def make_sender(
    *,
    proxy: str | None,
    allow_private: bool,
    slots: ConnectionSlots,
    closing: ClosingConnections,
    cuts_bodies: bool = False,
) -> Sender:
    """Make a sender; ``slots`` and ``closing`` are shared by all of a process.

    ``cuts_bodies``: of a body over the limit its beginning is returned, for callers who want the status only.
    """
    transport: Transport
    if proxy is None:
        transport = Direct(closing, allow_private=allow_private, cuts_bodies=cuts_bodies)
    else:
        from gateway.drivers.sender.proxied import Proxied  # aiohttp's client only where it is used

        transport = Proxied(proxy, cuts_bodies=cuts_bodies)
    return Sender(transport, slots, allow_private=allow_private)
