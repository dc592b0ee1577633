"""What the document shows is true: its examples are sent as they stand to a gateway with the shipped settings.

The order of the examples lives through its whole life; each answer, and each webhook, fits the schema it was promised.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.core.errors import PROBLEMS
from tests.support.openapi import Operation, faults, operations, webhooks
from tests.support.shipped_settings import KEY, shipped
from tests.support.stack import GatewayStack, Reply, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Reader:
    """Somebody who has the document and does what it shows."""

    def __init__(self, stack: GatewayStack, document: dict[str, Any]) -> None:
        self.stack = stack
        self.document = document
        self.by_name = {one.spec["operationId"]: one for one in operations(document)}
        self.done: dict[str, Reply] = {}

    async def try_out(self, name: str, identifier: str = "", *, which: int = 0, **body: Any) -> Any:
        """Send an operation's example, of several ``which``, and hold the answer against the document.

        ``body`` changes members.
        """
        operation = self.by_name[name]
        content = operation.spec.get("requestBody", {}).get("content", {}).get("application/json", {})
        several = [one["value"] for one in content.get("examples", {}).values()]
        shown = several[which] if several else content.get("example")
        reply = self.done[name] = await self.stack.call(
            operation.method,
            re.sub("{.*}", identifier, operation.path),
            shown if shown is None else {**shown, **body},
            tenant=None,
            headers={"Authorization": f"Bearer {KEY}", **self.headers(operation)},
        )
        assert 200 <= reply.status < 300, (name, reply.text)
        schema = operation.spec["responses"][str(reply.status)]["content"]["application/json"]["schema"]
        assert faults(self.document, schema, reply.json) == [], name
        return reply.json

    def headers(self, operation: Operation) -> dict[str, str]:
        """The headers of the example."""
        return {one["name"]: one["example"] for one in operation.spec["parameters"] if one["in"] == "header"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Reader]:
    """Every operation, tried out once with the examples of the document."""
    async with running_stack(tmp_path_factory.mktemp("shipped"), change=shipped) as stack:
        document = (await stack.call("GET", "/openapi.json", tenant=None)).json
        reader = Reader(stack, document)
        await live(reader)
        yield reader


def idempotency_key_of(reader: Reader) -> Any:
    """The header of a create as the document describes it."""
    parameters = reader.by_name["createPayment"].spec["parameters"]
    return next(one for one in parameters if one["name"] == "Idempotency-Key")


async def live(reader: Reader) -> None:
    """Each operation once, in an order in which it can succeed."""
    stack = reader.stack
    key = idempotency_key_of(reader)
    published, key["example"] = key["example"], "a-key-for-another-example"
    by_method = await reader.try_out("createPayment", which=1)
    assert (by_method["account"], by_method["state"]) == ("psp-main", "awaiting_customer")
    key["example"] = published
    payment = await reader.try_out("createPayment")
    await reader.try_out("updatePayment", payment["id"])
    await stack.visit(await stack.approve(payment))
    await reader.try_out("capturePayment", payment["id"])
    await reader.try_out("createRefund", payment["id"])
    for name in ("getPayment", "syncPayment", "listRefunds", "listPaymentEvents"):
        await reader.try_out(name, payment["id"])
    idempotency_key_of(reader)["example"] = "another-key-of-SO-7002"
    other = await reader.try_out("createPayment", merchant_reference="SO-7002")
    await reader.try_out("cancelPayment", other["id"])
    await stack.webhook(payment["id"], "payment.partially_refunded")
    await stack.webhook(other["id"], "payment.canceled")
    deliveries = await reader.try_out("listDeliveries")
    await reader.try_out("redeliverWebhook", deliveries["data"][-1]["id"])
    callbacks = await reader.try_out("listCallbacks")
    await reader.try_out("explainCallback", callbacks["data"][-1]["id"])
    await reader.try_out("explainCreate", "psp-main")
    for name in reader.by_name.keys() - reader.done.keys():
        await reader.try_out(name)


async def test_every_operation_was_tried_out(reader: Reader) -> None:
    """An operation that is missing here needs its turn in ``live``."""
    assert set(reader.done) == set(reader.by_name)


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("createPayment", 201),
        ("updatePayment", 200),
        ("capturePayment", 200),
        ("cancelPayment", 200),
        ("createRefund", 201),
    ],
)
async def test_what_is_shown_is_done(reader: Reader, name: str, status: int) -> None:
    """The examples of the commands succeed at the provider, and their answers have the members that are shown."""
    reply = reader.done[name]
    shown = reader.by_name[name].spec["responses"][str(status)]["content"]["application/json"]["example"]
    assert reply.status == status
    assert reply.json.get("operation", reply.json)["status"] == "succeeded"
    assert set(reply.json) == set(shown)
    assert reply.json["amount"] == shown["amount"] or name in ("capturePayment", "cancelPayment")


async def test_tried_out_again_it_is_the_same_payment(reader: Reader) -> None:
    """Executing the example twice gives the stored answer, not an error."""
    first = reader.done["createPayment"].json
    again = await reader.try_out("createPayment", merchant_reference="SO-7002")
    assert again == first
    assert reader.done["createPayment"].headers["Idempotency-Replayed"] == "true"


async def test_every_webhook_fits_the_schema_of_its_type(reader: Reader) -> None:
    """The bodies that arrived, each against the schema whose constant ``type`` it has, and a test of the endpoint."""
    schemas = {
        one.label: one.spec["requestBody"]["content"]["application/json"]["schema"] for one in webhooks(reader.document)
    }
    async with reader.stack.webhook_arrived:
        bodies = [body for _, body in reader.stack.delivered_webhooks]
    parsed = [json.loads(body) for body in bodies]
    assert {one["type"] for one in parsed} >= {"payment.created", "payment.captured", "payment.partially_refunded"}
    assert [
        (one["type"], found) for one in parsed if (found := faults(reader.document, schemas[one["type"]], one))
    ] == []
    other = next(kind for kind in schemas if kind != parsed[0]["type"])
    assert faults(reader.document, schemas[other], parsed[0])


SIGNED_IN = {"Authorization": f"Bearer {KEY}"}
WRONG: dict[str, tuple[str, dict[str, str], Any, str]] = {
    "unauthorized": ("GET /v1/payments", {}, None, "WWW-Authenticate"),
    "method_not_allowed": ("DELETE /v1/payments", SIGNED_IN, None, "Allow"),
    "not_found": ("GET /v1/payments/pay_none", SIGNED_IN, None, "X-Request-Id"),
    "idempotency_key_required": ("POST /v1/payments", SIGNED_IN, {}, "X-Request-Id"),
    "validation_failed": ("POST /v1/payments", {**SIGNED_IN, "Idempotency-Key": '"quoted-key"'}, {}, "X-Request-Id"),
    "invalid_idempotency_key": (
        "POST /v1/payments",
        {**SIGNED_IN, "Idempotency-Key": '"half-quoted'},
        {},
        "X-Request-Id",
    ),
}


@pytest.mark.parametrize("code", WRONG)
async def test_a_real_problem_is_like_its_example(reader: Reader, code: str) -> None:
    """The same members but for those that depend on the case, and the headers the document names."""
    request, headers, body, header = WRONG[code]
    reply = await reader.stack.call(*request.split(" "), body, tenant=None, headers=headers)
    shown = reader.document["components"]["examples"][code]["value"]
    assert (reply.status, reply.json["code"]) == (PROBLEMS[code].status, code)
    assert {name: reply.json[name] for name in ("type", "title", "status")} == {
        name: shown[name] for name in ("type", "title", "status")
    }
    assert faults(reader.document, {"$ref": "#/components/schemas/Problem"}, reply.json) == []
    assert "X-Request-Id" in reply.headers
    assert header in reply.headers
