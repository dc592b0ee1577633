"""The catalogue: accounts and deposit methods as a front end needs them, without secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.stack import GatewayStack, psp_body, running_stack


async def test_a_deadline_is_shown_in_the_unit_that_fits(tmp_path: Path) -> None:
    """36 hours are ``36h``, not one day."""

    def shorter(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["creditkey-main"]["config"] |= {
            "confirm_deadline": "36h",
            "deadline_warning": "6h",
        }

    async with running_stack(tmp_path, change=shorter) as stack:
        shown = {one["name"]: one for one in (await stack.call("GET", "/v1/accounts")).json["data"]}
    assert shown["creditkey-main"]["limits"]["capture_deadline"] == "36h"


shared = pytest.mark.asyncio(loop_scope="module")


async def get(stack: GatewayStack, path: str, **named: Any) -> Any:
    """The parsed body of a successful read."""
    reply = await stack.call("GET", path, **named)
    assert reply.status == 200, reply.text
    return reply.json


@shared
async def test_accounts_show_what_a_front_end_needs(shared_stack: GatewayStack) -> None:
    """Each account shows commands, currencies, limits, what to ask of the customer, and only public credentials."""
    accounts = {one["name"]: one for one in (await get(shared_stack, "/v1/accounts"))["data"]}
    assert set(accounts) == {"creditkey-main", "psp-main"}
    credit_key, psp = accounts["creditkey-main"], accounts["psp-main"]
    assert credit_key["provider"] == "creditkey"
    assert {"create", "capture", "cancel", "refund", "update"} <= set(credit_key["commands"])
    assert credit_key["currencies"] == ["USD"]
    assert credit_key["limits"] == {
        "max_increase": {"amount": "100.00", "currency": "USD"},
        "capture_deadline": "30d",
    }
    assert (psp["commands"], psp["currencies"]) == (["create"], None)
    assert psp["limits"] == {"max_increase": None, "capture_deadline": None}
    assert psp["fields"] == [
        {"name": "custom_1", "label": "VIP code", "required": False, "max_length": 40, "pattern": "[A-Z]+"}
    ]
    assert set(psp["public"]) == {"merchant_id"}
    entry = shared_stack.entry("acme", "psp-main")
    assert psp["callback_url"] == f"{shared_stack.url}/callbacks/{entry.endpoint_id}"
    assert psp["accepts_new"] is True
    assert [(one["captures"], one["capture_modes"]) for one in (credit_key, psp)] == [("one", []), ("one", [])]


@shared
async def test_the_catalogue_shows_no_secret(shared_stack: GatewayStack) -> None:
    """Neither tokens nor shared secrets appear in what tenants read."""
    shown = (await shared_stack.call("GET", "/v1/accounts")).text
    entry = shared_stack.entry("acme", "psp-main")
    token = entry.provider.credentials(entry.account)["token"]
    assert not isinstance(token, str)
    assert token.reveal() not in shown
    assert "ss_test" not in shown
    assert "pk_test" not in shown


def many_labels(settings: dict[str, Any]) -> None:
    """Deposit methods of all kinds for tenant acme."""
    acme = settings["tenants"]["acme"]
    acme["accounts"]["psp-main"]["fields"]["custom_1"]["label"] = {"en": "VIP code", "de": "VIP-Code"}
    acme["accounts"]["psp-old"] = {**acme["accounts"]["psp-main"], "accepts_new": False}
    acme["deposit_methods"] = {
        "bank": {
            "label": {"en": "Bank", "de": "Bank (de)", "pt-BR": "Banco"},
            "account": "psp-main",
            "currencies": ["USD", "EUR"],
            "amount": {"min": "10.00", "max": "1000"},
            "fields": {"custom_1": {"label": {"en": "Lounge code"}}},
        },
        "plain": {"account": "psp-main"},
        "german": {"account": "psp-main", "label": {"de": "Nur deutsch"}},
        "trade": {"account": "creditkey-main", "label": {"en": "Trade credit"}},
        "old": {"account": "psp-old", "label": {"en": "Old"}},
    }


async def test_deposit_methods_speak_the_customers_language(tmp_path: Path) -> None:
    """A label in the language asked for, without its region, in English, or at last the method's name."""
    expected = {
        None: ["Bank", "plain", "german", "Trade credit"],
        "en": ["Bank", "plain", "german", "Trade credit"],
        "de": ["Bank (de)", "plain", "Nur deutsch", "Trade credit"],
        "de-at": ["Bank (de)", "plain", "Nur deutsch", "Trade credit"],
        "de_AT": ["Bank (de)", "plain", "Nur deutsch", "Trade credit"],
        "pt_BR": ["Banco", "plain", "german", "Trade credit"],
        "DE": ["Bank (de)", "plain", "Nur deutsch", "Trade credit"],
        "pt-br": ["Banco", "plain", "german", "Trade credit"],
        "pt": ["Bank", "plain", "german", "Trade credit"],
        "xx": ["Bank", "plain", "german", "Trade credit"],
    }
    async with running_stack(tmp_path, change=many_labels) as stack:
        for language, labels in expected.items():
            query = f"?lang={language}" if language else ""
            shown = (await get(stack, f"/v1/deposit-methods{query}"))["data"]
            assert (language, [one["label"] for one in shown]) == (language, labels)


