"""A server that stores payments: loaded in windows, its store held against its answers afterwards."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from bench import machine, psp_callbacks, stored, windows
from bench.settings import TENANT_KEYS
from bench.wrk import Load

PAYMENTS = Load("payments.lua", 201)
CALLBACKS = Load("callbacks.lua", 204)

PAYMENT_KEYS = {f"KEY_{number}": key for number, key in enumerate(TENANT_KEYS.values(), start=1)}
"""The environment of ``load/payments.lua``."""

_MOST_CALLBACKS = 20_000
"""More than one window uses."""


class Contestant:
    """A server that listens, and how much it has answered so far."""

    counts: ClassVar[Mapping[str, str]] = stored.COUNTS
    """How its rows are counted."""

    def __init__(
        self, server: machine.Process, port: int, database: Path, accounts: Mapping[str, psp_callbacks.Account]
    ) -> None:
        self.server, self.port, self.database, self.accounts = server, port, database, accounts
        self.callbacks_file = database.with_name("callbacks")
        self.payments = self.callbacks = self.payments_in_flight = self.callbacks_in_flight = self.windows = 0
        self._enough = 500

    def pay(self, seconds: int, load: Load = PAYMENTS) -> windows.Window:
        """A window of new payments."""
        self.windows += 1
        prefix = f"{self.server.pid}-{self.windows}"
        seen = windows.measure(self.server, self.port, load, seconds, PREFIX=prefix, **PAYMENT_KEYS)
        self.payments += seen.requests
        self.payments_in_flight += load.connections
        return seen

    def call_back(self, seconds: int, load: Load = CALLBACKS) -> windows.Window:
        """A window of callbacks, each for a payment that is not captured yet; where there are too few, it pays first.

        Raises ``WrongStore`` if they run out all the same.
        """
        while (unpaid := self.write_callbacks()) < self._enough:
            self.pay(1)
        seen = windows.measure(self.server, self.port, load, seconds, CALLBACKS=str(self.callbacks_file))
        if seen.requests + load.connections > unpaid:
            raise stored.WrongStore(f"there were only {unpaid} payments to call back about")
        self._enough = max(self._enough, 2 * seen.requests)
        self.callbacks += seen.requests
        self.callbacks_in_flight += load.connections
        return seen

    def write_callbacks(self) -> int:
        """Write a callback for each payment that is not captured yet; return how many there are."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            # The newest: they are together, in a store of any size.
            sql = "SELECT tenant, id FROM payments WHERE state = 'awaiting_customer' ORDER BY id DESC LIMIT ?"
            unpaid = connection.execute(sql, (_MOST_CALLBACKS,)).fetchall()
        lines = (psp_callbacks.line(self.accounts[tenant], payment) for tenant, payment in unpaid)
        self.callbacks_file.write_text("".join(lines))
        return len(unpaid)

    def check(self) -> None:
        """Hold the store against what was answered. Raises ``WrongStore``."""
        stored.check(
            stored.count(self.database, self.counts),
            payments=range(self.payments, self.payments + self.payments_in_flight + 1),
            callbacks=range(self.callbacks, self.callbacks + self.callbacks_in_flight + 1),
        )
