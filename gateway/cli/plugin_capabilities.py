"""What a provider can do, as ``gateway plugins list`` shows it: its commands, optional members and rules."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from gateway.cli.loading import load
from gateway.core.commands import KIND_OF, Command
from gateway.core.errors import SettingsError
from gateway.core.rules import Rules
from gateway.drivers.provider_declaration import OPTIONAL, api_version_of
from gateway.drivers.settings import AccountEntry
from gateway.provider import Provider

LOOKUP = "lookup"
"""What ``FetchPayment`` is called beside the kinds of operations."""


class RulesShown(msgspec.Struct, frozen=True, kw_only=True):
    """The rules that say what a provider can do, under one account: another one may have others. Pauses in seconds."""

    account: str
    currencies: list[str] | None
    partial_capture: bool
    captures: str
    capture_modes: list[str]
    absence_proves: bool
    poll: list[float] | None
    repeatable: list[str]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What one provider can do. ``rules`` are those of its first account in the settings, None without one."""

    provider: str
    api_version: str
    commands: list[str]
    logs_in: bool
    optional: list[str]
    rules: RulesShown | None


def capabilities_of(provider: Provider, entry: AccountEntry | None) -> Capabilities:
    """Describe a provider; ``entry`` is an account at it, if there is one."""
    return Capabilities(
        provider=provider.name,
        api_version=str(api_version_of(provider)),
        commands=_names(provider.commands),
        logs_in=hasattr(provider, "login"),
        optional=sorted(member for member in OPTIONAL if getattr(provider, member, None) is not None),
        rules=None if entry is None else _shown(entry.owner, entry.rules),
    )


def first_accounts(config: Path) -> dict[str, AccountEntry]:
    """The first account at each provider; none where the settings cannot be loaded, which is for ``check`` to say."""
    try:
        entries = load(config).entries
    except SettingsError:
        return {}
    return {entry.provider.name: entry for entry in reversed(entries)}


def in_words(rules: RulesShown | None) -> str:
    """The rules that differ from those of most providers."""
    if rules is None:
        return ""
    said = {
        "partial capture": rules.partial_capture,
        "several captures": rules.captures == "many",
        f"capture {' or '.join(rules.capture_modes)}": rules.capture_modes,
        "absence proves": rules.absence_proves,
        "own poll": rules.poll,
        f"repeatable {' '.join(rules.repeatable)}": rules.repeatable,
    }
    return ", ".join(words for words, holds in said.items() if holds)


def _shown(account: str, rules: Rules) -> RulesShown:
    return RulesShown(
        account=account,
        currencies=None if rules.currencies is None else sorted(rules.currencies),
        partial_capture=rules.partial_capture,
        captures=rules.captures,
        capture_modes=sorted(rules.capture_modes),
        absence_proves=rules.absence_proves,
        poll=None if rules.poll is None else [pause.total_seconds() for pause in rules.poll],
        repeatable=_names(rules.repeatable),
    )


def _names(commands: Iterable[type[Command]]) -> list[str]:
    """Commands by the kind of operation they become, in the order of a payment's life."""
    order = [*KIND_OF]
    known = sorted((one for one in commands if one in KIND_OF), key=order.index)
    return [str(KIND_OF[one]) for one in known] + ([LOOKUP] if any(one not in KIND_OF for one in commands) else [])
