"""Which files the settings are read from: regular ones of the right owner, that nobody else can write."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.core.secret import Secret
from tests.support.cli import run
from tests.support.factories.settings import ENVIRON, load, problems

FROM_FILE = "server: {{secret: 'file:master', development: {development}}}\n"
PRODUCTION, DEVELOPMENT = FROM_FILE.format(development="false"), FROM_FILE.format(development="true")
LEAST = "server: {secret: 'env:GATEWAY_SECRET'}\n"
TEXT = "a master secret in a file, long enough"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


def listen(path: Path) -> None:
    """Leave a socket behind."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "socket": listen,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/null"),
    "link to a pipe": lambda path: (os.mkfifo(f"{path}-0"), path.symlink_to(f"{path}-0")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", [PRODUCTION, DEVELOPMENT], ids=["production", "development"])
def test_a_secret_is_read_from_regular_files_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, text: str
) -> None:
    """A pipe without a writer would hang the start for ever, a device could hand out anything."""
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    KINDS[kind](Path("master"))
    assert problems(tmp_path, text) == ["settings.yaml:1: server.secret: file master is not a regular file"]


@pytest.mark.parametrize("kind", KINDS)
def test_settings_are_read_from_regular_files_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """The settings file itself and every included one."""
    monkeypatch.chdir(tmp_path)
    KINDS[kind](Path("other.yaml"))
    result = run("check", "--config", "other.yaml")
    assert (result.exit_code, result.stderr) == (2, "other.yaml:1: is not a regular file\n")
    assert problems(tmp_path, LEAST + "include: [other.yaml]") == ["other.yaml:1: is not a regular file"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    """Mounted secrets are links; what they lead to is judged."""
    (tmp_path / "..data").mkdir()
    target = tmp_path / "..data" / "master"
    target.write_text(TEXT)
    target.chmod(0o400)
    (tmp_path / "master").symlink_to(target)
    assert load(tmp_path, PRODUCTION).server.secret == Secret(TEXT)
    target.chmod(0o644)
    assert problems(tmp_path, PRODUCTION) == [
        "settings.yaml:1: server.secret: file master has mode 0644, it must be 0600 or less"
    ]


def test_a_secret_has_an_end(tmp_path: Path) -> None:
    """A file that is no secret's size is not read to its end."""
    (tmp_path / "master").write_bytes(b"x" * 65_537)
    (tmp_path / "master").chmod(0o600)
    assert problems(tmp_path, PRODUCTION) == ["settings.yaml:1: server.secret: file master is larger than 65536 bytes"]


@as_root
@pytest.mark.parametrize(
    ("owner", "settings_owner", "is_taken"), [(0, 0, True), (4711, 0, False), (4711, 4711, True), (0, 4711, True)]
)
def test_a_secret_belongs_to_us_or_to_the_settings_owner(
    tmp_path: Path, owner: int, settings_owner: int, is_taken: bool
) -> None:
    """Whoever owns the file knows the secret and can change it."""
    (tmp_path / "master").write_text(TEXT)
    (tmp_path / "master").chmod(0o600)
    os.chown(tmp_path / "master", owner, -1)
    (tmp_path / "settings.yaml").touch()
    os.chown(tmp_path / "settings.yaml", settings_owner, -1)
    if is_taken:
        assert load(tmp_path, PRODUCTION).server.secret == Secret(TEXT)
    else:
        [line] = problems(tmp_path, PRODUCTION)
        assert line.endswith("belongs to neither the owner of the settings file nor the gateway's own user")


@pytest.mark.parametrize("mode", [0o666, 0o646, 0o664, 0o620, 0o602])
def test_settings_that_others_can_write_are_refused(tmp_path: Path, mode: int) -> None:
    """Whoever can write them can send the money elsewhere; included files count too. In development it is allowed."""
    included = tmp_path / "tenants.yaml"
    included.write_text("tenants: {acme: {}}")
    for path in (tmp_path / "settings.yaml", included):
        path.touch()
        path.chmod(mode)
        said = f"{path.name}:1: has mode {mode:04o}, so others can change it: chmod go-w (development: true allows it)"
        assert problems(tmp_path, LEAST + "include: [tenants.yaml]") == [said]
        assert load(tmp_path, LEAST.replace("}", ", development: true}") + "include: [tenants.yaml]").tenants
        path.chmod(0o644)
    assert load(tmp_path, LEAST + "include: [tenants.yaml]", ENVIRON).tenants
