"""Each shipped alert fires when the thing it is about is really broken, and none before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import sqlite3
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

from gateway.drivers.clock import milliseconds
from gateway.drivers.store import nodes
from gateway.drivers.store.statements import NO_TENANT
from gateway.drivers.workers.peers import Peers
from gateway.drivers.workers.worker import Worker
from gateway.flows import storage
from gateway.flows.background import reconcile
from gateway.flows.payments import lookup
from gateway.flows.webhooks import dispatch
from tests.drivers.test_store_nodes import node_row
from tests.support.cli import can_be_typed
from tests.support.clients.psp_callbacks import FAIL, call_back, change_store, new_payment
from tests.support.docs_pages import text_of
from tests.support.passing_time import run_due_checks
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import BALK
from tests.support.settings_file import reload, with_operator
from tests.support.several_gateways import one_on_shared
from tests.support.stack import GatewayStack, psp_body, running_stack
from tests.support.virtual_clock import VirtualClock
from tests.support.watch import RULES, Watch, promtool, rules

COMMAND = re.compile(r"`gateway ([^`]+)`")
HALF_AN_HOUR = timedelta(minutes=30)


class Broken(NamedTuple):
    """A running gateway that is being broken, its watch, and the clock that it may have."""

    stack: GatewayStack
    watch: Watch
    clock: VirtualClock


Change = Callable[[dict[str, Any]], None]


class Case(NamedTuple):
    """How a thing is broken, and which alerts fire. ``idle``: workers that never run. ``timed``: on its own clock.

    ``shared``: on a store that several processes may use.
    """

    breaks: Callable[[Broken], Awaitable[None]]
    fires: set[str]
    change: Change = lambda _: None
    idle: tuple[ModuleType, ...] = ()
    timed: bool = False
    shared: bool = False


async def works(stack: GatewayStack) -> None:
    """A healthy life: both providers paid, webhooks delivered, settings loaded again."""
    for _ in range(3):
        payment = await new_payment(stack)
        assert (await call_back(stack, payment)).status < 300
    await creditkey.authorized(stack)
    assert (await reload(stack)).status == 200


# The store


async def store_fails(broken: Broken) -> None:
    await change_store(broken.stack, "ALTER TABLE reference_holders RENAME TO elsewhere")
    assert (await broken.stack.create(psp_body())).status == 503
    await broken.watch.scrape(2)


async def requests_fail(broken: Broken) -> None:
    await store_fails(broken)
    for _ in range(10):
        assert (await broken.stack.create(psp_body())).status == 503
        await broken.watch.scrape()


async def disk_is_low(broken: Broken) -> None:
    disk = broken.stack.gateway.disk
    disk._free, disk._asked_at = lambda _: 0, float("-inf")
    await broken.watch.scrape(3)


async def commits_are_slow(broken: Broken) -> None:
    """Another program locks the database again and again."""
    path = broken.stack.store_file

    def lock(taken: threading.Event, release: threading.Event) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            taken.set()
            release.wait(5)
            other.execute("ROLLBACK")

    for _ in range(3):
        taken, release = threading.Event(), threading.Event()
        holding = asyncio.create_task(asyncio.to_thread(lock, taken, release))
        await asyncio.to_thread(taken.wait, 5)
        asyncio.get_running_loop().call_later(0.3, release.set)
        await broken.stack.gateway.store.prove_writable(broken.stack.gateway.clock.now())
        await holding
        await broken.watch.scrape(4)


async def descriptors_run_out(broken: Broken) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/proc/self/fd"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 6, before[1]))
        await broken.watch.scrape(8)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# The settings


def reloading(change: Change, minutes: int, *, status: int = 200) -> Callable[[Broken], Awaitable[None]]:
    """Edit the settings file and have it loaded."""

    async def breaks(broken: Broken) -> None:
        assert (await reload(broken.stack, change)).status == status
        await storage.check(broken.stack.gateway)
        await broken.watch.scrape(minutes)

    return breaks


def with_mistake(settings: dict[str, Any]) -> None:
    settings["server"]["colour"] = "red"


def with_other_port(settings: dict[str, Any]) -> None:
    settings["server"]["port"] = 1


def with_little_room(settings: dict[str, Any]) -> None:
    settings["limits"] = {"tenant_bytes": 1000}


def with_short_key(settings: dict[str, Any]) -> None:
    ends = (datetime.now(UTC) + timedelta(days=5)).isoformat()
    settings["tenants"]["acme"]["keys"].append({"id": "k2", "sha256": "a" * 64, "expires": ends})


# Nodes


def beside(**members: Any) -> Callable[[Broken], Awaitable[None]]:
    """Another process on the store."""

    async def breaks(broken: Broken) -> None:
        row = node_row("node_other", **members)
        await broken.stack.gateway.store.commit(NO_TENANT, [nodes.renew(row)])
        await broken.watch.scrape(20)

    return breaks


# Providers and their callbacks


async def provider_is_down(broken: Broken) -> None:
    await broken.stack.faults("psp", silence="before_effect")
    for _ in range(10):
        await broken.stack.create(psp_body())
        await broken.watch.scrape()


async def token_is_wrong(broken: Broken) -> None:
    """The provider has another token than the settings, as after a rotation on one side."""
    await broken.stack.faults("psp", status=401)
    await broken.stack.create(psp_body())
    await broken.watch.scrape(3)


async def clock_is_skewed(broken: Broken) -> None:
    broken.clock.set(broken.clock.now() + timedelta(seconds=100))
    await broken.stack.create(psp_body())
    await broken.watch.scrape(8)


async def status_is_unknown(broken: Broken) -> None:
    payment = await creditkey.awaiting(broken.stack)
    await creditkey.edit(broken.stack, payment, status="Marvellous")
    await lookup.refresh(broken.stack.gateway, "acme", payment["id"], hinted=False)
    await broken.watch.scrape(3)


def calling_back(**changes: Any) -> Callable[[Broken], Awaitable[None]]:
    """A provider whose callbacks are all wrong in the same way."""

    async def breaks(broken: Broken) -> None:
        payment = await new_payment(broken.stack)
        for _ in range(10):
            await call_back(broken.stack, payment, **changes)
        await broken.watch.scrape(3)

    return breaks


async def callbacks_are_put_off(broken: Broken) -> None:
    payment = await new_payment(broken.stack)
    for _ in range(12):
        await call_back(broken.stack, payment, amount=1.0)
    await broken.watch.scrape(3)


async def callbacks_wait(broken: Broken) -> None:
    payment = await new_payment(broken.stack)
    await change_store(broken.stack, BALK)
    await call_back(broken.stack, payment)
    await broken.watch.scrape(15)


# Payments


async def operation_stays_unknown(broken: Broken) -> None:
    await broken.stack.faults("psp", silence="after_effect", times=1)
    assert (await broken.stack.create(psp_body())).status == 202
    await broken.clock.advance(2 * HALF_AN_HOUR.total_seconds())
    await broken.watch.scrape(3)


def paid_after_failure(minutes: int) -> Callable[[Broken], Awaitable[None]]:
    """The provider says that a payment failed, and then that it was paid."""

    async def breaks(broken: Broken) -> None:
        payment = await new_payment(broken.stack)
        await call_back(broken.stack, payment, status=FAIL)
        await call_back(broken.stack, payment)
        await broken.watch.scrape(minutes)

    return breaks


async def capture_deadline_comes(broken: Broken) -> None:
    await creditkey.authorized(broken.stack)
    broken.clock.set(broken.clock.now() + timedelta(days=28))
    await run_due_checks(broken.stack.gateway)
    await broken.watch.scrape(3)


async def schedule_stands_still(broken: Broken) -> None:
    await new_payment(broken.stack)
    await change_store(broken.stack, "UPDATE payments SET due_at = 1 WHERE due_at IS NOT NULL")
    await broken.watch.scrape(8)


# Webhooks


async def webhooks_stand_still(broken: Broken) -> None:
    await change_store(broken.stack, "UPDATE events SET next_attempt_at = 1 WHERE status = 'pending'")
    await broken.watch.scrape(8)


def answering(status: int, series: str, minutes: int) -> Callable[[Broken], Awaitable[None]]:
    """An endpoint that answers every webhook so, until a metric shows it."""

    async def breaks(broken: Broken) -> None:
        broken.stack.webhook_answer = lambda _: status
        await new_payment(broken.stack)
        await broken.watch.until(f'{series}{{job="gateway"}}', 1)
        await broken.watch.scrape(minutes)

    return breaks


async def worker_is_gone(broken: Broken) -> None:
    broken.stack.gateway.peers = Peers(Worker(1, 2, (), ()), broken.stack.folder)
    await broken.watch.scrape(5)


def slow_callbacks(settings: dict[str, Any]) -> None:
    settings["server"]["callback_rate"] = {"per_second": 1, "burst": 5}


def one_try(settings: dict[str, Any]) -> None:
    settings["clocks"]["webhook_retry"] = ["0s"]


LATE_SUCCESS = {"GatewaySuccessAfterFailure", "GatewayTransitionsRefused"}

CASES: dict[str, Case] = {
    "store": Case(store_fails, {"GatewayStoreFails"}),
    "requests": Case(requests_fail, {"GatewayStoreFails", "GatewayRequestsFail"}),
    "disk": Case(disk_is_low, {"GatewayDiskLow"}),
    "commits": Case(commits_are_slow, {"GatewayCommitsSlow"}),
    "descriptors": Case(descriptors_run_out, {"GatewayDescriptorsRunOut"}),
    "worker": Case(worker_is_gone, {"GatewayWorkerGone"}),
    "reload": Case(reloading(with_mistake, 3, status=422), {"GatewayReloadFailed"}),
    "restart": Case(reloading(with_other_port, 65), {"GatewayNeedsRestart"}),
    "keys": Case(reloading(with_short_key, 65), {"GatewayKeysExpire"}),
    "budget": Case(reloading(with_little_room, 20), {"GatewayBudgetRunsOut"}),
    "node": Case(beside(alive_until=milliseconds(datetime.now(UTC))), {"GatewayNodeMissing"}, shared=True),
    "nodes": Case(beside(version="0.0.1", alive_until=2**50), {"GatewayNodesDiffer"}, shared=True),
    "provider": Case(provider_is_down, {"GatewayProviderDown"}),
    "token": Case(token_is_wrong, {"GatewayCredentialsRefused"}),
    "clock": Case(clock_is_skewed, {"GatewayClockSkewed"}, timed=True, idle=(reconcile,)),
    "status": Case(status_is_unknown, {"GatewayUnknownStatus"}),
    "signature": Case(calling_back(sign="0" * 40), {"GatewayCallbacksUnauthentic"}),
    "amounts": Case(calling_back(order_no="pay_1"), {"GatewayCallbacksRefused"}),
    "rate": Case(callbacks_are_put_off, {"GatewayCallbacksPutOff"}, slow_callbacks),
    "effect": Case(callbacks_wait, {"GatewayCallbacksWait", "GatewayStoreFails"}),
    "unknown": Case(operation_stays_unknown, {"GatewayOperationsUnknown"}, timed=True),
    "late success": Case(paid_after_failure(3), LATE_SUCCESS),
    "review": Case(paid_after_failure(35), {*LATE_SUCCESS, "GatewayReviewsOpen"}),
    "deadline": Case(capture_deadline_comes, {"GatewayCaptureDeadlineNear"}, timed=True, idle=(reconcile,)),
    "schedule": Case(schedule_stands_still, {"GatewayScheduleLate"}, idle=(reconcile,)),
    "outbox": Case(webhooks_stand_still, {"GatewayWebhooksLate"}, idle=(dispatch,)),
    "endpoint": Case(answering(500, "gateway_endpoints_failing", 65), {"GatewayEndpointFails"}),
    "gone": Case(answering(410, "gateway_dead_letters", 3), {"GatewayEndpointDisabled", "GatewayDeadLetters"}),
    "dead letters": Case(answering(500, "gateway_dead_letters", 3), {"GatewayDeadLetters"}, one_try),
}
"""What is broken -> how, and what fires."""


@contextlib.asynccontextmanager
async def watched(
    folder: Path, change: Change = lambda _: None, timed: bool = False, shared: bool = False
) -> AsyncIterator[Broken]:
    """A gateway that has been healthy for half an hour."""

    def changed(settings: dict[str, Any]) -> None:
        with_operator(settings)
        change(settings)

    clock = VirtualClock(datetime.now(UTC))
    run = one_on_shared if shared else running_stack
    async with run(folder, change=changed, clock=clock if timed else None) as stack:
        watch = Watch(stack)
        await works(stack)
        await watch.scrape(int(HALF_AN_HOUR.total_seconds() / 60))
        yield Broken(stack, watch, clock)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_is_broken_fires_its_alert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    """And no other than those that are about the same."""
    for worker in case.idle:
        monkeypatch.setattr(worker, "run", creditkey.idle)
    async with watched(tmp_path, case.change, case.timed, case.shared) as broken:
        await case.breaks(broken)
    assert broken.watch.fired(tmp_path) == case.fires


async def test_a_gateway_that_is_gone_fires_its_alert(tmp_path: Path) -> None:
    """The process has ended: nobody answers."""
    async with watched(tmp_path) as broken:
        pass
    await broken.watch.scrape(3)
    assert broken.watch.fired(tmp_path) == {"GatewayDown"}


async def test_a_healthy_gateway_fires_nothing(tmp_path: Path) -> None:
    """For two hours with work in between."""
    async with watched(tmp_path) as healthy:
        for _ in range(3):
            await works(healthy.stack)
            await healthy.watch.scrape(30)
    assert healthy.watch.fired(tmp_path) == set()


def test_every_alert_is_fired_by_a_case() -> None:
    """A rule that nothing has ever fired is a hope."""
    assert {rule["alert"] for rule in rules()} == {"GatewayDown"}.union(*(case.fires for case in CASES.values()))


def test_the_rules_are_well_formed() -> None:
    """As Prometheus' own tool sees it."""
    made = subprocess.run([promtool(), "check", "rules", "--lint=all", "--lint-fatal", str(RULES)], check=False)
    assert made.returncode == 0


def test_every_alert_is_documented() -> None:
    """In the same words."""
    told = text_of("docs/operating.md")
    for rule in rules():
        said = rule["annotations"]
        summary = re.sub(r"\{\{ \$labels\.(\w+) \}\}", r"`\1`", said["summary"])
        assert f"| `{rule['alert']}` | {rule['labels']['severity']} | {summary} {said['action']} |" in told
    assert len(re.findall(r"^\| `Gateway\w+` \|", told, re.MULTILINE)) == len(rules())


def test_every_command_of_an_alert_can_be_typed() -> None:
    """Each exists, with the options that are named."""
    named = {tuple(words.split()) for rule in rules() for words in COMMAND.findall(rule["annotations"]["action"])}
    assert len(named) > 15
    assert [words for words in named if not can_be_typed(words)] == []


def test_every_alert_says_what_to_do() -> None:
    """A summary, how bad it is, and a sentence with a command."""
    for rule in rules():
        said = rule["annotations"]
        assert set(said) == {"summary", "action"}, rule["alert"]
        assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"}), rule["alert"]
        assert re.search(r"`(gateway|date) ", said["action"]), rule["alert"]
