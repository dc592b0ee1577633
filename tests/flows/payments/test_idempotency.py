"""A copy of a request that began before the first was reserved meets that one's effect: it is answered by the key,
never refused because of its own operation. A finished request is answered from the store, whatever else fails now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from gateway.core.errors import LowDisk, Unavailable
from gateway.drivers.store.reads import IdempotencyRecord
from gateway.drivers.store.statements import Unit
from gateway.flows.payments import create, idempotency
from tests.support.scenarios.creditkey import BEGUN, act, awaiting, calls, operations, total_of
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key, psp_body

CALLS = {"capture": "confirm_order", "cancel": "cancel_order", "update": "update_order", "refund": "refund"}


class Case(NamedTuple):
    """A state, and a request that its own effect would refuse."""

    state: str
    verb: str
    body: Mapping[str, Any]


CASES = {
    "capture": Case("authorized", "capture", {}),
    "cancel": Case("authorized", "cancel", {}),
    "cancel before the customer": Case("awaiting_customer", "cancel", {}),
    "update": Case("authorized", "update", total_of("1100.00")),
    "refund of all": Case("captured", "refund", {}),
    "refund of most": Case("captured", "refund", {"amount": "1000.00"}),
}


class Overtaken:
    """Runs the first request, whole, after its copy has looked the key up and found nothing."""

    def __init__(self, stack: GatewayStack, send: Any) -> None:
        self._stack, self._send = stack, send
        self._look = stack.gateway.store.idempotency_record
        self.first: Reply | None = None
        stack.gateway.store.idempotency_record = self._look_first  # type: ignore[method-assign]

    async def _look_first(self, tenant: str, key: str) -> IdempotencyRecord | None:
        found = await self._look(tenant, key)
        if self.first is None:
            self._stack.gateway.store.idempotency_record = self._look  # type: ignore[method-assign]
            self.first = await self._send()
        return found


@pytest.mark.parametrize("name", CASES)
async def test_a_copy_gets_the_answer_of_the_first(stack: GatewayStack, name: str) -> None:
    """The first has its answer: the copy gets the same bytes, and the provider is called once."""
    case, key = CASES[name], new_key()
    payment = await BEGUN[case.state](stack)
    race = Overtaken(stack, lambda: act(stack, payment, case.verb, case.body, key=key))
    copy = await act(stack, payment, case.verb, case.body, key=key)
    assert race.first is not None
    assert race.first.status in (200, 201), race.first.text
    assert (copy.status, copy.text) == (race.first.status, race.first.text)
    assert copy.headers["Idempotency-Replayed"] == "true"
    assert len(await calls(stack, payment, CALLS[case.verb])) == 1


@pytest.mark.parametrize("name", CASES)
async def test_a_copy_waits_where_the_first_has_no_outcome(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The first was lost: the copy is told so, and is not refused by an operation that it does not know."""
    monkeypatch.setattr(idempotency, "REPLAY_WAIT_SECONDS", 0.01)
    case, key = CASES[name], new_key()
    payment = await BEGUN[case.state](stack)
    await stack.faults("creditkey", operation=CALLS[case.verb], silence="before_effect", times=1)
    race = Overtaken(stack, lambda: act(stack, payment, case.verb, case.body, key=key))
    copy = await act(stack, payment, case.verb, case.body, key=key)
    assert race.first is not None
    assert race.first.status == 202, race.first.text
    assert (copy.status, copy.json["code"]) == (409, "request_in_progress")
    assert "has no outcome yet" in copy.json["detail"]
    assert (await operations(stack, payment))[-1][1] == "unknown"


async def test_a_copy_of_a_create_gets_its_answer(stack: GatewayStack) -> None:
    """The copy was planned when the first ran, whole: it conflicts on the key, not on the reference they share."""
    body, key, commit = creditkey_body(), new_key(), stack.gateway.store.commit
    first: list[Reply] = []

    async def after_the_first(tenant: str, unit: Unit) -> None:
        stack.gateway.store.commit = commit
        first.append(await stack.create(body, key=key))
        await commit(tenant, unit)

    stack.gateway.store.commit = after_the_first
    copy = await stack.create(body, key=key)
    assert (copy.status, copy.text) == (201, first[0].text)
    assert copy.headers["Idempotency-Replayed"] == "true"
    assert len(await stack.provider_orders("creditkey")) == 1


READS = ("idempotency_record", "payment", "operation", "reference_owner", "payment_by_provider_reference")


async def test_a_new_create_reads_nothing(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key and reference are proved by what is written, the outcome is applied to what was reserved, its answer handed
    over."""

    def noted(name: str) -> Any:
        async def read(*_: object) -> None:
            pytest.fail(f"reads {name}")

        return read

    with monkeypatch.context() as patched:
        for name in READS:
            patched.setattr(stack.gateway.store, name, noted(name))
        created = await stack.create(psp_body())
    assert created.status == 201, created.text
    assert (await stack.payment(created.json["id"]))["state"] == "awaiting_customer"


def takes_no_writes(stack: GatewayStack, _: pytest.MonkeyPatch) -> None:
    """The store refuses every unit of work."""

    async def full(*_: object) -> None:
        raise Unavailable("planted")

    stack.gateway.store.commit = full


def fills_the_disk(_: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no room for a new payment."""

    def full(*_: object) -> None:
        raise LowDisk("planted")

    monkeypatch.setattr(create, "require_disk", full)


TROUBLES = {"no writes": takes_no_writes, "no room": fills_the_disk}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_finished_create_is_repeated_whatever_fails(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """No error of planning or reserving is told for a request that has its answer."""
    body, key = psp_body(), new_key()
    first = await stack.create(body, key=key)
    TROUBLES[trouble](stack, monkeypatch)
    again = await stack.create(body, key=key)
    assert (again.status, again.text, again.headers["Idempotency-Replayed"]) == (201, first.text, "true")
    other = await stack.create(psp_body(), key=new_key())
    assert (other.status, other.json["code"]) in ((503, "store_unavailable"), (503, "low_disk"))


async def test_a_repeated_create_asks_no_provider(stack: GatewayStack) -> None:
    """In a restored store planning asks the provider for an order from before; for a known key nobody is asked."""
    stack.gateway.restored_at = stack.gateway.clock.now()
    body, key = creditkey_body(), new_key()
    first = await stack.create(body, key=key)
    asked = len(await stack.provider_requests("creditkey"))
    again = await stack.create(body, key=key)
    assert (again.status, again.text, again.headers["Idempotency-Replayed"]) == (201, first.text, "true")
    assert len(await stack.provider_requests("creditkey")) == asked == 2


async def test_another_request_is_still_refused(stack: GatewayStack) -> None:
    """Under another key the state says what it always said."""
    payment = await awaiting(stack)
    assert (await act(stack, payment, "cancel")).status == 200
    other = await act(stack, payment, "cancel")
    assert (other.status, other.json["code"]) == (409, "invalid_state")
