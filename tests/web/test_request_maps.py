"""Request maps: a tenant posts its own body shape, and the gateway works as if the standard one had been posted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, running_stack

shared = pytest.mark.asyncio(loop_scope="module")

ERP: dict[str, str] = {
    "merchant_reference": "orderNumber",
    "amount": "totals.grand",
    "currency": "currency || 'USD'",
    "account": "'creditkey-main'",
    "customer.id": "buyer.no",
    "order.items": "lines[].{merchant_id: sku, name: title, price: unit, sku: sku, quantity: qty}",
    "order.charges.total": "totals.net",
    "order.charges.shipping": "totals.freight",
    "order.charges.tax": "totals.tax",
    "order.charges.discount_amount": "totals.discount",
    "order.charges.grand_total": "totals.grand",
    "order.billing_address.first_name": "buyer.first",
    "order.billing_address.last_name": "buyer.last",
    "order.billing_address.email": "buyer.mail",
    "order.billing_address.address1": "buyer.street",
    "order.billing_address.city": "buyer.city",
    "order.billing_address.state": "buyer.state",
    "order.billing_address.zip": "buyer.zip",
    "order.billing_address.phone_number": "buyer.phone",
    "return_url": "links.done",
    "cancel_url": "links.given_up",
    "metadata.warehouse": "site",
}
DESK = {
    "merchant_reference": "no",
    "amount": "sum",
    "currency": "'USD'",
    "account": "'psp-main'",
    "customer": "{id: 'C-88', name: join(' ', names), email: 'dana@reyes.example'}",
    "metadata.sum": "to_string(sum)",
}
BACK = {"amount": "shipped.sum", "reason": "why", "metadata": "parts && {sum: sum(parts[].to_number(@))}"}
LATER = {"amount": "shipped.sum", "reason": "why", "order.charges": "shipped.{total: sum, grand_total: sum}"}
"""For what follows a create: what finds null in one request is for another one."""


def erp_order(**changes: Any) -> dict[str, Any]:
    """The order of ``creditkey_body`` as an ERP might post it."""
    body = creditkey_body()
    order, charges, billing = body["order"], body["order"]["charges"], body["order"]["billing_address"]
    posted = {
        "orderNumber": body["merchant_reference"],
        "totals": {
            "net": charges["total"],
            "freight": charges["shipping"],
            "tax": charges["tax"],
            "discount": charges["discount_amount"],
            "grand": charges["grand_total"],
        },
        "lines": [{"sku": "PJ-1", "title": "Pallet jack", "unit": order["items"][0]["price"], "qty": 2}],
        "buyer": {
            "no": "C-88",
            "first": billing["first_name"],
            "last": billing["last_name"],
            "mail": billing["email"],
            "street": billing["address1"],
            "city": billing["city"],
            "state": billing["state"],
            "zip": billing["zip"],
            "phone": billing["phone_number"],
        },
        "links": {"done": body["return_url"], "given_up": body["cancel_url"]},
        "site": "7",
        "something_else": [1, 2.50, None, {"ours": True}],
    }
    return {**posted, **changes}


def with_maps(settings: dict[str, Any]) -> None:
    settings["tenants"]["acme"]["request_maps"] = {
        "erp": dict(ERP),
        "desk": dict(DESK),
        "later": dict(LATER),
        "back": dict(BACK),
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mapped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack whose tenant acme has request maps."""
    async with running_stack(tmp_path_factory.mktemp("stack"), change=with_maps) as opened:
        yield opened


def desk(**changes: Any) -> dict[str, Any]:
    """A payment as a front desk might post it."""
    return {"no": f"D-{new_key()}", "sum": "162.48", "names": ["Dana", "Reyes"], **changes}


async def create(stack: GatewayStack, body: Any, *, key: str | None = None, name: str = "erp") -> Reply:
    return await stack.call("POST", f"/v1/payments?map={name}", body, key=key or new_key())


def place_of(stack: GatewayStack, *path: str) -> str:
    """Where a member of the request maps stands in the settings file: the line of the last name of its path."""
    lines = enumerate((stack.folder / "settings.yaml").read_text().splitlines(), 1)
    for name in ("request_maps", *path):
        number = next(number for number, line in lines if line.strip().startswith(f"{name}:"))
    return f"settings.yaml:{number}"


