"""``gateway find``: the payments that anything at hand leads to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.testing import Result

from tests.support.cli import run
from tests.support.clients.psp_callbacks import new_payment
from tests.support.scenarios.inbox import ADMIN_KEY, inbox_stack
from tests.support.stack import GatewayStack, psp_body


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A running stack, and the operators' key in the environment."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    async with inbox_stack(tmp_path) as (opened, _):
        yield opened


async def find(stack: GatewayStack, *arguments: object) -> Result:
    """Run the command against the stack, beside it."""
    result = await asyncio.to_thread(run, "find", *arguments, "--admin-url", stack.admin_url)
    assert result.exit_code == 0, result.output
    return result


async def test_it_shows_what_a_text_leads_to(stack: GatewayStack) -> None:
    """As a table, ids whole, and as JSON, as the payment's tenant reads it."""
    payment = await new_payment(stack, customer={"id": "C-1", "email": "ana@shop.example"})
    await new_payment(stack)
    table = (await find(stack, "Ana@shop.example")).stdout.splitlines()
    assert [line.split()[0] for line in table] == ["id", payment["id"]]
    shown = json.loads((await find(stack, "Ana@shop.example", "--json")).stdout)
    assert shown == {"data": [await stack.payment(payment["id"])], "next_cursor": None}
    assert json.loads((await find(stack, "nobody@shop.example", "--json")).stdout)["data"] == []


async def test_a_refused_request_is_shown(stack: GatewayStack) -> None:
    """Its code and what was wrong, as pairs."""
    refused = await stack.create(psp_body(amount="1,50", currency="usd?"))
    shown = (await find(stack, refused.headers["X-Request-Id"])).stdout
    assert dict(line.split(maxsplit=1) for line in shown.splitlines()) == {
        "request_id": refused.headers["X-Request-Id"],
        "at": json.loads((await find(stack, refused.headers["X-Request-Id"], "--json")).stdout)["refused_requests"][0][
            "at"
        ],
        "tenant": "acme",
        "route": "POST /v1/payments",
        "status": "422",
        "code": "validation_failed",
        "fields": '["$.amount","$.currency"]',
    }


async def test_conditions_alone_are_enough(stack: GatewayStack) -> None:
    """Each is the route's parameter of its name."""
    payment = await new_payment(stack, amount="7.00")
    await new_payment(stack)
    conditions = ("--tenant", "acme", "--state", "awaiting_customer", "--amount-min", "6.50", "--amount-max", "7")
    dates = ("--since", payment["created_at"], "--until", "2999-12-31")
    shown = json.loads((await find(stack, *conditions, *dates, "--json")).stdout)
    assert [one["id"] for one in shown["data"]] == [payment["id"]]


async def test_a_list_goes_on_where_the_one_before_ended(stack: GatewayStack) -> None:
    """The cursor of the next page is printed beside the table."""
    made = [(await new_payment(stack))["id"] for _ in range(3)]
    first = await find(stack, "--limit", "2")
    assert [line.split()[0] for line in first.stdout.splitlines()[1:]] == [made[2], made[1]]
    cursor = first.stderr.rpartition("--cursor ")[2].strip()
    rest = await find(stack, "--limit", "2", "--cursor", cursor)
    assert [line.split()[0] for line in rest.stdout.splitlines()[1:]] == [made[0]]
    assert rest.stderr == ""


async def test_what_is_wrong_is_named(stack: GatewayStack) -> None:
    """By the gateway, which knows what a parameter may be."""
    result = await asyncio.to_thread(run, "find", "--amount-min", "much", "--admin-url", stack.admin_url)
    assert result.exit_code == 1
    assert "amount_min: must be a decimal" in result.output
