"""Addresses in the settings: where we listen and send to, where browsers may return, what we are called. No lookup."""

from __future__ import annotations

import ipaddress

from gateway.core.urls import NOT_ABSOLUTE, absolute_url, base_url, is_address, one_host, origin_of, page_url
from gateway.drivers.forbidden_addresses import is_forbidden
from gateway.drivers.settings.load_context import LoadContext

NOT_AN_ORIGIN = "must be an origin such as https://shop.example or https://shop.example:8443, without path"


def listen_host(text: str, _: LoadContext) -> str:
    """Check what we listen on: a host name or an IP address, an IPv6 address with or without its brackets."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") and ":" in text else text
    if one_host(bare) is None:
        raise ValueError(
            "must be an IP address or a host name such as 127.0.0.1, 0.0.0.0, ::1 or localhost,"
            " without scheme, port, path and zone"
        )
    if is_address(bare) and _is_for_many(bare):
        raise ValueError("is a multicast or broadcast address: nobody can connect to it, write one of this machine")
    return bare


def _is_for_many(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_multicast or address == "255.255.255.255"


def target_url(text: str, context: LoadContext) -> str:
    """Check where we send to: an absolute URL; outside development https and no private address."""
    parts = absolute_url(text)
    if context.development:
        return text
    if parts.scheme != "https":
        raise ValueError("must be https (http needs server.development: true)")
    if _is_local(parts.hostname or ""):
        raise ValueError("must not point to this machine or a private network (that needs server.development: true)")
    return text


def public_url(text: str, _: LoadContext) -> str:
    """Check an address that may have a path, which others are put behind."""
    return base_url(text)


def own_url(text: str, context: LoadContext) -> str:
    """Check what we are called outside: as ``public_url``, and https outside development, for browsers carry tokens."""
    url = public_url(text, context)
    if not (context.development or url.lower().startswith("https:")):
        raise ValueError("must be https outside development (http needs server.development: true)")
    return url


def origin(text: str, context: LoadContext) -> str:
    """Check and normalise an origin that customers may be sent back to."""
    try:
        parts = page_url(text)
    except ValueError as problem:
        raise ValueError(NOT_AN_ORIGIN if str(problem) == NOT_ABSOLUTE else str(problem)) from None
    if parts.path or {"?", "#"} & set(text):
        raise ValueError(NOT_AN_ORIGIN)
    if not context.development and parts.scheme != "https":
        raise ValueError("must be https (http needs server.development: true)")
    return origin_of(text) or ""


def _is_local(host: str) -> bool:
    """A courtesy at load, by the text alone; the sender checks the real address at every connect."""
    name = host.rstrip(".")
    return name == "localhost" or name.endswith(".localhost") or (is_address(host) and is_forbidden(host))
