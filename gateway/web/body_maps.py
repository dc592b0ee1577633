"""The maps that a request names: ``?map=`` for its body, ``?reply=`` for its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from gateway.core.body_maps import BodyMap
from gateway.core.errors import invalid
from gateway.core.views import to_json
from gateway.core.wording import shortened
from gateway.drivers.settings import Tenant
from gateway.flows.payments.idempotency import Answer
from gateway.flows.reply_maps import with_own_names
from gateway.flows.runtime import Gateway
from gateway.web.paging import Page
from gateway.web.responses import Reply

R = TypeVar("R")


class NamedMaps(msgspec.Struct, frozen=True, kw_only=True):
    """What a request names; None for what it does not."""

    request: BodyMap | None = None
    reply: BodyMap | None = None


NO_MAPS = NamedMaps()


def named_maps(gw: Gateway, tenant: Tenant, query: Mapping[str, str]) -> NamedMaps:
    """Find the maps that a query names. Raises ``validation_failed`` naming those there are."""
    found: dict[str, BodyMap | None] = {}
    problems = []
    for parameter, kind, known in (("map", "request", tenant.request_maps), ("reply", "reply", tenant.reply_maps)):
        name = query.get(parameter)
        if name:
            found[kind] = known.get(name)
            if name not in known:
                shown = "this" if gw.masks.is_secret(name) else f'"{shortened(name)}"'
                there_are = f"known are {', '.join(known)}" if known else "it has none"
                problems.append((parameter, f"{shown} is not a {kind} map of this tenant; {there_are}"))
    if problems:
        raise invalid(*problems)
    return NamedMaps(**found)


def renamed(tenant: Tenant, reply_map: BodyMap, reply: Reply | Answer) -> Reply | Answer:
    """An answer under the tenant's own names; the rows of a page have them already."""
    if isinstance(reply, Answer):
        return replace(reply, body=with_own_names(tenant, reply_map, reply.body))
    return reply if isinstance(reply.view, Page) else replace(reply, view=_renamed_view(tenant, reply_map, reply.view))


def renamed_rows(tenant: Tenant, reply_map: BodyMap, show: Callable[[R], Any]) -> Callable[[R], Any]:
    """How a list shows its rows under the tenant's own names."""
    return lambda row: _renamed_view(tenant, reply_map, show(row))


def _renamed_view(tenant: Tenant, reply_map: BodyMap, view: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(with_own_names(tenant, reply_map, to_json(view)))
