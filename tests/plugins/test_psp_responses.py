"""gateway_psp_open_api.responses: how the response to API-1 is read."""

from __future__ import annotations

import re
from typing import Any

import gateway_psp_open_api as plugin
import pytest

import gateway
from gateway import Reason, Stage
from gateway.core.field_mapping import FieldChange
from tests.support.factories.psp import TOKEN, account, create

PSP = plugin.PspOpenApi()


def reply(body: bytes, status: int = 200, media_type: str = "application/json") -> gateway.HttpResponse:
    return gateway.HttpResponse(status=status, headers=(("content-type", media_type),), body=body)


def read(body: bytes, status: int = 200, **settings: Any) -> gateway.Observation | gateway.Declined:
    return PSP.parse(create(), reply(body, status), account(**settings))


def url_reply(url: str) -> bytes:
    return gateway.dumps({"data": {"url": url}, "result": True, "msg": ""})


def refusal(call: gateway.Callback, **settings: Any) -> Reason:
    """Why a callback is refused."""
    with pytest.raises(gateway.CallbackRejected) as caught:
        PSP.verify(call, account(**settings))
    assert TOKEN.reveal() not in caught.value.detail
    return caught.value.reason


def test_a_payment_page_awaits_the_customer() -> None:
    """result true with a usable address is the customer's turn."""
    assert read(url_reply("https://pay.example/1")) == gateway.Observation(
        stage=Stage.AWAITING_CUSTOMER, payment_id="pay_1", redirect_url="https://pay.example/1"
    )


@pytest.mark.parametrize("msg", [b"", b',"msg":"success"', b',"msg":null'])
def test_msg_does_not_matter_on_success(msg: bytes) -> None:
    """Success is decided by result and address alone."""
    body = b'{"data":{"url":"https://pay.example/1"},"result":true' + msg + b"}"
    assert isinstance(read(body), gateway.Observation)


@pytest.mark.parametrize("data", [b"", b'"data":null,', b'"data":{},'])
def test_result_false_is_declined(data: bytes) -> None:
    """A business failure is a definite no, with or without data."""
    assert read(b"{" + data + b'"result":false,"msg":"no card"}') == gateway.Declined(
        code="result_false", message="no card"
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_refusals_in_the_envelope_are_declined(status: int) -> None:
    """A refusal in the protocol's own shape is a definite no under its status."""
    body = b'{"data":{},"result":false,"msg":"bad token"}'
    assert read(body, status) == gateway.Declined(code=str(status), message="bad token")


@pytest.mark.parametrize(
    ("msg", "kept"),
    [
        (b'"a\\u0000\\u001b\\n\\u0085b"', "a b"),
        (b'"' + b"x" * 600 + b'"', "x" * 500),
        (b"12", "no reason given"),
        (b'"token tkn_test_5b1f0c7e2a9d4836 is wrong"', "token *** is wrong"),
        (b'"token tkn_test\\u0000_5b1f0c7e\\t2a9d4836 is wrong"', "token *** is wrong"),
    ],
)
def test_a_refusals_message_is_made_harmless(msg: bytes, kept: str) -> None:
    """At most 500 characters, no control characters, no token."""
    answer = read(b'{"result":false,"msg":' + msg + b"}")
    assert isinstance(answer, gateway.Declined)
    assert answer.message == kept


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b'{"result":true'),
        (200, b'{"result":NaN}'),
        (200, b'{"result":false,"result":true,"data":{"url":"https://pay.example"}}'),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"result":"true","data":{"url":"https://pay.example"}}'),
        (200, b'{"result":1,"data":{"url":"https://pay.example"}}'),
        (200, b'{"result":true}'),
        (200, b'{"result":true,"data":null}'),
        (200, b'{"result":true,"data":{"url":5}}'),
        (200, b'\xef\xbb\xbf\xef\xbb\xbf{"result":false}'),
        (200, b'\xff\xfe{\x00"\x00r\x00"\x00'),
        (200, b'callback({"result":false})'),
        (200, b'{"result":false}<!-- 3 ms -->'),
        (201, b'{"result":false}'),
        (202, b'{"result":false}'),
        (204, b""),
        (301, b'{"result":true,"data":{"url":"https://pay.example"}}'),
        (304, b'{"result":false}'),
        (400, b'{"result":true,"data":{"url":"https://pay.example"}}'),
        (404, b"<html>not found</html>"),
        *((status, b'{"data":{},"result":false,"msg":"no"}') for status in (402, 409, 410, 423, 451)),
        (422, b'{"error":"bad"}'),
        (409, b'{"result":false}'),
        (500, b'{"result":false}'),
    ],
)
def test_every_other_answer_is_unknown(status: int, body: bytes) -> None:
    """An answer that cannot be read, or that contradicts itself, proves nothing."""
    with pytest.raises(gateway.OutcomeUnknown):
        read(body, status)


