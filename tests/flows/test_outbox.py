"""Webhooks over real HTTP: when they are tried, what every try holds, and whom a dead endpoint delays."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from aiohttp import web

from gateway.drivers.settings import Clocks
from gateway.drivers.store.queries import DeliveryRow
from tests.clocks import VirtualClock
from tests.house import WEBHOOK_SECRET, House, open_house, psp_body

SCHEDULE = [pause.total_seconds() for pause in Clocks().webhook_retry]
OTHER_SECRET = "whsec_b3RoZXItZGV2ZWxvcG1lbnQtd2ViaG9vay1rZXktMDI="
LATE = 1.21
"""The part of a pause after which the next try is due, however it was spread."""


def a_clock() -> VirtualClock:
    """A clock that starts now, as the reference library compares with the real time."""
    return VirtualClock(datetime.now(UTC))


async def rows_when(house: House, payment_id: str, holds: Callable[[list[DeliveryRow]], bool]) -> list[DeliveryRow]:
    """The payment's webhooks, as soon as they are so."""
    async with asyncio.timeout(10):
        while True:
            rows = await house.gateway.store.deliveries("acme", payment_id)
            if holds(rows):
                return rows
            await look(house)


async def look(house: House) -> None:
    """Let the worker look at the clock, which a test may have moved while it was reading, and do what is due."""
    house.gateway.webhooks_due.set()
    for _ in range(3):
        await house.gateway.store.prove_writable(datetime.now(UTC))  # a write waits for those before it


async def first_tried(house: House, payment_id: str, times: int = 1) -> DeliveryRow:
    """The webhook of the payment's creation, once it was tried so often."""
    rows = await rows_when(house, payment_id, lambda rows: bool(rows) and len(rows[0].attempts) >= times)
    assert len(rows[0].attempts) == times
    return rows[0]


def tries_of(house: House, event_id: str) -> list[tuple[str, bytes]]:
    """(webhook-id, body) of every try of one event that arrived."""
    return [(headers["webhook-id"], body) for _, headers, body in house.hook_tries if headers["webhook-id"] == event_id]


def pause_of(row: DeliveryRow) -> float:
    """Seconds between the last try and the next."""
    assert row.next_attempt_at is not None
    last = datetime.fromisoformat(row.attempts[-1]["at"])
    return row.next_attempt_at / 1000 - last.timestamp()


def seconds_until(clock: VirtualClock, row: DeliveryRow) -> float:
    """How long it is until the next try is due."""
    assert row.next_attempt_at is not None
    return row.next_attempt_at / 1000 - clock.now().timestamp()


async def created(house: House) -> Any:
    return (await house.create(psp_body())).json


# The schedule


async def test_a_failing_webhook_is_tried_on_schedule_and_ends_as_dead_letter(tmp_path: Path) -> None:
    """Each try comes after its own pause, never before; all are the same bytes and id; after the last it is dead."""
    clock = a_clock()
    async with open_house(tmp_path, clock=clock) as house:
        house.hook_answer = lambda _: 500
        payment = await created(house)
        for number, pause in enumerate(SCHEDULE[1:], start=1):
            row = await first_tried(house, payment["id"], number)
            assert row.status == "pending"
            assert 0.8 * pause - 0.002 <= pause_of(row) <= 1.2 * pause + 0.002
            await clock.advance(seconds_until(clock, row) - 0.5)
            await look(house)
            await first_tried(house, payment["id"], number)
            await clock.advance(1)
        row = await first_tried(house, payment["id"], len(SCHEDULE))
        assert (row.status, row.next_attempt_at) == ("dead", None)
        assert [one["status_code"] for one in row.attempts] == [500] * len(SCHEDULE)
        assert tries_of(house, row.event_id) == [(row.event_id, row.body.encode())] * len(SCHEDULE)
        await clock.advance(10 * 86400)
        await look(house)
        assert len(tries_of(house, row.event_id)) == len(SCHEDULE)


async def test_the_schedule_of_the_settings_holds(tmp_path: Path) -> None:
    """``clocks.webhook_retry`` is the whole schedule: two entries are two tries."""

    def shrink(settings: dict[str, Any]) -> None:
        settings["clocks"]["webhook_retry"] = ["0s", "1ms"]

    async with open_house(tmp_path, change=shrink) as house:
        house.hook_answer = lambda _: 500
        payment = await created(house)
        rows = await rows_when(house, payment["id"], lambda rows: all(row.status == "dead" for row in rows))
        assert [len(row.attempts) for row in rows] == [2, 2]


