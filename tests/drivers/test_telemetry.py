"""What reaches a log, and what never does."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from gateway.core.secret import Secret
from gateway.drivers import telemetry
from gateway.drivers.log_lines import BatchedLines
from gateway.drivers.log_throttle import MAX_SIMILAR_LINES, RepeatFilter
from gateway.drivers.telemetry import FIELDS, JsonLines, Sample, exception_told, log_often

HIDDEN = "ss_live_canary"


def line(name: str = "gateway", message: str = "request", *arguments: object, **extra: Any) -> dict[str, Any]:
    """One record as it is written."""
    error = extra.pop("exc_info", None)
    record = logging.LogRecord(name, logging.INFO, "/src/place.py", 7, message, arguments, error)
    vars(record).update(extra)
    written = JsonLines().format(record)
    assert "\n" not in written
    return dict(json.loads(written))


def raised(problem: Exception, cause: Exception | None = None) -> Exception:
    """An exception with a stack."""
    try:
        raise problem from cause
    except Exception as caught:
        return caught


def test_a_record_is_one_json_object() -> None:
    """Time in UTC, level, message, and the fields that were given."""
    written = line(payment_id="pay_1", status=201, milliseconds=1.5)
    assert written.pop("time").endswith("Z")
    assert written == {
        "level": "info",
        "message": "request",
        "payment_id": "pay_1",
        "status": 201,
        "milliseconds": 1.5,
    }


@pytest.mark.parametrize("name", FIELDS)
def test_every_listed_field_is_written(name: str) -> None:
    """What flows name beside their messages arrives."""
    assert line(**{name: "value"})[name] == "value"


@pytest.mark.parametrize("name", ["body", "headers", "url", "query", "token", "authorization", "customer"])
def test_what_is_not_listed_is_dropped(name: str) -> None:
    """A field nobody put on the list never reaches a log."""
    assert HIDDEN not in json.dumps(line(**{name: HIDDEN}))


@pytest.mark.parametrize("value", [Secret(HIDDEN), HIDDEN.encode(), [HIDDEN], {"a": HIDDEN}, ValueError(HIDDEN)])
def test_only_plain_values_are_written(value: object) -> None:
    """Of anything but text, numbers and truth only the type is told."""
    assert line(problem=value)["problem"] == type(value).__name__


def test_a_message_is_never_filled_in() -> None:
    """Arguments of a message are not on the list."""
    assert line("gateway", "cannot read %s", HIDDEN)["message"] == "cannot read %s"


def test_of_a_library_only_the_place_is_told() -> None:
    """A library's own words may quote anything: they are replaced by where they were said."""
    written = line("aiohttp.server", f"Error handling request {HIDDEN}")
    assert HIDDEN not in json.dumps(written)
    assert (written["logger"], written["place"]) == ("aiohttp.server", "/src/place.py:7")


def test_a_logger_below_ours_is_ours() -> None:
    """``gateway.drivers.plugin_registry`` speaks for us, ``gateway_plugin`` does not."""
    assert line("gateway.drivers.plugin_registry", "observer failed")["message"] == "observer failed"
    assert line("gateway_plugin", "observer failed")["message"] != "observer failed"


def test_of_an_exception_the_text_is_not_told() -> None:
    """Type and stack are enough to find the fault; the text may quote a URL with its secret."""
    error = raised(ValueError(HIDDEN), KeyError(HIDDEN))
    written = line(exc_info=(type(error), error, error.__traceback__))
    assert HIDDEN not in json.dumps(written)
    assert written["exception"]["type"] == "ValueError"
    assert written["exception"]["stack"][0].startswith(__file__)
    assert written["exception"]["from"][0]["type"] == "KeyError"


def test_members_of_a_group_are_told() -> None:
    """A group without its members would say nothing."""
    told = exception_told(ExceptionGroup(HIDDEN, [raised(OSError(HIDDEN))]))
    assert [inner["type"] for inner in told["from"]] == ["OSError"]


def test_a_circle_of_causes_ends() -> None:
    """An exception that is its own cause is told a few times and no more."""
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert len(json.dumps(exception_told(first))) < 1000


@pytest.mark.parametrize("text", ["Zürich", "\x7f", "\u2028", "\udcff", "\x1b[31m"])
def test_a_line_is_printable_ascii(text: str) -> None:
    """In whatever encoding it is read, and on a terminal too: everything else is escaped."""
    record = logging.LogRecord("gateway", logging.INFO, "", 0, "request", (), None)
    vars(record).update(problem=text)
    written = JsonLines().format(record)
    assert written.isascii()
    assert written.isprintable()
    assert json.loads(written)["problem"] == text


def test_text_that_is_no_unicode_and_long_text_are_written() -> None:
    """A lone surrogate is escaped, a huge text is cut."""
    assert line(problem="\udcff\n")["problem"] == "\udcff\n"
    assert len(line(problem="x" * 10_000)["problem"]) == 1000


