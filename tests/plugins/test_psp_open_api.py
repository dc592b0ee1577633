"""gateway_psp_open_api: config, what is sent, what is read, what is believed, and what is answered."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import gateway_psp_open_api as plugin
import msgspec
import pytest
from gateway_psp_open_api.callback import REFUSALS
from gateway_psp_open_api.config import PspConfig, ToleranceRule
from gateway_psp_open_api.signature import Form, canonical, sign

import gateway
from gateway import JsonNumber, Reason, Stage
from gateway.core.field_mapping import FieldChange
from tests.support.factories.psp import MERCHANT, NOW, TOKEN, TOLD, VECTORS, account, callback, create, signed

PSP = plugin.PspOpenApi()
OTHER = gateway.Secret("another token")


def sent(command: gateway.CreatePayment | None = None, **settings: Any) -> dict[str, Any]:
    """API-1's body for a command."""
    body = gateway.loads(PSP.build(command or create(), account(**settings)).body)
    assert isinstance(body, dict)
    return body


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


# The account


@pytest.mark.parametrize(
    "url",
    [
        "psp.example/bridge",
        "ftp://psp.example",
        "https://",
        "https://user@psp.example",
        "https://psp.example/?a=1",
        "https://psp.example/#x",
        "https://psp.example:99999",
        "https://psp.example/a b",
        "https://psp.example\\@evil.example",
    ],
)
def test_app_url_must_be_a_plain_address(url: str) -> None:
    """An app_url that is not an absolute http(s) address without user-info and query is refused at load."""
    with pytest.raises(ValueError, match="app_url must"):
        account(app_url=url)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"merchant_id": ""}, "merchant_id must be"),
        ({"merchant_id": "a&b=c"}, "merchant_id must be"),
        ({"token": gateway.Secret("")}, "token must be"),
        ({"token": gateway.Secret("a\r\nb")}, "token must be"),
        ({"previous_token": gateway.Secret(" a")}, "previous_token must be"),
        ({"allow_hosts": ("https://pay.example",)}, "allow_hosts must be"),
        ({"source_addresses": ("192.0.2.1/24",)}, "source_addresses must be .* behind its mask: write 192.0.2.0/24"),
        ({"source_addresses": ("192.0.2.1", "127.0.0.9/8")}, "source_addresses must be .*: write 127.0.0.0/8"),
        ({"source_addresses": ("psp.example",)}, "source_addresses must be"),
        ({"time_window": timedelta(0)}, "time_window must be"),
        ({"expires_after": timedelta(seconds=-1)}, "expires_after must be"),
    ],
)
def test_config_members_are_checked_at_load(config: dict[str, Any], message: str) -> None:
    """Each unusable member is refused, naming it."""
    with pytest.raises(ValueError, match=message):
        account(**config)


def test_unknown_config_members_are_errors() -> None:
    """A misspelt key is refused."""
    with pytest.raises(msgspec.ValidationError, match="app_urll"):
        msgspec.convert({"app_url": "https://psp.example", "app_urll": ""}, PspConfig)


@pytest.mark.parametrize("given", ["400", 400, "semantic"])
def test_error_status_may_be_text_or_integer(given: str | int) -> None:
    """A file that says 400 without quotes means the same."""
    decoded = msgspec.convert({"app_url": "https://psp.example", "error_status": given}, PspConfig)
    assert decoded.error_status == given


@pytest.mark.parametrize(
    ("rule", "meant"),
    [
        ("exact", gateway.Exact()),
        ("actual", gateway.Actual()),
        ({"tolerance": "0.50"}, gateway.Tolerance(absolute=Decimal("0.50"))),
        ({"tolerance": "5 permille"}, gateway.Tolerance(permille=Decimal(5))),
    ],
)
def test_amount_rule_is_read(rule: object, meant: gateway.AmountRule) -> None:
    """Every way to write the amount rule becomes the core's rule."""
    decoded = msgspec.convert({"app_url": "https://psp.example", "amount_rule": rule}, PspConfig)
    assert decoded.amounts() == meant


@pytest.mark.parametrize("text", ["", "-1", "5 percent", "0,50", "1e3"])
def test_other_tolerances_are_refused(text: str) -> None:
    """A tolerance that is neither an amount nor per mille is refused."""
    with pytest.raises(ValueError, match=r"amount_rule\.tolerance must be"):
        ToleranceRule(tolerance=text)


