"""Move one tenant to another of several stores, while gateways serve the others.

The steps: announce the move, wait until all processes have read of it and ended what they had begun, bar the tenant
in the store that is left, copy its rows, mark the move as done, delete the old rows. Each is noted before the next
relies on it, so a move that was killed goes on when the command is run again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from gateway.core.errors import GatewayError
from gateway.drivers.clock import milliseconds
from gateway.drivers.store import approvals, moves
from gateway.drivers.store.approvals import Approval
from gateway.drivers.store.copying.tenant import Tell, copy_tenant, delete_tenant, has_rows
from gateway.drivers.store.moves import Move, Step
from gateway.drivers.store.nodes import LEASE, MARGIN, NodeRow
from gateway.drivers.store.reads import Store
from gateway.drivers.store.statements import NO_TENANT
from gateway.flows import audit
from gateway.flows.audit import Act
from gateway.flows.runtime import Gateway
from gateway.flows.tenant_stores import RESTORED, stores_with_rows

SEEN_WITHIN = (LEASE + 2 * MARGIN).total_seconds()
"""Seconds in which every living process reads what was noted: one that does not loses its lease."""

ENDED_WITHIN = 15.0
"""Seconds to wait for work that was begun. What takes longer stores its outcome in the other store."""

WRITTEN_WITHIN = 60.0
"""Seconds to wait for transactions that began before the bar: those of gateways are far shorter."""

LONG_TRANSACTION = (
    "a transaction in the store that was left writes for longer than a minute: end it (pg_stat_activity), and run the"
    " command again; until then the tenant is refused"
)

PAUSE_SECONDS = 0.2
"""Pause between two looks whether something holds."""


class NotMoved(GatewayError):
    """The tenant was not moved, or not yet. The message says what to do."""


class Moving(NamedTuple):
    """A tenant, the store that it leaves and the one it comes to, both with their names."""

    tenant: str
    source_name: str
    source: Store
    target_name: str
    target: Store


async def plan(gw: Gateway, tenant: str, to: str) -> tuple[Moving | None, Move | None]:
    """What is to be moved (None: the tenant is in ``to``), and its move if one was begun. Raises ``NotMoved``."""
    parts = gw.store.by_name
    await gw.store.read_moves()
    unfinished = [(name, one) for name, one in gw.store.tenants.moves_under_way() if one.tenant == tenant]
    for name, one in unfinished:
        if one.to == to:
            return Moving(tenant, name, parts[name], to, parts[to]), one
        if name == to and not one.is_over:
            return Moving(tenant, name, parts[name], one.to, parts[one.to]), one  # to be given up
        raise NotMoved(
            f"tenant {tenant} is being moved to {one.to}: finish that first,"
            f" gateway store move-tenant {tenant} {one.to}"
        )
    place, *others = (await stores_with_rows(gw.store)).get(tenant) or [gw.store.tenants.store_of(tenant)]
    if others:
        raise NotMoved(f"tenant {tenant} has rows in {' and in '.join([place, *others])}: {RESTORED}")
    return (None if place == to else Moving(tenant, place, parts[place], to, parts[to])), None


async def move(gw: Gateway, moving: Moving, begun: Move | None, act: Act, tell: Tell) -> Move:
    """Move the tenant, or go on moving it, until the other store serves it. Raises ``NotMoved``."""
    one = await _announced(gw, moving) if begun is None else await _taken_over(gw, moving, begun)
    if one.step is Step.ANNOUNCED:
        one = await _barred(gw, moving, one, act)
    if one.step is Step.BARRED:
        await _wait_for_units(gw, moving.source)
        asked = await _asked(gw, moving.source, moving.tenant)
        await copy_tenant(moving.source, moving.target, one, asked, gw.clock.now(), tell)
        one, done = moves.advance(one, Step.MOVED)
        gone = approvals.delete([approval.id for approval in asked])
        await moving.source.commit(NO_TENANT, [done, gone, audit.entry(gw, act)])
    # Of a tenant that comes back what says that it had left: not before, as until then it may be given up.
    earlier = [moves.delete(other) for other in await _moves_out_of(moving.target, moving.tenant)]
    await moving.target.commit(NO_TENANT, [*earlier, *moves.end_arrival(moving.tenant)])
    return one


async def clear(gw: Gateway, moving: Moving, one: Move) -> None:
    """Delete the old rows, once all processes use the other store. Raises ``NotMoved``."""
    if left := await _not_seen(gw, moving, one):
        raise NotMoved(
            f"{_named(left)} does not use the new store yet: to delete the rows in {moving.source_name}, run the"
            " command again"
        )
    await delete_tenant(moving.source, moving.tenant, moves.is_still(one))
    _, cleared = moves.advance(one, Step.CLEARED)
    await moving.source.commit(NO_TENANT, [cleared])


async def give_up(gw: Gateway, moving: Moving, one: Move, act: Act) -> None:
    """Leave the tenant where it is: delete what was copied, then serve it again."""
    one = await _taken_over(gw, moving, one)
    await _forget_arrival(gw, one)
    given_up = audit.entry(gw, act, details={**act.details, "given_up": True})
    await moving.source.commit(NO_TENANT, [moves.delete(one), moves.lift_bar(moving.tenant), given_up])


async def forget_arrivals(gw: Gateway, tenant: str) -> None:
    """Delete what was copied into stores for moves of which nothing is known any more."""
    for name, part in gw.store.by_name.items():
        if name != gw.store.tenants.store_of(tenant) and tenant in await part.moves.arriving():
            await _forget_arrival(gw, Move(tenant=tenant, to=name, at=milliseconds(gw.clock.now())))


async def _forget_arrival(gw: Gateway, one: Move) -> None:
    part, tenant = gw.store.by_name[one.to], one.tenant
    await part.commit(NO_TENANT, moves.begin_arrival(one))  # from here on no other command copies anything
    await delete_tenant(part, tenant, moves.arrives_still(one))
    copied = approvals.delete([approval.id for approval in await _asked(gw, part, tenant)])
    arrival, bar = moves.end_arrival(tenant)
    was_left = await _moves_out_of(part, tenant)
    await part.commit(NO_TENANT, [moves.arrives_still(one), copied, arrival, *([] if was_left else [bar])])


async def _asked(gw: Gateway, part: Store, tenant: str) -> list[Approval]:
    """The acts on a tenant that wait in a store; who asked is in the trail of the store where the tenant was then."""
    return [one for one in await part.approvals.waiting() if (await gw.store.audit.asked_about(one.id))[0] == tenant]


async def _moves_out_of(part: Store, tenant: str) -> list[Move]:
    return [one for one in await part.moves.all() if one.tenant == tenant]


async def _announced(gw: Gateway, moving: Moving) -> Move:
    await _check_nodes(gw, moving)
    await _check_target(moving)
    known = [one.at for part in gw.store.parts for one in await _moves_out_of(part, moving.tenant)]
    at = max([milliseconds(gw.clock.now()), *(earlier + 1 for earlier in known)])
    one = Move(tenant=moving.tenant, to=moving.target_name, at=at)
    await moving.source.commit(NO_TENANT, [moves.announce(one)])
    if len(await _moves_out_of(moving.source, moving.tenant)) > 1:
        await moving.source.commit(NO_TENANT, [moves.delete(one)])
        raise NotMoved(moves.OTHER_MOVE)
    await moving.target.commit(NO_TENANT, moves.begin_arrival(one))
    return one


async def _taken_over(gw: Gateway, moving: Moving, begun: Move) -> Move:
    """Go on with a move that another command has begun, which may run still: it brings nothing further."""
    if begun.is_over:
        return begun
    await _check_target(moving)
    one, taken = moves.take_over(begun, gw.clock.now())
    await moving.source.commit(NO_TENANT, [taken])
    await moving.target.commit(NO_TENANT, moves.begin_arrival(one))
    return one


async def _check_target(moving: Moving) -> None:
    """Refuse to write over rows that no move has brought: they are newer, or nobody knows. Raises ``NotMoved``."""
    if moving.tenant not in await moving.target.moves.arriving() and await has_rows(moving.target, moving.tenant):
        raise NotMoved(f"the store {moving.target_name} has rows of tenant {moving.tenant} already")


async def _check_nodes(gw: Gateway, moving: Moving) -> None:
    """Refuse to move while a process does not have both stores open. Raises ``NotMoved``."""
    if not moving.source.is_shared:
        return
    at = milliseconds(gw.clock.now())
    here, there = [
        [row for row in await part.nodes.all() if row.alive_until > at] for part in (moving.source, moving.target)
    ]
    known = {row.id for row in there}
    if strangers := [row for row in here if row.id not in known]:
        raise NotMoved(
            f"{_named(strangers)} does not have the store {moving.target_name} open: restart it with these settings"
        )


async def _barred(gw: Gateway, moving: Moving, one: Move, act: Act) -> Move:
    """Wait until no process begins anything for the tenant, and until what was begun has ended; then set the bar."""
    if left := await _not_seen(gw, moving, one):
        await give_up(gw, moving, one, act)
        raise NotMoved(
            f"{_named(left)} does not answer, and may be of an older version: end it, then run the command again"
        )
    if moving.source.is_shared:
        await _until(gw, lambda: _is_idle(gw, moving), ENDED_WITHIN)
    one, step = moves.advance(one, Step.BARRED)
    await moving.source.commit(NO_TENANT, [step, moves.bar(moving.tenant, gw.clock.now())])
    return one


async def _not_seen(gw: Gateway, moving: Moving, one: Move) -> Sequence[NodeRow]:
    """Wait until all living processes have read of this step of a move; return those that have not in time."""
    if not moving.source.is_shared:
        return []
    left: Sequence[NodeRow] = []

    async def is_seen() -> bool:
        nonlocal left
        left = await moving.source.moves.not_acknowledged(one, gw.clock.now())
        return not left

    await _until(gw, is_seen, SEEN_WITHIN)
    return left


async def _is_idle(gw: Gateway, moving: Moving) -> bool:
    return await moving.source.moves.under_way(moving.tenant, gw.clock.now()) == 0


async def _wait_for_units(gw: Gateway, source: Store) -> None:
    """Wait for units that began before the bar was set: later ones are refused by it. Raises ``NotMoved``."""
    if source.is_shared:
        begun = await source.moves.writing()
        if not await _until(gw, lambda: source.moves.have_ended(begun), WRITTEN_WITHIN):
            raise NotMoved(LONG_TRANSACTION)


async def _until(gw: Gateway, holds: Callable[[], Awaitable[bool]], within: float) -> bool:
    """Wait until something holds; False where it does not within so many seconds."""
    waited = 0.0
    while not await holds():
        if waited >= within:
            return False
        await gw.clock.sleep(PAUSE_SECONDS)
        waited += PAUSE_SECONDS
    return True


def _named(nodes: Sequence[NodeRow]) -> str:
    return "; ".join(f"node {one.id} ({one.host}, process {one.pid}, version {one.version})" for one in nodes)
