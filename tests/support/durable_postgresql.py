"""A PostgreSQL that syncs what it commits, as in production: killed, restarted, copied to standbys, promoted.

The suite's own database (``tests/support/postgresql.py``) is shared and forgetful; this one is for what must survive.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tests.support.postgresql_cluster import LONGEST, USER, Cluster, PostgreSQLFailed, own_folder

DATABASE = "gateway"

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "wal_keep_size": "1GB",
    "wal_sender_timeout": "5s",
    "wal_receiver_status_interval": "1s",
    "log_min_messages": "warning",
}
"""What differs from PostgreSQL's own defaults."""


class Postgresql(Cluster):
    """One server; its port stays its own while it is down."""

    def __init__(self, folder: Path, **settings: str) -> None:
        own_folder(folder)
        super().__init__(folder, **{**SETTINGS, **settings})
        self.port = stable_port()

    @classmethod
    def made(cls, folder: Path, **settings: str) -> Postgresql:
        """Make a cluster with one database, and start it."""
        server = cls(folder, **settings)
        server.make()
        server.start()
        server.execute(f"CREATE DATABASE {DATABASE}")
        return server

    @property
    def address(self) -> str:
        """Host and port, as in a URL."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The postmaster's."""
        assert self.process is not None
        return self.process.pid

    def start(self, port: int | None = None) -> None:
        """Start, also while processes of a server that was killed are still ending. Raises ``PostgreSQLFailed``."""
        deadline = time.monotonic() + LONGEST
        while True:
            try:
                return super().start(port)
            except PostgreSQLFailed:
                if time.monotonic() > deadline:
                    raise

    def kill(self) -> None:
        """The machine loses its power: every process gets SIGKILL."""
        for pid in [self.pid, *children(self.pid)]:
            _kill(pid)
        self.stop()

    def wait(self) -> None:
        """Return when it answers, also after a recovery of its own."""
        while not self._answers():
            time.sleep(0.05)

    def kill_connection(self, dice: random.Random) -> None:
        """Kill the process of one connection, if there is one: PostgreSQL then ends all others, and recovers."""
        if connections := self.processes(f"{USER} {DATABASE} 127.0.0.1("):
            _kill(dice.choice(connections))

    def processes(self, title: str) -> list[int]:
        """The processes whose title holds this."""
        return [pid for pid in children(self.pid) if title in _title(pid)]

    def standby(self, folder: Path, name: str) -> Postgresql:
        """Copy it, and start the copy as a standby that follows under ``name``."""
        copy = Postgresql(folder)
        follow = f"host=127.0.0.1 port={self.port} user={USER} application_name={name}"
        self.run("pg_basebackup", "-d", follow, "-D", str(copy.data), "--write-recovery-conf", "--checkpoint=fast")
        copy.start()
        return copy

    def promote(self) -> None:
        """Make a standby the primary; return when it takes writes."""
        self.execute(f"SELECT pg_promote(true, {LONGEST:.0f})")


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    with contextlib.suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _title(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def stable_port() -> int:
    """A port that the system gives to no connection, so that it stays free while its server is down.

    Not drawn from a seed: two runs may share the machine.
    """
    dice = random.Random()
    while True:
        port = dice.randrange(20000, 32000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