async def test_an_endpoint_that_recovers_gets_what_it_missed(tmp_path: Path) -> None:
    """After failures the same webhook is delivered, and is not sent again."""
    clock = a_clock()
    async with open_house(tmp_path, clock=clock) as house:
        house.hook_answer = lambda _: 500
        payment = await created(house)
        await rows_when(house, payment["id"], lambda rows: all(len(row.attempts) == 1 for row in rows))
        house.hook_answer = lambda _: 204
        await clock.advance(LATE * SCHEDULE[1])
        rows = await rows_when(house, payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
        assert [[one["status_code"] for one in row.attempts] for row in rows] == [[500, 204]] * 2
        await clock.advance(86000)
        await look(house)
        assert len(tries_of(house, rows[0].event_id)) == 2


async def test_what_was_not_delivered_outlives_the_process(tmp_path: Path) -> None:
    """A webhook that failed before a stop is tried again after the start: same id, same bytes."""
    async with open_house(tmp_path) as house:
        house.hook_answer = lambda _: 500
        payment = await created(house)
        before = await first_tried(house, payment["id"])
    async with open_house(tmp_path, clock=VirtualClock(datetime.now(UTC) + timedelta(hours=1))) as house:
        row = await first_tried(house, payment["id"], 2)
        assert row.status == "delivered"
        assert tries_of(house, before.event_id) == [(before.event_id, before.body.encode())]


@pytest.mark.parametrize(
    ("wish", "least", "most"),
    [
        ("3600", 3600, 3600),
        ("1", 0.8 * 5, 1.2 * 5),
        ("0", 0.8 * 5, 1.2 * 5),
        ("soon", 0.8 * 5, 1.2 * 5),
        ("-5", 0.8 * 5, 1.2 * 5),
        ("9" * 15, 3600, 86400),
        ("9" * 500, 3600, 86400),
    ],
)
async def test_retry_after_is_a_minimum(tmp_path: Path, wish: str, least: float, most: float) -> None:
    """``Retry-After`` makes a pause longer, never shorter; an absurd one keeps the webhook for a day at most."""
    async with open_house(tmp_path, clock=a_clock()) as house:
        house.hook_answer = lambda _: web.Response(status=503, headers={"Retry-After": wish})
        payment = await created(house)
        row = await first_tried(house, payment["id"])
        assert row.status == "pending"
        assert least - 0.002 <= pause_of(row) <= most + 0.002


# What counts as delivered


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(house: House, status: int) -> None:
    """A 2xx delivers, whatever its body says."""
    house.hook_answer = lambda _: web.Response(status=status, text="" if status == 204 else '{"error": true')
    payment = await created(house)
    rows = await rows_when(house, payment["id"], lambda rows: all(row.status != "pending" for row in rows))
    assert [row.status for row in rows] == ["delivered"] * 2


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 409, 422, 429, 500, 502, 503])
async def test_any_other_status_is_a_failure(tmp_path: Path, status: int) -> None:
    """Whatever is no 2xx is tried again, and the try is remembered with its status."""
    async with open_house(tmp_path, clock=a_clock()) as house:
        house.hook_answer = lambda _: status
        row = await first_tried(house, (await created(house))["id"])
        assert (row.status, row.attempts[0]["status_code"], row.attempts[0]["error"]) == ("pending", status, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(tmp_path: Path, status: int) -> None:
    """A redirect does not lead the webhook elsewhere, not even to an endpoint of ours."""
    async with open_house(tmp_path, clock=a_clock()) as house:
        target = f"http://127.0.0.1:{house.ports['hooks']}/elsewhere"
        house.hook_answer = lambda _: web.Response(status=status, headers={"Location": target})
        row = await first_tried(house, (await created(house))["id"])
        assert (row.status, row.attempts[0]["status_code"]) == ("pending", status)
        assert {tenant for tenant, _, _ in house.hook_tries} == {"acme"}


async def test_a_refused_connection_is_a_failure(tmp_path: Path) -> None:
    """An endpoint that is not there is tried again; the tenant is told no more than ``connect_failed``."""

    def nowhere(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"]["url"] = "http://127.0.0.1:1/acme"

    async with open_house(tmp_path, change=nowhere, clock=a_clock()) as house:
        row = await first_tried(house, (await created(house))["id"])
        assert (row.status, row.attempts[0]["status_code"], row.attempts[0]["error"]) == (
            "pending",
            None,
            "connect_failed",
        )


async def test_silence_is_a_failure(tmp_path: Path) -> None:
    """A connection that closes without an answer is tried again."""

    def hang_up(request: web.Request) -> int:
        assert request.transport is not None
        request.transport.abort()
        return 204

    async with open_house(tmp_path, clock=a_clock()) as house:
        house.hook_answer = hang_up
        row = await first_tried(house, (await created(house))["id"])
        assert (row.status, row.attempts[0]["status_code"], row.attempts[0]["error"]) == (
            "pending",
            None,
            "connection_lost",
        )


# What a webhook holds


async def test_the_reference_library_verifies(house: House) -> None:
    """The Standard Webhooks library accepts id, timestamp, signature and body; with another secret it does not."""
    payment = await created(house)
    told = await house.webhook(payment["id"], "payment.awaiting_customer")
    assert set(told) == {"type", "timestamp", "data"}
    headers, body = house.hooks[0]
    assert headers["Content-Type"] == "application/json"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(OTHER_SECRET).verify(body, dict(headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(WEBHOOK_SECRET).verify(body + b" ", dict(headers))


async def test_the_body_is_the_payment_of_its_version(house: House) -> None:
    """Each webhook shows the payment as that version left it, whatever came later."""
    payment = await created(house)
    await house.press(payment, "pay")
    await house.webhook(payment["id"], "payment.captured")
    told = [body["data"]["payment"] for body in house.webhooks(payment["id"])]
    assert [(one["version"], one["state"]) for one in told] == [
        (1, "created"),
        (2, "awaiting_customer"),
        (3, "captured"),
    ]
    assert told[-1] == await house.payment(payment["id"])


async def test_webhook_ids_are_the_events_ids(house: House) -> None:
    """The id of a webhook is that of its line in the timeline."""
    payment = await created(house)
    await house.webhook(payment["id"], "payment.awaiting_customer")
    ids = [headers["webhook-id"] for headers, _ in house.hooks]
    assert ids == [event["id"] for event in await house.events(payment["id"])]


async def test_two_secrets_give_two_signatures(tmp_path: Path) -> None:
    """While a secret is rotated both sign: whichever the receiver knows, it verifies."""

    def rotate(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"]["secrets"] = [WEBHOOK_SECRET, OTHER_SECRET]

    async with open_house(tmp_path, change=rotate) as house:
        payment = await created(house)
        await house.webhook(payment["id"], "payment.awaiting_customer")
        for headers, body in house.hooks:
            signatures = headers["webhook-signature"].split(" ")
            assert [one.partition(",")[0] for one in signatures] == ["v1", "v1"]
            for secret, signature in zip((WEBHOOK_SECRET, OTHER_SECRET), signatures, strict=True):
                alone = {**headers, "webhook-signature": signature}
                assert standardwebhooks.Webhook(secret).verify(body, alone) == json.loads(body)


async def test_each_try_is_signed_at_its_own_time(tmp_path: Path) -> None:
    """A later try has a new timestamp and a signature over it, so that receivers who refuse old ones take it."""
    clock = a_clock()
    async with open_house(tmp_path, clock=clock) as house:
        house.hook_answer = lambda _: 500
        payment = await created(house)
        await first_tried(house, payment["id"])
        await clock.advance(LATE * SCHEDULE[1])
        row = await first_tried(house, payment["id"], 2)
        first, second = [headers for _, headers, _ in house.hook_tries if headers["webhook-id"] == row.event_id]
        assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) >= 4
        at = datetime.fromtimestamp(int(second["webhook-timestamp"]), UTC)
        signed = standardwebhooks.Webhook(WEBHOOK_SECRET).sign(row.event_id, at, row.body)
        assert second["webhook-signature"] == signed


# Order, and who waits for whom


async def test_first_tries_go_out_in_version_order(tmp_path: Path) -> None:
    """Though every try fails, the first tries of a payment arrive in the order of its versions."""
    async with open_house(tmp_path, clock=a_clock()) as house:
        house.hook_answer = lambda _: 500
        payments = [await created(house) for _ in range(5)]
        for payment in payments:
            await house.press(payment, "pay")
            await rows_when(house, payment["id"], lambda rows: [len(row.attempts) for row in rows] == [1, 1, 1])
        for payment in payments:
            told = [json.loads(body)["data"]["payment"] for _, _, body in house.hook_tries]
            assert [one["version"] for one in told if one["id"] == payment["id"]] == [1, 2, 3]


async def test_a_dead_endpoint_delays_nobody_else(house: House) -> None:
    """While one tenant's endpoint keeps its connections open without an answer, another's webhooks arrive."""
    released = asyncio.Event()

    async def hold() -> int:
        await released.wait()
        return 204

    house.hook_answer = lambda request: hold() if request.match_info["tenant"] == "acme" else 204
    for _ in range(25):
        await created(house)
    theirs = (await house.create(psp_body(), tenant="globex")).json
    await house.press(theirs, "pay")
    await house.webhook(theirs["id"], "payment.captured")
    assert {tenant for tenant, _, _ in house.hook_tries} == {"globex"}
    released.set()


async def test_a_tenant_that_stopped_listening_keeps_nobody_busy(tmp_path: Path) -> None:
    """Webhooks that wait for a tenant without an endpoint are left in peace until it has one again."""
    async with open_house(tmp_path) as house:
        house.hook_answer = lambda _: 500
        payment = await created(house)
        await first_tried(house, payment["id"])

    def deaf(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"] = None

    later = VirtualClock(datetime.now(UTC) + timedelta(hours=1))
    async with open_house(tmp_path, change=deaf, clock=later) as house:
        store = house.gateway.store
        looks, look = [], store.tenants_with_deliveries

        async def counted() -> list[tuple[str, int]]:
            looks.append(later.now())
            return await look()

        store.tenants_with_deliveries = counted  # type: ignore[method-assign]  # counts, and asks the real one
        house.gateway.webhooks_due.set()
        for _ in range(50):  # each read gives the worker time for one of its own
            await store.deliveries("acme", payment["id"])
        assert len(looks) <= 2
    async with open_house(tmp_path, clock=later) as house:
        assert (await first_tried(house, payment["id"], 2)).status == "delivered"
