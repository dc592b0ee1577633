"""The two applications: one for tenants, providers and browsers, one for operators on a listener of its own."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from aiohttp import web

from gateway.drivers.file_descriptors import MAX_CALLERS
from gateway.flows.runtime import Gateway
from gateway.web import admin, pages
from gateway.web.admin import health, metrics
from gateway.web.api.routes import ROUTES
from gateway.web.app_keys import APPROVABLE, CALLBACK_LIMITS, CURRENT, DECISION, FAILURES, LIMITS, RETURNS, TURNS
from gateway.web.callback_limits import CallbackLimits
from gateway.web.failure_limits import FailureLimits
from gateway.web.healthz import STORE_PROOF, StoreProof, healthz
from gateway.web.limits import TenantLimits
from gateway.web.middleware import answer_errors
from gateway.web.problem_pages import problem_page
from gateway.web.provider_callbacks import handle_callback
from gateway.web.proxies import PROXIES, Proxies
from gateway.web.request import BODY_LIMIT
from gateway.web.routing import add_operator_route, add_route, add_tenant_route


def make_app(gw: Gateway, places: int = MAX_CALLERS) -> web.Application:
    """Make the public application. ``places``: how many connections callers may have."""
    app = _application(gw)
    app[LIMITS] = TenantLimits(places)
    app[CALLBACK_LIMITS] = CallbackLimits(gw.settings.server.callback_rate)
    app[RETURNS] = set()
    app[TURNS] = defaultdict(asyncio.Lock)
    app[STORE_PROOF] = StoreProof()
    for route in ROUTES:
        add_tenant_route(app, route)
    add_route(app, "*", "/callbacks/{endpoint_id}", handle_callback)
    add_route(app, "*", "/callbacks/{endpoint_id}/{suffix:.*}", handle_callback)
    add_route(app, "GET", "/healthz", healthz)
    add_route(app, "GET", "/problems/{code}", problem_page)
    add_route(app, "GET", "/openapi.json", pages.document)
    add_route(app, "GET", "/", pages.root)
    add_route(app, "GET", "/docs", pages.docs)
    add_route(app, "GET", "/docs/{asset}", pages.asset)
    return app


def make_admin_app(gw: Gateway) -> web.Application:
    """Make the operators' application."""
    app = _application(gw)
    add_route(app, "GET", "/", health.root)
    add_route(app, "GET", "/livez", health.livez)
    add_route(app, "GET", "/readyz", health.readyz)
    add_route(app, "GET", "/metrics", metrics.scrape)
    app[APPROVABLE] = {(route.method, route.path): route for route in admin.ROUTES if route.needs_approval}
    app[DECISION] = asyncio.Lock()
    for route in admin.ROUTES:
        add_operator_route(app, route)
    return app


def use_settings(app: web.Application, gw: Gateway) -> None:
    """Let what an application keeps beside its gateways go on under the settings of a new one."""
    app[PROXIES].trust(gw.settings.server.trusted_proxies)
    if LIMITS not in app:
        return
    tenants = gw.settings.tenants
    app[LIMITS].keep(tenants)
    app[CALLBACK_LIMITS].use(gw.settings.server.callback_rate, gw.settings.endpoints)
    for tenant in [one for one, turn in app[TURNS].items() if one not in tenants and not turn.locked()]:
        del app[TURNS][tenant]


def _application(gw: Gateway) -> web.Application:
    app = web.Application(middlewares=[answer_errors], client_max_size=BODY_LIMIT)
    app[CURRENT] = gw.current
    app[FAILURES] = FailureLimits()
    app[PROXIES] = Proxies(gw.settings.server.trusted_proxies)
    return app
