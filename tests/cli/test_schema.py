"""``gateway schema``: the JSON Schema that editors check the settings with, and what it says of each key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from tests.support.cli import SHIPPED, run
from tests.support.docs_pages import ROOT

FILE = ROOT / "settings.schema.json"
PAGES = ("docs/settings.md", "docs/providers/creditkey.md", "docs/providers/psp_open_api.md")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    """What the command prints."""
    printed: dict[str, Any] = json.loads(run("schema").stdout)
    return printed


def problems(schema: dict[str, Any], settings: object) -> list[str]:
    """Where settings do not fit."""
    found = jsonschema_rs.validator_for(schema).iter_errors(json.loads(json.dumps(settings, default=str)))
    return sorted("/".join(map(str, error.instance_path)) for error in found)


def members(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every property of a schema at any depth, by its path."""
    if isinstance(schema, list):
        for number, one in enumerate(schema):
            yield from members(one, f"{path}[{number}]")
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            yield f"{path}.{name}", one
        for key, below in schema.items():
            inner = below.items() if key in ("properties", "definitions") else [(key, below)]
            for name, one in inner:
                yield from members(one, f"{path}.{name}")


def test_the_file_in_the_repository_is_what_is_printed() -> None:
    """Run ``gateway schema > settings.schema.json`` after a change to the settings or their page."""
    assert FILE.read_text(encoding="utf-8") == run("schema", "--config", SHIPPED).stdout


def test_the_shipped_settings_name_their_schema() -> None:
    """The first line leads an editor to a schema that exists."""
    key, _, named = SHIPPED.read_text(encoding="utf-8").splitlines()[0].partition("$schema=")
    assert (key, SHIPPED.parent / named) == ("# yaml-language-server: ", FILE)


@pytest.mark.parametrize("path", [SHIPPED, *sorted((ROOT / "examples").rglob("*.yaml"))], ids=lambda path: path.name)
def test_what_is_shipped_fits_the_schema(schema: dict[str, Any], path: Path) -> None:
    """Settings that load are not called wrong in an editor."""
    assert problems(schema, yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_every_key_has_its_description(schema: dict[str, Any]) -> None:
    """Of the settings and of the bundled providers' config, at every depth."""
    found = dict(members(schema))
    assert len(found) > 140
    described = [path for path, one in found.items() if ".if." not in path and "description" in one]
    assert [path for path in described if len(found[path]["description"]) < 3] == []
    assert {path for path in found if ".if." not in path} == set(described)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (".server.port", "port to listen on; 0 takes a free one. Default: `8080`"),
        (".server.admin.port", "port to listen on; 0 takes a free one"),
        (".store.url", "`sqlite:///PATH` is relative to the folder of the settings file"),
        (".server.callback_rate.burst", "proved callbacks per account: `per_second` is the refill rate"),
        (".then.config.auth_in", "where a POST carries them: `body` or `query`"),
        (".then.config.amount_rule", "`exact`: the proved amount must be the payment's"),
        (".then.config.amount_rule.anyOf[1].tolerance", "`exact`: the proved amount must be the payment's"),
    ],
)
def test_a_description_is_that_of_the_documentation(schema: dict[str, Any], path: str, said: str) -> None:
    """In its words, without links; a member without a row of its own has that of the key above."""
    (found,) = (one["description"] for name, one in members(schema) if name.endswith(path))
    assert found.startswith(said)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"server": {"secret": "env:S", "prot": 1}}, "server"),
        ({"server": {"port": 8080}}, "server"),
        ({"server": {"secrets": ["env:NEW", "env:OLD"]}}, None),
        ({"server": {"secret": "env:S", "secrets": ["env:S"]}}, "server"),
        ({"server": {"secret": "env:S", "port": 70000}}, "server/port"),
        ({"clocks": {"hint": "soon"}}, "clocks/hint"),
        ({"tenants": {"Acme": {}}}, "tenants"),
        ({"tenants": {"acme": {"crm": {}}}}, "tenants/acme/crm"),
        ({"tenants": {"acme": {"keys": [{"id": "k1", "sha256": "x"}]}}}, None),
        ({"tenants": {"acme": {"accounts": {"a": {}}}}}, "tenants/acme/accounts/a"),
        (
            {"tenants": {"acme": {"accounts": {"a": {"provider": "psp_open_api", "config": {"ap_url": "x"}}}}}},
            "tenants/acme/accounts/a/config",
        ),
        (
            {"tenants": {"acme": {"accounts": {"a": {"provider": "x", "fields": {"amount": {"kye": "sum"}}}}}}},
            "tenants/acme/accounts/a/fields/amount",
        ),
        ({"tenants": {123: {"name": 4.5, "accounts": None, "webhook": None}}}, None),
    ],
)
def test_an_editor_finds_mistakes(schema: dict[str, Any], change: dict[str, Any], where: str | None) -> None:
    """Unknown keys, wrong kinds, what is missing; text may look like anything, a key without a value like nothing."""
    found = problems(schema, {"server": {"secret": "env:GATEWAY_SECRET"}, **change})
    assert set(found) == ({where} if where else set())


def test_a_blocked_plugin_is_left_out(tmp_path: Path) -> None:
    """Its code does not run here either."""
    path = tmp_path / "settings.yaml"
    path.write_text("plugins: {blocked: [creditkey]}\n")
    printed = run("schema", "--config", path).stdout
    assert ("shared_secret" in printed, "app_url" in printed) == (False, True)
