"""Webhooks over real HTTP: when they are tried, what every try holds, and whom a dead endpoint delays."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
from aiohttp import web
from msgspec.structs import replace

from gateway.core.errors import Unavailable
from gateway.flows.webhooks import attempt, dispatch
from tests.support.factories.deliveries import (
    LATE,
    SCHEDULE,
    Held,
    a_clock,
    created,
    first_tried,
    look,
    pause_of,
    rows_when,
    seconds_until,
    tries_of,
    until,
)
from tests.support.stack import WEBHOOK_SECRET, GatewayStack, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock

OTHER_SECRET = "whsec_b3RoZXItZGV2ZWxvcG1lbnQtd2ViaG9vay1rZXktMDI="


# The schedule


async def test_a_failing_webhook_is_tried_on_schedule_and_ends_as_dead_letter(tmp_path: Path) -> None:
    """Each try comes after its own pause, never before; all are the same bytes and id; after the last it is dead."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        for number, pause in enumerate(SCHEDULE[1:], start=1):
            row = await first_tried(stack, payment["id"], number)
            assert row.status == "pending"
            assert 0.8 * pause - 0.002 <= pause_of(row) <= 1.2 * pause + 0.002
            await clock.advance(seconds_until(clock, row) - 0.5)
            await look(stack)
            await first_tried(stack, payment["id"], number)
            await clock.advance(1)
        row = await first_tried(stack, payment["id"], len(SCHEDULE))
        assert (row.status, row.next_attempt_at) == ("dead", None)
        assert [one["status_code"] for one in row.attempts] == [500] * len(SCHEDULE)
        assert tries_of(stack, row.event_id) == [(row.event_id, row.body.encode())] * len(SCHEDULE)
        clock.set(clock.now() + timedelta(days=10))
        await clock.advance(600)
        await look(stack)
        assert len(tries_of(stack, row.event_id)) == len(SCHEDULE)


async def test_the_schedule_of_the_settings_holds(tmp_path: Path) -> None:
    """``clocks.webhook_retry`` is the whole schedule: two entries are two tries."""

    def shrink(settings: dict[str, Any]) -> None:
        settings["clocks"]["webhook_retry"] = ["0s", "1ms"]

    async with running_stack(tmp_path, change=shrink) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        rows = await rows_when(stack, payment["id"], lambda rows: all(row.status == "dead" for row in rows))
        assert [len(row.attempts) for row in rows] == [2, 2]


async def test_an_endpoint_that_recovers_gets_what_it_missed(tmp_path: Path) -> None:
    """After failures the same webhook is delivered, and is not sent again."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        await rows_when(stack, payment["id"], lambda rows: all(len(row.attempts) == 1 for row in rows))
        stack.webhook_answer = lambda _: 204
        await clock.advance(LATE * SCHEDULE[1])
        rows = await rows_when(stack, payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
        assert [[one["status_code"] for one in row.attempts] for row in rows] == [[500, 204]] * 2
        await clock.advance(86000)
        await look(stack)
        assert len(tries_of(stack, rows[0].event_id)) == 2


async def test_what_was_not_delivered_outlives_the_process(tmp_path: Path) -> None:
    """A webhook that failed before a stop is tried again after the start: same id, same bytes."""
    async with running_stack(tmp_path) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        before = await first_tried(stack, payment["id"])
    async with running_stack(tmp_path, clock=VirtualClock(datetime.now(UTC) + timedelta(hours=1))) as stack:
        row = await first_tried(stack, payment["id"], 2)
        assert row.status == "delivered"
        assert tries_of(stack, before.event_id) == [(before.event_id, before.body.encode())]


async def test_a_tenant_is_served_from_its_first_webhook_on(stack: GatewayStack) -> None:
    """Thousands that have none cost nothing."""

    def served() -> set[str]:
        return {name for task in asyncio.all_tasks() if (name := task.get_name()).startswith("webhooks of ")}

    assert served() == set()
    payment = await created(stack)
    await first_tried(stack, payment["id"])
    assert served() == {"webhooks of acme"}


async def test_who_has_webhooks_is_looked_for_until_the_store_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else would wake a tenant whose webhooks wait since before the start."""
    async with running_stack(tmp_path) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        await first_tried(stack, payment["id"])
    clock = VirtualClock(datetime.now(UTC) + timedelta(hours=1))
    with monkeypatch.context() as patch:
        patch.setattr(dispatch, "wake", down)
        async with running_stack(tmp_path, clock=clock) as stack:
            await clock.advance(3)
            patch.undo()
            await clock.advance(dispatch.STORE_RETRY_MAX_SECONDS)
            async with asyncio.timeout(10), stack.webhook_arrived:
                await stack.webhook_arrived.wait_for(lambda: stack.delivered_webhooks)


