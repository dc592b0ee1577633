"""What an operator's key may do: a role for each route, an end for each key, and the 403 and 401 that say so."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.web import admin as routes
from tests.security.operation_rows import OPERATORS_ROWS, filled, nonexistent
from tests.support.scenarios.inbox import RIGHT, admin, with_token
from tests.support.scenarios.operators_acts import ACTS, REASON, flagged
from tests.support.settings_file import reload
from tests.support.stack import GatewayStack, running_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEYS = {name: f"gw_{name}_test-key-of-one-operator" for name in ("read", "operate", "admin", "plain", "expired")}
NEED_ADMIN = {"/admin/v1/reload", "/admin/v1/customers/export", "/admin/v1/customers/erase"}

each_route = pytest.mark.parametrize("route", routes.ROUTES, ids=lambda route: f"{route.method} {route.path}")


def with_roles(settings: dict[str, Any]) -> None:
    """A key of each role, one without and one that has expired."""
    with_token(RIGHT)(settings)
    hashes = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in KEYS.items()}
    settings["server"]["admin"]["keys"] = [
        *({"id": role, "sha256": hashes[role], "role": role} for role in ("read", "operate", "admin")),
        {"id": "plain", "name": "Dana Smith", "sha256": hashes["plain"]},
        {"id": "expired", "sha256": hashes["expired"], "expires": "2026-01-01T00:00:00Z"},
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """A running stack with operators of every role."""
    async with running_stack(tmp_path_factory.mktemp("roles"), change=with_roles) as opened:
        yield opened


async def status_with(stack: GatewayStack, key: str, route: Any) -> tuple[int, str]:
    """Call a route about something that does not exist; the status, and the code of a refusal."""
    row = OPERATORS_ROWS[route.method, route.path]
    path = route.path if row.path_names is None else filled(route.path, nonexistent(row.path_names))
    reply = await admin(stack, route.method, path, row.body, key=KEYS[key])
    return reply.status, reply.json.get("code", "") if reply.status >= 400 else ""


@each_route
async def test_each_route_needs_its_role(stack: GatewayStack, route: Any) -> None:
    """Looking needs ``read``, acting ``operate``, and what changes the gateway itself ``admin``."""
    needed = "admin" if route.path in NEED_ADMIN else "read" if route.method == "GET" else "operate"
    refused = [key for key in ("read", "operate", "admin") if (await status_with(stack, key, route))[0] == 403]
    assert refused == {"read": [], "operate": ["read"], "admin": ["read", "operate"]}[needed]
    assert {(await status_with(stack, key, route))[1] for key in refused} <= {"forbidden"}


@each_route
async def test_a_key_without_a_role_may_do_everything(stack: GatewayStack, route: Any) -> None:
    """As before there were roles."""
    assert (await status_with(stack, "plain", route))[0] not in (401, 403)


@each_route
async def test_an_expired_key_opens_nothing(stack: GatewayStack, route: Any) -> None:
    """It reads what an unknown one reads."""
    assert await status_with(stack, "expired", route) == (401, "unauthorized")


async def test_a_key_that_may_not_act_has_no_effect(stack: GatewayStack) -> None:
    """The payment stays as it is, nothing is in the trail, and the detail names the role that is needed."""
    payment = await flagged(stack)
    path = f"/admin/v1/reviews/{payment['id']}/resolve"
    before = (await admin(stack, "GET", "/admin/v1/audit")).json
    refused = await admin(stack, "POST", path, {"reason": REASON}, key=KEYS["read"])
    assert refused.status == 403
    assert refused.json["detail"] == 'this needs a key with the role operate; "read" has read'
    assert await stack.payment(payment["id"]) == payment
    assert (await admin(stack, "GET", "/admin/v1/audit")).json == before


async def test_the_trail_names_key_and_person(stack: GatewayStack) -> None:
    """The name is that of the settings at the time."""
    path, body = await ACTS["POST", "/admin/v1/reviews/{payment_id}/resolve"](stack)
    assert (await admin(stack, "POST", f"/admin/v1{path}", body, key=KEYS["plain"])).status == 200

    def rename(settings: dict[str, Any]) -> None:
        settings["server"]["admin"]["keys"][3]["name"] = "Somebody Else"

    assert (await reload(stack, rename)).status == 200
    [row, *_] = (await admin(stack, "GET", "/admin/v1/audit?key=plain")).json["data"]
    assert (row["key_id"], row["key_name"]) == ("plain", "Dana Smith")


async def test_a_role_changes_with_a_reload(stack: GatewayStack) -> None:
    """The next request is judged by the new one."""

    def promote(settings: dict[str, Any]) -> None:
        settings["server"]["admin"]["keys"][0]["role"] = "operate"

    route = next(one for one in routes.ROUTES if one.path == "/admin/v1/operations/{id}/resolve")
    assert (await status_with(stack, "read", route))[0] == 403
    await reload(stack, promote)
    assert (await status_with(stack, "read", route))[0] == 404
