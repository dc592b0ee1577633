"""One call of a plugin as a value, and its result. A call can be written to a file and made again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from gateway.core.errors import Reason
from gateway.core.facts import Busy, Recorded, Refused, Repeated, Verdict
from gateway.core.wire import Headers, HttpResponse
from gateway.testing.recipes import AT, Recipe


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A callback as it reaches an account's endpoint."""

    method: str = "POST"
    suffix: str = ""
    query: str = ""
    headers: Headers = ()
    body: bytes = b""
    at: datetime = AT
    payment_id: str | None = None
    remote: str = "192.0.2.1"


class Drafted(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback that ``sign_callback`` makes is to report."""

    payment: int
    stage: str
    money: str


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call: the member of the provider, and what it is given. ``account`` is a label, ``verdict`` a word."""

    member: str
    account: str
    recipe: Recipe | None = None
    response: HttpResponse | None = None
    received: Received | None = None
    verdict: str | None = None
    signs: Drafted | None = None

    def __str__(self) -> str:
        parts = [self.member, str(self.recipe) if self.recipe else "", self.verdict or ""]
        if self.response is not None:
            parts.append(f"answered {self.response.status} {shown(self.response.body)}")
        if self.received is not None and self.member == "verify":
            parts.append(f"{self.received.method} {shown(self.received.body)}")
        return " ".join(filter(None, parts))


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a call returned or raised. ``wrong``: what cannot be used of what it returned. ``touched``: pairs of rule
    and what was called where."""

    value: Any = None
    error: BaseException | None = None
    wrong: str | None = None
    touched: tuple[tuple[str, str], ...] = ()
    seconds: float = 0.0

    def __str__(self) -> str:
        return f"raised {type(self.error).__name__}: {self.error}" if self.error else f"returned {in_short(self.value)}"


VERDICTS: Mapping[str, Verdict] = {
    "recorded": Recorded(),
    "repeated": Repeated(),
    "repeated is_final": Repeated(is_final=True),
    "busy": Busy(),
    "busy limited": Busy(limited=True),
    **{f"refused {reason}": Refused(reason=reason) for reason in Reason},
}
"""Every verdict of the gateway, by words."""


def shown(body: bytes, longest: int = 60) -> str:
    """The beginning of a body, for a message."""
    text = body.decode(errors="replace")
    return f"{text[:longest]!r}" + ("…" if len(text) > longest else "")


def in_short(value: Any) -> str:
    """A value in short: of a fact the members that say something."""
    if isinstance(value, tuple):
        return f"({', '.join(map(in_short, value))})"
    if not isinstance(value, msgspec.Struct):
        return repr(value)
    members = ((field.name, getattr(value, field.name), _default(field)) for field in msgspec.structs.fields(value))
    shown = ", ".join(f"{name}={in_short(own)}" for name, own, usual in members if own != usual)
    return f"{type(value).__name__}({shown})"


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
