"""The OpenAPI 3.1 document, made from ``ROUTES`` and the very types the handlers decode and answer with.

``schemas.py`` makes the types' schemas, ``paths.py`` the operations, ``problems.py`` their errors, ``webhooks.py`` what
the gateway sends; ``intro.py`` has the texts about the whole. Descriptions stand where a route or a type is declared.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from gateway.web.api.routes import ROUTES
from gateway.web.openapi import paths, problems, webhooks
from gateway.web.openapi.headers import COMPONENTS
from gateway.web.openapi.intro import CONTACT, DESCRIPTION, LICENSE, SECURITY, TAGS
from gateway.web.openapi.schemas import components
from gateway.web.request import TenantCall
from gateway.web.routing import Route


def document(public_url: str = "", *, hint: str = "") -> dict[str, Any]:
    """Make the whole document of a gateway that is reached at ``public_url``; "" is where the document came from.

    ``hint`` is a further sentence about keys.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Payment gateway",
            "version": version("tenant-payment-gateway"),
            "description": DESCRIPTION,
            "contact": CONTACT,
            "license": LICENSE,
        },
        "servers": [{"url": public_url or "/", "description": "This gateway"}],
        "security": [{"tenant": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths.paths(ROUTES),
        "webhooks": webhooks.webhooks(),
        "components": {
            "schemas": {**components(_types(ROUTES)), **webhooks.schemas()},
            "headers": COMPONENTS,
            "examples": problems.examples(public_url),
            "securitySchemes": {"tenant": {**SECURITY, "description": f"{SECURITY['description']} {hint}".strip()}},
        },
    }


def _types(routes: tuple[Route[TenantCall], ...]) -> set[type]:
    """Every type that has a schema of its own, those inside others aside."""
    shown = {type(example) for route in routes for example in route.answers.values()}
    return shown | {route.body for route in routes if route.body} | {problems.ProblemView, *webhooks.TYPES}
