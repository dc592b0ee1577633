"""Every statement's expectation and every read, on a real SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.commands import Kind
from gateway.core.errors import Reason
from gateway.core.facts import Event, Observation, Stage
from gateway.core.payment import Review, ReviewReason, State, Status
from gateway.core.views import payment_view
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import inbox, schedule, statements
from gateway.drivers.store.reads import PaymentFilter, PaymentSnapshot, Store
from gateway.drivers.store.rows import PageRequest
from gateway.drivers.store.sqlite import open_sqlite
from gateway.drivers.store.statements import Statement
from tests.support.factories.payments import AT, LATER, make_operation
from tests.support.factories.store_units import (
    FINGERPRINT,
    GRACE_BEGAN,
    a_callback,
    conflict,
    create_of,
    database,
    first_event,
    reserving,
    settled,
    stored,
)

EVENT = Event(event_id="e-1", observation=Observation(stage=Stage.CAPTURED))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    opened = await open_sqlite(database(tmp_path))
    yield opened
    await opened.close()


# Reserving


async def test_what_is_reserved_is_read_back(store: Store) -> None:
    """Payment, open operation, key, event and webhook are there together."""
    payment, operation = await stored(store, 1)
    assert await store.payment("acme", "pay_001") == PaymentSnapshot(payment, operation)
    assert await store.operation("acme", "op_001") == operation
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
        ({"operation": "op_001"}, "operation"),
    ],
)
async def test_a_second_create_conflicts_on_what_it_shares(store: Store, same: dict[str, str], on: str) -> None:
    """The same key, reference or operation is one conflict by name, and nothing of the second create is kept."""
    await stored(store, 1)
    payment, operation = create_of(2)
    payment = replace(payment, merchant_reference=same.get("merchant_reference", "SO-2"))
    operation = replace(
        operation,
        idempotency_key=same.get("idempotency_key", "key-00000002"),
        id=same.get("operation", "op_002"),
    )
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


async def test_one_open_operation_per_payment(store: Store) -> None:
    """While an operation is open a second one conflicts, on the payment's row and on the operations' index alike."""
    payment, _ = await stored(store, 1)
    second = make_operation(Kind.CAPTURE, Status.SENDING, id="op_002", payment_id="pay_001")
    assert await conflict(store, [statements.open_operation(payment, "op_002")]) == "version"
    assert await conflict(store, [statements.insert_operation(second)]) == "operation"


@pytest.mark.parametrize("status", [Status.UNKNOWN, Status.SENDING])
async def test_the_index_counts_unknown_as_open(store: Store, status: Status) -> None:
    """An operation may be unknown as long as it likes: no other one is opened."""
    await settled(store, 1, State.CREATED, is_open=True)
    second = make_operation(Kind.CAPTURE, status, id="op_002", payment_id="pay_001")
    assert await conflict(store, [statements.insert_operation(second)]) == "operation"


async def test_a_settled_operation_makes_room(store: Store) -> None:
    """After the first is settled a second one is opened."""
    payment = await settled(store, 1, State.AUTHORIZED)
    second = make_operation(Kind.CAPTURE, Status.SENDING, id="op_002", payment_id="pay_001")
    unit = [statements.open_operation(payment, "op_002"), statements.insert_operation(second)]
    assert await conflict(store, unit) == ""
    loaded = await store.payment("acme", "pay_001")
    assert loaded is not None
    assert (loaded.open_operation, loaded.open_operation_id) == (second, "op_002")
    assert [operation.id for operation in await store.operations("acme", "pay_001")] == ["op_001", "op_002"]


async def test_an_operation_opens_only_on_the_version_that_was_read(store: Store) -> None:
    """A payment that moved since it was read takes no operation."""
    payment = await settled(store, 1, State.AUTHORIZED)
    assert await conflict(store, [statements.open_operation(replace(payment, revision=0), "op_002")]) == "version"


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
    payment, _ = await stored(store, 1)
    before = replace(payment, revision=payment.revision + ahead)
    after = replace(payment, version=2, state=State.AWAITING_CUSTOMER)
    update = statements.update_payment(before, after, open_before=open_before, open_after=None)
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
@pytest.mark.parametrize("to", list(Status))
async def test_an_open_operation_ends_but_never_goes_back(store: Store, began: Status, to: Status) -> None:
    """From ``sending`` and ``unknown`` every status but ``sending`` can be reached."""
    _, operation = await stored(store, 1)
    if began is Status.UNKNOWN:
        await store.commit([statements.update_operation(replace(operation, status=began))])
    update = statements.update_operation(replace(operation, status=to))
    assert await conflict(store, [update]) == ("operation" if to is Status.SENDING else "")
    now = await store.operation("acme", "op_001")
    assert now is not None
    assert now.status is (began if to is Status.SENDING else to)


@pytest.mark.parametrize("ended", [Status.SUCCEEDED, Status.DECLINED, Status.NOT_SENT, Status.WRITTEN_OFF])
@pytest.mark.parametrize("to", list(Status))
async def test_a_settled_operation_stays_as_it_is(store: Store, ended: Status, to: Status) -> None:
    """What is settled is settled."""
    _, operation = await stored(store, 1)
    await store.commit([statements.update_operation(replace(operation, status=ended))])
    assert await conflict(store, [statements.update_operation(replace(operation, status=to, note="x"))]) == "operation"
    now = await store.operation("acme", "op_001")
    assert now is not None
    assert (now.status, now.note) == (ended, None)


async def test_open_operations_by_status(store: Store) -> None:
    """Operations on their way and unknown ones are found, oldest first; settled ones are not."""
    for number in (2, 1, 3):
        await stored(store, number)
    await settled(store, 4, State.CREATED, is_open=True)
    await settled(store, 5, State.AUTHORIZED)
    assert [operation.id for operation in await store.open_operations("sending")] == ["op_001", "op_002", "op_003"]
    assert [operation.id for operation in await store.open_operations("unknown")] == ["op_004"]
    assert await store.open_operations("succeeded") == []


async def test_an_answer_is_stored_once(store: Store) -> None:
    """The first answer stands; nobody overwrites it."""
    _, operation = await stored(store, 1)
    await store.commit([statements.store_answer(operation, 201, b'{"a":"\xc3\xa4"}')])
    await store.commit([statements.store_answer(operation, 200, b"{}")])
    key = await store.idempotency_record("acme", "key-00000001")
    assert key is not None
    assert (key.answer_status, key.answer) == (201, '{"a":"ä"}')


async def test_only_the_newest_operation_of_a_key_answers(store: Store) -> None:
    """When a key was passed on, the operation before it stores no answer any more."""
    _, operation = await stored(store, 1)
    await store.commit([statements.move_idempotency_key(replace(operation, id="op_002"))])
    await store.commit([statements.store_answer(operation, 201, b"{}")])
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
    await settled(store, 1, state, **members)
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
    old = await settled(store, 1, State.AUTHORIZED, replaced_by="pay_002")
    await stored(store, 2, merchant_reference="SO-1")
    await store.commit([statements.move_reference(old, holder="pay_003")])
    assert await store.reference_owner("acme", "main", "SO-1") == "pay_002"
    await store.commit([statements.move_reference(old, holder="pay_002")])
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
    await store.commit([refused])
    assert not await store.inbox.was_applied("acme", "main", "e-1")
    found = await store.inbox.of_payment("acme", "pay_001")
    assert [row[2:] for row in found] == [("pay/callback", "refused", "amount")]


async def test_refused_callbacks_are_trimmed(store: Store) -> None:
    """Only the newest refused rows of an account are kept; other rows and accounts are not touched."""

    async def insert(name: str, account: str, verdict: str) -> None:
        await store.commit(
            [
                inbox.insert_callback(
                    name, tenant="acme", account=account, callback=a_callback(), verdict=verdict, payment_id="pay_1"
                )
            ]
        )

    for number in range(5):
        await insert(f"cb_{number}_refused", "main", "refused")
        await insert(f"cb_{number}_recorded", "main", "recorded")
        await insert(f"cb_{number}_other", "other", "refused")
    await store.commit([inbox.trim_refused("acme", "main", 2)])
    left = [row[0] for row in await store.inbox.of_payment("acme", "pay_1")]
    assert [name for name in left if "refused" in name] == ["cb_3_refused", "cb_4_refused"]
    assert len(left) == 2 + 5 + 5


@pytest.mark.parametrize("keep", [5, 6])
async def test_few_refused_callbacks_stay(store: Store, keep: int) -> None:
    """With no more rows than may be kept nothing is removed."""
    for number in range(5):
        await store.commit(
            [
                inbox.insert_callback(
                    f"cb_{number}",
                    tenant="acme",
                    account="main",
                    callback=a_callback(),
                    verdict="refused",
                    payment_id="pay_1",
                )
            ]
        )
    await store.commit([inbox.trim_refused("acme", "main", keep)])
    assert len(await store.inbox.of_payment("acme", "pay_1")) == 5


async def test_one_hint_per_payment_and_key(store: Store) -> None:
    """A second hit of the same key makes the hint due again; closing an older hit leaves the newer one due."""
    hit, again = milliseconds(AT), milliseconds(LATER)
    await store.commit([schedule.store_hint("acme", "pay_1", "CK-1", AT)])
    await store.commit([schedule.store_hint("acme", "pay_1", "CK-1", LATER)])
    assert await store.due_hints("acme", "pay_1") == [("CK-1", again)]
    await store.commit([schedule.close_hint("acme", "pay_1", "CK-1", hit)])
    assert await store.due_hints("acme", "pay_1") == [("CK-1", again)]
    await store.commit([schedule.close_hint("acme", "pay_1", "CK-1", again)])
    assert await store.due_hints("acme", "pay_1") == []
    await store.commit([schedule.store_hint("acme", "pay_1", "CK-1", AT)])
    assert await store.due_hints("acme", "pay_1") == [("CK-1", hit)]


async def test_hints_of_other_keys_are_others(store: Store) -> None:
    """Each key that was named is a hint of its own, the newest first."""
    await store.commit([schedule.store_hint("acme", "pay_1", "CK-1", AT)])
    await store.commit([schedule.store_hint("acme", "pay_1", "CK-2", LATER)])
    assert [key for key, _ in await store.due_hints("acme", "pay_1")] == ["CK-2", "CK-1"]


# The agenda


async def agenda_rows(store: Store) -> list[tuple[str, int, int]]:
    """The whole agenda as (payment, seconds from the start, tries)."""
    rows = await store.due_checks(AT + timedelta(days=9), 100)
    return [(row.payment_id, (row.due_at - milliseconds(AT)) // 1000, row.tries) for row in rows]


def seconds(number: int) -> Any:
    """A moment, so many seconds from the start."""
    return AT + timedelta(seconds=number)


async def test_a_change_sets_the_next_look(store: Store) -> None:
    """Setting replaces the moment and begins to count anew; no moment removes the row."""
    payment, _ = create_of(1)
    await store.commit([schedule.schedule_check(payment, seconds(30))])
    await store.commit(
        [schedule.record_check("acme", "pay_001", was_due=milliseconds(seconds(30)), due_at=seconds(60), tries=3)]
    )
    assert await agenda_rows(store) == [("pay_001", 60, 3)]
    await store.commit([schedule.schedule_check(payment, seconds(90))])
    assert await agenda_rows(store) == [("pay_001", 90, 0)]
    await store.commit([schedule.schedule_check(payment, None)])
    assert await agenda_rows(store) == []


async def test_a_look_can_be_hastened_but_not_put_off(store: Store) -> None:
    """A nearer moment wins, whichever came first."""
    await store.commit([schedule.bring_check_forward("acme", "pay_001", seconds(30))])
    await store.commit([schedule.bring_check_forward("acme", "pay_001", seconds(60))])
    assert await agenda_rows(store) == [("pay_001", 30, 0)]
    await store.commit([schedule.bring_check_forward("acme", "pay_001", seconds(10))])
    assert await agenda_rows(store) == [("pay_001", 10, 0)]


@pytest.mark.parametrize("due", [None, 99])
async def test_a_look_that_was_overtaken_sets_nothing(store: Store, due: int | None) -> None:
    """When a change has set another moment meanwhile, the look's own next moment is not taken."""
    await store.commit([schedule.schedule_check(create_of(1)[0], seconds(30))])
    next_due = None if due is None else seconds(due)
    await store.commit([schedule.record_check("acme", "pay_001", was_due=milliseconds(AT), due_at=next_due, tries=1)])
    assert await agenda_rows(store) == [("pay_001", 30, 0)]
    was = milliseconds(seconds(30))
    await store.commit([schedule.record_check("acme", "pay_001", was_due=was, due_at=next_due, tries=1)])
    assert await agenda_rows(store) == ([] if due is None else [("pay_001", 99, 1)])


