"""The OpenAPI document reads well for people and for generators: the rules that public linters and clients rely on.

A route or a member that is added without its texts and examples fails here.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import re2

from gateway.core.errors import PROBLEMS, Reason
from gateway.core.payment import WEBHOOK_TYPES, AlertCode, EventType, FailureCode, ReviewReason, State, Status
from gateway.core.state_members import MAY_BE_SET, NOT_PAYABLE
from gateway.web.openapi import document
from tests.support.openapi import Operation, examples, faults, nodes, operations, resolved, schemas, webhooks

DOCUMENT = document("https://pay.example/gw")
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = operations(DOCUMENT)
WEBHOOKS = webhooks(DOCUMENT)
PROPERTIES = {
    f"{name}.{member}": schema
    for name, spec in SCHEMAS.items()
    for member, schema in spec.get("properties", {}).items()
}

TENANTS_CODES = PROBLEMS.keys() - {"forbidden"}
"""Error codes that a tenant can meet."""

each_operation = pytest.mark.parametrize("operation", [*OPERATIONS, *WEBHOOKS], ids=lambda one: one.label)


# Descriptions


def test_every_property_is_described() -> None:
    """A member without a description needs ``Annotated[…, Meta(description="…")]`` where its type is declared."""
    assert [name for name, schema in PROPERTIES.items() if not schema.get("description")] == []


def test_every_schema_is_described() -> None:
    """A type without one needs a docstring that a client's author understands."""
    assert [name for name, schema in SCHEMAS.items() if not schema.get("description")] == []


def test_descriptions_are_sentences_in_markdown() -> None:
    """They end with a full stop and do not mark code as docstrings do."""
    spec = {**PROPERTIES, **SCHEMAS}
    bad = [name for name, one in spec.items() if "``" in one["description"] or one["description"][-1] not in ".!?"]
    assert bad == []


@each_operation
def test_an_operation_introduces_itself(operation: Operation) -> None:
    """It has a name in camel case, a title without full stop, a description, and one group, which has a text."""
    spec = operation.spec
    assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", spec["operationId"])
    assert spec["summary"]
    assert not spec["summary"].endswith(".")
    assert spec["description"].endswith(".")
    (tag,) = spec["tags"]
    assert {one["name"]: bool(one["description"]) for one in DOCUMENT["tags"]}[tag]
    assert [one["name"] for one in spec["parameters"] if not one["description"]] == []


def test_operations_are_named_once() -> None:
    """Generated clients have one function for each."""
    names = [one.spec["operationId"] for one in (*OPERATIONS, *WEBHOOKS)]
    assert len(set(names)) == len(names)


def test_a_reader_finds_the_names_they_expect() -> None:
    """The names that the documentation and every payment API use."""
    assert {one.spec["operationId"] for one in OPERATIONS} >= {
        "createPayment", "listPayments", "getPayment", "updatePayment", "capturePayment", "cancelPayment",
        "createRefund", "listRefunds", "listPaymentEvents",
    }  # fmt: skip
    assert set(SCHEMAS) >= {"Payment", "PaymentCreate", "PaymentUpdate", "PaymentState", "Refund", "RefundCreate",
                            "Problem", "Event", "Delivery", "Account", "DepositMethod", "WebhookEndpoint"}  # fmt: skip
    assert [name for name in SCHEMAS if name.endswith(("View", "Body"))] == []


def test_the_document_introduces_itself() -> None:
    """Title, description, license, contact, and where the gateway is."""
    info = DOCUMENT["info"]
    assert all(info[name] for name in ("title", "version", "description"))
    assert info["license"]["identifier"] == "Apache-2.0"
    assert info["contact"]["name"]
    assert [server["url"] for server in DOCUMENT["servers"]] == ["https://pay.example/gw"]


# What generators trip over


def test_no_member_has_a_default() -> None:
    """openapi-typescript makes a member with a default required, also one whose default is null."""
    assert [place for place, schema in schemas(DOCUMENT["components"]["schemas"]) if "default" in schema] == []


def test_patterns_are_for_every_engine() -> None:
    """RE2 (Go, this gateway) knows no look-around; JSON Schema's dialect knows no ``\\Z``."""
    patterns = {schema["pattern"] for _, schema in schemas(DOCUMENT) if isinstance(schema.get("pattern"), str)}
    assert len(patterns) >= 4
    for pattern in patterns:
        re2.compile(pattern)
        assert re.search(r"\\[AZz]", pattern) is None


