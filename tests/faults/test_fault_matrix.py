"""Every provider fault at every command, in both truths: what is answered, what it ends as, and nothing is done twice.

The far side's own ledger is the judge. A real simulator stands behind a real misbehaving TCP proxy; nothing is mocked.
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
from tests.faults.bench import COMMANDS, Bench, Command, begin_psp, press
from tests.faults.fault_table import BELIEVED, FAULTS, Fault
from tests.faults.proxy import Truth

shared = pytest.mark.asyncio(loop_scope="module")

CHANGING = tuple(command for command in COMMANDS if command.kind is not None)
(LOOKUP,) = (command for command in COMMANDS if command.kind is None)
PSP_OPERATION = "url"
EXPIRED = timedelta(minutes=11)
"""Longer than a PSP payment of the bench waits for its customer."""

NAMED = {fault.name: fault for fault in FAULTS}
SETTLED: Mapping[tuple[str, Truth], tuple[str, str | None]] = {
    **{(command.name, Truth.AFTER): ("succeeded", None) for command in CHANGING},
    **{(command.name, Truth.BEFORE): ("declined", "not_done") for command in CHANGING},
    ("create", Truth.BEFORE): ("unknown", None),  # that it finds nothing proves nothing there
    ("create_where_absence_proves", Truth.BEFORE): ("declined", "not_created"),
    ("complete", Truth.AFTER): ("declined", "not_done"),  # its effect cannot be seen in the stage
}
"""What an unknown operation ends as, and its failure code."""

MOST_MEMORY = 4_000_000
"""Bytes that one exchange may take at its peak, both ends of it counted."""


def rows(*commands: Command) -> list[Any]:
    """Every fault, command and truth that can be."""
    return [
        pytest.param(fault, command, truth, id=f"{command.name}-{fault.name}-{truth}")
        for command in commands
        for fault in FAULTS
        for truth in fault.truths
        if command.names_ids or not fault.names_ids
    ]


@shared
@pytest.mark.parametrize(("fault", "command", "truth"), rows(*CHANGING))
async def test_a_change_ends_as_the_far_side_tells(bench: Bench, fault: Fault, command: Command, truth: Truth) -> None:
    """A fault is judged by the outcome rule, and afterwards the gateway tells what the far side's ledger holds."""
    payment = await command.ahead(bench, command, truth)
    async with bench.suffering("creditkey", command.operation, fault, truth, command.account):
        reply = await command.ask(bench, payment)
        payment_id = payment.get("id") or reply.json["id"]
        assert reply.status == answered(fault, command), reply.text
        assert statuses(await bench.operations(payment_id, command.kind)) == at_once(fault)
        assert_not_failed_too_soon(await bench.house.payment(payment_id), fault, command)

    await bench.settle(rounds=1)
    if command.name != "complete":  # which was read once already, right after it
        read_once = await bench.operations(payment_id, command.kind)
        assert fault.verdict == "declined" or "declined" not in statuses(read_once)  # one read proves no absence
    await bench.settle(rounds=1)
    assert (await bench.sync({"id": payment_id})).status == 200
    now = await bench.house.payment(payment_id)
    order = await bench.order("creditkey", now)
    operations = await bench.operations(payment_id, command.kind)
    assert (statuses(operations), operations[0].failure and operations[0].failure.code) == at_last(
        fault, command, truth
    )
    assert telling(now) == truth_of(order, fault, command)
    assert effects(order, command.mark) == (1 if truth is Truth.AFTER or command.name == "complete" else 0)
    assert_sent_once(bench, "creditkey", command.operation, fault, operations)
    await assert_no_gap(bench, now)


@shared
@pytest.mark.parametrize(("fault", "command", "truth"), rows(LOOKUP))
async def test_a_lookup_that_fails_changes_nothing(bench: Bench, fault: Fault, command: Command, truth: Truth) -> None:
    """What a spoilt lookup says moves nothing, whatever happened meanwhile; the next one sees it."""
    payment = await command.ahead(bench, command, truth)
    async with bench.suffering("creditkey", command.operation, fault, truth):
        reply = await command.ask(bench, payment)
        proves_nothing = fault.status == 404 and fault.verdict == "declined"
        assert reply.status == (200 if proves_nothing or fault.names_ids else 502), reply.text
        assert await bench.house.payment(payment["id"]) == payment
        assert len(bench.proxies["creditkey"].heard) == (fault.spoil is not None)

    assert (await bench.sync(payment)).status == 200
    now = await bench.house.payment(payment["id"])
    assert telling(now) == truth_of(await bench.order("creditkey", now), fault, command)
    assert now["state"] == ("canceled" if truth is Truth.AFTER else "authorized")
    await assert_no_gap(bench, now)


