"""``gateway payments list`` and ``show`` beside a running server."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.timeline import ORDER, merge
from gateway.drivers.store.deliveries import DeliveryRow
from tests.support.cli import run, running, write
from tests.support.stack import GatewayStack, new_key, psp_body


async def look(stack: GatewayStack, *arguments: str) -> Any:
    """Run a reading command beside the running server; its JSON."""
    result = await asyncio.to_thread(run, *arguments, "--json", "--config", stack.folder / "settings.yaml")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_payments_list_goes_over_all_tenants(stack: GatewayStack) -> None:
    """The newest payment of any tenant comes first, while the server runs."""
    first = (await stack.create(psp_body())).json["id"]
    second = (await stack.create(psp_body(), tenant="globex")).json["id"]
    third = (await stack.create(psp_body())).json["id"]
    found = await look(stack, "payments", "list")
    assert [one["id"] for one in found["data"]] == [third, second, first]


async def test_payments_list_filters(stack: GatewayStack) -> None:
    """Each filter keeps what fits and drops the rest."""
    mine = (await stack.create(psp_body(merchant_reference="D-1"))).json
    other = (await stack.create(psp_body(merchant_reference="D-2"), tenant="globex")).json
    await stack.click(mine, "pay")
    for options, expected in (
        (["--tenant", "acme"], [mine]),
        (["--state", "awaiting_customer"], [other]),
        (["--merchant-reference", "D-1"], [mine]),
        (["--limit", "1"], [other]),
    ):
        found = await look(stack, "payments", "list", *options)
        assert [one["id"] for one in found["data"]] == [one["id"] for one in expected], options


async def test_payments_list_filters_by_account_reference_and_time(stack: GatewayStack) -> None:
    """A provider's reference is looked for in each account; both ends of a time are included."""
    made = [(await stack.create(psp_body())).json for _ in range(2)]
    await stack.click(made[0], "pay")
    first, second = [(await stack.payment(one["id"])) for one in made]
    for options, expected in (
        (["--provider-reference", first["provider_reference"]], [first]),
        (["--provider-reference", first["provider_reference"], "--account", "creditkey-main"], []),
        (["--account", "psp-main"], [second, first]),
        (["--since", second["created_at"]], [second]),
        (["--until", first["created_at"]], [first]),
        (["--since", first["created_at"], "--until", second["created_at"]], [second, first]),
    ):
        found = await look(stack, "payments", "list", *options)
        assert [one["id"] for one in found["data"]] == [one["id"] for one in expected], options


async def test_payments_list_goes_on_where_the_one_before_ended(stack: GatewayStack) -> None:
    """Across tenants; the last list says that it is."""
    made = [(await stack.create(psp_body(), tenant=tenant)).json["id"] for tenant in ("acme", "globex", "acme")]
    first = await look(stack, "payments", "list", "--limit", "2")
    assert [one["id"] for one in first["data"]] == [made[2], made[1]]
    rest = await look(stack, "payments", "list", "--limit", "2", "--cursor", first["next_cursor"])
    assert ([one["id"] for one in rest["data"]], rest["next_cursor"]) == ([made[0]], None)


async def test_payments_list_for_people_never_cuts_an_id(stack: GatewayStack) -> None:
    """The table on a pipe holds whole ids and amounts."""
    payment = (await stack.create(psp_body())).json
    result = await asyncio.to_thread(run, "payments", "list", "--config", stack.folder / "settings.yaml")
    header, row = result.stdout.splitlines()
    assert header.split()[:2] == ["id", "tenant"]
    assert {payment["id"], "acme", "awaiting_customer", "162.48", "USD"} <= set(row.split())


async def test_payments_show_merges_everything_by_time(stack: GatewayStack) -> None:
    """The timeline holds events, operations, callbacks and webhooks with their tries, oldest first."""
    payment = (await stack.create(psp_body())).json
    await stack.click(payment, "pay")
    await stack.webhook(payment["id"], "payment.captured")
    shown = await look(stack, "payments", "show", payment["id"])
    lines = shown["timeline"]
    assert shown["payment"] == await stack.payment(payment["id"])
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    told = {kind: [line["what"] for line in lines if line["kind"] == kind] for kind in ORDER}
    assert told["operation"] == ["create sending", "create succeeded"]
    assert told["callback"] == ["pay/callback recorded"]
    assert told["event"] == ["payment.created", "payment.awaiting_customer", "payment.captured"]
    assert {"payment.created", "payment.captured"} <= set(told["webhook"])


