"""A bridge that makes one mistake: what it knows, the call that it sends, and helpers to describe a mistake."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Call(NamedTuple):
    """One call: body, headers, path below the callback address, method."""

    body: bytes
    headers: Mapping[str, str]
    path: str = "/pay/callback"
    method: str = "POST"


class Bridge(NamedTuple):
    """What a bridge knows: its payment's members without sign, its token, and those of other accounts."""

    members: dict[str, Any]
    token: str
    other_token: str
    other_merchant: str
    old_token: str


class Mistake(NamedTuple):
    """One mistake. ``notes``: what an explanation must say; ``changes``: members besides the usual ones."""

    name: str
    send: Callable[[Bridge], Call]
    notes: tuple[str, ...]
    changes: Mapping[str, Any] = {}


Pairs = list[tuple[str, str]]


def shown(value: Any) -> str:
    """Print a value as JavaScript does."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def pairs(members: Mapping[str, Any], *, empties: bool = False, show: Callable[[str, Any], str] | None = None) -> Pairs:
    """Return the members to be signed with their texts, in key order."""
    show = show or (lambda _, value: shown(value))
    kept = {key: value for key, value in members.items() if empties or value not in (None, "", [], {})}
    return [(key, show(key, kept[key])) for key in sorted(kept)]


def joined(found: Pairs, between: str = "&") -> str:
    """Return StringA."""
    return between.join(f"{key}={text}" for key, text in found)


def sha1(text: str) -> str:
    """Return the protocol's hash."""
    return hashlib.sha1(text.encode()).hexdigest().upper()


def call(bridge: Bridge, members: Mapping[str, Any], sign: Any, **changes: Any) -> Call:
    """Return a right call but for what is changed."""
    body = changes.pop("body", None)
    headers = {"crm-pay-token": bridge.token, "Content-Type": JSON, **changes.pop("headers", {})}
    content = json.dumps({**members, "sign": sign}, ensure_ascii=False).encode() if body is None else body
    return Call(content, {name: value for name, value in headers.items() if value is not None}, **changes)


def by_text(make: Callable[[Bridge], str]) -> Callable[[Bridge], Call]:
    """Sign a text that contains the token already."""
    return lambda bridge: call(bridge, bridge.members, sha1(make(bridge)))


def printed(show: Callable[[str, Any], str], *, empties: bool = False) -> Callable[[Bridge], Call]:
    """Sign values printed differently."""
    return by_text(lambda bridge: joined(pairs(bridge.members, empties=empties, show=show)) + bridge.token)


def hashed(make: Callable[[str, str], str]) -> Callable[[Bridge], Call]:
    """Hash StringA and token differently."""
    return lambda bridge: call(bridge, bridge.members, make(joined(pairs(bridge.members)), bridge.token))


def right(**changes: Any) -> Callable[[Bridge], Call]:
    """Sign rightly, send wrongly. A changed body, header or path may be made from the bridge."""

    def send(bridge: Bridge) -> Call:
        sign = sha1(joined(pairs(bridge.members)) + bridge.token)
        content = json.dumps({**bridge.members, "sign": sign}, ensure_ascii=False).encode()
        made = {name: value(bridge, content) if callable(value) else value for name, value in changes.items()}
        return call(bridge, bridge.members, sign, **{"body": content, **made})

    return send


def right_sign(make: Callable[[str], Any]) -> Callable[[Bridge], Call]:
    """Send the right sign in another form."""
    return lambda bridge: call(bridge, bridge.members, make(sha1(joined(pairs(bridge.members)) + bridge.token)))


def signs_with(what: str) -> tuple[str, ...]:
    """Return what an explanation says about a mistake in the signature."""
    return (f"the sender signs with {what}",)


RIGHT_SIGN = "the sign itself is right"
NOTE = {"note": "Café / bar", "promo": True}
EMPTY = {"note": "", "extra": None}