def test_rules_follow_the_config() -> None:
    """The account's window, expiry and amount rule are the core's to enforce."""
    rules = PSP.rules(account(time_window=timedelta(hours=2), expires_after=timedelta(hours=3), amount_rule="actual"))
    assert rules == gateway.Rules(
        amount=gateway.Actual(),
        time_window=(timedelta(hours=2), timedelta(hours=2)),
        expires_after=timedelta(hours=3),
        deposit_method_required=True,
    )


def test_explicit_credentials_win() -> None:
    """What the config names is what the other side is told."""
    assert PSP.credentials(account()) == {"merchant_id": MERCHANT, "token": TOKEN}


def test_absent_credentials_are_derived_and_stable() -> None:
    """Without explicit ones every node derives the same merchant_id (a UUID) and token."""
    derived = account(merchant_id=None, token=None)
    told = PSP.credentials(derived)
    assert told["merchant_id"] == "e9bf5fb1-23db-4a3d-9497-ba1b220634e6"
    assert told["token"] == derived.derive("psp.token")


def test_the_public_merchant_id_shows_nothing_of_its_secret() -> None:
    """The merchant_id is made from a secret, not a piece of it."""
    derived = account(merchant_id=None, token=None)
    secret = derived.derive("psp.merchant_id")
    assert secret is not None
    assert str(PSP.credentials(derived)["merchant_id"]) not in secret.reveal()


# API-1: what is sent


def test_api1_is_one_signed_post() -> None:
    """The request has the documented address, headers, members and sign."""
    request = PSP.build(create(customer=gateway.Customer(id="u1", name="John Doe", phone="+1 123456")), account())
    body = gateway.loads(request.body)
    assert (request.method, request.url) == ("POST", "https://psp.example/bridge/pay/url")
    assert request.headers == (("Content-Type", "application/json"), ("crm-pay-token", TOKEN.reveal()))
    assert body == {
        "user_id": "u1",
        "user_name": "John Doe",
        "phone": "+1 123456",
        "merchant_id": MERCHANT,
        "order_no": "pay_1",
        "amount": JsonNumber("162.48"),
        "currency": "USD",
        "sign": sign(canonical(body), TOKEN),
    }


def test_build_is_deterministic() -> None:
    """The same command gives the same bytes."""
    assert PSP.build(create(), account()) == PSP.build(create(), account())


def test_the_repr_of_a_request_hides_the_token() -> None:
    """A request that is logged by mistake shows no token."""
    assert TOKEN.reveal() not in repr(PSP.build(create(), account()))


@pytest.mark.parametrize("slash", ["", "/", "//"])
@pytest.mark.parametrize("base", ["https://psp.example", "https://psp.example/bridge", "https://psp.example:8443/a/b"])
def test_a_trailing_slash_of_app_url_is_removed(base: str, slash: str) -> None:
    """The address is joined with exactly one slash, and no part of its path is lost."""
    assert PSP.build(create(), account(app_url=base + slash)).url == f"{base}/pay/url"


def test_every_customer_field_has_its_wire_member() -> None:
    """All optional fields come from the customer."""
    customer = gateway.Customer(
        id="u1", name="N", email="e@x.example", phone="1", nationality="us", language="de", device="pc"
    )
    body = sent(create(customer=customer))
    names = ("user_id", "user_name", "email", "phone", "nationality", "language", "device")
    assert [body[name] for name in names] == ["u1", "N", "e@x.example", "1", "us", "de", "pc"]


def test_renamed_fields_are_sent_and_signed_under_their_wire_keys() -> None:
    """Even amount and sign can be renamed; the sign covers the wire keys."""
    body = sent(fields={"amount": FieldChange(key="sum"), "sign": FieldChange(key="signature")})
    assert body["sum"] == JsonNumber("162.48")
    assert body["signature"] == sign(f"currency=USD&merchant_id={MERCHANT}&order_no=pay_1&sum=162.48", TOKEN)
    assert not {"amount", "sign"} & set(body)


