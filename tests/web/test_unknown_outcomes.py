"""What people are told of an unknown outcome: the operators by the log, the tenant by its answers."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.core.wire import HttpRequest, HttpResponse
from tests.support.stack import GatewayStack, psp_body

shared = pytest.mark.asyncio(loop_scope="module")

HTML = (("Content-Type", "text/html"),)
JSON = (("Content-Type", "application/json"),)
UNKNOWN = "the outcome of an operation is unknown"
REFUSES_US = "the provider refuses our credentials"

ANSWERS = {
    "an HTML page": (HttpResponse(status=404, headers=HTML, body=b"<html>"), ("404, text/html", "check the address")),
    "a firewall": (HttpResponse(status=403, headers=HTML, body=b"<html>"), ("403, text/html", "a firewall")),
    "plain words of a firewall": (HttpResponse(status=403, body=b"error code: 1020"), ('begins with "error"',)),
    "no content": (HttpResponse(status=204), ("HTTP 204", "no body")),
    "a redirect": (
        HttpResponse(status=301, headers=(("Location", "https://new.example/x?y=z"),)),
        ("http_301", "to https://new.example/x)"),
    ),
    "a PHP notice": (
        HttpResponse(status=200, headers=JSON, body=b'Notice: x\n{"result":true}'),
        ('begins with "Notice"',),
    ),
    "no result": (HttpResponse(status=200, headers=JSON, body=b'{"success":true}'), ("it is absent",)),
    "result as a text": (HttpResponse(status=200, headers=JSON, body=b'{"result":"false"}'), ('the text "false"',)),
    "a fault": (HttpResponse(status=500, headers=JSON, body=b"{}"), ("http_500", "HTTP 500, application/json")),
}


async def answered(stack: GatewayStack, response: HttpResponse) -> Any:
    """The reply to a create whose bridge answers so."""
    send = stack.gateway.send

    async def answer(_request: HttpRequest, **_: Any) -> HttpResponse:
        return response

    stack.gateway.send = answer
    try:
        return await stack.create(psp_body())
    finally:
        stack.gateway.send = send


@shared
@pytest.mark.parametrize("name", ANSWERS)
async def test_why_an_outcome_is_unknown_is_told(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """The same note stands in the log, in the 202, in the payment and in lists of payments."""
    response, said = ANSWERS[name]
    reply = await answered(shared_stack, response)
    assert (reply.status, reply.json["operation"]["status"]) == (202, "unknown"), reply.text
    note = reply.json["operation"]["note"]
    assert all(part in note for part in said), note
    (record,) = [vars(one) for one in caplog.records if one.msg == UNKNOWN]
    told = {"tenant": "acme", "account": "psp-main", "payment_id": reply.json["id"], "kind": "create", "note": note}
    assert {member: record[member] for member in told} == told
    assert REFUSES_US not in [one.msg for one in caplog.records]
    shown = await shared_stack.call("GET", f"/v1/payments/{reply.json['id']}")
    listed = await shared_stack.call("GET", f"/v1/payments?merchant_reference={reply.json['merchant_reference']}")
    for payment in (reply.json, shown.json, *listed.json["data"]):
        assert payment["pending_operation"]["note"] == note


@shared
@pytest.mark.parametrize("silence", ["before_effect", "after_effect"])
async def test_silence_is_told_too(shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture, silence: str) -> None:
    """With what it means: it was sent."""
    await shared_stack.faults("psp", silence=silence, times=1)
    reply = await shared_stack.create(psp_body())
    note = reply.json["operation"]["note"]
    assert note == "connection_lost: it was sent, and the connection broke before the answer was whole"
    assert [vars(one)["note"] for one in caplog.records if one.msg == UNKNOWN] == [note]


@shared
async def test_a_rate_limit_is_a_sentence(shared_stack: GatewayStack) -> None:
    """Of a create that certainly did nothing."""
    failure = (await answered(shared_stack, HttpResponse(status=429))).json["failure"]
    assert failure["code"] == "not_sent"
    assert failure["message"] == "the provider answered 429 (too many requests), so nothing was done"


@shared
async def test_a_note_quotes_no_secret(shared_stack: GatewayStack) -> None:
    """Not even where the bridge redirects to an address that holds the token."""
    token = shared_stack.entry("acme", "psp-main").credentials["token"].reveal()
    reply = await answered(
        shared_stack, HttpResponse(status=302, headers=(("Location", f"https://x.example/{token}"),))
    )
    assert "https://x.example/***" in reply.json["operation"]["note"]
    where = f"https://x.example/{'a' * 470}{token}"
    reply = await answered(shared_stack, HttpResponse(status=302, headers=(("Location", where),)))
    assert token[:6] not in reply.text  # masked before it is cut
    assert token not in reply.text


@shared
async def test_a_known_outcome_has_no_note(shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """Nor a warning."""
    reply = await shared_stack.create(psp_body())
    assert (reply.status, "note" in reply.json["operation"]) == (201, False)
    assert UNKNOWN not in [one.msg for one in caplog.records]


@shared
async def test_a_refusal_of_our_credentials_is_still_an_error(
    shared_stack: GatewayStack, caplog: pytest.LogCaptureFixture
) -> None:
    """In the provider's own words it is one, and a definite no."""
    no = HttpResponse(status=403, headers=JSON, body=b'{"result":false,"msg":"no"}')
    assert (await answered(shared_stack, no)).json["state"] == "failed"
    assert REFUSES_US in [one.msg for one in caplog.records]
