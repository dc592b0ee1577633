"""The operations, one for each route."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.core.problem_guides import PAYMENT
from gateway.web.api.examples import CALLBACK_ID, DELIVERY_ID, REFERENCE
from gateway.web.openapi.headers import idempotency_key, named
from gateway.web.openapi.problems import errors
from gateway.web.openapi.schemas import ref
from gateway.web.query_parameters import QueryParameter
from gateway.web.request import TenantCall
from gateway.web.routing import Route

IDS = {
    "/v1/payments/{id}": ("The payment's id.", PAYMENT),
    "/v1/accounts/{name}": ("The account's name.", "psp-main"),
    "/v1/callbacks/{id}": ("The callback's id.", CALLBACK_ID),
    "/v1/webhooks/deliveries/{id}": ("The delivery's id.", DELIVERY_ID),
}
"""What ``{id}`` or ``{name}`` is, and an example, by how a path begins."""

_UNDER_A_KEY = {
    200: "The outcome of the operation is known: check `operation.status`, which may be `declined`.",
    201: "The outcome of the operation is known: check its status, which may be `declined`.",
    202: "The outcome is not known yet, which is not a failure: repeat the request with the same key, retrieve the"
    " payment, or wait for the webhook.",
}
_OTHERS = {200: "The request succeeded.", 202: "Accepted; it is sent like any webhook."}


def paths(routes: Iterable[Route[TenantCall]]) -> dict[str, Any]:
    """All operations by path and method."""
    found: dict[str, Any] = {}
    for route in routes:
        found.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return found


def _operation(route: Route[TenantCall]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "tags": [route.tag],
        "summary": route.summary,
        "description": route.text,
        "parameters": _parameters(route),
        "responses": {**_successes(route), **errors(route)},
    }
    if route.body is not None:
        needs_body = any(field.required for field in msgspec.structs.fields(route.body))
        content = {"schema": ref(route.body), **_shown(route)}
        operation["requestBody"] = {"required": needs_body, "content": {"application/json": content}}
    return operation


def _shown(route: Route[TenantCall]) -> dict[str, Any]:
    """The example of a body, or several to choose from."""
    if not route.sends_any:
        return {"example": route.sends}
    named = enumerate(route.sends_any.items(), start=1)
    return {"examples": {f"example_{number}": {"summary": text, "value": value} for number, (text, value) in named}}


def _parameters(route: Route[TenantCall]) -> list[dict[str, Any]]:
    parameters = [_query(query) for query in route.query]
    parameters += [_in_path(begin, *about) for begin, about in IDS.items() if route.path.startswith(begin)]
    if route.is_idempotent:
        parameters.append(idempotency_key(f"{route.name}-{REFERENCE}"))
    return parameters


def _query(query: QueryParameter) -> dict[str, Any]:
    schema = dict(query.schema) if isinstance(query.schema, Mapping) else ref(query.schema)
    return {"name": query.name, "in": "query", "description": query.description, "schema": schema}


def _in_path(begin: str, text: str, example: str) -> dict[str, Any]:
    name, schema = begin[begin.index("{") + 1 : -1], {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema, "example": example}


def _successes(route: Route[TenantCall]) -> dict[str, Any]:
    texts = _UNDER_A_KEY if route.is_idempotent else _OTHERS
    return {
        str(status): {
            "description": texts[status],
            "headers": named(*(["Idempotency-Replayed"] if route.is_idempotent and status != 202 else [])),
            "content": {"application/json": {"schema": ref(type(shown)), "example": msgspec.to_builtins(shown)}},
        }
        for status, shown in route.answers.items()
    }
