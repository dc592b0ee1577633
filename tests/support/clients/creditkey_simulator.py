"""The simulator of Credit Key over real HTTP, and the calls that its tests make."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from gateway_creditkey import CreditKey
from gateway_creditkey.simulator import CreditKeySimulator
from yarl import URL

import gateway
from tests.support.factories.creditkey import CREDENTIALS, fixture, make_account

Client = TestClient[web.Request, web.Application]
KEY = "CK-TST1001"


@asynccontextmanager
async def simulator() -> AsyncIterator[Client]:
    """The simulator with two merchants, on a free loopback port."""
    accounts = {
        "acme/creditkey-main": make_account(),
        "globex/creditkey-main": make_account(shared_secret=gateway.Secret("ss_other")),
    }
    simulated = {
        name: gateway.SimulatedAccount(account=account, callback_url="https://pay.example/callbacks/e1", credentials={})
        for name, account in accounts.items()
    }
    async with TestClient(TestServer(CreditKeySimulator(simulated, 1001).application())) as client:
        yield client


def exact(text: str | bytes) -> Any:
    """Read JSON without losing a digit."""
    return json.loads(text, parse_float=Decimal)


async def call(client: Client, operation: str, message: dict[str, Any], **secret: str) -> tuple[int, dict[str, Any]]:
    """Post one operation with credentials in the body; the answer's numbers are exact."""
    body = {**CREDENTIALS, **secret, **message}
    async with client.post(f"/ecomm/{operation}", json=body) as answer:
        return answer.status, exact(await answer.text())


async def find(client: Client, **query: str) -> tuple[int, dict[str, Any]]:
    """Look an order up by its key."""
    async with client.get("/ecomm/find_order", params={**CREDENTIALS, **query}) as answer:
        return answer.status, exact(await answer.text())


def sample(name: str, **changes: Any) -> dict[str, Any]:
    """A sample's request."""
    return {**json.loads(fixture(name)), **changes}


def shown(name: str, **changes: Any) -> dict[str, Any]:
    """A sample's answer, its numbers exact."""
    return {**exact(fixture(name)), **changes}


async def begin(client: Client, **changes: Any) -> str:
    """Begin the samples' order and return its key."""
    status, answer = await call(client, "begin_standalone_checkout", sample("begin_request.json", **changes))
    assert status == 200, answer
    return str(answer["id"])


async def choose(client: Client, key: str, choice: str = "approve") -> str | None:
    """Press a button of the hosted page; returns where the browser goes next."""
    async with client.post(f"/checkout/{key}/{choice}", headers={"Accept": "application/json"}) as answer:
        return (await answer.json())["redirect"]


async def authorize(client: Client, **changes: Any) -> str:
    """Begin, accept and complete the samples' order."""
    key = await begin(client, **changes)
    await choose(client, key)
    assert await call(client, "complete_checkout", {"id": key}) == (200, {"success": True})
    return key


async def capture(client: Client) -> str:
    """Authorize and confirm the samples' order over 1142.33."""
    key = await authorize(client)
    assert (await call(client, "confirm_order", sample("confirm_request.json")))[0] == 200
    return key


async def fault(client: Client, **members: Any) -> None:
    async with client.put("/_sim/faults", json=members) as answer:
        assert answer.status == 200, await answer.text()


async def ledger(client: Client) -> list[dict[str, Any]]:
    async with client.get("/_sim/orders") as answer:
        return await answer.json()


async def exchange(client: Client, given: gateway.Command) -> Any:
    """Send a command as the adapter builds it and read the answer as the adapter does."""
    account = make_account(base_url=str(client.make_url("/app")))
    request = CreditKey().build(given, account)
    async with client.session.request(
        request.method, URL(request.url, encoded=True), headers=request.headers, data=request.body
    ) as answer:
        response = gateway.HttpResponse(
            status=answer.status, headers=tuple(answer.headers.items()), body=await answer.read()
        )
    return CreditKey().parse(given, response, account)
