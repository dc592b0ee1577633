"""What plugins that observe are told: every version of every payment, whoever or whatever made it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType

import pytest

import gateway
from gateway.core.facts import ReviewResolved
from gateway.core.payment import State
from gateway.flows.background import reconcile
from gateway.flows.payments import review
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import TimedStack, act, idle, timeline
from tests.support.stack import running_stack
from tests.support.virtual_clock import VirtualClock

Seen = list[tuple[str, int, int]]

ABOVE_THE_LIMIT = creditkey.total_of("1217.33", allow_new_checkout=True)


@pytest.fixture
def seen() -> Seen:
    """What the plugin was told: payment id, the payment's version and the event's."""
    return []


@pytest.fixture
async def timed(tmp_path: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TimedStack]:
    """A gateway with a plugin that observes, and a clock that the test moves."""
    monkeypatch.setattr(reconcile, "run", idle)
    clock = VirtualClock()
    async with running_stack(tmp_path, clock=clock, extra_plugins=(observer_of(seen),)) as stack:
        yield TimedStack(stack, clock)


def observer_of(seen: Seen) -> ModuleType:
    """A plugin that observes and offers nothing else."""

    @gateway.hookimpl
    def gateway_providers() -> list[gateway.Provider]:
        return []

    @gateway.hookimpl
    def gateway_payment_changed(payment: gateway.Payment, event: gateway.PaymentEvent) -> None:
        seen.append((payment.id, payment.version, event.version))

    plugin = ModuleType("observer")
    plugin.gateway_providers = gateway_providers  # type: ignore[attr-defined]
    plugin.gateway_payment_changed = gateway_payment_changed  # type: ignore[attr-defined]
    return plugin


async def replaced(timed: TimedStack) -> list[str]:
    """A PATCH above the limit makes a version of the payment that is replaced, and the replacement's first."""
    old = await creditkey.authorized(timed.stack)
    begun = await act(timed.stack, old, "update", ABOVE_THE_LIMIT)
    return [old["id"], begun.json["replaced_by"]]


async def reinstated(timed: TimedStack) -> list[str]:
    """A cancel of the replacement makes a version of the payment that stands again."""
    old, replacement = await replaced(timed)
    assert (await act(timed.stack, {"id": replacement}, "cancel")).json["state"] == "canceled"
    assert (await timed.stack.payment(old))["replaced_by"] is None
    return [old, replacement]


async def flagged(timed: TimedStack) -> list[str]:
    """A capture of the replaced order at the provider flags both payments."""
    old, replacement = await replaced(timed)
    await creditkey.edit(timed.stack, await timed.stack.payment(old), status="shipped", capture_status="captured")
    await act(timed.stack, {"id": old}, "sync")
    assert (await timed.stack.payment(replacement))["review"]["reason"] == "two_live_orders"
    return [old, replacement]


async def resolved(timed: TimedStack) -> list[str]:
    """A person who clears a flag makes a version."""
    old, replacement = await flagged(timed)
    decided = ReviewResolved(actor="dana", reason="looked at both")
    assert (await review.resolve_review(timed.stack.gateway, old, decided)).review is None
    return [old, replacement]


async def expired(timed: TimedStack) -> list[str]:
    """The clock makes a version of a payment whose time is over."""
    payment = await creditkey.awaiting(timed.stack)
    await timed.advance(30 * creditkey.DAY)
    assert (await timed.stack.payment(payment["id"]))["state"] == State.EXPIRED
    return [payment["id"]]


@pytest.mark.parametrize("change", [replaced, reinstated, flagged, resolved, expired])
async def test_an_observer_sees_every_version(
    timed: TimedStack, seen: Seen, change: Callable[[TimedStack], Awaitable[list[str]]]
) -> None:
    """A plugin is called for each version of a payment's timeline once, in order, with the payment as of it."""
    changed = await change(timed)
    await timed.stack.gateway.tasks.drain(10)
    for payment_id in changed:
        versions = range(1, len(await timeline(timed.stack, {"id": payment_id})) + 1)
        assert [one for one in seen if one[0] == payment_id] == [(payment_id, one, one) for one in versions]
