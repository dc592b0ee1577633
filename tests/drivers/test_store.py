"""Every statement's expectation and every read, on a real SQLite file."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.errors import Conflict, Reason
from gateway.core.facts import Event, Observation, Stage
from gateway.core.payment import Operation, State, Status
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import inbox, schedule, statements
from gateway.drivers.store.reads import PaymentSnapshot, Store
from tests.support.factories.payments import AT, LATER, make_operation
from tests.support.factories.store_units import (
    FINGERPRINT,
    GRACE_BEGAN,
    a_callback,
    conflict,
    create_of,
    first_event,
    reserving,
    resolved_payment,
    stored,
)

EVENT = Event(event_id="e-1", observation=Observation(stage=Stage.CAPTURED))


# Reserving


async def test_what_is_reserved_is_read_back(store: Store) -> None:
    """Payment, open operation, key, event and webhook are there together."""
    payment, operation = await stored(store, 1)
    assert await store.payment("acme", "pay_001") == PaymentSnapshot(payment, operation)
    assert await store.operation("acme", "pay_001", "op_001") == operation
    key = await store.idempotency_record("acme", "key-00000001")
    assert key is not None
    assert (key.fingerprint, key.operation_id, key.payment_id, key.created_at, key.answer) == (
        FINGERPRINT,
        "op_001",
        "pay_001",
        milliseconds(AT),
        None,
    )
    assert await store.events("acme", "pay_001") == [("evt_pay_001", first_event(payment))]
    assert [row.id for row in await store.deliveries.of_payment("acme", "pay_001")] == ["dlv_pay_001"]


@pytest.mark.parametrize(
    ("same", "on"),
    [
        ({"idempotency_key": "key-00000001"}, "idempotency_key"),
        ({"merchant_reference": "SO-1"}, "merchant_reference"),
    ],
)
async def test_a_second_create_conflicts_on_what_it_shares(store: Store, same: dict[str, str], on: str) -> None:
    """The same key or reference is one conflict by name, and nothing of the second create is kept."""
    await stored(store, 1)
    payment, operation = create_of(2)
    payment = replace(payment, merchant_reference=same.get("merchant_reference", "SO-2"))
    operation = replace(operation, idempotency_key=same.get("idempotency_key", "key-00000002"))
    assert await conflict(store, reserving(payment, operation)) == on
    assert await store.payment("acme", "pay_002") is None
    assert await store.events("acme", "pay_002") == []
    assert await store.deliveries.of_payment("acme", "pay_002") == []
    assert await store.reference_owner("acme", "main", "SO-2") is None
    if on != "idempotency_key":
        assert await store.idempotency_record("acme", "key-00000002") is None


async def test_keys_and_ids_belong_to_a_tenant(store: Store) -> None:
    """Another tenant may use the same key, ids and reference."""
    await stored(store, 1)
    payment, _ = await stored(store, 1, tenant="globex")
    loaded = await store.payment("globex", "pay_001")
    assert loaded is not None
    assert loaded.payment == payment


async def test_another_account_may_use_the_reference(store: Store) -> None:
    """A reference is held per tenant and account."""
    await stored(store, 1)
    await stored(store, 2, merchant_reference="SO-1", account="other")
    assert await store.reference_owner("acme", "other", "SO-1") == "pay_002"


# One open operation, and versions


@pytest.mark.parametrize("is_open", [True, False])
async def test_one_open_operation_per_payment(store: Store, is_open: bool) -> None:
    """While an operation is on its way, or without an outcome however long, no second one is opened."""
    payment, _ = await stored(store, 1)
    if is_open:
        payment = await resolved_payment(store, 2, State.CREATED, is_open=True)
    second = make_operation(Kind.CAPTURE, Status.SENDING, id="op_009", payment_id=payment.id)
    assert await conflict(store, [statements.open_operation(payment, second, due_at=AT)]) == "version"
    assert [operation.id for operation in await store.operations("acme", payment.id)] == [f"op_{payment.id[4:]}"]


async def test_a_settled_operation_makes_room(store: Store) -> None:
    """After the first is settled a second one is opened; the payment is checked when that was said."""
    payment = await resolved_payment(store, 1, State.AUTHORIZED)
    second = make_operation(Kind.CAPTURE, Status.SENDING, id="op_002", payment_id="pay_001")
    assert await conflict(store, [statements.open_operation(payment, second, due_at=AT)]) == ""
    loaded = await store.payment("acme", "pay_001")
    assert loaded is not None
    assert (loaded.open_operation, loaded.open_operation_id) == (second, "op_002")
    assert [operation.id for operation in await store.operations("acme", "pay_001")] == ["op_001", "op_002"]
    assert await store.operation("acme", "pay_001", "op_002") == second
    assert [row.payment_id for row in await store.due_checks(AT, 9)] == ["pay_001"]


async def test_an_operation_opens_only_on_the_version_that_was_read(store: Store) -> None:
    """A payment that moved since it was read takes no operation."""
    payment = await resolved_payment(store, 1, State.AUTHORIZED)
    second = make_operation(Kind.CAPTURE, Status.SENDING, id="op_002", payment_id="pay_001")
    older = replace(payment, revision=0)
    assert await conflict(store, [statements.open_operation(older, second, due_at=AT)]) == "version"


@pytest.mark.parametrize(
    ("ahead", "open_before", "on"),
    [
        (0, "op_001", ""),
        (1, "op_001", "version"),
        (-1, "op_001", "version"),
        (0, None, "version"),
        (0, "op_9", "version"),
    ],
)
async def test_a_payment_moves_only_from_where_it_was_read(
    store: Store, ahead: int, open_before: str | None, on: str
) -> None:
    """Another revision, or another open operation than was read, is a conflict."""
    payment, operation = await stored(store, 1)
    before = replace(payment, revision=payment.revision + ahead)
    after = replace(payment, version=2, state=State.AWAITING_CUSTOMER)
    read = None if open_before is None else replace(operation, id=open_before)
    update = statements.update_payment(before, after, open_before=read, open_after=None)
    assert await conflict(store, [update]) == on


@pytest.mark.parametrize("missing", ["globex", "acme"])
async def test_a_payment_that_is_not_there_is_a_conflict(store: Store, missing: str) -> None:
    """Nothing is updated where nothing is."""
    payment, _ = create_of(1, tenant=missing)
    update = statements.update_payment(payment, payment, open_before=None, open_after=None)
    assert await conflict(store, [update]) == "version"


async def test_a_version_has_one_event(store: Store) -> None:
    """A second event of the same version is a conflict."""
    payment, _ = await stored(store, 1)
    assert await conflict(store, [statements.insert_event("evt_9", payment, first_event(payment))]) == "version"


# Outcomes


@pytest.mark.parametrize("began", [Status.SENDING, Status.UNKNOWN])
@pytest.mark.parametrize("to", [Status.SENDING, Status.UNKNOWN])
async def test_an_open_operation_never_goes_back(store: Store, began: Status, to: Status) -> None:
    """What is open may be written again, but what is unknown is never on its way again."""
    payment, operation = await stored(store, 1)
    before = replace(operation, status=began)
    await store.commit("acme", [statements.update_payment(payment, payment, open_before=operation, open_after=before)])
    after, payment = replace(before, status=to, note="learnt"), replace(payment, revision=payment.revision + 1)
    if (began, to) == (Status.UNKNOWN, Status.SENDING):
        with pytest.raises(Conflict, match="operation"):
            statements.update_payment(payment, payment, open_before=before, open_after=after)
        return
    await store.commit("acme", [statements.update_payment(payment, payment, open_before=before, open_after=after)])
    assert await store.operation("acme", "pay_001", "op_001") == after
    assert await store.open_operation(to, "op_001") == after


async def test_what_is_on_its_way_stays_so_while_its_payment_moves(store: Store) -> None:
    """A callback may move a payment before the reply to its operation comes."""
    payment, operation = await stored(store, 1)
    moved = replace(payment, state=State.AUTHORIZED)
    await store.commit("acme", [statements.update_payment(payment, moved, open_before=operation, open_after=operation)])
    assert await store.open_operations(Status.SENDING) == [operation]


@pytest.mark.parametrize("ended", [Status.SUCCEEDED, Status.DECLINED, Status.NOT_SENT, Status.WRITTEN_OFF])
async def test_a_settled_operation_stays_as_it_is(store: Store, ended: Status) -> None:
    """What is settled is settled: nothing writes it a second time."""
    await resolved_payment(store, 1, State.AUTHORIZED)
    before = await store.operation("acme", "pay_001", "op_001")
    assert before is not None
    assert await conflict(store, [statements.insert_ended_operation(replace(before, status=ended))]) == "operation"
    assert await store.operation("acme", "pay_001", "op_001") == before


async def test_an_operation_is_followed_by_another_in_one_write(store: Store) -> None:
    """One that was not sent ends where the next one begins: the payment is never without."""
    payment, operation = await stored(store, 1)
    following = replace(operation, id="op_002")
    update = statements.update_payment(payment, payment, open_before=operation, open_after=following)
    ended = replace(operation, status=Status.NOT_SENT)
    await store.commit("acme", [update, statements.insert_ended_operation(ended)])
    assert await store.operations("acme", "pay_001") == [ended, following]
    assert await store.open_operations(Status.SENDING) == [following]


async def test_open_operations_by_status(store: Store) -> None:
    """Operations on their way and unknown ones are found, oldest first; settled ones are not."""
    for number in (2, 1, 3):
        await stored(store, number)
    await resolved_payment(store, 4, State.CREATED, is_open=True)
    await resolved_payment(store, 5, State.AUTHORIZED)
    assert [operation.id for operation in await store.open_operations("sending")] == ["op_001", "op_002", "op_003"]
    assert [operation.id for operation in await store.open_operations("unknown")] == ["op_004"]
    assert await store.open_operations("succeeded") == []


async def end(store: Store, operation: Operation, answer: bytes) -> None:
    """End an operation whose payment is as it was stored."""
    payment, _ = create_of(1)
    update = statements.update_payment(payment, payment, open_before=operation, open_after=None)
    ended = statements.insert_ended_operation(replace(operation, status=Status.SUCCEEDED), (201, answer))
    await store.commit("acme", [update, ended])


async def test_an_answer_comes_with_the_outcome(store: Store) -> None:
    """The key has an answer from the moment its operation has ended, and it is stored to the byte."""
    _, operation = await stored(store, 1)
    await end(store, operation, b'{"a":"\xc3\xa4"}')
    key = await store.idempotency_record("acme", "key-00000001")
    assert key is not None
    assert (key.answer_status, key.answer) == (201, '{"a":"ä"}')


async def test_only_the_newest_operation_of_a_key_answers(store: Store) -> None:
    """When a key was passed on, the answer of the operation before it is not the request's."""
    _, operation = await stored(store, 1)
    await store.commit("acme", [statements.move_idempotency_key(replace(operation, id="op_002"))])
    await end(store, operation, b"{}")
    key = await store.idempotency_record("acme", "key-00000001")
    assert key is not None
    assert (key.operation_id, key.answer) == ("op_002", None)


