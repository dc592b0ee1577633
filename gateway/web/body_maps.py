"""The maps that a request names: ``?map=`` for its body, ``?reply=`` for its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import msgspec
from msgspec.structs import replace

from gateway.core.body_maps import BodyMap
from gateway.core.errors import TenantError, invalid
from gateway.core.expressions import Budget
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
    """What a request names; None for what it does not. ``refusal``: of maps that do not exist.

    It waits until the body is read: a request whose key was used is answered, whatever became of its maps.
    ``budget`` is what all their expressions may do together, over the body and every row of the answer.
    """

    request: BodyMap | None = None
    reply: BodyMap | None = None
    refusal: TenantError | None = None
    budget: Budget = msgspec.field(default_factory=Budget)

    def require(self) -> Self:
        """The same, where all of them exist. Raises ``validation_failed``."""
        if self.refusal is not None:
            raise self.refusal
        return self


NO_MAPS = NamedMaps()


def named_maps(gw: Gateway, tenant: Tenant, query: Mapping[str, str]) -> NamedMaps:
    """Find the maps that a query names. A request map that does not exist has its name, and no rules."""
    name, reply = query.get("map", ""), query.get("reply", "")
    request = tenant.request_maps.get(name)
    problems = [
        (parameter, f"{_shown(gw, given)} is not a {kind} map of this tenant; {_there_are(known)}")
        for parameter, kind, given, known in (
            ("map", "request", name, tenant.request_maps),
            ("reply", "reply", reply, tenant.reply_maps),
        )
        if given and given not in known
    ]
    if name and request is None:
        request = BodyMap(name=name, place="", rules=())
    refusal = invalid(*problems) if problems else None
    return NamedMaps(request=request, reply=tenant.reply_maps.get(reply), refusal=refusal)


def _shown(gw: Gateway, name: str) -> str:
    return "this" if gw.masks.is_secret(name) else f'"{shortened(name)}"'


def _there_are(known: Mapping[str, BodyMap]) -> str:
    return f"known are {', '.join(known)}" if known else "it has none"


def renamed(tenant: Tenant, maps: NamedMaps, reply: Reply | Answer) -> Reply | Answer:
    """An answer under the names of the reply map, if there is one; the rows of a page have them already."""
    if maps.reply is None or (isinstance(reply, Reply) and isinstance(reply.view, Page)):
        return reply
    if isinstance(reply, Answer):
        return replace(reply, body=with_own_names(tenant, maps.reply, reply.body, maps.budget))
    return replace(reply, view=_renamed_view(tenant, maps.reply, reply.view, maps.budget))


def renamed_rows(tenant: Tenant, maps: NamedMaps, show: Callable[[R], Any]) -> Callable[[R], Any]:
    """How a list shows its rows under the names of the reply map, if there is one."""
    reply_map, budget = maps.reply, maps.budget
    return show if reply_map is None else lambda row: _renamed_view(tenant, reply_map, show(row), budget)


def _renamed_view(tenant: Tenant, reply_map: BodyMap, view: msgspec.Struct, budget: Budget) -> msgspec.Raw:
    return msgspec.Raw(with_own_names(tenant, reply_map, to_json(view), budget))
