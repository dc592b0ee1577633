"""What operators see of tenants that are moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.drivers.clock import milliseconds
from gateway.drivers.store import moves
from gateway.drivers.store.moves import Move, Step
from gateway.drivers.store.statements import NO_TENANT
from tests.flows.test_move_tenant import in_two_databases
from tests.support.scenarios.inbox import admin
from tests.support.settings_file import with_operator
from tests.support.stack import GatewayStack, running_stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """One gateway on two databases; both tenants are in main."""
    with in_two_databases() as change:

        def changed(settings: dict[str, Any]) -> None:
            change(settings)
            with_operator(settings)

        async with running_stack(tmp_path, change=changed) as opened:
            yield opened


async def seen(stack: GatewayStack, move: Move) -> Any:
    """The status when the gateway has seen a move."""
    main = stack.gateway.store.by_name["main"]
    await main.commit(NO_TENANT, [moves.announce(move)])
    await stack.gateway.node.renew("", stack.url)
    return (await admin(stack, "GET", "/admin/v1/status")).json


async def test_a_move_is_shown(stack: GatewayStack) -> None:
    """How far it is, and, when it takes long, what to do."""
    at = stack.gateway.clock.now() - timedelta(minutes=6)
    status = await seen(stack, Move(tenant="acme", to="eu", at=milliseconds(at)))
    (move,) = status["store"]["moves"]
    shown = [move[name] for name in ("tenant", "source", "to", "step", "nodes")]
    assert shown == ["acme", "main", "eu", "announced", []]
    assert [line for line in status["needs_person"] if "gateway store move-tenant acme eu again" in line]


async def test_settings_that_are_behind_are_named(stack: GatewayStack) -> None:
    """The tenant is where it was moved, whatever they say."""
    status = await seen(stack, Move(tenant="acme", to="eu", step=Step.CLEARED, at=1))
    assert status["store"]["moves"] == []
    (said,) = [line for line in status["needs_person"] if "was moved to eu" in line]
    assert said.endswith("write tenants.acme.store: eu, then gateway reload")
