"""One gateway on PostgreSQL against one on SQLite, and two workers against one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial

from bench.effort import Effort
from bench.gateway import gateway
from bench.on_postgresql import OnPostgresql, cpu_seconds, gateway_on, postgresql
from bench.table import Row
from bench.windows import Measured, Window, in_words, interleaved, median, ratio
from bench.yardsticks import provider
from tests.support.durable_postgresql import Postgresql

SHARED = "database, load and provider share the two cores"


def rows(effort: Effort) -> Iterator[Row]:
    """First one process each on a core of its own, then on both cores one process and two."""
    with contextlib.ExitStack() as up:
        port = up.enter_context(provider())
        database = up.enter_context(postgresql())
        with gateway(port) as sqlite, gateway_on(database, "one", port) as ours:
            both = {"PostgreSQL": ours, "SQLite": sqlite}
            paid = interleaved({name: partial(one.pay, 2) for name, one in both.items()}, effort.rounds)
            called = interleaved({name: partial(one.call_back, 1) for name, one in both.items()}, effort.rounds)
            for one in both.values():
                one.check()
            costs = list(_costs(database, ours))
            ours.check()
        workers = {
            f"{count} worker{'s' * (count > 1)}": up.enter_context(
                gateway_on(database, f"workers_{count}", port, workers=count, core=None)
            )
            for count in (2, 1)
        }
        scaled = interleaved({name: partial(one.pay, 2) for name, one in workers.items()}, effort.rounds)
        for one in workers.values():
            one.check()
    yield from _pair("payment", paid)
    yield from _pair("callback", called)
    yield from costs
    more, fewer = scaled.values()
    value = ratio(more, fewer, lambda window: window.per_second)
    each = "; ".join(f"{name} {_at_work(windows)}" for name, windows in scaled.items())
    yield Row("payments/s, 2 workers : 1", value, 1.3, 1.6, detail=f"{each}; {SHARED}")


def _at_work(windows: Sequence[Window]) -> str:
    per_second = median(windows, lambda window: window.per_second)
    busy = median(windows, lambda window: window.busy_cores)
    return f"{per_second:,.0f}/s with {busy:.2f} cores busy"


def _pair(what: str, seen: Measured) -> Iterator[Row]:
    ours, theirs = seen.values()
    detail = "; ".join(in_words(name, windows) for name, windows in seen.items())
    per_second = ratio(ours, theirs, lambda window: window.per_second)
    yield Row(f"{what}s/s, PostgreSQL : SQLite", per_second, detail=f"{detail}; {SHARED}")
    cpu = ratio(ours, theirs, lambda window: window.cpu_us)
    yield Row(f"CPU of the gateway per {what}, PostgreSQL : SQLite", cpu, at_most=True, detail=detail)


def _costs(database: Postgresql, ours: OnPostgresql) -> Iterator[Row]:
    """What payments alone cost the database: its CPU, its log, its disk."""
    before, size, spent = _wal(database), _size(database), cpu_seconds(database)
    paid = sum(ours.pay(2).requests + 64 for _ in range(3))
    spent = cpu_seconds(database) - spent
    wal = [after - earlier for earlier, after in zip(before, _wal(database), strict=True)]
    size = _size(database) - size
    yield Row("PostgreSQL's CPU per payment", spent / paid * 1e6, unit=" µs", detail=f"{paid:,} payments")
    records = f"{wal[0] / paid:.0f} records, {wal[1] / paid:.2f} whole pages; {wal[3] / paid:.2f} fsyncs"
    yield Row("log (WAL) per payment", wal[2] / paid / 1024, unit=" KiB", detail=records)
    yield Row("disk per payment", size / paid / 1024, unit=" KiB", detail="tables and indexes, webhooks waiting")


def _wal(database: Postgresql) -> tuple[float, ...]:
    time.sleep(1.5)  # connections report what they wrote when they have been idle for a second
    fsyncs = "(SELECT COALESCE(SUM(fsyncs), 0) FROM pg_stat_io WHERE object = 'wal')"
    return database.execute(f"SELECT wal_records, wal_fpi, wal_bytes, {fsyncs} FROM pg_stat_wal")[0]  # noqa: S608


def _size(database: Postgresql) -> int:
    return int(database.execute("SELECT pg_database_size('one')")[0][0])