def test_a_field_that_is_off_is_absent() -> None:
    """A disabled field is neither sent nor signed."""
    command = create(customer=gateway.Customer(email="e@x.example"))
    assert "email" not in sent(command, fields={"email": FieldChange(enabled=False)})


def test_constants_and_additional_parameters_are_sent() -> None:
    """A constant is sent always, an additional parameter when the customer filled it in."""
    fields = {"channel": FieldChange(value="web"), "custom_1": FieldChange(key="vip"), "custom_2": FieldChange()}
    body = sent(create(fields={"custom_1": " AB "}), fields=fields)
    assert (body["channel"], body["vip"]) == ("web", "AB")
    assert "custom_2" not in body


@pytest.mark.parametrize(
    ("amount", "digits", "wire"),
    [
        ("100.00", 2, "100"),
        ("162.40", 2, "162.4"),
        ("500", 0, "500"),
        ("1.250", 3, "1.25"),
        ("0.0001", 4, "0.0001"),
        ("9999999999999990", 0, "9999999999999990"),
        ("1234567890123.45", 2, "1234567890123.45"),
    ],
)
def test_amounts_are_written_as_every_reader_prints_them(amount: str, digits: int, wire: str) -> None:
    """The literal is the shortest form, so literal and canonical signatures agree."""
    assert sent(create(amount, "XXX", digits))["amount"] == JsonNumber(wire)


UNSAFE = [("0.00009", 5), ("10000000000000000", 0), ("1234567890123.456", 3), ("0", 0)]


@pytest.mark.parametrize(("amount", "digits"), UNSAFE)
def test_amounts_that_readers_print_differently_are_refused(amount: str, digits: int) -> None:
    """Outside the safe range a number is not sent; the tenant's amount is named."""
    with pytest.raises(gateway.FieldProblem) as caught:
        sent(create(amount, "XXX", digits))
    assert caught.value.problems[0][0] == "$.amount"


@pytest.mark.parametrize(("amount", "digits"), UNSAFE[:3])
def test_unsafe_amounts_may_go_as_text(amount: str, digits: int) -> None:
    """With amount_as_text an amount outside the safe range is a JSON text."""
    assert sent(create(amount, "XXX", digits), amount_as_text=True)["amount"] == amount


def test_safe_amounts_stay_numbers() -> None:
    """amount_as_text changes nothing inside the safe range."""
    assert sent(amount_as_text=True)["amount"] == JsonNumber("162.48")


def test_nothing_is_not_an_amount() -> None:
    """Zero is refused in every form."""
    with pytest.raises(gateway.FieldProblem):
        sent(create("0", "XXX", 0), amount_as_text=True)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"customer": gateway.Customer(name="A&amount=1")}, "$.customer.name"),
        ({"fields": {"custom_1": "1&status=1"}}, "$.fields.custom_1"),
    ],
)
def test_texts_that_sign_like_members_are_refused(parts: dict[str, Any], path: str) -> None:
    """A value that could be read as further members is the tenant's 422, and names their member."""
    with pytest.raises(gateway.FieldProblem) as caught:
        sent(create(**parts), fields={"custom_1": FieldChange()})
    assert [problem[0] for problem in caught.value.problems] == [path]


def test_an_ambiguous_constant_is_refused_too() -> None:
    """A constant of the settings is judged like a customer's text."""
    with pytest.raises(gateway.FieldProblem, match=r"\$\.fields\.channel"):
        sent(fields={"channel": FieldChange(value="a&b=c")})


def test_other_commands_are_not_built() -> None:
    """Only a payment's creation exists in this API."""
    fetch = gateway.FetchPayment(
        payment_id="pay_1", merchant_reference="SO-1", provider_reference=None, money=create().money, at=NOW
    )
    with pytest.raises(TypeError, match="FetchPayment"):
        PSP.build(fetch, account())


# API-1: what is read


def test_a_payment_page_awaits_the_customer() -> None:
    """result true with a usable address is the customer's turn."""
    assert read(url_reply("https://pay.example/1")) == gateway.Observation(
        stage=Stage.AWAITING_CUSTOMER, payment_id="pay_1", redirect_url="https://pay.example/1"
    )


