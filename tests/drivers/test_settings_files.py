"""Which files the settings are read from: regular ones of the right owner, that nobody else can write."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.core.secret import Secret
from gateway.drivers.settings.settings_files import SettingsFiles
from tests.support.cli import run
from tests.support.factories.settings import ENVIRON, LEAST, load, problems, with_account

FROM_FILE = "server: {{secret: 'file:master', development: {development}}}\n"
PRODUCTION, DEVELOPMENT = FROM_FILE.format(development="false"), FROM_FILE.format(development="true")
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
    """Anyone who owns the file knows the secret and can change it."""
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


def test_secret_from_a_file(tmp_path: Path) -> None:
    """A secret file is relative to the settings file; the line break at its end does not belong to it."""
    (tmp_path / "token").write_text("s3cret-in-a-file\n")
    (tmp_path / "token").chmod(0o600)
    config: Any = (
        load(tmp_path, with_account("{provider: plain, config: {token: 'file:token'}}"))
        .tenants["acme"]
        .accounts["main"]
        .account.config
    )
    assert config.token == Secret("s3cret-in-a-file")


@pytest.mark.parametrize(
    ("data", "mode", "said"),
    [
        (b"s3cret", 0o640, "file token has mode 0640, it must be 0600 or less"),
        (b"s3cret", 0o700, "file token has mode 0700, it must be 0600 or less"),
        (b"\n", 0o600, "file token is empty"),
        (b"\xff", 0o600, "file token is not UTF-8 text"),
        (None, 0, "file token cannot be read: No such file or directory"),
    ],
)
def test_unusable_secret_file(tmp_path: Path, data: bytes | None, mode: int, said: str) -> None:
    """A secret file that others may read, or that holds nothing readable, is refused without its content."""
    if data is not None:
        (tmp_path / "token").write_bytes(data)
        (tmp_path / "token").chmod(mode)
    [line] = problems(tmp_path, with_account("{provider: plain, config: {token: 'file:token'}}"))
    assert line.endswith(f"config.token: {said}")


def test_includes(tmp_path: Path) -> None:
    """Tenants of included files join those of the settings file."""
    (tmp_path / "tenants").mkdir()
    for name in ("globex", "initech"):
        (tmp_path / "tenants" / f"{name}.yaml").write_text(f"tenants:\n  {name}: {{}}\n")
    settings = load(tmp_path, LEAST + "include: [tenants/*.yaml]\ntenants: {acme: {}}")
    assert list(settings.tenants) == ["acme", "globex", "initech"]


def test_include_without_own_tenants(tmp_path: Path) -> None:
    """A settings file whose own tenants are all commented out still takes the included ones."""
    (tmp_path / "t.yaml").write_text("tenants: {globex: {}}")
    assert list(load(tmp_path, LEAST + "include: [t.yaml]\ntenants:\n").tenants) == ["globex"]


def test_problem_in_an_included_file(tmp_path: Path) -> None:
    """A problem names the included file and its line."""
    (tmp_path / "t.yaml").write_text("tenants:\n  globex:\n    nam: x\n")
    [line] = problems(tmp_path, LEAST + "include: [t.yaml]")
    assert line == 't.yaml:3: tenant globex: nam: unknown key "nam"; did you mean "name"?'


def test_tenant_in_two_files(tmp_path: Path) -> None:
    """A tenant written in two files is refused, naming both places."""
    (tmp_path / "t.yaml").write_text("# second\ntenants:\n  acme: {name: Second}\n")
    [line] = problems(tmp_path, LEAST + "include: [t.yaml]\ntenants: {acme: {}}")
    assert line == "t.yaml:3: tenant acme: tenants.acme: is written twice, first in settings.yaml:3"


def test_tenant_written_twice_is_one_problem(tmp_path: Path) -> None:
    """The first of two sections is the one that is checked further."""
    text = "tenants:\n  acme: {accounts: {a: {provider: plain}}, deposit_methods: {m: {account: a}}}\n  acme: {}\n"
    [line] = problems(tmp_path, LEAST + text)
    assert line == "settings.yaml:4: tenant acme: tenants.acme: is written twice, first in line 3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {port: 1}", 't.yaml:1: server: unknown key "server": an included file holds'),
        ("tenants: [acme]", "t.yaml:1: tenants: must be a mapping of keys"),
        ("a: [", "t.yaml:2: is not readable YAML"),
    ],
)
def test_included_file_holds_tenants_only(tmp_path: Path, text: str, said: str) -> None:
    """An included file has the shape of the settings file with nothing but tenants."""
    (tmp_path / "t.yaml").write_text(text + "\n")
    [line] = problems(tmp_path, LEAST + "include: [t.yaml]")
    assert line.startswith(said)


def test_nodes_have_a_digest_in_common_whatever_they_listen_on(tmp_path: Path) -> None:
    """The same files with other ports, under another name, are the same settings; anything else is not."""

    def digests(name: str, text: str) -> tuple[str, str]:
        (tmp_path / name).write_text(text)
        found = SettingsFiles(tmp_path / name)
        return found.digest, found.shared_digest

    text = "server:\n  host: {host}\n  port: {port}\n  admin: {{port: {port}1}}\nlimits:\n  head_bytes: {most}\n"
    one = digests("a.yaml", text.format(host="here", port=80, most=9000))
    other = digests("b.yaml", text.format(host="there", port=81, most=9000))
    assert one[0] != other[0]
    assert one[1] == other[1]
    assert digests("c.yaml", text.format(host="here", port=80, most=9001))[1] != one[1]
