"""What loading the settings leaves in memory: thousands of tenants must fit."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from yaml.nodes import MappingNode, Node, ScalarNode

import gateway
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import load_settings, settings_files
from gateway.drivers.settings.problems import Problem
from gateway.drivers.settings.yaml_file import compose
from tests.support.factories.settings import (
    ENVIRON,
    GOOD,
    LEAST,
    PROVIDERS,
    FakeConfig,
    FakeProvider,
    load,
    problems,
)

MORE = gateway.Money.of(Decimal(5), "USD", 2)
SHIPPED = Path(__file__).parents[2] / "settings.yaml"


def test_keeps_nothing_of_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text of a node is kept: one would keep the memory of the nodes beside it, of each tenant."""
    roots: list[MappingNode | Problem] = []

    def composed(data: bytes, name: str) -> MappingNode | Problem:
        roots.append(compose(data, name))
        return roots[-1]

    monkeypatch.setattr(settings_files, "compose", composed)
    settings = load_settings(SHIPPED, providers=load_plugins().providers, environ={})
    [root] = roots
    assert isinstance(root, Node)
    texts = {id(text): text for text in _texts_of(root) if len(text) > 1}  # shorter ones exist once in a process
    assert len(texts) > 100
    assert [texts[id(one)] for one in _reachable(settings) if id(one) in texts] == []


def test_accounts_that_change_the_same_have_one_map(tmp_path: Path) -> None:
    """Thousands of tenants with one form of request keep its fields once, and each other form its own."""
    same = "fields: {email: {key: mail}, vip: {value: a}}"
    accounts = {
        "one": f"provider: plain, {same}",
        "two": f"provider: plain, {same}",
        "value": "provider: plain, fields: {email: {key: mail}, vip: {value: b}}",
        "order": "provider: plain, fields: {vip: {value: a}, email: {key: mail}}",
        "provider": f"provider: either, config: {{base_url: 'https://p.example'}}, {same}",
    }
    text = "".join(f"      {name}: {{{account}}}\n" for name, account in accounts.items())
    settings = load(tmp_path, f"server: {{secret: env:GATEWAY_SECRET}}\ntenants:\n  acme:\n    accounts:\n{text}")
    maps = {name: settings.tenants["acme"].accounts[name].account.fields for name in accounts}
    assert maps["one"] is maps["two"]
    assert len({id(one) for one in maps.values()}) == 4


ALIKE = ["{vip: {value: a}}", "{vip: {value: ~}}", "{vip: {value: '~'}}", "{vip: {}}", "{vip: {choices: {a: {en: A}}}}"]


def test_what_is_written_alike_is_read_once(tmp_path: Path) -> None:
    """On one line, on several or by an alias; what differs in a quote or a nested name is not taken for it."""
    accounts = [f"provider: plain, fields: {fields}" for fields in ALIKE]
    text = "".join(f"      f{number}: {{{account}}}\n" for number, account in enumerate(accounts))
    text += "      lines:\n        provider: plain\n        fields: &same\n          vip:\n            value: a\n"
    text += "      alias: {provider: plain, fields: *same}\n"
    text += f"      nested: {{{accounts[-1]}}}\n"
    settings = load(tmp_path, f"server: {{secret: env:GATEWAY_SECRET}}\ntenants:\n  acme:\n    accounts:\n{text}")
    maps = {name: entry.account.fields for name, entry in settings.tenants["acme"].accounts.items()}
    assert maps["f0"] is maps["lines"]
    assert maps["f0"] is maps["alias"]
    assert maps["f4"] is maps["nested"]
    values = [next(one for one in maps[f"f{number}"].fields if one.name == "vip").value for number in range(len(ALIKE))]
    assert values == ["a", None, "~", None, None]
    assert len({id(one) for one in maps.values()}) == len(ALIKE)


def test_a_mistake_that_is_written_alike_is_noted_everywhere(tmp_path: Path) -> None:
    """Of every account that has it, with its own line."""
    account = "{provider: plain, fields: {vip: {max_length: many}}}"
    text = "".join(f"      {name}: {account}\n" for name in ("one", "two"))
    said = problems(tmp_path, f"server: {{secret: env:GATEWAY_SECRET}}\ntenants:\n  acme:\n    accounts:\n{text}")
    assert said == [
        f"settings.yaml:{line}: tenant acme: accounts.{name}.fields.vip.max_length: must be a whole number"
        for line, name in ((5, "one"), (6, "two"))
    ]


def test_tenants_share_what_they_have_alike(tmp_path: Path) -> None:
    """Limits, deposit methods, and the rules that a plugin makes anew for each: one object for thousands of tenants."""

    class Anew(FakeProvider):
        def rules(self, account: gateway.Account) -> gateway.Rules:
            return gateway.Rules(max_increase=None if account.tenant == "other" else MORE)

    section = "rate_limit: {per_second: 7}, accounts: {main: {provider: anew}}, deposit_methods: {b: {account: main}}"
    tenants = "".join(f"  {name}: {{{section}}}\n" for name in ("acme", "globex", "other"))
    path = tmp_path / "settings.yaml"
    path.write_text(f"{LEAST}tenants:\n{tenants}")
    providers: Any = {"anew": Anew("anew", FakeConfig, gateway.Rules())}
    acme, globex, other = load_settings(path, providers=providers, environ=ENVIRON).tenants.values()
    assert acme.rate_limit is globex.rate_limit
    assert acme.deposit_methods is globex.deposit_methods
    assert acme.accounts["main"].rules is globex.accounts["main"].rules
    assert [one.accounts["main"].rules.max_increase for one in (acme, other)] == [MORE, None]


def test_what_was_loaded_is_not_looked_through_again(tmp_path: Path) -> None:
    """It counts as old; what a running process loads is exempt from collection."""
    first = load(tmp_path, GOOD)
    assert any(one is first.tenants for one in gc.get_objects(generation=2))
    try:
        again = load_settings(tmp_path / "settings.yaml", providers=PROVIDERS, environ=ENVIRON, running=first)
        assert not any(one is again.tenants for one in gc.get_objects())
    finally:
        gc.unfreeze()


def _texts_of(node: Node) -> Iterator[str]:
    if isinstance(node, ScalarNode):
        yield node.value
        return
    for item in node.value:
        for part in item if isinstance(node, MappingNode) else (item,):
            yield from _texts_of(part)


def _reachable(start: object) -> Iterator[object]:
    """All that an object keeps alive, but for what classes, modules and functions hold."""
    seen, waiting = {id(start)}, [start]
    while waiting:
        one = waiting.pop()
        yield one
        for held in gc.get_referents(one):
            if id(held) not in seen and not isinstance(held, type | ModuleType | FunctionType):
                seen.add(id(held))
                waiting.append(held)
