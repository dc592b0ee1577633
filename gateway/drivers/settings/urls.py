"""Addresses in the settings: where we send to, where browsers may return, what we are called. Text only, no lookup."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from gateway.core.wire import absolute_url, origin_of
from gateway.drivers.addresses import is_address, is_forbidden
from gateway.drivers.settings.around import Around

_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


def _is_local(host: str) -> bool:
    """A courtesy at load, by the text alone; the sender judges the real address at every connect."""
    name = host.rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or (is_address(host) and is_forbidden(host))


def _is_plain(host: str) -> bool:
    """Whether a host in lower case is a name, or an address in the one form that all programs read alike."""
    if not is_address(host):
        return _NAME.fullmatch(host) is not None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def target_url(text: str, around: Around) -> str:
    """Check where we send to: absolute, with a plain host; outside development https and no private address."""
    parts = absolute_url(text)
    if not _is_plain(parts.hostname or ""):
        raise ValueError("must have a host name such as shop.example or an IP address in its usual form")
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
