"""The secrets of accounts, and the masks that take them out of what others wrote.

A mask is made once per tenant, when it is first needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.cards import holds_issued_number
from gateway.core.masking import Mask, line, secrets_in
from gateway.core.secret import Secret
from gateway.drivers.settings import AccountEntry, Settings


class Masks:
    """The masks of all tenants, each made when it is first needed: who writes to one account may mean another.

    A mask knows the secrets of all accounts of the tenant, the sessions that their providers gave us, the tenant's
    webhook secrets and the server's secret.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sessions: dict[tuple[str, str], tuple[Secret, ...]] = {}
        self._made: dict[str, Mask] = {}

    def of(self, tenant: str) -> Mask:
        """The mask for whatever the providers and callers of this tenant's accounts say."""
        mask = self._made.get(tenant)
        if mask is None:
            mask = self._made[tenant] = Mask(secret.reveal() for secret in self._secrets(tenant))
        return mask

    def line(self, tenant: str, text: str, longest: int) -> str:
        """A provider's text as it may be stored and shown: one clean line without secrets and card numbers."""
        return line(text, self.of(tenant), longest)

    def may_keep(self, tenant: str, identifier: str) -> bool:
        """Whether an id that a stranger named quotes no secret and is no card number."""
        return not self.of(tenant).holds(identifier) and not holds_issued_number(identifier)

    def learn(self, entry: AccountEntry, session: Secret) -> None:
        """A provider gave us a session: it is masked from now on, and so is the one before."""
        name = (entry.tenant, entry.name)
        self._sessions[name] = (session, *self._sessions.get(name, ())[:1])
        self._made.pop(entry.tenant, None)

    def _secrets(self, tenant: str) -> Iterator[Secret]:
        yield self._settings.server.secret
        for (owner, _), sessions in self._sessions.items():
            yield from sessions if owner == tenant else ()
        held = self._settings.tenants.get(tenant)
        if held is None:
            return
        for entry in held.accounts.values():
            yield from secrets_of(entry).values()
        yield from held.webhook.secrets if held.webhook is not None else ()


def secrets_of(entry: AccountEntry) -> dict[str, Secret]:
    """Every secret of an account by name: what the other side was told, and what its ``config`` holds.

    The generation before is among them while it is accepted.
    """
    found = dict(secrets_in(entry.credentials))
    found |= {f"config.{name}": secret for name, secret in secrets_in(entry.account.config)}
    return found | {f"{name} (generation before)": secret for name, secret in secrets_in(entry.credentials_before)}
