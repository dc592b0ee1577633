"""What providers advise about accounts that are usable as they are, as lines that name the file's line and key."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.core.checks import mapping, text
from gateway.core.returned import LONGEST_ID, LONGEST_TEXT, Unusable, judged
from gateway.drivers.settings.lines import Lines
from gateway.drivers.settings.model import AccountEntry, Settings
from gateway.provider import Advises

_ADVICE = mapping(text(LONGEST_ID, least=1), text(LONGEST_TEXT, least=1))


def advice(settings: Settings) -> list[str]:
    """A line for each piece of advice, in the order of the accounts."""
    lines = Lines(settings.source)
    return [
        lines.at(("tenants", entry.tenant, "accounts", entry.name, *key.split(".")), said)
        for tenant in settings.tenants.values()
        for entry in tenant.accounts.values()
        for key, said in _advice_of(entry).items()
    ]


def _advice_of(entry: AccountEntry) -> Mapping[str, str]:
    """What an account's provider advises, by key of the account. Where the plugin fails, that is the advice."""
    if not isinstance(entry.provider, Advises):
        return {}
    try:
        said: Mapping[str, str] = judged(entry.provider.advice(entry.account), _ADVICE)
    except Unusable as wrong:
        return {"provider": f"{entry.provider.name}: advice returned {wrong}"}
    except Exception as broken:  # foreign code: a line, not a traceback
        return {"provider": f"{entry.provider.name}: advice failed: {type(broken).__name__}"}
    return said
