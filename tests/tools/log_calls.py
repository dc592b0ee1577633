"""What the gateway may log, read from its syntax trees: each message with its level, and the fields beside it."""

from __future__ import annotations

import ast
import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from gateway.flows.occurrences import LINES

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = ROOT / "gateway"

PASSED_ON = GATEWAY / "drivers/telemetry.py"
"""Logs what others give it, and the end of a process."""

UNCAUGHT = ("the process ends by a fault", "critical")

LOGGERS = frozenset({"log", "_log"})
METHODS = {one: one for one in ("debug", "info", "warning", "error", "critical")} | {"exception": "error"}
"""A logger's methods, each with the level of its lines."""


class LogCall(NamedTuple):
    """A place that logs. ``messages`` are those it may log; of an occurrence none, they are in its table."""

    place: str
    level: str
    messages: frozenset[str]
    fields: frozenset[str]


@functools.cache
def log_calls() -> tuple[LogCall, ...]:
    """Every place in ``gateway/``."""
    return tuple(call for path in sorted(GATEWAY.rglob("*.py")) for call in _in_file(path))


def messages() -> set[tuple[str, str]]:
    """Every message with its level."""
    direct = {(message, call.level) for call in log_calls() for message in call.messages}
    return direct | {UNCAUGHT} | {(line.sentence, logging.getLevelName(line.level).lower()) for line in LINES.values()}


def _in_file(path: Path) -> Iterator[LogCall]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if path != PASSED_ON else ()
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        place = f"{path.relative_to(ROOT)}:{node.lineno}"
        match node.func:
            case ast.Attribute(value=ast.Name(id=name), attr=method) if name in LOGGERS and method in METHODS:
                extra = [keyword.value for keyword in node.keywords if keyword.arg == "extra"]
                fields = frozenset(_names(extra, tree))
                yield LogCall(place, METHODS[method], frozenset(_texts(node.args[0], tree)), fields)
            case ast.Name(id="log_often"):
                yield LogCall(
                    place, "info", frozenset(_texts(node.args[0], tree)), frozenset(_names(node.args[1:], tree))
                )
            case ast.Name(id="report"):
                named = {keyword.arg for keyword in node.keywords if keyword.arg is not None}
                spread = [keyword.value for keyword in node.keywords if keyword.arg is None]
                yield LogCall(place, "", frozenset(), frozenset({*named, *_names(spread, tree)}))


def _texts(node: ast.expr, tree: ast.Module) -> set[str]:
    """The texts that an expression may be."""
    match node:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.IfExp(body=body, orelse=otherwise):
            return _texts(body, tree) | _texts(otherwise, tree)
        case ast.Name(id=name):
            return {text for value in _values_of(name, tree) for text in _texts(value, tree)}
    return set()


def _names(nodes: list[ast.expr], tree: ast.Module, depth: int = 3) -> set[str]:
    """The keys of the mappings that expressions are made of: written there, assigned, or returned by a function."""
    found: set[str] = set()
    for node in (inner for outer in nodes for inner in ast.walk(outer)):
        match node:
            case ast.Dict(keys=keys):
                found |= {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
            case ast.Name(id=name) if depth:
                found |= _names(_values_of(name, tree), tree, depth - 1)
            case ast.Call(func=ast.Name(id=name)) if depth:
                found |= _names(_returned_by(name, tree), tree, depth - 1)
    return found


def _values_of(name: str, tree: ast.Module) -> list[ast.expr]:
    """What a name of this module is set to, anywhere in it."""
    values = []
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=given)], value=value) if given == name:
                values.append(value)
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=parts)):
                values += [part for target, part in zip(targets, parts, strict=True) if ast.unparse(target) == name]
            case ast.AnnAssign(target=ast.Name(id=given), value=ast.expr() as value) if given == name:
                values.append(value)
    return values


def _returned_by(name: str, tree: ast.Module) -> list[ast.expr]:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    returns = [node for one in functions for node in ast.walk(one) if isinstance(node, ast.Return)]
    return [node.value for node in returns if node.value is not None and isinstance(node.value, ast.Dict)]
