"""What operators ask, at a million payments: ``python -m bench.operators [--payments N] [--store FILE]``.

A store is filled as for the row ``growth``, with customers and failures; a gateway indexes it, is asked for one payment
by each term, for its status and its metrics, and then all at once beside payments. What it answers is checked.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import http.client
import itertools
import json
import os
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench import fill, machine, wrk
from bench.client import Client, client
from bench.contestant import Contestant
from bench.gateway import gateway
from bench.settings import OPERATORS_KEY, TENANT_KEYS
from bench.table import markdown
from bench.webhook_receiver import Receiver
from bench.windows import cpu_in_words, interleaved, median, ratio
from bench.yardsticks import provider

ORIGINALS = 2_000
FAILS_EACH = 50
ASKED = 15
"""How often each question is asked; the median is shown, and the longest."""

ROUNDS, SECONDS = 7, 3
"""Windows of payments with and without operators, and how long each is."""

ASKS_EVERY = 1.0
"""Seconds between two rounds of questions beside payments: one search, one status, one scrape."""

INDEXED_WITHIN = 3600.0
"""Seconds that the index of a whole store may take."""


def originals(folder: Path) -> Path:
    """The store of a gateway that made some payments, each with a customer of its own; a few of them failed."""
    port, kept = machine.free_port(), folder / "originals.db"
    with provider() as provider_port, gateway(provider_port, webhooks=f"http://127.0.0.1:{port}/hooks") as ours:
        asyncio.run(_pay_and_end(ours, port))
        with (
            contextlib.closing(sqlite3.connect(ours.database)) as source,
            contextlib.closing(sqlite3.connect(kept)) as copy,
        ):
            source.backup(copy)
    with contextlib.closing(sqlite3.connect(kept)) as made:
        found = dict(made.execute("SELECT state, COUNT(*) FROM payments GROUP BY state").fetchall())
    failed = ORIGINALS // FAILS_EACH
    _check(found == {"captured": ORIGINALS - failed, "failed": failed}, f"payments were made as {found}")
    return kept


async def _pay_and_end(ours: Contestant, port: int) -> None:
    receiver, numbers = Receiver(), iter(zip(range(ORIGINALS), cycle(TENANT_KEYS), strict=False))

    async def caller(tenant: Client) -> None:
        for number, name in numbers:
            reference = f"{fill.MARK}-{0:07d}-{number:08x}"
            customer = {"id": f"C-{reference}", "email": f"{reference}@reyes.example", "phone": f"+1253{number:07d}"}
            key, amount = hashlib.sha256(reference.encode()).hexdigest(), f"{100 + number % 1000}.48"
            payment = await tenant.pay(name, reference, key, customer=customer, amount=amount)
            status = 0 if number % FAILS_EACH == 0 else 1
            await tenant.call_back(name, payment, reference, status=status, amount=float(amount))
            await receiver.time_of(f"payment.{('failed', 'captured')[status]}", payment, patience=120.0)

    async with receiver.listening(port), client(ours) as tenant:
        await asyncio.gather(*(caller(tenant) for _ in range(fill.CALLERS)))


class Operator:
    """An operator with a connection of its own."""

    def __init__(self, port: int) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, path: str, **query: object) -> bytes:
        """Ask for something. Raises ``WrongAnswer``."""
        self._http.request("GET", f"{path}?{urlencode(query)}", headers={"Authorization": f"Bearer {OPERATORS_KEY}"})
        answer = self._http.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise wrk.WrongAnswer(f"{path}: {answer.status} {body!r}")
        return body

    def find(self, **query: object) -> Any:
        """Search."""
        return json.loads(self.ask("/admin/v1/search", **query))


def texts_of(store: sqlite3.Connection, tenant: str, payment: str) -> dict[str, object]:
    """Everything that leads to a payment, by what it is."""
    of_payment = "WHERE tenant = ? AND payment_id = ?"
    queries = {
        "request id, operation id, event id": "SELECT json_extract(doc, '$.request_id'),"  # noqa: S608  # our own words
        f" json_extract(doc, '$.details.operation_id'), id FROM events {of_payment} AND version = 1",
        "callback id": f"SELECT id FROM inbox {of_payment}",  # noqa: S608  # as above
        "idempotency key": f"SELECT json_extract(doc, '$.idempotency_key') FROM operations {of_payment}",  # noqa: S608
        "merchant reference, provider reference, customer id, e-mail, phone, amount": "SELECT merchant_reference,"
        " provider_reference, json_extract(purchase, '$.customer.id'), json_extract(purchase, '$.customer.email'),"
        " json_extract(purchase, '$.customer.phone'), json_extract(doc, '$.money.amount') FROM payments"
        " WHERE tenant = ? AND id = ?",
    }
    found: dict[str, object] = {"payment id": payment}
    for names, sql in queries.items():
        found |= zip(names.split(", "), store.execute(sql, (tenant, payment)).fetchone(), strict=True)
    return found


def questions(database: Path) -> dict[str, tuple[dict[str, object], str | None]]:
    """What is asked: for each term of a payment in the middle of the store, and for what no text is needed.

    With the payment that must be found, where it must be on the first page.
    """
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        (last,) = store.execute("SELECT MAX(rowid) FROM payments").fetchone()
        tenant, payment = store.execute("SELECT tenant, id FROM payments WHERE rowid = ?", (last // 2,)).fetchone()
        texts = texts_of(store, tenant, payment)
        # Copies have ids of other times than they were created at: only of originals both are the same.
        original, at = store.execute(
            "SELECT id, created_at FROM payments WHERE rowid = ?", (ORIGINALS // 2,)
        ).fetchone()
    at = {"since": _rfc3339(at), "until": _rfc3339(at)}
    amount = {"amount_min": texts["amount"], "amount_max": texts["amount"]}
    shared = {"phone", "amount"}  # with copies of the payment
    return {
        **{name: ({"q": text}, None if name in shared else payment) for name, text in texts.items()},
        "a text that names nothing": ({"q": "nobody@nowhere.example"}, None),
        "amount range": (amount, None),
        "amount range that nothing is in": ({"amount_min": "0.01", "amount_max": "0.02"}, None),
        "state": ({"state": "failed"}, None),
        "state that nothing is in": ({"state": "authorized"}, None),
        "error code": ({"error": "declined"}, None),
        "error code, of a tenant, before a time": (
            {"error": "declined", "tenant": tenant, "until": at["until"]},
            None,
        ),
        "dates": ({**at, "limit": 200}, original),
        "nothing but the newest": ({}, None),
    }


def _rfc3339(milliseconds: int) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(milliseconds // 1000))}.{milliseconds % 1000:03}Z"


def index(ours: Contestant, payments: int) -> list[list[str]]:
    """Let the gateway make the index, with nothing else to do; how long that takes, and what it costs."""
    operator, began = Operator(ours.admin_port), time.monotonic()
    before = ours.server.threads()
    operator.find(q="begin")
    while _left(ours.database):
        _check(time.monotonic() < began + INDEXED_WITHIN, "the index is not made in time")
        time.sleep(0.2)
    seconds, cpu = time.monotonic() - began, machine.spent(ours.server.pid, before, ours.server.threads())
    with contextlib.closing(sqlite3.connect(f"file:{ours.database}?mode=ro", uri=True)) as store:
        (indexed,) = store.execute("SELECT COUNT(*) FROM search_payments").fetchone()
        (terms,) = store.execute("SELECT COUNT(*) FROM search_terms").fetchone()
        (pages,) = store.execute("PRAGMA page_count").fetchone()
        sizes = dict(store.execute("SELECT name, SUM(pgsize) FROM dbstat WHERE name LIKE 'search%' GROUP BY name"))
    _check(indexed == payments, f"{indexed} of {payments} payments are indexed")
    return [
        ["index made, idle", f"{seconds:.0f} s"],
        [
            "CPU per payment, main thread + others",
            f"{cpu.main / payments / 1000:.1f} + {cpu.others / payments / 1000:.1f} µs",
        ],
        ["terms per payment", f"{terms / payments:.1f}"],
        ["bytes per payment, of the store's", f"{sum(sizes.values()) / payments:.0f} of {pages * 4096 / payments:.0f}"],
    ]


def _left(database: Path) -> int:
    """How many events are not indexed yet."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        (left,) = store.execute(
            "SELECT (SELECT MAX(rowid) FROM events) - COALESCE((SELECT event_row FROM search_progress), 0)"
        ).fetchone()
        return int(left)


