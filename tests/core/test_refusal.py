"""A provider's refusal in JSON, and what may have been written by somebody else."""

from __future__ import annotations

import msgspec
import pytest

from gateway.core.errors import OutcomeUnknown
from gateway.core.facts import Declined
from gateway.core.masking import secrets_of
from gateway.core.refusal import read_refusal
from gateway.core.secret import Secret
from gateway.core.wire import HttpResponse


class Config(msgspec.Struct, frozen=True):
    """An account's config with one secret."""

    base_url: str = "https://a.example"
    key: Secret = Secret("key-0123456789")


SECRETS = secrets_of(Config())


def refusal(body: bytes, status: int = 422, kind: str = "application/json") -> Declined:
    return read_refusal(
        HttpResponse(status=status, headers=(("Content-Type", kind),), body=body), "error", SECRETS, by="Tiny Pay"
    )


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (b'{"error":"too late"}', "too late", "too late"),
        (b'{"error":"key-0123456789 is wrong"}', "*** is wrong", "*** is wrong"),
        (b'{"error":7}', "422", "Tiny Pay answered 422"),
        (b"{}", "422", "Tiny Pay answered 422"),
        (b'{"error":"' + b"x" * 600 + b'"}', "x" * 64, "x" * 500),
    ],
)
def test_a_refusal_says_why(body: bytes, code: str, message: str) -> None:
    """The text is shown without secrets and cut; without one the status says it."""
    assert refusal(body) == Declined(code=code, message=message)


def test_a_protocol_may_refuse_under_other_statuses() -> None:
    """Where a plugin names them: a 402 of one provider is what a 409 of another is."""
    response = HttpResponse(status=402, headers=(("Content-Type", "application/json"),), body=b'{"error":"no funds"}')
    assert read_refusal(response, "error", SECRETS, statuses={402}).code == "no funds"
    with pytest.raises(OutcomeUnknown):
        read_refusal(response, "error", SECRETS)


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"error":"x"}', 422, "text/html"),
        (b'{"error":"x"}', 422, ""),
        (b'{"error":"x"}', 500, "application/json"),
        (b'{"error":"x"}', 200, "application/json"),
        (b"[]", 422, "application/json"),
        (b"<html>", 422, "application/json"),
    ],
)
def test_what_may_be_a_proxys_is_not_a_refusal(body: bytes, status: int, kind: str) -> None:
    """Another status, another media type or another shape proves nothing."""
    with pytest.raises(OutcomeUnknown):
        refusal(body, status, kind)
