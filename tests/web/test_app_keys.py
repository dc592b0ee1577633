"""Bearer keys at both listeners: read exactly, ended by their date, and an operator's key names who acted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from gateway.core.signing import sha256_hex
from gateway.core.views import rfc3339
from tests.support.scenarios.creditkey import BEGUN, act, edit
from tests.support.stack import GatewayStack, Reply, key_of, psp_body, running_stack
from tests.support.virtual_clock import START, VirtualClock

shared = pytest.mark.asyncio(loop_scope="module")

DANA, KIM, OLD = (
    "gw_dana_test-key-of-one-operator",
    "gw_kim_test-key-of-another",
    "made-before-keys-had-a-form",
)
NOT_KNOWN = "this key is not known or has expired"
PATHS = {"tenant": "/v1/accounts", "operator": "/admin/v1/reviews"}
KEYS = {"tenant": key_of("acme"), "operator": DANA}


def with_keys(settings: dict[str, Any]) -> None:
    """Give the operators three keys, and both listeners the hash of nothing and of one blank."""
    blank = [{"id": f"x{number}", "sha256": sha256_hex(text)} for number, text in enumerate(("", " ", "\u00a0"))]
    settings["tenants"]["acme"]["keys"] += blank
    settings["server"]["admin"] |= {
        "key_sha256": sha256_hex(OLD),
        "keys": [
            {"id": "dana", "sha256": sha256_hex(DANA)},
            {"id": "kim", "sha256": sha256_hex(KIM), "expires": rfc3339(START + timedelta(hours=1))},
            *blank,
        ],
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def office(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack whose operators have keys of their own."""
    async with running_stack(tmp_path_factory.mktemp("office"), change=with_keys) as opened:
        yield opened


async def ask(stack: GatewayStack, who: str, *authorization: str) -> int:
    """The status of a reading call with these ``Authorization`` headers."""
    url = (stack.url if who == "tenant" else stack.admin_url) + PATHS[who]
    async with stack.http.get(url, headers=[("Authorization", value) for value in authorization]) as response:
        return response.status


async def operate(stack: GatewayStack, method: str, path: str, body: Any = None, *, key: str = DANA) -> Reply:
    """Call the operators' listener."""
    headers = {"Authorization": f"Bearer {key}"}
    async with stack.http.request(method, stack.admin_url + path, json=body, headers=headers) as response:
        return Reply(response.status, response.headers, await response.text())


# What is a key


@shared
@pytest.mark.parametrize("who", PATHS)
@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER  {}"])
async def test_a_key_opens_its_listener(office: GatewayStack, who: str, form: str) -> None:
    """The scheme's case is free, and blanks between scheme and key are only a separator."""
    assert await ask(office, who, form.format(KEYS[who])) == 200


@shared
@pytest.mark.parametrize("who", PATHS)
@pytest.mark.parametrize(
    "form",
    [
        "Bearer",
        "Bearer ",
        "Bearer  ",
        "Bearer \u00a0",
        "Bearer \u2003",
        "Bearer \u00a0{}",
        "Bearer {}\u00a0",
        "Bearer {}\u2003",
        "Bearer {} {}",
        "Bearer\u00a0{}",
        "Bearer,{}",
        'Bearer "{}"',
        "Basic {}",
        "{}",
    ],
)
async def test_what_is_not_exactly_a_key_is_refused(office: GatewayStack, who: str, form: str) -> None:
    """Nothing, blanks of any kind and a key beside something else open nothing, even where their hash is listed."""
    assert await ask(office, who, form.format(KEYS[who], KEYS[who])) == 401


@shared
@pytest.mark.parametrize("who", PATHS)
async def test_two_authorization_headers_are_refused(office: GatewayStack, who: str) -> None:
    """A proxy and the gateway could believe different ones, so neither counts, in any order and also when equal."""
    right, wrong = f"Bearer {KEYS[who]}", "Bearer gw_k1_nobody"
    for sent in ((right, wrong), (wrong, right), (right, right)):
        assert await ask(office, who, *sent) == 401


@shared
async def test_no_key_opens_the_other_listener(office: GatewayStack) -> None:
    """A tenant's key is nothing to operators, nor an operator's to tenants."""
    assert await ask(office, "tenant", f"Bearer {KEYS['operator']}") == 401
    assert await ask(office, "operator", f"Bearer {KEYS['tenant']}") == 401


@shared
async def test_an_unknown_key_is_not_taken_for_a_missing_one(office: GatewayStack) -> None:
    """Whoever sent a key is not advised to send one; what is no key is shown the header."""
    for header, said in (("Bearer gw_k1_nobody", NOT_KNOWN), ("Basic YTpi", "send Authorization: Bearer <tenant key>")):
        async with office.http.get(f"{office.url}/v1/accounts", headers={"Authorization": header}) as response:
            assert (response.status, (await response.json())["detail"]) == (401, said)


