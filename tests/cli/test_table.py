"""Tables: in every window ids, references and amounts are whole, on one line; on a pipe everything is."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence

import pytest
from rich.cells import cell_len

from gateway.cli import inbox, payments, review
from gateway.cli.output import harmless, print_pairs, print_table
from gateway.cli.table import Table, lay_out
from tests.support.cli import run
from tests.support.stack import GatewayStack, psp_body

TEXTS = {
    "id": "pay_01a22112b67070d4aaa6e287dfd95976",
    "payment_id": "pay_01a22112b67070d4aaa6e287dfd95977",
    "tenant": "acme-tools-of-tacoma",
    "account": "creditkey-main-account-2026",
    "merchant_reference": "SO-20261128-0001742",
    "amount": "1000000.00",
    "state": "partially_refunded",
    "reason": "reported_amount_differs",
    "detail": "the sign differs at position 1 of 40, and 表 takes two places of a terminal: look at the token",
    "note": "the gateway stopped",
    "created_at": "2026-11-28T12:36:10.123Z",
    "what": "payment.awaiting_customer",
    "details": "version: 1, state: - -> created, cause: tenant, amount_captured: 1000000.00",
}
WHOLE = ("id", "payment_id", "merchant_reference", "amount", "state")
TABLES: dict[str, Sequence[str]] = {
    "payments": payments.COLUMNS,
    "timeline": payments.TIMELINE,
    "inbox": inbox.COLUMNS,
    "judged again": inbox.RESULTS,
    "reviews": review.REVIEW_COLUMNS,
    "operations": review.OPERATION_COLUMNS,
}


def made(name: str) -> Table:
    """A table of two equal rows of long texts."""
    row = [TEXTS.get(column, "unknown") for column in TABLES[name]]
    return Table(TABLES[name], [row, row])


@pytest.mark.parametrize("width", [60, 72, 80, 90, 100, 110, 120, 140, 160, 180, 200, 250])
@pytest.mark.parametrize("name", TABLES)
def test_what_is_copied_stays_whole(name: str, width: int) -> None:
    """Every id, reference and amount is a word of one line; no line of a table is wider than the window."""
    table = made(name)
    lines = list(lay_out(table, width))
    words = [word for line in lines for word in line.split()]
    for column in set(WHOLE) & set(table.columns):
        assert words.count(TEXTS[column]) == len(table.rows), (column, lines)
    if lines[0].split()[0] == table.columns[0] and len(lines[0].split()) > 2:
        assert all(cell_len(line) <= width for line in lines if not line.startswith(("(", "    "))), lines


@pytest.mark.parametrize("name", TABLES)
def test_without_a_window_nothing_is_left_out(name: str) -> None:
    """A header, and a line with all texts for each row."""
    table = made(name)
    header, *lines = lay_out(table, None)
    assert header.split() == list(table.columns)
    assert len(lines) == len(table.rows)
    assert all(text in line for line in lines for text in table.rows[0])


@pytest.mark.parametrize("name", ["payments", "operations", "timeline"])
def test_a_line_for_each_row_from_100_columns_on(name: str) -> None:
    """A list can be read as a list; what it does not show is named."""
    row = [TEXTS[column] if column in ("id", "payment_id") else "short" for column in TABLES[name]]
    lines = list(lay_out(Table(TABLES[name], [row, row, row]), 100))
    assert sum(TEXTS["id"] in line for line in lines) == 3
    assert lines[0].startswith(TABLES[name][0])
    assert len(lines) <= 5 or name == "timeline"


def test_no_rows_are_a_header() -> None:
    """An empty list says what it is a list of, in any window."""
    for width in (20, 80, None):
        assert " ".join(lay_out(Table(payments.COLUMNS, []), width)).split() == list(payments.COLUMNS)


def in_a_window(columns: int, *arguments: str) -> str:
    """What a command prints in a terminal of so many columns, as the terminal gets it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "gateway", *arguments]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        try:
            while more := os.read(ours, 65536):
                said += more
        except OSError:  # Linux says so when the other side is closed
            pass
        process.wait(timeout=60)
    os.close(ours)
    return said.decode()


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
async def test_ids_are_whole_in_a_real_terminal(stack: GatewayStack, columns: int) -> None:
    """In a window of any width the id of a payment is one word of one line, and no line is longer than the window."""
    payment = (await stack.create(psp_body())).json
    config = str(stack.folder / "settings.yaml")
    shown = await asyncio.to_thread(in_a_window, columns, "payments", "list", "--config", config)
    assert shown.split().count(payment["id"]) == 1
    assert all(len(line) <= columns for line in shown.splitlines())
    assert "\x1b" not in shown


async def test_wide_and_pipes_show_everything(stack: GatewayStack) -> None:
    """``--wide`` in a narrow window is what a pipe gets: every column, a line for each payment."""
    await stack.create(psp_body())
    options = ("payments", "list", "--config", str(stack.folder / "settings.yaml"))
    wide = await asyncio.to_thread(in_a_window, 60, *options, "--wide")
    piped = (await asyncio.to_thread(run, *options)).stdout
    assert wide.splitlines() == piped.splitlines()
    assert piped.splitlines()[0].split() == list(payments.COLUMNS)


HOSTILE = "T\x1b[2J\x1b]0;pwned\x07\r\nverdict  recorded\x9b31m\u202e"


def test_a_terminal_obeys_no_stranger(capsys: pytest.CaptureFixture[str]) -> None:
    """Control and direction characters are printed as escapes, so that a value is one line and nothing but text."""
    print_pairs({"suffix": HOSTILE})
    print_table(("detail",), [(HOSTILE,)])
    printed = capsys.readouterr().out
    assert [one for one in printed if not one.isprintable() and one != "\n"] == []
    assert "\nverdict" not in printed
    assert harmless("Überweisung 42 ✓") == "Überweisung 42 ✓"
