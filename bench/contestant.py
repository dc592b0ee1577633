"""A server that stores payments: loaded in windows, its store held against its answers afterwards."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bench import machine, psp_callbacks, stored, windows
from bench.settings import TENANT_KEYS
from bench.wrk import Load

PAYMENTS = Load("payments.lua", 201)
CALLBACKS = Load("callbacks.lua", 204)

PAYMENT_KEYS = {f"KEY_{number}": key for number, key in enumerate(TENANT_KEYS.values(), start=1)}
"""The environment of ``load/payments.lua``."""

_AT_REST_WITHIN = 15.0
"""Seconds after which a server must have ended what was in flight."""

_CALLBACKS_PER_PAYMENT = 2.0
"""At most so many callbacks are answered in the time of a payment; what a window of them shows counts from then on."""

_NEWEST = 20_000
"""How many payments of a tenant are looked at: more than some windows of callbacks use."""


class Contestant:
    """A server that listens, and how much it has answered so far."""

    counts: ClassVar[stored.Counts] = stored.COUNTS
    """How its rows are counted."""

    def __init__(
        self,
        server: machine.Process,
        port: int,
        database: Path,
        accounts: Mapping[str, psp_callbacks.Account],
        admin_port: int = 0,
    ) -> None:
        self.server, self.port, self.database, self.accounts = server, port, database, accounts
        self.admin_port = admin_port
        self.callbacks_file = database.with_name("callbacks")
        self.payments = self.callbacks = self.payments_in_flight = self.callbacks_in_flight = self.windows = 0
        self._callbacks_per_second = 0.0  # not known before the first window

    def pay(self, seconds: int, load: Load = PAYMENTS) -> windows.Window:
        """A window of new payments."""
        self.windows += 1
        prefix = f"{self.server.pid}-{self.windows}"
        seen = windows.measure(self.server, self.port, load, seconds, PREFIX=prefix, **PAYMENT_KEYS)
        self._callbacks_per_second = max(self._callbacks_per_second, _CALLBACKS_PER_PAYMENT * seen.per_second)
        self.payments += seen.requests
        self.payments_in_flight += load.connections
        return seen

    def call_back(self, seconds: int, load: Load = CALLBACKS) -> windows.Window:
        """A window of callbacks, each for a payment that is not captured yet. Raises ``WrongStore`` if they run out."""
        unpaid = self.prepare_callbacks(seconds)
        seen = windows.measure(self.server, self.port, load, seconds, CALLBACKS=str(self.callbacks_file))
        if seen.requests + load.connections > unpaid:
            raise stored.WrongStore(f"there were only {unpaid} payments to call back about")
        self._callbacks_per_second = max(self._callbacks_per_second, seen.per_second)
        self.callbacks += seen.requests
        self.callbacks_in_flight += load.connections
        return seen

    def prepare_callbacks(self, seconds: int) -> int:
        """Write a callback for each payment that is not captured yet; return how many there are.

        Where there are too few for a window, it pays first.
        """
        if not self._callbacks_per_second:
            self.pay(1)
        while len(unpaid := self._unpaid()) < 2 * seconds * self._callbacks_per_second:
            self.pay(1)
        lines = (psp_callbacks.line(self.accounts[tenant], payment) for payment, tenant in unpaid)
        self.callbacks_file.write_text("".join(lines))
        return len(unpaid)

    def _unpaid(self) -> list[tuple[str, str]]:
        """Id and tenant of the newest payments that are not captured, without a walk through a large store."""
        newest = (
            "SELECT id, tenant FROM (SELECT id, tenant, state FROM payments WHERE tenant = ? ORDER BY id DESC LIMIT ?)"
            " WHERE state = 'awaiting_customer'"
        )
        return sorted(row for name in self.accounts for row in self.read(newest, (name, _NEWEST)))

    def read(self, sql: str, params: tuple[object, ...]) -> list[Any]:
        """Rows of its database."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, params).fetchall()

    def count(self) -> dict[str, int]:
        """Its rows of each kind, in one view. Raises ``WrongStore`` when the database is damaged."""
        return stored.count(self.database, self.counts)

    def check(self) -> None:
        """Hold the store against what was answered. Raises ``WrongStore``.

        A slow server may still be at what was in flight when the last window ended.
        """
        deadline = time.monotonic() + _AT_REST_WITHIN
        while True:
            found = self.count()
            try:
                stored.check(
                    found,
                    payments=range(self.payments, self.payments + self.payments_in_flight + 1),
                    callbacks=range(self.callbacks, self.callbacks + self.callbacks_in_flight + 1),
                )
            except stored.WrongStore:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
            else:
                return
