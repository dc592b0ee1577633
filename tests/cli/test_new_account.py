"""``gateway accounts new``: an account that can be used at once, or no change at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.loading import load
from tests.support.cli import SHIPPED, run

PSP = ("--provider", "psp_open_api", "--set", "app_url=http://127.0.0.1:9102")
CREDITKEY = ("--provider", "creditkey", "--set", "environment=staging")
KEYS = ("--set", "public_key=a-public-key-of-tests", "--set", "shared_secret=a-shared-secret-of-tests")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The shipped settings, in a folder of their own."""
    return Path(shutil.copy(SHIPPED, tmp_path))


def new(config: Path, name: str, *options: str) -> Any:
    """Run the command."""
    return run("accounts", "new", name, *options, "--config", config)


def test_a_new_account_is_printed_as_its_provider_must_know_it(config: Path) -> None:
    """The same address and credentials that ``accounts show`` reveals."""
    made = json.loads(new(config, "acme/second", *PSP, "--json").stdout)
    shown = run("accounts", "show", "acme", "second", "--reveal", "--json", "--config", config).stdout
    (entry,) = json.loads(shown)["data"]
    assert {name: made[name] for name in ("merchant_id", "token")} == entry["credentials"]
    assert made["callback_url"] == entry["callback_url"]
    assert (made["file"], made["deposit_method"]) == ("settings.yaml", "second")


@pytest.mark.parametrize(("options", "methods"), [(PSP, ("second",)), ((*CREDITKEY, *KEYS), ())])
def test_a_deposit_method_is_added_where_the_provider_needs_one(
    config: Path, options: tuple[str, ...], methods: tuple[str, ...]
) -> None:
    """It has the account's name; another provider's account gets none."""
    assert new(config, "globex/second", *options).exit_code == 0
    tenant = load(config).settings.tenants["globex"]
    assert tenant.accounts["second"].deposit_methods == methods
    assert set(tenant.deposit_methods) == {"card", *methods}


def test_every_line_of_the_file_stays(config: Path) -> None:
    """The account is added at the end of its mapping; comments and layout are as they were."""
    assert new(config, "acme/second", *PSP).exit_code == 0
    lines, added = config.read_text().splitlines(), []
    for line in SHIPPED.read_text().splitlines():
        while lines[0] != line:
            added.append(lines.pop(0))
        lines.pop(0)
    assert [*added, *lines] == [
        "      second:",
        "        provider: psp_open_api",
        "        config:",
        "          app_url: http://127.0.0.1:9102",
        "      second:",
        "        account: second",
    ]


def test_an_account_goes_into_the_file_of_its_tenant(config: Path) -> None:
    """The settings file itself is not touched when the tenant is in an included one."""
    (config.parent / "t.yaml").write_text("tenants:\n  initech: {}  # small\n")
    text = "include: [t.yaml]\n" + config.read_text()
    config.write_text(text)
    made = json.loads(new(config, "initech/main", *PSP, "--json").stdout)
    assert (made["file"], config.read_text()) == ("t.yaml", text)
    assert (config.parent / "t.yaml").read_text().endswith("}  # small\n")
    assert "main" in load(config).settings.tenants["initech"].accounts


def test_a_deposit_method_of_that_name_is_left_alone_where_none_is_needed(config: Path) -> None:
    """It goes on naming its own account."""
    assert new(config, "globex/card", *CREDITKEY, *KEYS).exit_code == 0
    tenant = load(config).settings.tenants["globex"]
    assert "card" in tenant.accounts
    assert tenant.accounts["card"].deposit_methods == ()


def test_lists_mappings_and_texts_of_a_config(config: Path) -> None:
    """Text stays text; what begins as a list or a mapping is one. ``--set`` need not be repeated."""
    more = ("merchant_id=0123", "amount_rule={tolerance: 0.50}", "allow_hosts=[a.example, b.example]", "round=")
    assert new(config, "acme/second", *PSP, *more[:3]).exit_code == 0
    account: Any = load(config).settings.tenants["acme"].accounts["second"].account.config
    assert (account.merchant_id, account.allow_hosts) == ("0123", ("a.example", "b.example"))
    assert account.amount_rule.tolerance == "0.50"


@pytest.mark.parametrize(
    ("name", "options", "code", "said"),
    [
        ("acme/psp-main", PSP, 1, ": tenant acme: accounts.psp-main: exists already"),
        ("globex/card", PSP, 1, ": tenant globex: deposit_methods.card: exists already"),
        ("acme", PSP, 2, "must be TENANT/ACCOUNT"),
        ("nobody/main", PSP, 2, 'there is no tenant "nobody"'),
        ("acme/Main", PSP, 2, ": tenant acme: accounts.Main: must match"),
        (
            "acme/x",
            ("--provider", "psp"),
            2,
            ': tenant acme: accounts.x.provider: unknown provider "psp"',
        ),
        ("acme/x", CREDITKEY, 2, "tenant acme: accounts.x.config.shared_secret: is missing"),
        ("acme/x", (*PSP, "--set", "tokn=t"), 2, 'config.tokn: unknown key "tokn"; did you mean "token"?'),
        ("acme/x", (*PSP, "--set", "hush"), 2, "must be KEY=VALUE"),
        ("acme/x", (*PSP, "--set", "app_url=hush"), 2, "app_url is given twice"),
        ("acme/x", (*PSP, "--set", "allow_hosts=[hush"), 2, "allow_hosts is not readable YAML"),
    ],
)
def test_a_mistake_changes_nothing(config: Path, name: str, options: tuple[str, ...], code: int, said: str) -> None:
    """Each mistake is told as ``check`` would tell it; no value is repeated, for it may be a secret."""
    result = new(config, name, *options)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert "hush" not in result.stderr
    assert config.read_text() == SHIPPED.read_text()
    assert [path.name for path in config.parent.iterdir()] == ["settings.yaml"]


def test_an_alias_is_not_edited(config: Path) -> None:
    """Two tenants that share one section would both get the account."""
    text = SHIPPED.read_text().partition("\ntenants:")[0]
    text += "\ntenants:\n  one: &same {name: Same}\n  two: *same\n"
    config.write_text(text)
    result = new(config, "two/main", *PSP)
    assert result.exit_code == 1
    assert "settings.yaml: tenants.two.accounts cannot be edited here: write the entry by hand" in result.stderr
    assert config.read_text() == text
