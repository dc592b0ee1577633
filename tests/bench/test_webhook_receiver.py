"""The tenant's endpoint of the benchmarks notes what arrives, in pieces too."""

from __future__ import annotations

import asyncio

import pytest

from bench.machine import free_port
from bench.webhook_receiver import Receiver

BODY = b'{"type":"payment.captured","data":{"payment":{"id":"pay_1"}}}'


async def test_a_webhook_in_two_pieces_arrives_once() -> None:
    """Its time is that of the last byte."""
    receiver, port = Receiver(), free_port()
    async with receiver.listening(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY[:20])
        await writer.drain()
        waiting = asyncio.create_task(receiver.time_of("payment.captured", "pay_1"))
        await asyncio.sleep(0)
        assert not receiver.came
        writer.write(BODY[20:])
        assert (await reader.read()).startswith(b"HTTP/1.1 200")
        assert await waiting == receiver.came["payment.captured", "pay_1"]
        writer.close()


async def test_a_webhook_that_does_not_come_raises() -> None:
    """A figure without it would be about something else."""
    with pytest.raises(TimeoutError):
        await Receiver().time_of("payment.captured", "pay_1", patience=0.01)