def test_a_frequent_line_is_a_record_like_any_other(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever listens to the logger gets it with its fields, unless the level is switched off."""
    for level, status in ((logging.WARNING, 200), (logging.INFO, 201)):
        with caplog.at_level(level, logger="gateway"):
            log_often("request", {"status": status})
    assert [(one.name, one.levelname, one.getMessage(), vars(one)["status"]) for one in caplog.records] == [
        ("gateway", "INFO", "request", 201)
    ]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> io.StringIO:
    """What a process writes whose only handler is the one of ``setup_logging``."""
    stream = io.StringIO()
    handler = BatchedLines(stream)
    handler.setFormatter(JsonLines())
    handler.addFilter(RepeatFilter())
    caplog.set_level(logging.INFO, logger="gateway")
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    return stream


def test_a_frequent_line_reads_as_its_record_would(written: io.StringIO) -> None:
    """The same members in the same order, whatever order they were given in; what is not listed is dropped."""
    fields = {"tenant": "acme", "status": 201, "request_id": "req_1", "milliseconds": 1.5, "body": HIDDEN}
    log_often("request", fields)
    logging.getLogger("gateway").info("request", extra=fields)
    often, record = [list(json.loads(one).items()) for one in written.getvalue().splitlines()]
    assert often[1:] == record[1:]
    names = ["time", "level", "message", "request_id", "status", "milliseconds", "tenant"]
    assert [name for name, _ in often] == names


def test_a_frequent_line_about_one_of_many_is_throttled(written: io.StringIO) -> None:
    """As its record would be."""
    for number in range(MAX_SIMILAR_LINES + 5):
        log_often("request", {"callback_id": f"cb_{number}", "account": "psp"})
    assert len(written.getvalue().splitlines()) == MAX_SIMILAR_LINES


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch, written: io.StringIO) -> Callable[[float], None]:
    """Set the share of healthy lines that are written."""
    sample = Sample()
    monkeypatch.setattr(telemetry, "_sample", sample)
    logging.getLogger().handlers[0].addFilter(sample)
    return lambda wanted: setattr(sample, "share", wanted)


def messages(written: io.StringIO) -> list[str]:
    """What was written since the last time."""
    found = [json.loads(one)["message"] for one in written.getvalue().splitlines()]
    written.truncate(0)
    written.seek(0)
    return found


def test_a_share_of_the_requests_is_written_each_whole(written: io.StringIO, share: Callable[[float], None]) -> None:
    """All healthy lines of a request or none, also those that carry its id only by what they run in."""
    share(0.25)
    for number in range(400):
        telemetry.current_request.set(f"req_{number}")
        logging.getLogger("gateway").info("in between")
        log_often("request", {"status": 200, "request_id": f"req_{number}"})
    found = messages(written)
    assert found == ["in between", "request"] * (len(found) // 2)
    assert 60 <= len(found) // 2 <= 140
    telemetry.current_request.set(None)


@pytest.mark.parametrize(
    ("level", "fields"),
    [
        (logging.INFO, {"status": 404, "request_id": "req_1"}),
        (logging.INFO, {"status": 200, "request_id": "req_1", "operator": "dana"}),
        (logging.INFO, {"version": "1.0"}),
        (logging.WARNING, {"request_id": "req_1"}),
        (logging.ERROR, {"request_id": "req_1", "status": None}),
    ],
)
def test_what_matters_is_always_written(
    written: io.StringIO, share: Callable[[float], None], level: int, fields: dict[str, Any]
) -> None:
    """What was refused, what operators do, what belongs to no request, and from warning on."""
    share(0)
    log_often("request", {"status": 200, "request_id": "req_1"})
    logging.getLogger("gateway").log(level, "kept", extra=fields)
    assert messages(written) == ["kept"]
    if level == logging.INFO:
        log_often("kept", fields)
        assert messages(written) == ["kept"]


def test_a_line_names_the_request_that_it_belongs_to(written: io.StringIO) -> None:
    """Whatever happens for a request is found by its id."""
    telemetry.current_request.set("req_7")
    logging.getLogger("gateway").warning("callback refused")
    logging.getLogger("gateway").warning("of another", extra={"request_id": "req_8"})
    telemetry.current_request.set(None)
    logging.getLogger("gateway").warning("of none")
    found = [json.loads(one).get("request_id") for one in written.getvalue().splitlines()]
    assert found == ["req_7", "req_8", None]


PROGRAM = f"""
import asyncio, logging, sys
from gateway.drivers.telemetry import setup_logging
setup_logging()
logging.getLogger("gateway").info("ours", extra={{"tenant": "acme"}})
logging.getLogger("library").info("{HIDDEN}")
logging.getLogger("library").warning("{HIDDEN}")
async def main():
    asyncio.get_running_loop().call_soon(lambda: int("{HIDDEN}"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
asyncio.run(main())
raise ValueError("{HIDDEN}")
"""


def test_a_whole_process_writes_json_lines_only() -> None:
    """Ours from info, libraries' from warning, faults in the loop, and the fault that ends the process."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    written = [json.loads(one) for one in ended.stderr.splitlines()]
    assert (ended.returncode, ended.stdout) == (1, "")
    assert [one.get("logger", "gateway") for one in written] == ["gateway", "library", "asyncio", "gateway"]
    assert written[-1]["message"] == "the process ends by a fault"
    assert HIDDEN not in ended.stderr
