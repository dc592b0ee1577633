"""Typed keys of what the aiohttp applications and requests carry."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.flows.background.reload import Reloader
from gateway.flows.runtime import Current, Gateway
from gateway.web.callback_limits import CallbackLimits
from gateway.web.failure_limits import FailureLimits
from gateway.web.limits import TenantLimits

CURRENT = web.AppKey("current", Current)
GATEWAY = web.RequestKey("gateway", Gateway)
"""The current one when the request came, for all that it does."""
LIMITS = web.AppKey("limits", TenantLimits)
CALLBACK_LIMITS = web.AppKey("callback_limits", CallbackLimits)
FAILURES = web.AppKey("failures", FailureLimits)
TURNS = web.AppKey("turns", defaultdict[str, asyncio.Lock])
"""By tenant: held while one of its long lists is made; its others wait."""
RELOADER = web.AppKey("reloader", Reloader)
APPROVABLE = web.AppKey("approvable", Mapping[tuple[str, str], Any])
"""The operators' routes that another key must approve, by method and path."""
DECISION = web.AppKey("decision", asyncio.Lock)
"""Held while an approval is decided: one at a time."""
RETURNS = web.AppKey("returns", set[str])
"""Payments for whose lookup a returning browser waits."""
REQUEST_ID = web.RequestKey("request_id", str)
ABOUT = web.RequestKey("about", dict[str, object])
"""What the log says of a request beside how it ended: tenant, account, payment_id, operator, code, fields."""
IS_PROVED = web.RequestKey("is_proved", bool)
"""Whether the caller has shown a valid key, a proved callback or a link that the gateway made. Absent: no."""