async def down(_: object) -> None:
    """A store that cannot be read."""
    raise Unavailable("no")


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
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        stack.webhook_answer = lambda _: web.Response(status=503, headers={"Retry-After": wish})
        payment = await created(stack)
        row = await first_tried(stack, payment["id"])
        assert row.status == "pending"
        assert least - 0.002 <= pause_of(row) <= most + 0.002


# What counts as delivered


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(stack: GatewayStack, status: int) -> None:
    """A 2xx delivers, whatever its body says."""
    stack.webhook_answer = lambda _: web.Response(status=status, text="" if status == 204 else '{"error": true')
    payment = await created(stack)
    rows = await rows_when(stack, payment["id"], lambda rows: all(row.status != "pending" for row in rows))
    assert [row.status for row in rows] == ["delivered"] * 2


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 409, 422, 429, 500, 502, 503])
async def test_any_other_status_is_a_failure(tmp_path: Path, status: int) -> None:
    """Whatever is no 2xx is tried again, and the try is remembered with its status."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        stack.webhook_answer = lambda _: status
        row = await first_tried(stack, (await created(stack))["id"])
        assert (row.status, row.attempts[0]["status_code"], row.attempts[0]["error"]) == ("pending", status, None)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_a_failure_and_is_not_followed(tmp_path: Path, status: int) -> None:
    """A redirect does not lead the webhook elsewhere, not even to an endpoint of ours."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        target = f"http://127.0.0.1:{stack.ports['hooks']}/elsewhere"
        stack.webhook_answer = lambda _: web.Response(status=status, headers={"Location": target})
        row = await first_tried(stack, (await created(stack))["id"])
        assert (row.status, row.attempts[0]["status_code"]) == ("pending", status)
        assert {tenant for tenant, _, _ in stack.webhook_attempts} == {"acme"}


