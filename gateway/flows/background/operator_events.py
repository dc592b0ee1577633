"""Tell operators what happens: store their webhooks, notice what only time or number shows.

What is part of a payment's change was stored with it (``commit.py``); everything else is stored right after it has
happened, which a process that is killed in between does not do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

from gateway.core.errors import Unavailable
from gateway.drivers.store.rows import first_id
from gateway.drivers.store.statements import Statement
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.operator_outbox import rows_of, tenant_of, wake
from gateway.flows.runtime import Current, Gateway, log
from gateway.flows.tasks import backoff, described

REFUSALS = 10
"""So many callbacks to one account are refused within ``REFUSALS_WITHIN``: operators hear of it."""

REFUSALS_WITHIN = timedelta(minutes=5)

CHECK_SECONDS = 60.0
"""The longest pause between two looks for operations whose outcome is still unknown."""

MAX_REPORTS_PER_ROUND = 100
"""Operations that one look reports: after a long outage of a provider there may be thousands."""

STORED_WITHIN = 10
"""Attempts to store what operators are told."""

STORED_WITH_CHANGE = frozenset(
    {
        Occurrence.REVIEW_RAISED,
        Occurrence.SUCCESS_AFTER_FAILURE,
        Occurrence.CAPTURE_DEADLINE_NEAR,
        Occurrence.UNKNOWN_PROVIDER_STATUS,
    }
)


class OperatorEvents:
    """Hears of every occurrence, and remembers of each account when its last callbacks were refused."""

    def __init__(self, current: Current) -> None:
        self._current = current
        self._refusals: defaultdict[tuple[object, object], list[datetime]] = defaultdict(list)
        current.gateway.occurrences.listeners.append(self.hear)

    def hear(self, occurrence: Occurrence, fields: Mapping[str, object]) -> None:
        """Store what operators want to hear of."""
        gw = self._current.gateway
        if occurrence is Occurrence.CALLBACK_REFUSED:
            self._count_refusal(gw, fields)
        if not gw.settings.operator_webhooks:
            return
        if occurrence in STORED_WITH_CHANGE:
            wake(gw)
        elif rows := [*rows_of(gw, occurrence, fields)]:
            gw.tasks.start(f"to operators {gw.new_id('evt')}", _store(gw, tenant_of(fields), rows))

    def _count_refusal(self, gw: Gateway, fields: Mapping[str, object]) -> None:
        """Report an account whose callbacks are refused again and again, and restart the count."""
        now, account = gw.clock.now(), (fields.get("tenant"), fields.get("account"))
        recent = [at for at in self._refusals[account] if now - at < REFUSALS_WITHIN]
        self._refusals[account] = [*recent, now]
        if len(recent) + 1 >= REFUSALS:
            del self._refusals[account]
            named = {"tenant": account[0], "account": account[1], "reason": fields.get("reason")}
            report(gw, Occurrence.CALLBACKS_REFUSED, **named)


async def _store(gw: Gateway, tenant: str, rows: list[Statement]) -> None:
    for _, pause in zip(range(STORED_WITHIN), backoff(CHECK_SECONDS), strict=False):
        try:
            await gw.store.commit(tenant, rows)
        except Unavailable as problem:
            log.error("an operators' webhook cannot be stored", extra={"problem": str(problem)})
            await gw.clock.sleep(pause)
        else:
            wake(gw)
            return


async def run(current: Current) -> None:
    """Hear of everything, and report operations whose outcome is still unknown, each once, until cancelled."""
    OperatorEvents(current)
    reported: set[str] = set()
    while True:
        try:
            if await current.gateway.node.does("operator events"):
                reported = await report_unknown(current.gateway, reported)
        except Exception as fault:  # a worker's loop: it looks again
            log.error("cannot look for unknown operations", extra=described(fault))
        pause = current.gateway.settings.clocks.unknown_outcome.total_seconds()
        await current.gateway.clock.sleep(min(CHECK_SECONDS, pause))


async def report_unknown(gw: Gateway, reported: set[str]) -> set[str]:
    """Report the oldest that are not in ``reported``; return all that have been and are unknown still."""
    began = gw.clock.now() - gw.settings.clocks.unknown_outcome
    found = await gw.store.queues.unknown_before(first_id("op", began))
    new = [one for one in found if one.id not in reported][:MAX_REPORTS_PER_ROUND]
    for one in new:
        fields = {"tenant": one.tenant, "account": one.account, "payment_id": one.payment_id}
        report(gw, Occurrence.OPERATION_STILL_UNKNOWN, **fields, operation_id=one.id)
    return {one.id for one in found if one.id in reported} | {one.id for one in new}
