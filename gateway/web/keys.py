"""Typed keys of what the aiohttp applications carry."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from aiohttp import web

from gateway.flows.runtime import Gateway
from gateway.web.admission import Admission
from gateway.web.limits import Limits
from gateway.web.strangers import Strangers
from gateway.web.work import Work

GATEWAY = web.AppKey("gateway", Gateway)
LIMITS = web.AppKey("limits", Limits)
ADMISSION = web.AppKey("admission", Admission)
STRANGERS = web.AppKey("strangers", Strangers)
WORK = web.AppKey("work", Work)
TURNS = web.AppKey("turns", defaultdict[str, asyncio.Lock])
"""By tenant: whoever makes one of its long lists holds it, and its others wait."""
VISITS = web.AppKey("visits", set[str])
"""Payments whose lookup a browser waits for."""
REQUEST_ID = web.RequestKey("request_id", str)
ABOUT = web.RequestKey("about", dict[str, object])
"""What the log says of a request beside how it ended: tenant, account, payment_id, operator, problem, fields."""
OPERATOR = web.RequestKey("operator", str)
"""The id of the operators' key that was sent."""
IS_PROVED = web.RequestKey("is_proved", bool)
"""Whether the caller has shown a good key, a proved callback or a link of ours. Absent: no."""
