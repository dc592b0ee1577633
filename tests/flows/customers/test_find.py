"""A customer's payments are found by each of the three names, in any spelling, at every tenant."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.personal_data import Subject
from gateway.flows import search
from gateway.flows.customers import find
from tests.support.factories.sqlite import pragma
from tests.support.stack import GatewayStack, creditkey_body, of_sqlite, psp_body

shared = pytest.mark.asyncio(loop_scope="module")


async def found(stack: GatewayStack, kind: Any, written: str) -> set[str]:
    """The ids of the payments of this customer."""
    subject = Subject(kind=kind, written=written)
    payments = find.payments_of(stack.gateway, ["acme", "globex"], subject)
    return {snapshot.payment.id async for snapshot in payments}


@shared
@pytest.mark.parametrize(
    ("kind", "customer", "written"),
    [
        ("email", {"email": "Kim.Noor@Home.example"}, "kim.noor@HOME.example"),
        ("email", {"email": "ülrike@straße.example"}, "ÜLRIKE@STRASSE.EXAMPLE"),
        ("email", {"email": "100%_sure@home.example"}, "100%_sure@home.example"),
        ("phone", {"phone": "+49 (171) 555-77"}, "004917155577"),
        ("customer_id", {"id": 'C\\"7%'}, 'C\\"7%'),
    ],
)
async def test_by_any_name(shared_stack: GatewayStack, kind: str, customer: dict[str, str], written: str) -> None:
    """At both tenants, and nobody else's."""
    wanted = set()
    for tenant in ("acme", "globex"):
        created = await shared_stack.create(psp_body(customer={"id": "other", **customer}), tenant=tenant)
        assert created.status == 201, created.text
        wanted.add(created.json["id"])
    assert await found(shared_stack, kind, written) == wanted


@shared
async def test_by_the_addresses_of_the_order(shared_stack: GatewayStack) -> None:
    """Who is billed, and where the goods go."""
    order = dict(creditkey_body()["order"])
    order["shipping_address"] = {"email": "neighbour@home.example", "phone_number": "0987-654321"}
    payment = await shared_stack.create(creditkey_body(order=order))
    assert payment.json["id"] in await found(shared_stack, "email", "Neighbour@home.example")
    assert payment.json["id"] in await found(shared_stack, "phone", "0987 654321")


@shared
async def test_slice_by_slice(shared_stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many payments there are."""
    monkeypatch.setattr(find, "SLICE", 2)
    made = {(await shared_stack.create(psp_body(customer={"id": "many-times"}))).json["id"] for _ in range(5)}
    assert await found(shared_stack, "customer_id", "many-times") == made


@shared
async def test_an_index_that_lags_hides_nobody(shared_stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an upgrade every payment is looked through, and what has no index is found so, too."""

    async def lags(*_: object) -> int:
        return 1

    body = {"id": "lag-1", "email": "Late%Comer@home.example", "phone": "12-34"}
    payment = (await shared_stack.create(psp_body(customer=body))).json["id"]
    assert await found(shared_stack, "phone", "0012 34") == {payment}
    monkeypatch.setattr(search, "catch_up", lags)
    assert await found(shared_stack, "email", "late%comer@HOME.example") == {payment}
    assert await found(shared_stack, "customer_id", "lag-1") == {payment}


@shared
@of_sqlite
async def test_while_the_store_takes_no_writes(shared_stack: GatewayStack) -> None:
    """What is not in the index is looked for in the payments themselves, so that none is missed."""
    await search.catch_up(shared_stack.gateway, 9)
    payment = await shared_stack.create(psp_body(customer={"id": "came-last"}))
    await pragma(shared_stack.gateway.store, "query_only = ON")
    try:
        assert await found(shared_stack, "customer_id", "came-last") == {payment.json["id"]}
    finally:
        await pragma(shared_stack.gateway.store, "query_only = OFF")
