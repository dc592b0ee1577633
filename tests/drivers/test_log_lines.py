"""Lines are written together, in their order, and none is lost where the process ends by itself."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
import threading
from collections import Counter

import pytest

from gateway.drivers import log_lines
from gateway.drivers.log_lines import BatchedLines, Line


class Stream(io.StringIO):
    """A stream that counts its writes; ``full``: it takes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.written = asyncio.Event()
        self.full = False

    def write(self, text: str) -> int:
        """Write, or fail as a full disk does."""
        if self.full:
            raise OSError("no space left on device")
        self.writes += 1
        self.written.set()
        return super().write(text)


@pytest.fixture
def stream() -> Stream:
    """Where the lines go."""
    return Stream()


@pytest.fixture
def lines(stream: Stream) -> BatchedLines:
    """The handler that writes there."""
    return BatchedLines(stream)


def saying(text: str) -> Line:
    """A line that will have this text."""
    return lambda: text


def record(message: str) -> logging.LogRecord:
    """One record."""
    return logging.LogRecord("gateway", logging.INFO, "", 0, message, (), None)


def test_lines_of_one_moment_are_one_write(
    lines: BatchedLines, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for their timer, then all are written in the order they came; so is the next batch."""
    monkeypatch.setattr(log_lines, "FLUSH_SECONDS", 0)

    async def both_batches() -> None:
        for batch in ("ab", "cd"):
            for message in batch:
                lines.take(saying(message))
            await stream.written.wait()
            stream.written.clear()

    asyncio.run(asyncio.wait_for(both_batches(), 10))
    assert (stream.getvalue(), stream.writes) == ("a\nb\nc\nd\n", 2)


def test_any_other_line_is_written_at_once_behind_what_waits(lines: BatchedLines, stream: Stream) -> None:
    """Who looks for the cause of a crash finds what led to it, and other texts on stderr come in their order."""

    async def logged() -> str:
        lines.take(saying("waits"))
        lines.handle(record("other"))
        return stream.getvalue()

    assert asyncio.run(logged()) == "waits\nother\n"


def test_without_a_loop_lines_are_written_at_once(lines: BatchedLines, stream: Stream) -> None:
    """Nothing would write them later; another thread's line takes those of the loop along."""

    async def beside_a_thread() -> str:
        lines.take(saying("loop"))
        other = threading.Thread(target=lines.take, args=[saying("thread")])
        other.start()
        other.join()
        return stream.getvalue()

    assert asyncio.run(beside_a_thread()) == "loop\nthread\n"
    lines.take(saying("after"))
    assert stream.getvalue() == "loop\nthread\nafter\n"


def test_a_line_that_cannot_be_made_is_dropped(lines: BatchedLines, stream: Stream) -> None:
    """The others are written."""

    async def logged() -> None:
        lines.take(saying("first"))
        lines.take(lambda: str(1 // 0))
        lines.take(saying("last"))

    asyncio.run(logged())
    lines.flush()
    assert stream.getvalue() == "first\nlast\n"


def test_what_cannot_be_written_is_dropped(lines: BatchedLines, stream: Stream) -> None:
    """A full disk raises nothing and keeps nothing in memory; later lines are written again."""
    stream.full = True
    lines.take(saying("lost"))
    lines.handle(record("lost too"))
    stream.full = False
    lines.take(saying("kept"))
    assert stream.getvalue() == "kept\n"


PROGRAM = """
import asyncio
from gateway.drivers.telemetry import log_often, setup_logging
setup_logging()
async def main():
    for status in (200, 201, 202):
        log_often("request", {"status": status})
asyncio.run(main())
"""


def test_a_process_that_ends_writes_what_waits() -> None:
    """The timer of the last lines never came: they are written at the exit."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert len(ended.stderr.splitlines()) == 3


SEVERAL = """
import os
from gateway.drivers import telemetry
import logging
telemetry.setup_logging()
telemetry.share_lines(os.memfd_create("lock"))
for number in (1, 2, 3):
    if not os.fork():
        telemetry.as_worker(number)
        for _ in range(30):
            logging.getLogger("gateway").error("x" * 100_000)
        os._exit(0)
for _ in range(3):
    os.wait()
"""


def test_processes_do_not_mix_their_lines() -> None:
    """A line that is longer than what a pipe takes at once is whole all the same, and says whose it is."""
    ended = subprocess.run([sys.executable, "-c", SEVERAL], capture_output=True, text=True, timeout=60, check=False)
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert Counter(line["worker"] for line in lines) == {1: 30, 2: 30, 3: 30}
    assert {line["message"] for line in lines} == {"x" * 100_000}
