"""What a plugin returns is judged member by member, before anything of it is stored or sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from gateway.core.checks import every, struct, text
from gateway.core.commands import Command
from gateway.core.errors import Reason
from gateway.core.facts import Absent, Declined, Event, Hint, Observation, Pending, Stage
from gateway.core.money import Money
from gateway.core.plugin_returns import (
    ANSWER,
    CREDENTIALS,
    FACT,
    MEMBERS,
    PROOF,
    RULES,
    UnusableValue,
    checked,
    page_problem,
    request,
)
from gateway.core.rules import Actual, Rules, Tolerance
from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest, HttpResponse

GOOD = HttpRequest(method="POST", url="https://p.example/pay?a=%20", headers=(("X-Key", "a b"),), body=b"{}")
SEEN = Observation(stage=Stage.CAPTURED, amount=Decimal("10.00"), raw_status="paid")
PROVED = Event(event_id="e-1", observation=SEEN)
CANARY = "canary-value"

BAD_REQUESTS: dict[str, tuple[str, Any]] = {
    "method of two words": ("method", "GET /x"),
    "method with a line break": ("method", "GET\r\n"),
    "no method": ("method", ""),
    "method of bytes": ("method", b"GET"),
    "relative": ("url", "/pay"),
    "without a host": ("url", "https:///pay"),
    "another scheme": ("url", "ftp://p.example/"),
    "blank": ("url", "https://p.example/?note=SO 7"),
    "fragment": ("url", "https://p.example/#a"),
    "line break": ("url", "https://p.example/\r\nX: y"),
    "tab": ("url", "https://p.example/\t"),
    "not ASCII": ("url", "https://p.example/é"),
    "user": ("url", "https://u:p@p.example/"),
    "no text": ("url", None),
    "too long": ("url", "https://p.example/" + "a" * 9000),
    "header value with a line break": ("headers", (("X-Key", "a\r\nX-Other: b"),)),
    "header value with NUL": ("headers", (("X-Key", "a\0"),)),
    "header value of int": ("headers", (("X-Key", 7),)),
    "header value of bytes": ("headers", (("X-Key", b"a"),)),
    "header value None": ("headers", (("X-Key", None),)),
    "header name with a blank": ("headers", (("X Key", "a"),)),
    "header name with a colon": ("headers", (("X:Key", "a"),)),
    "no header name": ("headers", (("", "a"),)),
    "header name beyond ASCII": ("headers", (("\u017fign", "a"),)),
    "header name with a value's line": ("headers", (("X-Key\na", ""),)),
    "header of three": ("headers", (("a", "b", "c"),)),
    "headers of a dict": ("headers", {"X-Key": "a"}),
    "headers of text": ("headers", "X-Key: a"),
    "a length of its own": ("headers", (("Content-Length", "1"),)),
    "chunks of its own": ("headers", (("transfer-encoding", "chunked"),)),
    "a lone surrogate": ("headers", (("X-Key", "\ud800"),)),
    "too many headers": ("headers", (("a", "b"),) * 101),
    "body of text": ("body", "{}"),
    "no body": ("body", None),
    "too large": ("body", b"x" * (1024 * 1024 + 1)),
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
def test_a_request_that_cannot_be_sent_as_it_stands(what: str) -> None:
    """Method, address, headers and body are judged where the request was made, and the member is named."""
    member, value = BAD_REQUESTS[what]
    with pytest.raises(UnusableValue, match=f"HttpRequest: {member} "):
        request(replace(GOOD, **{member: value}), development=True)


@pytest.mark.parametrize("value", [None, "https://p.example/", {"method": "GET"}, HttpResponse(status=200)])
def test_a_request_of_another_type(value: object) -> None:
    """A value that is no request at all is named by its type."""
    with pytest.raises(UnusableValue, match="must be HttpRequest"):
        request(value, development=True)


def test_plain_http_is_for_development() -> None:
    """Outside development every call is https, whatever a plugin builds."""
    plain = replace(GOOD, url="http://p.example/pay")
    assert request(plain, development=True) is plain
    assert request(GOOD, development=False) is GOOD
    with pytest.raises(UnusableValue, match="must be https"):
        request(plain, development=False)


BAD_MEMBERS: dict[str, Any] = {
    "stage": ["captured", None, 1],
    "payment_id": [7, b"pay", "x" * 1025],
    "provider_reference": [7, "x" * 1025, "\ud800"],
    "merchant_reference": [7, "x" * 1025],
    "currency": [840],
    "amount": [10.0, 10, "10.00", Decimal("NaN"), Decimal("Infinity"), Decimal("-0.01"), Decimal("1E+999999"), True],
    "captured": [10.0, Decimal("sNaN")],
    "refunded": ["0", Decimal("-1")],
    "redirect_url": [b"https://p.example", 7],
    "customer_notified": ["yes", 1],
    "raw_status": [200, b"paid"],
}
CASES = [(name, value) for name, values in BAD_MEMBERS.items() for value in values]


@pytest.mark.parametrize(("name", "value"), CASES)
def test_an_observation_with_a_member_of_another_type_or_range(name: str, value: Any) -> None:
    """As it is, within ``Pending`` and within ``Event``; the member is named and its value is not shown."""
    bad = replace(SEEN, **{name: value})
    for check, returned in ((FACT, bad), (FACT, Pending(observation=bad)), (PROOF, replace(PROVED, observation=bad))):
        with pytest.raises(UnusableValue, match=rf"\b{name} "):
            checked(returned, check)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        "captured",
        7,
        Stage.CAPTURED,
        PROVED,
        Hint(),
        Pending(observation=None),
        Declined(code=None, message=""),
    ],  # type: ignore[arg-type]
)
def test_what_is_no_fact_of_an_answer(value: object) -> None:
    """``parse`` returns one of four values."""
    with pytest.raises(UnusableValue):
        checked(value, FACT)


@pytest.mark.parametrize(
    "value",
    [
        True,
        SEEN,
        Absent(),
        replace(PROVED, event_id=""),
        replace(PROVED, event_id=7),
        replace(PROVED, event_id="x" * 1025),
        replace(PROVED, observation=None),
        replace(PROVED, occurred_at=datetime(2026, 1, 1)),  # the mistake that is looked for
        replace(PROVED, occurred_at="2026-01-01"),
        replace(PROVED, occurred_at=datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),  # no date in UTC
        replace(PROVED, occurred_at=datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12)))),
        replace(PROVED, problem="amount"),
        Hint(provider_reference=7),  # type: ignore[arg-type]
        Hint(provider_reference="x" * 1025),
    ],
)
def test_what_is_no_proof(value: object) -> None:
    """``verify`` returns an event, a hint or None."""
    with pytest.raises(UnusableValue):
        checked(value, PROOF)


@pytest.mark.parametrize(
    "value",
    [
        None,
        204,
        HttpResponse(status=99),
        HttpResponse(status=101),
        HttpResponse(status=600),
        HttpResponse(status=True),
        HttpResponse(status="200"),  # type: ignore[arg-type]
        HttpResponse(status=200, headers=(("A", "b\n"),)),
        HttpResponse(status=200, body="ok"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_answer(value: object) -> None:
    """``answer`` returns a final status, clean headers and bytes."""
    with pytest.raises(UnusableValue):
        checked(value, ANSWER)


BAD_RULES: dict[str, Any] = {
    "currencies": "USD",
    "max_increase": Decimal("100"),
    "capture_deadline": 30,
    "deadline_warning": timedelta(days=-1),
    "expires_after": "24h",
    "cancel_from": frozenset({"authorised"}),
    "partial_capture": "yes",
    "absence_proves": None,
    "amount": Tolerance(absolute=0.5),  # type: ignore[arg-type]
    "time_window": timedelta(days=1),
    "deposit_method_required": 1,
    "charges_identity": "warn",
    "read_before_capture": None,
    "messages": {"code": None},
    "captures": "several",
    "capture_modes": frozenset({"tomorrow"}),
    "poll": (timedelta(0),),
    "repeatable": frozenset({Command}),
}


@pytest.mark.parametrize("member", BAD_RULES)
def test_a_rule_of_another_type(member: str) -> None:
    """Each member of ``Rules`` is judged when the settings are loaded."""
    with pytest.raises(UnusableValue, match=f"Rules: {member} "):
        checked(replace(Rules(), **{member: BAD_RULES[member]}), RULES)


def test_bad_rules_name_every_member() -> None:
    """The table above forgets none."""
    assert set(BAD_RULES) == set(Rules.__struct_fields__)


@pytest.mark.parametrize("value", [None, [], {"": "a"}, {7: "a"}, {"key": 7}, {"key": b"a"}])
def test_what_are_no_credentials(value: object) -> None:
    """``credentials`` returns text and secrets by name."""
    with pytest.raises(UnusableValue):
        checked(value, CREDENTIALS)


GOOD_VALUES = [
    (FACT, SEEN),
    (FACT, Observation(stage=Stage.UNKNOWN, payment_id="pay_1")),
    (FACT, Declined(code="", message="no")),
    (FACT, Pending(observation=Observation(stage=Stage.UNKNOWN))),
    (FACT, Absent()),
    (PROOF, None),
    (PROOF, Hint()),
    (PROOF, replace(PROVED, occurred_at=datetime(2026, 1, 1, tzinfo=UTC), problem=Reason.TIME)),
    (PROOF, replace(PROVED, occurred_at=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))),
    (ANSWER, HttpResponse(status=204)),
    (ANSWER, HttpResponse(status=302, headers=(("Location", "/x"),), body=b"")),
    (RULES, Rules()),
    (RULES, Rules(currencies=("USD",), cancel_from={"authorized"}, amount=Actual())),  # type: ignore[arg-type]
    (RULES, Rules(max_increase=Money.of(Decimal(100), "USD", 2), time_window=(timedelta(1), timedelta(1)))),
    (CREDENTIALS, {"id": "a", "key": Secret("b")}),
]


@pytest.mark.parametrize(("check", "value"), GOOD_VALUES)
def test_what_may_be_returned(check: Any, value: object) -> None:
    """Whatever the documents allow passes as it is."""
    assert checked(value, check) is value


@pytest.mark.parametrize(
    "kind", [Observation, Declined, Pending, Absent, Event, Hint, HttpRequest, HttpResponse, Rules]
)
def test_every_member_has_its_check(kind: type[msgspec.Struct]) -> None:
    """A member that is added later cannot be forgotten."""
    assert set(MEMBERS[kind]) == set(kind.__struct_fields__)


def test_a_value_is_never_shown() -> None:
    """What was wrong may be what must not be seen."""
    bad = replace(GOOD, headers=((CANARY, f"{CANARY}\n"),), url=f"https://u:{CANARY}@p.example/")
    with pytest.raises(UnusableValue) as refused:
        request(bad, development=True)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://p.example/pay",
        "javascript:alert(1)",
        "//p.example/pay",
        "/pay",
        "https://",
        "https://user:secret@p.example/",
        "https://p.example/ pay",
        "https://p.example/\npay",
        "https://p.example/\\pay",
        "https://p.example/#a b",
        "https://p.example/#\r\n",
        "https://é.example/",
        "https://p.example/" + "a" * 2048,
        "https://p.example:0/",
    ],
)
def test_a_page_no_customer_is_sent_to(url: str) -> None:
    """Absolute https, without credentials, blanks, backslashes and control characters, of bounded length."""
    assert page_problem(url, development=False) is not None


def test_a_page_customers_may_open() -> None:
    """A fragment is part of many hosted pages; http is for development."""
    assert page_problem("https://p.example/pay?id=1#/step/2", development=False) is None
    assert page_problem("http://127.0.0.1:9101/checkout/CK-1", development=True) is None


class Noted(msgspec.Struct, frozen=True):
    """Its first default passes its check, the second does not."""

    lines: tuple[str, ...] = ()
    note: str | None = None


def test_a_default_is_judged_like_any_other_value() -> None:
    """A member that was left out is refused where it must be given; what only equals a default is looked at."""
    judge = struct(Noted, {"lines": every(text(9), (tuple,)), "note": text(9)})
    assert judge(Noted(note="a")) is None
    assert judge(Noted()) == "note must be str, not None"
    assert judge(Noted(lines=[], note="a")) == "lines must be tuple, not list"  # type: ignore[arg-type]  # as a plugin may
