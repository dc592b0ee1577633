"""Every provider fault at every command, with the request lost or arrived: answer, outcome, and nothing done twice.

The provider's own ledger decides. A real simulator runs behind a real faulty TCP proxy; nothing is mocked.
"""

from __future__ import annotations

import logging
import tracemalloc
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from gateway.core.commands import Kind
from gateway.core.payment import Operation
from tests.faults.fault_table import FAULTS, NO_FAULT, Fault
from tests.faults.faulty_stack import COMMANDS, Command, FaultyStack, begin_psp, pay_page
from tests.faults.proxy import Arrival

shared = pytest.mark.asyncio(loop_scope="module")

CHANGING = tuple(command for command in COMMANDS if command.kind is not None)
(LOOKUP,) = (command for command in COMMANDS if command.kind is None)
PSP_OPERATION = "url"
EXPIRED = timedelta(minutes=11)
"""Longer than a PSP payment of this stack waits for its customer."""

NAMED = {fault.name: fault for fault in FAULTS}
RESOLVED_AS: Mapping[tuple[str, Arrival], tuple[str, str | None]] = {
    **{(command.name, Arrival.ARRIVED): ("succeeded", None) for command in CHANGING},
    **{(command.name, Arrival.LOST): ("declined", "not_done") for command in CHANGING},
    ("create", Arrival.LOST): ("unknown", None),  # that it finds nothing proves nothing there
    ("create_where_absence_proves", Arrival.LOST): ("declined", "not_created"),
    ("complete", Arrival.ARRIVED): ("declined", "not_done"),  # its effect cannot be seen in the stage
}
"""Final status of an unknown operation, and its failure code."""

MAX_MEMORY_BYTES = 4_000_000
"""Peak bytes that one exchange may take, both ends included."""


def rows(*commands: Command) -> list[Any]:
    """Every possible combination of fault, command and arrival."""
    return [
        pytest.param(fault, command, arrival, id=f"{command.name}-{fault.name}-{arrival}")
        for command in commands
        for fault in FAULTS
        for arrival in fault.arrivals
        if command.names_ids or not fault.names_ids
    ]


@shared
@pytest.mark.parametrize(("fault", "command", "arrival"), rows(*CHANGING))
async def test_a_change_ends_as_the_provider_has_it(
    faulty: FaultyStack, fault: Fault, command: Command, arrival: Arrival
) -> None:
    """A fault has the outcome that the rule says, and afterwards the gateway shows what the provider's ledger has."""
    payment = await command.prepare(faulty, command, arrival)
    async with faulty.with_fault("creditkey", command.operation, fault, arrival, command.account):
        reply = await command.execute(faulty, payment)
        payment_id = payment.get("id") or reply.json["id"]
        assert reply.status == expected_status(fault, command), reply.text
        assert statuses(await faulty.operations(payment_id, command.kind)) == expected_at_first(fault)
        assert_not_failed_too_soon(await faulty.stack.payment(payment_id), fault, command)

    await faulty.run_schedule(rounds=1)
    if command.name != "complete":  # which was read once already, right after it
        read_once = await faulty.operations(payment_id, command.kind)
        assert fault.verdict == "declined" or "declined" not in statuses(read_once)  # one read proves no absence
    await faulty.run_schedule(rounds=1)
    assert (await faulty.sync({"id": payment_id})).status == 200
    now = await faulty.stack.payment(payment_id)
    order = await faulty.order("creditkey", now)
    operations = await faulty.operations(payment_id, command.kind)
    assert (statuses(operations), operations[0].failure and operations[0].failure.code) == expected_at_last(
        fault, command, arrival
    )
    assert shown(now) == expected_payment(order, fault, command)
    assert effects(order, command.ledger_event) == (
        1 if arrival is Arrival.ARRIVED or command.name == "complete" else 0
    )
    assert_sent_once(faulty, "creditkey", command.operation, fault, operations)
    await assert_no_gap(faulty, now)


