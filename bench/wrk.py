"""Load by ``wrk``: one thread, a closed loop per connection, every answer's status checked by ``load/report.lua``."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import msgspec

CONNECTIONS = 64
MISSING = "bench: wrk is not installed; it makes the load (Debian: apt-get install wrk)"

_SCRIPTS = Path(__file__).parent / "load"


class WrongAnswer(Exception):
    """An answer other than the expected one, or none: such a window measures nothing."""


class Load(NamedTuple):
    """What is sent: a script of ``load/``, the status of every answer, and how many connections at once.

    Each connection waits before a request for a random time of at most ``think_ms``.
    """

    script: str
    expected: int
    connections: int = CONNECTIONS
    think_ms: int = 0


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """The line that ``load/report.lua`` prints: answers, the window's length and latencies in microseconds."""

    requests: int
    micros: int
    p50_us: int
    p99_us: int
    socket_errors: int
    wrong: int


def require() -> None:
    """End with one line that says how to install ``wrk`` where it is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit(MISSING)


def run(port: int, load: Load, seconds: int, **environment: str) -> Answers:
    """Load a port for some seconds. Raises ``WrongAnswer``."""
    settings = {
        "REPORT": str(_SCRIPTS / "report.lua"),
        "EXPECTED": str(load.expected),
        "THINK_MS": str(load.think_ms),
    }
    ended = subprocess.run(
        [
            *("wrk", "--threads=1", f"--connections={load.connections}", f"--duration={seconds}s", "--timeout=30s"),
            *(f"--script={_SCRIPTS / load.script}", f"http://127.0.0.1:{port}"),
        ],
        env={**os.environ, **settings, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return read(ended.stdout, ended.stderr)


def read(stdout: str, stderr: str = "") -> Answers:
    """Read what ``wrk`` printed. Raises ``WrongAnswer``."""
    line = next((line for line in stdout.splitlines() if line.startswith('{"requests"')), None)
    if line is None:
        raise WrongAnswer(f"wrk reported nothing: {stdout}{stderr}")
    answers = msgspec.json.decode(line, type=Answers)
    if answers.wrong or answers.socket_errors or not answers.requests:
        raise WrongAnswer(
            f"{answers.wrong} wrong answers, {answers.socket_errors} socket errors,"
            f" {answers.requests} answers: {stderr.strip()}"
        )
    return answers
