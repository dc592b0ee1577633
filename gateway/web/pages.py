"""``/openapi.json`` and ``/docs``: the document, and Swagger UI with assets from this server (package swagger-ui-py).

All references of the page are relative, so that it works below a path too.
"""

from __future__ import annotations

import functools
import html
from importlib.resources import files

import msgspec
from aiohttp import web

from gateway.core.signing import sha256_hex
from gateway.flows.runtime import Gateway
from gateway.web.app_keys import GATEWAY
from gateway.web.responses import body_response

_ASSETS = {
    "swagger-ui.css": ("swagger_ui", "static", "text/css"),
    "swagger-ui-bundle.js": ("swagger_ui", "static", "text/javascript"),
    "icon.svg": ("gateway.web", "docs_page", "image/svg+xml"),
    "start.js": ("gateway.web", "docs_page", "text/javascript"),
}
"""Where each file is, and its type."""

_ROOT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Payment gateway</title></head>
<body><p>This is a payment gateway. Its API is documented at <a href="{docs}">/docs</a>.</p></body>
</html>
"""
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Scripts and the document come from here only; Swagger UI styles its elements in place."""

_SHIPPED_KEY = "gw_k1_dev-only-acme-key-0123456789"
"""The first tenant's key in the shipped settings, which are for development."""


@functools.cache
def _document(public_url: str, hint: str) -> bytes:
    from gateway.web import openapi  # imported here because a start need not wait for it

    return msgspec.json.encode(openapi.document(public_url, hint=hint))


@functools.cache
def _file(package: str, folder: str, name: str) -> bytes:
    return files(package).joinpath(folder, name).read_bytes()


async def document(request: web.Request) -> web.Response:
    """``GET /openapi.json``, which is made once."""
    gw = request[GATEWAY]
    return body_response(_document(gw.public_url, _hint(gw)), "application/json")


async def root(_: web.Request) -> web.Response:
    """``GET /``: a link to ``/docs``, relative because a proxy may remove a part of the path."""
    return link_to("docs")


def link_to(docs: str) -> web.Response:
    """A page with a link to the documentation."""
    return web.Response(text=_ROOT.format(docs=html.escape(docs)), content_type="text/html")


async def docs(_: web.Request) -> web.Response:
    """``GET /docs``."""
    page = _file("gateway.web", "docs_page", "index.html").decode()
    return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": _POLICY})


async def asset(request: web.Request) -> web.StreamResponse:
    """``GET /docs/{asset}``: only the files the page needs, each read once."""
    name = request.match_info["asset"]
    if name not in _ASSETS:
        raise web.HTTPNotFound
    package, folder, kind = _ASSETS[name]
    return body_response(_file(package, folder, name), kind)


def _hint(gw: Gateway) -> str:
    """The key of the shipped settings, where they are used."""
    is_shipped = gw.settings.server.development and sha256_hex(_SHIPPED_KEY) in gw.settings.keys_by_sha256
    return f"The shipped settings have `{_SHIPPED_KEY}`." if is_shipped else ""
