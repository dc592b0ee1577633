"""``/openapi.json`` and ``/docs``: the document, and Swagger UI with assets served by us (package swagger-ui-py)."""

from __future__ import annotations

import functools
from importlib.resources import files

import msgspec
from aiohttp import web

from gateway.web import openapi
from gateway.web.bodies import body_response

_ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><title>Payment gateway API</title><link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script>
</body>
</html>
"""
_START = 'SwaggerUIBundle({url: "/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null});\n'
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts and the document come from here only; Swagger UI styles its elements in place."""


@functools.cache
def _document() -> bytes:
    return msgspec.json.encode(openapi.document())


@functools.cache
def _file(name: str) -> bytes:
    return files("swagger_ui").joinpath("static", name).read_bytes()


async def document(_: web.Request) -> web.Response:
    """``GET /openapi.json``: made once, for everybody."""
    return body_response(_document(), "application/json")


async def docs(_: web.Request) -> web.Response:
    """``GET /docs``."""
    return web.Response(text=_PAGE, content_type="text/html", headers={"Content-Security-Policy": _POLICY})


async def start_script(_: web.Request) -> web.Response:
    """``GET /docs/start.js``."""
    return web.Response(text=_START, content_type="text/javascript")


async def asset(request: web.Request) -> web.StreamResponse:
    """``GET /docs/{asset}``: only the files the page needs, each read once."""
    name = request.match_info["asset"]
    kind = _ASSETS.get(name)
    if kind is None:
        raise web.HTTPNotFound
    return body_response(_file(name), kind)


def add_routes(app: web.Application) -> None:
    """Register the document and its page."""
    app.router.add_get("/openapi.json", document)
    app.router.add_get("/docs", docs)
    app.router.add_get("/docs/start.js", start_script)
    app.router.add_get("/docs/{asset}", asset)
