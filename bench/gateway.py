"""A gateway under test, on settings of its own."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import machine
from bench.contestant import Contestant
from bench.psp_callbacks import Account
from bench.settings import settings

HERE = Path(__file__).parents[1]


@contextlib.contextmanager
def gateway(
    provider_port: int,
    *,
    tree: Path = HERE,
    webhooks: str | None = None,
    store: Path | None = None,
    serve: Sequence[str] = ("-m", "gateway"),
    admin_port: int = 0,
) -> Iterator[Contestant]:
    """Run a gateway of a tree, by its own ``.venv`` if it has one.

    ``store``: a file to begin with; it is moved. ``serve``: what the interpreter runs, before ``serve --config …``.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, port = Path(name), machine.free_port()
        (folder / "settings.yaml").write_text(json.dumps(settings(port, provider_port, webhooks, admin_port)))
        if store is not None:
            store.rename(folder / "bench.db")
        command = [python_of(tree), *serve, "serve", "--config", str(folder / "settings.yaml")]
        with machine.process(command, core=machine.SERVER_CORE, log=folder / "log", folder=tree) as server:
            yield Contestant(server, port, folder / "bench.db", accounts(tree, folder / "settings.yaml"), admin_port)


def python_of(tree: Path) -> str:
    """The interpreter that a tree is run by."""
    own = tree / ".venv/bin/python"
    return str(own) if own.exists() else sys.executable


def accounts(tree: Path, config: Path) -> dict[str, Account]:
    """Each tenant's account, as the command line shows it to the person who configures the PSP."""
    command = [python_of(tree), "-m", "gateway", "accounts", "show", "--config", str(config), "--reveal", "--json"]
    return {
        one["tenant"]: Account(
            "/callbacks/" + one["callback_url"].rpartition("/")[2],
            one["credentials"]["merchant_id"],
            one["credentials"]["token"],
        )
        for one in json.loads(machine.output(command, tree))["data"]
    }
