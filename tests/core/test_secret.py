"""A secret is shown by ``reveal()`` and by nothing else."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable

import msgspec
import pytest

from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest, HttpResponse

CANARY = "canary-ß-7f3a"


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A Struct that holds a secret, as an account's config does."""

    token: Secret


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r:>40}".format,
        lambda secret: f"{secret:>40}",
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # the old form is what is tested
        lambda secret: repr([secret, {"a": secret}]),
        lambda secret: repr(Holder(token=secret)),
        lambda secret: str(ValueError(secret)),
    ],
)
def test_no_text_form_shows_it(show: Callable[[Secret], str]) -> None:
    """repr, str, format and the repr of whatever holds it are masked."""
    shown = show(Secret(CANARY))
    assert CANARY not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "write",
    [
        pickle.dumps,
        copy.deepcopy,
        json.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        msgspec.yaml.encode,
        lambda secret: msgspec.json.encode(Holder(token=secret)),
        lambda secret: msgspec.to_builtins(Holder(token=secret)),
        vars,
    ],
)
def test_no_encoder_takes_it(write: Callable[[Secret], object]) -> None:
    """Pickle, JSON and their relatives refuse, and the refusal does not show it either."""
    with pytest.raises(TypeError) as refused:
        write(Secret(CANARY))
    assert CANARY not in "".join(traceback.format_exception(refused.value))


def test_it_is_revealed_on_request() -> None:
    """``reveal()`` returns the text itself."""
    assert Secret(CANARY).reveal() == CANARY


def test_equal_secrets_are_equal() -> None:
    """Secrets compare and hash by their text, and never equal a text."""
    assert {Secret("a"), Secret("a")} == {Secret("a")}
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_requests_do_not_show_what_they_carry() -> None:
    """The repr of a request or an answer shows neither query nor headers nor body."""
    said = HttpRequest(
        method="POST", url=f"https://x.example/a?k={CANARY}", headers=(("Authorization", CANARY),), body=CANARY.encode()
    )
    assert repr(said) == "HttpRequest(POST https://x.example/a, 14 bytes)"
    assert repr(HttpResponse(status=200, body=CANARY.encode())) == "HttpResponse(200, 14 bytes)"