async def test_what_is_due_first_comes_first(store: Store) -> None:
    """Due looks come in the order of their moments, at most as many as wanted; the next one after them is known."""
    for number, due in ((1, 20), (2, 10), (3, 40)):
        await store.commit([schedule.schedule_check(create_of(number)[0], seconds(due))])
    assert [row.payment_id for row in await store.due_checks(seconds(20), 9)] == ["pay_002", "pay_001"]
    assert [row.payment_id for row in await store.due_checks(seconds(20), 1)] == ["pay_002"]
    assert await store.next_check_due(seconds(20)) == milliseconds(seconds(40))
    assert await store.next_check_due(seconds(40)) is None


# Lists


def wanted(**members: Any) -> PaymentFilter:
    """A filter of up to 50 rows."""
    return PaymentFilter(**{"limit": 50, **members})


async def ids(store: Store, **members: Any) -> list[str]:
    """The ids that a filter finds."""
    return [loaded.payment.id for loaded in await store.payments("acme", wanted(**members))]


async def test_lists_are_newest_first_and_go_on_at_the_cursor(store: Store) -> None:
    """Pages of two, each beginning below the last id of the one before, show everything once."""
    for number in (3, 1, 5, 2, 4):
        await stored(store, number)
    assert await ids(store, limit=2) == ["pay_005", "pay_004"]
    assert await ids(store, limit=2, cursor="pay_004") == ["pay_003", "pay_002"]
    assert await ids(store, limit=2, cursor="pay_002") == ["pay_001"]
    assert await ids(store, limit=2, cursor="pay_001") == []


