"""PostgreSQL with an archive of its write-ahead log: a base backup, and a restore to a time."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from tests.support.durable_postgresql import DATABASE, Postgresql
from tests.support.postgresql_cluster import LONGEST, USER, own_folder


class ArchivedPostgresql:
    """A server in ``folder``, its archive and its base backup; ``current`` is the one that answers on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._archive = folder, folder / "archive"
        own_folder(self._archive)
        self.current = Postgresql(
            folder / "first",
            archive_mode="on",
            archive_command=f"test ! -f {self._archive}/%f && cp %p {self._archive}/%f",
        )
        self.current.make()
        self.current.start()
        self.current.execute(f"CREATE DATABASE {DATABASE}")

    def back_up(self) -> None:
        """Make a base backup, as a nightly job does."""
        self._restored = Postgresql(self._folder / "restored")
        source = f"host=127.0.0.1 port={self.current.port} user={USER}"
        self.current.run(
            *("pg_basebackup", "-d", source, "-D", str(self._restored.data)), "--wal-method=none", "--checkpoint=fast"
        )

    def now(self) -> str:
        """The time on the server's clock."""
        ((at,),) = self.current.execute("SELECT clock_timestamp()::text")
        return str(at)

    def restore(self, until: str) -> None:
        """Lose the server, and go on at the same address with the base backup as it had become at a time."""
        self._archive_all()
        port = self.current.port
        self.current.kill()
        self._restored.settings |= {
            "restore_command": f"cp {self._archive}/%f %p",
            "recovery_target_time": until,
            "recovery_target_action": "promote",
        }
        wish = self._restored.data / "recovery.signal"
        wish.touch()
        shutil.chown(wish, wish.parent.owner(), wish.parent.group())
        self._restored.start(port)
        self.current = self._restored
        self._wait("SELECT NOT pg_is_in_recovery()")

    def _archive_all(self) -> None:
        ((last,),) = self.current.execute("SELECT pg_walfile_name(pg_switch_wal())")
        self._wait(f"SELECT last_archived_wal >= '{last}' FROM pg_stat_archiver")  # noqa: S608  # the server's own word

    def _wait(self, question: str) -> None:
        deadline = time.monotonic() + LONGEST
        while self.current.execute(question) != [(True,)]:
            assert time.monotonic() < deadline, question
            time.sleep(0.05)
