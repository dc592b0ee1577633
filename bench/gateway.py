"""A gateway under test: started on settings of its own, loaded in windows, its store checked afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import machine, psp_callbacks, stored, windows
from bench.settings import NOBODY, TENANT_KEYS, settings
from bench.wrk import Load

PAYMENTS = Load("payments.lua", 201)
CALLBACKS = Load("callbacks.lua", 204)
HERE = Path(__file__).parents[1]

PAYMENT_KEYS = {f"KEY_{number}": key for number, key in enumerate(TENANT_KEYS.values(), start=1)}
"""The environment of ``load/payments.lua``."""

_MOST_CALLBACKS = 20_000
"""More than one window uses."""


class Gateway:
    """A gateway that listens, and how much was answered so far."""

    def __init__(self, tree: Path, folder: Path, port: int, server: machine.Process) -> None:
        self.tree, self.folder, self.port, self.server = tree, folder, port, server
        self.payments, self.callbacks, self.in_flight, self.windows = 0, 0, 0, 0
        self.accounts = _accounts(tree, folder)
        self.callbacks_file = folder / "callbacks"

    @property
    def database(self) -> Path:
        """The file of the store."""
        return self.folder / "bench.db"

    def pay(self, seconds: int, load: Load = PAYMENTS) -> windows.Window:
        """A window of new payments."""
        self.windows += 1
        prefix = f"{self.server.pid}-{self.windows}"
        seen = windows.measure(self.server, self.port, load, seconds, PREFIX=prefix, **PAYMENT_KEYS)
        self.payments += seen.requests
        self.in_flight += load.connections
        return seen

    def call_back(self, seconds: int) -> windows.Window:
        """A window of callbacks, each for a payment that is not captured yet. Raises ``WrongStore`` if they run out."""
        unpaid = self.write_callbacks()
        seen = windows.measure(self.server, self.port, CALLBACKS, seconds, CALLBACKS=str(self.callbacks_file))
        if seen.requests + CALLBACKS.connections > unpaid:
            raise stored.WrongStore(f"there were only {unpaid} payments to call back about")
        self.callbacks += seen.requests
        self.in_flight += CALLBACKS.connections
        return seen

    def check(self) -> None:
        """Hold the store against what was answered. Raises ``WrongStore``."""
        found = stored.count(self.database)
        stored.check(found, payments=self.payments, callbacks=self.callbacks, in_flight=self.in_flight)

    def write_callbacks(self) -> int:
        """Write a callback for each payment that is not captured yet; return how many there are."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            sql = "SELECT tenant, id FROM payments WHERE state = 'awaiting_customer' ORDER BY id LIMIT ?"
            unpaid = connection.execute(sql, (_MOST_CALLBACKS,)).fetchall()
        lines = (psp_callbacks.line(self.accounts[tenant], payment) for tenant, payment in unpaid)
        self.callbacks_file.write_text("".join(lines))
        return len(unpaid)


@contextlib.contextmanager
def gateway(
    provider_port: int, *, tree: Path = HERE, webhooks: str = NOBODY, store: Path | None = None
) -> Iterator[Gateway]:
    """Run a gateway of a tree, by its own ``.venv`` if it has one. ``store``: a file to begin with; it is moved."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, port = Path(name), machine.free_port()
        (folder / "settings.yaml").write_text(json.dumps(settings(port, provider_port, webhooks)))
        if store is not None:
            store.rename(folder / "bench.db")
        command = [python_of(tree), "-m", "gateway", "serve", "--config", str(folder / "settings.yaml")]
        with machine.process(command, core=machine.SERVER_CORE, log=folder / "log", folder=tree) as server:
            yield Gateway(tree, folder, port, server)


def python_of(tree: Path) -> str:
    """The interpreter that a tree is run by."""
    own = tree / ".venv/bin/python"
    return str(own) if own.exists() else sys.executable


def _accounts(tree: Path, folder: Path) -> dict[str, psp_callbacks.Account]:
    """Each tenant's account, as the command line shows it to the person who configures the PSP."""
    shown = subprocess.run(
        [
            *(python_of(tree), "-m", "gateway", "accounts", "show"),
            "--config",
            folder / "settings.yaml",
            "--reveal",
            "--json",
        ],
        cwd=tree,
        capture_output=True,
        check=True,
        env=dict(os.environ),
    )
    return {
        one["tenant"]: psp_callbacks.Account(
            "/callbacks/" + one["callback_url"].rpartition("/")[2],
            one["credentials"]["merchant_id"],
            one["credentials"]["token"],
        )
        for one in json.loads(shown.stdout)["data"]
    }
