"""Each type of operators' webhook, fired once by breaking the thing; and what must not become a storm."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from gateway.core.operator_events import OperatorEvent
from gateway.drivers.store.deliveries import DeliveryFilter
from gateway.drivers.store.statements import NO_TENANT, Unit
from gateway.flows.background import operator_events, reconcile
from gateway.flows.background.operator_events import STORED_WITH_CHANGE, report_unknown
from gateway.flows.occurrences import LINES, Occurrence, report
from tests.support.clients.psp_callbacks import change_store, post, signed_body
from tests.support.scenarios.creditkey import DAY, TimedStack, authorized, edit, idle, open_timed
from tests.support.scenarios.inbox import admin
from tests.support.scenarios.operators import hear, heard, with_operators_webhook
from tests.support.settings_file import reload
from tests.support.stack import GatewayStack, psp_body, running_stack


async def review(timed: TimedStack) -> None:
    """A callback of another amount."""
    payment = (await timed.stack.create(psp_body())).json
    await post(timed.stack, signed_body(timed.stack, payment, amount=1.0))


async def success_after_failure(timed: TimedStack) -> None:
    """The bridge says failed, and then paid."""
    payment = (await timed.stack.create(psp_body())).json
    await post(timed.stack, signed_body(timed.stack, payment, status=0))
    await post(timed.stack, signed_body(timed.stack, payment, status=1, transaction_id="T-2"))


async def deadline(timed: TimedStack) -> None:
    """An order that nobody captures for three days."""
    await authorized(timed.stack)
    await timed.advance(3 * DAY)


async def unknown_word(timed: TimedStack) -> None:
    """A status that Credit Key never had, seen twice by a lookup."""
    payment = await authorized(timed.stack)
    for word in ("Sleeping", "Sleeping"):
        await edit(timed.stack, payment, status=word)
        await timed.stack.call("POST", f"/v1/payments/{payment['id']}/sync", {})


async def unknown_outcome(timed: TimedStack) -> None:
    """A create that is answered with a fault, and nothing more for three seconds."""
    await timed.stack.faults("psp", status=500)
    await timed.stack.create(psp_body())
    for _ in range(3):
        await timed.clock.advance(3)
        await timed.stack.gateway.store.prove_writable(timed.clock.now())  # lets the worker end its look


async def refused_callbacks(timed: TimedStack) -> None:
    """More callbacks than the rate, with a token that is wrong."""
    payment = (await timed.stack.create(psp_body())).json
    for _ in range(operator_events.REFUSALS + 3):
        await post(timed.stack, signed_body(timed.stack, payment), headers={"crm-pay-token": "x" * 40})


async def gone_endpoint(timed: TimedStack) -> None:
    """A tenant's endpoint that answers 410."""
    timed.stack.webhook_answer = lambda request: 410 if request.match_info["tenant"] == "acme" else 204
    await timed.stack.create(psp_body())


async def full_disk(timed: TimedStack) -> None:
    """Less free space than the settings ask for: it is seen at the start."""


async def refused_reload(timed: TimedStack) -> None:
    """Two reloads with a mistake."""
    for _ in range(2):
        assert (await reload(timed.stack, lambda settings: settings.update(clocks={"hint": "soon"}))).status == 422


class Break(NamedTuple):
    """How a thing is broken, under which settings, and how long before now its time begins."""

    does: Callable[[TimedStack], Awaitable[None]]
    settings: Mapping[str, dict[str, Any]] = MappingProxyType({})
    before: timedelta = timedelta()


BREAKS = {
    "review_raised": Break(review),
    "success_after_failure": Break(success_after_failure),
    "capture_deadline_near": Break(deadline, {"clocks": {"poll": ["300d"], "hint": "10s"}}, before=3 * DAY),
    "unknown_provider_status": Break(unknown_word),
    "operation_still_unknown": Break(unknown_outcome, {"clocks": {"unknown_outcome": "2s"}}),
    "callbacks_refused": Break(refused_callbacks),
    "endpoint_disabled": Break(gone_endpoint),
    "store_near_full": Break(full_disk, {"limits": {"low_disk": 10**18}}),
    "reload_failed": Break(refused_reload),
}


def test_every_type_is_broken_below_and_is_an_occurrence() -> None:
    """A type without a test, or that nothing reports, would be a promise only."""
    assert {*BREAKS} == {*OperatorEvent} <= {*LINES}


