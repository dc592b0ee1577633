"""``gateway payments resolve`` and ``silent`` against a running gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.support.cli import run
from tests.support.clients.operators import ADMIN_KEY, with_key
from tests.support.clients.psp_callbacks import expire, new_payment
from tests.support.scenarios import creditkey
from tests.support.stack import GatewayStack, running_stack

REASON = ("--reason", "seen in the portal")


@pytest.fixture
async def staffed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A running stack, and the operators' key in the environment."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    async with running_stack(tmp_path, change=with_key) as opened:
        yield opened


async def payments(stack: GatewayStack, *arguments: str) -> Result:
    """Run a command against the stack, beside it."""
    return await asyncio.to_thread(run, "payments", *arguments, "--admin-url", stack.admin_url)


async def printed(stack: GatewayStack, *arguments: str) -> Any:
    """What a command that goes well prints as JSON."""
    result = await payments(stack, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_what_expired_silently_is_found_and_resolved(staffed: GatewayStack) -> None:
    """The list names the payment in full; resolving it takes the whole evidence, and the list is empty."""
    payment = await new_payment(staffed)
    await expire(staffed, payment["id"])
    assert payment["id"] in (await payments(staffed, "silent")).stdout
    assert [one["id"] for one in (await printed(staffed, "silent", "--tenant", "acme"))["data"]] == [payment["id"]]
    totals = ("--amount-captured", "100.00", "--amount-refunded", "30.00")
    told = await printed(
        staffed, "resolve", payment["id"], "--state", "partially_refunded", *totals, *REASON, "--actor", "dana"
    )
    assert (told["state"], told["amount_captured"], told["amount_refunded"]) == (
        "partially_refunded",
        "100.00",
        "30.00",
    )
    details = (await staffed.events(payment["id"]))[-1]["details"]
    assert details["actor"] == "operator (dana)"
    assert (await printed(staffed, "silent"))["data"] == []


async def test_a_person_sees_the_payment_as_it_is(staffed: GatewayStack) -> None:
    """State, totals and version, one to a line."""
    payment = await new_payment(staffed)
    shown = await payments(
        staffed, "resolve", payment["id"], "--state", "captured", *REASON, "--provider-reference", "T-3"
    )
    assert shown.exit_code == 0, shown.output
    assert ["state", "captured"] in [line.split() for line in shown.stdout.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--state", "captured", *REASON, "--version", "9"), 1, "version 9 is stale"),
        (("--state", "failed", *REASON, "--amount-captured", "9.00"), 1, "$.amount_captured"),
        (("--state", "captured"), 2, "--reason"),
        (("--state", "created", *REASON), 2, "--state"),
        (("--state", "captured", *REASON, "--amount-refunded", "a few"), 2, "--amount-refunded"),
    ],
)
async def test_what_cannot_be_is_one_line(
    staffed: GatewayStack, arguments: tuple[str, ...], status: int, words: str
) -> None:
    """The listener's words and 1, or usage and 2; the payment stays."""
    payment = await new_payment(staffed)
    result = await payments(staffed, "resolve", payment["id"], *arguments)
    assert result.exit_code == status
    assert words in result.output
    assert (await staffed.payment(payment["id"]))["version"] == payment["version"]


async def test_a_range_is_looked_at_again(staffed: GatewayStack) -> None:
    """Counted first; with --apply they are queued, and what changed at the provider is known."""
    payment = await creditkey.captured(staffed)
    await creditkey.edit(staffed, payment, refunded_amount="10.00")
    arguments = ("sync", "--account", "creditkey-main", "--since", "2026-01-01", "--state", "captured")
    counted = await payments(staffed, *arguments)
    assert (counted.exit_code, "1 would be looked up" in counted.stderr) == (0, True)
    assert (await printed(staffed, *arguments, "--apply", "--reason", "refunds by hand"))["queued"] == 1
    await staffed.gateway.tasks.drain(10)
    assert (await staffed.payment(payment["id"]))["amount_refunded"] == "10.00"


async def test_one_payment_is_looked_at_again(staffed: GatewayStack) -> None:
    """By its id, at once."""
    payment = await creditkey.captured(staffed)
    await creditkey.edit(staffed, payment, refunded_amount="10.00")
    assert (await printed(staffed, "sync", payment["id"]))["queued"] == 1
    await staffed.gateway.tasks.drain(10)
    assert (await staffed.payment(payment["id"]))["amount_refunded"] == "10.00"
