"""The reader of one answer, without a network: where it ends, what is too much, and that pieces change nothing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import OutcomeUnknown
from gateway.core.wire import HttpResponse
from gateway.drivers.sender.response_parser import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEAD_LINES,
    MAX_WIRE_BYTES,
    ResponseParser,
)

LENGTH = b"HTTP/1.1 200 OK\r\nX: \xc3\xa4\r\nContent-Length: 5\r\n\r\nhello"
CHUNKS = b"HTTP/1.1 201 Made\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nT: 1\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
OPEN = b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\nhello"
ENDED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"


def read(*pieces: bytes, method: str = "POST", ends: bool = False, cuts: bool = False) -> HttpResponse | str | None:
    """Feed the pieces until the answer is whole: the answer, the word of why there is none, or None for "not yet"."""
    answer = ResponseParser(method, cuts=cuts)
    try:
        for piece in pieces:
            if (whole := answer.feed(piece)) is not None:
                return whole
        return answer.end() if ends else None
    except OutcomeUnknown as problem:
        return str(problem)


@pytest.mark.parametrize(
    ("raw", "method", "ends"),
    [
        (LENGTH, "POST", False),
        (CHUNKS, "POST", False),
        (INTERIM + LENGTH, "POST", False),
        (INTERIM + CHUNKS, "POST", False),
        (OPEN, "POST", True),
        (ENDED, "GET", False),
        (LENGTH, "HEAD", False),
        (LENGTH + LENGTH, "POST", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "POST", False),
        (CHUNKS[:-4], "POST", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "POST", True),
    ],
    ids=["length", "chunks", "interim", "interim chunks", "open", "304", "HEAD", "two", "bad", "cut chunks", "cut"],
)
def test_pieces_change_nothing(raw: bytes, method: str, ends: bool) -> None:
    """Split at any byte, or into single ones, an answer reads the same."""
    wanted = read(raw, method=method, ends=ends)
    assert wanted is not None
    assert all(read(raw[:at], raw[at:], method=method, ends=ends) == wanted for at in range(1, len(raw)))
    assert read(*(raw[at : at + 1] for at in range(len(raw))), method=method, ends=ends) == wanted


@given(st.binary(max_size=300), st.lists(st.integers(0, 400)))
def test_any_bytes_end_in_an_answer_or_a_word(noise: bytes, cuts: list[int]) -> None:
    """Whatever comes, and however it is cut, ends in an answer, in one of the known words, or in waiting for more."""
    raw = LENGTH[:60] + noise
    bounds = [0, *sorted(at for at in cuts if at < len(raw)), len(raw)]
    found = read(*(raw[a:b] for a, b in itertools.pairwise(bounds)), ends=True)
    assert isinstance(found, HttpResponse) or found in {"bad_http", "connection_lost", "too_large"}


@pytest.mark.parametrize(
    "surplus", [LENGTH, b"\x00noise", b"HTTP/1.1 500 No\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
@pytest.mark.parametrize(
    "first", [LENGTH, CHUNKS, ENDED, b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"]
)
def test_the_first_answer_counts(first: bytes, surplus: bytes) -> None:
    """What follows a whole answer, in the same packet too, neither changes nor spoils it."""
    assert read(first + surplus) == read(first)


def test_an_interim_answer_leaves_nothing_behind() -> None:
    """Its headers are not those of the answer."""
    found = read(INTERIM + LENGTH)
    assert isinstance(found, HttpResponse)
    assert found.headers == (("X", "ä"), ("Content-Length", "5"))


def head(*lines: bytes, status: bytes = b"HTTP/1.1 200 OK") -> bytes:
    """A head of header lines, and two bytes of a body."""
    return b"\r\n".join((status, *lines, b"", b"")) + b"ok"


@pytest.mark.parametrize(
    "raw",
    [
        head(b"Content-Length: 2", b"Content-Length: 2"),
        head(b"Content-Length: 2", b"content-length: 3"),
        head(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
        head(b"Transfer-Encoding: chunked", b"Content-Length: 2"),
        head(b"Transfer-Encoding: gzip, chunked"),
        head(b"Transfer-Encoding: identity"),
        head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        head(b"Transfer-Encoding: chunked", status=b"HTTP/1.0 200 OK"),
        head(b"Content-Length: -2"),
        head(b"Content-Length: 2, 2"),
        head(b"Content-Length: 0x2"),
        head(b"Content-Length: 99999999999999999999999"),
        head(b"Content-Length : 2"),
        head(b" Content-Length: 2"),
        head(b"Content-Length: 2", b"X: a\x00b"),
        head(b"Content-Length: 2", b"X: a\rb"),
        head(b"Content-Length: 2", status=b"HTTP/2.0 200 OK"),
        head(b"Content-Length: 2", status=b"HTTP/0.9 200 OK"),
        head(b"Content-Length: 2", status=b"HTTP/1.1 099 OK"),
        head(b"Content-Length: 2", status=b"HTTP/1.1 20 OK"),
        head(b"Content-Length: 2", status=b"ICY 200 OK"),
        head(b"Upgrade: x", b"Connection: upgrade", status=b"HTTP/1.1 101 Switching Protocols"),
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(raw: bytes) -> None:
    """Where two readers could see different ends or headers, there is no answer."""
    assert read(raw, ends=True) == "bad_http"


@pytest.mark.parametrize(
    "endless",
    [
        [b"HTTP/1.1 200 OK\r\nX: ", *[b"x" * 1000] * 40],
        [b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * (MAX_HEAD_LINES + 1), b"Content-Length: 0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\nContent-Length: 0\r\n\r\n"],
        [b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000,
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", *[b"X: y\r\n"] * (MAX_HEAD_LINES + 1)],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", *[b"x" * 60_000] * (MAX_WIRE_BYTES // 60_000 + 1)],
    ],
    ids=["a header", "headers", "a head at once", "interim answers", "trailers", "a chunk's extension"],
)
def test_nothing_is_endless(endless: list[bytes]) -> None:
    """A head, interim answers, trailers and extensions that do not end are given up at a limit."""
    assert read(*endless) == "bad_http"


@pytest.mark.parametrize("framing", [b"Content-Length: 99999", b"Connection: close"])
def test_a_body_is_capped_or_cut(framing: bytes) -> None:
    """Over the limit a body is too large; who wants the status only gets its beginning."""
    raw = b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n", b"x" * MAX_BODY_BYTES, b"x"
    assert read(*raw) == "too_large"
    found = read(*raw, cuts=True)
    assert isinstance(found, HttpResponse)
    assert found.body == b"x" * MAX_BODY_BYTES


def test_a_body_in_the_smallest_chunks_is_read() -> None:
    """The limit of bytes on the wire leaves room for a whole body in chunks of one byte."""
    raw = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * MAX_BODY_BYTES + b"0\r\n\r\n"
    found = read(*(raw[at : at + 60_000] for at in range(0, len(raw), 60_000)))
    assert isinstance(found, HttpResponse)
    assert len(found.body) == MAX_BODY_BYTES