def times(ours: Contestant) -> Iterator[list[str]]:
    """How long each answer takes over HTTP, in milliseconds: the median and the longest."""
    operator = Operator(ours.admin_port)
    for name, (query, payment) in questions(ours.database).items():
        page = operator.find(**query)
        _check(payment is None or payment in [row["id"] for row in page["data"]], f"{name}: {query} finds it not")
        _check("not_indexed" not in page, "the index is behind")
        yield [f"find by {name}", *_timed(lambda query=query: operator.find(**query))]
    yield ["status", *_timed(lambda: operator.ask("/admin/v1/status"))]
    yield ["metrics", *_timed(lambda: operator.ask("/metrics"))]


def _timed(ask: Any) -> tuple[str, str]:
    taken = []
    for _ in range(ASKED):
        began = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - began) * 1000)
    return f"{statistics.median(taken):.1f}", f"{max(taken):.1f}"


@contextlib.contextmanager
def asking(ours: Contestant) -> Iterator[None]:
    """Ask for a payment, for the status and for the metrics, each second while the block runs."""
    ended, asked = threading.Event(), itertools.cycle(query for query, _ in questions(ours.database).values())
    failures: list[Exception] = []

    def ask() -> None:
        operator = Operator(ours.admin_port)
        try:
            while not ended.is_set():
                operator.find(**next(asked))
                operator.ask("/admin/v1/status")
                operator.ask("/metrics")
                ended.wait(ASKS_EVERY)
        except Exception as failure:
            failures.append(failure)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if failures:
        raise failures[0]


