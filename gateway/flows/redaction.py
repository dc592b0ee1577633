"""Which of an account's secrets a stored callback was sent with: values compared by keyed hash, never shown.

The store holds of a secret header only ``hmac-sha256:`` and a keyed hash. The secret among the account's own whose
hash is the same is the one that was sent; put back in place it lets the plugin prove the callback anew. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec.structs import replace

from gateway.core.masking import Mask, line
from gateway.core.secret import Secret
from gateway.core.signing import keyed_hash, same
from gateway.core.wire import Callback, Headers
from gateway.drivers.settings import AccountEntry, Settings
from gateway.drivers.store.inbox import StoredCallback
from gateway.provider import Account

HASHED = "hmac-sha256:"
"""What the stored value of a secret header begins with."""


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """A secret header of a callback, and the name of the account's secret it held; None: it held none of them."""

    header: str
    credential: str | None


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A stored callback as it came, as far as the account's secrets of today tell; its repr shows no header."""

    callback: Callback
    tried: tuple[Tried, ...]
    needs_secret: bool

    @property
    def is_known(self) -> bool:
        """Whether the sender had the account's secret, where the provider sends one. Else nothing may be applied."""
        return (bool(self.tried) or not self.needs_secret) and all(one.credential is not None for one in self.tried)


def restore(key: Secret, entry: AccountEntry, row: StoredCallback) -> Restored:
    """Put the account's secrets of today back where their hashes stand. ``key`` is the server's secret."""
    held = secrets_of(entry)
    named = {name.lower() for name in entry.provider.secret_headers}
    headers: list[tuple[str, str]] = []
    tried: list[Tried] = []
    for header, value in row.headers:
        if header.lower() in named:
            hashes = ((name, f"{HASHED}{keyed_hash(key, secret.reveal())}") for name, secret in held.items())
            credential = next((name for name, hashed in hashes if same(hashed, value)), None)
            tried.append(Tried(header=header, credential=credential))
            value = held[credential].reveal() if credential is not None else value
        headers.append((header, value))
    callback = _callback(entry, row, tuple(headers))
    return Restored(callback=callback, tried=tuple(tried), needs_secret=bool(named))


def hidden(key: Secret, headers: Headers, secret_headers: frozenset[str]) -> Headers:
    """Headers as they may be stored: of each secret one a keyed hash, enough to compare, nothing to steal."""
    secret = {name.lower() for name in secret_headers} | {"authorization", "cookie"}
    return tuple(
        (name, f"{HASHED}{keyed_hash(key, value)}" if name.lower() in secret else value) for name, value in headers
    )


def secrets_of(entry: AccountEntry) -> dict[str, Secret]:
    """Every secret of an account by name: what the other side was told, and what its ``config`` holds.

    The generation before is among them while it is accepted.
    """
    found = _told(entry, entry.account)
    found |= {f"config.{name}": secret for name, secret in _in_config(entry.account.config)}
    if entry.accept_previous and entry.generation > 1:
        before = replace(entry.account, derive=lambda purpose, previous=False: _previous(entry, purpose, previous))
        told = _told(entry, before)
        found |= {f"{name} (generation before)": secret for name, secret in told.items()}
    return found


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


def _previous(entry: AccountEntry, purpose: str, previous: bool) -> Secret | None:
    return None if previous else entry.account.derive(purpose, previous=True)


def _told(entry: AccountEntry, account: Account) -> dict[str, Secret]:
    """The secrets that the other side was told; none where the plugin breaks: its config is masked all the same."""
    try:
        told = entry.provider.credentials(account)
    except Exception:
        return {}
    return {name: value for name, value in told.items() if isinstance(value, Secret)}


def _in_config(value: object, *path: str) -> Iterator[tuple[str, Secret]]:
    """The secrets in a config, however deep, each with its path."""
    if isinstance(value, Secret):
        yield ".".join(path), value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _in_config(getattr(value, name), *path, name)
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _in_config(inner, *path, str(name))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _in_config(inner, *path, str(number))


def _callback(entry: AccountEntry, row: StoredCallback, headers: Headers) -> Callback:
    return Callback(
        method=row.method,
        suffix=row.suffix,
        query=row.query,
        headers=headers,
        body=row.body,
        remote=row.remote,
        received_at=row.received_at,
        # No payment_id: whether a token of ours proved it is not kept, and a plugin would believe it.
        config=entry.account.config,
    )