@pytest.mark.parametrize(
    ("place", "values"),
    [
        ("Payment.state", State),
        ("Event.state_before", State),
        ("Event.state_after", State),
        ("Event.type", EventType),
        ("Event.cause", {"tenant", "reply", "callback", "lookup", "clock", "operator"}),
        ("Operation.kind", {"create", "complete", "capture", "cancel", "update", "refund"}),
        ("Operation.status", Status),
        ("PendingOperation.status", Status),
        ("Refund.status", Status),
        ("Failure.code", FailureCode),
        ("Review.reason", ReviewReason),
        ("Alert.code", AlertCode),
        ("Problem.code", TENANTS_CODES),
        ("Delivery.type", WEBHOOK_TYPES),
        ("Delivery.status", {"pending", "delivered", "dead"}),
        ("Attempt.error", {"connect_failed", "timeout", "connection_lost", "bad_http"}),
        ("WebhookEndpoint.reason", {"gone", "failing"}),
        ("Checkout.mode", {"link", "redirect"}),
        ("ReceivedCallback.verdict", {"recorded", "repeated", "refused", "pending"}),
        ("ReceivedCallback.reason", Reason),
    ],
)
def test_closed_lists_are_enumerations(place: str, values: Any) -> None:
    """A typing error in a switch over them does not compile in a generated client."""
    assert enumeration(PROPERTIES[place]) == {str(value) for value in values}


FREE = {"Address.state", "Problem.type", "PaymentCapture.merchant_status", "PaymentUpdate.merchant_status"}
"""Members that are named like a closed list and are none."""


def test_what_is_named_like_a_closed_list_is_one() -> None:
    """A new ``…state`` or ``…status`` is an enumeration, a constant or a number; else it is named in ``FREE``."""
    named = {
        name: schema for name, schema in PROPERTIES.items()
        if re.search(r"(state|kind|status|cause|verdict|\.type|\.code)(_before|_after)?$", name) and name not in FREE
    }  # fmt: skip
    assert len(named) > 20
    open_ended = [
        name for name, schema in named.items()
        if not (enumeration(schema) or "const" in schema or schema.get("type") == "integer")
    ]  # fmt: skip
    assert open_ended == []


def enumeration(schema: dict[str, Any]) -> set[str]:
    """The values a member may have, null aside."""
    schema = resolved(DOCUMENT, schema)
    found = [enumeration(one) for one in schema.get("anyOf", []) if one.get("type") != "null"]
    return set().union(*found) if found else set(schema.get("enum", []))


def format_of(schema: dict[str, Any]) -> set[str | None]:
    """The formats of a member, null aside."""
    return {one.get("format") for one in schema.get("anyOf", [schema]) if one.get("type") != "null"}


@pytest.mark.parametrize(
    ("ends", "expected"),
    [(("_at", "_after", "_before", "since", ".at", "_by", "timestamp"), "date-time"), ((".url", "_url"), "uri"),
     (("email",), "email")],
)  # fmt: skip
def test_formats_are_named(ends: tuple[str, ...], expected: str) -> None:
    """Times, addresses and mail addresses say what they are, by the ending of their name."""
    texts = {
        name: schema for name, schema in PROPERTIES.items()
        if name.endswith(ends) and not name.endswith(("state_before", "state_after", "replaced_by"))
    }  # fmt: skip
    assert len(texts) >= 3
    assert {name: format_of(schema) for name, schema in texts.items() if format_of(schema) != {expected}} == {}


AMOUNTS = [
    name
    for name in PROPERTIES
    if re.search(r"\.(amount(_\w+)?|price|total|grand_total|min|max)$", name) and name != "DepositMethod.amount"
]
GIVEN = ("PaymentCreate", "PaymentUpdate", "PaymentCapture", "RefundCreate", "Item", "Charges")


@pytest.mark.parametrize("name", AMOUNTS)
def test_amounts_are_text_on_output(name: str) -> None:
    """A client may send a number; it never gets one."""
    schema = PROPERTIES[name]
    kinds = {one.get("type") for one in schema.get("anyOf", [schema])} - {"null"}
    assert kinds == ({"string", "number"} if name.startswith(GIVEN) else {"string"})


# Examples


@each_operation
def test_every_example_fits(operation: Operation) -> None:
    """Bodies, answers and errors are shown with a value of their own schema."""
    shown = list(examples(DOCUMENT, operation))
    assert {one.place: found for one in shown if (found := faults(DOCUMENT, one.schema, one.value))} == {}


