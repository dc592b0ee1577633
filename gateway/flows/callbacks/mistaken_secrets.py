"""What a sender may have sent in place of an account's secret, to explain its callback with.

The secrets of the tenant's other accounts at the same provider, those of earlier generations, and the account's own,
misspelt. Nothing that matches these is ever believed; each has a name, so that an explanation can say which it was.
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

MAX_OTHER_ACCOUNTS = 20

MAX_EARLIER_GENERATIONS = 3

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


def similar_accounts(gw: Gateway, entry: AccountEntry) -> dict[str, AccountEntry]:
    """Accounts that a sender may have taken for this one, each by the name an explanation gives it."""
    owner = gw.settings.tenants[entry.tenant]
    others = [one for one in owner.accounts.values() if _is_alike(one, entry)][:MAX_OTHER_ACCOUNTS]
    return {f'account "{one.name}"': one for one in others} | dict(_earlier(entry))


def mistaken_secrets(entry: AccountEntry, others: Mapping[str, AccountEntry]) -> dict[str, str]:
    """Texts that a secret header may hold in place of the account's secret, each with its name."""
    own, found = _by_text(entry), dict[str, str]()
    for whose, other in others.items():
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
    for generation in range(entry.generation - 1, max(0, entry.generation - 1 - MAX_EARLIER_GENERATIONS), -1):
        older = replace(derive, generation=generation, earlier=())
        account = calls.prepared(entry, replace(entry.account, derive=older))
        was = replace(entry, account=account, generation=generation, accept_previous=False, earlier=(), alone=None)
        credentials: Mapping[str, str | Secret] = calls.credentials(was)
        yield f"generation {generation} of this account", replace(was, credentials=credentials)
