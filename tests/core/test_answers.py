"""A provider's answer described for people: what it is, never what it says."""

from __future__ import annotations

import pytest

from gateway.core.answers import described
from gateway.core.wire import HttpResponse

HTML = ("Content-Type", "text/html; charset=utf-8")
JSON = ("Content-Type", "application/json")


@pytest.mark.parametrize(
    ("status", "headers", "body", "said"),
    [
        (404, (HTML,), b"<p>x", "HTTP 404, text/html, 4 bytes, an HTML page: check the address in the settings"),
        (
            403,
            (HTML,),
            b"<html>",
            "HTTP 403, text/html, 6 bytes, an HTML page, perhaps of a firewall in front of the API",
        ),
        (200, (), b" <!DOCTYPE html>", "HTTP 200, no media type, 16 bytes, an HTML page"),
        (204, (), b"", "HTTP 204, no media type, no body"),
        (200, (JSON,), b"", "HTTP 200, application/json, no body"),
        (200, (JSON,), b'{"customer":"Dana"}', "HTTP 200, application/json, 19 bytes"),
        (200, (JSON,), b"<br />\n<b>Notice</b>: x", 'HTTP 200, application/json, 23 bytes, begins with "<br"'),
        (200, (JSON,), b"Notice: Undefined index", 'HTTP 200, application/json, 23 bytes, begins with "Notice"'),
        (200, (JSON,), b"\xef\xbb\xbfWarning: x", 'HTTP 200, application/json, 13 bytes, begins with "Warning"'),
        (200, (HTML,), b"Fatal error: x", 'HTTP 200, text/html, 14 bytes, begins with "Fatal"'),
        (502, (HTML,), b"<html><h1>", "HTTP 502, text/html, 10 bytes, an HTML page"),
        (500, (), b"abcdefghijklmnopqrstuvwxyz", "HTTP 500, no media type, 26 bytes"),
        (
            200,
            (JSON, ("Content-Encoding", "gzip")),
            b"\x1f\x8b",
            "HTTP 200, application/json, 2 bytes, compressed (gzip) although identity was asked for",
        ),
        (
            301,
            (("Location", "https://bridge.example/new?token=x"),),
            b"",
            "HTTP 301, no media type, no body, to https://bridge.example/new",
        ),
    ],
)
def test_an_answer_is_described(status: int, headers: tuple[tuple[str, str], ...], body: bytes, said: str) -> None:
    """Status, media type and size; then what says most about the cause."""
    assert described(HttpResponse(status=status, headers=headers, body=body)) == said
