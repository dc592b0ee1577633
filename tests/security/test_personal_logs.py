"""Nothing personal gets into the log: every line of a day on which all goes wrong, searched for planted values."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from gateway.drivers.telemetry import FIELDS, JsonLines
from gateway.flows.occurrences import Occurrence
from tests.support.clients.psp_callbacks import call_back, post, signed_body
from tests.support.stack import GatewayStack, creditkey_body, psp_body, running_stack
from tests.web.admin.test_reviews import desk, with_key

CUSTOMER = {
    "id": "C-plantedcustomer",
    "name": "Danaplanted Reyesplanted",
    "email": "dana.planted@mail.example",
    "phone": "2535550142",
    "nationality": "us",
}
ADDRESS = {
    "first_name": "Danaplanted",
    "last_name": "Reyesplanted",
    "company_name": "Planted Supply",
    "email": "ship.planted@mail.example",
    "address1": "77 Planted Road",
    "address2": "Suite Planted",
    "city": "Plantedville",
    "state": "WA",
    "zip": "98421",
    "phone_number": "253-555-0143",
}
OWN = {"Planted Key": "planted value of their own"}
PLANTED = sorted({one for one in (*CUSTOMER.values(), *ADDRESS.values(), *OWN, *OWN.values()) if len(one) > 3})

HEARD = {
    Occurrence.CALLBACK_REFUSED,
    Occurrence.TRANSITION_REFUSED,
    Occurrence.REVIEW_RAISED,
    Occurrence.SUCCESS_AFTER_FAILURE,
    Occurrence.OPERATION_UNKNOWN,
    Occurrence.ENDPOINT_DISABLED,
    Occurrence.CREDENTIALS_REFUSED,
}
"""What must have happened, or the search proves nothing."""


def credit(**changes: Any) -> dict[str, Any]:
    """A create with an address."""
    body = creditkey_body(customer={"id": CUSTOMER["id"]}, metadata={"note": OWN["Planted Key"]}, **changes)
    return {**body, "order": {**body["order"], "billing_address": ADDRESS}}


async def all_goes_wrong(stack: GatewayStack) -> None:
    """Refused requests, refused callbacks, a success after a failure, unknown outcomes, an endpoint that is gone."""
    stack.webhook_answer = lambda _: 410
    body = psp_body(customer=CUSTOMER, metadata={"note": OWN["Planted Key"]})
    payment = (await stack.create(body)).json
    for refused in (
        {**body, "amount": "x", "metadata": {**OWN, "7": 7}},
        {**body, "customer": {**CUSTOMER, "email": [CUSTOMER["email"]], CUSTOMER["name"]: 1}},
        {**body, "merchant_reference": CUSTOMER["email"] * 10},
        body,
    ):
        assert (await stack.create(refused)).status >= 400
    for path in (f"/v1/payments/{CUSTOMER['email']}", f"/v1/payments?email={CUSTOMER['email']}", f"/{ADDRESS['zip']}"):
        assert (await stack.call("GET", path)).status >= 400
    await desk(stack, "POST", f"/reviews/{CUSTOMER['email']}/resolve", {"reason": CUSTOMER["name"]})
    await call_back(stack, payment, sign="0" * 40, customer=CUSTOMER["name"])
    await post(stack, json.dumps(CUSTOMER).encode(), headers={"crm-pay-token": CUSTOMER["email"]})
    await post(stack, signed_body(stack, payment, order_no="SO-404", transaction_id=CUSTOMER["phone"]))
    await call_back(stack, payment, status=0)
    await call_back(stack, payment, transaction_id=CUSTOMER["name"])
    await stack.faults("creditkey", status=500, body={"error": CUSTOMER["email"]})
    await stack.create(credit())
    await stack.faults("creditkey", status=401, body={"error": CUSTOMER["email"]})
    await stack.create(credit())
    await stack.faults("creditkey", malformed=True)
    await stack.create(credit())
    async with asyncio.timeout(10):
        while not stack.gateway.occurrences.counts[Occurrence.ENDPOINT_DISABLED]:
            await stack.payment(payment["id"])


async def test_nothing_personal_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in a message nor in a field, from whomever it came: the tenant, the provider, an operator."""
    with caplog.at_level(logging.DEBUG, logger="gateway"):
        async with running_stack(tmp_path, change=with_key) as stack:
            await all_goes_wrong(stack)
            await stack.gateway.tasks.drain(10)
            heard = set(stack.gateway.occurrences.counts)
    assert HEARD - heard == set()
    lines = [JsonLines().format(record) for record in caplog.records if record.name == "gateway"]
    assert [line for line in lines for one in PLANTED if one.lower() in line.lower()] == []


def test_the_search_would_find_it() -> None:
    """A planted value in any field that is written is found."""
    record = logging.LogRecord("gateway", logging.INFO, "", 0, "request", (), None)
    for name in FIELDS:
        vars(record)[name] = PLANTED[0]
    assert JsonLines().format(record).count(PLANTED[0]) == len(FIELDS)