def a_form(settings: dict[str, Any]) -> None:
    """An account that requires a telephone number and offers a choice."""
    fields = settings["tenants"]["acme"]["accounts"]["psp-main"]["fields"]
    fields["phone"] = {"key": "mobile", "required": True, "label": {"de": "Handy"}}
    fields["tier"] = {"choices": {"gold": {"en": "Gold", "de": "Gold-Stufe"}, "basic": {}}}


async def test_front_ends_see_choices_and_required_fields(tmp_path: Path) -> None:
    """A required member of the customer is asked under our name, and a choice shows its list in the language."""
    async with running_stack(tmp_path, change=a_form) as stack:
        [account] = [one for one in (await get(stack, "/v1/accounts"))["data"] if one["name"] == "psp-main"]
        [method] = (await get(stack, "/v1/deposit-methods?lang=de&currency=EUR"))["data"]
        given = psp_body(fields={"phone": "1-800", "tier": "gold"})
        created = await stack.call("POST", "/v1/payments", given, key="first-create-0001")
        refused = await stack.call("POST", "/v1/payments", psp_body(fields={"tier": "wood"}), key="second-create-002")
    asked = {"required": True, "max_length": 255, "pattern": None, "name": "phone"}
    tier = {"required": False, "max_length": 255, "pattern": None, "name": "tier", "label": "tier"}
    assert {**asked, "label": "telephone number"} in account["fields"]
    assert {**asked, "label": "Handy"} in method["fields"]
    basic = {"value": "basic", "label": "basic"}
    assert {**tier, "choices": [{"value": "gold", "label": "Gold"}, basic]} in account["fields"]
    assert {**tier, "choices": [{"value": "gold", "label": "Gold-Stufe"}, basic]} in method["fields"]
    assert (created.status, refused.status) == (201, 422)
    assert {error["field"]: error["message"] for error in refused.json["errors"]} == {
        "$.fields.tier": "must be one of gold, basic",
        "$.customer.phone": "is required by this account",
    }


async def test_deposit_methods_show_limits_and_fields(tmp_path: Path) -> None:
    """A method shows its limits and all additional parameters of its account, under its own labels where it has any."""
    async with running_stack(tmp_path, change=many_labels) as stack:
        shown = {one["name"]: one for one in (await get(stack, "/v1/deposit-methods?lang=de"))["data"]}
        english = {one["name"]: one for one in (await get(stack, "/v1/deposit-methods?lang=en"))["data"]}
    field = {"name": "custom_1", "required": False, "max_length": 40, "pattern": "[A-Z]+"}
    assert shown["bank"] == {
        "name": "bank",
        "label": "Bank (de)",
        "currencies": ["USD", "EUR"],
        "amount": {"min": "10.00", "max": "1000"},
        "fields": [{**field, "label": "VIP-Code"}],
    }
    assert english["bank"]["fields"] == [{**field, "label": "Lounge code"}]
    assert shown["plain"]["amount"] == {"min": None, "max": None}
    assert shown["plain"]["fields"] == [{**field, "label": "VIP-Code"}]
    assert shown["trade"]["fields"] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("currency=USD", ["bank", "plain", "german", "trade"]),
        ("currency=EUR", ["bank", "plain", "german"]),
        ("currency=GBP", ["plain", "german"]),
        ("amount=9.99", ["plain", "german", "trade"]),
        ("amount=10", ["bank", "plain", "german", "trade"]),
        ("amount=1000.00", ["bank", "plain", "german", "trade"]),
        ("amount=1000.01", ["plain", "german", "trade"]),
        ("currency=EUR&amount=5", ["plain", "german"]),
    ],
)
async def test_deposit_methods_by_currency_and_amount(tmp_path: Path, query: str, names: list[str]) -> None:
    """Only methods that take the currency and the amount, both limits included, are shown."""
    async with running_stack(tmp_path, change=many_labels) as stack:
        shown = (await get(stack, f"/v1/deposit-methods?{query}"))["data"]
    assert [one["name"] for one in shown] == names


@shared
@pytest.mark.parametrize("query", ["amount=much", "amount=1e3"])
async def test_a_deposit_amount_that_is_none(shared_stack: GatewayStack, query: str) -> None:
    """An amount that cannot be read is 422 and named."""
    reply = await shared_stack.call("GET", f"/v1/deposit-methods?{query}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "amount")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"deposit_method": "bank", "amount": "9.99"}, "validation_failed", "$.amount"),
        ({"deposit_method": "bank", "amount": "1000.01"}, "validation_failed", "$.amount"),
        ({"deposit_method": "bank", "currency": "GBP"}, "currency_not_supported", "$.currency"),
        ({"deposit_method": "old"}, "unknown_account", "$.deposit_method"),
        ({"account": "psp-old"}, "unknown_account", "$.account"),
    ],
)
async def test_a_create_obeys_its_deposit_method(tmp_path: Path, body: dict[str, Any], code: str, field: str) -> None:
    """Limits and currencies of a method hold for the create itself; an account closed to new payments takes none."""
    async with running_stack(tmp_path, change=many_labels) as stack:
        reply = await stack.create({**psp_body(account=None), **body})
    assert (reply.status, reply.json["code"]) == (422, code)
    assert [error["field"] for error in reply.json["errors"]] == [field]
