"""A tenant's routing rules, read one by one: accounts that exist, each once in a rule, and no rule without a chance."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from yaml.nodes import Node, ScalarNode, SequenceNode

from gateway.drivers.settings.model import RoutingRule
from gateway.drivers.settings.problems import Path, unknown
from gateway.drivers.settings.reader import reader_of
from gateway.drivers.settings.reading import BAD, Raw, Reading
from gateway.drivers.settings.yaml_file import is_null, value_at


def resolve_routing(
    path: Path, rules: Sequence[Raw], known: Collection[str], reading: Reading
) -> tuple[RoutingRule, ...]:
    """Read the rules of ``routing``, which stands at ``path``; ``known`` are the tenant's accounts as written."""
    found: list[RoutingRule] = []
    open_end: int | None = None
    for number, raw in enumerate(rules):
        before = len(reading.problems)
        rule = reader_of(RoutingRule)(raw.node, (*path, number), reading)
        read_well = len(reading.problems) == before
        _check_chain((*path, number), raw.node, known, reading)
        if open_end is not None:
            reading.note((*path, number), f"can never match: rule [{open_end}] before it has no when")
        elif read_well and rule.when is None:
            open_end = number
        if rule is not BAD:
            found.append(rule)
    return tuple(found)


def _check_chain(path: Path, rule: Node, known: Collection[str], reading: Reading) -> None:
    names: set[str] = set()
    for step, name in _chain(rule):
        if name not in known:
            reading.note((*path, *step), unknown("account", name, known))
        elif name in names:
            reading.note((*path, *step), f'"{name}" is listed twice in this rule')
        names.add(name)


def _chain(rule: Node) -> Iterator[tuple[Path, str]]:
    """The accounts of a rule as they are written, so that one that could not be read shifts no number."""
    fallback = value_at(rule, ("fallback",))
    count = len(fallback.value) if isinstance(fallback, SequenceNode) else 0
    for step in (("account",), *(("fallback", number) for number in range(count))):
        node = value_at(rule, step)
        if isinstance(node, ScalarNode) and not is_null(node):
            yield step, node.value
