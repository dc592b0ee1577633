"""An account of psp_open_api: its ``config``, checked when the settings are loaded, and its credentials. Pure."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Literal

import msgspec

import gateway
from gateway_psp_open_api import signature

TOKEN_HEADER = "crm-pay-token"  # noqa: S105  # the header's name, not a token
JSON = ("Content-Type", "application/json")
_TOLERANCE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?( permille)?")


class ToleranceRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``tolerance``: ``0.50`` in major units, or ``5 permille`` of the payment's amount."""

    tolerance: str

    def __post_init__(self) -> None:
        """Raise ``ValueError`` when the text has neither form."""
        if _TOLERANCE.fullmatch(self.tolerance) is None:
            raise ValueError('amount_rule.tolerance must be "0.50" (major units) or "5 permille"')


class PspConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``config`` of an account. ``merchant_id`` and ``token`` are derived from the server's secret when absent.

    ``time_window`` is how far a callback's time may lie before the payment's creation and after now.
    ``error_status``: ``400`` for all nine documented errors, ``semantic`` for a status that fits each one.
    """

    app_url: str
    merchant_id: str | None = None
    token: gateway.Secret | None = None
    previous_token: gateway.Secret | None = None
    amount_rule: Literal["exact", "actual"] | ToleranceRule = "exact"
    round: Literal["down"] | None = None
    allow_hosts: tuple[str, ...] = ()
    source_addresses: tuple[str, ...] = ()
    error_status: Literal["400", 400, "semantic"] = "400"
    time_window: timedelta = timedelta(hours=24)
    strict_duplicates: bool = False
    accept_unfiltered_empties: bool = False
    amount_as_text: bool = False
    expires_after: timedelta = timedelta(hours=24)

    def __post_init__(self) -> None:
        """Raise ``ValueError`` naming the first member that cannot be used."""
        for problem in _problems(self):
            raise ValueError(problem)

    def amounts(self) -> gateway.AmountRule:
        """Return how a proved amount is compared with the payment's."""
        if isinstance(self.amount_rule, ToleranceRule):
            number, _, permille = self.amount_rule.tolerance.partition(" ")
            return gateway.Tolerance(**{"permille" if permille else "absolute": Decimal(number)})
        return gateway.Actual(round_down=self.round == "down") if self.amount_rule == "actual" else gateway.Exact()

    def may_call(self, remote: str) -> bool:
        """Return whether callbacks may come from this IP address; from any address while none is listed."""
        if not self.source_addresses:
            return True
        try:
            address = gateway.network(remote).network_address
        except ValueError:
            return False
        return any(address in gateway.network(allowed) for allowed in self.source_addresses)


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from an account's settings alone.

    ``merchant_ids`` and ``tokens``: what we send and sign with, then the previous generation's while it is accepted.
    ``pay_url`` is API-1's address; requests of both directions have the same ``headers``.
    """

    merchant_ids: tuple[str, ...]
    tokens: tuple[gateway.Secret, ...]
    pay_url: str
    headers: gateway.Headers

    def __repr__(self) -> str:
        return f"Prepared({self.pay_url})"  # a header holds the token in plain text


def prepare(account: gateway.Account) -> Prepared:
    """Derive the credentials that the config does not name, and write down what every request has."""
    config, tokens = account.config, _tokens(account)
    return Prepared(
        merchant_ids=_merchant_ids(account),
        tokens=tokens,
        pay_url=f"{config.app_url.rstrip('/')}/pay/url",
        headers=(JSON, (TOKEN_HEADER, tokens[0].reveal())),
    )


def prepared(account: gateway.Account) -> Prepared:
    """Return what ``prepare`` made of the account."""
    made: Prepared = account.prepared
    return made


def _merchant_ids(account: gateway.Account) -> tuple[str, ...]:
    config: PspConfig = account.config
    if config.merchant_id is not None:
        return (config.merchant_id,)
    derived = account.derive("psp.merchant_id"), account.derive("psp.merchant_id", previous=True)
    return tuple(_as_uuid(secret) for secret in derived if secret)


def _tokens(account: gateway.Account) -> tuple[gateway.Secret, ...]:
    config: PspConfig = account.config
    current = config.token or account.derive("psp.token")
    previous = config.previous_token or account.derive("psp.token", previous=True)
    return tuple(token for token in (current, previous) if token)


def _as_uuid(secret: gateway.Secret) -> str:
    """Hash a secret into a dashed UUID, the form of the published samples, which reveals nothing of the secret."""
    return str(uuid.UUID(bytes=hashlib.sha256(secret.reveal().encode()).digest()[:16], version=4))


def _problems(config: PspConfig) -> Iterator[str]:
    try:
        gateway.base_url(config.app_url)
    except ValueError as problem:
        yield f"app_url {problem}"
    if config.round is not None and config.amount_rule != "actual":
        yield "round goes together with amount_rule actual"
    merchant_id = config.merchant_id
    if merchant_id is not None and (signature.ambiguous(merchant_id) or not _is_plain(merchant_id, longest=255)):
        yield "merchant_id must be 1 to 255 printable characters that cannot be read as members"
    for name, token in (("token", config.token), ("previous_token", config.previous_token)):
        if token is not None and not _is_plain(token.reveal(), longest=1024):
            yield f"{name} must be 1 to 1024 printable characters without a blank at either end"
    if None in map(gateway.one_host, config.allow_hosts):
        yield "allow_hosts must be host names such as pay.example"
    for text in config.source_addresses:
        try:
            gateway.network(text)
        except ValueError as problem:
            yield f"source_addresses {problem}"
    for name, span in (("time_window", config.time_window), ("expires_after", config.expires_after)):
        if span <= timedelta(0):
            yield f"{name} must be positive"


def _is_plain(text: str, *, longest: int) -> bool:
    """Whether a text survives as a header: servers trim blanks, and a line break would begin another header."""
    return text.isprintable() and text == text.strip() and 1 <= len(text) <= longest
