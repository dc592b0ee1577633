"""Which way calls take: directly, or through a proxy where the settings name one."""

from __future__ import annotations

from gateway.drivers.sender.connection import Leaving
from gateway.drivers.sender.direct import Direct
from gateway.drivers.sender.places import Places
from gateway.drivers.sender.sender import Sender, Way


def make_sender(
    *, proxy: str | None, allow_private: bool, places: Places, leaving: Leaving, cuts_bodies: bool = False
) -> Sender:
    """Make a sender; ``places`` and ``leaving`` are shared by all of a process.

    ``cuts_bodies``: of a body over the limit its beginning is returned, for callers who want the status only.
    """
    way: Way
    if proxy is None:
        way = Direct(leaving, allow_private=allow_private, cuts_bodies=cuts_bodies)
    else:
        from gateway.drivers.sender.proxied import Proxied  # aiohttp's client only where it is used

        way = Proxied(proxy, cuts_bodies=cuts_bodies)
    return Sender(way, places, allow_private=allow_private)
