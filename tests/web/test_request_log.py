"""Each answer has an id, and the log line of that id says what the request was about, without what stood in it."""

from __future__ import annotations

import logging

import pytest

from gateway.core.errors import FieldError
from gateway.web.request_log import NAMED, fields_of
from tests.support.clients.psp_callbacks import call_back, new_payment
from tests.support.clients.raw_http import client, get
from tests.support.stack import GatewayStack, new_key, psp_body
from tests.web.test_response_headers import headers_of

shared = pytest.mark.asyncio(loop_scope="module")


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
async def test_the_line_of_a_create_that_made_nothing_yet_names_the_account(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """Of one whose outcome is unknown, and of those that are refused, as far as it names a deposit method of ours."""
    by_method = {name: value for name, value in psp_body(deposit_method="bank").items() if name != "account"}
    await shared_stack.faults("psp", silence="after_effect", times=1)
    lines = await ids_and_lines(
        shared_stack,
        caplog,
        *(("POST", "/v1/payments", {**by_method, **wrong}) for wrong in ({}, {"amount": "0"}, {"currency": "XXX"})),
        ("POST", "/v1/payments", {**by_method, "deposit_method": "nope"}),
    )
    assert [(line["status"], line["account"]) for line in lines] == [
        (202, "psp-main"),
        (422, "psp-main"),
        (422, "psp-main"),
        (422, None),
    ]
    assert lines[0]["payment_id"] is not None


@shared
async def test_the_line_of_a_command_names_the_account(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """Of one that is refused, of one that is repeated, and of a sync: as far as the payment was read."""
    body, key = psp_body(), new_key()
    payment = (await shared_stack.create(body, key=key)).json
    path = f"/v1/payments/{payment['id']}"
    lines = await ids_and_lines(
        shared_stack,
        caplog,
        ("POST", f"{path}/capture", {}),
        ("POST", f"{path}/sync", {}),
        ("POST", f"{path}/refunds", {"amount": "1.00"}),
        ("POST", f"{path}/refunds", {"amount": "x"}),
    )
    assert [(line["status"], line["account"]) for line in lines] == [
        (422, "psp-main"),
        (422, "psp-main"),
        (422, "psp-main"),
        (422, None),
    ]
    with caplog.at_level(logging.INFO, logger="gateway"):
        repeated = await shared_stack.create(body, key=key)
    assert repeated.headers["Idempotency-Replayed"] == "true"
    line = next(vars(one) for one in reversed(caplog.records) if one.msg == "request")
    assert (line["account"], line["payment_id"]) == ("psp-main", payment["id"])


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
    payment = await new_payment(shared_stack)
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="gateway"):
        for changes in ({}, {"amount": 1.0}):
            await call_back(shared_stack, payment, **changes)
    lines = [vars(one) for one in caplog.records if one.message == "request"]
    assert [(line["payment_id"], line["account"]) for line in lines] == [(payment["id"], "psp-main")] * 2


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
        for path in ("/livez", "/readyz", "/metrics"):
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
