"""Addresses in the settings: where we send to, where browsers may return, what we are called. Text only, no lookup."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from gateway.core.wire import absolute_url, origin_of
from gateway.drivers.settings.around import Around


def _is_local(host: str) -> bool:
    """A courtesy at load, by the text alone; the sender judges the real address at every connect."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def target_url(text: str, around: Around) -> str:
    """Check where we send to: absolute; outside development https and not this machine or a private network."""
    parts = absolute_url(text)
    if around.development:
        return text
    if parts.scheme != "https":
        raise ValueError("must be https (http needs server.development: true)")
    if _is_local(parts.hostname or ""):
        raise ValueError("must not point to this machine or a private network (that needs server.development: true)")
    return text


def public_url(text: str, _: Around) -> str:
    """Check what providers and browsers are told we are; a path in front of ours is allowed."""
    if absolute_url(text).query:
        raise ValueError("must not have a query")
    return text.rstrip("/")


def origin(text: str, around: Around) -> str:
    """Check and normalise an origin that customers may be sent back to."""
    found = origin_of(text)
    if found is None or "#" in text or urlsplit(text).path or urlsplit(text).query:
        raise ValueError("must be an origin such as https://shop.example or https://shop.example:8443, without path")
    if not around.development and not found.startswith("https:"):
        raise ValueError("must be https (http needs server.development: true)")
    return found