async def test_list_filters(store: Store) -> None:
    """Each filter alone, and all of them together."""
    await stored(store, 1)
    await stored(store, 2, account="other", created_at=AT + timedelta(hours=1))
    await settled(store, 3, State.AUTHORIZED)
    await stored(store, 4, tenant="globex")
    rows: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["pay_003", "pay_002", "pay_001"]),
        ({"merchant_reference": "SO-2"}, ["pay_002"]),
        ({"merchant_reference": "so-2"}, []),
        ({"state": "authorized"}, ["pay_003"]),
        ({"account": "other"}, ["pay_002"]),
        ({"created_after": AT}, ["pay_002"]),
        ({"created_after": AT - timedelta(seconds=1)}, ["pay_003", "pay_002", "pay_001"]),
        ({"created_before": AT + timedelta(hours=1)}, ["pay_003", "pay_001"]),
        ({"created_before": AT}, []),
        ({"account": "main", "state": "created", "merchant_reference": "SO-1", "created_before": LATER}, ["pay_001"]),
        ({"merchant_reference": "SO-1' OR '1'='1"}, []),
    ]
    for members, found in rows:
        assert await ids(store, **members) == found, members


async def test_lists_show_the_open_operation(store: Store) -> None:
    """Each row comes with its open operation, as one read shows it."""
    payment, operation = await stored(store, 1)
    (listed,) = await store.payments("acme", wanted())
    assert payment_view(listed.payment, listed.open_operation) == payment_view(payment, operation)