async def test_a_key_that_is_not_there_is_not_passed_on(store: Store) -> None:
    """Passing on a key that nobody claimed is a conflict."""
    assert await conflict(store, [statements.move_idempotency_key(create_of(1)[1])]) == "idempotency_key"


# Who holds a reference

COUNTS: list[tuple[State, dict[str, Any], bool]] = [
    (State.CREATED, {"is_open": True}, True),
    (State.AWAITING_CUSTOMER, {}, True),
    (State.PROCESSING, {}, True),
    (State.AUTHORIZED, {}, True),
    (State.CAPTURED, {}, True),
    (State.PARTIALLY_REFUNDED, {}, True),
    (State.REFUNDED, {}, True),
    (State.FAILED, {}, False),
    (State.CANCELED, {}, False),
    (State.FAILED, {"is_open": True}, False),
    (State.AUTHORIZED, {"replaced_by": "pay_9"}, False),
    (State.EXPIRED, {"expired_at": AT}, False),
    (State.EXPIRED, {"expired_at": AT, "is_open": True}, True),
    (State.EXPIRED, {"expired_at": AT - timedelta(hours=72), "is_open": True}, True),
    (State.EXPIRED, {"expired_at": AT - timedelta(hours=72, seconds=1), "is_open": True}, False),
]
"""State, what else is so, and whether the payment keeps others from its reference (now is ``AT``)."""


