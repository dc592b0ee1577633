"""Everything that the gateway may log is documented, and every field that it names is written."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.drivers.telemetry import FIELDS, LIBRARY_MESSAGE
from gateway.flows.occurrences import LINES
from tests.tools.log_calls import log_calls, messages

PAGE = Path(__file__).parents[1] / "docs" / "operating.md"
_ROW = re.compile(r"^\| \**`([^`]+)`\** \| (debug|info|warning|error|critical) \| .+ \|$", re.MULTILINE)


def section() -> str:
    """What the page says of logs."""
    return PAGE.read_text(encoding="utf-8").partition("\n## Logs\n")[2].partition("\n## ")[0]


def test_every_message_is_documented_with_its_level() -> None:
    """A new message needs a row in docs/operating.md, "Logs": what it means and what to do. No row is left over."""
    written = {(re.split("[:;]", message)[0], level) for message, level in messages()} | {(LIBRARY_MESSAGE, "warning")}
    assert sorted(_ROW.findall(section())) == sorted(written)


def test_what_to_do_is_said_in_the_same_words() -> None:
    """An operator's webhook and the page say the same of an occurrence."""
    assert [line.action for line in LINES.values() if line.action not in section()] == []


def test_every_message_can_be_read_from_the_code() -> None:
    """A message is a fixed sentence: else nobody could list them, and it could quote what came over the wire."""
    assert [call.place for call in log_calls() if call.level and not call.messages] == []


def test_every_field_is_on_the_list() -> None:
    """A field that is not is dropped without a word: put it on the list, or leave it out of the call."""
    assert [(call.place, sorted(call.fields - set(FIELDS))) for call in log_calls() if call.fields - set(FIELDS)] == []


def test_every_field_is_documented() -> None:
    """In the first column of the table of fields."""
    table = section().partition("| field | what |\n")[2].partition("\n\n")[0]
    cells = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", table, re.MULTILINE)
    assert sorted(name for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)) == sorted(FIELDS)
