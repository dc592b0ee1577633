"""What every HTTP client relies on: HEAD, OPTIONS, Allow, 408, an id on every answer, old and odd versions."""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.core.errors import FieldError
from gateway.drivers.store.inbox import InboxFilter
from gateway.drivers.store.reads import PaymentFilter
from gateway.web.app import make_admin_app, make_app
from gateway.web.request_log import NAMED, fields_of
from tests.support.clients.raw_http import bounded_stack, client, get
from tests.support.stack import GatewayStack, creditkey_body, key_of, new_key, psp_body
from tests.web.test_headers import headers_of

KEY = f"Authorization: Bearer {key_of('acme')}"
JSON = "Content-Type: application/json"
NOWHERE = "/nothing/here"

shared = pytest.mark.asyncio(loop_scope="module")


class Place(NamedTuple):
    """A path of one of the listeners, and the methods it takes."""

    is_admin: bool
    path: str
    methods: frozenset[str]


def paths_of(stack: GatewayStack) -> list[Place]:
    """Every path of both listeners except those of callbacks, with names filled in."""
    made = {False: make_app(stack.gateway), True: make_admin_app(stack.gateway)}
    found: dict[tuple[bool, str], set[str]] = {}
    for is_admin, app in made.items():
        for route in app.router.routes():
            path = route.resource.canonical if route.resource is not None else ""
            if not path.startswith("/callbacks"):
                found.setdefault((is_admin, path), set()).add(route.method)
    return [Place(*key, frozenset(methods)) for key, methods in found.items()]


def filled(path: str) -> str:
    """A path with its names filled in."""
    for name, value in (("{code}", "not_found"), ("{asset}", "swagger-ui.css")):
        path = path.replace(name, value)
    return "/".join("pay_x" if part.startswith("{") else part for part in path.split("/"))


@shared
async def test_head_options_and_allow_of_every_path(shared_stack: GatewayStack) -> None:
    """HEAD is GET without its body; OPTIONS is 204 and names the methods, and so does 405."""
    found = paths_of(shared_stack)
    assert len(found) > 20
    for one in found:
        url = (shared_stack.admin_url if one.is_admin else shared_stack.url) + filled(one.path)
        sent = {"Authorization": f"Bearer {key_of('acme')}"}
        async with shared_stack.http.options(url) as options:
            assert (options.status, await options.read()) == (204, b""), url
            assert set(options.headers["Allow"].split(",")) == one.methods | {"OPTIONS"}, url
        async with shared_stack.http.request("PROPFIND", url, headers=sent) as wrong:
            assert (wrong.status, wrong.headers["Allow"]) == (405, options.headers["Allow"]), url
        assert ("GET" in one.methods) == ("HEAD" in one.methods), url
        if "GET" in one.methods:
            async with (
                shared_stack.http.get(url, headers=sent, allow_redirects=False) as whole,
                shared_stack.http.head(url, headers=sent) as head,
            ):
                assert (head.status, head.content_type) == (whole.status, whole.content_type), url
                length = str(len(await whole.read()))
                assert head.headers.get("Content-Length", length if head.status == 302 else None) == length, url
                assert await head.read() == b""


@shared
async def test_options_of_nothing(shared_stack: GatewayStack) -> None:
    """What is not there has no methods."""
    for path in (NOWHERE, "/callbacks/unknown"):
        async with shared_stack.http.options(shared_stack.url + path) as reply:
            assert (reply.status, "Allow" in reply.headers) == (404, False)


@shared
async def test_options_of_a_callback_address(shared_stack: GatewayStack) -> None:
    """A provider reads which methods its address takes; nothing is stored of that."""
    gw = shared_stack.gateway
    psp = gw.callback_url(shared_stack.entry("acme", "psp-main"))
    before = await inbox_of(shared_stack)
    async with shared_stack.http.options(psp) as reply:
        assert (reply.status, reply.headers["Allow"]) == (204, "POST,OPTIONS")
    assert await inbox_of(shared_stack) == before


@shared
async def test_head_of_a_customers_way_back(shared_stack: GatewayStack) -> None:
    """A link that is looked at with HEAD leads where GET leads."""
    created = (await shared_stack.create(creditkey_body())).json
    link = await shared_stack.approve(created)
    async with shared_stack.http.head(link, allow_redirects=False) as reply:
        assert (reply.status, reply.headers["Location"].partition("?")[0]) == (303, "https://shop.example/paid")
    async with shared_stack.http.options(link) as reply:
        assert (reply.status, reply.headers["Allow"]) == (204, "GET,OPTIONS")
    async with shared_stack.http.put(link) as reply:
        assert reply.headers["Allow"] == "GET,HEAD,OPTIONS"