@pytest.mark.parametrize("kind", BREAKS)
async def test_breaking_a_thing_tells_operators_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """One verified webhook of its type, with a sentence and the command that acts, and nothing of the customer."""
    monkeypatch.setattr(reconcile, "run", idle)
    broken = BREAKS[kind]

    def change(settings: dict[str, Any]) -> None:
        with_operators_webhook(types=[kind])(settings)
        for name, members in broken.settings.items():
            settings[name] = {**settings.get(name, {}), **members}

    async with open_timed(tmp_path, change, start=datetime.now(UTC).replace(microsecond=0) - broken.before) as timed:
        await broken.does(timed)
        body = await hear(timed.stack, kind)
        await timed.stack.gateway.tasks.drain(10)
        [only] = await rows(timed.stack)
    assert (only.type, only.payment_id) == (kind, None)
    assert body.keys() == {"type", "timestamp", "data"}
    assert "{" not in body["data"]["sentence"] + body["data"]["command"]
    assert body["data"]["command"].startswith("gateway ")
    assert not any(word in str(body) for word in ("Dana", "reyes", "C-88", "whsec_"))


async def rows(stack: GatewayStack) -> list[Any]:
    """What the outbox holds for operators."""
    [owner] = stack.gateway.settings.operator_webhooks
    return await stack.gateway.store.deliveries.newest(owner, DeliveryFilter(limit=100))


async def test_a_review_and_its_webhook_are_one_transaction(tmp_path: Path) -> None:
    """What cannot be stored for operators is not stored of the payment either; the callback is tried again."""
    async with running_stack(tmp_path, change=with_operators_webhook()) as stack:
        payment = (await stack.create(psp_body())).json
        refuse = "SELECT RAISE(ABORT, 'no')"
        await change_store(
            stack,
            "CREATE TRIGGER balk BEFORE INSERT ON events WHEN new.tenant LIKE 'operators:%' BEGIN " + refuse + "; END",
        )
        await post(stack, signed_body(stack, payment, amount=1.0))
        assert (await stack.payment(payment["id"]))["review"] is None
        await change_store(stack, "DROP TRIGGER balk")
        await post(stack, signed_body(stack, payment, amount=1.0))
        assert (await hear(stack, "review_raised"))["data"]["payment_id"] == payment["id"]


async def test_each_webhook_of_operators_has_its_types(tmp_path: Path) -> None:
    """One that wants another type hears nothing; two that want it hear of the same event by the same id."""

    def change(settings: dict[str, Any]) -> None:
        with_operators_webhook()(settings)
        [first] = settings["operators"]["webhooks"]
        settings["operators"]["webhooks"] += [
            {**first, "url": f"{first['url']}-2", "types": ["review_raised", "endpoint_disabled"]},
            {**first, "url": f"{first['url']}-3", "types": ["endpoint_disabled"]},
        ]

    async with running_stack(tmp_path, change=change) as stack:
        payment = (await stack.create(psp_body())).json
        await post(stack, signed_body(stack, payment, amount=1.0))
        await hear(stack, "review_raised")
        await hear(stack, "review_raised", "operators-2")
        mine = [(name, headers["webhook-id"]) for name, headers, _ in stack.webhook_attempts if "operators" in name]
    assert sorted(name for name, _ in mine) == ["operators", "operators-2"]
    assert len({identifier for _, identifier in mine}) == 1


async def test_dead_letters_and_redelivery_are_those_of_tenants(tmp_path: Path) -> None:
    """A webhook that operators' endpoint refused for good is listed with its owner and sent again."""
    async with running_stack(tmp_path, change=with_operators_webhook()) as stack:
        [owner] = stack.gateway.settings.operator_webhooks
        stack.webhook_answer = lambda request: 500 if request.match_info["tenant"] == "operators" else 204
        await reload(stack, lambda settings: settings.update(clocks={"webhook_retry": ["0s"]}))
        await reload(stack, lambda settings: settings.update(clocks={"hint": "soon"}))
        await hear(stack, "reload_failed")
        listed = await dead_letters(stack, owner)
        assert [(one["tenant"], one["type"]) for one in listed] == [(owner, "reload_failed")]
        everybodys = (await admin(stack, "GET", "/admin/v1/deliveries")).json["data"]
        assert listed[0]["id"] in [one["id"] for one in everybodys]
        stack.webhook_answer = lambda _: 204
        again = await admin(stack, "POST", f"/admin/v1/deliveries/{listed[0]['id']}/redeliver")
        assert again.status == 202
        async with stack.webhook_arrived:
            await stack.webhook_arrived.wait_for(lambda: len(heard(stack)) == 2)


