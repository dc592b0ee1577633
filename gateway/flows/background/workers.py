"""What runs beside the requests while the gateway works: one list, for the server and for tests that replace it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from gateway.flows import storage
from gateway.flows.background import inbox_retry, reconcile, retention
from gateway.flows.runtime import Gateway
from gateway.flows.webhooks import dispatch


def workers(gw: Gateway) -> tuple[Coroutine[Any, Any, None], ...]:
    """Every worker of one gateway. Each runs until cancelled."""
    return dispatch.run(gw), reconcile.run(gw), inbox_retry.run(gw), retention.run(gw), storage.run(gw)
