"""A callback that reports several things: each is judged and stored by itself, and the answer words the worst."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

import gateway
from gateway.core.errors import Reason, Unavailable
from gateway.core.facts import Busy, Recorded, Refused, Repeated, Verdict
from gateway.flows.background import inbox_retry
from gateway.flows.callbacks import explain, receive, reprocess
from gateway.flows.callbacks.reprocess import Order
from tests.support.scenarios import creditkey
from tests.support.scripted_provider import KEY, ScriptedStack, observation, running_scripted_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

REVERIFY = Order(by="dana", how="reverify")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack with the outside plugin for all tests here; nobody works off its inbox by itself."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inbox_retry, "run", creditkey.idle)
        async with running_scripted_stack(tmp_path_factory.mktemp("stack")) as made:
            yield made


@pytest.fixture
def scripted(opened: ScriptedStack) -> ScriptedStack:
    """A plugin whose callbacks are ``{"batch": […]}``: events, and hints where ``event_id`` is absent."""
    opened.reset()

    def verify(callback: gateway.Callback, account: gateway.Account) -> Any:
        if gateway.header(callback.headers, "X-Key") != [account.config.key.reveal()]:
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the key is wrong")
        return tuple(map(part, gateway.loads(callback.body)["batch"]))

    opened.provider.verify = verify  # type: ignore[method-assign]
    return opened


def part(said: dict[str, Any]) -> gateway.Event | gateway.Hint:
    """One thing of a batch."""
    said = dict(said)
    event_id = said.pop("event_id", None)
    return gateway.Hint(**said) if event_id is None else gateway.Event(event_id=event_id, observation=observation(said))


def paid(payment: Any, **members: Any) -> dict[str, Any]:
    """The event that a payment was captured."""
    said = {"stage": "captured", "amount": "10.00", "currency": "USD", "payment_id": payment["id"]}
    return {**said, "event_id": f"paid {payment['id']}", **members}


async def send(scripted: ScriptedStack, *batch: Any, key: str = KEY, **more: Any) -> tuple[int, str]:
    """Send a batch; status and text of the answer."""
    reply = await scripted.call_back({"batch": batch, **more}, key=key)
    return reply.status, reply.text


async def rows(scripted: ScriptedStack, count: int) -> list[Any]:
    """The newest callbacks, whole, in the order in which they were judged."""
    newest = (await scripted.inbox())[:count]
    return [await reprocess.find(scripted.stack.gateway, row.id) for row in reversed(newest)]


async def states(scripted: ScriptedStack, *payments: Any) -> list[str]:
    return [(await scripted.now(payment))["state"] for payment in payments]


async def test_each_of_a_batch_is_judged_and_stored_by_itself(scripted: ScriptedStack) -> None:
    """One was applied before, one does not fit its payment, one is applied: a row for each, with its event."""
    trio = [await scripted.begin() for _ in range(3)]
    batch = [paid(trio[0]), paid(trio[1], amount="9.00"), paid(trio[2])]
    assert await send(scripted, batch[0]) == (204, "")
    assert await send(scripted, *batch) == (422, "amount")
    stored = await rows(scripted, 3)
    assert [(row.verdict, row.reason) for row in stored] == [
        ("repeated", None),
        ("refused", "amount"),
        ("recorded", None),
    ]
    assert [row.event_id for row in stored] == [f"paid {payment['id']}" for payment in trio]
    assert await states(scripted, *trio) == ["captured", "awaiting_customer", "captured"]


async def test_a_batch_of_nothing_is_nothing_for_us(scripted: ScriptedStack) -> None:
    """An empty one is authentic and recorded as such."""
    assert await send(scripted) == (204, "")
    [row] = await rows(scripted, 1)
    assert (row.verdict, row.event) == ("recorded", None)


async def test_events_and_hints_come_together(scripted: ScriptedStack) -> None:
    """The event moves its payment; the hint causes a lookup of the other."""
    one, two = await scripted.begin(), await scripted.begin()
    scripted.answers({"stage": "authorized", "payment_id": two["id"]})
    assert await send(scripted, paid(one), {"payment_id": two["id"]}) == (204, "")
    await scripted.stack.gateway.tasks.drain(10)
    assert await states(scripted, one, two) == ["captured", "authorized"]


async def test_more_than_a_hundred_cannot_be_used(scripted: ScriptedStack) -> None:
    """It is refused as a whole, as is a tuple of anything else; nothing of it is applied."""
    one = await scripted.begin()
    batch = [paid(one, event_id=str(number)) for number in range(101)]
    assert await send(scripted, *batch) == (422, "unauthentic")
    [row] = await rows(scripted, 1)
    assert row.detail == "the plugin failed to verify: tuple: has more than 100 parts"
    scripted.provider.verify = lambda *_: (gateway.Hint(), None)  # type: ignore[method-assign]
    assert await send(scripted) == (422, "unauthentic")
    assert await states(scripted, one) == ["awaiting_customer"]


@pytest.mark.parametrize("failing", [0, 1])
async def test_one_that_fails_is_neither_lost_nor_in_the_way(
    scripted: ScriptedStack, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """The store refuses the effect of one: it is kept for a retry, and the other is applied."""
    pair = [await scripted.begin(), await scripted.begin()]
    apply_event = receive.apply_event

    async def broken(gw: Any, entry: Any, event: gateway.Event, new: Any) -> Any:
        if event.observation.payment_id == pair[failing]["id"]:
            raise Unavailable("planted")
        return await apply_event(gw, entry, event, new)

    monkeypatch.setattr(receive, "apply_event", broken)
    assert await send(scripted, *map(paid, pair)) == (204, "")
    assert [row.verdict for row in await rows(scripted, 2)][failing] == "pending"
    assert sorted(await states(scripted, *pair)) == ["awaiting_customer", "captured"]


async def test_one_that_cannot_even_be_kept_makes_the_sender_repeat(
    scripted: ScriptedStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is busy, although the other was applied; the repetition applies what is missing, once."""
    pair = [await scripted.begin(), await scripted.begin()]
    accept = receive.accept

    async def broken(gw: Any, new: Any) -> Any:
        if isinstance(new.proof, gateway.Event) and new.proof.observation.payment_id == pair[0]["id"]:
            raise RuntimeError("planted")
        return await accept(gw, new)

    monkeypatch.setattr(receive, "accept", broken)
    assert (await send(scripted, *map(paid, pair)))[0] == 503
    assert await states(scripted, *pair) == ["awaiting_customer", "captured"]
    monkeypatch.undo()
    assert await send(scripted, *map(paid, pair)) == (204, "")
    assert [row.verdict for row in await rows(scripted, 2)] == ["recorded", "repeated"]
    assert await states(scripted, *pair) == ["captured", "captured"]


