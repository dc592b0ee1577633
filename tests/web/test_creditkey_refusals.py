"""Commands that a rule of Credit Key forbids: refused by name before any call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import (
    BEGUN,
    ELSEWHERE,
    act,
    alerts_of,
    calls,
    provider_order,
    timeline,
    total_of,
    worded,
)
from tests.support.stack import GatewayStack, creditkey_body, new_key, order_of, psp_body

shared = pytest.mark.asyncio(loop_scope="module")


class Refusal(NamedTuple):
    """A command that is refused before any call. ``field``: the member it is refused for."""

    state: str
    verb: str
    body: Mapping[str, Any]
    status: int
    code: str
    field: str | None = None
    alerts: tuple[str, ...] = ()


def _invalid(state: str, verb: str, body: Mapping[str, Any], field: str) -> Refusal:
    return Refusal(state, verb, body, 422, "validation_failed", field)


def _too_early_or_late(state: str, verb: str, body: Mapping[str, Any] | None = None) -> Refusal:
    return Refusal(state, verb, creditkey.VERBS[verb][2] if body is None else body, 409, "invalid_state")


def _over_limit(state: str, amount: str) -> Refusal:
    return Refusal(state, "update", total_of(amount), 409, "increase_over_limit", None, ("increase_over_limit",))


WRONG_SUM = {"charges": {"total": "900.00", "grand_total": "900.00"}}


REFUSED = {
    "update, rise of 100.01": _over_limit("authorized", "1167.34"),
    "update, rise of 100.01 before the customer": _over_limit("awaiting_customer", "1167.34"),
    "update, rise of 150.00": _over_limit("authorized", "1217.33"),
    "update after capture": _too_early_or_late("captured", "update"),
    "update after capture, new amount": _too_early_or_late("captured", "update", total_of("1100.00")),
    "update of nothing": _invalid("authorized", "update", {}, "$"),
    "update, amount without charges": _invalid("authorized", "update", {"amount": "1100.00"}, "$.order.charges"),
    "update, charges of another sum": _invalid(
        "authorized", "update", {"amount": "1100.00", "order": WRONG_SUM}, "$.order.charges.grand_total"
    ),
    "update, charges without the amount": _invalid(
        "authorized", "update", {"order": WRONG_SUM}, "$.order.charges.grand_total"
    ),
    "update, another billing address": _invalid(
        "authorized", "update", {"order": {"billing_address": ELSEWHERE}}, "$.order.billing_address"
    ),
    "update, too many digits": _invalid("authorized", "update", {"amount": "1.001"}, "$.amount"),
    "update, nothing left": _invalid("authorized", "update", total_of("0.00"), "$.amount"),
    "capture before the customer": _too_early_or_late("awaiting_customer", "capture"),
    "capture again": _too_early_or_late("captured", "capture"),
    "capture of more": Refusal("authorized", "capture", {"amount": "1067.34"}, 422, "amount_too_large", "$.amount"),
    "capture, charges of another sum": _invalid(
        "authorized", "capture", {"amount": "400.00", "order": WRONG_SUM}, "$.order.charges.grand_total"
    ),
    "capture of all, charges of a part": _invalid(
        "authorized", "capture", {"order": WRONG_SUM}, "$.order.charges.grand_total"
    ),
    "cancel after capture": _too_early_or_late("captured", "cancel"),
    "refund before the customer": _too_early_or_late("awaiting_customer", "refund"),
    "refund before capture": _too_early_or_late("authorized", "refund"),
    "refund of more": Refusal("captured", "refund", {"amount": "1067.34"}, 422, "amount_too_large", "$.amount"),
    "refund of nothing": _invalid("captured", "refund", {"amount": "0.00"}, "$.amount"),
    "refund below nothing": _invalid("captured", "refund", {"amount": "-5.00"}, "$.amount"),
    "refund, too many digits": _invalid("captured", "refund", {"amount": "5.001"}, "$.amount"),
}


@shared
@pytest.mark.parametrize("name", REFUSED)
async def test_a_command_is_refused_before_any_call(shared_stack: GatewayStack, name: str) -> None:
    """What a rule forbids is refused by name; nothing leaves the gateway, nothing is stored, the key stays free."""
    row, stack, key = REFUSED[name], shared_stack, new_key()
    payment = await BEGUN[row.state](stack)
    before, order = await calls(stack, payment), await provider_order(stack, payment)
    reply = await act(stack, payment, row.verb, row.body, key=key)
    assert (reply.status, reply.json["code"]) == (row.status, row.code), reply.text
    assert [error["field"] for error in reply.json.get("errors", ())] == ([row.field] if row.field else [])
    assert alerts_of(reply.json) == worded(*row.alerts)
    assert (await calls(stack, payment), await provider_order(stack, payment)) == (before, order)
    now = await stack.payment(payment["id"])
    assert (now["version"], now["amount"], now["pending_operation"]) == (payment["version"], payment["amount"], None)
    assert await stack.gateway.store.idempotency_record("acme", key) is None
    assert len(await timeline(stack, payment)) == payment["version"]


@shared
@pytest.mark.parametrize("currency", ["EUR", "JPY", "CAD"])
async def test_credit_key_takes_dollars_only(shared_stack: GatewayStack, currency: str) -> None:
    """A payment in another currency is refused before any call."""
    amount = "500" if currency == "JPY" else "500.00"
    order = order_of(amount)
    order["items"][0]["price"] = amount
    body = creditkey_body(amount=amount, currency=currency, order=order)
    reply = await shared_stack.create(body)
    assert (reply.status, reply.json["code"]) == (422, "currency_not_supported")
    orders = await shared_stack.provider_orders("creditkey")
    assert body["merchant_reference"] not in [order["remote_id"] for order in orders]


@shared
@pytest.mark.parametrize("verb", creditkey.VERBS)
async def test_a_psp_payment_knows_no_further_command(shared_stack: GatewayStack, verb: str) -> None:
    """At a provider without the command every verb is ``unsupported_by_provider``, before any call."""
    payment = (await shared_stack.create(psp_body())).json
    heard = len(await shared_stack.provider_requests("psp"))
    reply = await act(shared_stack, payment, verb)
    assert (reply.status, reply.json["code"]) == (422, "unsupported_by_provider")
    assert len(await shared_stack.provider_requests("psp")) == heard
    assert (await shared_stack.payment(payment["id"]))["version"] == payment["version"]