def beside_payments(ours: Contestant) -> list[list[str]]:
    """Payments with operators and without, in turn."""

    def asked() -> Any:
        with asking(ours):
            return ours.pay(SECONDS)

    seen = interleaved({"alone": lambda: ours.pay(SECONDS), "asked": asked}, ROUNDS)
    rows = []
    for what, figure in (("payments/s", lambda one: one.per_second), ("CPU per payment", lambda one: one.cpu_us)):
        rows.append([f"{what}, asked : alone", f"{ratio(seen['asked'], seen['alone'], figure):.3f}"])
    for name, windows in seen.items():
        per_second, p99 = median(windows, lambda one: one.per_second), median(windows, lambda one: one.p99_ms)
        rows.append([name, f"{per_second:,.0f}/s, {cpu_in_words(windows)} µs, p99 {p99:.1f} ms"])
    return rows


def _check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RuntimeError(otherwise)


def main() -> None:
    """Fill, index, ask, and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.operators", description=__doc__)
    parser.add_argument("--payments", type=int, default=1_000_000, help=f"a multiple of {ORIGINALS}")
    parser.add_argument("--store", type=Path, help="a store that was filled before; it is moved, and used up")
    options = parser.parse_args()
    wrk.require()
    os.sched_setaffinity(0, {machine.LOAD_CORE})
    with tempfile.TemporaryDirectory(prefix="bench-") as name, provider() as port:
        folder = Path(name)
        store = options.store or fill.filled(folder, originals(folder), options.payments)
        with gateway(port, store=store, admin_port=machine.free_port()) as ours:
            _tell(["the index", ""], index(ours, options.payments))
            _tell(["milliseconds", "median", "longest"], [*times(ours)])
            _tell(["beside payments", ""], beside_payments(ours))
            _tell(["", ""], [["events left behind", str(_left(ours.database))]])


def _tell(headings: list[str], rows: list[list[str]]) -> None:
    print(f"\n{markdown(headings, rows)}", flush=True)


if __name__ == "__main__":
    main()
