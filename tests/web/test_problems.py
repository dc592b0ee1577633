"""Every error is a problem with a code and a page that explains it."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from gateway.core.errors import PROBLEMS, Unavailable
from gateway.core.problem_guides import GUIDES, example
from gateway.web.problems import problem_of
from tests.support.stack import GatewayStack, new_key, psp_body

shared = pytest.mark.asyncio(loop_scope="module")


@shared
@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/payments/pay_none", None, 404, "not_found"),
        ("GET", "/v1/nothing", None, 404, "not_found"),
        ("PUT", "/v1/payments", {}, 405, "method_not_allowed"),
        ("DELETE", "/v1/accounts", None, 405, "method_not_allowed"),
        ("POST", "/v1/payments", {}, 422, "validation_failed"),
        ("GET", "/problems/nothing", None, 404, "not_found"),
    ],
)
async def test_errors_are_problems(
    shared_stack: GatewayStack, method: str, path: str, body: Any, status: int, code: str
) -> None:
    """Every error is ``application/problem+json`` with its code, a stable type and the request's id."""
    reply = await shared_stack.call(method, path, body, key=new_key(), headers={"X-Request-Id": "trace-1"})
    assert (reply.status, reply.headers["Content-Type"].partition(";")[0]) == (status, "application/problem+json")
    problem = reply.json
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"/problems/{code}")
    assert (problem["title"], problem["request_id"]) == (PROBLEMS[code].title, "trace-1")
    assert problem["detail"]


@shared
@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("GET", "/nope", "there is no route GET /nope; "),
        ("GET", "/v2/payments", "there is no route GET /v2/payments; "),
        ("GET", "/v1/payment", "there is no route GET /v1/payment; "),
        ("POST", "/pay/callback", "there is no route POST /pay/callback; a callback goes to its account's own address"),
        (
            "POST",
            "/callbacks/",
            "a callback goes to its account's own address, /callbacks/…, as `gateway accounts show`",
        ),
        ("POST", "/callbacks", "a callback goes to its account's own address"),
        ("GET", "/pay", "a callback goes to its account's own address"),
        (
            "GET",
            "/v1/payments/",
            "there is no route GET /v1/payments/; write it without the slash at the end: /v1/payments",
        ),
        ("POST", "/v1/payments/", "without the slash at the end: /v1/payments"),
        ("GET", "/v1/accounts//", "without the slash at the end: /v1/accounts"),
        (
            "GET",
            f"/v1/payments/pay_{'0' * 32}/events/",
            "/v1/payments/…/events/; write it without the slash at the end: /v1/payments/…/events",
        ),
        ("GET", "/docs/nothing", "there is no route GET /docs/nothing"),
        ("GET", "/gw_k1_test-key-of-acme", "there is no route GET /…;"),
        ("POST", f"/v1/payments/pay_{'0' * 32}/refund", "there is no route POST /v1/payments/…/refund; GET /docs"),
        ("GET", f"/v1/{'x' * 60}", "there is no route GET /v1/…;"),
        ("GET", "/4111111111111111", "there is no route GET /…;"),
        ("GET", f"/v1/payments/pay_{'0' * 32}", "there is no payment with this id under this tenant"),
        ("GET", "/v1/payments/SO-7001", 'payment ids begin with "pay_"'),
        ("POST", f"/v1/payments/pay_{'0' * 32}/capture", "there is no payment with this id under this tenant"),
    ],
)
async def test_no_such_route_is_not_no_such_thing(
    shared_stack: GatewayStack, method: str, path: str, said: str
) -> None:
    """Who mistyped an address learns that, and who looks for a payment is not sent to the list of routes."""
    reply = await shared_stack.call(method, path, {} if method == "POST" else None, key=new_key())
    assert (reply.status, reply.json["code"]) == (404, "not_found")
    assert said in reply.json["detail"]
    assert "acme" not in reply.text


async def test_the_root_leads_to_the_documentation(stack: GatewayStack) -> None:
    """On both listeners; the operators' has no page of its own."""
    for url, docs in ((stack.url, "docs"), (stack.admin_url, f"{stack.url}/docs")):
        reply = await stack.visit(f"{url}/")
        assert (reply.status, re.findall('href="([^"]*)"', reply.text)) == (200, [docs])


@shared
async def test_a_problem_names_each_wrong_member(shared_stack: GatewayStack) -> None:
    """``errors`` holds a path and a sentence for each member."""
    reply = await shared_stack.create(psp_body(amount="1.001"))
    [error] = reply.json["errors"]
    assert set(error) == {"field", "message"}
    assert (error["field"], error["message"]) == ("$.amount", "has more than the 2 decimals of its currency")


@shared
async def test_a_wrong_method_says_which_are_right(shared_stack: GatewayStack) -> None:
    """405 names the methods the path has."""
    reply = await shared_stack.call("PUT", "/v1/payments", {})
    assert {"GET", "POST"} <= set(reply.headers["Allow"].split(","))
    assert reply.json["detail"] == "this path takes GET, HEAD and POST, not PUT"


@shared
@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ("abc-1.2_3", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("has blank", False),
        ("<script>", False),
        ("", False),
    ],
)
async def test_a_sane_request_id_is_kept(shared_stack: GatewayStack, given: str, is_kept: bool) -> None:
    """``X-Request-Id`` comes back where it is sane; otherwise one is made. Every answer has one."""
    for path in ("/v1/accounts", "/v1/nothing", "/openapi.json"):
        reply = await shared_stack.call("GET", path, headers={"X-Request-Id": given})
        shown = reply.headers["X-Request-Id"]
        assert (shown == given) == is_kept
        assert re.fullmatch(r"[A-Za-z0-9._-]{1,128}", shown)


@pytest.mark.parametrize("code", sorted({kind.code for kind in (Unavailable, *Unavailable.__subclasses__())}))
def test_what_a_store_says_is_shown_as_it_is_answered(code: str) -> None:
    """The example in the documents is the answer that a tenant gets."""
    error = Unavailable("planted")
    error.code = code
    assert example(code)["detail"] == problem_of(error).detail


@shared
@pytest.mark.parametrize("code", PROBLEMS)
async def test_each_problem_has_its_page(shared_stack: GatewayStack, code: str) -> None:
    """The ``type`` of a problem is a page for anyone: what happened, why, what to do, and an example."""
    reply = await shared_stack.call("GET", f"/problems/{code}", tenant=None)
    assert (reply.status, reply.headers["Content-Type"].partition(";")[0]) == (200, "text/html")
    said = html.unescape(re.sub("<[^>]*>", "", reply.text))
    guide = GUIDES[code]
    for text in (code, f"HTTP {PROBLEMS[code].status}", PROBLEMS[code].title, guide.why, guide.remedy):
        assert text.replace("`", "") in said
    [shown] = re.findall("<pre>(.*)</pre>", reply.text, re.DOTALL)
    assert json.loads(html.unescape(shown)) == example(code)
    assert re.findall('(?:href|src)="([^"]*)"', reply.text) == ["../docs"]


@shared
async def test_a_page_for_an_unknown_code_lists_the_codes(shared_stack: GatewayStack) -> None:
    """Anyone who mistypes a code sees those there are."""
    reply = await shared_stack.call("GET", "/problems/nothing", tenant=None)
    assert (reply.status, reply.json["code"]) == (404, "not_found")
    assert all(code in reply.json["detail"] for code in PROBLEMS)
