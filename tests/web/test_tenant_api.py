"""The tenant API's surface: lists, problems, catalogue, the document and its page, operators' probes."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import PROBLEMS
from gateway.core.problem_guides import GUIDES, example
from gateway.web.api.routes import ROUTES
from tests.support.clients.psp_callbacks import change_store
from tests.support.openapi import nodes
from tests.support.stack import GatewayStack, creditkey_body, new_key, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")


async def get(stack: GatewayStack, path: str, **named: Any) -> Any:
    """The parsed body of a successful read."""
    reply = await stack.call("GET", path, **named)
    assert reply.status == 200, reply.text
    return reply.json


# Lists


async def some_payments(stack: GatewayStack, count: int) -> list[str]:
    """Payments of tenant acme, oldest first."""
    return [(await stack.create(psp_body())).json["id"] for _ in range(count)]


async def test_a_list_is_newest_first_in_pages(stack: GatewayStack) -> None:
    """Pages follow one another without gap or repetition; the last has no cursor."""
    made = await some_payments(stack, 5)
    pages, query = [], "?limit=2"
    while query:
        page = await get(stack, f"/v1/payments{query}")
        pages.append([one["id"] for one in page["data"]])
        query = f"?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else ""
    newest_first = made[::-1]
    assert pages == [newest_first[:2], newest_first[2:4], newest_first[4:]]


async def test_a_page_that_is_just_full_is_the_last(stack: GatewayStack) -> None:
    """When nothing is left after a full page, there is no cursor to an empty one."""
    await some_payments(stack, 2)
    assert (await get(stack, "/v1/payments?limit=2"))["next_cursor"] is None


async def test_what_is_made_meanwhile_does_not_move_the_pages(stack: GatewayStack) -> None:
    """A payment made after the first page was read does not appear in, or shift, the second."""
    made = await some_payments(stack, 2)
    first = await get(stack, "/v1/payments?limit=1")
    await some_payments(stack, 1)
    second = await get(stack, f"/v1/payments?limit=1&cursor={first['next_cursor']}")
    assert [one["id"] for one in second["data"]] == [made[0]]


async def test_filters_of_a_list(stack: GatewayStack) -> None:
    """Reference, state, account and creation time narrow the list, together or apart."""
    paid = (await stack.create(psp_body())).json
    await stack.click(paid, "pay")
    waiting = (await stack.create(creditkey_body())).json

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await get(stack, f"/v1/payments?{query}"))["data"]]

    assert await found("state=captured") == [paid["id"]]
    assert await found("account=creditkey-main") == [waiting["id"]]
    assert await found(f"merchant_reference={paid['merchant_reference']}") == [paid["id"]]
    assert await found("state=captured&account=creditkey-main") == []
    assert await found("created_after=2020-01-01T00:00:00Z") == [waiting["id"], paid["id"]]
    assert await found("created_before=2020-01-01T00:00:00Z") == []
    assert await found(f"created_before={waiting['created_at']}&created_after=2020-01-01T00:00:00%2B02:00") == [
        paid["id"]
    ]


@shared
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=ten",
        "limit=1e2",
        "limit=%C2%B2",
        f"limit={'9' * 5000}",
        "state=paid",
        "created_after=yesterday",
        "created_after=2020-01-01",
        "created_after=2020-01-01T00:00:00",
        "created_before=0",
        "cursor=nonsense",
        "cursor=%00",
    ],
)
async def test_a_query_that_cannot_be_used_is_named(shared_stack: GatewayStack, query: str) -> None:
    """A bad query value is 422 and names its parameter."""
    reply = await shared_stack.call("GET", f"/v1/payments?{query}")
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert reply.json["errors"][0]["field"] == query.partition("=")[0]


@shared
@pytest.mark.parametrize(
    "query", ["limit=", "state=", "created_before=", "merchant_reference='%20OR%201=1", "account=none"]
)
async def test_a_query_that_finds_nothing_special(shared_stack: GatewayStack, query: str) -> None:
    """Values nobody uses are searched for as they stand and break nothing."""
    assert isinstance((await get(shared_stack, f"/v1/payments?{query}"))["data"], list)


# One payment


MEMBERS = frozenset(
    {
        "id",
        "tenant",
        "account",
        "provider",
        "merchant_reference",
        "provider_reference",
        "state",
        "amount",
        "currency",
        "amount_captured",
        "amount_refunded",
        "redirect_url",
        "customer_notified",
        "pending_operation",
        "review",
        "failure",
        "alerts",
        "replaces",
        "replaced_by",
        "capture_by",
        "expires_at",
        "authorized_at",
        "captured_at",
        "canceled_at",
        "metadata",
        "version",
        "created_at",
        "updated_at",
    }
)


@shared
async def test_the_shape_of_a_payment(shared_stack: GatewayStack) -> None:
    """A payment has exactly its documented members; a read shows no operation."""
    created = (await shared_stack.create(psp_body())).json
    assert set(created) == {*MEMBERS, "operation"}
    assert set(created["operation"]) == {"id", "kind", "status", "failure"}
    assert set(await shared_stack.payment(created["id"])) == MEMBERS
    times = [created[name] for name in ("created_at", "updated_at", "expires_at")]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one) for one in times)
    assert re.fullmatch(r"pay_[0-9a-f]{32}", created["id"])
    assert re.fullmatch(r"op_[0-9a-f]{32}", created["operation"]["id"])


@shared
async def test_the_shape_of_the_timeline(shared_stack: GatewayStack) -> None:
    """Each version is one line that says who caused it and what it moved."""
    payment = (await shared_stack.create(psp_body())).json
    await shared_stack.click(payment, "pay")
    events = await shared_stack.events(payment["id"])
    assert [(one["type"], one["version"], one["cause"], one["state_before"], one["state_after"]) for one in events] == [
        ("payment.created", 1, "tenant", None, "created"),
        ("payment.awaiting_customer", 2, "reply", "created", "awaiting_customer"),
        ("payment.captured", 3, "callback", "awaiting_customer", "captured"),
    ]
    assert all(
        set(one) == {"id", "type", "version", "cause", "state_before", "state_after", "at", "details"} for one in events
    )


@shared
async def test_sync_needs_a_provider_that_answers_lookups(shared_stack: GatewayStack) -> None:
    """A provider without a status query cannot be synced: 422 ``unsupported_by_provider``."""
    payment = (await shared_stack.create(psp_body())).json
    reply = await shared_stack.call("POST", f"/v1/payments/{payment['id']}/sync", {})
    assert (reply.status, reply.json["code"]) == (422, "unsupported_by_provider")


@shared
async def test_sync_is_rate_limited(shared_stack: GatewayStack) -> None:
    """One payment cannot be synced without end: 429 says when again."""
    payment = (await shared_stack.create(creditkey_body())).json
    path = f"/v1/payments/{payment['id']}/sync"
    replies = [await shared_stack.call("POST", path, {}) for _ in range(10)]
    assert replies[0].status == 200
    assert (replies[-1].status, replies[-1].json["code"]) == (429, "rate_limited")
    assert int(replies[-1].headers["Retry-After"]) >= 1


# Problems


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
            "there is no such route; write it without the slash at the end",
        ),
        ("GET", "/docs/nothing", "there is no route GET /docs/nothing"),
        ("GET", "/gw_k1_test-key-of-acme", "there is no such route"),
        ("GET", f"/v1/{'x' * 60}", "there is no such route"),
        ("GET", "/4111111111111111", "there is no such route"),
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
    """Whoever mistypes a code sees those there are."""
    reply = await shared_stack.call("GET", "/problems/nothing", tenant=None)
    assert (reply.status, reply.json["code"]) == (404, "not_found")
    assert all(code in reply.json["detail"] for code in PROBLEMS)


async def test_a_tenants_rate_is_limited_alone(tmp_path: Path) -> None:
    """Over its rate a tenant gets 429 with Retry-After, and another tenant does not."""

    def slow(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["rate_limit"] = {"per_second": 0.001, "burst": 2}

    async with running_stack(tmp_path, change=slow) as stack:
        replies = [await stack.call("GET", "/v1/accounts") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].json["code"] == "rate_limited"
        assert int(replies[2].headers["Retry-After"]) > 1
        assert (await stack.call("GET", "/v1/accounts", tenant="globex")).status == 200


async def test_an_expired_key_is_no_key(tmp_path: Path) -> None:
    """A key past its date is refused like an unknown one."""

    def expired(settings: dict[str, Any]) -> None:
        settings["tenants"]["globex"]["keys"][0]["expires"] = "2020-01-01T00:00:00Z"

    async with running_stack(tmp_path, change=expired) as stack:
        reply = await stack.call("GET", "/v1/accounts", tenant="globex")
        assert (reply.status, reply.json["code"]) == (401, "unauthorized")


# The catalogue


@shared
async def test_accounts_show_what_a_front_end_needs(shared_stack: GatewayStack) -> None:
    """Each account shows commands, currencies, limits, what to ask of the customer, and only public credentials."""
    accounts = {one["name"]: one for one in (await get(shared_stack, "/v1/accounts"))["data"]}
    assert set(accounts) == {"creditkey-main", "psp-main"}
    credit_key, psp = accounts["creditkey-main"], accounts["psp-main"]
    assert credit_key["provider"] == "creditkey"
    assert {"create", "capture", "cancel", "refund", "update"} <= set(credit_key["commands"])
    assert credit_key["currencies"] == ["USD"]
    assert credit_key["limits"] == {
        "max_increase": {"amount": "100.00", "currency": "USD"},
        "capture_deadline": "30d",
    }
    assert (psp["commands"], psp["currencies"]) == (["create"], None)
    assert psp["limits"] == {"max_increase": None, "capture_deadline": None}
    assert psp["fields"] == [
        {"name": "custom_1", "label": "VIP code", "required": False, "max_length": 40, "pattern": "[A-Z]+"}
    ]
    assert set(psp["public"]) == {"merchant_id"}
    entry = shared_stack.entry("acme", "psp-main")
    assert psp["callback_url"] == f"{shared_stack.url}/callbacks/{entry.endpoint_id}"
    assert psp["accepts_new"] is True


@shared
async def test_the_catalogue_shows_no_secret(shared_stack: GatewayStack) -> None:
    """Neither tokens nor shared secrets appear in what tenants read."""
    shown = (await shared_stack.call("GET", "/v1/accounts")).text
    entry = shared_stack.entry("acme", "psp-main")
    token = entry.provider.credentials(entry.account)["token"]
    assert not isinstance(token, str)
    assert token.reveal() not in shown
    assert "ss_test" not in shown
    assert "pk_test" not in shown


def many_labels(settings: dict[str, Any]) -> None:
    """Deposit methods of all kinds for tenant acme."""
    acme = settings["tenants"]["acme"]
    acme["accounts"]["psp-main"]["fields"]["custom_1"]["label"] = {"en": "VIP code", "de": "VIP-Code"}
    acme["accounts"]["psp-old"] = {**acme["accounts"]["psp-main"], "accepts_new": False}
    acme["deposit_methods"] = {
        "bank": {
            "label": {"en": "Bank", "de": "Bank (de)", "pt-BR": "Banco"},
            "account": "psp-main",
            "currencies": ["USD", "EUR"],
            "amount": {"min": "10.00", "max": "1000"},
            "fields": {"custom_1": {"label": {"en": "Lounge code"}}},
        },
        "plain": {"account": "psp-main"},
        "german": {"account": "psp-main", "label": {"de": "Nur deutsch"}},
        "trade": {"account": "creditkey-main", "label": {"en": "Trade credit"}},
        "old": {"account": "psp-old", "label": {"en": "Old"}},
    }


async def test_deposit_methods_speak_the_customers_language(tmp_path: Path) -> None:
    """A label in the language asked for, without its region, in English, or at last the method's name."""
    expected = {
        None: ["Bank", "plain", "german", "Trade credit"],
        "en": ["Bank", "plain", "german", "Trade credit"],
        "de": ["Bank (de)", "plain", "Nur deutsch", "Trade credit"],
        "de-at": ["Bank (de)", "plain", "Nur deutsch", "Trade credit"],
        "de_AT": ["Bank (de)", "plain", "Nur deutsch", "Trade credit"],
        "pt_BR": ["Banco", "plain", "german", "Trade credit"],
        "DE": ["Bank (de)", "plain", "Nur deutsch", "Trade credit"],
        "pt-br": ["Banco", "plain", "german", "Trade credit"],
        "pt": ["Bank", "plain", "german", "Trade credit"],
        "xx": ["Bank", "plain", "german", "Trade credit"],
    }
    async with running_stack(tmp_path, change=many_labels) as stack:
        for language, labels in expected.items():
            query = f"?lang={language}" if language else ""
            shown = (await get(stack, f"/v1/deposit-methods{query}"))["data"]
            assert (language, [one["label"] for one in shown]) == (language, labels)


