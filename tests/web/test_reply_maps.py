"""Reply maps: answers and webhooks under the names of a tenant's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import standardwebhooks

from tests.support.stack import (
    WEBHOOK_SECRET,
    GatewayStack,
    Reply,
    creditkey_body,
    new_key,
    psp_body,
    running_stack,
)

shared = pytest.mark.asyncio(loop_scope="module")

OWN = {
    "zahlung.nummer": "merchant_reference || payment.merchant_reference",
    "zahlung.betrag": "amount",
    "zahlung.link": "redirect_url",
    "stand": "state || status",
    "vorgang": "operation.kind",
    "fehler": "failure.code",
    "id": "id",
}
ENDLESS = " | ".join(["[@, @]"] * 20)
"""What it finds is large without limit, in a few steps."""
COSTLY = {f"q{number}": "length(to_string([@,@,@,@,@,@]|[@,@,@,@,@]))" for number in range(30)}
"""What all of it takes for one payment is more than half of what a request may take."""


def with_maps(settings: dict[str, Any]) -> None:
    acme = settings["tenants"]["acme"]
    acme["reply_maps"] = {"own": dict(OWN), "endless": {"all": ENDLESS}, "unwritable": {"x": "&id"}, "costly": COSTLY}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mapped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack whose tenant acme has reply maps."""
    async with running_stack(tmp_path_factory.mktemp("stack"), change=with_maps) as opened:
        yield opened


async def post(stack: GatewayStack, path: str, body: Any = None, *, key: str | None = None) -> Reply:
    return await stack.call("POST", path, body or {}, key=key or new_key())


@shared
async def test_a_create_answers_under_own_names(mapped: GatewayStack) -> None:
    """Dotted names nest, and what is null is left out."""
    body = psp_body()
    reply = await post(mapped, "/v1/payments?reply=own", body)
    assert reply.status == 201
    standard = await mapped.payment(reply.json["id"])
    assert reply.json == {
        "zahlung": {
            "nummer": body["merchant_reference"],
            "betrag": "162.48",
            "link": standard["redirect_url"],
        },
        "stand": "awaiting_customer",
        "vorgang": "create",
        "id": standard["id"],
    }


@shared
async def test_every_route_of_payments_and_refunds_answers_under_own_names(mapped: GatewayStack) -> None:
    """Reads, commands and refunds, and each row of a list; a list's own members stay."""
    payment = (await mapped.create(creditkey_body())).json
    await mapped.visit(await mapped.approve(payment))
    path = f"/v1/payments/{payment['id']}"
    replies = [
        await mapped.call("PATCH", f"{path}?reply=own", {"merchant_status": "packed"}, key=new_key()),
        await post(mapped, f"{path}/capture?reply=own"),
        await post(mapped, f"{path}/refunds?reply=own", {"amount": "1.00"}),
        await post(mapped, f"{path}/sync?reply=own"),
        await mapped.call("GET", f"{path}?reply=own"),
    ]
    assert [reply.status for reply in replies] == [200, 200, 201, 200, 200]
    assert {reply.json["zahlung"]["nummer"] for reply in replies} == {payment["merchant_reference"]}
    assert [reply.json.get("vorgang") for reply in replies] == ["update", "capture", None, None, None]
    other = (await mapped.create(creditkey_body())).json
    canceled = await post(mapped, f"/v1/payments/{other['id']}/cancel?reply=own")
    assert (canceled.status, canceled.json["vorgang"]) == (200, "cancel")
    reference = payment["merchant_reference"]
    for listed, stands in (
        (f"/v1/payments?merchant_reference={reference}&", "partially_refunded"),
        (f"{path}/refunds?", "succeeded"),
    ):
        page = (await mapped.call("GET", f"{listed}reply=own")).json
        assert [row["zahlung"]["nummer"] for row in page["data"]] == [reference]
        assert [row["stand"] for row in page["data"]] == [stands]
        assert page["next_cursor"] is None


@shared
async def test_a_repeated_request_may_ask_for_other_names(mapped: GatewayStack) -> None:
    """The stored answer is the standard one: each repetition is answered under the names that it asks for."""
    body, key = psp_body(), new_key()
    standard = await post(mapped, "/v1/payments", body, key=key)
    own = await post(mapped, "/v1/payments?reply=own", body, key=key)
    assert (own.status, own.headers["Idempotency-Replayed"]) == (201, "true")
    assert own.json["zahlung"]["nummer"] == standard.json["merchant_reference"]
    assert (await post(mapped, "/v1/payments", body, key=key)).text == standard.text


@shared
async def test_problems_stay_standard(mapped: GatewayStack) -> None:
    """An error is the same document whatever names were asked for."""
    reply = await post(mapped, "/v1/payments?reply=own", psp_body(amount="-1"))
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert reply.json["errors"][0]["field"] == "$.amount"


@shared
async def test_an_unknown_map_does_nothing(mapped: GatewayStack) -> None:
    """It is refused, naming those there are, before anything is done."""
    body = psp_body()
    reply = await post(mapped, "/v1/payments?reply=onw", body)
    assert (reply.status, reply.json["errors"]) == (
        422,
        [
            {
                "field": "reply",
                "message": '"onw" is not a reply map of this tenant; known are own, endless, unwritable, costly',
            }
        ],
    )
    listed = await mapped.call("GET", f"/v1/payments?merchant_reference={body['merchant_reference']}")
    assert listed.json["data"] == []
    for path in ("/v1/payments", f"/v1/payments/pay_{'0' * 32}", f"/v1/payments/pay_{'0' * 32}/refunds"):
        read = await mapped.call("GET", f"{path}?reply=onw")
        assert [error["field"] for error in read.json["errors"]] == ["reply"]
    both = await post(mapped, "/v1/payments?map=pam&reply=onw", body)
    assert [error["field"] for error in both.json["errors"]] == ["map", "reply"]


