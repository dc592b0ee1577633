"""The accounts that a plugin is checked with, loaded by the code that loads settings: what fails here fails there."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec.structs import replace

from gateway.core.errors import SettingsError
from gateway.core.masking import secrets_in
from gateway.core.secret import Secret
from gateway.core.strictjson import dumps
from gateway.drivers.settings import AccountEntry, load_settings
from gateway.provider import Provider
from gateway.testing.samples import SampleAccount

MASTER = "kit-master-secret-0123456789-0123456789"
_NEXT = {one: all_[(all_.index(one) + 1) % len(all_)] for all_ in (string.digits, string.ascii_lowercase,
         string.ascii_uppercase) for one in all_}  # fmt: skip


_TEXTS = {"currency": "USD", "country": "US"}


def load_accounts(provider: Provider, wanted: Iterable[SampleAccount]) -> dict[str, AccountEntry]:
    """Load accounts as the gateway does, by label. Raises ``SettingsError`` with a line per problem."""
    tenants: dict[str, Any] = {}
    for one in wanted:
        tenant = tenants.setdefault(one.tenant, {"name": one.tenant, "accounts": {}, "deposit_methods": {}})
        fields = {"fields": one.fields} if one.fields else {}
        tenant["accounts"][one.name] = {"provider": provider.name, "config": one.config, **fields}
        tenant["deposit_methods"][f"kit-{one.name}"] = {"label": {"en": one.name}, "account": one.name}
    server = {"secret": MASTER, "development": True, "public_url": "https://gateway.example"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "samples"
        path.write_bytes(dumps({"server": server, "currencies": {"USDT": 6}, "tenants": tenants}))
        settings = load_settings(path, providers={provider.name: provider}, environ={})
    entries = [entry for tenant in settings.tenants.values() for entry in tenant.accounts.values()]
    return {f"{entry.tenant}/{entry.name}": entry for entry in entries}


def made_up(provider: Provider) -> SampleAccount:
    """An account of nothing but the types of its ``config``."""
    config = {
        field.encode_name: _value(field.name, field.type)
        for field in msgspec.structs.fields(provider.account_type)
        if field.required
    }
    return SampleAccount(tenant="kit-a", name="main", config=config)


def twin(provider: Provider, one: SampleAccount) -> SampleAccount:
    """The same account of another tenant, with other secrets of the same shape. Raises ``SettingsError``."""
    (entry,) = load_accounts(provider, [one]).values()
    texts = {secret.reveal() for _, secret in secrets_in(entry.account.config)}
    other = f"{one.tenant}-b" if one.tenant != "kit-a" else "kit-b"
    return replace(one, tenant=other, config=_with_other(one.config, texts))


def both(provider: Provider, given: tuple[SampleAccount, ...]) -> tuple[SampleAccount, ...]:
    """The accounts to check with: those given for this provider, two tenants' at least. Raises ``SettingsError``."""
    mine = tuple(one for one in given if one.provider in (None, provider.name)) or (made_up(provider),)
    if len({one.tenant for one in mine}) > 1:
        return mine
    return (*mine, twin(provider, mine[0]))


def why_not(problem: SettingsError) -> str:
    """What is wrong with an account, without the kit's own file."""
    return "; ".join(line.partition(": ")[2] for line in problem.problems)


def _with_other(value: Any, secrets: set[str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _with_other(inner, secrets) for name, inner in value.items()}
    if isinstance(value, list):
        return [_with_other(inner, secrets) for inner in value]
    return "".join(_NEXT.get(one, one) for one in value) if isinstance(value, str) and value in secrets else value


def _value(name: str, kind: Any) -> Any:
    """A value of a required member of ``config``."""
    options = [kind, *get_args(kind)]
    if Secret in options:
        return f"kit-secret-{name}-0123456789"
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if str in options:
        return "https://provider.example" if name.endswith("url") else _TEXTS.get(name, f"kit-{name}")
    return "1d" if "timedelta" in str(kind) else 1 if int in options else []
