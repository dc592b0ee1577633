"""Every route of the tenants' API. The server registers them and the OpenAPI document describes them."""

from __future__ import annotations

from gateway.web.api import accounts, callbacks, explain, payments, refunds, webhooks
from gateway.web.request import TenantCall
from gateway.web.routing import Route

ROUTES: tuple[Route[TenantCall], ...] = (
    *payments.ROUTES,
    *refunds.ROUTES,
    *accounts.ROUTES,
    *explain.ROUTES,
    *webhooks.ROUTES,
    *callbacks.ROUTES,
)
