"""``gateway tenants new``: a tenant that can be used at once, or no change at all."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.loading import load
from tests.support.cli import LONGEST, SHIPPED, run

GIVEN = {
    "--name": "Initech: tools",
    "--webhook-url": "https://shop.initech.example/hooks",
    "--return-origin": "https://shop.initech.example",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The shipped settings, in a folder of their own."""
    return Path(shutil.copy(SHIPPED, tmp_path))


def new(config: Path, name: str = "initech", *more: str, **given: str) -> Any:
    """Run the command with usable values, but for those given."""
    options = {**GIVEN, **{f"--{option.replace('_', '-')}": value for option, value in given.items()}}
    return run("tenants", "new", name, *(part for pair in options.items() for part in pair), *more, "--config", config)


def files(folder: Path) -> dict[str, str | None]:
    """Everything below a folder, with the texts of files."""
    found = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_text() if path.is_file() else None for path in found}


def test_a_new_tenant_can_call_and_is_called(config: Path) -> None:
    """Its key is known by its hash alone, its webhooks are signed with the secret in its file, all else is as given."""
    made = json.loads(new(config, "initech", "--json").stdout)
    settings = load(config).settings
    tenant = settings.tenants["initech"]
    assert tenant.webhook is not None
    assert (tenant.title, tenant.webhook.url) == (GIVEN["--name"], GIVEN["--webhook-url"])
    assert tenant.return_origins == {GIVEN["--return-origin"]}
    assert [secret.reveal() for secret in tenant.webhook.secrets] == [made["webhook_secret"]]
    assert settings.keys_by_sha256[hashlib.sha256(made["key"].encode()).hexdigest()][0] == "initech"
    assert (made["base_url"], made["file"]) == ("http://127.0.0.1:8080", "tenants/initech.yaml")
    text = (config.parent / made["file"]).read_text()
    assert not [secret for secret in (made["key"], made["webhook_secret"]) if secret in text]
    assert (config.parent / "secrets/initech-webhook").stat().st_mode & 0o777 == 0o600


def test_the_settings_file_gets_one_include(config: Path) -> None:
    """Two lines are added to it for the first tenant, none for the next; everything else in it stays as it was."""
    assert new(config, "initech").exit_code == new(config, "hooli").exit_code == 0
    text, added = config.read_text(), "include:\n  - tenants/*.yaml\n"
    assert text.replace(added, "", 1) == SHIPPED.read_text()
    assert list(load(config).settings.tenants) == ["acme", "globex", "hooli", "initech"]


def test_a_tenant_s_file_is_included_alone_beside_unused_ones(config: Path) -> None:
    """A pattern would bring in what somebody left there on purpose."""
    (config.parent / "tenants").mkdir()
    (config.parent / "tenants/old.yaml").write_text("tenants: {old: {}}\n")
    assert new(config).exit_code == 0
    assert set(load(config).settings.tenants) == {"acme", "globex", "initech"}


def test_people_are_told_what_the_tenant_needs(config: Path) -> None:
    """A line for each value on stdout; what to do with them on stderr."""
    result = new(config)
    lines = dict(re.split(r" +", line, maxsplit=1) for line in result.stdout.splitlines())
    assert list(lines) == ["tenant", "file", "base_url", "key", "webhook_secret", "try"]
    assert lines["key"] in lines["try"]
    assert "Standard Webhooks" in result.stderr


@pytest.mark.parametrize(
    ("name", "given", "code", "said"),
    [
        ("acme", {}, 1, r"settings\.yaml:\d+: tenant acme: tenants\.acme: exists already"),
        ("Initech", {}, 2, r"must match \[a-z0-9\]"),
        ("../x", {}, 2, r"must match \[a-z0-9\]"),
        (
            "initech",
            {"webhook_url": "ftp://x", "return_origin": "https://*.initech.example"},
            2,
            r"tenants/initech\.yaml:9: tenant initech: return_origins\[0\]: must have a host name .*\n"
            r"tenants/initech\.yaml:11: tenant initech: webhook\.url: must be an absolute URL",
        ),
    ],
)
def test_a_mistake_changes_no_file(config: Path, name: str, given: dict[str, str], code: int, said: str) -> None:
    """Each mistake is told as ``check`` would tell it, and the folder is as it was."""
    before = files(config.parent)
    result = new(config, name, **given)
    assert (result.exit_code, result.stdout) == (code, "")
    assert re.search(said, result.stderr)
    assert files(config.parent) == before


@pytest.mark.parametrize("there", ["tenants/initech.yaml", "secrets/initech-webhook"])
def test_a_file_that_is_there_is_not_replaced(config: Path, there: str) -> None:
    """Not even one that the settings do not include."""
    (config.parent / there).parent.mkdir()
    (config.parent / there).write_text("# mine\n")
    before = files(config.parent)
    result = new(config)
    assert result.exit_code == 1
    assert f"{there} exists already" in result.stderr
    assert files(config.parent) == before


def test_commands_at_the_same_time_wait_for_each_other(config: Path) -> None:
    """Each changes what the one before wrote: nothing is lost of what ended with 0."""
    (config.parent / "tenants").mkdir()
    (config.parent / "tenants/first.yaml").write_text("tenants: {first: {}}\n")
    config.write_text("include: [tenants/first.yaml]\n" + config.read_text())
    names = [f"name-{number}" for number in range(4)]
    given = [part for pair in GIVEN.items() for part in pair]
    account = ("--provider", "psp_open_api", "--set", "app_url=http://127.0.0.1:9102")
    commands = [["tenants", "new", name, *given] for name in names]
    commands += [["accounts", "new", f"acme/{name}", *account] for name in names]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "gateway", *command, "--config", str(config)], stdout=subprocess.DEVNULL
        )
        for command in commands
    ]
    assert [one.wait(LONGEST) for one in started] == [0] * len(commands)
    tenants = load(config).settings.tenants
    assert tenants.keys() == {"acme", "globex", "first", *names}
    assert tenants["acme"].accounts.keys() >= set(names)


def test_broken_settings_are_told_first(config: Path) -> None:
    """Nothing is added to settings that cannot be used."""
    config.write_text("server: {}\n")
    result = new(config)
    assert (result.exit_code, result.stderr) == (2, "settings.yaml:1: server.secret: is missing\n")
    assert list(files(config.parent)) == ["settings.yaml"]
