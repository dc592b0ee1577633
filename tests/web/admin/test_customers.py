"""A customer is exported and erased: not a byte of personal data stays, and money works as before."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import yaml

from tests.support.clients.psp_callbacks import post, signed_body
from tests.support.scenarios import creditkey
from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body, running_stack
from tests.web.admin.test_reviews import desk, with_key

WHO = {
    "id": "CUST-4711-anneliese",
    "name": "Anneliese Grünewald-Øst",
    "email": "anneliese.gruenewald@mail.example",
    "phone": "+49 (30) 8765-4321",
}
BILLING = {
    "first_name": "Anneliese",
    "last_name": "Grünewald-Øst",
    "company_name": "Grünewald Orgelbau",
    "email": "a.gruenewald@orgelbau.example",
    "address1": "Sonnenblumenweg 17b",
    "address2": "Hinterhaus, 3. Stock",
    "city": "Hintertupfingen",
    "state": "BY",
    "zip": "NW-90765",
    "phone_number": "030-11223344",
}
SHIPPING = {
    "first_name": "Ottokar",
    "last_name": "Nachbarsson",
    "company_name": "Nachbarsson & Töchter",
    "address2": "c/o Frau Klöppelmann",
    "email": "ottokar@nachbar.example",
    "address1": "Rosenstraße 99",
    "city": "Unterkleinkleckersdorf",
    "zip": "NW-80331",
    "phone_number": "089-55667788",
}
METADATA = {"loyalty": "LOYAL-77-88-99", "greeting": 'for "Oma" Grünewald / Øst'}
FIELDS = {"custom_1": "VIPGRUENEWALD"}
SECOND_KEY = "gw_second_test-key-of-another-operator"
REFUND_REASON = "Frau Grünewald-Øst rief an"
RETURN = "https://shop.example/danke?kundin=anneliese-gruenewald"
CANCEL = "https://shop.example/schade?wer=gruenewald%40mail"
REP = "vertreterin@haendler.example"
ENGRAVING = "Orgel mit Gravur Anneliese"

PLANTED = (
    *WHO.values(),
    *(value for name, value in BILLING.items() if name != "state"),
    *SHIPPING.values(),
    *METADATA.values(),
    *FIELDS.values(),
    REFUND_REASON,
    RETURN,
    CANCEL,
    REP,
    ENGRAVING,
)


def forms_of(text: str) -> Iterator[bytes]:
    """A text in the forms in which it may lie: as it is, escaped for JSON and URLs, in base64."""
    yield text.encode()
    yield text.encode("latin-1")
    yield from (json.dumps(text, ensure_ascii=escaped)[1:-1].encode() for escaped in (True, False))
    yield quote(text).encode()
    yield quote_plus(text).encode()
    for before in range(3):
        data = text.encode()
        begin, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        yield base64.b64encode(bytes(before) + data)[begin:end]


def found_in(folder: Path) -> dict[str, list[str]]:
    """The planted texts that lie in the files of a folder, by file."""
    held = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return {
        name: found
        for name, data in held.items()
        if (found := sorted({text for text in PLANTED if any(form in data for form in forms_of(text))}))
    }


def with_customers(settings: dict[str, Any]) -> None:
    """Operators have a key; globex reads its webhooks under names of its own."""
    with_key(settings)
    globex = settings["tenants"]["globex"]
    globex["reply_maps"] = {"own": {"kennung": "data.payment.id || id", "karte": "metadata.loyalty", "stand": "state"}}
    globex["webhook"]["map"] = "own"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack with an operators' key."""
    async with running_stack(tmp_path, change=with_customers) as opened:
        yield opened


async def erase(stack: GatewayStack, **body: Any) -> Any:
    """Ask for an erasure."""
    reply = await desk(stack, "POST", "/customers/erase", body)
    assert reply.status == 200, reply.text
    return reply.json


async def captured_at_creditkey(stack: GatewayStack) -> Any:
    """A captured order with addresses, pairs and a representative, of which a part has gone back."""
    order = dict(creditkey_body()["order"], billing_address=BILLING, shipping_address=SHIPPING)
    order["items"] = [dict(order["items"][0], name=ENGRAVING)]
    checkout = {"mode": "link", "contact_method": "email", "rep_email": REP}
    payment = await creditkey.captured(
        stack, customer=WHO, order=order, checkout=checkout, metadata=METADATA, return_url=RETURN, cancel_url=CANCEL
    )
    refund = await creditkey.act(stack, payment, "refund", {"amount": "100.00", "reason": REFUND_REASON})
    assert refund.status == 201, refund.text
    return payment


async def paid_at_psp(stack: GatewayStack, tenant: str = "acme") -> Any:
    """A captured payment with fields and pairs; its callback names the customer."""
    body = psp_body(customer=WHO, metadata=METADATA, fields=FIELDS if tenant == "acme" else {})
    created = await stack.create(body, tenant=tenant)
    assert created.status == 201, created.text
    callback = signed_body(stack, created.json, tenant=tenant, payer=WHO["name"], note=WHO["email"])
    assert (await post(stack, callback, tenant=tenant)).status < 300
    return created.json


