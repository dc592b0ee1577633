"""A plugin that pip installs into a folder of its own, and a gateway that finds it there by its entry point."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from gateway.cli.hosting import bind, hosted
from tests.support.stack import GatewayStack, running_stack, simulated

ACCOUNT = "new"
"""The tenant's account at the plugin's provider."""

INSTALL = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target")


def python(folder: Path, *arguments: str, path: Path | None = None) -> str:
    """Run this Python in a folder; what it printed."""
    environ = os.environ | ({"PYTHONPATH": str(path)} if path else {})
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@contextlib.asynccontextmanager
async def serving(name: str, config: Mapping[str, Any], folder: Path) -> AsyncIterator[GatewayStack]:
    """A gateway with an account of a plugin on the path, and the plugin's simulator as the provider."""
    bound = bind(0)
    port = bound.getsockname()[1]
    account = {"provider": name, "config": {**config, "base_url": f"http://127.0.0.1:{port}"}}

    def change(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"][ACCOUNT] = account

    async with running_stack(folder, change=change) as stack:
        stack.ports = {**stack.ports, name: port}
        app = stack.registry.simulators[name].app(simulated(stack, name))
        async with hosted(app, bound):
            yield stack