async def test_a_repeated_request_is_answered_though_its_map_is_gone(tmp_path: Path) -> None:
    """The payment exists; to say that nothing was done would be wrong."""
    body, key = psp_body(), new_key()
    async with running_stack(tmp_path, change=with_maps) as stack:
        first = await post(stack, "/v1/payments?reply=own", body, key=key)
    async with running_stack(tmp_path) as stack:
        again = await post(stack, "/v1/payments?reply=own", body, key=key)
        assert (again.status, again.headers["Idempotency-Replayed"]) == (201, "true")
        assert (again.json["id"], again.json["merchant_reference"]) == (first.json["id"], body["merchant_reference"])


@shared
@pytest.mark.parametrize("name", ["endless", "unwritable"])
async def test_a_map_that_fails_hides_nothing(
    mapped: GatewayStack, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The payment exists: its standard body is answered, and the operators' log says why."""
    reply = await post(mapped, f"/v1/payments?reply={name}", psp_body())
    assert (reply.status, reply.json["state"]) == (201, "awaiting_customer")
    [line] = [record for record in caplog.records if record.message.startswith("a reply map failed")]
    assert (line.__dict__["tenant"], line.__dict__["map"]) == ("acme", name)


@shared
async def test_the_rows_of_a_list_share_what_a_request_may_take(mapped: GatewayStack) -> None:
    """The rows that are left when it is spent are standard; the next request begins anew."""
    for _ in range(5):
        await mapped.create(psp_body())
    for _ in range(2):
        rows = (await mapped.call("GET", "/v1/payments?reply=costly&limit=5")).json["data"]
        kinds = ["q0" in row for row in rows]
        assert kinds == sorted(kinds, reverse=True)
        assert {"q29" in row or "id" in row for row in rows} == {True}
        assert 0 < sum(kinds) < 5
    listed = (await mapped.call("GET", "/v1/payments?reply=own&limit=5")).json["data"]
    assert [set(row) >= {"zahlung", "stand"} for row in listed] == [True] * 5


# Webhooks


def listening(name: str, rules: dict[str, str]) -> Any:
    """Settings whose tenant acme gets its webhooks under the names of one map."""

    def change(settings: dict[str, Any]) -> None:
        acme = settings["tenants"]["acme"]
        acme["reply_maps"] = {name: rules}
        acme["webhook"]["map"] = name
        settings["clocks"]["webhook_retry"] = ["0s", *["50ms"] * 50]

    return change


async def webhooks_of(stack: GatewayStack, count: int) -> list[Any]:
    """The first webhooks that were delivered, each verified."""
    async with stack.webhook_arrived:
        await stack.webhook_arrived.wait_for(lambda: len(stack.delivered_webhooks) >= count)
    verifier = standardwebhooks.Webhook(WEBHOOK_SECRET)
    return [verifier.verify(body, dict(headers)) for headers, body in stack.delivered_webhooks[:count]]


async def test_a_webhook_has_own_names_in_data(tmp_path: Path) -> None:
    """Type and time stay, the signature is of what is sent, and one map serves answers and webhooks alike."""
    rules = {**OWN, "art": "type", "seit": "timestamp", "ganz.stand": "data.payment.state", "kurz": "payment.state"}
    async with running_stack(tmp_path, change=listening("own", rules)) as stack:
        payment = (await stack.create(psp_body())).json
        first, second = await webhooks_of(stack, 2)
    assert set(first) == {"type", "timestamp", "data"}
    assert first["type"] == first["data"]["art"] == "payment.created"
    assert first["timestamp"] == first["data"]["seit"]
    assert first["data"]["stand"] == first["data"]["ganz"]["stand"] == first["data"]["kurz"] == "created"
    assert first["data"]["zahlung"] == {"nummer": payment["merchant_reference"], "betrag": "162.48"}
    assert second["data"]["zahlung"]["link"] == payment["redirect_url"]


async def test_every_try_sends_the_same_bytes_whatever_became_of_the_map(tmp_path: Path) -> None:
    """The body is made with the change that it reports: a map that changes later changes later webhooks only."""
    async with running_stack(tmp_path, change=listening("own", {"before": "id"})) as stack:
        stack.webhook_answer = lambda _: 500
        payment = (await stack.create(psp_body())).json
        async with stack.webhook_arrived:
            await stack.webhook_arrived.wait_for(lambda: stack.webhook_attempts)
        [(_, _, tried), *_] = stack.webhook_attempts
    async with running_stack(tmp_path, change=listening("own", {"after": "id"})) as stack:
        assert [one["data"] for one in await webhooks_of(stack, 2)] == [{"before": payment["id"]}] * 2
        assert tried in [body for _, body in stack.delivered_webhooks]
        later = (await stack.create(psp_body())).json
        assert (await webhooks_of(stack, 3))[2]["data"] == {"after": later["id"]}


async def test_a_webhook_whose_map_fails_is_the_standard_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """News of money is never lost to a map."""
    async with running_stack(tmp_path, change=listening("endless", {"all": ENDLESS})) as stack:
        payment = (await stack.create(psp_body())).json
        assert (await stack.webhook(payment["id"], "payment.created"))["data"]["payment"]["state"] == "created"
    assert [record.__dict__["map"] for record in caplog.records if "reply map failed" in record.message] == [
        "endless"
    ] * 2
