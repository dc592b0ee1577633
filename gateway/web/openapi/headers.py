"""The headers of requests and answers, as the document describes them."""

from __future__ import annotations

from typing import Any

from gateway.core.problem_guides import REQUEST_ID

COMPONENTS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "Identifies this request; quote it when you ask about it. Your own id, if you sent a valid one.",
        "schema": {"type": "string"},
        "example": REQUEST_ID,
    },
    "Idempotency-Replayed": {
        "description": "Present when this is the stored answer to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "Retry-After": {
        "description": "The number of seconds after which to repeat the request.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "Allow": {
        "description": "The methods of this path.",
        "schema": {"type": "string"},
        "example": "GET,HEAD,POST",
    },
    "WWW-Authenticate": {
        "description": "How to authenticate.",
        "schema": {"type": "string"},
        "example": "Bearer",
    },
}


def named(*names: str) -> dict[str, Any]:
    """References to some of the headers, and to the one that every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def idempotency_key(example: str) -> dict[str, Any]:
    """The header that makes it safe to repeat a request."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "8 to 128 of `A-Z a-z 0-9 _ -`, with or without double quotes around it. Choose a new value for"
        " each operation, such as a UUID or the order number and the operation; repeat it with the same request when"
        " you do not know the outcome.",
        "schema": {"type": "string", "pattern": '^([A-Za-z0-9_-]{8,128}|"[A-Za-z0-9_-]{8,128}")$'},
        "example": example,
    }