def test_the_timeline_holds_every_try_of_a_webhook() -> None:
    """Each try is a line with its answer; the one that will come is a line at its date."""
    tries = [
        {"at": "2026-01-02T03:04:05.000Z", "status_code": 500, "error": None},
        {"at": "2026-01-02T03:04:10.000Z", "status_code": None, "error": "timeout"},
    ]
    row = DeliveryRow(
        tenant="acme",
        id="dlv_1",
        event_id="evt_1",
        payment_id="pay_1",
        type="payment.created",
        version=1,
        body="{}",
        status="pending",
        next_attempt_at=1767323345000,
        attempts=tries,
        created_at=1767323045000,
    )
    lines = merge(events=[], operations=[], callbacks=[], deliveries=[row])
    assert [(line.at, line.details["try"], line.details["answer"]) for line in lines] == [
        ("2026-01-02T03:04:05.000Z", "1", "500"),
        ("2026-01-02T03:04:10.000Z", "2", "timeout"),
        ("2026-01-02T03:09:05.000Z", "3", "due"),
    ]


async def test_payments_show_reads_like_a_story(stack: GatewayStack) -> None:
    """For people: the payment's members, a blank line, then one line per thing that happened."""
    payment = (await stack.create(psp_body())).json
    result = await asyncio.to_thread(run, "payments", "show", payment["id"], "--config", stack.folder / "settings.yaml")
    members, _, timeline = result.stdout.partition("\n\n")
    assert re.search(r"^state +awaiting_customer$", members, re.MULTILINE)
    assert "version: 1, state: - -> created, cause: tenant" in timeline


async def test_payments_show_an_unknown_id_fails(stack: GatewayStack) -> None:
    """A payment that no tenant has ends with 1."""
    result = await asyncio.to_thread(run, "payments", "show", "pay_none", "--config", stack.folder / "settings.yaml")
    assert (result.exit_code, result.stdout) == (1, "")


async def test_reading_changes_nothing(stack: GatewayStack) -> None:
    """A reading command leaves the payment's version as it was, and the server working."""
    payment = (await stack.create(psp_body())).json
    await look(stack, "payments", "show", payment["id"])
    assert (await stack.payment(payment["id"]))["version"] == payment["version"]
    assert (await stack.create(psp_body(), key=new_key())).status == 201


def test_payments_list_refuses_an_unknown_tenant(tmp_path: Path) -> None:
    """A tenant that is not in the settings is bad usage."""
    assert run("payments", "list", "--tenant", "nobody", "--config", write(tmp_path)).exit_code == 2


async def test_lists_refuse_an_unknown_account(stack: GatewayStack) -> None:
    """An account that no tenant has is bad usage, not an empty list."""
    for command in ("payments", "inbox"):
        arguments = (command, "list", "--account", "nope", "--config", stack.folder / "settings.yaml")
        result = await asyncio.to_thread(run, *arguments)
        assert (command, result.exit_code) == (command, 2)
        assert 'no tenant has an account "nope"' in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("payments", "list", "--cursor"),
        ("find", "--cursor"),
        ("inbox", "list", "--payment-id"),
        ("deliveries", "list", "--payment-id"),
        ("audit", "--payment-id"),
    ],
)
def test_what_is_not_the_id_of_a_payment_is_named(arguments: tuple[str, ...]) -> None:
    """A reference in its place would find nothing."""
    result = run(*arguments, "SO-7001")
    assert (result.exit_code, f"'{arguments[-1]}': must be the id of a payment" in result.stderr) == (2, True)


def test_a_list_of_a_time_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    """Nothing was created in it."""
    bounds = ("--since", "2026-02-01", "--until", "2026-01-01")
    result = run("payments", "list", *bounds, "--config", write(tmp_path))
    assert (result.exit_code, "must not be before --since" in result.stderr) == (2, True)


def test_a_store_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    """Reading before the first start ends with 4 and makes no file."""
    result = run("payments", "list", "--config", write(tmp_path))
    assert (result.exit_code, result.stdout) == (4, "")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["serve", "payments list"])
def test_a_store_that_is_no_database_is_unusable(tmp_path: Path, command: str) -> None:
    """A file that is something else ends with 4 and is left as it was."""
    path = tmp_path / "data" / "gateway.db"
    path.parent.mkdir()
    path.write_bytes(b"something else " * 1000)
    with running(*command.split(), "--config", write(tmp_path), lines=0) as process:
        code, errors = process.ended()
    assert code == 4
    assert "Traceback" not in errors
    assert path.read_bytes() == b"something else " * 1000