@pytest.mark.parametrize("msg", [b"", b',"msg":"success"', b',"msg":null'])
def test_msg_does_not_matter_on_success(msg: bytes) -> None:
    """Success is told by result and address alone."""
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
        (422, b'{"error":"bad"}'),
        (409, b'{"result":false}'),
        (500, b'{"result":false}'),
    ],
)
def test_whatever_else_is_answered_is_unknown(status: int, body: bytes) -> None:
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
    """Whatever its media type, with a byte order mark; a yes under any 2xx, a no under 200. The unusual is named."""
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
    told = account(fields={"user_id": change})
    for said in ("user_id is required", "Customer unknown", "invalid client " + "x" * 900):
        answer = reply(gateway.dumps({"result": False, "msg": said}), status)
        refused = PSP.parse(create(customer=customer), answer, told)
        assert refused == gateway.Declined(code=code, message=said[: 500 - len(hint)] + hint)
    other = PSP.parse(create(customer=customer), reply(b'{"result":false,"msg":"no card"}', status), told)
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


# API-2: what is believed


@pytest.mark.parametrize("case", VECTORS["verify_cases"], ids=lambda case: case["name"])
def test_published_verify_cases(case: dict[str, Any]) -> None:
    """Header, body rules and sign together give the published verdict."""
    call = callback(case["body"].encode(), header=case["header_token"])
    settings = {"token": gateway.Secret(case["token"])}
    if case["expect"] == "accept":
        assert PSP.verify(call, account(**settings)).problem is None
    else:
        answer = PSP.answer(gateway.Refused(reason=refusal(call, **settings)), call)
        assert gateway.loads(answer.body)["type"] == case["error_type"]


def test_every_single_byte_counts() -> None:
    """Whatever byte is changed in whatever bit, the callback is refused or tells the same."""
    body = signed(note=None, remark="Smith & Co")
    original = meaning(body)
    survivors = set()
    for position in range(len(body)):
        for bit in range(8):
            changed = body[:position] + bytes([body[position] ^ 1 << bit]) + body[position + 1 :]
            try:
                PSP.verify(callback(changed), account())
            except gateway.CallbackRejected:
                continue
            assert meaning(changed) == original
            survivors.add(position)
    assert survivors  # the case of the sign's letters is free, and so is the name of an empty member


def meaning(body: bytes) -> dict[str, Any]:
    members = gateway.loads(body)
    return {key: value for key, value in members.items() if key != "sign" and value not in (None, "", [], {})}


def test_a_callback_is_read_as_facts() -> None:
    """Every member arrives where the core looks for it."""
    event = PSP.verify(callback(), account())
    assert event.observation == gateway.Observation(
        stage=Stage.CAPTURED,
        payment_id="pay_1",
        provider_reference="T-1",
        currency="USD",
        amount=Decimal("432.98"),
        raw_status="1",
    )
    assert event.occurred_at == datetime(2021, 9, 15, 9, 0, 19, 516000, tzinfo=UTC)
    assert event.problem is None


@pytest.mark.parametrize(
    ("literal", "stage"),
    [("0", Stage.FAILED), ("1", Stage.CAPTURED), ("2", Stage.PROCESSING), ("1.0", Stage.CAPTURED)],
)
def test_each_status_has_its_stage(literal: str, stage: Stage) -> None:
    """0 is fail, 1 success, 2 processing; 1.0 is the same number."""
    event = PSP.verify(callback(signed(status=JsonNumber(literal))), account())
    assert (event.observation.stage, event.problem) == (stage, None)


