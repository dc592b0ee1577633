"""Where the gateway cannot listen, as lines that name the settings file's line and key."""

from __future__ import annotations

import errno
import os
import socket

from gateway.core.errors import SettingsError
from gateway.drivers.settings.located_messages import LocatedMessages
from gateway.drivers.settings.model import Admin, Server, Settings
from gateway.drivers.settings.problems import Path


def unusable_hosts(settings: Settings) -> list[str]:
    """A line for each listener whose host has no address, or none of this machine.

    Blocking: a name is looked up as ``serve`` would. No port is taken that a running gateway has.
    """
    lines = []
    for at in (settings.server, settings.server.admin):
        try:
            _try_addresses(at.host)
        except OSError as problem:
            lines.append(_line(settings, at, "host", problem))
    return lines


def _try_addresses(host: str) -> None:
    """Listen on any free port of every address of a host. Raises ``OSError``."""
    for family, kind, _, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
        with socket.socket(family, kind) as probe:
            probe.bind(address)


def cannot_listen(settings: Settings, at: Server | Admin, problem: OSError) -> Exception:
    """What to raise where a listener could not begin: a mistake of the settings, or a port that is not free now."""
    if isinstance(problem, socket.gaierror) or problem.errno == errno.EADDRNOTAVAIL:
        return SettingsError([_line(settings, at, "host", problem)])
    return OSError(_line(settings, at, "port", problem))


def _line(settings: Settings, at: Server | Admin, key: str, problem: OSError) -> str:
    path: Path = ("server", key) if at is settings.server else ("server", "admin", key)
    why = problem.strerror if isinstance(problem, socket.gaierror) else os.strerror(problem.errno or 0)
    said = f"cannot listen on host {at.host}, port {at.port}: {why}"
    return LocatedMessages(settings.source).at(path, said)
