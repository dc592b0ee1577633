"""One history, from its seed to the final checks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import random
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from gateway.core.errors import GatewayError
from gateway.core.secret import Secret
from gateway.drivers.settings import AccountEntry, Settings
from tests.simulation.acquirer_actors import AcquirerActors
from tests.simulation.cluster import Cluster
from tests.simulation.creditkey_actors import CreditKeyActors
from tests.simulation.deployment import Deployment, MakeEngine
from tests.simulation.environment import Environment
from tests.simulation.fake_acquirer import FakeAcquirer
from tests.simulation.fake_creditkey import FakeCreditKey
from tests.simulation.fake_endpoints import FakeEndpoints
from tests.simulation.fake_psp import FakePsp
from tests.simulation.final_checks import FinalState, problems_of
from tests.simulation.invariants import InvariantChecker
from tests.simulation.ledgers import Ledgers
from tests.simulation.network import Network, Server
from tests.simulation.outgoing_calls import OutgoingCalls
from tests.simulation.postgresql_database import PostgresqlDatabase
from tests.simulation.process import run_tasks_in_processes
from tests.simulation.psp_actors import PspActors
from tests.simulation.settings import settings_of
from tests.simulation.store_engine import PostgresqlStoreEngine, SharedStoreEngine, StoreEngine, connect
from tests.simulation.store_snapshot import read_snapshot
from tests.simulation.tenants import Tenants
from tests.simulation.virtual_loop import Stuck, VirtualLoop
from tests.simulation.workloads import Workloads
from tests.support.shared_engine import share
from tests.support.stores import SQLITE, fresh_url

REST_SECONDS = 1500.0
"""Seconds after the last fault by which every timer has run and every operation that can be resolved is."""

ACQUIRER_PAYMENTS = (0, 0, 1, 2)
"""How many payments at the acquirer a history has."""

OUTAGES = {
    "full": {"write": 1.0},
    "gone": {"read": 1.0, "write": 1.0},
    "flaky": {"read": 0.1, "write": 0.5},
    "rusty": {"move": 0.8},
}
"""Kinds of outage: what the store refuses for a while, and with which probability."""

EXPECTED_ERRORS = {"Unavailable", "Conflict", "TenantError", "ProviderError", "NotSent", "OutcomeUnknown"}
"""Errors that workers may log under the injected faults; any other is a bug in the gateway."""

UNWRITTEN_ACT = "an act is missing in the audit trail"
"""The line of an act that the store refused; its ``kind`` is the act."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a history."""

    seed: int
    nodes: int
    engine: str
    violations: tuple[str, ...]
    figures: dict[str, int]
    fingerprint: str
    trace: tuple[str, ...]


def run_history(seed: int, nodes: int = 1, engine: str = "sqlite") -> Outcome:
    """Run the history of a seed, with one gateway or with several ``nodes`` on a shared store.

    ``engine``: what that store is kept on, ``sqlite`` or ``postgresql``.
    """
    loop = VirtualLoop()
    env = Environment(seed, loop)
    chance = random.getstate()
    random.seed(seed)
    handler = _ErrorLog(env)
    log = logging.getLogger("gateway")
    before = (log.level, log.propagate)
    log.setLevel(logging.ERROR)
    log.propagate = False
    log.addHandler(handler)
    try:
        with _memory() as folder, fresh_url(engine, Path(folder)) as url:
            loop.set_exception_handler(lambda _loop, _context: None)
            run_tasks_in_processes(env)
            try:
                loop.run_until_complete(_history(env, url, nodes))
            except Stuck as stuck:
                env.violated(str(stuck))
            finally:
                _close(loop)
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]
        random.setstate(chance)
    return Outcome(
        seed=seed,
        nodes=nodes,
        engine=engine,
        violations=tuple(env.violations),
        figures=dict(env.figures),
        fingerprint=env.fingerprint(),
        trace=tuple(env.trace),
    )