async def test_deposit_methods_show_limits_and_fields(tmp_path: Path) -> None:
    """A method shows its limits and all additional parameters of its account, under its own labels where it has any."""
    async with running_stack(tmp_path, change=many_labels) as stack:
        shown = {one["name"]: one for one in (await get(stack, "/v1/deposit-methods?lang=de"))["data"]}
        english = {one["name"]: one for one in (await get(stack, "/v1/deposit-methods?lang=en"))["data"]}
    field = {"name": "custom_1", "required": False, "max_length": 40, "pattern": "[A-Z]+"}
    assert shown["bank"] == {
        "name": "bank",
        "label": "Bank (de)",
        "currencies": ["USD", "EUR"],
        "amount": {"min": "10.00", "max": "1000"},
        "fields": [{**field, "label": "VIP-Code"}],
    }
    assert english["bank"]["fields"] == [{**field, "label": "Lounge code"}]
    assert shown["plain"]["amount"] == {"min": None, "max": None}
    assert shown["plain"]["fields"] == [{**field, "label": "VIP-Code"}]
    assert shown["trade"]["fields"] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("currency=USD", ["bank", "plain", "german", "trade"]),
        ("currency=EUR", ["bank", "plain", "german"]),
        ("currency=GBP", ["plain", "german"]),
        ("amount=9.99", ["plain", "german", "trade"]),
        ("amount=10", ["bank", "plain", "german", "trade"]),
        ("amount=1000.00", ["bank", "plain", "german", "trade"]),
        ("amount=1000.01", ["plain", "german", "trade"]),
        ("currency=EUR&amount=5", ["plain", "german"]),
    ],
)
async def test_deposit_methods_by_currency_and_amount(tmp_path: Path, query: str, names: list[str]) -> None:
    """Only methods that take the currency and the amount, both limits included, are shown."""
    async with running_stack(tmp_path, change=many_labels) as stack:
        shown = (await get(stack, f"/v1/deposit-methods?{query}"))["data"]
    assert [one["name"] for one in shown] == names


