"""The OpenAPI 3.1 document, made from ``ROUTES`` and the very types the handlers decode and answer with."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec

from gateway.core.errors import PROBLEMS, FieldError
from gateway.core.money import Amount
from gateway.core.payment import WEBHOOK_TYPES, Alert
from gateway.core.views import WebhookBody
from gateway.web.route import Route
from gateway.web.tenants import ROUTES

ALWAYS = ("unauthorized", "rate_limited", "internal_error", "store_unavailable", "shutting_down")
"""Error codes every route for tenants can answer."""

WITH_BODY = ("malformed_json", "request_timeout", "body_too_large", "unsupported_media_type", "validation_failed")
"""Those of a route that takes a body."""

UNDER_A_KEY = (
    "request_in_progress",
    "idempotency_key_required",
    "invalid_idempotency_key",
    "idempotency_key_reused",
)
"""Those of a route under an idempotency key."""

_REF = "#/components/schemas/{name}"
_DECIMAL = {"type": "string", "pattern": r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$", "examples": ["1067.33"]}


class ProblemView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"kind": "type"}):
    """An error answer (RFC 9457)."""

    kind: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: list[FieldError] | None = None
    payment_id: str | None = None
    operation_id: str | None = None
    replaced_by: str | None = None
    alerts: list[Alert] | None = None


def document() -> dict[str, Any]:
    """Make the whole document."""
    types = {ProblemView, WebhookBody}
    for route in ROUTES:
        types |= {*route.answers.values(), *({route.body} if route.body else ())}
    ordered = sorted(types, key=lambda one: one.__name__)
    _, components = msgspec.json.schema_components(ordered, schema_hook=_schema_of, ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Payment gateway",
            "version": version("tenant-payment-gateway"),
            "description": "Create payments, read them, and be told of every change by signed webhooks.",
        },
        "paths": _paths(),
        "webhooks": _webhooks(),
        "components": {
            "schemas": components,
            "securitySchemes": {"tenant": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"tenant": []}],
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "parameters": _parameters(route),
        "responses": {**_successes(route), **_errors(route)},
    }
    if route.body is not None:
        needs_body = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {
            "required": needs_body,
            "content": {"application/json": {"schema": _ref(route.body)}},
        }
    return operation


def _parameters(route: Route) -> list[dict[str, Any]]:
    parameters: list[dict[str, Any]] = [
        {"name": query.name, "in": "query", "description": query.description, "schema": dict(query.schema)}
        for query in route.query
    ]
    if "{id}" in route.path:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}})
    if route.is_idempotent:
        key = {"type": "string", "minLength": 8, "maxLength": 128, "pattern": "^[A-Za-z0-9_-]+$"}
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": True, "schema": key})
    return parameters


def _successes(route: Route) -> dict[str, Any]:
    later = "The outcome is not known yet: repeat with the same key, read, or wait"
    texts = {200: "Done", 201: "Done", 202: later if route.is_idempotent else "Accepted; it goes out like any webhook"}
    return {
        str(status): {"description": texts[status], "content": {"application/json": {"schema": _ref(view)}}}
        for status, view in route.answers.items()
    }


def _errors(route: Route) -> dict[str, Any]:
    by_status: dict[str, list[str]] = {}
    codes = (*route.codes, *(WITH_BODY if route.body else ()), *(UNDER_A_KEY if route.is_idempotent else ()), *ALWAYS)
    for code in codes:
        by_status.setdefault(str(PROBLEMS[code].status), []).append(code)
    content = {"application/problem+json": {"schema": _ref(ProblemView)}}
    return {
        status: {"description": ", ".join(f"`{code}`" for code in codes), "content": content}
        for status, codes in sorted(by_status.items())
    }


def _webhooks() -> dict[str, Any]:
    body = {"required": True, "content": {"application/json": {"schema": _ref(WebhookBody)}}}
    return {
        kind: {
            "post": {
                "operationId": kind,
                "requestBody": body,
                "responses": {"2XX": {"description": "Received"}},
                "security": [],
            }
        }
        for kind in WEBHOOK_TYPES
    }


def _ref(view: Any) -> dict[str, str]:
    return {"$ref": _REF.format(name=view.__name__)}


def _schema_of(kind: type) -> dict[str, Any]:
    if kind is Amount:
        return {"anyOf": [_DECIMAL, {"type": "number"}]}
    raise TypeError(f"no schema for {kind.__name__}")
