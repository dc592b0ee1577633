"""The errors of each operation, with a real example of every code."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from gateway.core.errors import PROBLEMS, FieldError
from gateway.core.payment import Alert
from gateway.core.problem_guides import GUIDES, example
from gateway.web.openapi.headers import named
from gateway.web.openapi.schemas import ref
from gateway.web.request import TenantCall
from gateway.web.routing import Route

ALWAYS = (
    "unauthorized",
    "method_not_allowed",
    "rate_limited",
    "internal_error",
    "store_unavailable",
    "shutting_down",
)
"""Error codes that every route of tenants can answer."""

WRITING = ("store_in_doubt",)
"""Those of a route that changes something."""

WITH_BODY = ("malformed_json", "request_timeout", "body_too_large", "unsupported_media_type", "validation_failed")
"""Those of a route that takes a body."""

UNDER_A_KEY = (
    "request_in_progress",
    "idempotency_key_required",
    "invalid_idempotency_key",
    "idempotency_key_reused",
)
"""Those of a route under an idempotency key."""

OF_TENANTS = {code: problem for code, problem in PROBLEMS.items() if code != "forbidden"}
"""The codes of the document: only an operator's key has a role that may be too low."""

HEADERS = {
    401: "WWW-Authenticate",
    405: "Allow",
    409: "Retry-After",
    429: "Retry-After",
    502: "Retry-After",
    503: "Retry-After",
}
"""By status, the header an error may have beside its id."""

_CODES = Annotated[str, Meta(extra_json_schema={"enum": list(OF_TENANTS)})]


class ProblemView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename={"kind": "type"}):
    """An error answer (RFC 9457)."""

    kind: Annotated[
        str,
        Meta(
            description="A page about this code, relative to the address of this gateway.",
            extra_json_schema={"format": "uri-reference"},
        ),
    ]
    title: Annotated[str, Meta(description="What the code means; the same for every error with this code.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str, Meta(description="What happened this time, for people.")]
    code: Annotated[_CODES, Meta(description="What happened, for programs.")]
    request_id: Annotated[str, Meta(description="Identifies the request in the gateway's log.")]
    errors: Annotated[list[FieldError] | None, Meta(description="Every invalid member.")] = None
    payment_id: Annotated[str | None, Meta(description="The payment it is about.")] = None
    operation_id: Annotated[str | None, Meta(description="The operation it is about.")] = None
    replaced_by: Annotated[str | None, Meta(description="The payment to use instead.")] = None
    alerts: Annotated[list[Alert] | None, Meta(description="Messages to show to the tenant's staff.")] = None


def errors(route: Route[TenantCall]) -> dict[str, Any]:
    """The error answers of a route, by status."""
    writing = WRITING if route.method != "GET" else ()
    under_a_key = UNDER_A_KEY if route.is_idempotent else ()
    own = (*route.codes, *(WITH_BODY if route.body else ()), *under_a_key, *writing, *ALWAYS)
    by_status: dict[int, list[str]] = {}
    for code in own:
        by_status.setdefault(PROBLEMS[code].status, []).append(code)
    return {str(status): _answer(status, codes) for status, codes in sorted(by_status.items())}


def examples(public_url: str) -> dict[str, Any]:
    """One example per code."""
    folder = urlsplit(public_url).path.rstrip("/")
    return {code: {"summary": problem.title, "value": example(code, folder)} for code, problem in OF_TENANTS.items()}


def _answer(status: int, codes: list[str]) -> dict[str, Any]:
    shown = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    header = HEADERS.get(status)
    return {
        "description": "\n".join(f"- `{code}`: {GUIDES[code].why}" for code in codes),
        "headers": named(*([header] if header else [])),
        "content": {"application/problem+json": {"schema": ref(ProblemView), "examples": shown}},
    }
