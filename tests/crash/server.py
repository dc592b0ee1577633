"""The gateway as a process of its own, killed, paused, resumed and restarted on the same data folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process

from tests.crash.testbed import Testbed

START_WITHIN = 30.0
"""Seconds until the line ``ready``."""

ALREADY_RUNNING = 3
"""The exit code of a second gateway on the same data folder."""


class Server:
    """One gateway at a time. Its log lines are appended to ``gateway.log`` in the testbed's folder."""

    def __init__(self, testbed: Testbed) -> None:
        self._testbed = testbed
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it and wait until it listens. Raises ``AssertionError`` when it ends instead."""
        self._process = await self._spawn()
        assert self._process.stdout is not None
        async with asyncio.timeout(START_WITHIN):
            line = await self._process.stdout.readline()
        assert line.startswith(b"ready "), f"the gateway did not start, see {self._testbed.folder}/gateway.log"
        self._testbed.up.set()

    def kill_now(self) -> None:
        """Send SIGKILL without waiting: no handler runs, nothing is flushed. Does nothing if it is dead already."""
        self._testbed.up.clear()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)  # Popen.kill would reap it before asyncio does

    async def kill(self) -> None:
        """Kill it, and wait until the system has reaped it."""
        self.kill_now()
        if self._process is not None:
            await self._process.wait()

    async def start_and_die(self, seconds: float) -> None:
        """Start it and kill it after ``seconds``, whether it listens by then or is still recovering."""
        self._process = await self._spawn()
        await asyncio.sleep(seconds)
        await self.kill()

    def stop(self) -> None:
        """Send SIGSTOP: the process pauses, and keeps its sockets and its lock."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Send SIGCONT: the process continues, with every deadline long past."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def refuses_a_second(self) -> bool:
        """Whether another gateway on the same data folder is refused now."""
        second = await self._spawn()
        try:
            async with asyncio.timeout(START_WITHIN):
                return await second.wait() == ALREADY_RUNNING
        finally:
            with contextlib.suppress(ProcessLookupError):
                second.kill()

    async def _spawn(self) -> Process:
        command = [sys.executable, "-m", "gateway", "serve", "--config", str(self._testbed.config)]
        with (self._testbed.folder / "gateway.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=log)