@pytest.mark.parametrize(("state", "members", "counts"), COUNTS)
async def test_who_holds_a_reference(store: Store, state: State, members: dict[str, Any], counts: bool) -> None:
    """A reference is taken from a payment that failed, was canceled or replaced, or expired with nothing open."""
    await resolved_payment(store, 1, state, **members)
    payment, operation = create_of(2, merchant_reference="SO-1")
    assert await conflict(store, reserving(payment, operation)) == ("merchant_reference" if counts else "")
    assert await store.reference_owner("acme", "main", "SO-1") == ("pay_001" if counts else "pay_002")


async def test_a_holder_cannot_take_its_own_reference_twice(store: Store) -> None:
    """A live payment keeps its reference also from a repetition of its own create."""
    payment, _ = await stored(store, 1)
    assert await conflict(store, [statements.claim_reference(payment, grace_began_before=GRACE_BEGAN)]) == (
        "merchant_reference"
    )


async def test_a_reference_is_passed_back_only_by_its_holder(store: Store) -> None:
    """A payment gets its reference back from the successor that holds it, and from nobody else."""
    old = await resolved_payment(store, 1, State.AUTHORIZED, replaced_by="pay_002")
    await stored(store, 2, merchant_reference="SO-1")
    await store.commit("acme", [statements.move_reference(old, holder="pay_003")])
    assert await store.reference_owner("acme", "main", "SO-1") == "pay_002"
    await store.commit("acme", [statements.move_reference(old, holder="pay_002")])
    assert await store.reference_owner("acme", "main", "SO-1") == "pay_001"