def test_every_payment_shown_is_true_in_its_state() -> None:
    """No example has a member that its state excludes: no deadline of a captured payment, no page of a dead one."""
    shown = [one.value for operation in (*OPERATIONS, *WEBHOOKS) for one in examples(DOCUMENT, operation)]
    payments = [one for one in nodes(shown) if "redirect_url" in one]
    assert {one["state"] for one in payments} == set(State)
    untrue = [
        (one["state"], name)
        for one in payments
        for name, states in {**MAY_BE_SET, "redirect_url": set(State) - NOT_PAYABLE}.items()
        if one.get(name) is not None and one["state"] not in states
    ]
    assert untrue == []


@each_operation
def test_every_body_and_answer_has_an_example(operation: Operation) -> None:
    """Every success and the body have one; errors have one for every code they name."""
    contents = [body["content"] for body in operation.spec["responses"].values() if "content" in body]
    contents += [operation.spec["requestBody"]["content"]] if "requestBody" in operation.spec else []
    assert [
        kind for content in contents for kind, one in content.items() if not {"example", "examples"} & set(one)
    ] == []
    for response in operation.spec["responses"].values():
        problem = response.get("content", {}).get("application/problem+json", {"examples": {}})
        assert set(re.findall(r"^- `(\w+)`:", response["description"], re.MULTILINE)) == set(problem["examples"])


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if "{" in one.path], ids=lambda one: one.label)
def test_path_ids_are_shown(operation: Operation) -> None:
    """A path parameter says whose id it is and shows one: ``IDS`` in ``openapi/paths.py``."""
    (parameter,) = [one for one in operation.spec["parameters"] if one["in"] == "path"]
    assert re.fullmatch(r"[a-z]+_[0-9a-f]{32}" if parameter["name"] == "id" else "[a-z-]+", parameter["example"])


def test_every_problem_has_an_example() -> None:
    """With the address of its page below the public one."""
    shown = DOCUMENT["components"]["examples"]
    assert {code: one["value"]["type"] for code, one in shown.items()} == {
        c: f"/gw/problems/{c}" for c in TENANTS_CODES
    }


# Headers


def test_answers_name_their_headers() -> None:
    """Each answer has an id; where a header says how to go on, it is named."""
    by_status = {401: "WWW-Authenticate", 405: "Allow", 429: "Retry-After", 503: "Retry-After"}
    for operation in OPERATIONS:
        for status, response in operation.spec["responses"].items():
            wanted = {"X-Request-Id", by_status.get(int(status), "X-Request-Id")}
            assert set(response["headers"]) >= wanted, (operation.label, status)
            assert all(resolved(DOCUMENT, one)["description"] for one in response["headers"].values())
    idempotent = [one.spec for one in OPERATIONS if any(p["name"] == "Idempotency-Key" for p in one.spec["parameters"])]
    assert len(idempotent) == 5
    for spec in idempotent:
        assert "Retry-After" in spec["responses"]["409"]["headers"]
        assert any(
            "Idempotency-Replayed" in spec["responses"].get(one, {"headers": ()})["headers"] for one in ("200", "201")
        )


@pytest.mark.parametrize(
    ("key", "fits"),
    [
        ("createPayment-SO-7001", True),
        ('"createPayment-SO-7001"', True),
        ("A_b-3456", True),
        ("x" * 128, True),
        ("seven77", False),
        ("x" * 129, False),
        ("order:1001.v1", False),
        ('"half-quoted', False),
        ("with blank", False),
    ],
)
def test_an_idempotency_key_is_described_as_it_is_accepted(key: str, fits: bool) -> None:
    """Quotes may stand around it, both or none."""
    (schema,) = [one["schema"] for one in OPERATIONS[0].spec["parameters"] if one["name"] == "Idempotency-Key"]
    assert (faults(DOCUMENT, schema, key) == []) is fits


# Webhooks


def test_every_type_has_a_webhook_of_its_own() -> None:
    """With a constant ``type``, so that a receiver's switch over it narrows the body."""
    bodies = {
        one.label: resolved(DOCUMENT, one.spec["requestBody"]["content"]["application/json"]["schema"])
        for one in WEBHOOKS
    }
    assert list(bodies) == [str(kind) for kind in WEBHOOK_TYPES]
    assert {kind: body["properties"]["type"]["const"] for kind, body in bodies.items()} == {
        kind: kind for kind in bodies
    }


@pytest.mark.parametrize("operation", WEBHOOKS, ids=lambda one: one.label)
def test_a_webhook_names_what_it_is_verified_with(operation: Operation) -> None:
    """The three headers of Standard Webhooks, each with a description and an example."""
    headers = {one["name"]: one for one in operation.spec["parameters"] if one["in"] == "header" and one["required"]}
    assert set(headers) == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert all(one["description"] and one["example"] for one in headers.values())
