"""A copy of a request that looked its key up just before the first was reserved meets that one's effect: it is answered
by the key, never refused because of its own operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from gateway.drivers.store.reads import IdempotencyRecord
from gateway.flows.payments import idempotency
from tests.support.scenarios.creditkey import BEGUN, act, awaiting, calls, operations, total_of
from tests.support.stack import GatewayStack, Reply, creditkey_body, new_key

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
    """The reference that the first holds is its own."""
    body, key = creditkey_body(), new_key()
    race = Overtaken(stack, lambda: stack.create(body, key=key))
    copy = await stack.create(body, key=key)
    assert race.first is not None
    assert (copy.status, copy.text) == (201, race.first.text)


async def test_another_request_is_still_refused(stack: GatewayStack) -> None:
    """Under another key the state says what it always said."""
    payment = await awaiting(stack)
    assert (await act(stack, payment, "cancel")).status == 200
    other = await act(stack, payment, "cancel")
    assert (other.status, other.json["code"]) == (409, "invalid_state")
