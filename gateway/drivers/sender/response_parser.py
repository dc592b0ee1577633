"""Parse one HTTP answer as its bytes come in: the result is a whole answer, or a word for why it did not come. No I/O.

The parser is httptools' (llhttp, strict). What is decided here: which of several answers counts, how much is read, and
where a body ends when several headers claim to know.
"""

from __future__ import annotations

import httptools

from gateway.core.errors import OutcomeUnknown
from gateway.core.wire import HttpResponse, header_text

MAX_BODY_BYTES = 64 * 1024
"""The largest body, in bytes as they come off the wire: nothing is decompressed, so nothing can grow."""

MAX_HEAD_BYTES = 16 * 1024
"""The most bytes of names and values of all headers of one exchange, interim answers (1xx) and trailers included."""

MAX_HEAD_LINES = 100
"""The most lines of them: headers, trailers and the first lines of answers."""

MAX_WIRE_BYTES = 8 * MAX_BODY_BYTES
"""The most bytes of one exchange, so that chunks of one byte or endless chunk extensions end as well."""

_VERSIONS = ("1.0", "1.1")
_WITHOUT_BODY = (204, 304)
_FRAMING = ("content-length", "transfer-encoding")


class ResponseParser:
    """Reads the answer to one request. The first final (not 1xx) answer counts; what follows it is never read.

    ``cuts``: of a body over the limit its beginning is returned, for callers who want the status only; else such an
    answer is ``too_large``.
    """

    def __init__(self, method: str, *, cuts: bool = False) -> None:
        self._is_without_body = method == "HEAD"
        self._cuts = cuts
        self._parser = httptools.HttpResponseParser(self)
        self._wire = self._head = self._lines = self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self._is_open_ended = False
        self._broken = ""
        self._whole: HttpResponse | None = None

    def feed(self, data: bytes) -> HttpResponse | None:
        """Read some more; return the answer once it is whole. Raises ``OutcomeUnknown``; after either it is over."""
        self._wire += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._break("bad_http")
        if self._whole is None and self._wire > (MAX_WIRE_BYTES if self._status else 2 * MAX_HEAD_BYTES):
            self._break("bad_http")
        if self._broken:
            raise OutcomeUnknown(self._broken)
        if self._whole is not None:
            del self._parser  # it holds us: let both go now, not when the garbage collector comes
        return self._whole

    def end(self) -> HttpResponse:
        """Take the proper end of the connection for the end of the body. Raises ``OutcomeUnknown`` if it is not."""
        if not self._is_open_ended:
            raise OutcomeUnknown("connection_lost")
        return self._taken()

    # What the parser calls, in the order of the wire. It goes on to a second answer within the same bytes.

    def on_message_begin(self) -> None:
        """Count the first line of an answer, so that interim ones come to an end."""
        self._count(0)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep one header. Those of a trailer only count."""
        self._count(len(name) + len(value))
        if not self._status:
            self._headers.append((name.decode("latin-1"), header_text(value).strip(" \t")))

    def on_headers_complete(self) -> None:
        """Decide by the head where the body ends."""
        status = self._parser.get_status_code()
        if self._status:
            return  # the head of an answer too many
        if 100 <= status < 200:
            self._headers.clear()
            return
        self._status = status
        framing = [(name.lower(), value) for name, value in self._headers if name.lower() in _FRAMING]
        self._is_open_ended = not framing
        if not self._has_one_reading(framing):
            self._break("bad_http")
        if self._is_without_body or status in _WITHOUT_BODY:
            self._finish()

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body, up to the limit."""
        if self._whole is not None or not self._status:
            return
        self._body += data
        if len(self._body) > MAX_BODY_BYTES and self._cuts:
            self._finish()
        elif len(self._body) > MAX_BODY_BYTES:
            self._break("too_large")

    def on_message_complete(self) -> None:
        """The end of an answer: of an interim one, of the final one, or of one too many."""
        if self._status:
            self._finish()

    def _count(self, size: int) -> None:
        self._lines += 1
        self._head += size
        if self._lines > MAX_HEAD_LINES or self._head > MAX_HEAD_BYTES:
            self._break("bad_http")

    def _has_one_reading(self, framing: list[tuple[str, str]]) -> bool:
        """Whether everybody on the way sees the same end. Most of the rest the parser has refused already."""
        version = self._parser.get_http_version()
        match framing:
            case [] | [("content-length", _)]:
                is_clear = True
            case [("transfer-encoding", encoding)]:
                is_clear = encoding.lower() == "chunked" and version == "1.1"
            case _:
                is_clear = False
        return is_clear and version in _VERSIONS and self._status >= 100

    def _break(self, word: str) -> None:
        """There will be no answer, unless it is whole already: then nothing spoils it."""
        if self._whole is None and not self._broken:
            self._broken = word

    def _finish(self) -> None:
        if self._whole is None and not self._broken:
            self._whole = self._taken()

    def _taken(self) -> HttpResponse:
        return HttpResponse(status=self._status, headers=tuple(self._headers), body=bytes(self._body[:MAX_BODY_BYTES]))