async def test_a_tenants_key_that_has_expired_is_named_in_the_log_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its caller reads the words of an unknown key; the operators read whose key it was."""
    caplog.set_level(logging.INFO, logger="gateway")

    def ended(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["keys"][0]["expires"] = "2020-01-01T00:00:00Z"
        settings["tenants"]["acme"]["keys"][0]["id"] = "k7"

    async with running_stack(tmp_path, change=ended) as stack:
        reply = await stack.call("GET", "/v1/accounts")
    assert (reply.status, reply.json["detail"]) == (401, NOT_KNOWN)
    [line] = [vars(record) for record in caplog.records if record.message == "request"]
    assert (line["tenant"], line["key"], line["reason"]) == ("acme", "k7", "expired")


async def test_an_operators_key_ends(tmp_path: Path) -> None:
    """From its date on a key opens nothing; the others do."""
    clock = VirtualClock()
    async with running_stack(tmp_path, change=with_keys, clock=clock) as stack:
        before = await ask(stack, "operator", f"Bearer {KIM}")
        clock.set(START + timedelta(hours=1))
        assert (before, await ask(stack, "operator", f"Bearer {KIM}")) == (200, 401)
        assert await ask(stack, "operator", f"Bearer {DANA}") == 200


# Who acted


async def suspicious(stack: GatewayStack) -> Any:
    """A payment under review."""
    payment = await BEGUN["authorized"](stack)
    await edit(stack, payment, amount="1.00")
    await act(stack, payment, "sync")
    return payment


@shared
@pytest.mark.parametrize(
    ("key", "named", "kept"),
    [
        (DANA, None, "dana"),
        (DANA, "kim@example", "dana (kim@example)"),
        (OLD, "kim", "operator (kim)"),
    ],
)
async def test_the_key_is_the_actor(office: GatewayStack, key: str, named: str | None, kept: str) -> None:
    """What is stored begins with the key's id; whom a body names stands behind it and never alone."""
    payment = await suspicious(office)
    body = {"reason": "looked", **({"actor": named} if named else {})}
    assert (await operate(office, "POST", f"/admin/v1/reviews/{payment['id']}/resolve", body, key=key)).status == 200
    assert (await office.events(payment["id"]))[-1]["details"]["actor"] == kept


@shared
async def test_changing_calls_are_audited(office: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """Each changing call, refused ones too, is one line with key, route and target; others have a request line."""
    caplog.set_level(logging.INFO, logger="gateway")
    calls = {
        "/admin/v1/reviews/{payment_id}/resolve": {"reason": "looked"},
        "/admin/v1/operations/{id}/resolve": {"reason": "looked", "outcome": "declined"},
        "/admin/v1/inbox/{id}/replay": {},
        "/admin/v1/inbox/{id}/reverify": {},
        "/admin/v1/deliveries/{id}/redeliver": None,
    }
    targets = [office.gateway.new_id("pay") for _ in calls]
    for target, (route, body) in zip(targets, calls.items(), strict=True):
        path = route.replace("{payment_id}", "{id}").replace("{id}", target)
        assert (await operate(office, "POST", path, body)).status == 404
    await operate(office, "GET", "/admin/v1/inbox")
    lines = [vars(record) for record in caplog.records if record.message == "operators' call"]
    assert [(line["operator"], line["route"], line["target"]) for line in lines] == [
        ("dana", route, target) for target, route in zip(targets, calls, strict=True)
    ]
    requests = [vars(record) for record in caplog.records if record.message == "request"]
    assert {line["operator"] for line in requests} == {"dana"}
    assert [line["request_id"] for line in requests[:-1]] == [line["request_id"] for line in lines]
    assert DANA not in caplog.text


@shared
async def test_a_tenants_request_names_no_operator(office: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """The field belongs to the operators' listener."""
    caplog.set_level(logging.INFO, logger="gateway")
    await office.create(psp_body())
    assert not [record for record in caplog.records if hasattr(record, "operator")]


PATIENCE = 10
"""Seconds after which a test gives up on what should have happened at once."""


async def raw(url: str, *parts: bytes) -> bytes:
    """Send bytes as they are; return all that comes until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(url).port)
    async with asyncio.timeout(PATIENCE):
        writer.write(b"".join(parts))
        received = await reader.read()
    writer.close()
    return received


def head(line: str, *headers: str | bytes) -> bytes:
    """A request's head that ends its connection."""
    lines = (f"{line} HTTP/1.1", "Host: x", "Connection: close", *headers)
    return b"\r\n".join(one if isinstance(one, bytes) else one.encode() for one in lines) + b"\r\n\r\n"


@pytest.mark.parametrize("path", ["/v1/payments", "/admin/v1/reviews"])
async def test_a_key_of_any_bytes_is_unknown(stack: GatewayStack, path: str) -> None:
    """A bearer key that is no UTF-8 is an unknown key, for tenants and operators."""
    url = stack.admin_url if path.startswith("/admin") else stack.url
    answer = await raw(url, head(f"GET {path}", b"Authorization: Bearer \xff\xfe"))
    assert answer.startswith(b"HTTP/1.1 401 ")


async def test_an_expired_key_is_no_key(tmp_path: Path) -> None:
    """A key past its date is refused like an unknown one."""

    def expired(settings: dict[str, Any]) -> None:
        settings["tenants"]["globex"]["keys"][0]["expires"] = "2020-01-01T00:00:00Z"

    async with running_stack(tmp_path, change=expired) as stack:
        reply = await stack.call("GET", "/v1/accounts", tenant="globex")
        assert (reply.status, reply.json["code"]) == (401, "unauthorized")
