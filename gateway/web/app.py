"""The applications: one for tenants, providers and browsers, one for operators on its own listener."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from aiohttp import web

from gateway.drivers.file_descriptors import MAX_CALLERS
from gateway.flows.runtime import Gateway
from gateway.web import admin, pages, providers
from gateway.web.admission import Admission
from gateway.web.keys import ADMISSION, GATEWAY, LIMITS, STRANGERS, TURNS, VISITS, WORK
from gateway.web.limits import Limits
from gateway.web.methods import add_route
from gateway.web.middleware import answer_errors
from gateway.web.problem_pages import problem_page
from gateway.web.proxies import PROXIES, Proxies
from gateway.web.route import BODY_LIMIT, serve
from gateway.web.routes import ROUTES
from gateway.web.strangers import Strangers
from gateway.web.work import Work


def make_app(gw: Gateway, places: int = MAX_CALLERS) -> web.Application:
    """The public application. ``places``: how many connections callers may have."""
    app = web.Application(middlewares=[answer_errors], client_max_size=BODY_LIMIT)
    app[GATEWAY] = gw
    app[LIMITS] = Limits()
    app[ADMISSION] = Admission(gw.settings.server.callback_rate)
    app[STRANGERS] = Strangers()
    app[PROXIES] = Proxies(gw.settings.server.trusted_proxies)
    app[WORK] = Work(places)
    app[VISITS] = set()
    app[TURNS] = defaultdict(asyncio.Lock)
    for route in ROUTES:
        add_route(app, route.method, route.path, serve(route))
    app.router.add_route("*", "/callbacks/{endpoint_id}", providers.handle_callback)
    app.router.add_route("*", "/callbacks/{endpoint_id}/{suffix:.*}", providers.handle_callback)
    app.router.add_get("/problems/{code}", problem_page)
    pages.add_routes(app)
    return app


def make_admin_app(gw: Gateway) -> web.Application:
    """The operators' application."""
    app = web.Application(middlewares=[answer_errors], client_max_size=BODY_LIMIT)
    app[GATEWAY] = gw
    app[STRANGERS] = Strangers()
    app[PROXIES] = Proxies(gw.settings.server.trusted_proxies)
    admin.add_routes(app)
    return app
