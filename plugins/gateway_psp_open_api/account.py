"""The account of psp_open_api: its ``config``, checked at load, and the credentials that follow from it.

Split from the adapter so that each file holds one idea. Values in, values out; nothing here reads a request.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Literal

import msgspec

import gateway
from gateway_psp_open_api import signature

TOKEN_HEADER = "crm-pay-token"  # noqa: S105  # the header's name, not a token
JSON = ("Content-Type", "application/json")
LONGEST_PAGE = 2048
DAY = timedelta(hours=24)
_TOLERANCE = re.compile(r"(?P<number>[0-9]{1,12}(\.[0-9]{1,12})?)(?P<permille> permille)?")


class ToleranceRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``tolerance``: ``0.50`` in major units, or ``5 permille`` of the payment's amount."""

    tolerance: str

    def __post_init__(self) -> None:
        """Raise ``ValueError`` when the text is neither form."""
        self.rule()

    def rule(self) -> gateway.Tolerance:
        """The rule in the core's words."""
        found = _TOLERANCE.fullmatch(self.tolerance)
        if found is None:
            raise ValueError('amount_rule.tolerance must be "0.50" (major units) or "5 permille"')
        number = Decimal(found["number"])
        return gateway.Tolerance(permille=number) if found["permille"] else gateway.Tolerance(absolute=number)


class PspConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``config`` of an account. Absent ``merchant_id`` and ``token`` are derived from the server's secret.

    ``time_window`` is how far a callback's time may lie before the payment's creation and after now.
    ``error_status``: ``400`` for all nine documented errors, or a status that fits each one.
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
    time_window: timedelta = DAY
    strict_duplicates: bool = False
    accept_unfiltered_empties: bool = False
    amount_as_text: bool = False
    expires_after: timedelta = DAY

    def __post_init__(self) -> None:
        """Raise ``ValueError`` naming the first member that cannot be used."""
        problem = next((problem for problem, is_wrong in _problems(self).items() if is_wrong), None)
        if problem is not None:
            raise ValueError(problem)
        for one in self.source_addresses:
            _check_network(one)

    def amounts(self) -> gateway.AmountRule:
        """How a proved amount is compared with the payment's."""
        if isinstance(self.amount_rule, ToleranceRule):
            return self.amount_rule.rule()
        return gateway.Actual(round_down=self.round == "down") if self.amount_rule == "actual" else gateway.Exact()

    def may_call(self, remote: str) -> bool:
        """Tell whether an address may send callbacks: any one while the list is empty."""
        if not self.source_addresses:
            return True
        try:
            address = ipaddress.ip_address(remote)
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        return any(address in gateway.network(one) for one in self.source_addresses)

    def page_problem(self, url: str) -> str | None:
        """Say why a customer may not be sent to ``url``: it must be absolute https, at most 2048 characters long.

        http only to this machine, and only when ``app_url`` is http itself: a development set-up.
        """
        if len(url) > LONGEST_PAGE:
            return f"must have at most {LONGEST_PAGE} characters"
        try:
            parts = gateway.page_url(url)
        except ValueError as problem:
            return str(problem) if url else "is empty"
        host = gateway.one_host(parts.hostname or "") or ""
        is_local = self.app_url.lower().startswith("http://") and _is_loopback(host)
        if parts.scheme != "https" and not is_local:
            return f"must be https; it is http on {host}"
        if self.allow_hosts and host not in map(gateway.one_host, self.allow_hosts):
            return f"is on {host}, which is not among allow_hosts"
        return None


def merchant_ids(account: gateway.Account) -> tuple[str, ...]:
    """The account's ``merchant_id``; after it the previous generation's while that is still accepted."""
    config: PspConfig = account.config
    if config.merchant_id is not None:
        return (config.merchant_id,)
    previous = account.derive("psp.merchant_id", previous=True)
    return (_uuid_form(_derived(account, "psp.merchant_id")),) + ((_uuid_form(previous),) if previous else ())


def tokens(account: gateway.Account) -> tuple[gateway.Secret, ...]:
    """The token we send and sign with; after it the previous one while callbacks with it are still accepted."""
    config: PspConfig = account.config
    previous = config.previous_token or account.derive("psp.token", previous=True)
    return (config.token or _derived(account, "psp.token"),) + ((previous,) if previous else ())


def _derived(account: gateway.Account, purpose: str) -> gateway.Secret:
    secret = account.derive(purpose)
    if secret is None:
        raise ValueError(f"{purpose} is neither configured nor derived")
    return secret


def _uuid_form(secret: gateway.Secret) -> str:
    """A dashed UUID, as in the published samples, that shows nothing of the secret it is made from."""
    return str(uuid.UUID(bytes=hashlib.sha256(secret.reveal().encode()).digest()[:16], version=4))


def _problems(config: PspConfig) -> dict[str, bool]:
    return {
        "app_url must be an absolute http or https address without user-info, query and fragment": (
            _is_unreadable(config.app_url) or "?" in config.app_url or "#" in config.app_url
        ),
        "round goes together with amount_rule actual": config.round is not None and config.amount_rule != "actual",
        "merchant_id must be 1 to 255 printable characters that cannot be read as members": (
            config.merchant_id is not None and not _is_opaque(config.merchant_id, 255)
        ),
        "token must be 1 to 1024 printable characters without a blank at either end": not _is_header(config.token),
        "previous_token must be 1 to 1024 printable characters without a blank at either end": (
            not _is_header(config.previous_token)
        ),
        "allow_hosts must be host names such as pay.example": (None in map(gateway.one_host, config.allow_hosts)),
        "time_window must be positive": config.time_window <= timedelta(0),
        "expires_after must be positive": config.expires_after <= timedelta(0),
    }


def _is_unreadable(url: str) -> bool:
    try:
        gateway.page_url(url)
    except ValueError:
        return True
    return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_opaque(text: str, longest: int) -> bool:
    is_clean = text.isprintable() and text == text.strip() and not signature.ambiguous(text)
    return is_clean and 1 <= len(text) <= longest


def _is_header(token: gateway.Secret | None) -> bool:
    """Whether a token survives as a header: servers trim blanks, and a line break would begin another header."""
    if token is None:
        return True
    text = token.reveal()
    return text.isprintable() and text == text.strip() and 1 <= len(text) <= 1024


def _check_network(text: str) -> None:
    try:
        gateway.network(text)
    except ValueError as problem:
        raise ValueError(f"source_addresses {problem}") from None
