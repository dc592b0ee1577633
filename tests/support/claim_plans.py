"""How PostgreSQL goes about what is read before a claim, and to wait for one, in tables as large as wanted."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gateway.drivers.store.claims import Claimant
from gateway.drivers.store.reads import Store
from tests.support.factories.payments import AT

BY = Claimant("node_a", AT)
ENDPOINT = "e" * 64

READS: dict[str, Callable[[Store], Awaitable[Any]]] = {
    "webhooks": lambda store: store.claimable.webhooks("acme", ENDPOINT, 9, BY, under_way=["dlv_1"]),
    "claimed webhooks": lambda store: store.claimable.due_webhooks("acme", ENDPOINT, AT, ["dlv_1", "dlv_2"]),
    "checks": lambda store: store.claimable.checks(16, BY),
    "claimed checks": lambda store: store.claimable.due_checks("acme", AT, ["pay_1", "pay_2"]),
    "callbacks": lambda store: store.claimable.callbacks(50, BY),
    "claimed callbacks": lambda store: store.claimable.due_callbacks("acme", AT, ["cb_1", "cb_2"]),
    "next callback": lambda store: store.inbox.next_due(),
}

INDEXES = {
    "webhooks": ["deliveries_due", "events_by_version"],
    "claimed webhooks": ["events_by_delivery"],
    "checks": ["payments_due"],
    "claimed checks": ["payments_pkey"],
    "callbacks": ["inbox_pending"],
    "claimed callbacks": ["inbox_pkey"],
    "next callback": ["inbox_pending"],
}
"""What is offered is found by a partial index; what was claimed by its key, however few the database thinks are due."""

READS_ALL = re.compile(r"Seq Scan on (?:events|payments|inbox)\b|\bAggregate\b")

_FILL = (
    "INSERT INTO events (tenant, id, payment_id, type, version, doc, delivery_id, status, next_attempt_at, tries,"
    " attempts, created_at, body) SELECT 'acme', 'evt_' || n, 'pay_' || n / 3, 'payment.captured', n % 3, '{}',"
    " 'dlv_' || n, CASE WHEN n % 1000 = 0 THEN 'pending' ELSE 'delivered' END,"
    " CASE WHEN n % 1000 = 0 THEN n END, 0, '[]', n, repeat('b', 700) FROM generate_series(1, CAST(? AS BIGINT)) n",
    "INSERT INTO payments (tenant, id, account, provider, merchant_reference, state, version, revision, created_at,"
    " doc, purchase, due_at) SELECT 'acme', 'pay_' || n, 'main', 'psp', 'SO-' || n, 'captured', 1, 1, n,"
    " repeat('d', 300), '{}', CASE WHEN n % 7 = 0 THEN 4000000000000 WHEN n % 1000 = 0 THEN n END"
    " FROM generate_series(1, CAST(? AS BIGINT) / 3) n",
    "INSERT INTO inbox (tenant, id, account, received_at, method, suffix, query, headers, body, size, remote, verdict,"
    " tries, next_attempt_at, history) SELECT 'acme', 'cb_' || n, 'main', n, 'POST', '', '', '[]', '', 0, '',"
    " CASE WHEN n % 1000 = 0 THEN 'pending' ELSE 'recorded' END, 0, CASE WHEN n % 1000 = 0 THEN n END, '[]'"
    " FROM generate_series(1, CAST(? AS BIGINT) / 3) n",
)
"""Of a thousand one is due: a webhook on its way, a check, a callback to be retried."""


async def fill(store: Store, events: int) -> None:
    """Make so many events, and a third as many payments and callbacks."""
    for sql in _FILL:
        await store._engine.rows(sql, (events,))
    await store._engine.rows("ANALYZE", ())


async def plans(store: Store) -> dict[str, str]:
    """The plan of each read."""
    engine, found = store.claimable._engine, {}
    ask = engine.rows

    def explaining(name: str) -> Any:
        async def explained(sql: str, params: Sequence[Any]) -> list[tuple[Any, ...]]:
            found[name] = "\n".join(line for (line,) in await ask(f"EXPLAIN {sql}", params))
            return await ask(sql, params)

        return explained

    for name, read in READS.items():
        engine.rows = explaining(name)  # type: ignore[method-assign]
        await read(store)
    engine.rows = ask  # type: ignore[method-assign]
    return found


def problems(name: str, plan: str) -> list[str]:
    """What is wrong with a plan: a table is read whole, or all that waits, or the index is not used."""
    unused = [f"{index} is not used" for index in INDEXES[name] if index not in plan]
    return [*READS_ALL.findall(plan), *unused]
