"""Headers that every answer carries, also those of aiohttp itself."""

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
"""No version, no content sniffing, no scripts, styles, forms or frames, no referrer, no caching."""


def add_headers(response: web.StreamResponse) -> None:
    """Add those that the handler did not set itself, such as a page with a policy of its own."""
    headers = response.headers
    for name, value in EVERY_ANSWER.items():
        headers.setdefault(name, value)