# Callbacks and hints


async def test_an_event_is_applied_once_per_account(store: Store) -> None:
    """A second applied row of the same event is a conflict; another account's is not."""

    def row(number: int, account: str = "main", verdict: str = "recorded") -> list[statements.Statement]:
        return [
            inbox.insert_callback(
                f"cb_{number}",
                tenant="acme",
                account=account,
                callback=a_callback(),
                verdict=verdict,
                event=EVENT,
                payment_id="pay_001",
            )
        ]

    assert not await store.inbox.was_applied("acme", "main", "e-1")
    assert await conflict(store, row(1)) == ""
    assert await store.inbox.was_applied("acme", "main", "e-1")
    assert not await store.inbox.was_applied("acme", "other", "e-1")
    assert await conflict(store, row(2)) == "event"
    assert await conflict(store, row(3, account="other")) == ""
    assert await conflict(store, row(4, verdict="repeated")) == ""
    assert await conflict(store, row(5, verdict="refused")) == ""


async def test_a_refused_event_was_not_applied(store: Store) -> None:
    """A refused row is evidence: the same event is judged anew."""
    refused = inbox.insert_callback(
        "cb_1",
        tenant="acme",
        account="main",
        callback=a_callback(),
        verdict="refused",
        reason=Reason.AMOUNT,
        event=EVENT,
        payment_id="pay_001",
    )
    await store.commit("acme", [refused])
    assert not await store.inbox.was_applied("acme", "main", "e-1")
    found = await store.inbox.of_payment("acme", "pay_001")
    assert [row[2:] for row in found] == [("pay/callback", "refused", "amount")]


async def test_refused_callbacks_are_trimmed(store: Store) -> None:
    """Only the newest refused rows of an account are kept; other rows and accounts are not touched."""

    async def insert(name: str, account: str, verdict: str) -> None:
        await store.commit(
            "acme",
            [
                inbox.insert_callback(
                    name, tenant="acme", account=account, callback=a_callback(), verdict=verdict, payment_id="pay_1"
                )
            ],
        )

    for number in range(5):
        await insert(f"cb_{number}_refused", "main", "refused")
        await insert(f"cb_{number}_recorded", "main", "recorded")
        await insert(f"cb_{number}_other", "other", "refused")
    await store.commit("acme", [inbox.trim_refused("acme", "main", 2)])
    left = [row[0] for row in await store.inbox.of_payment("acme", "pay_1")]
    assert [name for name in left if "refused" in name] == ["cb_3_refused", "cb_4_refused"]
    assert len(left) == 2 + 5 + 5


@pytest.mark.parametrize("keep", [5, 6])
async def test_few_refused_callbacks_stay(store: Store, keep: int) -> None:
    """With no more rows than may be kept nothing is removed."""
    for number in range(5):
        await store.commit(
            "acme",
            [
                inbox.insert_callback(
                    f"cb_{number}",
                    tenant="acme",
                    account="main",
                    callback=a_callback(),
                    verdict="refused",
                    payment_id="pay_1",
                )
            ],
        )
    await store.commit("acme", [inbox.trim_refused("acme", "main", keep)])
    assert len(await store.inbox.of_payment("acme", "pay_1")) == 5


async def test_one_hint_per_payment_and_key(store: Store) -> None:
    """A second hit of the same key makes the hint due again; closing an older hit leaves the newer one due."""
    hit, again = milliseconds(AT), milliseconds(LATER)
    await store.commit("acme", [schedule.store_hint("acme", "pay_1", "CK-1", AT)])
    await store.commit("acme", [schedule.store_hint("acme", "pay_1", "CK-1", LATER)])
    assert await store.due_hints("acme", "pay_1") == [("CK-1", again)]
    await store.commit("acme", [schedule.close_hint("acme", "pay_1", "CK-1", hit)])
    assert await store.due_hints("acme", "pay_1") == [("CK-1", again)]
    await store.commit("acme", [schedule.close_hint("acme", "pay_1", "CK-1", again)])
    assert await store.due_hints("acme", "pay_1") == []
    await store.commit("acme", [schedule.store_hint("acme", "pay_1", "CK-1", AT)])
    assert await store.due_hints("acme", "pay_1") == [("CK-1", hit)]


async def test_hints_of_other_keys_are_others(store: Store) -> None:
    """Each key that was named is a hint of its own, the newest first."""
    await store.commit("acme", [schedule.store_hint("acme", "pay_1", "CK-1", AT)])
    await store.commit("acme", [schedule.store_hint("acme", "pay_1", "CK-2", LATER)])
    assert [key for key, _ in await store.due_hints("acme", "pay_1")] == ["CK-2", "CK-1"]
