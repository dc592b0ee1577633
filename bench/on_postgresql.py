"""A gateway under test whose store is PostgreSQL. The database has no core of its own: it runs on both."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

from bench import machine
from bench.contestant import Contestant
from bench.gateway import HERE, accounts, python_of
from bench.settings import settings
from tests.support.durable_postgresql import Postgresql, children

TICKS = os.sysconf("SC_CLK_TCK")


class OnPostgresql(Contestant):
    """``url``: its database."""

    url: str

    def read(self, sql: str, params: tuple[object, ...]) -> list[Any]:
        """Rows of its database."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(sql.replace("?", "%s").encode(), params).fetchall()

    def count(self) -> dict[str, int]:
        """Its rows of each kind, in one view."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return {
                kind: connection.execute(first.encode()).fetchall()[0][0] for kind, (first, *_) in self.counts.items()
            }


@contextlib.contextmanager
def postgresql() -> Iterator[Postgresql]:
    """Run a database as installed, ``fsync`` and all, on every core."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL may run as another user
        server = Postgresql.made(Path(folder, "postgresql"))
        try:
            os.sched_setaffinity(server.pid, machine.CORES)
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def gateway_on(
    server: Postgresql, database: str, provider_port: int, *, workers: int = 1, core: int | None = machine.SERVER_CORE
) -> Iterator[OnPostgresql]:
    """Run a gateway on a new database."""
    server.execute(f"CREATE DATABASE {database}")
    url = server.url(database)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        config, port = Path(name, "settings.yaml"), machine.free_port()
        config.write_text(json.dumps(settings(port, provider_port, store=url)))
        options = ["--workers", str(workers)] if workers > 1 else []
        command = [python_of(HERE), "-m", "gateway", "serve", *options, "--config", str(config)]
        with machine.process(command, core=core, log=Path(name, "log"), folder=HERE) as process:
            contestant = OnPostgresql(process, port, Path(name, "none"), accounts(HERE, config))
            contestant.url = url
            yield contestant


def cpu_seconds(server: Postgresql) -> float:
    """CPU time of all its processes so far, also of those that ended."""
    return _cpu(server.pid, 4) + sum(_cpu(pid, 2) for pid in children(server.pid))


def _cpu(pid: int, count: int) -> float:
    """Of a process its own user and system time (2), or these and those of the children that it has reaped (4)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # it has just ended
        return 0.0
    return sum(int(ticks) for ticks in fields[11 : 11 + count]) / TICKS