@pytest.mark.parametrize("status", [JsonNumber("3"), JsonNumber("-1"), JsonNumber("1.5"), "1", "success", True, None])
def test_another_status_moves_no_money(status: object) -> None:
    """A status that is not the number 0, 1 or 2 is a problem and no stage."""
    event = PSP.verify(callback(signed(status=status)), account())
    assert (event.observation.stage, event.problem) == (Stage.UNKNOWN, Reason.STATUS)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"currency": None}, Reason.CURRENCY),
        ({"currency": JsonNumber("840")}, Reason.CURRENCY),
        ({"currency": "U$D"}, Reason.CURRENCY),
        ({"currency": "ſſ"}, Reason.CURRENCY),
        ({"amount": None}, Reason.AMOUNT),
        ({"amount": True}, Reason.AMOUNT),
        ({"amount": JsonNumber("0")}, Reason.AMOUNT),
        ({"amount": JsonNumber("-432.98")}, Reason.AMOUNT),
        ({"amount": JsonNumber("1e300")}, Reason.AMOUNT),
        ({"amount": "432,98"}, Reason.AMOUNT),
        ({"amount": "４32.98"}, Reason.AMOUNT),
        ({"amount": "NaN"}, Reason.AMOUNT),
        ({"amount": "-1"}, Reason.AMOUNT),
        ({"time": None}, Reason.TIME),
        ({"time": "1631696419516"}, Reason.TIME),
        ({"time": JsonNumber("1631696419")}, Reason.TIME),
        ({"time": JsonNumber("1631696419516000")}, Reason.TIME),
        ({"time": JsonNumber("1631696419516.5")}, Reason.TIME),
        ({"time": JsonNumber("1e30")}, Reason.TIME),
        ({"time": JsonNumber("-1631696419516")}, Reason.TIME),
        ({"currency": None, "amount": None, "time": None}, Reason.CURRENCY),
        ({"status": None, "currency": None}, Reason.STATUS),
        ({"amount": None, "time": None}, Reason.AMOUNT),
    ],
)
def test_the_first_unreadable_member_is_the_problem(changes: dict[str, Any], problem: Reason) -> None:
    """What cannot be read is named in the order status, currency, amount, time; the rest is still told."""
    event = PSP.verify(callback(signed(**changes)), account())
    assert event.problem is problem
    assert event.observation.payment_id == "pay_1"


@pytest.mark.parametrize("name", ["status", "currency", "amount", "time"])
def test_a_missing_member_is_its_problem(name: str) -> None:
    """Leaving a mandatory member out is no different from one that cannot be read."""
    event = PSP.verify(callback(signed(without=name)), account())
    assert event.problem is Reason(name)


@pytest.mark.parametrize("order_no", [None, "", JsonNumber("7"), True])
def test_a_callback_without_order_number_names_no_payment(order_no: object) -> None:
    """The core answers that there is no such payment."""
    assert PSP.verify(callback(signed(order_no=order_no)), account()).observation.payment_id is None


def test_currency_is_read_without_regard_to_case() -> None:
    """usd is USD."""
    assert PSP.verify(callback(signed(currency="usd")), account()).observation.currency == "USD"


def test_amount_may_be_text() -> None:
    """A decimal text is signed as it stands and compared as a decimal."""
    assert PSP.verify(callback(signed(amount="432.980")), account()).observation.amount == Decimal("432.98")


def test_time_may_have_a_decimal_point() -> None:
    """A whole number of milliseconds is whole however it is spelt."""
    event = PSP.verify(callback(signed(time=JsonNumber("1631696419516.0"))), account())
    assert event.occurred_at == datetime(2021, 9, 15, 9, 0, 19, 516000, tzinfo=UTC)


def body_signed_as(form: Form, literal: str) -> bytes:
    body = {**TOLD, "amount": JsonNumber(literal)}
    return gateway.dumps({**body, "sign": sign(canonical(body, form=form), TOKEN)})


@pytest.mark.parametrize(("form", "booked"), [(Form.CANONICAL, "162.48"), (Form.LITERAL, "162.480000000000000001")])
def test_only_proved_digits_are_booked(form: Form, booked: str) -> None:
    """Digits that the sign does not cover are not part of the amount."""
    event = PSP.verify(callback(body_signed_as(form, "162.480000000000000001")), account())
    assert event.observation.amount == Decimal(booked)


@pytest.mark.parametrize("literal", ["1e-99999999999999999999", "1e-999999999"])
def test_a_number_too_small_for_anything_is_no_amount(literal: str) -> None:
    """An exponent beyond every currency is a problem of the amount, not an error of ours."""
    assert PSP.verify(callback(body_signed_as(Form.LITERAL, literal)), account()).problem is Reason.AMOUNT


@pytest.mark.parametrize("transaction_id", [None, "", True])
def test_transaction_id_may_be_absent(transaction_id: object) -> None:
    """Without one the provider's reference stays unknown."""
    event = PSP.verify(callback(signed(transaction_id=transaction_id)), account())
    assert event.observation.provider_reference is None


