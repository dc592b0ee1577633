"""What tenants read, under the names of their own reply maps. If a map fails, the standard body is sent instead."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.body_maps import BodyMap, mapped_reply
from gateway.core.expressions import Budget
from gateway.drivers.settings import Tenant
from gateway.flows.runtime import log


def with_own_names(tenant: Tenant, reply_map: BodyMap, standard: bytes, budget: Budget) -> bytes:
    """A standard body under a tenant's own names; as it is, where the map cannot make them."""
    return _made(tenant, reply_map, msgspec.json.decode(standard), budget) or standard


def webhook_with_own_names(tenant: Tenant, reply_map: BodyMap, standard: bytes) -> bytes:
    """A webhook's body with ``data`` under a tenant's own names; as it is, where the map cannot make them."""
    body = msgspec.json.decode(standard)
    data = _made(tenant, reply_map, seen_of_webhook(body), Budget())
    return msgspec.json.encode({**body, "data": msgspec.Raw(data)}) if data else standard


def seen_of_webhook(body: dict[str, Any]) -> dict[str, Any]:
    """What expressions see of a webhook: its body, and beside it the payment's members where answers have them."""
    return {**body["data"]["payment"], **body["data"], **body}


def _made(tenant: Tenant, reply_map: BodyMap, seen: dict[str, Any], budget: Budget) -> bytes:
    """What the map makes; nothing where it fails, which its operators are told."""
    made, problems = mapped_reply(reply_map, seen, budget)
    if not problems:
        return made
    said = "; ".join(f"{field}: {message}" for field, message in problems)
    log.error(
        "a reply map failed, so the standard body was used",
        extra={"tenant": tenant.id, "map": reply_map.name, "problem": said},
    )
    return b""