async def test_lists_do_not_read_what_was_bought(store: Store) -> None:
    """A list, and a payment that is only shown, read neither the purchase nor the open operation's document."""
    await stored(store, 1)
    await store.commit([Statement("UPDATE payments SET purchase = 'no JSON'", ())])
    await store.commit([Statement("UPDATE operations SET doc = 'no JSON'", ())])
    (listed,) = await store.payments("acme", wanted())
    assert listed.payment.id == "pay_001"
    assert listed == await store.summary("acme", "pay_001")


async def test_reviews(store: Store) -> None:
    """Payments with the flag up, of the tenants that are asked for."""
    await stored(store, 1)
    flag = Review(reason=ReviewReason.AMOUNT, since=AT)
    await settled(store, 2, State.AUTHORIZED, review=flag)
    await settled(store, 3, State.AUTHORIZED, review=flag)
    assert [loaded.payment.id for loaded in await store.reviews(["acme", "globex"], PageRequest(limit=9))] == [
        "pay_003",
        "pay_002",
    ]
    assert await store.reviews(["globex"], PageRequest(limit=9)) == []


async def test_accounts_in_use(store: Store) -> None:
    """An account is in use while a payment of it is open or in grace."""
    rows: list[tuple[int, State, dict[str, Any]]] = [
        (1, State.AWAITING_CUSTOMER, {"account": "waiting"}),
        (2, State.CAPTURED, {"account": "done"}),
        (3, State.CAPTURED, {"account": "refunding", "is_open": True}),
        (4, State.EXPIRED, {"account": "in grace", "expired_at": AT - timedelta(hours=72)}),
        (5, State.EXPIRED, {"account": "past grace", "expired_at": AT - timedelta(hours=73)}),
        (6, State.FAILED, {"account": "failed"}),
    ]
    for number, state, members in rows:
        await settled(store, number, state, **members)
    assert {account for _, account, _, _ in await store.accounts_in_use(GRACE_BEGAN)} == {
        "waiting",
        "refunding",
        "in grace",
    }


async def test_a_payment_is_found_by_its_provider_reference(store: Store) -> None:
    """The provider's reference names a payment within one account of one tenant."""
    await settled(store, 1, State.AUTHORIZED, provider_reference="0042")
    assert await store.payment_by_provider_reference("acme", "main", "0042") == "pay_001"
    assert await store.payment_by_provider_reference("acme", "main", "42") is None
    assert await store.payment_by_provider_reference("acme", "other", "0042") is None
    assert await store.payment_by_provider_reference("globex", "main", "0042") is None


async def test_what_is_missing(store: Store) -> None:
    """What is not there is None or an empty list, for another tenant as well."""
    await stored(store, 1)
    assert await store.payment("globex", "pay_001") is None
    assert await store.operation("globex", "op_001") is None
    assert await store.idempotency_record("globex", "key-00000001") is None
    assert await store.operations("globex", "pay_001") == []
    assert await store.events("globex", "pay_001") == []
