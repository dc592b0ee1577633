"""gateway.testing.ProviderSimulator: what an author writes in a few lines behaves like a provider over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientConnectionError, encode_basic_auth, web
from aiohttp.test_utils import TestClient, TestServer

import gateway
from gateway.testing.simulator.outbox import forgeries
from tests.support.factories.psp import account
from tests.support.tiny_simulator import TinySimulator


class Provider:
    """A running simulator, and what a gateway would do with it."""

    def __init__(self, client: TestClient[Any, Any], received: list[tuple[dict[str, str], bytes]]) -> None:
        self.client, self.received, self.token = client, received, ""

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        async with self.client.request(method, path, json=body, headers=headers) as answer:
            return answer.status, await answer.json() if answer.content_type == "application/json" else None

    async def login(self, key: str = "k-acme") -> None:
        answer = await self.client.post("/token", headers={"Authorization": encode_basic_auth("user", key)})
        self.token = (await answer.json()).get("access_token", "")

    async def create(self, **more: Any) -> dict[str, Any]:
        status, payment = await self.ask("POST", "/payments", {**ORDER, **more})
        assert status == 201, payment
        return dict(payment)

    async def faults(self, *faults: dict[str, Any]) -> None:
        assert (await self.ask("PUT", "/_sim/faults", list(faults)))[0] == 200

    async def customer(self, does: str, payment_id: str = "pay_1") -> Any:
        return await self.ask("POST", "/_sim/customer", {"payment_id": payment_id, "does": does})

    async def ledger(self) -> list[dict[str, Any]]:
        return list((await self.ask("GET", "/_sim/ledger"))[1])


ORDER = {"order": "pay_1", "amount": "10.00", "currency": "USD", "return": "https://shop.example/paid"}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    """The simulator with two accounts, and a server that takes its callbacks."""
    received: list[tuple[dict[str, str], bytes]] = []

    async def receive(request: web.Request) -> web.Response:
        received.append((dict(request.headers), await request.read()))
        return web.Response(status=204)

    receiver = web.Application()
    receiver.router.add_post("/callbacks/{name}", receive)
    async with TestServer(receiver) as server:
        accounts = {
            f"{name}/tiny": gateway.SimulatedAccount(
                account=account(),
                callback_url=str(server.make_url(f"/callbacks/{name}")),
                credentials={"key": f"k-{name}"},
            )
            for name in ("acme", "globex")
        }
        async with TestClient(TestServer(TinySimulator.app(accounts))) as client:
            running = Provider(client, received)
            await running.login()
            yield running


async def test_a_payment_is_asked_paid_captured_and_refunded(provider: Provider) -> None:
    """Each step shows on the books, in major units, with every effect on its money."""
    payment = await provider.create(capture=False)
    assert await provider.customer("pay") == (
        200,
        {
            "payment_id": "pay_1",
            "state": "authorized",
            "callbacks": [{"status": 204, "body": ""}],
            "redirect": "https://shop.example/paid",
        },
    )
    await provider.ask("POST", f"/payments/{payment['id']}/capture", {"amount": "4.00"})
    await provider.ask("POST", f"/payments/{payment['id']}/refund", {"amount": "1.50"})
    (line,) = await provider.ledger()
    effects = [(one["kind"], one["amount"], one["state"]) for one in line.pop("effects")]
    assert line == {
        "payment_id": "pay_1",
        "currency": "USD",
        "state": "captured",
        "asked": "10.00",
        "captured": "4.00",
        "refunded": "1.50",
    }
    assert effects == [("authorize", "10.00", "done"), ("capture", "4.00", "done"), ("refund", "1.50", "done")]


@pytest.mark.parametrize(
    ("does", "state", "captured"),
    [
        ("pay", "captured", "10.00"),
        ("pay_less", "captured", "5.00"),
        ("decline", "declined", "0"),
        ("abandon", "open", "0"),
    ],
)
async def test_a_customer_does_what_is_asked(provider: Provider, does: str, state: str, captured: str) -> None:
    """Paying half, declining and going away are as easy to try as paying."""
    await provider.create()
    await provider.customer(does)
    (line,) = await provider.ledger()
    assert (line["state"], line["captured"]) == (state, captured)
    assert len(provider.received) == (does != "abandon")


@pytest.mark.parametrize(
    ("body", "status"), [({"payment_id": "pay_9", "does": "pay"}, 404), ({"payment_id": "pay_1", "does": "sing"}, 400)]
)
async def test_an_unknown_customer_or_deed_is_refused(provider: Provider, body: dict[str, Any], status: int) -> None:
    """A misspelling never passes for something done."""
    await provider.create()
    assert (await provider.ask("POST", "/_sim/customer", body))[0] == status


async def test_the_page_is_pressed_like_a_browser_does(provider: Provider) -> None:
    """The page shows the payment and its buttons; a press sends the browser on."""
    payment = await provider.create()
    page = payment["page"][payment["page"].index("/pay/") :]
    async with provider.client.get(page) as answer:
        text = await answer.text()
    assert "10.00 USD" in text
    assert f'action="{page}/decline"' in text
    async with provider.client.post(f"{page}/pay", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (302, "https://shop.example/paid")
    async with provider.client.get("/pay/nothing") as answer:
        assert answer.status == 404


async def test_calls_are_noted_as_they_came(provider: Provider) -> None:
    """Method, path with query, headers and raw body; what tests do below /_sim is not noted."""
    await provider.ask("GET", "/payments/none?a=%20b")
    requests = (await provider.ask("GET", "/_sim/requests"))[1]
    assert [(one["method"], one["path"]) for one in requests] == [("POST", "/token"), ("GET", "/payments/none?a=%20b")]


async def test_a_call_without_a_valid_token_is_refused(provider: Provider) -> None:
    """Nobody's token, another account's payment, and wrong credentials."""
    payment = await provider.create()
    await provider.login("k-globex")
    assert (await provider.ask("GET", f"/payments/{payment['id']}"))[0] == 404
    await provider.login("k-nobody")
    assert (await provider.ask("GET", f"/payments/{payment['id']}"))[0] == 401


async def test_tokens_end_early_and_in_time(provider: Provider) -> None:
    """By a fault, or because the clock was moved past their hour."""
    payment = await provider.create()
    await provider.faults({"end_tokens": True, "times": 1})
    assert (await provider.ask("GET", f"/payments/{payment['id']}"))[0] == 401
    await provider.login()
    assert (await provider.ask("GET", f"/payments/{payment['id']}"))[0] == 200
    await provider.ask("PUT", "/_sim/clock", {"advance": "61m"})
    assert (await provider.ask("GET", f"/payments/{payment['id']}"))[0] == 401


async def test_a_repeated_key_has_one_effect(provider: Provider) -> None:
    """The first answer comes again; the key with another body is refused."""
    first = await provider.ask("POST", "/payments", ORDER, **{"Idempotency-Key": "k1"})
    assert await provider.ask("POST", "/payments", ORDER, **{"Idempotency-Key": "k1"}) == first
    other = await provider.ask("POST", "/payments", {**ORDER, "amount": "1.00"}, **{"Idempotency-Key": "k1"})
    assert other[0] == 422
    assert len(await provider.ledger()) == 1


# Faults


@pytest.mark.parametrize(("moment", "payments"), [("before_effect", 0), ("after_effect", 1)])
async def test_a_lost_answer(provider: Provider, moment: str, payments: int) -> None:
    """The connection is closed; the books know whether there was an effect."""
    await provider.faults({"operation": "create", "silence": moment, "times": 1})
    with pytest.raises(ClientConnectionError):
        await provider.create()
    assert len(await provider.ledger()) == payments
    await provider.create()


@pytest.mark.parametrize(
    ("fault", "status", "kind", "payments"),
    [
        ({"status": 503}, 503, "application/json", 0),
        ({"status": 409, "body": {"no": 1}}, 409, "application/json", 0),
        ({"html": True}, 500, "text/html", 0),
        ({"html_after_effect": True}, 200, "text/html", 1),
        ({"malformed": True}, 201, "application/json", 1),
        ({"delay_ms": 1}, 201, "application/json", 1),
    ],
)
async def test_a_spoiled_answer(
    provider: Provider, fault: dict[str, Any], status: int, kind: str, payments: int
) -> None:
    """Each switch answers as it says, before or after the effect."""
    await provider.faults(fault)
    headers = {"Authorization": f"Bearer {provider.token}"}
    async with provider.client.post("/payments", json=ORDER, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (status, kind)
        if "malformed" in fault:
            with pytest.raises(json.JSONDecodeError):
                json.loads(await answer.text())
    assert len(await provider.ledger()) == payments


async def test_each_route_meets_its_own_fault(provider: Provider) -> None:
    """Several faults at once, each counted by itself; another word for a status is a fault too."""
    await provider.faults(
        {"operation": "create", "status": 500, "times": 2}, {"operation": "fetch", "status_word": "odd"}
    )
    statuses = [(await provider.ask("POST", "/payments", ORDER))[0] for _ in range(3)]
    payment = (await provider.ask("GET", "/_sim/orders"))[1][0]
    assert statuses == [500, 500, 201]
    assert (await provider.ask("GET", f"/payments/{payment['id']}"))[1]["status"] == "odd"


@pytest.mark.parametrize("fault", [{"sttaus": 1}, {"silence": "always"}, {"operation": "sing"}, [{"times": "x"}]])
async def test_a_misspelt_fault_is_refused(provider: Provider, fault: Any) -> None:
    """A misspelling is an error, so that no test passes because of one."""
    status, said = await provider.ask("PUT", "/_sim/faults", fault)
    assert (status, "error" in said) == (400, True)


async def test_an_operation_waits_until_it_is_resolved(provider: Provider) -> None:
    """A pending refund counts when it is done, and its callback follows."""
    payment = await provider.create()
    await provider.customer("pay")
    await provider.faults({"pending": True})
    await provider.ask("POST", f"/payments/{payment['id']}/refund", {"amount": "3.00"})
    (line,) = await provider.ledger()
    assert line["refunded"] == "0"
    refund = line["effects"][-1]["id"]
    resolved = await provider.ask("POST", "/_sim/effects", {"id": refund, "state": "done"})
    assert (resolved[0], resolved[1]["refunded"], len(resolved[1]["callbacks"])) == (200, "3.00", 1)


# Callbacks


async def test_a_call_s_callback_follows_its_answer(provider: Provider) -> None:
    """It is sent by itself; with early_callback it has arrived when the answer does."""
    payment = await provider.create()
    await provider.customer("pay")
    await provider.ask("POST", f"/payments/{payment['id']}/refund", {"amount": "1.00"})
    callbacks = (await provider.ask("GET", "/_sim/callbacks"))[1]
    assert [json.loads(one["body"])["what"] for one in callbacks] == ["pay", "refund"]
    await provider.faults({"early_callback": True})
    await provider.ask("POST", f"/payments/{payment['id']}/refund", {"amount": "1.00"})
    assert len(provider.received) == 3


async def test_callbacks_are_held_released_and_repeated(provider: Provider) -> None:
    """Late, in the order that is asked for, and byte for byte again."""
    await provider.faults({"hold_callbacks": True})
    payment = await provider.create()
    await provider.customer("pay")
    await provider.ask("POST", f"/payments/{payment['id']}/refund", {"amount": "1.00"})
    assert provider.received == []
    await provider.ask("POST", "/_sim/callbacks", {"do": "release", "numbers": [1, 0]})
    assert [json.loads(body)["what"] for _, body in provider.received] == ["refund", "pay"]
    await provider.ask("POST", "/_sim/callbacks", {"do": "repeat", "numbers": [1]})
    assert provider.received[2][1] == provider.received[0][1]
    assert (await provider.ask("POST", "/_sim/callbacks", {"do": "repeat", "numbers": [9]}))[0] == 404


async def test_forged_copies_differ_from_the_honest_one(provider: Provider) -> None:
    """Other bodies under the same signature, another signature, and none."""
    await provider.create()
    await provider.customer("pay")
    answers = (await provider.ask("POST", "/_sim/callbacks", {"do": "forge"}))[1]
    (headers, body), *forged = provider.received
    sign = headers["Tiny-Signature"]
    assert {one["status"] for one in answers} == {204}
    *bodies, turned, bare = [(h.get("Tiny-Signature"), b == body) for h, b in forged]
    assert (set(bodies), turned, bare) == ({(sign, False)}, (sign[::-1], True), (None, True))


def test_forged_bodies_differ_in_every_part() -> None:
    """The first, a middle and the last digit of the facts, and the inside of ids and signatures, not their ends."""
    body = b"id=ab0123456789abcdefabcdef&amount=10.05&at=7&sign=Zm9vYmFyYmF6cXV4Zm9vYmFyQ=="
    request = gateway.HttpRequest(method="POST", url="https://gateway.example/", body=body)
    forged = [one.body for one in forgeries(request)]
    places = [[at for at in range(len(body)) if other[at] != body[at]] for other in forged]
    assert [len(at) for at in places] == [1] * 5
    changed = [body[: at[0]].rsplit(b"&")[-1].split(b"=")[0] for at in places]
    assert changed == [b"id", b"amount", b"amount", b"at", b"sign"]
    assert forgeries(gateway.HttpRequest(method="POST", url="https://gateway.example/"))[0].body == b"0"


async def test_a_duplicate_is_made_and_sent_twice(provider: Provider) -> None:
    """The second copy is signed anew."""
    await provider.faults({"duplicate_callback": True, "times": 1})
    await provider.create()
    await provider.customer("pay")
    first, second = provider.received
    assert first[0]["Tiny-Signature"] != second[0]["Tiny-Signature"]


# The clock


async def test_the_clock_is_moved_ahead_only(provider: Provider) -> None:
    """It shows how far it was moved; nonsense is an error."""
    assert (await provider.ask("PUT", "/_sim/clock", {"advance": "30d"}))[1]["ahead"] == 30 * 86400
    assert (await provider.ask("GET", "/_sim/clock"))[1]["ahead"] == 30 * 86400
    assert (await provider.ask("PUT", "/_sim/clock", {"advance": "-1d"}))[0] == 400


async def test_callbacks_that_follow_are_sent_before_the_end(provider: Provider) -> None:
    """Stopping a simulator loses none."""
    payment = await provider.create()
    await provider.customer("pay")
    await provider.ask("POST", f"/payments/{payment['id']}/refund", {"amount": "1.00"})
    await provider.client.close()
    await asyncio.sleep(0)
    assert len(provider.received) == 2