@pytest.mark.parametrize(
    ("verdicts", "worst"),
    [
        ([Recorded(), Repeated(), Refused(reason=Reason.AMOUNT), Busy(), Recorded()], Busy()),
        ([Recorded(), Refused(reason=Reason.TIME), Refused(reason=Reason.AMOUNT)], Refused(reason=Reason.TIME)),
        ([Recorded(), Repeated(is_final=True), Repeated()], Repeated(is_final=True)),
        ([Recorded(), Recorded()], Recorded()),
    ],
)
async def test_the_worst_verdict_answers(verdicts: Sequence[Verdict], worst: Verdict) -> None:
    """Busy before refused before repeated before recorded; of equals the first."""
    assert receive.worst(verdicts) == worst


# What is kept, and judged again


async def test_a_stored_part_is_explained_and_judged_again_as_itself(scripted: ScriptedStack) -> None:
    """The second event was refused for an account that had no such payment; verified again, it is that one still."""
    one = await scripted.begin()
    later = {"merchant_reference": "SO-batch", "id": "later"}
    second = {**paid(later, merchant_reference="SO-batch"), "payment_id": None}
    assert await send(scripted, paid(one), second) == (422, "not_found")
    _, row = await rows(scripted, 2)
    said = await explain.explain(scripted.stack.gateway, row)
    assert (said.verdict, said.reason) == ("refused", "not_found")
    scripted.answers({"stage": "awaiting_customer"})
    made = (await scripted.create(merchant_reference="SO-batch")).json
    again = await reprocess.reverify(scripted.stack.gateway, row.id, REVERIFY)
    assert (again.evaluation.verdict.name, again.evaluation.payment_after.id) == ("recorded", made["id"])  # type: ignore[union-attr]
    assert await states(scripted, one, made) == ["captured", "captured"]


async def test_the_hint_of_a_batch_stays_one(scripted: ScriptedStack) -> None:
    """Verified again it proves nothing, and the event beside it is not applied once more."""
    one = await scripted.begin()
    assert await send(scripted, paid(one), {"payment_id": "pay_nobody"}) == (422, "not_found")
    before = await rows(scripted, 2)
    again = await reprocess.reverify(scripted.stack.gateway, before[1].id, REVERIFY)
    assert again.evaluation.verdict == Refused(reason=Reason.NOT_FOUND)
    said = await explain.explain(scripted.stack.gateway, before[1])
    assert (said.verdict, said.detail) == ("refused", 'this account has no payment "pay_nobody"')
    assert await rows(scripted, 2) == before


async def test_a_batch_that_was_refused_as_a_whole_is_applied_as_a_whole(scripted: ScriptedStack) -> None:
    """Its row becomes that of the last event, the others get rows of their own; a dry run changes nothing."""
    pair = [await scripted.begin(), await scripted.begin()]
    verify = scripted.provider.verify

    def rejecting(*_: Any) -> Any:
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "an old plugin")

    scripted.provider.verify = rejecting  # type: ignore[method-assign]
    assert await send(scripted, *map(paid, pair)) == (422, "unauthentic")
    [row] = await rows(scripted, 1)
    scripted.provider.verify = verify  # type: ignore[method-assign]
    said = await explain.explain(scripted.stack.gateway, row)
    assert "it reports 2 things: this explains the first" in said.proof.notes
    await reprocess.reverify(scripted.stack.gateway, row.id, replace(REVERIFY, dry_run=True))
    assert await states(scripted, *pair) == ["awaiting_customer"] * 2
    await reprocess.reverify(scripted.stack.gateway, row.id, REVERIFY)
    assert await states(scripted, *pair) == ["captured"] * 2
    ids = {one.event_id for one in await rows(scripted, 2)}
    assert ids == {f"paid {payment['id']}" for payment in pair}


async def test_a_batch_is_kept_as_often_as_there_is_room(scripted: ScriptedStack) -> None:
    """The first row holds the body as ever; the others share as much, and keep their event in any case."""
    for size, others in ((10_000, True), (30_000, False)):
        batch = [paid(await scripted.begin()) for _ in range(4)]
        assert await send(scripted, *batch, padding="x" * size) == (204, "")
        stored = await rows(scripted, 4)
        assert [bool(row.body) for row in stored] == [True, others, others, others]
        assert [row.is_whole for row in stored] == [True, others, others, others]
        assert all(row.event is not None for row in stored)