def test_a_numeric_transaction_id_is_kept_as_text() -> None:
    """A sender that forgets the quotes still names its transaction."""
    event = PSP.verify(callback(signed(transaction_id=JsonNumber("98765434567876"))), account())
    assert event.observation.provider_reference == "98765434567876"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "GET"}, Reason.METHOD),
        ({"method": "PUT"}, Reason.METHOD),
        ({"headers": ()}, Reason.MEDIA_TYPE),
        ({"headers": (("Content-Type", "text/plain"), ("crm-pay-token", TOKEN.reveal()))}, Reason.MEDIA_TYPE),
        ({"suffix": "complete"}, Reason.UNAUTHENTIC),
        ({"suffix": "pay/callback/x"}, Reason.UNAUTHENTIC),
    ],
)
def test_what_is_refused_before_the_token(changes: dict[str, Any], reason: Reason) -> None:
    """Method, media type and path come first."""
    assert refusal(callback(**changes)) is reason


@pytest.mark.parametrize("suffix", ["", "pay/callback", "/pay/callback", "pay/callback/"])
def test_the_endpoint_and_its_callback_path_are_served(suffix: str) -> None:
    """Whether the shown address is the base or the whole address is unclear, so both work."""
    assert PSP.verify(callback(suffix=suffix), account()).problem is None


@pytest.mark.parametrize("header", ["", "wrong", TOKEN.reveal().upper(), TOKEN.reveal() + " ", "\udcff\ud800"])
def test_another_token_is_refused(header: str) -> None:
    """The token is compared byte by byte; bytes that are no text are no error."""
    assert refusal(callback(header=header)) is Reason.UNAUTHENTIC


def test_two_token_headers_are_refused() -> None:
    """Even two right ones are not exactly one."""
    call = callback()
    assert refusal(callback(headers=(*call.headers, ("CRM-PAY-TOKEN", TOKEN.reveal())))) is Reason.UNAUTHENTIC


def test_a_non_ascii_token_works() -> None:
    """Token bytes are UTF-8."""
    token = gateway.Secret("tökén-密钥")
    assert PSP.verify(callback(signed(token), header=token.reveal()), account(token=token)).problem is None


def test_the_previous_token_is_accepted() -> None:
    """While tokens are exchanged, both are believed."""
    call = callback(signed(OTHER), header=OTHER.reveal())
    assert PSP.verify(call, account(previous_token=OTHER)).problem is None


def test_header_and_sign_must_use_the_same_token() -> None:
    """A header of one token with a sign of the other is refused."""
    call = callback(signed(OTHER), header=TOKEN.reveal())
    assert refusal(call, previous_token=OTHER) is Reason.UNAUTHENTIC


def previous_generation() -> gateway.Callback:
    old = PSP.credentials(account(merchant_id=None, token=None, generation=1))
    token = old["token"]
    assert isinstance(token, gateway.Secret)
    return callback(signed(token, merchant_id=old["merchant_id"]), header=token.reveal())


def test_the_previous_generation_is_accepted_while_it_may() -> None:
    """Derived credentials of the generation before verify while accept_previous is on."""
    now = account(merchant_id=None, token=None, generation=2, previous=True)
    assert PSP.verify(previous_generation(), now).problem is None


def test_the_previous_generation_ends() -> None:
    """Without accept_previous the old token is wrong."""
    assert refusal(previous_generation(), merchant_id=None, token=None, generation=2) is Reason.UNAUTHENTIC


def test_requests_use_the_new_generation_only() -> None:
    """What we send never carries the previous token."""
    now = account(merchant_id=None, token=None, generation=2, previous=True)
    secret = now.derive("psp.token")
    assert secret is not None
    assert ("crm-pay-token", secret.reveal()) in PSP.build(create(), now).headers


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b'{"a":"\\ud83d"}',
        b'{"a":1,"\\u0061":1}',
        b'{"a":NaN}',
        b'{"a":1e400}',
        b'{"a=":1}',
        b'{"a":[1]}',
        b"[" * 5000,
    ],
)
def test_bodies_that_readers_disagree_about_are_unauthentic(body: bytes) -> None:
    """Shape comes before the sign, and the sender learns no more than that it is not believed."""
    assert refusal(callback(body)) is Reason.UNAUTHENTIC


