"""Callers without a good key who fail again and again: they are limited, others at the same address are not."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.drivers.settings import Rate
from gateway.web import failure_limits
from gateway.web.failure_limits import MAX_ADDRESSES, OTHERS, FailureLimits
from tests.support.stack import GatewayStack, Reply, psp_body, running_stack
from tests.web.test_limits import Clock

OPERATORS_KEY = "gw_k1_test-key-of-the-operators"
BURST = 5
TOO_MANY = "too many failing requests without key or proof"


def with_operator(settings: dict[str, Any]) -> None:
    settings["server"]["admin"]["key_sha256"] = hashlib.sha256(OPERATORS_KEY.encode()).hexdigest()


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A stack in which few failures are too many."""
    monkeypatch.setattr(failure_limits, "FAILURE_RATE", Rate(per_second=0.001, burst=BURST))
    async with running_stack(tmp_path, change=with_operator) as opened:
        yield opened


async def ask(stack: GatewayStack, listener: str, key: str | None) -> Reply:
    """Ask one of the listeners for something under a key."""
    url = {"tenants": f"{stack.url}/v1/payments", "operators": f"{stack.admin_url}/admin/v1/reviews"}[listener]
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    async with stack.http.get(url, headers=headers) as answer:
        return Reply(answer.status, answer.headers, await answer.text())


GOOD = {"tenants": "gw_k1_test-key-of-acme", "operators": OPERATORS_KEY}


@pytest.mark.parametrize("listener", GOOD)
@pytest.mark.parametrize("key", [None, "gw_k1_wrong"])
async def test_failures_are_limited_and_good_keys_are_not(stack: GatewayStack, listener: str, key: str | None) -> None:
    """Too many requests without a good key are 429 with Retry-After; a good key from the same address always passes."""
    replies = []
    for _ in range(20):
        replies.append(await ask(stack, listener, key))
        assert (await ask(stack, listener, GOOD[listener])).status == 200
    assert Counter(reply.status for reply in replies) == {401: BURST, 429: 20 - BURST}
    last = replies[-1]
    assert last.json["code"] == "rate_limited"
    assert last.json["detail"].startswith("too many requests without a valid key: ")
    assert int(last.headers["Retry-After"]) > 0
    assert "WWW-Authenticate" not in last.headers


async def test_listeners_are_counted_apart(stack: GatewayStack) -> None:
    """A flood on the public listener changes nothing for anyone who mistypes an operators' key."""
    for _ in range(20):
        await ask(stack, "tenants", None)
    assert (await ask(stack, "operators", None)).status == 401


async def test_a_tenants_own_mistakes_are_not_counted(stack: GatewayStack) -> None:
    """A tenant with a good key may be refused as often as it likes, and each time is told why."""
    for _ in range(20):
        assert (await stack.create(psp_body(amount="0"))).json["code"] == "validation_failed"
        assert (await stack.call("GET", "/v1/payments/pay_unknown")).json["code"] == "not_found"


async def test_log_of_a_flood(stack: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """The log tells the address of each failure, and when there are too many no more than one line."""
    with caplog.at_level(logging.INFO, logger="gateway"):
        for _ in range(50):
            await ask(stack, "tenants", "gw_k1_wrong")
            await stack.call("GET", "/nothing/here", tenant=None)
        await ask(stack, "tenants", GOOD["tenants"])
    seen = Counter(
        (one.msg, one.status, getattr(one, "address", None)) for one in caplog.records if one.name == "gateway"
    )
    assert seen == {
        ("request", 401, "127.0.0.1"): BURST,
        (TOO_MANY, 401, "127.0.0.1"): 1,
        ("request", 404, "127.0.0.1"): BURST,
        (TOO_MANY, 404, "127.0.0.1"): 1,
        ("request", 200, None): 1,
    }


def test_lines_are_bounded(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many addresses there are, a minute has a bounded number of lines; the next tells how many there were."""
    monkeypatch.setattr(failure_limits, "FAILURE_RATE", Rate(per_second=0.001, burst=1))
    clock = Clock()
    counted = FailureLimits(clock)
    with caplog.at_level(logging.WARNING, logger="gateway"):
        for _ in range(4):
            for number in range(2 * MAX_ADDRESSES):
                counted.count(f"192.0.2.{number}", 401)
        assert len(caplog.records) == MAX_ADDRESSES + 1
        caplog.clear()
        clock.now += 61
        counted.count("192.0.2.0", 401)
    told = {(one.address, one.repeated) for one in caplog.records}  # type: ignore[attr-defined]
    assert ("192.0.2.1", 2) in told
    assert (OTHERS, 3 * MAX_ADDRESSES - 1) in told
    assert len(caplog.records) == MAX_ADDRESSES + 2
