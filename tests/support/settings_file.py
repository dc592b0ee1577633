"""Change the settings file of a running stack, and let the gateway load it again."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from gateway.drivers.settings import Settings, load_settings
from tests.support.scenarios.inbox import ADMIN_KEY, admin
from tests.support.stack import GatewayStack, Reply

Change = Callable[[dict[str, Any]], object]


def with_operator(settings: dict[str, Any]) -> None:
    """Let ``ADMIN_KEY`` open the operators' listener."""
    settings["server"]["admin"]["key_sha256"] = hashlib.sha256(ADMIN_KEY.encode()).hexdigest()


def rewrite(folder: Path, change: Change) -> None:
    """Change the settings file at once, as an editor does: nobody sees half of it."""
    path = folder / "settings.yaml"
    written = yaml.safe_load(path.read_text())
    change(written)
    path.with_suffix(".new").write_text(yaml.safe_dump(written, sort_keys=False))
    path.with_suffix(".new").replace(path)


def loaded_with(stack: GatewayStack, change: Change) -> Settings:
    """The settings as a change would make them, which changes nothing yet."""
    written = yaml.safe_load((stack.folder / "settings.yaml").read_text())
    change(written)
    path = stack.folder / "changed.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return load_settings(path, providers=stack.registry.providers, environ={})


async def reload(stack: GatewayStack, change: Change = lambda _: None) -> Reply:
    """Change the settings file and have it loaded."""
    await asyncio.to_thread(rewrite, stack.folder, change)
    return await admin(stack, "POST", "/admin/v1/reload")


async def config(stack: GatewayStack) -> Any:
    """What the status says of the settings."""
    return (await admin(stack, "GET", "/admin/v1/status")).json["config"]
