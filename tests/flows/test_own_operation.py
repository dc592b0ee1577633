"""A copy of a request that looked its key up just before the first was reserved meets that one's effect: it is answered
by the key, never refused because of its own operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from gateway.drivers.store.queries import KeyRow
from gateway.flows.payments import idempotency
from tests.creditkey_story import BEGUN, act, awaiting, calls, operations, total_of
from tests.house import House, Reply, creditkey_body, new_key

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

    def __init__(self, house: House, send: Any) -> None:
        self._house, self._send = house, send
        self._look = house.gateway.store.key
        self.first: Reply | None = None
        house.gateway.store.key = self._look_first  # type: ignore[method-assign]

    async def _look_first(self, tenant: str, key: str) -> KeyRow | None:
        found = await self._look(tenant, key)
        if self.first is None:
            self._house.gateway.store.key = self._look  # type: ignore[method-assign]
            self.first = await self._send()
        return found


@pytest.mark.parametrize("name", CASES)
async def test_a_copy_gets_the_answer_of_the_first(house: House, name: str) -> None:
    """The first has its answer: the copy gets the same bytes, and the provider is called once."""
    case, key = CASES[name], new_key()
    payment = await BEGUN[case.state](house)
    race = Overtaken(house, lambda: act(house, payment, case.verb, case.body, key=key))
    copy = await act(house, payment, case.verb, case.body, key=key)
    assert race.first is not None
    assert race.first.status in (200, 201), race.first.text
    assert (copy.status, copy.text) == (race.first.status, race.first.text)
    assert copy.headers["Idempotency-Replayed"] == "true"
    assert len(await calls(house, payment, CALLS[case.verb])) == 1


@pytest.mark.parametrize("name", CASES)
async def test_a_copy_waits_where_the_first_has_no_outcome(
    house: House, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The first was lost: the copy is told so, and is not refused by an operation that it does not know."""
    monkeypatch.setattr(idempotency, "REPLAY_WAIT", 0.01)
    case, key = CASES[name], new_key()
    payment = await BEGUN[case.state](house)
    await house.faults("creditkey", operation=CALLS[case.verb], silence="before_effect", times=1)
    race = Overtaken(house, lambda: act(house, payment, case.verb, case.body, key=key))
    copy = await act(house, payment, case.verb, case.body, key=key)
    assert race.first is not None
    assert race.first.status == 202, race.first.text
    assert (copy.status, copy.json["code"]) == (409, "request_in_progress")
    assert "has no outcome yet" in copy.json["detail"]
    assert (await operations(house, payment))[-1][1] == "unknown"


async def test_a_copy_of_a_create_gets_its_answer(house: House) -> None:
    """The reference that the first holds is its own."""
    body, key = creditkey_body(), new_key()
    race = Overtaken(house, lambda: house.create(body, key=key))
    copy = await house.create(body, key=key)
    assert race.first is not None
    assert (copy.status, copy.text) == (201, race.first.text)


async def test_another_request_is_still_refused(house: House) -> None:
    """Under another key the state says what it always said."""
    payment = await awaiting(house)
    assert (await act(house, payment, "cancel")).status == 200
    other = await act(house, payment, "cancel")
    assert (other.status, other.json["code"]) == (409, "invalid_state")