@pytest.mark.parametrize("form", ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S gmt", "%a %b %d %H:%M:%S %Y"])
async def test_retry_after_may_be_a_date(tmp_path: Path, form: str) -> None:
    """An endpoint that names a moment instead of a number is left alone until then."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        wish = (clock.now() + timedelta(hours=1)).strftime(form)
        stack.webhook_answer = lambda _: web.Response(status=503, headers={"Retry-After": wish})
        row = await first_tried(stack, (await created(stack))["id"])
        assert 3598 <= pause_of(row) <= 3600


async def test_429_waits_as_long_as_it_asks(tmp_path: Path) -> None:
    """An endpoint that asks for time gets it."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        stack.webhook_answer = lambda _: web.Response(status=429, headers={"Retry-After": "7200"})
        row = await first_tried(stack, (await created(stack))["id"])
        assert (row.status, row.attempts[0]["status_code"]) == ("pending", 429)
        assert 7200 - 0.002 <= pause_of(row) <= 7200 + 0.002


@pytest.mark.parametrize("sends", [b"", b"1"], ids=["nothing", "a byte of the body"])
async def test_an_answer_that_does_not_end_is_a_failure(tmp_path: Path, sends: bytes) -> None:
    """An endpoint that hangs, or begins its answer and never ends it, has had its try when the time is over."""
    released = asyncio.Event()

    async def begin(request: web.Request) -> Any:
        response = web.StreamResponse()
        if sends:
            await response.prepare(request)
            await response.write(sends)
        await released.wait()
        return 204 if not sends else response

    def hurry(settings: dict[str, Any]) -> None:
        settings["timeouts"] = {"webhook_total": "200ms"}

    async with running_stack(tmp_path, change=hurry, clock=a_clock()) as stack:
        stack.webhook_answer = begin
        row = await first_tried(stack, (await created(stack))["id"])
        released.set()
        assert (row.status, row.attempts) == (
            "pending",
            [{"at": row.attempts[0]["at"], "status_code": None, "error": "timeout"}],
        )


async def test_a_refused_connection_is_a_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An endpoint that is not there is tried again; the tenant is told no more than ``connect_failed``."""

    def nowhere(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"]["url"] = "http://127.0.0.1:1/acme"

    async with running_stack(tmp_path, change=nowhere, clock=a_clock()) as stack:
        row = await first_tried(stack, (await created(stack))["id"])
        assert (row.status, row.attempts[0]["status_code"], row.attempts[0]["error"]) == (
            "pending",
            None,
            "connect_failed",
        )
        line = next(vars(record) for record in caplog.records if record.message == "a webhook was not sent")
        assert (line["tenant"], line["payment_id"], line["delivery_id"]) == ("acme", row.payment_id, row.id)
        assert (line["host"], line["reason"]) == ("127.0.0.1:1", "the connection was refused")


async def test_silence_is_a_failure(tmp_path: Path) -> None:
    """A connection that closes without an answer is tried again."""

    def hang_up(request: web.Request) -> int:
        assert request.transport is not None
        request.transport.abort()
        return 204

    async with running_stack(tmp_path, clock=a_clock()) as stack:
        stack.webhook_answer = hang_up
        row = await first_tried(stack, (await created(stack))["id"])
        assert (row.status, row.attempts[0]["status_code"], row.attempts[0]["error"]) == (
            "pending",
            None,
            "connection_lost",
        )


# What a webhook holds


async def test_the_reference_library_verifies(stack: GatewayStack) -> None:
    """The Standard Webhooks library accepts id, timestamp, signature and body; with another secret it does not."""
    payment = await created(stack)
    told = await stack.webhook(payment["id"], "payment.awaiting_customer")
    assert set(told) == {"type", "timestamp", "data"}
    headers, body = stack.delivered_webhooks[0]
    assert headers["Content-Type"] == "application/json"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(OTHER_SECRET).verify(body, dict(headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(WEBHOOK_SECRET).verify(body + b" ", dict(headers))


async def test_the_body_is_the_payment_of_its_version(stack: GatewayStack) -> None:
    """Each webhook shows the payment as that version left it, whatever came later."""
    payment = await created(stack)
    await stack.click(payment, "pay")
    await stack.webhook(payment["id"], "payment.captured")
    told = [body["data"]["payment"] for body in stack.webhooks(payment["id"])]
    assert [(one["version"], one["state"]) for one in told] == [
        (1, "created"),
        (2, "awaiting_customer"),
        (3, "captured"),
    ]
    assert told[-1] == await stack.payment(payment["id"])


async def test_the_log_of_tries_is_bounded(stack: GatewayStack) -> None:
    """A webhook that is sent again and again remembers its newest fifty tries."""
    payment = await created(stack)
    [row, *_] = await rows_when(stack, payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
    many = replace(row, attempts=[{"at": str(number), "status_code": 500, "error": None} for number in range(50)])
    webhook = stack.settings.tenants["acme"].webhook
    assert webhook is not None
    await stack.gateway.store.commit("acme", (await attempt.attempt(stack.gateway, webhook, many)).rows)
    [row, *_] = await rows_when(stack, payment["id"], lambda _: True)
    assert [one["at"] for one in row.attempts[:-1]] == [str(number) for number in range(1, 50)]
    assert row.attempts[-1]["status_code"] == 204


async def test_webhook_ids_are_the_events_ids(stack: GatewayStack) -> None:
    """The id of a webhook is that of its line in the timeline."""
    payment = await created(stack)
    await stack.webhook(payment["id"], "payment.awaiting_customer")
    ids = [headers["webhook-id"] for headers, _ in stack.delivered_webhooks]
    assert ids == [event["id"] for event in await stack.events(payment["id"])]


async def test_two_secrets_give_two_signatures(tmp_path: Path) -> None:
    """While a secret is rotated both sign: whichever the receiver knows, it verifies."""

    def rotate(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"]["secrets"] = [WEBHOOK_SECRET, OTHER_SECRET]

    async with running_stack(tmp_path, change=rotate) as stack:
        payment = await created(stack)
        await stack.webhook(payment["id"], "payment.awaiting_customer")
        for headers, body in stack.delivered_webhooks:
            signatures = headers["webhook-signature"].split(" ")
            assert [one.partition(",")[0] for one in signatures] == ["v1", "v1"]
            for secret, signature in zip((WEBHOOK_SECRET, OTHER_SECRET), signatures, strict=True):
                alone = {**headers, "webhook-signature": signature}
                assert standardwebhooks.Webhook(secret).verify(body, alone) == json.loads(body)


async def test_each_try_is_signed_at_its_own_time(tmp_path: Path) -> None:
    """A later try has a new timestamp and a signature over it, so that receivers who refuse old ones take it."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        await first_tried(stack, payment["id"])
        await clock.advance(LATE * SCHEDULE[1])
        row = await first_tried(stack, payment["id"], 2)
        first, second = [headers for _, headers, _ in stack.webhook_attempts if headers["webhook-id"] == row.event_id]
        assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) >= 4
        at = datetime.fromtimestamp(int(second["webhook-timestamp"]), UTC)
        signed = standardwebhooks.Webhook(WEBHOOK_SECRET).sign(row.event_id, at, row.body)
        assert second["webhook-signature"] == signed


