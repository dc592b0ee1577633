"""See what a plugin's call touches that it must not: the clock, randomness, the environment, files, the network.

A profiling function sees every call, however the function was imported. What would wait or leave this process is
refused by an exception; the rest is only noted, so that one fault does not hide another.
"""

from __future__ import annotations

import random
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import PurePath
from types import FrameType, TracebackType
from typing import Any

_STDLIB = f"{sysconfig.get_path('stdlib')}/"
_KIT = f"{PurePath(__file__).parent}/"
_GATEWAY = f"{PurePath(__file__).parent.parent}/"
_ALLOWED = ("<frozen importlib", f"{_STDLIB}logging/", f"{_STDLIB}zoneinfo/", f"{_STDLIB}traceback", _GATEWAY)
"""Code that may do so for a plugin: imports, logging, and the gateway's own functions."""

_FUNCTIONS = {
    "clock": "time.time time.time_ns time.monotonic time.monotonic_ns time.perf_counter time.perf_counter_ns"
    " time.process_time time.clock_gettime datetime.now datetime.utcnow datetime.today date.today",
    "randomness": "posix.urandom nt.urandom posix.getrandom _uuid.generate_time_safe",
    "files": "_io.open io.open posix.open posix.listdir posix.scandir posix.stat builtins.open",
    "environment": "posix.putenv posix.unsetenv",
    "network": "socket.connect socket.connect_ex socket.send socket.sendto socket.bind _socket.getaddrinfo"
    " _socket.gethostbyname",
    "blocks": "time.sleep _posixsubprocess.fork_exec posix.system posix.fork posix.forkpty select.select"
    " _thread.start_new_thread _thread.start_joinable_thread",
}
_RULE_OF = {name: rule for rule, names in _FUNCTIONS.items() for name in names.split()}
_REFUSED = frozenset({"network", "blocks"})


class RefusedCall(Exception):
    """A plugin would have waited, or have left this process."""


class Watch:
    """``with Watch() as seen``: ``seen.touched`` are pairs of rule and what was called where. It may be off."""

    def __init__(self, *, is_on: bool = True) -> None:
        self._is_on = is_on
        self.touched: list[tuple[str, str]] = []

    def __enter__(self) -> Watch:
        self._before = sys.getprofile()
        if self._is_on:
            sys.setprofile(self._look)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        sys.setprofile(self._before)

    def _look(self, frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            name = _name_of(called)
            rule = _RULE_OF.get(name) or ("randomness" if _is_shared_random(called) else None)
        elif event == "call" and frame.f_code.co_name in ("__getitem__", "__setitem__", "__iter__"):
            name = frame.f_code.co_qualname
            rule = "environment" if name.startswith("_Environ.") else None
        else:
            return
        if rule is None or any(_is_allowed(one) for one in _callers(frame)):
            return
        self.touched.append((rule, f"{name.replace('_Environ', 'os.environ')} in {_place(frame)}"))
        if rule in _REFUSED:
            raise RefusedCall(f"{name} is refused")


def _name_of(called: Any) -> str:
    owner = getattr(called, "__self__", None)
    is_method = owner is not None and type(owner).__name__ != "module"
    return str(called.__qualname__) if is_method else f"{called.__module__}.{called.__name__}"


def _is_shared_random(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    return owner is not None and owner is getattr(random, "_inst", None)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None and not frame.f_code.co_filename.startswith(_KIT):
        yield frame
        frame = frame.f_back


def _is_allowed(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_ALLOWED)


def _place(frame: FrameType) -> str:
    """The line of the plugin, as ``tinypay.py:71``."""
    own = next((one for one in _callers(frame) if not _is_library(one.f_code.co_filename)), frame)
    return f"{PurePath(own.f_code.co_filename).name}:{own.f_lineno}"


def _is_library(file: str) -> bool:
    return file.startswith("<frozen") or (file.startswith(_STDLIB) and "-packages" not in file)
