"""Typed keys of what the aiohttp applications carry."""

from __future__ import annotations

from aiohttp import web

from gateway.flows.context import Gateway
from gateway.web.limits import Limits

GATEWAY = web.AppKey("gateway", Gateway)
LIMITS = web.AppKey("limits", Limits)
REQUEST_ID = web.RequestKey("request_id", str)
OPERATOR = web.RequestKey("operator", str)
"""The id of the operators' key that was sent."""