@shared
@pytest.mark.parametrize(("fault", "command", "arrival"), rows(LOOKUP))
async def test_a_lookup_that_fails_changes_nothing(
    faulty: FaultyStack, fault: Fault, command: Command, arrival: Arrival
) -> None:
    """A corrupted lookup changes nothing, whatever happened meanwhile; the next one applies it."""
    payment = await command.prepare(faulty, command, arrival)
    async with faulty.with_fault("creditkey", command.operation, fault, arrival):
        reply = await command.execute(faulty, payment)
        proves_nothing = fault.status == 404 and fault.verdict == "declined"
        assert reply.status == (200 if proves_nothing or fault.names_ids else 502), reply.text
        assert await faulty.stack.payment(payment["id"]) == payment
        assert len(faulty.proxies["creditkey"].requests) == (fault.corrupt is not None)

    assert (await faulty.sync(payment)).status == 200
    now = await faulty.stack.payment(payment["id"])
    assert shown(now) == expected_payment(await faulty.order("creditkey", now), fault, command)
    assert now["state"] == ("canceled" if arrival is Arrival.ARRIVED else "authorized")
    await assert_no_gap(faulty, now)


@shared
@pytest.mark.parametrize(
    ("fault", "arrival"),
    [
        pytest.param(fault, arrival, id=f"{fault.name}-{arrival}")
        for fault in FAULTS
        if not fault.names_ids
        for arrival in fault.arrivals
    ],
)
async def test_a_psp_create_waits_for_its_callback(faulty: FaultyStack, fault: Fault, arrival: Arrival) -> None:
    """Without lookups only the callback resolves an unknown create; without one it expires and stays unknown."""
    async with faulty.with_fault("psp", PSP_OPERATION, fault, arrival):
        reply = await begin_psp(faulty)
        assert reply.status == (202 if fault.verdict == "unknown" else 201), reply.text
        payment = reply.json
        assert statuses(await faulty.operations(payment["id"], Kind.CREATE)) == expected_at_first(fault)
        assert payment["state"] == ("created" if fault.verdict == "unknown" else "failed")

    order = await faulty.order("psp", payment)
    assert (order is not None) == (arrival is Arrival.ARRIVED)
    if order is None:
        await faulty.run_schedule(rounds=1, each=EXPIRED)
    else:
        await pay_page(faulty, order)
    now = await faulty.stack.payment(payment["id"])
    operations = await faulty.operations(payment["id"], Kind.CREATE)
    review = now["review"] and now["review"]["reason"]
    assert (now["state"], operations[-1].status, review) == psp_end(fault, arrival)
    assert_sent_once(faulty, "psp", PSP_OPERATION, fault, operations)
    await assert_no_gap(faulty, now)


@shared
@pytest.mark.parametrize("command", CHANGING, ids=lambda command: command.name)
async def test_every_claim_would_be_believed(faulty: FaultyStack, command: Command) -> None:
    """The answer that the faults corrupt is accepted when it is complete: only the fault makes it unknown."""
    payment = await command.prepare(faulty, command, Arrival.LOST)
    async with faulty.with_fault("creditkey", command.operation, NO_FAULT, Arrival.LOST):
        reply = await command.execute(faulty, payment)
    assert reply.status == command.success_status
    operations = await faulty.operations(payment.get("id") or reply.json["id"], command.kind)
    assert statuses(operations) == ["succeeded"]


@shared
async def test_the_psp_claim_would_be_believed(faulty: FaultyStack) -> None:
    """The answer that the faults corrupt is accepted when it is complete."""
    async with faulty.with_fault("psp", PSP_OPERATION, NO_FAULT, Arrival.LOST):
        reply = await begin_psp(faulty)
    assert (reply.status, reply.json["state"]) == (201, "awaiting_customer")


@shared
@pytest.mark.parametrize("name", ["endless_body", "gzip_bomb", "slow_drip"])
async def test_a_huge_answer_costs_little_memory(faulty: FaultyStack, name: str) -> None:
    """An answer that never ends, or grows when unpacked, is dropped at the limit or the deadline."""
    payment = await LOOKUP.prepare(faulty, LOOKUP, Arrival.LOST)
    async with faulty.with_fault("creditkey", LOOKUP.operation, NAMED[name], Arrival.ARRIVED):
        tracemalloc.start()
        try:
            reply = await LOOKUP.execute(faulty, payment)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert reply.status == 502
    assert peak < MAX_MEMORY_BYTES


