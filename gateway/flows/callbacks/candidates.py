"""What the sender of a callback may have taken for an account and its secrets, to explain the callback with.

The tenant's other accounts at the same provider, earlier generations of the account, and its secrets as they are
misspelt. Nothing found by these is ever believed; each has a name, so that an explanation can say which it was.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping

from msgspec.structs import replace

from gateway.core.secret import Secret
from gateway.drivers.settings import AccountEntry
from gateway.drivers.settings.model import Derivation
from gateway.flows.masks import secrets_of
from gateway.flows.plugin import calls
from gateway.flows.runtime import Gateway

MOST = 20
"""Other accounts that are looked at."""

GENERATIONS = 3
"""Earlier generations that are looked at."""

SPELLINGS: Mapping[str, Callable[[str], tuple[str, ...]]] = {
    "in quotes": lambda text: (f'"{text}"', f"'{text}'"),
    "twice": lambda text: (text + text, f"{text},{text}", f"{text}, {text}"),
    "in upper case": lambda text: (text.upper(),),
    "in lower case": lambda text: (text.lower(),),
    "in base64": lambda text: (base64.b64encode(text.encode()).decode(),),
    "without its last character": lambda text: (text[:-1],),
    "without its first character": lambda text: (text[1:],),
    "in braces": lambda text: (f"{{{text}}}", f"<{text}>", f"{{{{{text}}}}}"),
}
"""How a secret is misspelt in a header."""


def related(gw: Gateway, entry: AccountEntry) -> dict[str, AccountEntry]:
    """Other accounts that a sender may have taken for this one, by what they are called."""
    owner = gw.settings.tenants[entry.tenant]
    others = [one for one in owner.accounts.values() if _is_alike(one, entry)][:MOST]
    return {f'account "{one.name}"': one for one in others} | dict(_earlier(entry))


def texts(entry: AccountEntry, relations: Mapping[str, AccountEntry]) -> dict[str, str]:
    """What may stand in a secret header instead of the account's secret, each by its name."""
    own, found = _by_text(entry), dict[str, str]()
    for whose, other in relations.items():
        found |= {text: f"{name} of {whose}" for text, name in _by_text(other).items()}
    for secret, name in own.items():
        for spelling, write in SPELLINGS.items():
            found |= dict.fromkeys(write(secret), f"{name}, {spelling}")
        found |= dict.fromkeys(_behind_a_name(entry, secret), f"{name}, behind a name")
    found |= {value: f"{name}, which is public" for name, value in entry.credentials.items() if isinstance(value, str)}
    return {text: name for text, name in found.items() if text and text not in own}


def _behind_a_name(entry: AccountEntry, secret: str) -> list[str]:
    """A secret written after the name of its header once more, or after ``token``."""
    return [f"{name}{sign}{secret}" for name in ("token", *entry.provider.secret_headers) for sign in ("=", ": ")]


def _by_text(entry: AccountEntry) -> dict[str, str]:
    """The names of an account's secrets by their texts: of two names the first."""
    return {secret.reveal(): name for name, secret in reversed(secrets_of(entry).items())}


def _is_alike(one: AccountEntry, entry: AccountEntry) -> bool:
    return one.name != entry.name and one.provider.name == entry.provider.name


def _earlier(entry: AccountEntry) -> Iterator[tuple[str, AccountEntry]]:
    """The account as it was in earlier generations."""
    derive = entry.account.derive
    if not isinstance(derive, Derivation):
        return
    for generation in range(entry.generation - 1, max(0, entry.generation - 1 - GENERATIONS), -1):
        older = replace(derive, generation=generation, accept_previous=False)
        account = replace(entry.account, derive=older)
        was = replace(entry, account=account, generation=generation, accept_previous=False, credentials_before={})
        credentials: Mapping[str, str | Secret] = calls.credentials(was)
        yield f"generation {generation} of this account", replace(was, credentials=credentials)