@shared
@pytest.mark.parametrize("query", ["amount=much", "amount=1e3"])
async def test_a_deposit_amount_that_is_none(shared_stack: GatewayStack, query: str) -> None:
    """An amount that cannot be read is 422 and named."""
    reply = await shared_stack.call("GET", f"/v1/deposit-methods?{query}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, "amount")


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"deposit_method": "bank", "amount": "9.99"}, "validation_failed", "$.amount"),
        ({"deposit_method": "bank", "amount": "1000.01"}, "validation_failed", "$.amount"),
        ({"deposit_method": "bank", "currency": "GBP"}, "currency_not_supported", "$.currency"),
        ({"deposit_method": "old"}, "unknown_account", "$.deposit_method"),
        ({"account": "psp-old"}, "unknown_account", "$.account"),
    ],
)
async def test_a_create_obeys_its_deposit_method(tmp_path: Path, body: dict[str, Any], code: str, field: str) -> None:
    """Limits and currencies of a method hold for the create itself; an account closed to new payments takes none."""
    async with running_stack(tmp_path, change=many_labels) as stack:
        reply = await stack.create({**psp_body(account=None), **body})
    assert (reply.status, reply.json["code"]) == (422, code)
    assert [error["field"] for error in reply.json["errors"]] == [field]


