"""``gateway fields``: everything that a provider knows, before an account of it exists."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

import gateway
from gateway.drivers.plugin_registry import load_plugins
from tests.support.cli import SHIPPED, run

PROVIDERS = load_plugins().providers


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_json_has_every_field_and_config_key(name: str) -> None:
    """As the plugin declares them, nested fields too."""
    shown = json.loads(run("fields", name, "--json", "--config", SHIPPED).stdout)
    assert {one["name"] for one in shown["data"]} == set(PROVIDERS[name].fields)
    assert set(shown["data"][0]) == {"name", *gateway.FieldRule.__struct_fields__}
    keys = {field.encode_name for field in msgspec.structs.fields(PROVIDERS[name].account_type)}
    assert {one["name"] for one in shown["config"]} == keys


def test_a_field_is_described() -> None:
    """What it is called, where its value comes from, and what may be changed."""
    shown = json.loads(run("fields", "psp_open_api", "--json", "--config", SHIPPED).stdout)
    by_name = {one["name"]: one for one in (*shown["data"], *shown["config"])}
    assert (by_name["email"]["source"], by_name["email"]["mandatory"]) == ("customer.email", False)
    assert (by_name["amount"]["type"], by_name["amount"]["locked"]) == ("number", True)
    assert by_name["app_url"] == {"name": "app_url", "required": True, "secret": False}
    assert by_name["token"] == {"name": "token", "required": False, "secret": True}


def test_people_see_two_tables() -> None:
    """The fields, then the keys of an account's config."""
    fields, _, config = run("fields", "psp_open_api", "--config", SHIPPED).stdout.partition("\n\n")
    assert [line.split()[0] for line in (fields.splitlines()[1], config.splitlines()[1])] == ["merchant_id", "app_url"]


def test_an_unknown_provider() -> None:
    """Exit 2, with those there are."""
    result = run("fields", "nothing", "--config", SHIPPED)
    assert (result.exit_code, "creditkey, psp_open_api" in result.stderr) == (2, True)


def test_a_blocked_plugin_does_not_run(tmp_path: Path) -> None:
    """Its provider is not there: the settings keep its code out."""
    path = tmp_path / "settings.yaml"
    path.write_text(SHIPPED.read_text().replace("blocked: [] ", "blocked: [creditkey] "))
    assert run("fields", "creditkey", "--config", path).exit_code == 2
