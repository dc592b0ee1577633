"""Run the same work in several processes: restart those that end by themselves, and stop them all.

Each process holds the writing end of a pipe, whose end shows the supervisor that the process is gone. All of them read
a pipe that only the supervisor can write to: its end tells them to stop, also where the supervisor was killed.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, NoReturn

from gateway.cli.exits import EXPECTED, FAILED, said
from gateway.cli.foreground import ENDING, IGNORED
from gateway.flows.tasks import backoff

STOP_WITHIN = 29.0
"""Seconds that the processes get together to stop; then they are killed."""

HEALTHY_SECONDS = 60.0
"""A process that has lived so long is started again after a second; others wait longer each time."""

MAX_PAUSE_SECONDS = 60.0

READY = b"."

_log = logging.getLogger("gateway")


class Place(NamedTuple):
    """What a process is told at its start. ``number``: from 1. ``is_first``: it takes nobody's place.

    ``stop``: a pipe that ends when the process is to stop. ``started``: to be called once it works.
    """

    number: int
    is_first: bool
    stop: int
    started: Callable[[], object]


Work = Callable[[Place], None]


class _Process:
    """One process, or the pause before it is started again."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid: int | None = None
        self.works = False
        self.began = 0.0
        self.starts_at: float | None = None
        self.pauses = backoff(MAX_PAUSE_SECONDS)


class Supervisor:
    """Runs ``work`` in ``count`` processes. ``started``: called once all of them work; ``stopping``: once they stop.

    In a new process the signals of ``ENDING`` are blocked: ``stop_signal`` lets them through.
    """

    def __init__(self, count: int, work: Work, *, started: Callable[[], None], stopping: Callable[[], None]) -> None:
        self._work, self._started, self._stopping = work, started, stopping
        self._processes = [_Process(number) for number in range(1, count + 1)]
        self._selector = selectors.DefaultSelector()
        self._stop, self._keep_running = os.pipe()
        self._all_worked = False
        self._killed_at: float | None = None  # when those that do not stop are killed
        self._code = 0

    def run(self) -> int:
        """Run until a signal stops it; the exit code. A process that cannot even start ends all, with its own code.

        The first one starts alone: what is wrong is said once.
        """
        with self._signals():
            self._start(self._processes[0], is_first=True)
            while any(one.pid or one.starts_at for one in self._processes):
                for key, _ in self._selector.select(self._seconds_to_wait()):
                    key.data()
                self._check_times()
        return self._code

    def _start(self, process: _Process, *, is_first: bool) -> None:
        reader, writer = os.pipe()
        process.works, process.began, process.starts_at = False, time.monotonic(), None
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # what is sent to the new one waits until it listens
        try:
            process.pid = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        finally:
            if process.pid != 0:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        if not process.pid:
            os.close(self._keep_running)
            self._selector.close()
            signal.set_wakeup_fd(-1)
            started = functools.partial(os.write, writer, READY)
            _run_and_exit(self._work, Place(process.number, is_first, self._stop, started))
        os.close(writer)
        self._selector.register(reader, selectors.EVENT_READ, functools.partial(self._on_readable, process, reader))

    def _on_readable(self, process: _Process, pipe: int) -> None:
        """Note that a process has started to work, or has ended."""
        if os.read(pipe, 1):
            process.works = True
            self._start_others()
            return
        self._selector.unregister(pipe)
        os.close(pipe)
        pid, process.pid = process.pid, None
        _, status = os.waitpid(pid or 0, 0)
        self._ended(process, pid, os.waitstatus_to_exitcode(status))

    def _start_others(self) -> None:
        if self._all_worked or self._killed_at is not None:
            return
        try:
            for process in self._processes[1:]:
                if process.pid is None:
                    self._start(process, is_first=True)
        except OSError as problem:  # no memory, or no more processes: those that were started are waited for
            self._code = said(problem)
            self._stop_all()
            return
        if all(one.works for one in self._processes):
            self._all_worked = True
            self._started()

    def _ended(self, process: _Process, pid: int | None, code: int) -> None:
        """``code``: as ``waitstatus_to_exitcode`` has it, negative for a signal."""
        if self._killed_at is not None or (code and not self._all_worked):
            self._code = self._code or (FAILED if code < 0 else code)
            self._stop_all()
            return
        if time.monotonic() - process.began >= HEALTHY_SECONDS:
            process.pauses = backoff(MAX_PAUSE_SECONDS)
        self._pause(process, f"signal {-code}" if code < 0 else f"exit code {code}", pid=pid)

    def _pause(self, process: _Process, reason: str, **more: object) -> None:
        pause = next(process.pauses)
        process.starts_at = time.monotonic() + pause
        extra = {"worker": process.number, "reason": reason, "detail": f"starts again in {pause:g} s", **more}
        _log.error("a worker has ended", extra=extra)

    def _stop_all(self) -> None:
        if self._killed_at is not None:
            return
        self._killed_at = time.monotonic() + STOP_WITHIN
        self._stopping()
        os.close(self._keep_running)
        for process in self._processes:
            process.starts_at = None

    def _reload(self) -> None:
        """Tell one of them, which tells the others."""
        pid = next((one.pid for one in self._processes if one.pid and one.works), None)
        if pid is not None and self._killed_at is None:
            os.kill(pid, signal.SIGHUP)

    def _seconds_to_wait(self) -> float | None:
        times = [at for at in (self._killed_at, *(one.starts_at for one in self._processes)) if at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _check_times(self) -> None:
        now = time.monotonic()
        for process in self._processes:
            if process.starts_at is not None and process.starts_at <= now:
                try:
                    self._start(process, is_first=False)
                except OSError as problem:  # no memory, or no more processes: the others go on
                    self._pause(process, os.strerror(problem.errno or 0))
            if process.pid and self._killed_at is not None and self._killed_at <= now:
                os.kill(process.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Hear signals between two events: the handlers do nothing, their numbers come through a socket."""
        reader, writer = socket.socketpair()
        with reader, writer:
            writer.setblocking(False)
            for number in IGNORED:
                signal.signal(number, signal.SIG_IGN)
            for number in ENDING:
                signal.signal(number, lambda *_: None)
            signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)

            def take() -> None:
                for number in reader.recv(1024):
                    self._reload() if number == signal.SIGHUP else self._stop_all()

            self._selector.register(reader, selectors.EVENT_READ, take)
            yield
            signal.set_wakeup_fd(-1)
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)


def _run_and_exit(work: Work, place: Place) -> NoReturn:
    """Do the work of a process, then exit: it must not return into the code of the supervisor."""
    code = FAILED
    try:
        work(place)
        code = 0
    except EXPECTED as problem:
        code = said(problem)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        logging.shutdown()
        os._exit(code)
