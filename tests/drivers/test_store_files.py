"""Who may open the store's files: their owner alone, whatever the umask and whoever made the folder."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.core.errors import Unavailable
from gateway.drivers.store import store_files
from gateway.drivers.store.backup import NotCopied, back_up
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.store_files import open_to_other_users

IN_USE = """
import asyncio, json, os, sys
from datetime import datetime, UTC
from pathlib import Path
os.umask(int(sys.argv[1], 8))
from gateway.drivers.store.backup import back_up
from gateway.drivers.store.sqlite import open_sqlite

def modes(folder):
    return {path.name: oct(path.stat().st_mode & 0o7777) for path in [folder, *folder.iterdir()]}

async def main(folder):
    path = folder / "above" / "data" / "gateway.db"
    store = await open_sqlite(path, strict=True)
    await store.prove_writable(datetime.now(UTC))
    found = {**modes(path.parent), "above": modes(path.parent.parent)["above"]}
    await asyncio.to_thread(back_up, path, folder / "copy.db", at=datetime.now(UTC))
    found |= {"copy.db": modes(folder)["copy.db"]}
    await store.close()
    print(json.dumps([found, modes(path.parent)]))

asyncio.run(main(Path(sys.argv[2])))
"""


@pytest.mark.parametrize("umask", ["000", "022", "077"])
def test_all_is_for_its_owner_alone(tmp_path: Path, umask: str) -> None:
    """Folder 0700, files 0600: the database, its log and index, the lock and a backup, in use and closed."""
    done = subprocess.run(
        [sys.executable, "-c", IN_USE, umask, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    in_use, closed = json.loads(done.stdout)
    folders = {"data": "0o700", "above": "0o700"}
    kept = dict.fromkeys(["gateway.db", "gateway.db-wal", "gateway.db-shm", "gateway.db.lock", "copy.db"], "0o600")
    assert in_use == {**folders, **kept}
    assert closed == {"data": "0o700", "gateway.db": "0o600", "gateway.db.lock": "0o600"}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def widen(folder: Path) -> None:
    """Modes as an older gateway left them under the umask 022, and a log that was left."""
    (folder / "gateway.db-wal").touch()
    for file in folder.iterdir():
        file.chmod(0o644)
    folder.chmod(0o755)


async def wide_store(folder: Path) -> Path:
    """A store as an older gateway made it."""
    path = folder / "gateway.db"
    await (await open_sqlite(path)).close()
    widen(folder)
    return path


async def test_a_wide_store_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """Outside development folder and every file are named with the command that closes them; nothing is changed."""
    path = await wide_store(tmp_path)
    with pytest.raises(Unavailable) as refused:
        await open_sqlite(path, strict=True)
    for command in (f"chmod 700 {tmp_path}", f"chmod 600 {path}", f"chmod 600 {path}-wal", f"chmod 600 {path}.lock"):
        assert command in str(refused.value)
    assert (mode_of(tmp_path), mode_of(path)) == (0o755, 0o644)


async def test_a_wide_store_is_narrowed_in_development(tmp_path: Path) -> None:
    """It opens as before, and is closed to others from then on."""
    path = await wide_store(tmp_path)
    await (await open_sqlite(path)).close()
    assert (mode_of(tmp_path), mode_of(path), mode_of(Path(f"{path}.lock"))) == (0o700, 0o600, 0o600)
    assert open_to_other_users(path) == []


async def test_a_folder_that_holds_more_is_not_ours_to_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In development it stays as it is, with a word; the files are closed."""
    path = await wide_store(tmp_path)
    (tmp_path / "notes.txt").touch()
    await (await open_sqlite(path)).close()
    assert (mode_of(tmp_path), mode_of(path)) == (0o755, 0o600)
    assert "others may open the store" in caplog.text


@pytest.mark.parametrize(
    ("mode", "said"),
    [(0o1777, "shared by all users"), (0o777, "chmod 700"), (0o770, "chmod 700"), (0o710, "chmod 700"), (0o2700, None)],
)
def test_folders_that_others_may_open(tmp_path: Path, mode: int, said: str | None) -> None:
    """Also those in which others may only look a file up by its name; a folder such as /tmp is never taken."""
    tmp_path.chmod(mode)
    found = open_to_other_users(tmp_path / "gateway.db")
    assert (said in found[0]) if said else found == []


async def test_a_store_behind_a_link_is_judged_where_it_is(tmp_path: Path) -> None:
    """The link's folder is not the store's."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "links").mkdir(mode=0o755)
    (tmp_path / "links").chmod(0o755)
    link = tmp_path / "links" / "gateway.db"
    link.symlink_to(tmp_path / "real" / "gateway.db")
    await (await open_sqlite(link, strict=True)).close()
    assert open_to_other_users(link) == []


def test_another_users_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone who owns the folder may replace what is in it."""
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    os.chown(tmp_path, 4712, -1) if os.getuid() == 0 else pytest.skip("only root gives folders away")
    assert "belongs to another user" in open_to_other_users(tmp_path / "gateway.db")[0]


async def test_no_backup_where_everybody_may_replace_it(tmp_path: Path) -> None:
    """A copy is as secret as the store, and a replaced one would be restored some day."""
    path, target = tmp_path / "data" / "gateway.db", tmp_path / "shared" / "copy.db"
    await (await open_sqlite(path)).close()
    target.parent.mkdir()
    target.parent.chmod(0o777)
    with pytest.raises(NotCopied, match="chmod o-w"):
        back_up(path, target, at=datetime.now(UTC))
    target.parent.chmod(0o1777)
    assert back_up(path, target, at=datetime.now(UTC)).payments == 0
    assert not store_files.anybody_may_replace(target.parent)
