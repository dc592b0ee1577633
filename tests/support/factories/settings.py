"""A small provider, and a settings file that is right, for the tests to break in one place each."""

from __future__ import annotations

import base64
import hashlib
import textwrap
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

import gateway
from gateway.core.errors import SettingsError
from gateway.drivers.settings import Settings, load_settings

WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()
ENVIRON = {"GATEWAY_SECRET": "a master secret for tests, long enough", "ACME_WHSEC": WHSEC, "TOKEN": "t0ken-of-a-test"}


def sha(text: str) -> str:
    """The hash the settings hold of a bearer key."""
    return hashlib.sha256(text.encode()).hexdigest()


class Tolerance(msgspec.Struct, frozen=True, kw_only=True):
    """A member that is a mapping."""

    tolerance: str


class FakeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One member of every kind a plugin may use."""

    app_url: str = "https://psp.example"
    merchant_id: str | None = None
    token: gateway.Secret | None = None
    wait: timedelta = timedelta(hours=1)
    limit: gateway.Amount | None = None
    share: Decimal | None = None
    mode: Literal["link", "redirect"] = "link"
    amount_rule: Literal["exact", "actual"] | Tolerance = "exact"
    hosts: tuple[str, ...] = ()
    strict: bool = False
    tries: int = 3

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ValueError("tries must be at least 1")
        if self.strict and self.mode == "redirect":
            raise ValueError("strict needs mode link")


class StrictConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A provider without a usable default."""

    shared_secret: gateway.Secret
    public_key: gateway.Secret


class EitherConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A provider whose config judges what is absent."""

    environment: str | None = None
    base_url: str | None = None

    def __post_init__(self) -> None:
        if (self.environment is None) == (self.base_url is None):
            raise ValueError("exactly one of environment and base_url must be given")


class FakeProvider:
    """Only what loading asks of a provider; the rest of the protocol is never called here."""

    secret_headers: frozenset[str] = frozenset()
    commands: frozenset[type[gateway.Command]] = frozenset({gateway.CreatePayment})
    fields: Mapping[str, gateway.FieldRule] = {
        "amount": gateway.FieldRule(mandatory=True, locked=True),
        "order_no": gateway.FieldRule(mandatory=True, locked=True),
        "email": gateway.FieldRule(source="customer.email"),
        "phone": gateway.FieldRule(source="customer.phone"),
    }

    def __init__(self, name: str, account_type: type[msgspec.Struct], rules: gateway.Rules) -> None:
        self.name = name
        self.account_type = account_type
        self._rules = rules

    def rules(self, account: gateway.Account) -> gateway.Rules:
        if getattr(account.config, "merchant_id", None) == "refused":
            raise ValueError("merchant_id must be another")
        return self._rules

    def credentials(self, account: gateway.Account) -> Mapping[str, str | gateway.Secret]:  # noqa: ARG002  # the protocol
        return {}

    def _never(self, *_: Any) -> Any:
        raise AssertionError("not called while loading")

    build = parse = verify = answer = _never


PROVIDERS: dict[str, gateway.Provider] = {
    "psp_like": FakeProvider("psp_like", FakeConfig, gateway.Rules(deposit_method_required=True)),
    "plain": FakeProvider(
        "plain", FakeConfig, gateway.Rules(currencies=frozenset({"USD"}), capture_modes=frozenset({"later"}))
    ),
    "either": FakeProvider("either", EitherConfig, gateway.Rules()),
    "strict": FakeProvider("strict", StrictConfig, gateway.Rules()),
}

GOOD = f"""
server:
  secret: env:GATEWAY_SECRET
tenants:
  acme:
    keys: [{{id: k1, sha256: {sha("acme")}}}]
    return_origins: [https://erp.acme.example]
    webhook: {{url: https://erp.acme.example/hooks, secrets: ["env:ACME_WHSEC"]}}
    accounts:
      main: {{provider: plain}}
      psp: {{provider: psp_like, fields: {{amount: {{key: sum}}, vip: {{label: {{en: VIP}}}}}}}}
    deposit_methods:
      bank: {{account: psp, currencies: [USD], amount: {{min: 1, max: 10}}, fields: {{vip: {{label: {{en: Code}}}}}}}}
"""


def load(folder: Path, text: str, environ: Mapping[str, str] = ENVIRON) -> Settings:
    """Write a settings file and load it."""
    path = folder / "settings.yaml"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return load_settings(path, providers=PROVIDERS, environ=environ)


def problems(folder: Path, text: str, environ: Mapping[str, str] = ENVIRON) -> list[str]:
    """The lines a settings file is refused with."""
    with pytest.raises(SettingsError) as caught:
        load(folder, text, environ)
    assert str(caught.value).splitlines() == list(caught.value.problems)
    return list(caught.value.problems)


def with_account(entry: str, *, development: bool = False, rest: str = "") -> str:
    """A settings file with one tenant and one account of the given text; the account stands in line 5."""
    server = f"server: {{secret: 'env:GATEWAY_SECRET', development: {str(development).lower()}}}"
    return f"{server}\n{rest}\ntenants:\n  acme: {{accounts: {{\n    main: {entry}}}}}\n"


def with_tenant(section: str, *, development: bool = False, top: str = "") -> str:
    """A settings file with one tenant whose section is given; the section begins in line 5."""
    server = f"server: {{secret: 'env:GATEWAY_SECRET', development: {str(development).lower()}}}"
    return (
        f"{server}\n{top}\ntenants:\n  acme:\n" + textwrap.indent(textwrap.dedent(section).strip("\n"), "    ") + "\n"
    )


LEAST = "server: {secret: 'env:GATEWAY_SECRET'}\n"