def test_an_ambiguous_text_is_refused_although_its_sign_is_right() -> None:
    """Members folded into one value sign alike, so they are not believed."""
    assert refusal(callback(signed(note="x&status=1"))) is Reason.UNAUTHENTIC


@pytest.mark.parametrize("merchant_id", [None, "", "someone-else", JsonNumber("1"), MERCHANT.upper()])
def test_another_merchant_id_is_the_wrong_account(merchant_id: object) -> None:
    """A proved body for another integration is not ours."""
    assert refusal(callback(signed(merchant_id=merchant_id))) is Reason.WRONG_ACCOUNT


def test_the_sign_is_judged_before_the_merchant_id() -> None:
    """Without a right sign nothing is said about the account."""
    body = signed(OTHER, merchant_id="someone-else")
    assert refusal(callback(body)) is Reason.UNAUTHENTIC


@pytest.mark.parametrize(
    ("remote", "is_allowed"),
    [
        ("192.0.2.7", True),
        ("::ffff:192.0.2.9", True),
        ("198.51.100.1", True),
        ("198.51.100.2", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("", False),
        ("unknown", False),
    ],
)
def test_source_addresses_limit_the_senders(remote: str, is_allowed: bool) -> None:
    """With a list, an address outside it is not believed."""
    config = account(source_addresses=("192.0.2.0/24", "198.51.100.1", "2001:db8::/32")).config
    assert config.may_call(remote) is is_allowed


def test_a_stranger_is_refused_before_the_token_is_read() -> None:
    """The source address counts although token and sign are right."""
    assert refusal(callback(remote="203.0.113.1"), source_addresses=("192.0.2.0/24",)) is Reason.UNAUTHENTIC


def test_unfiltered_empties_need_the_switch() -> None:
    """A sender that signs empties is believed only where the account says so."""
    body = {**TOLD, "user_id": ""}
    unfiltered = gateway.dumps({**body, "sign": sign(canonical(body, form=Form.UNFILTERED), TOKEN)})
    assert refusal(callback(unfiltered)) is Reason.UNAUTHENTIC
    assert PSP.verify(callback(unfiltered), account(accept_unfiltered_empties=True)).problem is None


def event_id(**changes: Any) -> str:
    return PSP.verify(callback(signed(**changes)), account()).event_id


@pytest.mark.parametrize(
    "changes",
    [
        {"time": JsonNumber("1631696419999")},
        {"amount": JsonNumber("432.980")},
        {"amount": "432.98"},
        {"amount": "432.980"},
        {"currency": "usd"},
        {"status": JsonNumber("1.0")},
        {"user_id": "u1"},
    ],
)
def test_an_honest_repeat_has_the_same_event_id(changes: dict[str, Any]) -> None:
    """Senders make time and sign anew and may spell numbers apart; it stays the same event."""
    assert event_id(**changes) == event_id()


@pytest.mark.parametrize(
    "changes",
    [
        {"order_no": "pay_2"},
        {"transaction_id": "T-2"},
        {"transaction_id": None},
        {"status": JsonNumber("0")},
        {"amount": JsonNumber("432.99")},
        {"currency": "EUR"},
    ],
)
def test_another_fact_is_another_event(changes: dict[str, Any]) -> None:
    """What moves a payment is part of the event's identity."""
    assert event_id(**changes) != event_id()


# API-2: what is answered


@pytest.mark.parametrize("verdict", [gateway.Recorded(), gateway.Repeated(), gateway.Repeated(is_final=True)], ids=repr)
def test_success_is_204_without_body(verdict: gateway.Verdict) -> None:
    """What is durable is answered with nothing but the status."""
    assert PSP.answer(verdict, callback(config=account().config)) == gateway.HttpResponse(status=204)


WORDS = [
    (Reason.UNAUTHENTIC, "psp_token_invalid", 401),
    (Reason.WRONG_ACCOUNT, "psp_setting_not_found", 404),
    (Reason.NO_DEPOSIT_METHOD, "deposit_method_not_found", 404),
    (Reason.NOT_FOUND, "payment_not_found", 404),
    (Reason.REPEATED_FINAL, "payment_status_not_pending", 409),
    (Reason.IN_PROGRESS, "payment_request_exists", 409),
    (Reason.STATUS, "payment_status_not_allowed", 422),
    (Reason.TIME, "payment_status_not_allowed", 422),
    (Reason.AMOUNT, "payment_amount_not_allowed", 422),
    (Reason.CURRENCY, "payment_currency_not_allowed", 422),
]
OURS = [
    (Reason.METHOD, "method_not_allowed", 405),
    (Reason.TOO_LARGE, "body_too_large", 413),
    (Reason.MEDIA_TYPE, "unsupported_media_type", 415),
]


def answered(verdict: gateway.Verdict, config: PspConfig | None = None) -> tuple[int, dict[str, Any]]:
    answer = PSP.answer(verdict, callback(config=config))
    assert gateway.media_type(answer.headers) == "application/json"
    return answer.status, msgspec.json.decode(answer.body)


@pytest.mark.parametrize(("reason", "type_", "fitting"), WORDS)
def test_documented_errors_are_400(reason: Reason, type_: str, fitting: int) -> None:
    """All nine documented types go with 400, also when the account is not known."""
    assert answered(gateway.Refused(reason=reason)) == (400, {"error": True, "code": 400, "type": type_})


@pytest.mark.parametrize(("reason", "type_", "fitting"), WORDS)
def test_documented_errors_may_have_the_fitting_status(reason: Reason, type_: str, fitting: int) -> None:
    """With error_status semantic, status and code fit the error."""
    told = answered(gateway.Refused(reason=reason), account(error_status="semantic").config)
    assert told == (fitting, {"error": True, "code": fitting, "type": type_})


@pytest.mark.parametrize(("reason", "type_", "status"), OURS)
@pytest.mark.parametrize("error_status", ["400", "semantic"])
def test_our_own_errors_have_their_own_status(reason: Reason, type_: str, status: int, error_status: str) -> None:
    """What the protocol does not name keeps its HTTP status whatever the account says."""
    told = answered(gateway.Refused(reason=reason), account(error_status=error_status).config)
    assert told == (status, {"error": True, "code": status, "type": type_})


def test_every_reason_has_words() -> None:
    """No refusal of the core is left without an answer."""
    assert set(REFUSALS) == set(Reason) == {reason for reason, _, _ in WORDS + OURS}


def test_a_wrong_method_is_told_the_right_one() -> None:
    """405 names POST."""
    answer = PSP.answer(gateway.Refused(reason=Reason.METHOD), callback())
    assert gateway.header(answer.headers, "allow") == ["POST"]


@pytest.mark.parametrize(
    ("limited", "status", "type_"), [(True, 429, "rate_limited"), (False, 503, "temporarily_unavailable")]
)
def test_busy_is_an_error_that_asks_for_another_try(limited: bool, status: int, type_: str) -> None:
    """Nothing durable, no success: the sender is told when to come again."""
    verdict = gateway.Busy(limited=limited, retry_after=7)
    assert answered(verdict) == (status, {"error": True, "code": status, "type": type_})
    assert gateway.header(PSP.answer(verdict, callback()).headers, "retry-after") == ["7"]


@pytest.mark.parametrize(("is_final", "status"), [(True, 400), (False, 204)])
def test_strict_duplicates_refuse_repeats_of_what_is_final(is_final: bool, status: int) -> None:
    """With strict_duplicates a repeat for a finished payment is answered as the real CRM does."""
    config = account(strict_duplicates=True).config
    assert PSP.answer(gateway.Repeated(is_final=is_final), callback(config=config)).status == status


# The plugin


def test_the_adapter_is_a_provider() -> None:
    """The hook offers one object that fits the protocol."""
    (provider,) = plugin.gateway_providers()
    assert isinstance(provider, gateway.Provider)
    assert provider.name == "psp_open_api"


def test_the_simulator_is_offered() -> None:
    """The second hook offers the far side."""
    (simulator,) = plugin.gateway_simulators()
    assert (simulator.provider, simulator.port) == ("psp_open_api", 9102)


@pytest.mark.parametrize("module", ["aiohttp", "gateway_psp_open_api.diagnosis.explanation"])
def test_importing_the_plugin_loads_no_tool(module: str) -> None:
    """The web framework is loaded with the simulator, the explanation when one is asked for."""
    code = f"import sys, gateway_psp_open_api; sys.exit('{module}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
