"""``gateway accounts show`` and ``gateway keys new``: what is shown, hidden and revealed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.cli.loading import load
from tests.support.cli import SHIPPED, run, write
from tests.support.stack import running_stack


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


@pytest.mark.parametrize("options", [[], ["--id", "dana"]])
def test_a_new_operators_key_is_printed_as_settings(tmp_path: Path, options: list[str]) -> None:
    """What is printed goes into the settings as it stands, and its id is who will have acted."""
    made = json.loads(run("keys", "new", "--admin", "--json", *options).stdout)
    path, _, entry = made["settings"].partition(": ")
    assert path == "server.admin.keys"
    settings = load(write(tmp_path, admin={"port": 0, "keys": yaml.safe_load(entry)})).settings
    assert settings.operators_by_sha256[made["sha256"]].id == made["id"] == (options or ["", "admin"])[1]


def test_no_two_keys_are_the_same() -> None:
    """Keys are random."""
    assert run("keys", "new").stdout != run("keys", "new").stdout


def test_accounts_show_hides_the_token() -> None:
    """Without --reveal the public credentials are shown and the secret ones are not."""
    revealed = json.loads(run("accounts", "show", "acme", "psp-main", "--reveal", "--json", "--config", SHIPPED).stdout)
    credentials = revealed["data"][0]["credentials"]
    for options in ([], ["--json"]):
        shown = run("accounts", "show", "--config", SHIPPED, *options).stdout
        assert credentials["merchant_id"] in shown
        assert credentials["token"] not in shown


def test_accounts_show_reveals_the_token_on_request() -> None:
    """With --reveal the token stands beside the merchant_id."""
    shown = run("accounts", "show", "acme", "psp-main", "--reveal", "--config", SHIPPED).stdout
    assert re.search(r"^  token +[A-Za-z0-9_-]{43}$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], ["acme/creditkey-main", "acme/psp-main", "globex/psp-main"]),
        (["acme"], ["acme/creditkey-main", "acme/psp-main"]),
        (["acme", "psp-main"], ["acme/psp-main"]),
    ],
)
def test_accounts_show_what_was_named(names: list[str], shown: list[str]) -> None:
    """Nothing named is everything, a tenant is its accounts, an account is that one."""
    found = json.loads(run("accounts", "show", *names, "--json", "--config", SHIPPED).stdout)["data"]
    assert [f"{one['tenant']}/{one['account']}" for one in found] == shown


@pytest.mark.parametrize("names", [["nobody"], ["globex", "creditkey-main"]])
def test_accounts_show_refuses_unknown_names(names: list[str]) -> None:
    """A name that is not in the settings is bad usage."""
    result = run("accounts", "show", *names, "--config", SHIPPED)
    assert (result.exit_code, result.stdout) == (2, "")
    assert names[-1] in result.stderr


async def test_accounts_show_the_address_that_the_server_listens_to(tmp_path: Path) -> None:
    """The callback URL is the one the running gateway tells its providers."""

    def change(settings: dict[str, Any]) -> None:
        settings["server"]["public_url"] = "http://pay.example"

    async with running_stack(tmp_path, change=change) as stack:
        entry = stack.settings.tenants["acme"].accounts["psp-main"]
        result = run("accounts", "show", "acme", "psp-main", "--json", "--config", tmp_path / "settings.yaml")
        assert json.loads(result.stdout)["data"][0]["callback_url"] == stack.gateway.callback_url(entry)


def test_accounts_show_no_address_while_the_port_is_open(tmp_path: Path) -> None:
    """With port 0 and no public_url nobody knows the address before the server runs."""
    result = run("accounts", "show", "acme", "psp-main", "--json", "--config", write(tmp_path))
    assert json.loads(result.stdout)["data"][0]["callback_url"] is None
