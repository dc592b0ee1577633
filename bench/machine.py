"""Processes on this machine's cores: the server under test has one core, load and fake provider have the other."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

CORES = os.sched_getaffinity(0)
SERVER_CORE, LOAD_CORE = min(CORES), max(CORES)

COUNT = os.cpu_count() or 1
"""Cores of the machine, also those that this process may not use."""

_STOP_TIMEOUT = 30.0


class Cpu(NamedTuple):
    """CPU time in nanoseconds: of the main thread, and of all others together."""

    main: int
    others: int


class Process(NamedTuple):
    """A server that listens."""

    pid: int
    start_seconds: float
    """From exec to listening."""
    start_memory: int
    """Resident bytes when it began to listen."""

    def threads(self) -> dict[int, int]:
        """CPU nanoseconds of each thread that is alive, by thread id; the main thread's is the pid."""
        times = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # a thread may end while its file is read
                times[int(task.name)] = int((task / "schedstat").read_text().split()[0])
        return times


def spent(pid: int, before: Mapping[int, int], after: Mapping[int, int]) -> Cpu:
    """CPU time between two readings of a process's threads. A thread that began between them counts from zero."""
    grown = {thread: time_now - before.get(thread, 0) for thread, time_now in after.items()}
    main = grown.pop(pid)
    return Cpu(main, sum(grown.values()))


def idle_seconds() -> float:
    """Time for which cores had nothing to do since the machine's start, summed over all of them."""
    _, *ticks = Path("/proc/stat").read_text().partition("\n")[0].split()
    idle, waiting_for_disks = ticks[3:5]
    return (int(idle) + int(waiting_for_disks)) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def process(
    arguments: Sequence[str], *, core: int | None, log: Path | None = None, folder: Path | None = None
) -> Iterator[Process]:
    """Run a server pinned to a core (None: on all) until the block ends; it prints a line that begins with ``ready``.

    ``log`` takes what it writes to stderr. Raises ``RuntimeError`` with that when it does not start.
    """
    with contextlib.ExitStack() as files:
        errors = None if log is None else files.enter_context(log.open("wb"))
        began = time.perf_counter()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        # Modules stay compiled, as an installed package's are: else a start measures the compiler.
        started = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=folder, env=environment
        )
    try:
        os.sched_setaffinity(started.pid, CORES if core is None else {core})  # before it has threads; they inherit it
        assert started.stdout is not None
        if not started.stdout.readline().startswith("ready"):
            raise RuntimeError(f"{' '.join(arguments)} did not start: {log.read_text() if log else ''}")
        yield Process(started.pid, time.perf_counter() - began, resident(started.pid))
    finally:
        started.terminate()
        try:
            started.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def output(command: Sequence[str | Path], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises ``RuntimeError`` with what it says about its failure."""
    ended = subprocess.run(
        command, cwd=folder, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {ended.stderr.strip()}")
    return ended.stdout


def resident(pid: int | str) -> int:
    """Resident memory of a process in bytes; ``self`` is this one."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def free_port() -> int:
    """A port that nothing uses now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])
