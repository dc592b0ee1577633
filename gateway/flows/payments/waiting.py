"""Wait for an operation that is under way, in this process or in another one on the same store."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.core.payment import Operation, Status
from gateway.core.repeats import is_under_way
from gateway.flows.runtime import Gateway

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""Seconds between two reads of the store: most operations end soon."""


def pauses(seconds: float) -> Iterator[float]:
    """The pauses between reads that wait for ``seconds`` together."""
    pause = FIRST_PAUSE
    while seconds > 0:
        yield min(pause, seconds)
        seconds -= pause
        pause = min(2 * pause, LONGEST_PAUSE)


async def wait_for(gw: Gateway, operation: Operation, seconds: float) -> None:
    """Wait until an open operation is not sent or repeated any more, for at most ``seconds``."""
    if gw.tasks.is_running(operation.id) or not gw.node.is_shared:
        await gw.tasks.wait_for(operation.id, seconds)
        return
    for pause in pauses(seconds):
        if not is_elsewhere(gw, operation):
            return
        await gw.clock.sleep(pause)
        snapshot = await gw.store.payment(operation.tenant, operation.payment_id)
        now_open = snapshot.open_operation if snapshot is not None else None
        if now_open is None or now_open.id != operation.id:
            return
        operation = now_open


def is_elsewhere(gw: Gateway, operation: Operation) -> bool:
    """Whether another process may be sending or repeating an operation."""
    if operation.status is Status.SENDING:
        return operation.node not in (None, gw.node.id)
    return gw.node.is_shared and is_under_way(operation, gw.clock.now())
