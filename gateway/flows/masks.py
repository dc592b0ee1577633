"""The secrets of accounts, and the masks that remove them from what others wrote.

A mask is made once per tenant, when it is first needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from gateway.core.card_numbers import (
    holds_issued_number,
    is_written_as_on_a_card,
    may_hold_card_number,
    may_hold_close_digits,
)
from gateway.core.credentials import holds_credential, without_credentials
from gateway.core.encodings import decoded
from gateway.core.masking import Mask, line, secrets_in
from gateway.core.secret import Secret
from gateway.core.signing import keyed_hash
from gateway.drivers.settings import AccountEntry, Settings

MAX_SESSIONS_MASKED = 4
"""Of one account: older ones have ended."""


class Masks:
    """The masks of all tenants.

    A mask knows the secrets of all accounts of the tenant (a sender may take one account for another), the sessions of
    their logins, the webhook secrets of the tenant and of operators, and the server's secrets.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sessions: dict[tuple[str, str], tuple[Secret, ...]] = {}
        self._made: dict[str, Mask] = {}
        self._hash_of: dict[str, Callable[[str], str]] = {}
        self._all: frozenset[str] | None = None

    def of(self, tenant: str) -> Mask:
        """The mask for what providers and callers of this tenant's accounts write."""
        mask = self._made.get(tenant)
        if mask is None:
            secrets = [secret.reveal() for secret in self._secrets(tenant)]
            mask = self._made[tenant] = Mask(secrets)
            self._hash_of[tenant] = _hashing(self._settings.server.secret, secrets)
        return mask

    def hash_of(self, tenant: str) -> Callable[[str], str]:
        """What is stored in place of a secret: its keyed hash. Of the secrets of a tenant's mask it is made once."""
        self.of(tenant)
        return self._hash_of[tenant]

    def line(self, tenant: str, text: str, longest: int) -> str:
        """A provider's text as it may be stored and shown: one clean line without secrets and card numbers."""
        return line(text, self.of(tenant), longest)

    def may_keep(self, tenant: str, identifier: str) -> bool:
        """Whether an unproved id may be stored: it quotes no secret and is not a card number."""
        return not self.quote(tenant, [identifier]) and not holds_issued_number(identifier)

    def quote(self, tenant: str, identifiers: Sequence[str]) -> bool:
        """Whether ids or addresses of a provider quote a key, a secret, or a card number written as on a card.

        A plain number may be an honest id: masked it would lose the payment.
        """
        mask = self.of(tenant)
        # Nothing separates groups in what is alphanumeric, and no number reaches over a letter.
        may_hold_groups = "x".join([one for one in identifiers if not one.isalnum()])
        if mask.surely_spares("".join(identifiers)) and not may_hold_close_digits(may_hold_groups):
            return False
        return mask.holds("\n".join(identifiers)) or any(map(_quotes_key_or_card, identifiers))

    def is_secret(self, text: str) -> bool:
        """Whether a text is a key, or one of the secrets in the settings, of any tenant."""
        if self._all is None:
            secrets = (secret for tenant in self._settings.tenants for secret in self._secrets(tenant))
            self._all = frozenset(secret.reveal() for secret in secrets)
        return holds_credential(text) or text in self._all

    def learn(self, entry: AccountEntry, session: Secret) -> None:
        """Mask a new session of an account from now on, beside those before it."""
        name = (entry.tenant, entry.name)
        before = (one for one in self._sessions.get(name, ()) if one.reveal() != session.reveal())
        self._sessions[name] = (session, *islice(before, MAX_SESSIONS_MASKED - 1))
        self._made.pop(entry.tenant, None)

    def remember(self, before: Masks) -> None:
        """Mask the sessions that other masks have learnt, of the tenants that are still in the settings."""
        self._sessions |= {
            name: learnt for name, learnt in before._sessions.items() if name[0] in self._settings.tenants
        }

    def _secrets(self, tenant: str) -> Iterator[Secret]:
        yield from self._settings.server.secrets
        for webhook in self._settings.operator_webhooks.values():
            yield from webhook.secrets
        for (owner, _), sessions in self._sessions.items():
            yield from sessions if owner == tenant else ()
        held = self._settings.tenants.get(tenant)
        if held is None:
            return
        for entry in held.accounts.values():
            yield from secrets_of(entry).values()
        yield from held.webhook.secrets if held.webhook is not None else ()


def secrets_of(entry: AccountEntry) -> dict[str, Secret]:
    """Every secret of an account by name: what the provider was given, and what its ``config`` holds.

    Those of earlier generations and of other ``server.secrets`` are among them while they are accepted.
    """
    found = dict(secrets_in(entry.credentials))
    found |= {f"config.{name}": secret for name, secret in secrets_in(entry.account.config)}
    for one in entry.earlier:
        found |= {f"{name} ({one.name_of_earlier})": secret for name, secret in secrets_in(one.credentials)}
    return found


def _hashing(key: Secret, known: Sequence[str]) -> Callable[[str], str]:
    hashes = {text: keyed_hash(key, text) for text in known}
    return lambda text: hashes.get(text) or keyed_hash(key, text)


def _quotes_key_or_card(identifier: str) -> bool:
    return without_credentials(identifier) != identifier or (
        may_hold_card_number(identifier) and is_written_as_on_a_card(decoded(identifier))
    )
