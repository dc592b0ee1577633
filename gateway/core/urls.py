"""What a URL may be: one rule for the settings, for tenants, for providers and for plugins. Text only, no lookup.

Programs must not disagree about where a URL leads. So it is visible ASCII and its host is a plain name or an address in
its usual form; what is written otherwise is refused with the spelling that would be taken.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import SplitResult, quote, urlsplit

PORTS = {"http": 80, "https": 443}
"""The schemes a URL may have, and the port of each that need not be written."""

LONGEST_PAGE = 2048
"""Characters of the address of a page that customers are sent to."""

_URL_TEXT = re.compile(r"[!-\[\]-~]+")
"""Visible ASCII without the backslash, which browsers take for a slash."""

_USUAL_URL = re.compile(r"(https?)://([a-z0-9.-]{1,253})(?::([1-9][0-9]{0,3}))?(?:[/?#][!-\[\]-~]*)?")
"""What nearly every URL looks like: then scheme, host and port are surely these, and only the host must be checked."""

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_ENDS_IN_A_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")
_HOST_IN_URL = re.compile(r"https?://(?:[^/?#@\\]*@)?([^/?#@\\:\[\]]+)", re.IGNORECASE)

NOT_ABSOLUTE = "must be an absolute URL such as https://shop.example/path"
HAS_FRAGMENT = "must not have a fragment"
NOT_PLAIN = "must be visible ASCII without backslashes: percent-encode other characters, such as a blank as %20"
NO_HOST = (
    "must have a host name such as shop.example or an IP address in its usual form"
    " (no wildcards, placeholders, zones or percent-encoding)"
)


def url_for_log(url: str) -> str:
    """An URL without query and fragment, which may carry secrets."""
    return url.partition("?")[0].partition("#")[0]


def place_of(url: str) -> str:
    """Host and port of a URL, for the log; "" where they cannot be read."""
    try:
        parts = urlsplit(url)
        host, port = bracketed(parts.hostname or ""), parts.port
    except ValueError:
        return ""
    return host if port is None else f"{host}:{port}"


def page_url(text: str) -> SplitResult:
    """The parts of an absolute http(s) URL that browsers may be sent to, with a fragment if it has one.

    Raises ``ValueError`` with what would be right; the text itself is not shown, but for a host to be spelled in ASCII.
    """
    if _URL_TEXT.fullmatch(text) is None:
        raise ValueError(_not_plain(text) if text else NOT_ABSOLUTE)
    try:
        parts = urlsplit(text)
        host = parts.hostname
        is_absolute = parts.scheme in PORTS and bool(host) and parts.port != 0
    except ValueError:
        is_absolute = False
    if not is_absolute:
        raise ValueError(NOT_ABSOLUTE)
    if "@" in parts.netloc:
        raise ValueError("must not carry a user name or password")
    if one_host(host or "") is None:
        raise ValueError(NO_HOST)
    return parts


def absolute_url(text: str) -> SplitResult:
    """The parts of a URL that we send to: as ``page_url``, without a fragment. Raises ``ValueError``."""
    parts = page_url(text)
    if "#" in text:
        raise ValueError(HAS_FRAGMENT)
    return parts


def target_problem(text: str) -> str | None:
    """Say why ``absolute_url`` would refuse a URL; None when it would not."""
    try:
        _origin_parts(text)
    except ValueError as problem:
        return str(problem)
    return HAS_FRAGMENT if "#" in text else None


def base_url(text: str, name: str = "") -> str:
    """Return the URL that paths are appended to, without a slash at its end.

    Raises ``ValueError`` with what would be right, behind the ``name`` of the member if that is given.
    """
    problem = target_problem(text) or ("must not have a query" if "?" in text else None)
    if problem is not None:
        raise ValueError(f"{name} {problem}".lstrip())
    return text.rstrip("/")


def redirect_problem(
    url: str, *, hosts: Iterable[str] = (), http: Literal["refused", "loopback", "allowed"] = "refused"
) -> str | None:
    """Say why a customer may not be sent to a page; None when they may.

    The page must be absolute https, of at most 2048 characters; a fragment is allowed. ``http`` says where plain http
    is accepted as well, ``hosts`` (if any) which hosts are accepted.
    """
    if len(url) > LONGEST_PAGE:
        return f"must have at most {LONGEST_PAGE} characters"
    try:
        scheme, host, _ = _origin_parts(url)
    except ValueError as problem:
        return str(problem) if url else "is empty"
    if scheme != "https" and not (http == "allowed" or (http == "loopback" and is_loopback(host))):
        return f"must be https; it is http on {host}"
    accepted = set(map(one_host, hosts))
    return f"is on {host}, which is not among the allowed hosts" if accepted and host not in accepted else None


@functools.lru_cache(256)
def is_loopback(host: str) -> bool:
    """Whether a host, as ``one_host`` writes it, is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def origin_of(url: str) -> str | None:
    """The origin of a page's URL in its one form, for comparisons: no default port, the host as ``one_host`` has it.

    None for a URL that browsers are not sent to.
    """
    try:
        scheme, host, port = _origin_parts(url)
    except ValueError:
        return None
    return f"{scheme}://{bracketed(host)}" if port in (None, PORTS[scheme]) else f"{scheme}://{bracketed(host)}:{port}"


@functools.lru_cache(256)  # of an account's address on every call, of a page's from plugin, gateway and store
def _origin_parts(text: str) -> tuple[str, str, int | None]:
    """Scheme, host as ``one_host`` has it, and port of a URL as ``page_url`` takes it. Raises ``ValueError``."""
    usual = _USUAL_URL.fullmatch(text)
    host = None if usual is None else one_host(usual[2])
    if usual is not None and host is not None:
        return usual[1], host, int(usual[3]) if usual[3] else None
    parts = page_url(text)
    return parts.scheme, one_host(parts.hostname or "") or "", parts.port


def bracketed(host: str) -> str:
    """A host as URLs write it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


@functools.lru_cache(1024)
def one_host(host: str) -> str | None:
    """A host without brackets in the one form that equal hosts share: lower case, no dot at the end, IPv6 shortened.

    None for what is neither a name nor an address that all programs read alike.
    """
    name = host.lower()
    if is_address(name):
        return _one_address(name)
    name = name.removesuffix(".")
    return name if all(map(_LABEL.fullmatch, name.split("."))) else None


def is_address(host: str) -> bool:
    """Whether any program reads a host (in lower case) as an address, in whatever spelling: ``0x7f.1``, ``::1``."""
    return ":" in host or _ENDS_IN_A_NUMBER.fullmatch(host) is not None


def _one_address(text: str) -> str | None:
    try:
        return None if "%" in text else str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _not_plain(text: str) -> str:
    """Why a text is not visible ASCII; a host with other letters is spelled out as it is written in ASCII."""
    found = _HOST_IN_URL.match(text)
    host = "" if found is None or found[1].isascii() else _in_ascii(found[1])
    if host:
        return f"must be ASCII: write its host as {host}"
    letter = next((one for one in text if not one.isascii() and one.isprintable()), None)
    return (
        NOT_PLAIN
        if letter is None
        else f'must be ASCII: percent-encode other characters, such as "{letter}" as {quote(letter)}'
    )


def _in_ascii(host: str) -> str:
    """A host with the letters of other scripts as browsers ask for it (``xn--…``); empty where it is not a name."""
    import idna  # its tables are large, and nearly nobody needs them

    try:
        return one_host(idna.encode(host, uts46=True).decode()) or ""
    except (idna.IDNAError, UnicodeError):
        return ""