async def _history(env: Environment, url: str, nodes: int) -> None:
    dice = env.dice("history")
    absence_proves = dice.random() < 0.5
    settings = settings_of(absence_proves=absence_proves)
    customers, payers, endpoints = CreditKeyActors(env), PspActors(env), FakeEndpoints(env)
    cardholders = AcquirerActors(env, settings.tenants["acme"].accounts["acquirer-main"])
    outgoing_calls = OutgoingCalls(env, lambda: deployment.connection)
    findable = absence_proves or dice.random() < 0.6
    creditkey = FakeCreditKey(env, outgoing_calls, customers.order_created, findable=findable)
    psp = FakePsp(env, outgoing_calls, _by_token(settings))
    acquirer = FakeAcquirer(env, outgoing_calls, cardholders.happened)
    ledgers = Ledgers(creditkey=creditkey, psp=psp, acquirer=acquirer)
    hosts: dict[str, tuple[Server, str]] = {
        "creditkey.example": (creditkey, "provider"),
        "psp.example": (psp, "provider"),
        "acquirer.example": (acquirer, "provider"),
        "acme.example": (endpoints, "webhook"),
        "globex.example": (endpoints, "webhook"),
    }
    make_engine = engines(env, url, is_shared=nodes > 1)
    checked = (make_engine, settings, Network(env, hosts), InvariantChecker(env, ledgers.is_confirmed))
    deployment = Cluster(env, [Deployment(env, *checked, node=node, nodes=nodes) for node in range(nodes)])
    customers.deployment, customers.ledger, payers.deployment, payers.ledger = deployment, creditkey, deployment, psp
    cardholders.deployment, cardholders.ledger = deployment, acquirer
    psp.page_created = payers.page_created
    tenants = Tenants(env, deployment)
    workloads = Workloads(env, tenants, payers, cardholders)
    running = env.loop.create_task(deployment.run())

    active = dice.uniform(60, 600)
    for number in range(dice.randint(4, 10)):
        after = dice.uniform(0, active)
        env.spawn(_begin(workloads.creditkey if dice.random() < 0.65 else workloads.psp, number, after))
    dice = env.dice("acquirer's share")
    for number in range(dice.choice(ACQUIRER_PAYMENTS)):
        env.spawn(_begin(workloads.acquirer, number, dice.uniform(0, active)))
    injector = env.spawn(_inject_faults(env, deployment, active))
    await asyncio.wait({injector})
    deployment.outage = {}
    env.end_faults()
    await env.idle()
    await asyncio.sleep(REST_SECONDS)
    await _sync_all(tenants, deployment)
    await asyncio.sleep(120)

    for problem in problems_of(
        FinalState(
            store=read_snapshot(deployment.connection),
            ledgers=ledgers,
            endpoints=endpoints,
            journal=tenants.journal,
            absence_proves=absence_proves,
            outages=env.outages,
        )
    ):
        env.violated(problem)
    env.figures["operations"] = deployment.connection.execute("SELECT COUNT(*) FROM all_operations").fetchone()[0]
    env.figures["events"] = deployment.connection.execute("SELECT COUNT(*) FROM events").fetchone()[0]
    env.figures["answers"] = len(tenants.journal)
    env.figures["finished"] = 1
    deployment.end()
    await running


def engines(env: Environment, url: str, *, is_shared: bool) -> MakeEngine:
    """Return what opens the store for a process: the file for itself alone, or what all share."""
    if not url.startswith(SQLITE):
        server = PostgresqlDatabase(url, env.now)
        return lambda process, **given: PostgresqlStoreEngine(process, server, **given)  # type: ignore[arg-type]
    path = Path(url.removeprefix(SQLITE))
    path.parent.mkdir()
    if not is_shared:
        return lambda process, **given: StoreEngine(process, connect(path), **given)
    database = connect(path)
    share(database, env.now)
    return lambda process, **given: SharedStoreEngine(process, database, **given)


async def _begin(workload: Callable[[int], Awaitable[None]], number: int, after: float) -> None:
    await asyncio.sleep(after)
    await workload(number)


async def _inject_faults(env: Environment, deployment: Cluster, active: float) -> None:
    """Stop and crash the process, and fail its store, at drawn times."""
    dice, rates = env.dice("troubles"), env.rates
    times = [(dice.uniform(1, active), "cut") for _ in range(rates.power_cuts)]
    times += [(dice.uniform(1, active), "stop") for _ in range(rates.stops)]
    for _ in range(rates.outages):
        began = dice.uniform(1, active)
        times += [(began, dice.choice((*OUTAGES, "rusty"))), (began + dice.choice((0.1, 5, 40, 150)), "free")]
    for at, what in sorted([*times, (active + 120, "end")]):
        await asyncio.sleep(max(0.0, at - env.loop.time()))
        env.note(f"trouble: {what}")
        if what == "cut":
            deployment.cut_power()
        elif what == "stop":
            await deployment.stop()
        else:
            deployment.outage = OUTAGES.get(what, {})
            if what in OUTAGES:
                env.outages.append((env.loop.time(), math.inf))
            elif env.outages:
                env.outages[-1] = (env.outages[-1][0], min(env.outages[-1][1], env.loop.time()))


async def _sync_all(tenants: Tenants, deployment: Cluster) -> None:
    """Sync every payment that can be, so that the gateway learns what was done at the provider alone."""
    for tenant, payment in deployment.connection.execute(
        "SELECT tenant, id FROM payments WHERE provider <> 'psp_open_api'"
    ):
        await tenants.sync(tenant, payment)


def _by_token(settings: Settings) -> dict[str, AccountEntry]:
    """The PSP accounts by the token they send."""
    entries = [entry for tenant in settings.tenants.values() for entry in tenant.accounts.values()]
    pairs = [(entry.provider.credentials(entry.account).get("token"), entry) for entry in entries]
    return {token.reveal(): entry for token, entry in pairs if isinstance(token, Secret)}


class _ErrorLog(logging.Handler):
    """An error in the gateway's log is a violation, unless the injected faults explain it."""

    def __init__(self, env: Environment) -> None:
        super().__init__(logging.ERROR)
        self._env = env

    def emit(self, record: logging.LogRecord) -> None:
        """Check one log record."""
        fault = record.exc_info[1] if record.exc_info else None
        kind = getattr(record, "kind", None)
        if fault is not None and not isinstance(fault, GatewayError):
            self._env.violated(f"{record.getMessage()}: {type(fault).__name__}: {fault}")
        elif kind is not None and kind not in EXPECTED_ERRORS and record.getMessage() != UNWRITTEN_ACT:
            self._env.violated(f"{record.getMessage()}: {kind}")


def _memory() -> tempfile.TemporaryDirectory[str]:
    """A folder in memory, where there is some."""
    return tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)  # noqa: S108


def _close(loop: VirtualLoop) -> None:
    """Cancel what still runs, so that nothing outlives its history, and close the loop."""
    loop.reset_counters()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        with contextlib.suppress(Stuck):
            loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
    loop.close()
