"""The fake provider: ``python -m bench.servers.provider PORT [MILLISECONDS]``. Answers API-1, after a delay if given.

Sockets without a framework, so that the provider is never what is measured: it shares a core with the load.
"""

from __future__ import annotations

import heapq
import itertools
import select
import socket
import sys
import time

import msgspec

BODY = msgspec.json.encode({"data": {"url": "https://pay.example/page"}, "result": True, "msg": ""})
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
ANSWER = HEAD + BODY


class Provider:
    """Answers each request after ``delay`` seconds; keeps a connection unless it says ``Connection: close``."""

    def __init__(self, listener: socket.socket, delay: float) -> None:
        self._listener, self._delay = listener, delay
        self._poll = select.epoll()
        self._poll.register(listener.fileno(), select.EPOLLIN)
        self._open: dict[int, socket.socket] = {}
        self._received: dict[int, bytes] = {}
        self._due: list[tuple[float, int, socket.socket, bool]] = []
        self._numbers = itertools.count()

    def serve(self) -> None:
        """Serve until the process ends."""
        while True:
            wait = max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
            for number, _ in self._poll.poll(wait):
                if number == self._listener.fileno():
                    self._accept()
                else:
                    self._read(number)
            while self._due and self._due[0][0] <= time.monotonic():
                *_, connection, closes = heapq.heappop(self._due)
                self._answer(connection, closes=closes)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._open[connection.fileno()] = connection
        self._received[connection.fileno()] = b""
        self._poll.register(connection.fileno(), select.EPOLLIN)

    def _read(self, number: int) -> None:
        """Take in what came, and answer each request that is complete."""
        connection = self._open[number]
        try:
            data = connection.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            self._close(connection)
            return
        received = self._received[number] + data
        while (end := received.find(b"\r\n\r\n")) >= 0:
            head = received[:end].lower()
            at = head.find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(received) < end + 4 + length:
                break
            received = received[end + 4 + length :]
            self._answer_in_time(connection, closes=b"\r\nconnection: close" in head)
        if number in self._received:
            self._received[number] = received

    def _answer_in_time(self, connection: socket.socket, *, closes: bool) -> None:
        if self._delay:
            heapq.heappush(self._due, (time.monotonic() + self._delay, next(self._numbers), connection, closes))
        else:
            self._answer(connection, closes=closes)

    def _answer(self, connection: socket.socket, *, closes: bool) -> None:
        try:
            connection.sendall(ANSWER)
        except OSError:  # nobody waits for it any more
            closes = True
        if closes:
            self._close(connection)

    def _close(self, connection: socket.socket) -> None:
        self._open.pop(connection.fileno(), None)
        self._received.pop(connection.fileno(), None)
        connection.close()


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=1024) as listening:
        print("ready", flush=True)
        Provider(listening, float(sys.argv[2]) / 1000 if len(sys.argv) > 2 else 0.0).serve()
