"""What loading the settings leaves in memory: thousands of tenants must fit."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import pytest
from yaml.nodes import MappingNode, Node, ScalarNode

from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import load_settings, settings_files
from gateway.drivers.settings.problems import Problem
from gateway.drivers.settings.yaml_file import compose
from tests.support.factories.settings import load

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