# Order, and who waits for whom


async def test_first_tries_go_out_in_version_order(tmp_path: Path) -> None:
    """Though every try fails, the first tries of a payment arrive in the order of its versions."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        stack.webhook_answer = lambda _: 500
        payments = [await created(stack) for _ in range(5)]
        for payment in payments:
            await stack.click(payment, "pay")
            await rows_when(stack, payment["id"], lambda rows: [len(row.attempts) for row in rows] == [1, 1, 1])
        for payment in payments:
            told = [json.loads(body)["data"]["payment"] for _, _, body in stack.webhook_attempts]
            assert [one["version"] for one in told if one["id"] == payment["id"]] == [1, 2, 3]


async def test_a_first_try_waits_for_the_one_before_it(tmp_path: Path) -> None:
    """While version 1 has no answer no later version is tried, whatever other payments do; then they go in order."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        held = Held(lambda payment: (payment["id"], payment["version"]) == held.arrived[0])
        stack.webhook_answer = held.answer
        slow = await created(stack)
        await until(stack, lambda: held.arrived == [(slow["id"], 1)])
        quick = await created(stack)
        await stack.click(slow, "pay")
        await stack.click(quick, "pay")
        await stack.webhook(quick["id"], "payment.captured")
        await look(stack)
        assert [one for one in held.arrived if one[0] == slow["id"]] == [(slow["id"], 1)]
        held.release()
        await stack.webhook(slow["id"], "payment.captured")
        assert [one for one in held.arrived if one[0] == slow["id"]] == [(slow["id"], version) for version in (1, 2, 3)]


