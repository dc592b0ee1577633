"""What the processes of one gateway ask each other, through a Unix socket of each in a folder of their user's own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

from gateway.drivers.workers.worker import Worker

Answer = Callable[[], Awaitable[bytes]]

NO_ANSWER = b""
"""Of a process that is there but did not answer in time, or failed."""

SIZE_BYTES = 8
"""Before an answer its size is sent: one that breaks off, as of a process that is killed, does not count."""


class Peers:
    """The other processes, and what those that ended have left behind."""

    def __init__(self, worker: Worker, folder: Path) -> None:
        self.number, self.count = worker.number, worker.count
        self._folder = folder
        self._others = [number for number in range(1, worker.count + 1) if number != worker.number]
        self._before: dict[str, bytes | None] = {}

    async def ask(self, name: str, within: float) -> dict[int, bytes | None]:
        """Ask all others at once; by number the answer, ``NO_ANSWER``, or None where nobody is there.

        ``within``: seconds that they have together.
        """
        answers = await asyncio.gather(*(self._ask(number, name, within) for number in self._others))
        return dict(zip(self._others, answers, strict=True))

    @contextlib.asynccontextmanager
    async def answering(self, answers: Mapping[str, Answer]) -> AsyncIterator[None]:
        """Answer the others' questions, by name, for the time of the block."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                said = await answers[(await reader.readline()).decode().strip()]()
                writer.write(len(said).to_bytes(SIZE_BYTES) + said)
                await writer.drain()
            finally:
                writer.close()

        path = self._socket(self.number)
        path.unlink(missing_ok=True)  # of a process that was killed
        server = await asyncio.start_unix_server(answer, path)
        try:
            yield
        finally:
            server.close()

    def keep(self, name: str, answer: bytes) -> None:
        """Leave an answer behind for the time when nobody gives it any more, as far as the disk has room for it."""
        self.before(name)
        path = self._kept(self.number, name)
        with contextlib.suppress(OSError):
            path.with_suffix(".new").write_bytes(answer)
            path.with_suffix(".new").replace(path)

    def kept(self, number: int, name: str) -> bytes | None:
        """What a process has left behind."""
        try:
            return self._kept(number, name).read_bytes()
        except FileNotFoundError:
            return None

    def before(self, name: str) -> bytes | None:
        """What the process has left behind whose place this one takes."""
        if name not in self._before:
            self._before[name] = self.kept(self.number, name)
        return self._before[name]

    async def _ask(self, number: int, name: str, within: float) -> bytes | None:
        try:
            async with asyncio.timeout(within):
                reader, writer = await asyncio.open_unix_connection(self._socket(number))
                try:
                    writer.write(f"{name}\n".encode())
                    return await reader.readexactly(int.from_bytes(await reader.readexactly(SIZE_BYTES)))
                finally:
                    writer.close()
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except (OSError, asyncio.IncompleteReadError):  # a timeout is an OSError too
            return NO_ANSWER

    def _socket(self, number: int) -> Path:
        return self._folder / f"{number}.socket"

    def _kept(self, number: int, name: str) -> Path:
        return self._folder / f"{number}.{name}"