async def test_no_byte_of_an_erased_customer_stays(shop: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """Store, write-ahead log and log lines are searched for thirty planted texts in all their encodings."""
    caplog.set_level(logging.DEBUG, "gateway")
    folder = shop.store_file.parent
    shop.webhook_answer = lambda request: 410 if request.match_info["tenant"] == "globex" else 204
    key, body = new_key(), psp_body(customer=WHO, metadata=METADATA, fields=FIELDS)
    first = await shop.create(body, key=key)
    await post(shop, signed_body(shop, first.json, payer=WHO["name"]))
    order, own = await captured_at_creditkey(shop), await paid_at_psp(shop, "globex")
    refused = await post(shop, json.dumps({"payer": WHO["name"], "mail": WHO["email"]}).encode())
    assert refused.status >= 400
    assert len(PLANTED) >= 30
    before = found_in(folder)
    assert {text for found in before.values() for text in found} == set(PLANTED)

    preview = await erase(shop, email=WHO["email"].upper())
    assert (preview["applied"], preview["payments"], preview["waiting"]) == (False, 3, 0)
    assert {one["tenant"]: one["payments"] for one in preview["tenants"]} == {"acme": 2, "globex": 1}
    assert found_in(folder).keys() == before.keys()

    exported = (await desk(shop, "POST", "/customers/export", {"email": WHO["email"]})).json
    assert [WHO["name"] in json.loads(one["body"])["payer"] for one in exported["callbacks"]] == [True]
    done = await erase(shop, email=WHO["email"], apply=True, reason="asked by letter")
    assert {**done, "applied": False} == preview
    assert found_in(folder) == {}
    assert not [text for text in PLANTED for record in caplog.records if text in str(record.__dict__)]
    again = await erase(shop, email=WHO["email"], apply=True)
    assert (again["payments"], again["callbacks"], again["tenants"]) == (0, 0, [])

    for payment, tenant in ((first.json, "acme"), (order, "acme"), (own, "globex")):
        shown = await shop.payment(payment["id"], tenant=tenant)
        assert (shown["amount"], shown["merchant_reference"]) == (payment["amount"], payment["merchant_reference"])
        assert shown["metadata"] == {}
    repeated = await shop.create(body, key=key)
    assert (repeated.status, repeated.json["id"]) == (201, first.json["id"])
    assert repeated.headers["Idempotency-Replayed"] == "true"
    assert (await shop.create({**body, "amount": "1.00"}, key=key)).status == 422
    assert (await creditkey.act(shop, order, "refund", {"amount": "1.00"})).status == 201
    assert found_in(folder) == {}


async def test_what_waited_for_approval_is_forgotten_too(tmp_path: Path) -> None:
    """Under four eyes a dry run needs nobody; the request itself names the customer until it is done."""

    def change(settings: dict[str, Any]) -> None:
        with_customers(settings)
        second = {"id": "second", "sha256": hashlib.sha256(SECOND_KEY.encode()).hexdigest()}
        settings["server"]["admin"] |= {"keys": [second], "approvals": 2}

    async with running_stack(tmp_path, change=change) as shop:
        await paid_at_psp(shop)
        assert (await erase(shop, email=WHO["email"]))["payments"] == 1
        asked = await desk(shop, "POST", "/customers/erase", {"email": WHO["email"], "apply": True, "reason": "letter"})
        assert asked.status == 202, asked.text
        approve = f"/approvals/{asked.json['approval']['id']}/approve"
        assert (await desk(shop, "POST", approve)).status == 403
        assert found_in(shop.store_file.parent)
        done = await desk(shop, "POST", approve, key=SECOND_KEY)
        assert (done.status, done.json["payments"]) == (200, 1), done.text
        assert found_in(shop.store_file.parent) == {}


async def test_a_tenant_that_has_left_has_customers_too(tmp_path: Path) -> None:
    """Its payments are still kept, so they are exported and erased."""
    async with running_stack(tmp_path, change=with_customers) as shop:
        await paid_at_psp(shop, "globex")
        settings = yaml.safe_load(shop.settings.source.read_text())
        del settings["tenants"]["globex"]
        shop.settings.source.write_text(yaml.safe_dump(settings))
        assert (await desk(shop, "POST", "/reload")).status == 200
        assert len((await desk(shop, "POST", "/customers/export", {"email": WHO["email"]})).json["data"]) == 1
        done = await erase(shop, email=WHO["email"], tenant="globex", apply=True)
        assert {one["tenant"]: one["payments"] for one in done["tenants"]} == {"globex": 1}
        assert found_in(shop.store_file.parent) == {}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "$"),
        ({"email": "a@b.example", "phone": "1"}, "$"),
        ({"phone": "ask me"}, "$.phone"),
        ({"email": "a@b.example", "tenant": "nobody"}, "$.tenant"),
        ({"email": ""}, "$.email"),
    ],
)
async def test_a_request_that_names_nobody_is_refused(shop: GatewayStack, body: dict[str, str], field: str) -> None:
    """Exactly one name, and one that is something; the answer does not repeat it."""
    for path in ("export", "erase"):
        reply = await desk(shop, "POST", f"/customers/{path}", body)
        assert (reply.status, [error["field"] for error in reply.json["errors"]]) == (422, [field])
