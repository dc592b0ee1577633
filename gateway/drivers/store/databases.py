"""The databases of a store: one, unless the settings name several (``many.py``)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import NamedTuple, Self, TypeVar

from gateway.core.errors import Unavailable
from gateway.drivers.store.moves import Moves
from gateway.drivers.store.tenant_map import TenantMap

ANSWER_SECONDS = 5.0
"""How long one of several databases may keep the others waiting."""

P = TypeVar("P")
T = TypeVar("T")


class Outage(NamedTuple):
    """Why a database takes no write, and since when that is known."""

    problem: str
    since: datetime


class Databases:
    """What a store knows of its databases. ``tenants``: which of them has each tenant.

    ``outages``: those that took no write when all were last asked for one, by name. ``down``: the names of those that
    did not answer the last question to all; of a single database each caller learns that by itself.
    """

    tenants: TenantMap
    moves: Moves
    outages: Mapping[str, Outage] = {}
    down: tuple[str, ...] = ()

    @property
    def by_name(self) -> Mapping[str, Self]:
        """The databases by the names of their stores."""
        return {self.tenants.main: self}

    @property
    def parts(self) -> tuple[Self, ...]:
        """What is read or written in each database by itself."""
        return tuple(self.by_name.values())

    @property
    def reachable(self) -> tuple[Self, ...]:
        """The databases that are not known to be down, for work on each that can wait."""
        return tuple(part for name, part in self.by_name.items() if name not in self.down)

    def of(self, tenant: str) -> Self:  # noqa: ARG002  # of several databases the tenant's
        """The database that has a tenant's rows."""
        return self

    def cannot_serve(self, tenant: str) -> bool:
        """Whether work for a tenant cannot succeed now: its database is down, or it is being moved to another."""
        return self.tenants.store_of(tenant) in self.down or self.tenants.unfinished_move(tenant) is not None

    async def read_moves(self) -> None:
        """Follow the moves of tenants that the databases have on record. Raises ``Unavailable``."""
        for name, part in self.by_name.items():
            self.tenants.note_moves(name, await part.moves.all())

    def note_outages(self, problems: Mapping[str, str], at: datetime) -> None:
        """Note which databases take no write, and why; an outage that goes on began when it was first noted."""
        known = self.outages
        self.outages = {name: Outage(why, known[name].since if name in known else at) for name, why in problems.items()}


async def ask_each(parts: Mapping[str, P], ask: Callable[[str, P], Awaitable[T]]) -> tuple[list[T], dict[str, str]]:
    """Ask all at once: the answers of those that answer in time, and by name why the others do not."""
    asked = (asyncio.wait_for(ask(name, part), ANSWER_SECONDS) for name, part in parts.items())
    found, problems = [], {}
    for name, answer in zip(parts, await asyncio.gather(*asked, return_exceptions=True), strict=True):
        if not isinstance(answer, BaseException):
            found.append(answer)
        elif isinstance(answer, (Unavailable, TimeoutError)):
            problems[name] = str(answer) or f"no answer in {ANSWER_SECONDS:g} seconds"
        else:
            raise answer
    return found, problems


def unanswered(problems: Mapping[str, str]) -> Unavailable:
    """The error that says which stores do not answer, and why."""
    return Unavailable("; ".join(f"store {name}: {problem}" for name, problem in problems.items()))
