"""Where a store's rows are: all in one database. ``many.py`` says otherwise where the settings name several."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple, Self, TypeVar

from gateway.core.errors import TenantMoves, Unavailable
from gateway.drivers.settings import Settings
from gateway.drivers.settings.store_target import MAIN
from gateway.drivers.store.moves import Move

ANSWER_SECONDS = 5.0
"""How long one of several databases may keep the others waiting."""

P = TypeVar("P")
T = TypeVar("T")


class Outage(NamedTuple):
    """Why a database takes no write, and since when that is known."""

    problem: str
    since: datetime


class Place:
    """What a store is asked about its databases. ``outages``: by name, as they were when all were asked for a write."""

    outages: Mapping[str, Outage] = {}

    @property
    def by_name(self) -> Mapping[str, Self]:
        """The databases by the names of their stores."""
        return {MAIN: self}

    @property
    def parts(self) -> tuple[Self, ...]:
        """What is read or written in each database by itself."""
        return tuple(self.by_name.values())

    def note_outages(self, problems: Mapping[str, str], at: datetime) -> None:
        """Note which databases take no write, and why; an outage that goes on began when it was first noted."""
        known = self.outages
        self.outages = {name: Outage(why, known[name].since if name in known else at) for name, why in problems.items()}

    def use(self, settings: Settings) -> None:
        """Take over which tenants are in which database: here all are in one."""

    def of(self, tenant: str) -> Self:  # noqa: ARG002  # of several databases the tenant's
        """The database that has a tenant's rows."""
        return self

    def place_of(self, tenant: str) -> str:  # noqa: ARG002  # as above
        """The name of that database."""
        return MAIN

    @property
    def reachable(self) -> tuple[Self, ...]:
        """The databases that are not known to be away, for work on each that can wait."""
        return self.parts

    @property
    def down(self) -> tuple[str, ...]:
        """The names of those of several databases that did not answer; of one its callers learn by themselves."""
        return ()

    def is_down(self, tenant: str) -> bool:  # noqa: ARG002  # as above
        """Whether work for a tenant is in vain for now, as its database did not answer, or it is being moved."""
        return False

    def holding(self, tenant: str) -> Move | None:  # noqa: ARG002  # as above
        """The move that a tenant waits for: nothing of it is begun meanwhile."""
        return None

    def refuse_moving(self, tenant: str) -> None:
        """Begin nothing for a tenant that is being moved. Raises ``TenantMoves``."""
        if (move := self.holding(tenant)) is not None:
            raise TenantMoves(f"tenant {tenant} is being moved to the store {move.to}")

    def moves_under_way(self) -> list[tuple[str, Move]]:
        """The moves of tenants whose rows are not all in one store, each with the name of the store that is left."""
        return []

    def note_moves(self, part: Self, moves: Iterable[Move]) -> None:
        """Take over what one of several databases says of tenants that leave it."""

    def followed(self, settings: Settings) -> Settings:
        """Settings with tenants where they are now."""
        return settings

    def is_elsewhere(self, part: Self, tenant: str) -> bool:  # noqa: ARG002  # as above
        """Whether rows of a tenant in one of several databases do not count: it is being moved, or was."""
        return False

    def trust(self, is_sure: Callable[[Self], bool]) -> None:
        """Take over what says whether it is known still which tenants are in one of several databases."""


async def ask_each(parts: Mapping[str, P], ask: Callable[[P], Awaitable[T]]) -> tuple[list[T], dict[str, str]]:
    """Ask all at once: what those say that answer in time, and of the others, by name, why they do not."""
    asked = (asyncio.wait_for(ask(part), ANSWER_SECONDS) for part in parts.values())
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
