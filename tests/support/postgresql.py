"""One PostgreSQL for a run of the tests, and a database of its own for each test that wants one.

The first process of a run that needs it starts a guard, which makes a cluster and runs it until the run is over,
however that ended: pytest holds a lock on a file as long as it lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from gateway.drivers.store.postgresql import migrations
from tests.support.postgresql_cluster import NOT_DURABLE, Cluster, PostgreSQLFailed, running_cluster

TEMPLATE = "gateway_template"
"""The database that every test's is copied from: the store's tables, without rows."""

PREFIX = "gateway-tests-"
"""What the names of the runs' folders begin with."""

FOLDER = "GATEWAY_TEST_RUN"
"""The environment variable by which the processes of one run know its folder."""

SHARED_MEMORY, ENOUGH = "/dev/shm", 1_000_000_000  # noqa: S108
"""A database copied there takes a tenth of the time that it takes on a disk; the bytes that must be free."""

_numbers = itertools.count(1)


@contextlib.contextmanager
def folder_of_the_run() -> Iterator[None]:
    """Make the folder of a run, and hold its lock for the time of the block; nothing for a worker of that run."""
    if FOLDER in os.environ:
        yield
        return
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=memory()))
    _sweep(folder.parent)
    folder.chmod(0o755)  # PostgreSQL may run as another user
    os.environ[FOLDER] = str(folder)
    try:
        with (folder / "run").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
            is_guarded = (folder / "server").exists()
    finally:
        del os.environ[FOLDER]
    if not is_guarded:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Delete what runs have left that were killed before they had a guard, or together with it, a minute ago."""
    for left in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (left / "run").open() as lock:
            if time.time() - left.stat().st_mtime < 60:  # it may be about to take its lock
                continue
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(OSError):
                postgres = int((left / "server/cluster/data/postmaster.pid").read_text().split()[0])
                if str(left) in Path(f"/proc/{postgres}/cmdline").read_text():
                    os.kill(postgres, signal.SIGQUIT)
            shutil.rmtree(left, ignore_errors=True)


def memory() -> str | None:
    """Where files cost least; None for the usual folder. Containers may have next to no shared memory."""
    with contextlib.suppress(OSError):
        if os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free >= ENOUGH:
            return SHARED_MEMORY
    return None


@contextlib.contextmanager
def fresh_database() -> Iterator[str]:
    """Yield the URL of a database with the store's tables and no rows; it is dropped afterwards.

    Raises ``PostgreSQLFailed`` where PostgreSQL cannot start.
    """
    server = _server_of_the_run()
    name = f"test_{os.getpid()}_{next(_numbers)}"
    server.make(name)
    try:
        yield server.url(name)
    finally:
        server.begin(f"DROP DATABASE {name} WITH (FORCE)")


def shut(url: str) -> None:
    """Close a database to everybody, as where it is out of reach."""
    name = conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, dbname="postgres", autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
        while server.execute(_ENDED, (name,)).fetchall():
            pass


_ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
"""Ends whoever is connected; no rows where nobody is."""


class _Server:
    """The run's server, seen from one process of the run."""

    def __init__(self, url: str) -> None:
        self._prefix = url.rpartition("/")[0]
        self._connection = psycopg.connect(url, autocommit=True)

    def url(self, database: str) -> str:
        return f"{self._prefix}/{database}"

    def make(self, database: str) -> None:
        """Copy the template file by file, as PostgreSQL 14 always does and later ones when told to."""
        strategy = "STRATEGY FILE_COPY" if self._connection.info.server_version >= 15_00_00 else ""
        self._finish()
        self._connection.execute(f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} {strategy}".encode())

    def begin(self, sql: str) -> None:
        """Send a statement and do not wait for its end."""
        self._finish()
        self._connection.pgconn.send_query(sql.encode())
        self._connection.pgconn.flush()

    def _finish(self) -> None:
        while (result := self._connection.pgconn.get_result()) is not None:
            if result.error_message:
                raise PostgreSQLFailed(result.error_message.decode())


def _server_of_the_run() -> _Server:
    answer = _started_server(os.environ[FOLDER])
    if isinstance(answer, str):
        raise PostgreSQLFailed(answer)
    return answer


@functools.cache
def _started_server(folder: str) -> _Server | str:
    """Start the run's server, or find it started; a text says why there is none."""
    server, answer = Path(folder) / "server", Path(folder) / "answer"
    with (Path(folder) / "starting").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answer.exists():
            server.mkdir()
            guard = subprocess.Popen(
                [sys.executable, "-m", "tests.support.postgresql", folder],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,
            )
            assert guard.stdout is not None
            answer.write_bytes(guard.stdout.read() or b"the guard ended before it said anything")
    said = answer.read_text()
    return _Server(said) if said.startswith("postgresql://") else f"PostgreSQL cannot run for the tests: {said}"


def _guard(folder: Path) -> None:
    """Run the server until nobody holds the run's lock, then delete the run's folder. Says its URL, or what failed."""
    try:
        with running_cluster(folder / "server" / "cluster", **NOT_DURABLE) as cluster:
            _make_template(cluster)
            _answer(cluster.url())
            _wait_for_the_end(folder)
    except BrokenPipeError:
        pass  # who asked is gone
    except Exception:
        _answer(traceback.format_exc())
        _wait_for_the_end(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answer(text: str) -> None:
    with open(sys.stdout.fileno(), "w") as answer:  # closed: who asked reads to the end
        answer.write(text)


def _wait_for_the_end(folder: Path) -> None:
    with (folder / "run").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def _make_template(cluster: Cluster) -> None:
    cluster.execute(f"CREATE DATABASE {TEMPLATE}")
    asyncio.run(migrations.prepare(cluster.url(TEMPLATE)))


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
