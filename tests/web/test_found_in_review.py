"""Small promises of the API that were once not kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import SettingsError
from tests.support.clients.psp_callbacks import post
from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body, run_gateway, running_stack


@pytest.mark.parametrize("number", [b"1.62e1", b"162e-1", b"1.10E1", b"1e2", b"0.0000001"])
async def test_an_amount_is_read_from_its_text(stack: GatewayStack, number: bytes) -> None:
    """A JSON number with an exponent, or with more decimals than its currency, is refused and named."""
    body = b'{"merchant_reference":"D-1","currency":"USD","account":"psp-main","amount":' + number + b"}"
    reply = await stack.call("POST", "/v1/payments", data=body, key=new_key())
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "$.amount")


async def test_a_used_key_is_said_before_an_invalid_body(stack: GatewayStack) -> None:
    """The key's row comes first: another body under it is ``idempotency_key_reused``, valid or not."""
    key = new_key()
    assert (await stack.create(psp_body(), key=key)).status == 201
    assert (await stack.create(psp_body(amount="bad"), key=key)).json["code"] == "idempotency_key_reused"


async def test_created_after_leaves_out_the_payment_it_names(stack: GatewayStack) -> None:
    """A payment is never created after its own ``created_at``, nor before it."""
    for _ in range(20):
        payment = (await stack.create(psp_body())).json
        at = payment["created_at"]
        for name in ("created_after", "created_before"):
            listed = await stack.call("GET", f"/v1/payments?{name}={at}")
            assert payment["id"] not in [one["id"] for one in listed.json["data"]]


async def test_a_default_port_is_the_same_origin(stack: GatewayStack) -> None:
    """``https://shop.example:443`` is ``https://shop.example``."""
    reply = await stack.create(psp_body(return_url="https://shop.example:443/paid"))
    assert reply.status == 201, reply.text


async def test_a_card_number_as_a_name_is_refused(stack: GatewayStack) -> None:
    """A card number hidden in a name of ``metadata`` is refused, and not quoted."""
    reply = await stack.create(psp_body(metadata={"4111111111111111": "x"}))
    assert (reply.status, reply.json["code"]) == (422, "card_data_refused")
    assert "4111" not in reply.text


@pytest.mark.parametrize(("method", "kind", "status"), [("PUT", "application/json", 405), ("POST", "text/plain", 415)])
async def test_method_and_media_type_are_judged_before_size(
    stack: GatewayStack, method: str, kind: str, status: int
) -> None:
    """A callback that is wrong in several ways hears of the first in the documented order."""
    reply = await post(stack, b"x" * 70_000, method=method, headers={"Content-Type": kind})
    assert reply.status == status


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


async def test_a_deposit_method_in_use_cannot_be_removed(tmp_path: Path) -> None:
    """A start without a deposit method that open payments name is refused, and the method named."""
    async with running_stack(tmp_path) as stack:
        assert (await stack.create(psp_body(account=None, deposit_method="bank"))).status == 201
        settings = stack.settings
    gone = settings.tenants["acme"].__class__(
        **{
            **{name: getattr(settings.tenants["acme"], name) for name in settings.tenants["acme"].__struct_fields__},
            "deposit_methods": {},
        }
    )
    stack.settings = settings.__class__(
        **{
            **{name: getattr(settings, name) for name in settings.__struct_fields__},
            "tenants": {**settings.tenants, "acme": gone},
        }
    )
    with pytest.raises(SettingsError, match=r"tenant acme: deposit_methods.bank: is gone"):
        async with run_gateway(stack):
            pass


async def test_fallbacks_that_cannot_take_a_payment_are_passed_over(tmp_path: Path) -> None:
    """The chain goes on past an account that refuses the order, and every attempt is in the timeline."""

    def chain(settings: dict[str, Any]) -> None:
        acme = settings["tenants"]["acme"]
        dead = {"provider": "psp_open_api", "config": {"app_url": "http://127.0.0.1:9"}}
        acme["accounts"] |= {
            "dead": dead,
            "picky": {**dead, "fields": {"loyalty": {"required": True}}},
        }
        acme["deposit_methods"] |= {"d": {"account": "dead"}, "p": {"account": "picky"}}
        acme["routing"] = [{"account": "dead", "fallback": ["picky", "psp-main"]}]

    async with running_stack(tmp_path, change=chain) as stack:
        created = await stack.create(psp_body(account=None))
        assert (created.json["state"], created.json["account"]) == ("awaiting_customer", "psp-main")
        last = (await stack.events(created.json["id"]))[-1]["details"]
        assert last["account"] == "psp-main"
        assert last["not_sent"].count("dead op_") == 2


async def test_the_rise_limit_is_documented_with_its_alerts(stack: GatewayStack) -> None:
    """The 409 over the limit carries ``alerts``, and the document says so."""
    payment = (await stack.create(creditkey_body())).json
    order = {"charges": {"total": "1267.33", "grand_total": "1267.33"}}
    body = {"amount": "1267.33", "order": order}
    reply = await stack.call("PATCH", f"/v1/payments/{payment['id']}", body, key=new_key())
    problem = (await stack.call("GET", "/openapi.json")).json["components"]["schemas"]["Problem"]
    assert reply.json["alerts"][0]["code"] == "increase_over_limit"
    assert set(reply.json) <= set(problem["properties"])
