"""gateway_psp_open_api.config: what is refused when the settings are loaded, and the credentials of an account."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import gateway_psp_open_api as plugin
import msgspec
import pytest
from gateway_psp_open_api.config import PspConfig, ToleranceRule

import gateway
from tests.support.factories.psp import MERCHANT, TOKEN, account

PSP = plugin.PspOpenApi()


@pytest.mark.parametrize(
    "url",
    [
        "psp.example/bridge",
        "ftp://psp.example",
        "https://",
        "https://user@psp.example",
        "https://psp.example/?a=1",
        "https://psp.example/#x",
        "https://psp.example:99999",
        "https://psp.example/a b",
        "https://psp.example\\@evil.example",
    ],
)
def test_app_url_must_be_a_plain_address(url: str) -> None:
    """An app_url that is not an absolute http(s) address without user-info and query is refused at load."""
    with pytest.raises(ValueError, match="app_url must"):
        account(app_url=url)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"merchant_id": ""}, "merchant_id must be"),
        ({"merchant_id": "a&b=c"}, "merchant_id must be"),
        ({"token": gateway.Secret("")}, "token must be"),
        ({"token": gateway.Secret("a\r\nb")}, "token must be"),
        ({"previous_token": gateway.Secret(" a")}, "previous_token must be"),
        ({"allow_hosts": ("https://pay.example",)}, "allow_hosts must be"),
        ({"source_addresses": ("192.0.2.1/24",)}, "source_addresses must be .* behind its mask: write 192.0.2.0/24"),
        ({"source_addresses": ("192.0.2.1", "127.0.0.9/8")}, "source_addresses must be .*: write 127.0.0.0/8"),
        ({"source_addresses": ("psp.example",)}, "source_addresses must be"),
        ({"time_window": timedelta(0)}, "time_window must be"),
        ({"expires_after": timedelta(seconds=-1)}, "expires_after must be"),
    ],
)
def test_config_members_are_checked_at_load(config: dict[str, Any], message: str) -> None:
    """Each unusable member is refused, naming it."""
    with pytest.raises(ValueError, match=message):
        account(**config)


def test_unknown_config_members_are_errors() -> None:
    """A misspelt key is refused."""
    with pytest.raises(msgspec.ValidationError, match="app_urll"):
        msgspec.convert({"app_url": "https://psp.example", "app_urll": ""}, PspConfig)


@pytest.mark.parametrize("given", ["400", 400, "semantic"])
def test_error_status_may_be_text_or_integer(given: str | int) -> None:
    """A file that says 400 without quotes means the same."""
    decoded = msgspec.convert({"app_url": "https://psp.example", "error_status": given}, PspConfig)
    assert decoded.error_status == given


@pytest.mark.parametrize(
    ("rule", "meant"),
    [
        ("exact", gateway.Exact()),
        ("actual", gateway.Actual()),
        ({"tolerance": "0.50"}, gateway.Tolerance(absolute=Decimal("0.50"))),
        ({"tolerance": "5 permille"}, gateway.Tolerance(permille=Decimal(5))),
    ],
)
def test_amount_rule_is_read(rule: object, meant: gateway.AmountRule) -> None:
    """Every way to write the amount rule becomes the core's rule."""
    decoded = msgspec.convert({"app_url": "https://psp.example", "amount_rule": rule}, PspConfig)
    assert decoded.amounts() == meant


@pytest.mark.parametrize("text", ["", "-1", "5 percent", "0,50", "1e3"])
def test_other_tolerances_are_refused(text: str) -> None:
    """A tolerance that is neither an amount nor per mille is refused."""
    with pytest.raises(ValueError, match=r"amount_rule\.tolerance must be"):
        ToleranceRule(tolerance=text)


def test_rules_follow_the_config() -> None:
    """The account's window, expiry and amount rule are the core's to enforce."""
    rules = PSP.rules(account(time_window=timedelta(hours=2), expires_after=timedelta(hours=3), amount_rule="actual"))
    assert rules == gateway.Rules(
        amount=gateway.Actual(),
        time_window=(timedelta(hours=2), timedelta(hours=2)),
        expires_after=timedelta(hours=3),
        deposit_method_required=True,
    )


def test_explicit_credentials_win() -> None:
    """Credentials of the config are what the bridge needs."""
    assert PSP.credentials(account()) == {"merchant_id": MERCHANT, "token": TOKEN}


def test_absent_credentials_are_derived_and_stable() -> None:
    """Without explicit ones every node derives the same merchant_id (a UUID) and token."""
    derived = account(merchant_id=None, token=None)
    credentials = PSP.credentials(derived)
    assert credentials["merchant_id"] == "e9bf5fb1-23db-4a3d-9497-ba1b220634e6"
    assert credentials["token"] == derived.derive("psp.token")


def test_the_public_merchant_id_shows_nothing_of_its_secret() -> None:
    """The merchant_id is made from a secret, not a piece of it."""
    derived = account(merchant_id=None, token=None)
    secret = derived.derive("psp.merchant_id")
    assert secret is not None
    assert str(PSP.credentials(derived)["merchant_id"]) not in secret.reveal()


@pytest.mark.parametrize(
    ("remote", "is_allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.9", True),
        ("198.51.100.1", True),
        ("198.51.100.2", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_source_addresses_limit_the_senders(remote: str, is_allowed: bool) -> None:
    """With a list, an address outside it is not believed."""
    config = account(source_addresses=("192.0.2.0/24", "198.51.100.1", "2001:db8::/32")).config
    assert config.may_call(remote) is is_allowed
