"""``gateway accounts show``: what is shown, hidden and revealed."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import SHIPPED, run, write
from tests.support.clients.psp_callbacks import new_payment, post, signed_body
from tests.support.scenarios.inbox import ADMIN_KEY
from tests.support.settings_file import reload, with_operator
from tests.support.stack import GatewayStack, running_stack


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


SECRETS = (
    {"secret": "the master secret that this store began with"},
    {"secrets": ["the master secret that takes its place", "the master secret that this store began with"]},
)


def rotated(settings: dict[str, Any]) -> None:
    """Put a new master secret before the one that the settings began with."""
    del settings["server"]["secret"]
    settings["server"] |= SECRETS[1]


async def test_accounts_show_what_must_be_entered_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new values, those before that are still accepted, and with the operators' key who still uses them."""

    def begin(settings: dict[str, Any]) -> None:
        with_operator(settings)
        settings["server"] |= SECRETS[0]

    async def show(stack: GatewayStack, account: str, *options: str) -> Any:
        named = ("acme", account, "--reveal", "--admin-url", stack.admin_url, *options)
        shown = await asyncio.to_thread(run, "accounts", "show", *named, "--config", tmp_path / "settings.yaml")
        return json.loads(shown.stdout)["data"][0] if options else shown.stdout

    async with running_stack(tmp_path, change=begin) as stack:
        payment, before = await new_payment(stack), await show(stack, "psp-main", "--json")
        assert (before["enter_anew"], before["still_accepted"]) == ([], [])
        await reload(stack, rotated)
        await post(stack, signed_body(stack, payment))
        after = await show(stack, "psp-main", "--json")
        assert after["enter_anew"] == ["callback_url", "merchant_id", "token"]
        [earlier] = after["still_accepted"]
        assert earlier["credentials"] == before["credentials"] != after["credentials"]
        told = ("name", "generation", "uses", "last_used")
        assert [earlier[name] for name in told] == ["server.secrets[1]", 1, None, None]
        monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
        [earlier] = (await show(stack, "psp-main", "--json"))["still_accepted"]
        assert (earlier["uses"], earlier["last_used"][:2]) == (2, "20")
        assert (await show(stack, "creditkey-main", "--json"))["enter_anew"] == ["callback_url"]
        text = await show(stack, "psp-main")
    assert "  enter anew    callback_url, merchant_id, token\n  still accepted (server.secrets[1])\n" in text
    assert "    used          2 times since the start, last 20" in text
