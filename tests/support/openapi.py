"""Reading the OpenAPI document: its operations, schemas and examples, and whether a value fits a schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs


class Operation(NamedTuple):
    """One operation, and how it is called: ``GET /v1/payments``."""

    label: str
    path: str
    method: str
    spec: dict[str, Any]


class Example(NamedTuple):
    """A value that the document shows, where it stands, and the schema it claims to have."""

    place: str
    schema: dict[str, Any]
    value: Any


def operations(document: dict[str, Any]) -> list[Operation]:
    """Every operation of a tenant."""
    return [
        Operation(f"{method.upper()} {path}", path, method.upper(), spec)
        for path, methods in document["paths"].items()
        for method, spec in methods.items()
    ]


def webhooks(document: dict[str, Any]) -> list[Operation]:
    """Every webhook."""
    return [Operation(kind, kind, "POST", item["post"]) for kind, item in document["webhooks"].items()]


def resolved(document: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What a reference leads to; anything else is itself."""
    found: Any = document
    for step in node.get("$ref", "").split("/")[1:]:
        found = found[step]
    return found if "$ref" in node else node


def examples(document: dict[str, Any], operation: Operation) -> Iterator[Example]:
    """Every example of an operation: parameters, body, answers."""
    spec = operation.spec
    for parameter in spec["parameters"]:
        if "example" in parameter:
            yield Example(f"{operation.label} {parameter['name']}", parameter["schema"], parameter["example"])
    bodies = {"body": spec.get("requestBody", {}), **spec["responses"]}
    for place, body in bodies.items():
        for content in body.get("content", {}).values():
            shown = [resolved(document, one)["value"] for one in content.get("examples", {}).values()]
            for value in [*shown, *([content["example"]] if "example" in content else [])]:
                yield Example(f"{operation.label} {place}", content["schema"], value)


def faults(document: dict[str, Any], schema: dict[str, Any], value: Any) -> list[str]:
    """Why a value does not fit a schema of the document; formats count."""
    whole = {**schema, "components": document["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [f"{'/'.join(map(str, one.instance_path))}: {one.message}" for one in validator.iter_errors(value)]


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of a JSON document."""
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from nodes(part)


def schemas(node: Any, place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema inside a JSON value, with its place; examples are not schemas."""
    if isinstance(node, dict):
        if "type" in node or "$ref" in node or "anyOf" in node:
            yield place, node
        for name, inner in node.items():
            if name not in ("example", "examples"):
                yield from schemas(inner, f"{place}/{name}")
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from schemas(inner, f"{place}/{number}")
