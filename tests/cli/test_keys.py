"""``gateway keys new``: keys of tenants and operators with their hashes, and webhook secrets."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
import yaml

from gateway.cli.loading import load
from tests.support.cli import run, write


@pytest.mark.parametrize(
    ("options", "begins"), [([], "gw_k1_"), (["--id", "k2"], "gw_k2_"), (["--admin"], "gw_admin_")]
)
def test_keys_new_prints_a_key_and_its_hash(options: list[str], begins: str) -> None:
    """The hash is that of the whole key's text."""
    made = json.loads(run("keys", "new", "--json", *options).stdout)
    assert made["key"].startswith(begins)
    assert made["sha256"] == hashlib.sha256(made["key"].encode()).hexdigest()


def test_keys_new_prints_lines_for_people() -> None:
    """Without --json: id, key and sha256, one per line."""
    lines = [line.split() for line in run("keys", "new").stdout.splitlines()]
    assert [line[0] for line in lines] == ["id", "key", "sha256"]


@pytest.mark.parametrize(
    ("options", "who"),
    [
        ([], ("admin", None, "admin")),
        (["--id", "dana", "--role", "read"], ("dana", None, "read")),
        (["--id", "kim", "--name", 'Kim "K" Löw: #1', "--role", "operate"], ("kim", 'Kim "K" Löw: #1', "operate")),
    ],
)
def test_a_new_operators_key_is_printed_as_settings(
    tmp_path: Path, options: list[str], who: tuple[str, str | None, str]
) -> None:
    """What is printed goes into the settings as it stands: who will have acted, by id and name, and the role."""
    made = json.loads(run("keys", "new", "--admin", "--json", *options).stdout)
    path, _, entry = made["settings"].partition(": ")
    assert path == "server.admin.keys"
    settings = load(write(tmp_path, admin={"port": 0, "keys": yaml.safe_load(entry)})).settings
    key = settings.operators_by_sha256[made["sha256"]]
    assert (key.id, key.name, key.role) == who
    assert made["id"] == key.id


@pytest.mark.parametrize("options", [["--role", "read"], ["--name", "Dana"]])
def test_tenants_keys_have_no_role(options: list[str]) -> None:
    """A role that would not be kept is refused."""
    result = run("keys", "new", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "add --admin" in result.stderr


def test_no_two_keys_are_the_same() -> None:
    """Keys are random."""
    assert run("keys", "new").stdout != run("keys", "new").stdout


def test_a_new_webhook_secret_has_the_standard_s_form() -> None:
    """``whsec_`` and the base64 of 32 random bytes, another one each time."""
    made, other = (json.loads(run("keys", "new", "--webhook", "--json").stdout)["secret"] for _ in range(2))
    assert made != other
    assert len(base64.b64decode(made.removeprefix("whsec_"), validate=True)) == 32
    assert run("keys", "new", "--webhook").stdout.split()[0] == "secret"


@pytest.mark.parametrize("options", [["--admin"], ["--id", "k2"]])
def test_a_webhook_secret_is_not_a_key(options: list[str]) -> None:
    """It has neither an id nor an owner among the operators."""
    result = run("keys", "new", "--webhook", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--webhook makes no key" in result.stderr
