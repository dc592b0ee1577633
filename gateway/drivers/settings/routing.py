"""A tenant's routing rules, read one by one: accounts that exist, each once in a rule, and no rule without a chance."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from yaml.nodes import Node, ScalarNode, SequenceNode

from gateway.drivers.settings.model import RoutingRule
from gateway.drivers.settings.problems import Path, unknown_entry
from gateway.drivers.settings.scalar_reader import INVALID, LoadState, Raw
from gateway.drivers.settings.struct_reader import reader_of
from gateway.drivers.settings.yaml_file import is_null, value_at


def resolve_routing(
    path: Path, rules: Sequence[Raw], known: Collection[str], state: LoadState
) -> tuple[RoutingRule, ...]:
    """Read the rules of ``routing``, which stands at ``path``; ``known`` are the tenant's accounts as written."""
    found: list[RoutingRule] = []
    open_end: int | None = None
    for number, raw in enumerate(rules):
        before = len(state.problems)
        rule = reader_of(RoutingRule)(raw.node, (*path, number), state)
        read_well = len(state.problems) == before
        _check_chain((*path, number), raw.node, known, state)
        if open_end is not None:
            state.note((*path, number), f"can never match: rule [{open_end}] before it has no when")
        elif read_well and rule.when is None:
            open_end = number
        if rule is not INVALID:
            found.append(rule)
    return tuple(found)


def _check_chain(path: Path, rule: Node, known: Collection[str], state: LoadState) -> None:
    names: set[str] = set()
    for step, name in _chain(rule):
        if name not in known:
            state.note((*path, *step), unknown_entry("account", name, known))
        elif name in names:
            state.note((*path, *step), f'"{name}" is listed twice in this rule')
        names.add(name)


def _chain(rule: Node) -> Iterator[tuple[Path, str]]:
    """The accounts of a rule as they are written, so that one that could not be read shifts no number."""
    fallback = value_at(rule, ("fallback",))
    count = len(fallback.value) if isinstance(fallback, SequenceNode) else 0
    for step in (("account",), *(("fallback", number) for number in range(count))):
        node = value_at(rule, step)
        if isinstance(node, ScalarNode) and not is_null(node):
            yield step, node.value
