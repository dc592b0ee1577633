"""Operators' routes for the state of the gateway, and for loading its settings again."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import asdict

from gateway.core.errors import FieldError, SettingsError, StillNeeded, TenantError, Unavailable
from gateway.core.views import rfc3339
from gateway.flows import storage
from gateway.flows.runtime import Gateway
from gateway.flows.status.read import status_of
from gateway.flows.status.shape import Status
from gateway.flows.status.state import STATE
from gateway.web.app_keys import RELOADER
from gateway.web.request import OperatorCall
from gateway.web.responses import Reply
from gateway.web.routing import Route


class VersionView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A version of the settings. ``needs_restart``: keys whose change in the files waits for a restart.

    ``ended``: accounts whose earlier address, credentials or links it ended although they were in use.
    """

    hash: str
    loaded_at: str
    needs_restart: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()


class ConfigView(VersionView, frozen=True, kw_only=True):
    """The current version. ``problems`` are what the last reload was refused for; empty after a good one."""

    problems: list[str]


class StatusView(Status, frozen=True, kw_only=True):
    """The state of the running gateway, and the version of its settings."""

    config: ConfigView


async def status(call: OperatorCall) -> Reply:
    """``GET /admin/v1/status``."""
    with suppress(Unavailable):  # what it reads may be there; else that says why
        await storage.probe(call.gw)
    config = ConfigView(**_members(call.gw), problems=list((await STATE.of(call.gw)).problems))
    return Reply(view=StatusView(config=config, **asdict(await status_of(call.gw))))


async def reload(call: OperatorCall) -> Reply:
    """``POST /admin/v1/reload``."""
    try:
        gw = await call.request.app[RELOADER].reload(call.act())
        return Reply(view=VersionView(**_members(gw), ended=gw.current.ended))
    except SettingsError as wrong:
        code = "invalid_state" if isinstance(wrong, StillNeeded) else "validation_failed"
        errors = [FieldError(field=line.partition(": ")[0], message=line) for line in wrong.problems]
        raise TenantError(code, f"the settings were not reloaded: {'; '.join(wrong.problems)}", errors=errors) from None


def _members(gw: Gateway) -> dict[str, Any]:
    return {
        "hash": gw.settings.digest,
        "loaded_at": rfc3339(gw.loaded_at),
        "needs_restart": gw.settings.needs_restart,
    }


ROUTES: tuple[Route[OperatorCall], ...] = (
    Route(method="GET", path="/admin/v1/status", handler=status),
    Route(method="POST", path="/admin/v1/reload", handler=reload, role="admin"),
)
"""The routes for the settings."""