def errors_of(reply: Reply) -> dict[str, str]:
    return {error["field"]: error["message"] for error in reply.json["errors"]}


@shared
async def test_a_mapped_order_is_the_standard_one(mapped: GatewayStack) -> None:
    """The provider is sent the same order as for the standard body."""
    standard = creditkey_body(checkout={"contact_method": "email"}, metadata={"warehouse": "7"})
    standard["order"]["billing_address"] |= {"company_name": None, "address2": None}
    plain = await mapped.create(standard)
    own = await create(mapped, erp_order())
    assert (plain.status, own.status) == (201, 201)
    assert own.json["metadata"] == {"warehouse": "7"}
    sent = [json.loads(one["body"]) for one in (await mapped.provider_requests("creditkey"))[-2:]]
    first, second = ({name: one[name] for name in ("cart_items", "charges", "billing_address")} for one in sent)
    assert first == second


@shared
@pytest.mark.parametrize(("written", "amount"), [("162.10", "162.10"), ("162", "162.00"), ('"162.1"', "162.10")])
async def test_an_amount_keeps_the_text_of_its_number(mapped: GatewayStack, written: str, amount: str) -> None:
    """A number comes as it was written, so that no float rounds it; an integer stays one."""
    posted = json.dumps(desk(sum=0)).replace('"sum": 0', f'"sum": {written}').encode()
    reply = await mapped.call("POST", "/v1/payments?map=desk", data=posted, key=new_key())
    assert (reply.status, reply.json["amount"]) == (201, amount)
    assert reply.json["metadata"] == {"sum": written.strip('"')}


@shared
async def test_what_follows_a_create_is_mapped_too(mapped: GatewayStack) -> None:
    """PATCH, capture and refunds take the map as the create does; a member that finds null is left out."""
    payment = (await create(mapped, erp_order())).json
    await mapped.visit(await mapped.approve(payment))
    path = f"/v1/payments/{payment['id']}"
    changed = await mapped.call("PATCH", f"{path}?map=later", {"shipped": {"sum": 900}}, key=new_key())
    assert (changed.status, changed.json["amount"]) == (200, "900.00")
    await mapped.visit(await mapped.approve(changed.json))
    captured = await mapped.call("POST", f"{path}/capture?map=later", {}, key=new_key())
    assert (captured.status, captured.json["amount_captured"]) == (200, "900.00")
    posted = {"shipped": {"sum": "1.50"}, "why": "dented"}
    refused = await mapped.call("POST", f"{path}/refunds?map=later", posted, key=new_key())
    assert list(errors_of(refused)) == ["$.order"]
    again = await mapped.call("POST", f"{path}/refunds?map=back", posted, key=new_key())
    assert (again.status, again.json["amount"], again.json["reason"]) == (201, "1.50", "dented")


@shared
async def test_an_error_names_the_expression_and_its_line(mapped: GatewayStack) -> None:
    """Whatever the usual checks find, each field says which expression made it and where that stands."""
    posted = erp_order(lines=[{"sku": "PJ-1", "title": "Jack", "unit": "1.00", "qty": 1.5}], buyer={"no": 88})
    posted["totals"]["grand"] = None
    reply = await create(mapped, posted)
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    errors = errors_of(reply)
    assert errors["$.amount"] == f"is required ({place_of(mapped, 'erp', 'amount')}: totals.grand)"
    assert errors["$.customer.id"].endswith(f"({place_of(mapped, 'erp', 'customer.id')}: buyer.no)")
    assert errors["$.order.items[0].quantity"].endswith(
        f"({place_of(mapped, 'erp', 'order.items')}: {ERP['order.items']})"
    )
    assert set(errors) > {"$.amount", "$.customer.id", "$.order.items[0].quantity", "$.order.charges.grand_total"}


@shared
async def test_what_the_flow_refuses_is_explained_too(mapped: GatewayStack) -> None:
    """A refusal from behind the body's types, here of the amounts and of the return address, is explained as well."""
    refused = await create(mapped, erp_order(links={"done": "https://elsewhere.example/"}))
    assert errors_of(refused)["$.return_url"].endswith(f"({place_of(mapped, 'erp', 'return_url')}: links.done)")
    unknown = await create(mapped, desk(sum="1.005"), name="desk")
    assert errors_of(unknown)["$.amount"].endswith(": sum)")


