"""Headers that every answer carries, whoever wrote it."""

from __future__ import annotations

from aiohttp import web

REQUEST_ID_HEADER = "X-Request-Id"

EVERY_ANSWER = {
    "Server": "payment-gateway",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""No version; nothing guessed from bytes; no script, style, form or frame; no address passed on; nothing stored."""


def add_headers(response: web.StreamResponse) -> None:
    """Add what the handler did not set itself; a page with other needs has a policy of its own."""
    headers = response.headers
    for name, value in EVERY_ANSWER.items():
        headers.setdefault(name, value)
