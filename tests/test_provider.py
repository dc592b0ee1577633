"""What an account knows of currencies: amounts in the smallest unit become money and back."""

# ruff: noqa: ARG002  # the protocol's signatures

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import gateway
from tests.support.factories.settings import load, with_account
from tests.support.scripted_provider import KEY, ScriptedProvider, running_scripted_stack


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A callback with its amount in the smallest unit."""

    id: str
    payment: str
    units: int
    currency: str


class InUnits(ScriptedProvider):
    """A provider that counts in the smallest unit, both ways."""

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        body = {"units": command.money.minor_units(), "currency": command.money.currency}
        return gateway.HttpRequest(method="POST", url="https://outside.example/", body=gateway.dumps(body))

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> Any:
        if gateway.header(callback.headers, "X-Key") != [account.config.key.reveal()]:
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the key is wrong")
        told = gateway.read_json(callback.body, Told)
        captured, problem = None, None
        try:
            captured = account.money(told.units, told.currency).amount
        except ValueError:
            problem = gateway.Reason.CURRENCY
        seen = gateway.Observation(
            stage=gateway.Stage.CAPTURED,
            payment_id=told.payment,
            currency=told.currency,
            amount=captured,
            captured=captured,
        )
        return gateway.Event(event_id=told.id, observation=seen, problem=problem)


ROWS = [("USD", 106733, "1067.33"), ("JPY", 500, "500"), ("KWD", 1250, "1.250"), ("USDT", 10_500_001, "10.500001")]


@pytest.fixture
def account(tmp_path: Path) -> gateway.Account:
    """An account as the settings make it, where one currency is their own."""
    settings = load(tmp_path, with_account("{provider: plain}", rest="currencies: {USDT: 6}"))
    return settings.tenants["acme"].accounts["main"].account


@pytest.mark.parametrize(("currency", "units", "amount"), ROWS)
def test_units_become_money(account: gateway.Account, currency: str, units: int, amount: str) -> None:
    """By ISO 4217, or by the settings for a currency of their own, and back without a loss."""
    money = account.money(units, currency)
    assert (str(money.amount), money.currency, money.digits) == (amount, currency, account.digits(currency))
    assert money.minor_units() == units


@pytest.mark.parametrize(("units", "currency"), [(1.5, "USD"), (True, "USD"), ("5", "USD"), (5, "XYZ"), (5, "usd")])
def test_what_is_not_units_of_a_currency_is_refused(account: gateway.Account, units: Any, currency: str) -> None:
    """An amount is never rounded, and no decimals are assumed."""
    with pytest.raises(ValueError, match=r"must be an int|is not known here"):
        account.money(units, currency)


def test_all_accounts_share_the_settings_currencies(tmp_path: Path) -> None:
    """One mapping, however many tenants there are."""
    settings = load(tmp_path, with_account("{provider: plain}", rest="currencies: {USDT: 6}"))
    assert settings.tenants["acme"].accounts["main"].account.currencies is settings.currencies


def own_currency(settings: dict[str, Any]) -> None:
    """One with six decimals."""
    settings["currencies"] = {"USDT": 6}


async def test_a_currency_of_the_settings_is_counted_in_its_own_unit(tmp_path: Path) -> None:
    """Asked for and reported in millionths; a currency that nobody knows is refused and moves nothing."""
    async with running_scripted_stack(tmp_path, provider=InUnits(), more=own_currency) as scripted:
        created = (await scripted.create(amount="10.500001", currency="USDT")).json
        assert scripted.sent[0].body == b'{"units":10500001,"currency":"USDT"}'
        told = {"payment": created["id"], "units": 10500001}
        refused = await scripted.call_back({**told, "id": "1", "currency": "XYZ"}, key=KEY)
        taken = await scripted.call_back({**told, "id": "2", "currency": "USDT"}, key=KEY)
        assert (refused.status, refused.text, taken.status) == (422, "currency", 204)
        now = await scripted.now(created)
        assert (now["state"], now["amount_captured"]) == ("captured", "10.500001")
