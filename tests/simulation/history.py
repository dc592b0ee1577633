"""One history from its seed to its judgement."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import tempfile
from pathlib import Path

import msgspec

from gateway.core.errors import GatewayError
from gateway.core.secret import Secret
from gateway.drivers.settings import AccountEntry, Settings
from tests.simulation.books import read_books
from tests.simulation.creditkey_people import CreditKeyPeople
from tests.simulation.far_creditkey import CreditKey
from tests.simulation.far_hooks import Endpoints
from tests.simulation.far_psp import Psp
from tests.simulation.intents import Intents
from tests.simulation.loop import Stuck, VirtualLoop
from tests.simulation.network import Far, Network
from tests.simulation.oracle import Case, judge
from tests.simulation.process import run_tasks_in_processes
from tests.simulation.psp_people import PspPeople
from tests.simulation.settings import settings_of
from tests.simulation.site import Site
from tests.simulation.stories import Stories
from tests.simulation.tenants import Tenants
from tests.simulation.truth import Truth
from tests.simulation.witness import Witness
from tests.simulation.world import World

SETTLED = 1500.0
"""Seconds after the last fault by which everything has come to rest."""

OUTAGES = {
    "full": {"write": 1.0},
    "gone": {"read": 1.0, "write": 1.0},
    "flaky": {"read": 0.1, "write": 0.5},
    "rusty": {"move": 0.8},
}
"""What a store may refuse for a while, and how likely."""

EXPECTED = {"Unavailable", "Conflict", "TenantError", "ProviderError", "NotSent", "OutcomeUnknown"}
"""Errors that workers may meet and log; any other is a mistake of the gateway's."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a history came to."""

    seed: int
    violations: tuple[str, ...]
    figures: dict[str, int]
    fingerprint: str
    trace: tuple[str, ...]


def run_history(seed: int) -> Outcome:
    """Run the history of a seed."""
    loop = VirtualLoop()
    world = World(seed, loop)
    chance = random.getstate()
    random.seed(seed)
    handler = _Faults(world)
    log = logging.getLogger("gateway")
    before = (log.level, log.propagate)
    log.setLevel(logging.ERROR)
    log.propagate = False
    log.addHandler(handler)
    try:
        with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:  # noqa: S108  # memory, where there is some
            loop.set_exception_handler(lambda _loop, _context: None)
            run_tasks_in_processes(world)
            try:
                loop.run_until_complete(_history(world, Path(folder) / "gateway.db"))
            except Stuck as stuck:
                world.violated(str(stuck))
            finally:
                _sweep(loop)
    finally:
        log.removeHandler(handler)
        log.setLevel(before[0])
        log.propagate = before[1]
        random.setstate(chance)
    return Outcome(
        seed=seed,
        violations=tuple(world.violations),
        figures=dict(world.figures),
        fingerprint=world.fingerprint(),
        trace=tuple(world.trace),
    )


async def _history(world: World, path: Path) -> None:
    dice = world.dice("history")
    absence_proves = dice.random() < 0.5
    settings = settings_of(absence_proves=absence_proves)
    customers, payers, endpoints = CreditKeyPeople(world), PspPeople(world), Endpoints(world)
    intents = Intents(world, lambda: site.connection)
    findable = absence_proves or dice.random() < 0.6
    creditkey = CreditKey(world, intents, customers.begun, findable=findable)
    psp = Psp(world, intents, _by_token(settings))
    truth = Truth(creditkey=creditkey, psp=psp)
    hosts: dict[str, tuple[Far, str]] = {
        "creditkey.example": (creditkey, "provider"),
        "psp.example": (psp, "provider"),
        "acme.example": (endpoints, "webhook"),
        "globex.example": (endpoints, "webhook"),
    }
    site = Site(world, path, settings, Network(world, hosts), Witness(world, truth.may_hold))
    customers.site, customers.ledger, payers.site, payers.ledger = site, creditkey, site, psp
    psp.opened = payers.opened
    tenants = Tenants(world, site)
    stories = Stories(world, tenants, payers)
    living = world.loop.create_task(site.live())

    active = dice.uniform(60, 600)
    for number in range(dice.randint(4, 10)):
        world.spawn(_begin(stories, number, dice.uniform(0, active), is_creditkey=dice.random() < 0.65))
    troubles = world.spawn(_troubles(world, site, active))
    await asyncio.wait({troubles})
    site.outage = {}
    world.calm()
    await world.idle()
    await asyncio.sleep(SETTLED)
    await _look_again(tenants, site)
    await asyncio.sleep(120)

    for problem in judge(
        Case(
            books=read_books(site.connection),
            truth=truth,
            endpoints=endpoints,
            journal=tenants.journal,
            absence_proves=absence_proves,
        )
    ):
        world.violated(problem)
    world.figures["operations"] = site.connection.execute("SELECT COUNT(*) FROM operations").fetchone()[0]
    world.figures["events"] = site.connection.execute("SELECT COUNT(*) FROM events").fetchone()[0]
    world.figures["answers"] = len(tenants.journal)
    world.figures["finished"] = 1
    site.process.end()
    await living


async def _begin(stories: Stories, number: int, after: float, *, is_creditkey: bool) -> None:
    await asyncio.sleep(after)
    await (stories.creditkey(number) if is_creditkey else stories.psp(number))


async def _troubles(world: World, site: Site, active: float) -> None:
    """What happens to the process and its store while the weather lasts."""
    dice, weather = world.dice("troubles"), world.weather
    moments = [(dice.uniform(1, active), "cut") for _ in range(weather.power_cuts)]
    moments += [(dice.uniform(1, active), "stop") for _ in range(weather.stops)]
    for _ in range(weather.outages):
        began = dice.uniform(1, active)
        moments += [(began, dice.choice((*OUTAGES, "rusty"))), (began + dice.choice((0.1, 5, 40, 150)), "free")]
    for at, what in sorted([*moments, (active + 120, "end")]):
        await asyncio.sleep(max(0.0, at - world.loop.time()))
        world.note(f"trouble: {what}")
        if what == "cut":
            site.cut()
        elif what == "stop":
            await site.stop()
        else:
            site.outage = OUTAGES.get(what, {})


async def _look_again(tenants: Tenants, site: Site) -> None:
    """Tenants have the provider asked: what staff did at the far side alone is then known too."""
    for tenant, payment in site.connection.execute("SELECT tenant, id FROM payments WHERE provider = 'creditkey'"):
        await tenants.sync(tenant, payment)


def _by_token(settings: Settings) -> dict[str, AccountEntry]:
    """The PSP accounts by the token they send."""
    entries = [entry for tenant in settings.tenants.values() for entry in tenant.accounts.values()]
    told = [(entry.provider.credentials(entry.account).get("token"), entry) for entry in entries]
    return {token.reveal(): entry for token, entry in told if isinstance(token, Secret)}


class _Faults(logging.Handler):
    """Whatever the gateway itself calls a fault is one, unless it is an error that the weather explains."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one line of the log."""
        fault = record.exc_info[1] if record.exc_info else None
        kind = getattr(record, "kind", None)
        if fault is not None and not isinstance(fault, GatewayError):
            self._world.violated(f"{record.getMessage()}: {type(fault).__name__}: {fault}")
        elif kind is not None and kind not in EXPECTED:
            self._world.violated(f"{record.getMessage()}: {kind}")


def _sweep(loop: VirtualLoop) -> None:
    """End what still runs, so that nothing outlives its history."""
    loop.count_anew()
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        with contextlib.suppress(Stuck):
            loop.run_until_complete(asyncio.wait(tasks, timeout=1.0))
    loop.close()