# The document and its page


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
        reply = await shared_stack.call(route.method, route.path.replace("{id}", "pay_none"), body)
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


# Operators' probes


async def test_probes(stack: GatewayStack) -> None:
    """``/livez`` and ``/readyz`` answer on the operators' listener and not on the public one."""
    for path in ("/livez", "/readyz"):
        assert (await stack.visit(stack.admin_url + path)).status == 200
        assert (await stack.visit(stack.url + path)).status == 404


async def test_a_store_that_takes_no_write_is_not_ready(stack: GatewayStack) -> None:
    """``/readyz`` writes: a store that refuses makes it 503, while ``/livez`` still answers."""
    await change_store(stack, "ALTER TABLE heartbeat RENAME TO elsewhere")
    assert (await stack.visit(stack.admin_url + "/readyz")).status == 503
    assert (await stack.visit(stack.admin_url + "/livez")).status == 200
    await change_store(stack, "ALTER TABLE elsewhere RENAME TO heartbeat")
    assert (await stack.visit(stack.admin_url + "/readyz")).status == 200


async def test_a_create_that_cannot_be_stored_never_reaches_the_provider(stack: GatewayStack) -> None:
    """While the store refuses, a create is 503 and the far side hears nothing; the same key works afterwards."""
    await change_store(stack, "ALTER TABLE operations RENAME TO elsewhere")
    body, key = psp_body(), new_key()
    reply = await stack.create(body, key=key)
    assert (reply.status, reply.json["code"], reply.headers["Retry-After"]) == (503, "store_unavailable", "1")
    assert await stack.provider_requests("psp") == []
    await change_store(stack, "ALTER TABLE elsewhere RENAME TO operations")
    assert (await stack.create(body, key=key)).status == 201


async def test_a_stopping_gateway_takes_no_new_work(stack: GatewayStack) -> None:
    """While the gateway drains, new requests are 503 ``shutting_down`` and probes say so."""
    stack.gateway.is_stopping = True
    reply = await stack.create(psp_body())
    assert (reply.status, reply.json["code"]) == (503, "shutting_down")
    assert (await stack.visit(stack.admin_url + "/readyz")).status == 503
    assert (await stack.visit(stack.admin_url + "/livez")).status == 200
