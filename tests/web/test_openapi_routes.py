"""The served OpenAPI document holds exactly the routes there are, and its page comes from this server alone."""

from __future__ import annotations

import re

import pytest

from gateway.web.api.routes import ROUTES
from tests.support.openapi import nodes
from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body


async def test_the_rise_limit_is_documented_with_its_alerts(stack: GatewayStack) -> None:
    """The 409 over the limit carries ``alerts``, and the document says so."""
    payment = (await stack.create(creditkey_body())).json
    order = {"charges": {"total": "1267.33", "grand_total": "1267.33"}}
    body = {"amount": "1267.33", "order": order}
    reply = await stack.call("PATCH", f"/v1/payments/{payment['id']}", body, key=new_key())
    problem = (await stack.call("GET", "/openapi.json")).json["components"]["schemas"]["Problem"]
    assert reply.json["alerts"][0]["code"] == "increase_over_limit"
    assert set(reply.json) <= set(problem["properties"])


shared = pytest.mark.asyncio(loop_scope="module")


@shared
async def test_the_document_lists_every_route(shared_stack: GatewayStack) -> None:
    """``/openapi.json`` is OpenAPI 3.1 and holds exactly the routes the server has for tenants, readable by anyone."""
    document = (await shared_stack.call("GET", "/openapi.json", tenant=None)).json
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert {"title", "version"} <= set(document["info"])
    listed = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert listed == {(route.method, route.path) for route in ROUTES}


@shared
async def test_the_document_is_whole(shared_stack: GatewayStack) -> None:
    """Every reference leads somewhere, operations are named once, path parameters are declared, errors are problems."""
    document = (await shared_stack.call("GET", "/openapi.json", tenant=None)).json
    targets = {node["$ref"] for node in nodes(document) if "$ref" in node}
    assert targets <= {
        f"#/components/{kind}/{name}" for kind, named in document["components"].items() for name in named
    }
    operations = [(path, operation) for path, item in document["paths"].items() for operation in item.values()]
    names = [operation["operationId"] for _, operation in operations]
    assert len(set(names)) == len(names)
    for path, operation in operations:
        declared = {one["name"] for one in operation["parameters"] if one["in"] == "path" and one["required"] is True}
        assert declared == set(re.findall(r"{(\w+)}", path))
        assert any(status.startswith("2") for status in operation["responses"])
        for status, response in operation["responses"].items():
            assert response["description"]
            if not status.startswith("2"):
                assert set(response["content"]) == {"application/problem+json"}


@shared
async def test_the_documents_payment_is_what_is_answered(shared_stack: GatewayStack) -> None:
    """The schema of a payment names exactly the members of a real one, all of them required."""
    document = (await shared_stack.call("GET", "/openapi.json", tenant=None)).json
    payment = (await shared_stack.create(psp_body())).json
    schema = document["components"]["schemas"]["PaymentWithOperation"]
    assert set(schema["properties"]) == set(schema["required"]) == set(payment)


@shared
async def test_idempotent_routes_say_so(shared_stack: GatewayStack) -> None:
    """The document asks for an Idempotency-Key exactly where the server does."""
    document = (await shared_stack.call("GET", "/openapi.json", tenant=None)).json
    for route in ROUTES:
        operation = document["paths"][route.path][route.method.lower()]
        asked = any(one["name"] == "Idempotency-Key" for one in operation["parameters"])
        body = {"amount": "1.00"} if route.method == "PATCH" else {} if route.body is not None else None
        reply = await shared_stack.call(route.method, re.sub("{.*}", "pay_none", route.path), body)
        wants = reply.status == 400 and reply.json["code"] == "idempotency_key_required"
        assert (route.path, route.method, asked) == (route.path, route.method, wants)


@shared
async def test_the_page_is_served_by_us(shared_stack: GatewayStack) -> None:
    """``/docs`` loads every asset from this server, and nothing from elsewhere."""
    page = await shared_stack.call("GET", "/docs", tenant=None)
    assert (page.status, page.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert link.startswith("docs/")
        asset = await shared_stack.call("GET", f"/{link}", tenant=None)
        assert (asset.status, bool(asset.text)) == (200, True)
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]


@shared
@pytest.mark.parametrize("name", ["nothing.js", "..%2F..%2Fpyproject.toml", "index.html", "__init__.py"])
async def test_the_page_serves_only_its_assets(shared_stack: GatewayStack, name: str) -> None:
    """Nothing but the page's own assets can be fetched below ``/docs``."""
    assert (await shared_stack.call("GET", f"/docs/{name}", tenant=None)).status == 404