async def inbox_of(stack: GatewayStack) -> int:
    """How many callbacks are stored."""
    return len(await stack.gateway.store.inbox.newest("acme", InboxFilter(limit=500)))


# Bodies that do not come


@pytest.fixture
async def hasty(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A gateway that waits for a body no longer than a moment."""
    async with bounded_stack(tmp_path, timeouts={"request_body": 0.05}) as stack:
        yield stack


def half(method: str, path: str, *headers: str, begun: bytes = b"{") -> bytes:
    """A request whose body is begun and not ended."""
    framing = "Transfer-Encoding: chunked" if begun.startswith(b"1\r\n") else "Content-Length: 9"
    return "\r\n".join((f"{method} {path} HTTP/1.1", "Host: x", *headers, framing, "", "")).encode() + begun


def half_requests(stack: GatewayStack) -> dict[str, bytes]:
    """Requests that stop in the middle of their body, of all who send bodies."""
    gw, idempotent = stack.gateway, f"Idempotency-Key: {new_key()}"
    psp, creditkey = (gw.callback_url(stack.entry("acme", name)) for name in ("psp-main", "creditkey-main"))
    psp_path, creditkey_path = (url.removeprefix(stack.url) for url in (psp, creditkey))
    return {
        "create": half("POST", "/v1/payments", KEY, JSON, idempotent),
        "create, nothing of it": half("POST", "/v1/payments", KEY, JSON, idempotent, begun=b""),
        "create, in chunks": half("POST", "/v1/payments", KEY, JSON, idempotent, begun=b"1\r\n{\r\n"),
        "update": half("PATCH", "/v1/payments/pay_1", KEY, JSON, idempotent),
        "refund": half("POST", "/v1/payments/pay_1/refunds", KEY, JSON, idempotent),
        "sync": half("POST", "/v1/payments/pay_1/sync", KEY, JSON),
        "PSP callback": half("POST", psp_path, JSON),
        "PSP callback, in chunks": half("POST", psp_path, JSON, begun=b"1\r\n{\r\n"),
        "PSP callback below the address": half("POST", f"{psp_path}/pay/callback", JSON),
        "Credit Key callback": half("POST", creditkey_path, JSON),
    }


async def test_a_body_that_drips_too_long_is_408(hasty: GatewayStack) -> None:
    """Callers and providers read that their body did not arrive; nothing is stored, and the connection ends."""
    for name, request in half_requests(hasty).items():
        async with client(hasty.url) as one:
            await one.send(request)
            answer = await one.answer()
            headers = headers_of(answer)
            assert answer.split()[1] == b"408", name
            assert headers["connection"].lower() == "close", name
            assert headers["x-request-id"].startswith("req_"), name
            assert b'"code":"request_timeout"' in answer, name
            await one.closed()
    assert await inbox_of(hasty) == 0
    assert await hasty.gateway.store.payments("acme", PaymentFilter(limit=1)) == []


async def test_a_body_that_breaks_off_is_408_or_a_closed_connection(
    hasty: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that stops sending finds its connection closed; the log has no fault and no wrong status."""
    with caplog.at_level(logging.INFO, logger="gateway"):
        for name, request in half_requests(hasty).items():
            async with client(hasty.url) as one:
                await one.send(request)
                one.sock.shutdown(socket.SHUT_WR)
                assert (await one.rest()).split()[1:2] in ([], [b"408"]), name
    statuses = {vars(record)["status"] for record in caplog.records if record.msg == "request"}
    assert statuses <= {408}
    assert all(record.levelno < logging.ERROR for record in caplog.records)
    assert await inbox_of(hasty) == 0


# Versions and expectations


def post(path: str, *headers: str, version: str = "1.1", body: bytes = b"{}") -> bytes:
    """A request with a body."""
    head = (f"POST {path} HTTP/{version}", "Host: x", *headers, f"Content-Length: {len(body)}", "", "")
    return "\r\n".join(head).encode() + body


WITH_KEY = (KEY, JSON, "Idempotency-Key: manners-1")
ODD = {
    "HTTP/1.0": (get("/v1/payments", KEY).replace(b"HTTP/1.1", b"HTTP/1.0"), b"HTTP/1.0", 200),
    "HTTP/1.0 with a body": (post("/v1/payments", *WITH_KEY, version="1.0"), b"HTTP/1.0", 422),
    "HTTP/1.0 that expects": (
        post("/v1/payments", *WITH_KEY, "Expect: 100-continue", version="1.0"),
        b"HTTP/1.0",
        422,
    ),
    "an expectation nobody knows": (post("/v1/payments", *WITH_KEY, "Expect: 200-ok"), b"HTTP/1.1", 417),
    "HTTP/2.0": (get("/docs").replace(b"HTTP/1.1", b"HTTP/2.0"), b"HTTP/2.0", 505),
    "HTTP/0.9": (b"GET /docs\r\n\r\n", b"HTTP/0.9", 505),
    "a method in lower case": (get("/docs").replace(b"GET", b"get"), b"HTTP/1.0", 400),
    "a method nobody knows": (get("/docs").replace(b"GET", b"FOO"), b"HTTP/1.0", 400),
    "TRACE": (get("/docs").replace(b"GET", b"TRACE"), b"HTTP/1.1", 405),
}


@pytest.mark.parametrize("name", ODD)
@shared
async def test_odd_requests(shared_stack: GatewayStack, name: str) -> None:
    """Each is answered as its version can read it, with an id, and nothing hangs."""
    request, version, status = ODD[name]
    async with client(shared_stack.url) as one:
        await one.send(request)
        answer = await one.answer()
    assert answer.split()[:2] == [version, str(status).encode()]
    assert headers_of(answer)["x-request-id"].startswith("req_")


@shared
async def test_a_client_that_waits_for_100_continue(shared_stack: GatewayStack) -> None:
    """The body is asked for before it is sent."""
    async with client(shared_stack.url) as one:
        head, _, body = post("/v1/payments", *WITH_KEY, "Expect: 100-continue").partition(b"\r\n\r\n")
        await one.send(head + b"\r\n\r\n")
        assert (await one.answer()).split()[:2] == [b"HTTP/1.1", b"100"]
        await one.send(body)
        assert (await one.answer()).split()[1] == b"422"


# What the log says of a request


async def ids_and_lines(
    stack: GatewayStack, caplog: pytest.LogCaptureFixture, *requests: tuple[str, str, object]
) -> list[dict[str, object]]:
    """Ask, and find each answer's line in the log by its id."""
    lines = []
    with caplog.at_level(logging.INFO, logger="gateway"):
        for method, path, body in requests:
            reply = await stack.call(method, path, body, key=new_key())
            request_id = reply.headers["X-Request-Id"]
            found = [vars(one) for one in caplog.records if one.msg == "request" and one.request_id == request_id]  # type: ignore[attr-defined]
            lines += [
                {name: line.get(name) for name in ("status", "tenant", "account", "payment_id", "problem", "fields")}
                for line in found
            ]
    return lines


@shared
async def test_an_id_leads_to_the_reason(shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """A request's line has tenant, payment, problem and the members that were wrong, but not what stood in them."""
    payment = (await shared_stack.create(psp_body())).json
    path = f"/v1/payments/{payment['id']}"
    secret = "dana.reyes@mail.example"
    wrong = psp_body(amount="x", metadata={secret: 7}, customer={"id": "1", "hobby": secret})
    lines = await ids_and_lines(
        shared_stack,
        caplog,
        ("GET", path, None),
        ("POST", f"{path}/capture", {}),
        ("POST", "/v1/payments", {**psp_body(), "amount": "0"}),
        ("POST", "/v1/payments", wrong),
        ("POST", "/v1/payments", psp_body(merchant_reference=payment["merchant_reference"])),
        ("GET", "/v1/payments/dana.reyes@mail.example", None),
    )
    seen = [(line["status"], line["tenant"], line["payment_id"], line["problem"]) for line in lines]
    assert seen == [
        (200, "acme", payment["id"], None),
        (422, "acme", payment["id"], "unsupported_by_provider"),
        (422, "acme", None, "validation_failed"),
        (422, "acme", None, "validation_failed"),
        (409, "acme", payment["id"], "duplicate_reference"),
        (404, "acme", None, "not_found"),
    ]
    assert lines[2]["fields"] == "$.amount"
    assert secret not in str(lines)


@shared
async def test_a_create_names_the_payment_it_made(shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """The line of a create leads to the payment."""
    body = psp_body()
    (line,) = await ids_and_lines(shared_stack, caplog, ("POST", "/v1/payments", body))
    assert line["account"] == "psp-main"
    found = (await shared_stack.call("GET", f"/v1/payments?merchant_reference={body['merchant_reference']}")).json
    assert line["payment_id"] == found["data"][0]["id"]


@shared
async def test_a_callbacks_line_names_its_account(shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """A provider that asks why it was refused is found by the id of the answer, with its account."""
    url = shared_stack.gateway.callback_url(shared_stack.entry("acme", "psp-main"))
    with caplog.at_level(logging.INFO, logger="gateway"):
        async with shared_stack.http.post(url, json={}) as reply:
            request_id = reply.headers["X-Request-Id"]
    (line,) = [vars(one) for one in caplog.records if getattr(one, "request_id", None) == request_id]
    assert (line["tenant"], line["account"], line["status"]) == ("acme", "psp-main", reply.status)
    assert line["reason"] == "unauthentic"


@shared
async def test_an_operators_line_names_what_it_was_about(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """An id in the path is in the line, under the name of its kind; what only looks like one is not."""
    ids = {name: f"{prefix}_{'0' * 32}" for prefix, name in NAMED.items()}
    paths = (
        f"reviews/{ids['payment_id']}/resolve",
        f"operations/{ids['operation_id']}/resolve",
        f"inbox/{ids['callback_id']}/replay",
        "inbox/cb_dana.reyes/replay",
    )
    with caplog.at_level(logging.INFO, logger="gateway"):
        for path in paths:
            async with shared_stack.http.post(f"{shared_stack.admin_url}/admin/v1/{path}", json={}) as reply:
                assert reply.status == 401
    lines = [vars(one) for one in caplog.records if one.msg == "request"]
    assert [{name: line[name] for name in ids if name in line} for line in lines] == [
        *({name: ids[name]} for name in ("payment_id", "operation_id", "callback_id")),
        {},
    ]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (get("/", "two words : x"), 400),
        (get("/", f"X-Y: {'x' * 20_000}"), 431),
        (get("/", *(f"X-Y: {'x' * 5000}" for _ in range(5)))[:-2], 431),
        (get("/docs", "Expect: more"), 417),
    ],
    ids=["garbage", "a bad header", "a long head", "a head without end", "an expectation"],
)
@shared
async def test_an_answer_without_a_handler_has_a_line(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, request_: bytes, status: int
) -> None:
    """What was not a request at all is found by the id of its answer too."""
    with caplog.at_level(logging.INFO, logger="gateway"):
        async with client(shared_stack.url) as one:
            await one.send(request_)
            request_id = headers_of(await one.answer())["x-request-id"]
    (line,) = [vars(record) for record in caplog.records if record.msg == "request"]
    assert (line["request_id"], line["status"], line["address"]) == (request_id, status, "127.0.0.1")


@shared
async def test_what_anybody_may_read_leaves_no_line(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """Pages, the document and health probes are served to everybody, as often as they like: the log stays silent."""
    with caplog.at_level(logging.INFO, logger="gateway"):
        for path in ("/docs", "/docs/swagger-ui.css", "/openapi.json", "/problems/not_found"):
            for method in ("GET", "HEAD", "OPTIONS"):
                assert (await shared_stack.call(method, path, tenant=None)).status < 300
        for path in ("/livez", "/readyz"):
            assert (await shared_stack.visit(shared_stack.admin_url + path)).status == 200
    assert [record.msg for record in caplog.records] == []


@pytest.mark.parametrize(
    ("field", "shown"),
    [
        ("$.order.items[12].price", "$.order.items[12].price"),
        ("$.fields.custom_1", "$.fields.*"),
        ("$.metadata.warehouse", "$.metadata.*"),
        ("$.metadata.dana.reyes", "$.metadata.*"),
        ("$.dana@mail.example", "$.*"),
        ("$.sk-live-0123456789", "$.*"),
        ("$.Amount", "$.*"),
        ("$[0]", "$[0]"),
        ("$.metadata[...]", "$.metadata.*"),
        ("created_after", "created_after"),
        ("", ""),
    ],
)
def test_paths_hold_no_name_of_a_caller(field: str, shown: str) -> None:
    """Names that are not ours are left out of the log: they may be anything."""
    assert fields_of([FieldError(field=field, message="is wrong")]) == shown


def test_equal_paths_are_said_once() -> None:
    """Two mistakes in one member are one path."""
    errors = [FieldError(field=field, message="is wrong") for field in ("$.amount", "$.amount", "$.currency")]
    assert fields_of(errors) == "$.amount, $.currency"