@shared
@pytest.mark.parametrize(
    ("fault", "truth"),
    [
        pytest.param(fault, truth, id=f"{fault.name}-{truth}")
        for fault in FAULTS
        if not fault.names_ids
        for truth in fault.truths
    ],
)
async def test_a_psp_create_waits_for_its_callback(bench: Bench, fault: Fault, truth: Truth) -> None:
    """Without lookups only the callback settles an unknown create; without one it expires and stays unknown."""
    async with bench.suffering("psp", PSP_OPERATION, fault, truth):
        reply = await begin_psp(bench)
        assert reply.status == (202 if fault.verdict == "unknown" else 201), reply.text
        payment = reply.json
        assert statuses(await bench.operations(payment["id"], Kind.CREATE)) == at_once(fault)
        assert payment["state"] == ("created" if fault.verdict == "unknown" else "failed")

    order = await bench.order("psp", payment)
    assert (order is not None) == (truth is Truth.AFTER)
    if order is None:
        await bench.settle(rounds=1, each=EXPIRED)
    else:
        await press(bench, order)
    now = await bench.house.payment(payment["id"])
    operations = await bench.operations(payment["id"], Kind.CREATE)
    review = now["review"] and now["review"]["reason"]
    assert (now["state"], operations[-1].status, review) == psp_end(fault, truth)
    assert_sent_once(bench, "psp", PSP_OPERATION, fault, operations)
    await assert_no_gap(bench, now)


@shared
@pytest.mark.parametrize("command", CHANGING, ids=lambda command: command.name)
async def test_every_claim_would_be_believed(bench: Bench, command: Command) -> None:
    """The answer that the faults spoil says success when it comes whole: it is the fault that is refused."""
    payment = await command.ahead(bench, command, Truth.BEFORE)
    async with bench.suffering("creditkey", command.operation, BELIEVED, Truth.BEFORE):
        reply = await command.ask(bench, payment)
    assert reply.status == command.done
    operations = await bench.operations(payment.get("id") or reply.json["id"], command.kind)
    assert statuses(operations) == ["succeeded"]


@shared
async def test_the_psp_claim_would_be_believed(bench: Bench) -> None:
    """The answer that the faults spoil says success when it comes whole."""
    async with bench.suffering("psp", PSP_OPERATION, BELIEVED, Truth.BEFORE):
        reply = await begin_psp(bench)
    assert (reply.status, reply.json["state"]) == (201, "awaiting_customer")


@shared
@pytest.mark.parametrize("name", ["endless_body", "gzip_bomb", "slow_drip"])
async def test_a_huge_answer_costs_little_memory(bench: Bench, name: str) -> None:
    """What never ends, or would grow when unpacked, is given up at the cap or the deadline."""
    payment = await LOOKUP.ahead(bench, LOOKUP, Truth.BEFORE)
    async with bench.suffering("creditkey", LOOKUP.operation, NAMED[name], Truth.AFTER):
        tracemalloc.start()
        try:
            reply = await LOOKUP.ask(bench, payment)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert reply.status == 502
    assert peak < MOST_MEMORY


