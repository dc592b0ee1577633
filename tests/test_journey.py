"""The whole story of one payment through each provider, over real HTTP."""

from __future__ import annotations

from tests.house import House, creditkey_body, new_key, psp_body


async def test_psp_payment_from_create_to_captured(house: House) -> None:
    """A PSP payment is created, paid, called back, captured, and the tenant is told by verified webhooks."""
    created = await house.create(psp_body(fields={"custom_1": "VIP"}))
    assert created.status == 201, created.text
    payment = created.json
    assert payment["state"] == "awaiting_customer"
    assert payment["operation"]["status"] == "succeeded"
    paid = await house.press(payment, "pay")
    assert paid.json["status"] == 204, paid.text
    now = await house.payment(payment["id"])
    assert (now["state"], now["amount_captured"], now["version"]) == ("captured", "162.48", 3)
    await house.webhook(payment["id"], "payment.captured")
    kinds = [body["type"] for body in house.webhooks(payment["id"])]
    assert kinds == ["payment.created", "payment.awaiting_customer", "payment.captured"]
    assert [event["version"] for event in await house.events(payment["id"])] == [1, 2, 3]


async def test_credit_key_payment_from_create_to_captured(house: House) -> None:
    """A Credit Key order is sent, approved by the customer, completed on return, and captured when it ships."""
    created = await house.create(creditkey_body())
    assert created.status == 201, created.text
    payment = created.json
    assert payment["state"] == "awaiting_customer"
    assert payment["alerts"][0]["code"] == "customer_will_be_notified"
    returned = await house.visit(await house.approve(payment))
    assert returned.status == 303
    assert returned.headers["Location"].startswith("https://shop.example/paid?payment_id=pay_")
    assert (await house.payment(payment["id"]))["state"] == "authorized"
    captured = await house.call("POST", f"/v1/payments/{payment['id']}/capture", {}, key=new_key())
    assert captured.status == 200, captured.text
    assert (captured.json["state"], captured.json["amount_captured"]) == ("captured", "1067.33")
    await house.webhook(payment["id"], "payment.captured")