TRUE = b'{"data":{"url":"https://pay.example/1"},"result":true,"msg":""}'

FALSE = b'{"result":false,"msg":"no"}'

MARK = b"\xef\xbb\xbf"

AS_BRIDGES_ANSWER: list[tuple[int, str | None, bytes, tuple[str, ...]]] = [
    (200, "application/json", b"", ()),
    (200, "application/json; charset=UTF-8", b"", ()),
    (200, "Application/JSON", b"", ()),
    (200, "text/html; charset=utf-8", b"", ("media type text/html; charset=utf-8",)),
    (200, "text/plain", b"", ("media type text/plain",)),
    (200, "text/json", b"", ("media type text/json",)),
    (200, "application/octet-stream", b"", ("media type application/octet-stream",)),
    (200, "", b"", ("no media type",)),
    (200, None, b"", ("no media type",)),
    (200, "application/json", MARK, ("a byte order mark",)),
    (201, "application/json", b"", ("status 201",)),
    (202, "application/json", b"", ("status 202",)),
    (203, "application/json", b"", ("status 203",)),
    (201, "text/html", MARK, ("status 201", "media type text/html", "a byte order mark")),
]


@pytest.mark.parametrize(("status", "kind", "mark", "unusual"), AS_BRIDGES_ANSWER)
def test_exact_json_is_read_as_bridges_send_it(
    status: int, kind: str | None, mark: bytes, unusual: tuple[str, ...]
) -> None:
    """Under any media type, with a byte order mark; a yes under any 2xx, a no under 200. The unusual is named."""
    headers = () if kind is None else (("Content-Type", kind),)
    yes, no = (gateway.HttpResponse(status=status, headers=headers, body=mark + body) for body in (TRUE, FALSE))
    taken = PSP.parse(create(), yes, account())
    assert isinstance(taken, gateway.Observation)
    assert taken.redirect_url == "https://pay.example/1"
    if status == 200:
        assert PSP.parse(create(), no, account()) == gateway.Declined(code="result_false", message="no")
    assert PSP.unusual(yes) == PSP.unusual(no) == unusual


@pytest.mark.parametrize("status", [200, 201, 400, 404, 500])
@pytest.mark.parametrize("body", [b"<!doctype html><title>Login</title>", b"<html>{}</html>", MARK + b"<html>", b"ok"])
def test_a_page_proves_nothing(status: int, body: bytes) -> None:
    """A page of the bridge's, or of a proxy before it, is neither a yes nor a no."""
    for kind in ("text/html", "application/json"):
        with pytest.raises(gateway.OutcomeUnknown):
            PSP.parse(create(), reply(body, status, kind), account())


def test_a_refusal_under_another_media_type_is_read() -> None:
    """The boolean ``result`` shows whose answer it is."""
    refused = PSP.parse(create(), reply(b'{"result":false,"msg":"token"}', 401, "text/html"), account())
    assert refused == gateway.Declined(code="401", message="token")


NO_ID = " (the request had no user_id, which some bridges require: give customer.id)"

OFF = " (the request had no user_id, which some bridges require: it is switched off for this account)"


@pytest.mark.parametrize(
    ("customer", "change", "hint"),
    [
        (gateway.Customer(id="u1"), FieldChange(), ""),
        (gateway.Customer(), FieldChange(), NO_ID),
        (gateway.Customer(email="dana@reyes.example"), FieldChange(key="client"), NO_ID),
        (gateway.Customer(), FieldChange(value="shop-1"), ""),
        (gateway.Customer(id="u1"), FieldChange(enabled=False), OFF),
    ],
)
@pytest.mark.parametrize(("status", "code"), [(200, "result_false"), (400, "400"), (422, "422")])
def test_a_refusal_without_the_customers_id_says_so(
    customer: gateway.Customer, change: FieldChange, hint: str, status: int, code: str
) -> None:
    """Only where the request had none and the bridge speaks of a user; all of it is at most 500 characters."""
    psp = account(fields={"user_id": change})
    for said in ("user_id is required", "Customer unknown", "invalid client " + "x" * 900):
        answer = reply(gateway.dumps({"result": False, "msg": said}), status)
        refused = PSP.parse(create(customer=customer), answer, psp)
        assert refused == gateway.Declined(code=code, message=said[: 500 - len(hint)] + hint)
    other = PSP.parse(create(customer=customer), reply(b'{"result":false,"msg":"no card"}', status), psp)
    assert other == gateway.Declined(code=code, message="no card")


