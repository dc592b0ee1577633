"""What runs beside the requests while the gateway works: one list, for the server and whoever stands in for it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from gateway.flows import housekeeping, outbox, pending, reconcile, room
from gateway.flows.context import Gateway


def workers(gw: Gateway) -> tuple[Coroutine[Any, Any, None], ...]:
    """Every worker of one gateway. Each runs until cancelled."""
    return outbox.run(gw), reconcile.run(gw), pending.run(gw), housekeeping.run(gw), room.run(gw)
