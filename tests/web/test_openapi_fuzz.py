"""The served OpenAPI document against the real stack: no 5xx, no answer it does not describe, no body outside it.

schemathesis makes requests from the document, right ones and wrong ones; most of them get what only a running gateway
knows: a key, ids of payments in every state, bodies that would be taken but for the members that were replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from gateway.web.openapi import document
from tests.support.stack import GatewayStack, creditkey_body, key_of, new_key, order_of, psp_body, running_stack

T = TypeVar("T")

CASES = 15
"""Requests per operation and kind (right, wrong)."""

CHECKS = [checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance]

LABELS = [f"{method.upper()} {path}" for path, methods in document()["paths"].items() for method in methods]


class Seed(NamedTuple):
    """A request that must be taken: the name of an id that the stack has, a body, a query."""

    place: str | None = None
    body: Any = None
    query: dict[str, Any] = {}  # noqa: RUF012  # never changed


CHARGES = order_of("1100.00")["charges"]

SEEDS: dict[str, Seed] = {
    "POST /v1/payments": Seed(body=creditkey_body(merchant_reference="SO-seed")),
    "GET /v1/payments": Seed(query={"state": "captured", "limit": 5, "created_after": "2020-01-01T00:00:00Z"}),
    "GET /v1/payments/{id}": Seed("captured"),
    "PATCH /v1/payments/{id}": Seed("awaiting", {"amount": "1100.00", "order": {"charges": CHARGES}}),
    "POST /v1/payments/{id}/capture": Seed("authorized", {"merchant_status": "shipped"}),
    "POST /v1/payments/{id}/cancel": Seed("awaiting", {}),
    "POST /v1/payments/{id}/refunds": Seed("captured", {"amount": "1.00", "reason": "returned"}),
    "GET /v1/payments/{id}/refunds": Seed("captured"),
    "POST /v1/payments/{id}/sync": Seed("awaiting", {}),
    "GET /v1/payments/{id}/events": Seed("captured"),
    "GET /v1/accounts": Seed(),
    "POST /v1/accounts/{name}/explain": Seed("account", psp_body(account=None)),
    "GET /v1/deposit-methods": Seed(query={"currency": "USD", "amount": "10.00", "lang": "de-at"}),
    "GET /v1/callbacks": Seed(query={"verdict": "recorded", "account": "creditkey-main", "limit": 5}),
    "GET /v1/callbacks/{id}/explanation": Seed("callback"),
    "GET /v1/webhooks": Seed(),
    "GET /v1/webhooks/deliveries": Seed(query={"status": "delivered"}),
    "POST /v1/webhooks/deliveries/{id}/redeliver": Seed("delivery", {}),
    "POST /v1/webhooks/redeliver": Seed(body={"created_after": "2020-01-01T00:00:00Z", "status": "delivered"}),
    "POST /v1/webhooks/test": Seed(body={}),
    "POST /v1/webhooks/enable": Seed(body={"redeliver": True}),
}


PLACES = ("awaiting", "authorized", "captured", "canceled", "delivery", "callback", "account")
"""What the stack has an id or a name of."""

COMMANDS = {"captured": "capture", "canceled": "cancel"}


@dataclass
class Served:
    """A stack on a thread of its own, and what came of the requests to it."""

    stack: GatewayStack
    loop: asyncio.AbstractEventLoop
    ids: dict[str, str]
    schema: Any = None
    http: requests.Session = field(default_factory=requests.Session)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    undocumented: list[str] = field(default_factory=list)

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the stack do something."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def operation(self, label: str) -> Any:
        """One operation of the served document."""
        method, path = label.split(" ")
        return self.schema[path][method]

    def send(self, label: str, case: Case) -> int:
        """Send a request, hold the answer against the document, and count it."""
        response = case.call(base_url=self.stack.url, session=self.http)
        self.statuses.setdefault(label, Counter())[response.status_code] += 1
        try:
            case.validate_response(response, checks=CHECKS)
        except FailureGroup as failures:
            self.undocumented += [f"{label} {response.status_code}: {one}" for one in failures.exceptions]
            raise
        assert response.status_code < 500, response.text
        return response.status_code

    def figures(self) -> str:
        """What the run came to."""
        counts = [(status, count) for found in self.statuses.values() for status, count in found.items()]
        reached = sum(any(status < 300 for status in found) for found in self.statuses.values())
        return (
            f"openapi: {len(self.statuses)} operations, {reached} of them reached with 2xx,"
            f" {sum(count for _, count in counts)} requests, {sum(count for status, count in counts if status >= 500)}"
            f" answered 5xx, {len(self.undocumented)} not as documented"
        )


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A stack with payments in several states, on a thread, because the requests come from code that waits."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    exits = contextlib.AsyncExitStack()
    try:
        opened = asyncio.run_coroutine_threadsafe(_open(exits, tmp_path_factory.mktemp("fuzz"), loop), loop).result(60)
        opened.schema = schemathesis.openapi.from_url(f"{opened.stack.url}/openapi.json")
        yield opened
        print(f"\n{opened.figures()}")
    finally:
        asyncio.run_coroutine_threadsafe(exits.aclose(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _open(exits: contextlib.AsyncExitStack, folder: Path, loop: asyncio.AbstractEventLoop) -> Served:
    stack = await exits.enter_async_context(running_stack(folder))
    made = [await make(stack, place) for place in PLACES]
    return Served(stack, loop, dict(zip(PLACES, made, strict=True)))


async def make(stack: GatewayStack, place: str) -> str:
    """The id of a new payment that stands in a state; or of a webhook that was delivered, or a callback."""
    if place == "account":
        return "psp-main"
    if place == "delivery":
        return await a_delivery(stack, await make(stack, "awaiting"))
    if place == "callback":
        paid = await make(stack, "authorized")
        return str((await stack.call("GET", f"/v1/callbacks?payment_id={paid}")).json["data"][0]["id"])
    payment = (await stack.create(creditkey_body())).json
    if place in ("authorized", "captured"):
        await stack.visit(await stack.approve(payment))
    if place in COMMANDS:
        done = await stack.call("POST", f"/v1/payments/{payment['id']}/{COMMANDS[place]}", {}, key=new_key())
        assert done.json["state"] == place
    return str(payment["id"])


async def a_delivery(stack: GatewayStack, payment_id: str) -> str:
    """The id of a payment's webhook, once its delivery is on record: it arrives before that."""
    async with asyncio.timeout(10):
        while True:
            path = f"/v1/webhooks/deliveries?status=delivered&payment_id={payment_id}"
            if found := (await stack.call("GET", path)).json["data"]:
                return str(found[0]["id"])


