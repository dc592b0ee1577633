"""The headers of requests and answers, as the document describes them."""

from __future__ import annotations

from typing import Any

from gateway.core.problem_guides import REQUEST_ID

COMPONENTS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "Names this request; quote it when you ask about it. Yours, if you sent a usable one.",
        "schema": {"type": "string"},
        "example": REQUEST_ID,
    },
    "Idempotency-Replayed": {
        "description": "There when this is the stored answer of an earlier request under the same key.",
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
    "Retry-After": {
        "description": "After how many seconds to repeat the request.",
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
    """References to some of the headers, with the one that every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def idempotency_key(example: str) -> dict[str, Any]:
    """The header under which a repeated request is done once."""
    return {
        "name": "Idempotency-Key",
        "in": "header",
        "required": True,
        "description": "8 to 128 of `A-Z a-z 0-9 _ -`, with or without double quotes around it. Choose a new one for"
        " each thing you want done, such as a UUID or the order and what is done with it; repeat it with the same"
        " request when you do not know what became of it.",
        "schema": {"type": "string", "pattern": '^([A-Za-z0-9_-]{8,128}|"[A-Za-z0-9_-]{8,128}")$'},
        "example": example,
    }
