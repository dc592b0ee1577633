"""What runs beside the requests while the gateway works: one list, for the server and for tests that replace it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from gateway.flows import storage
from gateway.flows.background import inbox_retry, indexing, nodes, operator_events, recent_calls, reconcile, retention
from gateway.flows.runtime import Current
from gateway.flows.webhooks import dispatch


def workers(current: Current) -> tuple[Coroutine[Any, Any, None], ...]:
    """Every worker of one gateway. Each runs until cancelled, and each of its rounds under the current settings."""
    payments = (dispatch.run, reconcile.run, inbox_retry.run)
    beside = (retention.run, storage.run, indexing.run, recent_calls.run)
    return tuple(run(current) for run in (operator_events.run, *payments, *beside, nodes.run))
