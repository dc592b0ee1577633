"""What the kit found out about a plugin: findings, each by a rule of ``rules.py``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Severity = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One rule that a plugin breaks: the smallest input that shows it, and what would be right.

    ``replay`` is the path of a file with that input, for ``gateway plugins check NAME --replay FILE``; empty where
    nothing was called.
    """

    rule: str
    severity: Severity
    message: str
    fix: str
    replay: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All findings about a plugin. ``counts``: how much was tried, and what the plugin's work costs in microseconds."""

    plugin: str
    version: str | None
    findings: tuple[Finding, ...]
    counts: Mapping[str, int | float]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that are faults; the rest are warnings."""
        return tuple(one for one in self.findings if one.severity == "error")

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; warnings do not count."""
        return not self.errors

    def __str__(self) -> str:
        return (
            "\n".join(f"{one.severity}: {one.rule}: {one.message}\n  {one.fix}" for one in self.findings)
            or f"{self.plugin}: nothing is wrong"
        )
