"""Nodes as a process manager keeps them: gateways, each with a port and settings file, started again when they die."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import random
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.crash.testbed import Testbed
from tests.support.durable_postgresql import children, stable_port

PAUSE = 0.3
"""Seconds from an end to the next start, unless a node stays away for longer."""


LEAST_OF_A_LEASE = 1 / 2
"""How much of it is left at least when an outage begins, without what a node keeps as a margin."""


@dataclass
class Fates:
    """What happened to processes, by ``time.monotonic()``."""

    lease: float
    died: dict[int, float] = field(default_factory=dict)
    paused: list[tuple[int, float, float]] = field(default_factory=list)
    """Process, from, until."""
    outages: list[tuple[float, float]] = field(default_factory=list)
    """Of the database, in order: from, until."""

    def excuses(self, pid: int | None, at: float, within: float) -> bool:
        """Whether a process that had something under way at a time may not have stored how it went.

        It died or was paused before, or the database was away for so long that its lease was over.
        """
        until = at + within
        for begin, end in self.outages:
            if begin <= until and at <= end:
                until += end - begin
                if end - begin > self.lease * LEAST_OF_A_LEASE:
                    return True
        if pid is None or self.died.get(pid, math.inf) <= until:
            return True
        return any(one == pid and begin <= until and at <= end for one, begin, end in self.paused)


class Node:
    """One gateway, of one process or of a supervisor and its workers."""

    def __init__(self, testbed: Testbed, name: str, workers: int, lease: float, fates: Fates) -> None:
        self.name, self.port = name, stable_port()
        self._testbed, self._workers, self._lease, self._fates = testbed, workers, lease, fates
        self._process: Process | None = None
        self._orphans: set[int] = set()
        self.up = asyncio.Event()
        self.stays_away = PAUSE
        self.config = _write_settings(testbed, name, self.port)

    @property
    def log(self) -> Path:
        """Its log lines, of all its lives."""
        return self._testbed.folder / f"{self.name}.log"

    async def keep(self) -> None:
        """Start it, and again whenever it ended, as a process manager does; ``up`` while it listens."""
        while True:
            self._process = await self._spawn()
            assert self._process.stdout is not None
            if (await self._process.stdout.readline()).startswith(b"ready "):
                self.up.set()
            await self._process.wait()
            self.up.clear()
            seconds, self.stays_away = self.stays_away, PAUSE
            await asyncio.sleep(seconds)

    async def _spawn(self) -> Process:
        options = ["--workers", str(self._workers)] if self._workers > 1 else []
        module = "tests.crash.cluster.short_lease"
        command = [sys.executable, "-m", module, str(self._lease), "serve", *options, "--config", str(self.config)]
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=log)

    def pids(self) -> list[int]:
        """Every process of it that may be alive: the first is the one that was started."""
        alive = [] if self._process is None or self._process.returncode is not None else [self._process.pid]
        self._orphans = set(filter(_runs, self._orphans))
        return [*alive, *(child for pid in alive for child in children(pid)), *self._orphans]

    def kill_now(self, stays_away: float = PAUSE) -> None:
        """Its machine loses its power."""
        self.stays_away = stays_away
        self._kill(self.pids())

    def kill_supervisor_now(self) -> None:
        """The first of its processes is killed; its workers see that and end by themselves."""
        first, *others = self.pids()
        self._orphans.update(others)
        self._kill([first])
        self._watching = asyncio.create_task(self._watch(others))

    async def _watch(self, orphans: list[int]) -> None:
        """Note when processes end by themselves that have nobody to wait for them."""
        for pid in orphans:
            while _runs(pid):  # noqa: ASYNC110  # the system tells only their parent
                await asyncio.sleep(PAUSE / 10)
            self._fates.died.setdefault(pid, time.monotonic())

    def kill_worker_now(self, dice: random.Random) -> None:
        """One of its workers is killed, and started again by the supervisor; the node itself where it has none."""
        first, *workers = self.pids()
        if workers:
            first = dice.choice(workers)
        self._kill([first])

    def _kill(self, pids: list[int]) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._fates.died[pid] = time.monotonic()

    async def pause(self, seconds: float) -> None:
        """Stop all its processes with SIGSTOP, and let them continue with every deadline past."""
        pids, began = self.pids(), time.monotonic()
        _send(pids, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            _send(pids, signal.SIGCONT)
            self._fates.paused += [(pid, began, time.monotonic()) for pid in pids]


def _runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _send(pids: list[int], what: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, what)


def _write_settings(testbed: Testbed, name: str, port: int) -> Path:
    """The same settings on another port."""
    settings = yaml.safe_load(testbed.config.read_text())
    settings["server"]["port"] = port
    path = testbed.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path