@shared
@pytest.mark.parametrize("name", ["status_401", "status_403"])
async def test_refused_credentials_alarm(faulty: FaultyStack, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """A provider that refuses our credentials is logged as an error, with the account and without a secret."""
    async with faulty.with_fault("psp", PSP_OPERATION, NAMED[name], Arrival.LOST):
        with caplog.at_level(logging.ERROR, logger="gateway"):
            await begin_psp(faulty)
    (record,) = [one for one in caplog.records if one.msg == "the provider refuses our credentials"]
    logged = [vars(record)[field] for field in ("levelname", "provider", "account", "status")]
    assert logged == ["ERROR", "psp_open_api", "psp-main", NAMED[name].status]


def expected_status(fault: Fault, command: Command) -> int:
    """The HTTP status of the tenant's answer: no outcome is an error; a browser is always redirected."""
    return 202 if fault.verdict == "unknown" and command.name != "complete" else command.success_status


def expected_at_first(fault: Fault) -> list[str]:
    """The operations' statuses right after the answer: a connection that was not made is tried once more."""
    return [fault.verdict] * (2 if fault.corrupt is None else 1)


def expected_at_last(fault: Fault, command: Command, arrival: Arrival) -> tuple[list[str], str | None]:
    """The operations' statuses after lookups, and the failure code of the first."""
    ended, code = RESOLVED_AS[command.name, arrival] if fault.verdict == "unknown" else (fault.verdict, fault.verdict)
    # A completion moves no money, so one that was not done is requested again.
    return [ended] * len(expected_at_first(fault)) + ["succeeded"] * (command.name == "complete"), code


def expected_payment(order: Any, fault: Fault, command: Command) -> tuple[str, str, str, str, str | None]:
    """What the gateway must show: what the ledger has, unless the provider refused.

    A create fails on a refusal even if it was false; an update that happened despite a refusal goes to review.
    """
    was_refused = fault.verdict != "unknown"
    if order is None or (command.ledger_event == "begun" and was_refused):
        is_open = command.name == "create" and not was_refused
        return ("created" if is_open else "failed", "1067.33", "0.00", "0.00", None)
    recorded = (_state_of(order), order["amount"], _captured(order), order["refunded_amount"])
    if command.name == "update" and was_refused and effects(order, command.ledger_event):
        return ("authorized", "1067.33", "0.00", "0.00", "amount")
    return (*recorded, None)


def _state_of(order: Any) -> str:
    if order["status"] == "canceled":
        return "canceled"
    if order["capture_status"] == "captured":
        return "captured" if order["refunded_amount"] == "0.00" else "partially_refunded"
    return "authorized" if order["completed"] else "awaiting_customer"


def _captured(order: Any) -> str:
    return str(order["amount"]) if order["capture_status"] == "captured" else "0.00"


def shown(payment: Any) -> tuple[str, str, str, str, str | None]:
    """The state, amounts and review reason of a payment."""
    review = payment["review"] and payment["review"]["reason"]
    return (*(payment[name] for name in ("state", "amount", "amount_captured", "amount_refunded")), review)


def psp_end(fault: Fault, arrival: Arrival) -> tuple[str, str, str | None]:
    """State, operation and review of a PSP payment after its customer paid or, without a page, after it expired."""
    if fault.verdict != "unknown":
        return ("failed", fault.verdict, "contradiction" if arrival is Arrival.ARRIVED else None)
    return ("captured", "succeeded", None) if arrival is Arrival.ARRIVED else ("expired", "unknown", None)


def statuses(operations: list[Operation]) -> list[str]:
    """The operations' statuses, oldest first."""
    return [str(operation.status) for operation in operations]


def effects(order: Any, mark: str) -> int:
    """How often the provider's ledger has an effect."""
    return [entry["event"] for entry in order["history"]].count(mark) if order is not None else 0


def assert_not_failed_too_soon(payment: Any, fault: Fault, command: Command) -> None:
    """Only a create that certainly did not happen fails its payment; any other is shown as open."""
    assert (payment["state"] == "failed") == (command.ledger_event == "begun" and fault.verdict != "unknown")
    pending = payment["pending_operation"]
    assert (pending and pending["status"]) == ("unknown" if fault.verdict == "unknown" else None)


def assert_sent_once(faulty: FaultyStack, provider: str, operation: str, fault: Fault, made: list[Operation]) -> None:
    """No operation was sent twice, nothing else was sent, and no redirect was followed."""
    changing = [request.operation for request in faulty.proxies[provider].requests if request.method == "POST"]
    never_left = 2 if fault.corrupt is None else 0
    assert changing == [operation] * (len(made) - never_left)
    assert not [request for request in faulty.proxies[provider].requests if request.operation == "elsewhere"]


async def assert_no_gap(faulty: FaultyStack, payment: Any) -> None:
    """Each version of the payment is one event."""
    versions = [event["version"] for event in await faulty.stack.events(payment["id"])]
    assert versions == list(range(1, payment["version"] + 1))
