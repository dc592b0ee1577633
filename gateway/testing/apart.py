"""Run a check in a process of its own: a plugin that ends it, hangs, prints or starts threads is a finding."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import msgspec

from gateway.testing import steps
from gateway.testing.installed import NotInstalled
from gateway.testing.samples import UnusableSamples


class Ended(Exception):
    """The check did not come to its end. ``rule`` is what the plugin broke."""

    def __init__(self, rule: str, message: str) -> None:
        """The message names the step."""
        super().__init__(message)
        self.rule = rule


T = TypeVar("T")


class _Result(msgspec.Struct, frozen=True, kw_only=True):
    value: Any = None
    usage: str | None = None
    ended: str | None = None


def apart(act: Callable[[], T], kind: type[T]) -> T:
    """What ``act`` returns in a child process, whose output goes to stderr. ``kind`` is its type, for msgspec.

    Raises ``Ended``, and ``UnusableSamples`` for everything that nothing could be checked for.
    """
    with tempfile.TemporaryFile() as file:
        child = os.fork()
        if child == 0:
            _run(act, file.fileno())
        try:
            status = os.waitpid(child, 0)[1]
        except BaseException:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise
        file.seek(0)
        written = file.read()
    return _read(written, status, kind)


def _read(written: bytes, status: int, kind: type[T]) -> T:
    step = steps.current()
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        raise Ended("blocks", f"{step} did not end within {steps.LONGEST_STEP} seconds")
    if not written:
        how = os.waitstatus_to_exitcode(status)
        raise Ended("declaration", f"{step} ended the process ({f'exit {how}' if how >= 0 else f'signal {-how}'})")
    result = msgspec.json.decode(written, type=_Result)
    if result.usage is not None:
        raise UnusableSamples(result.usage)
    if result.ended is not None:
        raise Ended("declaration", f"{step} ended the check: {result.ended}")
    return msgspec.convert(result.value, kind)


def _run(act: Callable[[], object], file: int) -> NoReturn:
    """In the child. It ends without waiting for the plugin's threads and exit functions."""
    steps.limit(steps.LONGEST_STEP)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        result = _Result(value=act())
    except (NotInstalled, UnusableSamples) as problem:
        result = _Result(usage=str(problem))
    except BaseException as problem:  # whatever the plugin raises must not end this process silently
        result = _Result(ended=": ".join(filter(None, [type(problem).__name__, str(steps.readable(problem))])))
    with os.fdopen(file, "wb", closefd=False) as answer:
        answer.write(msgspec.json.encode(result))
    os._exit(0)