def test_the_sample_address_without_a_path_is_taken_unchanged() -> None:
    """The published sample has host and query alone."""
    url = "https://pay.example.com?amount=100&currency=USD&order=a%2Fb"
    taken = read(url_reply(url))
    assert isinstance(taken, gateway.Observation)
    assert taken.redirect_url == url


@pytest.mark.parametrize(
    "url",
    [
        "http://pay.example/1",
        "//pay.example/1",
        "/1",
        "javascript:alert(1)",
        "https://user:pw@pay.example/1",
        "https://@pay.example/1",
        "https://",
        "https://pay.example:0/",
        "https://pay.example:x/",
        "https://pay.example/\n1",
        "https://pay.example/\u00851",
        "https://pay.example\\@evil.example/",
        "https://[::1",
        "https://pay.example/" + "x" * 2029,
        "http://127.0.0.1/1",
    ],
)
def test_addresses_a_customer_must_not_be_sent_to(url: str) -> None:
    """result true with an unusable address leaves the outcome open."""
    with pytest.raises(gateway.OutcomeUnknown, match=r"data\.url"):
        read(url_reply(url))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("https://pay.exämple/1", "must be ASCII: write its host as pay.xn--exmple-cua"),
        ("https://pay.example/ä", 'must be ASCII: percent-encode other characters, such as "ä" as %C3%A4'),
        ("https://*.pay.example/1", "must have a host name"),
        ("pay.example", "must be an absolute URL"),
        ("http://pay.example/1", "must be https; it is http on pay.example"),
        ("", "is empty"),
        (" ", "must be visible ASCII"),
        ("/pay/1", "must be an absolute URL"),
        ("https://pay.example/" + "x" * 2029, "must have at most 2048 characters"),
    ],
)
def test_an_address_that_is_not_taken_says_why(url: str, said: str) -> None:
    """In the words of the one rule for URLs, for the operators who tell the bridge's author."""
    with pytest.raises(gateway.OutcomeUnknown, match=re.escape(f"data.url {said}")):
        read(url_reply(url))


def test_the_longest_address_is_accepted() -> None:
    """2048 characters still fit."""
    assert isinstance(read(url_reply("https://pay.example/" + "x" * 2028)), gateway.Observation)


@pytest.mark.parametrize("host", ["127.0.0.1:9102", "localhost", "[::1]:80"])
def test_a_development_bridge_may_use_http_on_this_machine(host: str) -> None:
    """With an http app_url the page may be http on a loopback host."""
    assert isinstance(read(url_reply(f"http://{host}/1"), app_url="http://127.0.0.1:9102"), gateway.Observation)


def test_a_development_bridge_may_not_use_http_elsewhere() -> None:
    """An http app_url does not open http pages of other hosts."""
    with pytest.raises(gateway.OutcomeUnknown, match=r"data\.url"):
        read(url_reply("http://pay.example/1"), app_url="http://127.0.0.1:9102")


@pytest.mark.parametrize(
    ("host", "is_allowed"), [("PAY.example", True), ("pay.example.evil", False), ("sub.pay.example", False)]
)
def test_allow_hosts_names_exact_hosts(host: str, is_allowed: bool) -> None:
    """With a list, only its very hosts are followed."""
    body = url_reply(f"https://{host}/1")
    if is_allowed:
        assert isinstance(read(body, allow_hosts=("Pay.Example",)), gateway.Observation)
    else:
        with pytest.raises(gateway.OutcomeUnknown, match="not among the allowed hosts"):
            read(body, allow_hosts=("Pay.Example",))


def test_a_host_that_is_not_listed_is_named() -> None:
    """The operator sees which host the bridge named."""
    with pytest.raises(gateway.OutcomeUnknown, match=r"is on pay\.example, which is not among the allowed hosts"):
        read(url_reply("https://pay.example/1"), allow_hosts=("other.example",))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"result":"false"}', 'the text "false"; send true or false without quotes'),
        (b'{"result":1}', "the number 1; send true or false"),
        (b'{"result":null}', "it is null"),
        (b'{"success":true}', "it is absent"),
        (b'{"result":"a customer named Dana"}', "it is something else"),
        (b"[true]", "not an object"),
        (b'{"result":true,"url":"https://pay.example/1"}', "data.url is missing; it is at the top level"),
        (b'{"result":true}', "data.url is missing"),
    ],
)
def test_an_envelope_that_is_not_taken_says_what_stood_there(body: bytes, said: str) -> None:
    """A plain word or number is shown; other texts might be a customer's."""
    with pytest.raises(gateway.OutcomeUnknown, match=re.escape(said)):
        read(body)