async def test_an_endpoint_of_operators_that_is_gone_is_enabled_like_any(tmp_path: Path) -> None:
    """It is disabled, reported to the others only, shown in the status with its command, and enabled by that."""

    def change(settings: dict[str, Any]) -> None:
        with_operators_webhook()(settings)
        [first] = settings["operators"]["webhooks"]
        settings["operators"]["webhooks"].append({**first, "url": f"{first['url']}-2"})

    async with running_stack(tmp_path, change=change) as stack:
        owner, _ = stack.gateway.settings.operator_webhooks
        stack.webhook_answer = lambda request: 410 if request.match_info["tenant"] == "operators" else 204
        await reload(stack, lambda settings: settings.update(clocks={"hint": "soon"}))
        assert (await hear(stack, "endpoint_disabled", "operators-2"))["data"]["tenant"] == owner
        needs = (await admin(stack, "GET", "/admin/v1/status")).json["needs_person"]
        assert any(line.endswith(f"gateway endpoints enable {owner}") for line in needs)
        body = {"reason": "repaired"}
        enabled = await admin(stack, "POST", f"/admin/v1/endpoints/{owner}/enable", body)
        assert (enabled.status, enabled.json["enabled"]) == (200, True)
        assert [one["type"] for one in heard(stack)] == ["reload_failed"]


async def dead_letters(stack: GatewayStack, owner: str) -> list[Any]:
    """The dead letters of an owner, once there are any."""
    path = f"/admin/v1/deliveries?status=dead&tenant={owner}"
    while not (found := (await admin(stack, "GET", path)).json["data"]):
        await stack.gateway.store.prove_writable(stack.gateway.clock.now())
    return list(found)


async def test_a_reload_changes_who_hears(tmp_path: Path) -> None:
    """A webhook that is added hears from then on; one that is gone does not."""
    async with running_stack(tmp_path, change=with_operators_webhook()) as stack:

        def move(settings: dict[str, Any]) -> None:
            settings["operators"]["webhooks"][0]["url"] += "-2"

        assert (await reload(stack, move)).status == 200
        report(stack.gateway, Occurrence.ENDPOINT_DISABLED, tenant="acme", reason="gone")
        await hear(stack, "endpoint_disabled", "operators-2")
        assert heard(stack) == []


async def test_an_operation_is_told_of_once_also_after_a_restart(tmp_path: Path) -> None:
    """The row is known by the operation, so a process that remembers nothing stores no second one."""

    def change(settings: dict[str, Any]) -> None:
        with_operators_webhook()(settings)
        settings["clocks"]["unknown_outcome"] = "1ms"

    async with running_stack(tmp_path, change=change) as stack:
        await stack.faults("psp", status=500)
        await stack.create(psp_body())
        await hear(stack, "operation_still_unknown")
        assert len(await report_unknown(stack.gateway, set())) == 1
        await stack.gateway.tasks.drain(10)
        assert len(await rows(stack)) == 1


async def test_what_operators_are_told_is_stored_with_what_it_is_about(tmp_path: Path) -> None:
    """In a unit of the tenant it is about; of the gateway's own where it is about none."""
    async with running_stack(tmp_path, change=with_operators_webhook()) as stack:
        owners, commit = [], stack.gateway.store.commit

        async def noted(tenant: str, unit: Unit) -> None:
            owners.append(tenant)
            await commit(tenant, unit)

        stack.gateway.store.commit = noted  # type: ignore[method-assign]
        report(stack.gateway, Occurrence.ENDPOINT_DISABLED, tenant="globex", reason="gone")
        report(stack.gateway, Occurrence.STORE_NEAR_FULL)
        await stack.gateway.tasks.drain(10)
        assert owners[:2] == ["globex", NO_TENANT]


async def test_no_operators_no_rows(stack: GatewayStack) -> None:
    """Without webhooks of operators nothing is stored for them."""
    payment = (await stack.create(psp_body())).json
    await post(stack, signed_body(stack, payment, amount=1.0))
    report(stack.gateway, Occurrence.ENDPOINT_DISABLED, tenant="acme", reason="gone")
    await stack.gateway.tasks.drain(10)
    assert not [one for one in await stack.gateway.store.stored_bytes() if one.startswith("operators")]
    assert set(STORED_WITH_CHANGE) < set(Occurrence)
