"""An account that names members of items, charges and addresses its own way, from the create to the capture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.scenarios.creditkey import act, authorized
from tests.support.stack import creditkey_body, running_stack

RULES = {
    "order.items[].sku": {"key": "part_no", "required": True},
    "order.items[].unit": {"value": "pcs"},
    "order.charges.shipping": {"key": "freight"},
    "order.billing_address.company_name": {"key": "business"},
}


def ruled(settings: dict[str, Any]) -> None:
    """Tenant acme's Credit Key account with the rules."""
    settings["tenants"]["acme"]["accounts"]["creditkey-main"]["fields"] = RULES


async def test_every_request_of_an_order_follows_the_rules(tmp_path: Path) -> None:
    """Begin, update and confirm carry the account's keys, and an update is refused for what a create would be."""
    items = creditkey_body()["order"]["items"]
    async with running_stack(tmp_path, change=ruled) as stack:
        payment = await authorized(stack)
        lacking = [{name: value for name, value in items[0].items() if name != "sku"}]
        refused = await act(stack, payment, "update", {"order": {"items": lacking}})
        assert (await act(stack, payment, "update", {"order": {"items": items}})).status == 200
        assert (await act(stack, payment, "capture")).json["state"] == "captured"
        requests = await stack.provider_requests("creditkey")
    assert [(error["field"], error["message"]) for error in refused.json["errors"]] == [
        ("$.order.items[0].sku", "is required by this account")
    ]
    bodies = [body for body in (json.loads(one["body"] or "{}") for one in requests) if "cart_items" in body]
    assert len(bodies) == 3
    for body in bodies:
        assert [(item["part_no"], item["unit"]) for item in body["cart_items"]] == [("PJ-1", "pcs")]
        assert not any("sku" in item for item in body["cart_items"])
        assert (body["charges"]["freight"], "shipping" in body["charges"]) == (60.0, False)
    assert bodies[0]["billing_address"]["business"] == "Reyes Supply"
