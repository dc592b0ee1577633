"""A library that repeats itself fills no disk."""

from __future__ import annotations

import json
import logging

import pytest

from gateway.drivers import log_throttle
from gateway.drivers.log_throttle import RepeatFilter
from gateway.drivers.telemetry import JsonLines


def record(at: float, *, name: str = "asyncio", line: int = 7, error: Exception | None = None) -> logging.LogRecord:
    """One record at this second."""
    exc_info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord(name, logging.ERROR, "/lib/place.py", line, "socket.accept()", (), exc_info)
    made.created = at
    return made


def failed(kind: type[Exception]) -> Exception:
    """An exception that was raised here."""
    try:
        raise kind
    except kind as error:
        return error


def written(records: list[logging.LogRecord]) -> list[dict[str, object]]:
    """The lines that these records make."""
    once = RepeatFilter()
    return [json.loads(JsonLines().format(one)) for one in records if once.filter(one)]


def test_a_repeated_error_is_one_line_a_minute() -> None:
    """A thousand equal errors in 100 s are two lines: the first with its stack, the second with a count."""
    lines = written([record(number / 10, error=failed(OSError)) for number in range(1001)])
    assert [line.get("repeated") for line in lines] == [None, 600]
    assert ["exception" in line for line in lines] == [True, False]


@pytest.mark.parametrize(
    "other",
    [
        record(1, name="aiohttp.server"),
        record(1, line=8),
        record(1, error=failed(OSError)),
        record(1, error=failed(ValueError)),
    ],
)
def test_another_error_is_written_at_once(other: logging.LogRecord) -> None:
    """Another logger, place or kind of exception is something new."""
    assert len(written([record(0), other])) == 2


def test_our_own_lines_are_never_held_back() -> None:
    """Each says something of its own."""
    assert len(written([record(0, name="gateway") for _ in range(5)])) == 5


def test_webhooks_that_are_not_sent_are_one_line_a_minute() -> None:
    """For each tenant and host: an endpoint that is away has one line with a payment, then a count."""
    records = []
    for number in range(100):
        for host in ("erp.acme.example", "shop.globex.example"):
            one = record(number, name="gateway")
            vars(one).update(tenant=host, host=host, delivery_id=f"dlv_{number}", reason="the connection was refused")
            records.append(one)
    lines = written(records)
    assert [line.get("repeated") for line in lines] == [None, None, 60, 60]
    assert [line["delivery_id"] for line in lines] == ["dlv_0", "dlv_0", "dlv_60", "dlv_60"]


def test_a_map_that_fails_is_one_line_a_minute() -> None:
    """For each tenant and map, however many rows of a list it fails for."""
    records = []
    for number in range(100):
        for name in ("erp", "shop"):
            one = record(number, name="gateway")
            vars(one).update(tenant="acme", map=name, problem="$.x: takes more than 20000 steps")
            records.append(one)
    lines = written(records)
    assert [(line["map"], line.get("repeated")) for line in lines] == [
        ("erp", None),
        ("shop", None),
        ("erp", 60),
        ("shop", 60),
    ]


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places beyond the limit push out the oldest, which is then new again."""
    monkeypatch.setattr(log_throttle, "MAX_KEYS", 2)
    assert len(written([record(0, line=line) for line in (1, 2, 3, 1, 1)])) == 4


def test_refused_callbacks_are_some_lines_a_minute() -> None:
    """Of one account and reason 20 a minute with their ids, then a count; another reason has its own."""
    records = []
    for number in range(1000):
        made = record(number / 10, name="gateway")
        vars(made).update(account="a", callback_id=f"cb_{number}", reason="amount" if number % 100 else "time")
        records.append(made)
    lines = written(records)
    assert [line["callback_id"] for line in lines if line["reason"] == "time"] == [
        f"cb_{n}" for n in range(0, 1000, 100)
    ]
    of_amount = [line.get("repeated") for line in lines if line["reason"] == "amount"]
    assert of_amount == [None] * 20 + [575] + [None] * 19


def test_unknown_outcomes_are_some_lines_a_minute() -> None:
    """Of one account and kind 20 a minute, whatever their notes say."""
    records = []
    for number in range(100):
        made = record(number / 10, name="gateway")
        vars(made).update(account=f"account-{number % 2}", kind="create", note=f"http_500 ({number} bytes)")
        records.append(made)
    assert [line["account"] for line in written(records)] == ["account-0", "account-1"] * 20


def test_what_is_said_of_a_plugin_is_bounded_too() -> None:
    """Anyone who calls may make a plugin fail: the same failure of one account is one line a minute."""
    records = []
    for number in range(100):
        made = record(number / 10, name="gateway")
        vars(made).update(account=f"account-{number % 2}", member="verify", kind="KeyError")
        records.append(made)
    assert [line["account"] for line in written(records)] == ["account-0", "account-1"]