@shared
async def test_a_field_without_an_expression_says_so(mapped: GatewayStack) -> None:
    """A mandatory member that the map does not make is told with the place of the map."""
    reply = await create(mapped, {"shipped": {"sum": 1}}, name="later")
    place = place_of(mapped, "later")
    assert errors_of(reply)["$.currency"] == f"is required ({place}: request map later has no expression for it)"


@shared
@pytest.mark.parametrize("names", [["Dana", None], "Dana", None])
async def test_an_expression_that_does_not_fit_is_an_error(mapped: GatewayStack, names: Any) -> None:
    """Left out, a member might mean something else: everything, where it is the amount of a refund."""
    reply = await create(mapped, desk(names=names), name="desk")
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    where = f"({place_of(mapped, 'desk', 'customer')}: {DESK['customer']})"
    assert errors_of(reply) == {"$.customer": f"does not fit this body: join() takes array-string {where}"}


@shared
async def test_a_calculated_amount_is_refused(mapped: GatewayStack) -> None:
    """What a function calculated went through a float and may have lost digits."""
    reply = await create(mapped, {"parts": ["0.10", "0.20"]}, name="back")
    assert errors_of(reply)["$.metadata"].startswith("was calculated and may have lost digits")


@shared
async def test_an_unknown_map_names_those_there_are(mapped: GatewayStack) -> None:
    """The name is the tenant's own: another tenant's maps are unknown to it."""
    reply = await create(mapped, {}, name="epr")
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert errors_of(reply) == {"map": '"epr" is not a request map of this tenant; known are erp, desk, later, back'}
    foreign = await mapped.call("POST", "/v1/payments?map=erp", {}, tenant="globex", key=new_key())
    assert errors_of(foreign) == {"map": '"erp" is not a request map of this tenant; it has none'}


@shared
async def test_the_same_body_means_two_things_under_two_maps(mapped: GatewayStack) -> None:
    """The map belongs to the request: the key of one is not good for the other."""
    body, key = desk(), new_key()
    assert (await create(mapped, body, name="desk", key=key)).status == 201
    assert (await create(mapped, body, name="erp", key=key)).json["code"] == "idempotency_key_reused"
    assert (await mapped.create(body, key=key)).json["code"] == "idempotency_key_reused"


async def test_a_repeated_request_is_answered_whatever_became_of_its_map(tmp_path: Path) -> None:
    """A map that makes something else since, nothing that can be used, or is gone, changes no request that was made."""
    body, key = desk(), new_key()
    async with running_stack(tmp_path, change=with_maps) as stack:
        first = await create(stack, body, name="desk", key=key)
    for desk_map in ({**DESK, "amount": "`1`"}, {**DESK, "amount": "nothing"}, {"metadata": "`1.5`"}, None):

        def changed(settings: dict[str, Any], desk_map: dict[str, str] | None = desk_map) -> None:
            settings["tenants"]["acme"]["request_maps"] = {"desk": desk_map} if desk_map else {}

        async with running_stack(tmp_path, change=changed) as stack:
            again = await create(stack, body, name="desk", key=key)
            other = await create(stack, body, name="desk" if desk_map is None else "gone")
        assert (again.status, again.text) == (first.status, first.text)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert list(errors_of(other)) == ["map"]


@shared
async def test_an_own_body_is_explained(mapped: GatewayStack) -> None:
    """The explanation of a create takes the map as the create does, and explains a refusal as well."""
    path = "/v1/accounts/psp-main/explain?map=desk"
    explained = await mapped.call("POST", path, desk(sum=162.48))
    sent = {member["key"]: member["value"] for member in explained.json["members"]}
    assert (explained.status, sent["sum"], sent["user_id"]) == (200, 162.48, "C-88")
    refused = await mapped.call("POST", path, desk(sum=None))
    assert errors_of(refused) == {"$.amount": f"is required ({place_of(mapped, 'desk', 'amount')}: sum)"}


@shared
async def test_what_a_map_makes_is_checked_like_what_is_posted(mapped: GatewayStack) -> None:
    """Control characters and blank texts, as they were posted or as an expression joined them."""
    control = await create(mapped, desk(names=["Dana", "\x07"]), name="desk")
    assert errors_of(control)["$.customer.name"].startswith("must not hold control characters such as U+0007")
    blank = await create(mapped, desk(no=" "), name="desk")
    assert errors_of(blank)["$.merchant_reference"].startswith("must not be blank")