@shared
@pytest.mark.parametrize("name", ["status_401", "status_403"])
async def test_refused_credentials_alarm(bench: Bench, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """A provider that refuses our credentials is told to the operators as an error, with the account and no secret."""
    async with bench.suffering("psp", PSP_OPERATION, NAMED[name], Truth.BEFORE):
        with caplog.at_level(logging.ERROR, logger="gateway"):
            await begin_psp(bench)
    (record,) = [one for one in caplog.records if one.msg == "the provider refuses our credentials"]
    told = [vars(record)[field] for field in ("levelname", "provider", "account", "status")]
    assert told == ["ERROR", "psp_open_api", "psp-main", NAMED[name].status]


def answered(fault: Fault, command: Command) -> int:
    """The HTTP status of the tenant's answer: no outcome is an error; a browser is sent on whatever happens."""
    return 202 if fault.verdict == "unknown" and command.name != "complete" else command.done


def at_once(fault: Fault) -> list[str]:
    """The operations' statuses right after the answer: a connection that was never made is tried once more."""
    return [fault.verdict] * (2 if fault.spoil is None else 1)


def at_last(fault: Fault, command: Command, truth: Truth) -> tuple[list[str], str | None]:
    """The operations' statuses once the far side was asked, and why the first of them failed."""
    ended, code = SETTLED[command.name, truth] if fault.verdict == "unknown" else (fault.verdict, fault.verdict)
    # To ask for a completion moves no money: once it was not done, it is asked for again.
    return [ended] * len(at_once(fault)) + ["succeeded"] * (command.name == "complete"), code


def truth_of(order: Any, fault: Fault, command: Command) -> tuple[str, str, str, str, str | None]:
    """What the gateway must tell: what the ledger holds, except where the provider itself said a definite no.

    A no that was a lie cannot be seen through by a create, which has failed; a changed amount asks for a person.
    """
    said_no = fault.verdict != "unknown"
    if order is None or (command.mark == "begun" and said_no):
        is_open = command.name == "create" and not said_no
        return ("created" if is_open else "failed", "1067.33", "0.00", "0.00", None)
    told = (_state_of(order), order["amount"], _captured(order), order["refunded_amount"])
    if command.name == "update" and said_no and effects(order, command.mark):
        return ("authorized", "1067.33", "0.00", "0.00", "amount")
    return (*told, None)


def _state_of(order: Any) -> str:
    if order["status"] == "canceled":
        return "canceled"
    if order["capture_status"] == "captured":
        return "captured" if order["refunded_amount"] == "0.00" else "partially_refunded"
    return "authorized" if order["completed"] else "awaiting_customer"


def _captured(order: Any) -> str:
    return str(order["amount"]) if order["capture_status"] == "captured" else "0.00"


def telling(payment: Any) -> tuple[str, str, str, str, str | None]:
    """What a payment tells: state, amount, captured, refunded, why a person must look."""
    review = payment["review"] and payment["review"]["reason"]
    return (*(payment[name] for name in ("state", "amount", "amount_captured", "amount_refunded")), review)


def psp_end(fault: Fault, truth: Truth) -> tuple[str, str, str | None]:
    """State, operation and review of a PSP payment after its customer paid, or (nobody could) after its time."""
    if fault.verdict != "unknown":
        return ("failed", fault.verdict, "contradiction" if truth is Truth.AFTER else None)
    return ("captured", "succeeded", None) if truth is Truth.AFTER else ("expired", "unknown", None)


def statuses(operations: list[Operation]) -> list[str]:
    """The operations' statuses, oldest first."""
    return [str(operation.status) for operation in operations]


def effects(order: Any, mark: str) -> int:
    """How often the far side's ledger notes an effect."""
    return [entry["event"] for entry in order["history"]].count(mark) if order is not None else 0


def assert_not_failed_too_soon(payment: Any, fault: Fault, command: Command) -> None:
    """Only a create that certainly did not happen fails its payment; what may have happened is said to be open."""
    assert (payment["state"] == "failed") == (command.mark == "begun" and fault.verdict != "unknown")
    pending = payment["pending_operation"]
    assert (pending and pending["status"]) == ("unknown" if fault.verdict == "unknown" else None)


def assert_sent_once(bench: Bench, side: str, operation: str, fault: Fault, made: list[Operation]) -> None:
    """No operation was sent twice, nothing else was sent, and no redirect was followed."""
    changing = [heard.operation for heard in bench.proxies[side].heard if heard.method == "POST"]
    never_left = 2 if fault.spoil is None else 0
    assert changing == [operation] * (len(made) - never_left)
    assert not [heard for heard in bench.proxies[side].heard if heard.operation == "elsewhere"]


async def assert_no_gap(bench: Bench, payment: Any) -> None:
    """Each version of the payment is one event."""
    versions = [event["version"] for event in await bench.house.events(payment["id"])]
    assert versions == list(range(1, payment["version"] + 1))