async def test_a_retry_holds_nobody_back(tmp_path: Path) -> None:
    """Though version 1 failed and waits for its second try, the later ones are delivered."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        answers = iter([500])
        stack.webhook_answer = lambda _: next(answers, 204)
        payment = await created(stack)
        await stack.click(payment, "pay")
        await stack.webhook(payment["id"], "payment.captured")
        rows = await rows_when(stack, payment["id"], lambda rows: len(rows[-1].attempts) == 1)
        assert [row.status for row in rows] == ["pending", "delivered", "delivered"]


async def test_an_endpoint_gets_so_many_at_once(tmp_path: Path) -> None:
    """Payments of one tenant are told side by side, eight at a time; the rest follows."""
    async with running_stack(tmp_path, clock=a_clock()) as stack:
        held = Held()
        stack.webhook_answer = held.answer
        payments = [await created(stack) for _ in range(12)]
        await until(stack, lambda: len(held.arrived) == dispatch.MAX_CONCURRENT_ATTEMPTS)
        await look(stack)
        assert len(set(held.arrived)) == len(held.arrived) == dispatch.MAX_CONCURRENT_ATTEMPTS == 8
        held.release()
        for payment in payments:
            await rows_when(stack, payment["id"], lambda rows: all(row.status == "delivered" for row in rows))
        assert (held.most_at_once, len(held.arrived)) == (8, 24)


def first_after_a_minute(settings: dict[str, Any]) -> None:
    """Webhooks wait, so that many are due at once."""
    settings["clocks"]["webhook_retry"] = ["60s", "1h"]


async def test_what_was_read_ahead_is_not_sent_to_a_disabled_endpoint(tmp_path: Path) -> None:
    """Once one answer has disabled it, only what was under way arrives; the rest are dead letters, untried."""
    clock = a_clock()
    async with running_stack(tmp_path, clock=clock, change=first_after_a_minute) as stack:
        held = Held()

        async def gone(request: web.Request) -> int:
            await held.answer(request)
            return 410

        stack.webhook_answer = gone
        payments = [await created(stack) for _ in range(12)]
        await clock.advance(61)
        await until(stack, lambda: len(held.arrived) == dispatch.MAX_CONCURRENT_ATTEMPTS)
        held.release()
        for payment in payments:
            await rows_when(stack, payment["id"], lambda rows: all(row.status == "dead" for row in rows))
        assert len(held.arrived) == dispatch.MAX_CONCURRENT_ATTEMPTS


async def test_a_dead_endpoint_delays_nobody_else(stack: GatewayStack) -> None:
    """While one tenant's endpoint keeps its connections open without an answer, another's webhooks arrive."""
    released = asyncio.Event()

    async def hold() -> int:
        await released.wait()
        return 204

    stack.webhook_answer = lambda request: hold() if request.match_info["tenant"] == "acme" else 204
    for _ in range(25):
        await created(stack)
    theirs = (await stack.create(psp_body(), tenant="globex")).json
    await stack.click(theirs, "pay")
    await stack.webhook(theirs["id"], "payment.captured")
    assert {tenant for tenant, _, _ in stack.webhook_attempts} == {"globex"}
    released.set()


async def test_a_tenant_that_stopped_listening_keeps_nobody_busy(tmp_path: Path) -> None:
    """Webhooks that wait for a tenant without an endpoint are left in peace until it has one again."""
    async with running_stack(tmp_path) as stack:
        stack.webhook_answer = lambda _: 500
        payment = await created(stack)
        await first_tried(stack, payment["id"])

    def deaf(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["webhook"] = None

    later = VirtualClock(datetime.now(UTC) + timedelta(hours=1))
    async with running_stack(tmp_path, change=deaf, clock=later) as stack:
        looked = []
        line = stack.gateway.store.deliveries.next_to_send

        async def counted(*arguments: Any) -> Any:
            looked.append(arguments)
            return await line(*arguments)

        stack.gateway.store.deliveries.next_to_send = counted  # type: ignore[method-assign]  # counts, and asks the real one
        await look(stack)
        assert looked == []
    async with running_stack(tmp_path, clock=later) as stack:
        assert (await first_tried(stack, payment["id"], 2)).status == "delivered"
