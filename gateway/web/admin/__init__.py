"""The operators' API, on a listener of its own: a module for each subject, and here the whole list of routes."""

from __future__ import annotations

from gateway.web.admin import (
    approvals,
    audit,
    callbacks,
    customers,
    keys,
    payments,
    reviews,
    search,
    settings,
    webhooks,
)
from gateway.web.request import OperatorCall
from gateway.web.routing import Route

ROUTES: tuple[Route[OperatorCall], ...] = (
    *payments.ROUTES,
    *search.ROUTES,
    *reviews.ROUTES,
    *callbacks.ROUTES,
    *webhooks.ROUTES,
    *settings.ROUTES,
    *audit.ROUTES,
    *keys.ROUTES,
    *customers.ROUTES,
    *approvals.ROUTES,
)
"""Every route that needs an operator's key."""
