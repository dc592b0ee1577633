"""What operators hear about: one call logs, counts and tells, and nothing that listens can break it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

import pytest

from gateway.drivers.telemetry import JsonLines
from gateway.flows.occurrences import LINES, Occurrence, Occurrences, report


class Reporter:
    """What a gateway is for ``report``."""

    def __init__(self) -> None:
        self.occurrences = Occurrences()


def test_every_occurrence_has_its_line() -> None:
    """None is without a level and a sentence; what is wrong also says what to do."""
    assert list(LINES) == list(Occurrence)
    wrong = {one for one, line in LINES.items() if line.level > logging.INFO} - {Occurrence.STORE_HAS_ROOM}
    assert {one for one, line in LINES.items() if line.action} == wrong


def test_an_occurrence_is_logged_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """A listener that fails is logged, and the next one hears all the same."""
    heard: list[tuple[Occurrence, Mapping[str, object]]] = []

    def broken(_: Occurrence, __: Mapping[str, object]) -> None:
        raise RuntimeError("not today")

    gw = Reporter()
    gw.occurrences.listeners += [broken, lambda *what: heard.append(what)]
    with caplog.at_level(logging.INFO, logger="gateway"):
        for _ in range(2):
            report(gw, Occurrence.ENDPOINT_DISABLED, tenant="acme", reason="gone")
    assert heard == [(Occurrence.ENDPOINT_DISABLED, {"tenant": "acme", "reason": "gone"})] * 2
    assert gw.occurrences.counts == {Occurrence.ENDPOINT_DISABLED: 2}
    first, second, *_ = [json.loads(JsonLines().format(record)) for record in caplog.records]
    assert {name: first[name] for name in ("level", "message", "tenant", "reason")} == {
        "level": "warning",
        "message": "a webhook endpoint is disabled",
        "tenant": "acme",
        "reason": "gone",
    }
    assert (second["message"], second["kind"]) == ("a listener failed", "endpoint_disabled")


def test_a_line_has_the_place_and_the_fault_of_its_caller(caplog: pytest.LogCaptureFixture) -> None:
    """By the place the log knows lines that repeat, so it must not be that of ``report``."""
    report(Reporter(), Occurrence.RELOAD_FAILED, ValueError("hidden"))
    (record,) = caplog.records
    assert record.pathname == __file__
    line = json.loads(JsonLines().format(record))
    assert (line["exception"]["type"], "hidden" in str(line)) == ("ValueError", False)
