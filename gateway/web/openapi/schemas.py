"""JSON Schemas of our types, as tools for clients like them: names that a reader expects, no ``default``, no titles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.core.money import Amount

NAMES = {
    "CaptureBody": "PaymentCapture",
    "Cause": "EventCause",
    "CreateBody": "PaymentCreate",
    "EmptyBody": "Empty",
    "EnableBody": "WebhookEnable",
    "EnabledEndpoint": "EnabledWebhookEndpoint",
    "EndpointView": "WebhookEndpoint",
    "Kind": "OperationKind",
    "PendingView": "PendingOperation",
    "Reason": "CallbackReason",
    "RedeliverBody": "WebhookRedeliver",
    "RefundBody": "RefundCreate",
    "State": "PaymentState",
    "Status": "OperationStatus",
    "UpdateBody": "PaymentUpdate",
}
"""What clients call a type; the others keep their name, without ``View``."""

DECIMAL = {"type": "string", "pattern": r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$"}
"""An amount as text."""

_LEFT_OUT = {"title", "default"}
"""Generators read a ``default`` as "always there" and a title as a type's name; descriptions say what is taken."""


def name_of(kind: type) -> str:
    """The name of a type in the document."""
    return _public(kind.__name__)


def ref(kind: type) -> dict[str, Any]:
    """A reference to the schema of a type."""
    return {"$ref": f"#/components/schemas/{name_of(kind)}"}


def components(kinds: Iterable[type]) -> dict[str, Any]:
    """The schemas of some types and of all types inside them, by name."""
    ordered = sorted(kinds, key=lambda kind: kind.__name__)
    _, found = msgspec.json.schema_components(ordered, schema_hook=_schema_of, ref_template="{name}")
    return {_public(name): _polished(schema) for name, schema in sorted(found.items())}


def _public(name: str) -> str:
    return NAMES.get(name, name.removesuffix("View"))


def _polished(schema: Mapping[str, Any]) -> dict[str, Any]:
    polished = {key: _value(key, value) for key, value in schema.items() if key not in _LEFT_OUT}
    return {"type": "string", **polished} if "enum" in polished else polished


def _value(key: str, value: Any) -> Any:
    match key, value:
        case "properties", dict():
            return {name: _polished(schema) for name, schema in value.items()}
        case "$ref", str():
            return f"#/components/schemas/{_public(value)}"
        case "description", str():
            return value.replace("``", "`")
        case "pattern", str():
            return value.replace(r"\Z", "$")  # Python's word for it; "$" means just that here
        case "anyOf", list():
            return [one for schema in value for one in _choices(_polished(schema))]
        case _, dict():
            return _polished(value)
        case _:
            return value


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """A choice inside a choice is one choice."""
    return list(schema["anyOf"]) if set(schema) == {"anyOf"} else [schema]


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is Amount:
        return {"anyOf": [DECIMAL, {"type": "number"}]}
    raise TypeError(f"no schema for {kind.__name__}")
