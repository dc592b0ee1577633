"""The files of a store: a backup replaces none of them, a link is the store it leads to, an empty file is none."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.drivers.store.sqlite import open_sqlite
from tests.support.cli import run, running, write
from tests.support.factories.store_units import stored

ROOM = 40_000
"""Bytes that a file may have where there is no room; the store is larger."""


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """Settings whose store exists and holds a payment."""
    path = write(tmp_path)
    store = await open_sqlite(store_of(path))
    await stored(store, 1, account="creditkey-main", provider="creditkey")
    await store.close()
    return path


def store_of(config: Path) -> Path:
    """The database of settings."""
    return config.parent / "data" / "gateway.db"


def files_in(folder: Path) -> list[str]:
    """What a folder holds."""
    return sorted(path.name for path in folder.iterdir())


def in_folder(folder: Path, command: tuple[str, ...]) -> list[object]:
    """A command whose files are in a folder of the test."""
    return [folder / word if word.endswith(".db") else word for word in command]


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", ".lock"])
def test_a_backup_replaces_no_file_of_the_store(config: Path, suffix: str) -> None:
    """To name the store's log, index or lock as the target is refused, with --force too."""
    target = store_of(config).with_name(store_of(config).name + suffix)
    before = files_in(target.parent)
    refused = run("backup", "--force", target, "--config", config)
    assert (refused.exit_code, refused.stderr) == (1, f"{target} is a file of the store\n")
    assert files_in(target.parent) == before


def test_a_backup_replaces_only_a_file(config: Path) -> None:
    """A pipe, a socket or a device is never taken away, with --force neither."""
    target = config.parent / "pipe"
    os.mkfifo(target)
    refused = run("backup", "--force", target, "--config", config)
    assert (refused.exit_code, target.is_fifo()) == (1, True)


def test_no_room_for_a_backup_is_the_target_s_fault(config: Path) -> None:
    """A disk that is full ends with 1 and does not blame the store, and nothing half-made stays."""

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, ROOM))

    target = config.parent / "copy.db"
    command = [sys.executable, "-m", "gateway", "backup", str(target), "--config", str(config)]
    done = subprocess.run(command, preexec_fn=no_room, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.partition(":")[0]) == (1, "the copy cannot be written")
    assert files_in(config.parent) == ["data", "settings.yaml"]


def test_a_link_to_a_store_is_that_store(config: Path) -> None:
    """A second gateway that names the store by a link finds it in use."""
    folder = config.parent / "second"
    (folder / "data").mkdir(parents=True)
    second = write(folder)
    store_of(second).symlink_to(store_of(config))
    with running("serve", "--config", config), running("serve", "--config", second, lines=0) as process:
        assert process.ended()[0] == 3


@pytest.mark.parametrize("command", [("recover", "--restored"), ("payments", "list"), ("backup", "copy.db")])
def test_an_empty_file_is_no_store(tmp_path: Path, command: tuple[str, ...]) -> None:
    """What a copy to a full disk leaves behind is refused, and is not made a new store."""
    config = write(tmp_path)
    store_of(config).parent.mkdir()
    store_of(config).touch()
    refused = run(*in_folder(tmp_path, command), "--config", config)
    assert (refused.exit_code, "is an empty file" in refused.stderr) == (4, True)
    assert files_in(store_of(config).parent) == ["gateway.db"]


@pytest.fixture
async def mixed(tmp_path: Path) -> Path:
    """Settings whose store is a backup beside the log of the lost one."""
    config = write(tmp_path)
    path, log = store_of(config), store_of(config).with_name("gateway.db-wal")
    store = await open_sqlite(path)
    await stored(store, 1)
    left = log.read_bytes()
    await store.close()
    assert run("backup", tmp_path / "copy.db", "--config", config).exit_code == 0
    (tmp_path / "copy.db").replace(path)
    log.write_bytes(left)
    return config


@pytest.mark.parametrize("command", [("payments", "list"), ("inbox", "list"), ("backup", "again.db")])
def test_readers_do_not_mix_a_backup_with_another_log(mixed: Path, command: tuple[str, ...]) -> None:
    """What reads, and what copies, refuses a log that was left behind as serve does."""
    refused = run(*in_folder(mixed.parent, command), "--config", mixed)
    assert (refused.exit_code, "another database" in refused.stderr) == (4, True)