@pytest.mark.parametrize("label", LABELS)
def test_a_request_that_fits_is_taken(served: Served, label: str) -> None:
    """Every operation of the document is reached with a 2xx, and answers as the document says."""
    seed = SEEDS[label]
    operation = served.operation(label)
    names = re.findall(r"{(\w+)}", label)
    ids = {name: served.do(make(served.stack, seed.place or "")) for name in names}
    given_body = {} if seed.body is None else {"body": seed.body, "media_type": "application/json"}
    case = operation.Case(path_parameters=ids, query=dict(seed.query), headers=_headers(), **given_body)
    assert 200 <= served.send(label, case) < 300


@pytest.mark.parametrize("mode", list(GenerationMode), ids=str)
@pytest.mark.parametrize("label", LABELS)
def test_whatever_comes_is_answered_as_documented(served: Served, label: str, mode: GenerationMode) -> None:
    """Right and wrong requests made from the document: a documented status, a body of its schema, never a 5xx."""

    @settings(
        max_examples=CASES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=served.operation(label).as_strategy(generation_mode=mode), lot=st.integers(0, 99))
    def run(case: Case, lot: int) -> None:
        served.send(label, informed(served, SEEDS[label], case, lot))

    run()


def informed(served: Served, seed: Seed, case: Case, lot: int) -> Case:
    """Give a request what only a running gateway knows: mostly a tenant's key, an id that is there, a usable body.

    ``lot`` is often near zero, so zero must mean all of it.
    """
    if lot % 8 != 7:
        case.headers["Authorization"] = f"Bearer {key_of('acme')}"
    if lot % 3 != 2 and "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = new_key()
    for name in case.path_parameters if lot % 4 != 3 else ():
        ids = [served.ids[place] for place in PLACES]
        case.path_parameters[name] = ids[lot % len(ids)]
    if lot % 2 == 0 and isinstance(case.body, dict) and seed.body:
        kept = dict(seed.body)
        if "merchant_reference" in kept:
            kept["merchant_reference"] = new_key()
        taken = list(case.body)[: lot % 3]  # the first few members that were made up replace usable ones
        case.body = {**kept, **{name: case.body[name] for name in taken}}
    return case


def _headers() -> dict[str, str]:
    return {"Authorization": f"Bearer {key_of('acme')}", "Idempotency-Key": new_key()}
