"""The author's samples: accounts, what goes over the wire, and what the provider answers and calls back with.

The file is JSON, and is described in ``docs/conformance.md``. Where a plugin has ``samples.json`` beside its module,
it is found by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.testing.trees import text


class UnusableSamples(ValueError):
    """The samples cannot be read. The text names the file, the member, and what would be right."""


class SampleAccount(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account, as the settings would have it."""

    tenant: str
    name: str
    config: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    provider: str | None = None

    @property
    def label(self) -> str:
        """How callbacks name it."""
        return f"{self.tenant}/{self.name}"


class Reply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer of the provider to a command, and what it gives. ``command`` may be ``login``. ``memory``: what earlier
    answers asked the gateway to keep."""

    command: str
    gives: Any
    status: Any = 200
    headers: Any = {}
    body: Any = ""
    money: str | None = None
    account: str | None = None
    memory: dict[str, str] = {}
    note: str = ""


class SampleCallback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A callback, and what it gives. ``at``: when it is received, as ISO 8601. ``signs``: what its signature covers,
    ``bytes`` of the body or its ``members``."""

    gives: Any
    account: str | None = None
    method: str = "POST"
    suffix: str = ""
    query: str = ""
    headers: Any = {}
    body: Any = ""
    payment_id: str | None = None
    money: str | None = None
    at: str | None = None
    signs: str = "bytes"
    note: str = ""


class Samples(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All samples of a plugin. ``wire``: members of a request, literally, by amount. ``allows``: a rule that is broken
    on purpose, and why."""

    accounts: tuple[SampleAccount, ...] = ()
    wire: dict[str, dict[str, Any]] = {}
    replies: tuple[Reply, ...] = ()
    callbacks: tuple[SampleCallback, ...] = ()
    allows: dict[str, str] = {}


def shipped_with(module: str) -> Path | None:
    """The samples beside a plugin's module, which has been imported; None if it ships none."""
    file = getattr(sys.modules.get(module), "__file__", None)
    beside = Path(file).parent / "samples.json" if file else None
    return beside if beside is not None and beside.is_file() else None


def pairs_of(headers: Any) -> tuple[tuple[str, str], ...]:
    """The headers of a sample, an object or a list of pairs, as the gateway has them."""
    given = headers.items() if isinstance(headers, Mapping) else headers
    return tuple((text(name), text(value)) for name, value in given)
