"""A callback that a bridge sends differently: its headers, path, body, members and the form of its sign."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from urllib.parse import quote, urlencode

from tests.plugins.psp_mistakes.bridge import (
    FORM,
    NOTE,
    RIGHT_SIGN,
    Bridge,
    Call,
    Mistake,
    call,
    joined,
    pairs,
    right,
    sha1,
)


def other_token(make: Callable[[Bridge], str]) -> Callable[[Bridge], Call]:
    """A header and a sign, both made with another token."""
    return lambda w: call(w, w.members, sha1(joined(pairs(w.members)) + make(w)), headers={"crm-pay-token": make(w)})


UNKNOWN_HEADER = "crm-pay-token holds a value that is not one of this account's secrets: compare it with what"
SAME = "the sender signs with the token in the header"

REQUEST = (
    Mistake("no header", right(headers={"crm-pay-token": None}), ("the header crm-pay-token is missing",)),
    Mistake(
        "Authorization",
        right(headers=lambda w, _: {"crm-pay-token": None, "Authorization": f"Bearer {w.token}"}),
        ("the token is in the header Authorization",),
    ),
    Mistake(
        "other header",
        right(headers=lambda w, _: {"crm-pay-token": None, "X-Pay-Token": w.token}),
        ("the token is in the header X-Pay-Token",),
    ),
    Mistake(
        "underscores",
        right(headers=lambda w, _: {"crm-pay-token": None, "crm_pay_token": w.token}),
        ("the token is in the header crm_pay_token",),
    ),
    Mistake(
        "in the query",
        right(headers={"crm-pay-token": None}, path=lambda w, _: f"/pay/callback?token={w.token}"),
        ("the token is in the query string",),
    ),
    Mistake(
        "other account's header",
        right(headers=lambda w, _: {"crm-pay-token": w.other_token}),
        ('crm-pay-token holds the token of account "psp-two"',),
    ),
    Mistake(
        "earlier generation's header",
        right(headers=lambda w, _: {"crm-pay-token": w.old_token}),
        ("crm-pay-token holds the token of generation 1",),
    ),
    Mistake(
        "header's name in its value",
        right(headers=lambda w, _: {"crm-pay-token": f"crm-pay-token: {w.token}"}),
        ("token, behind a name",),
    ),
    Mistake(
        "doubled token",
        right(headers=lambda w, _: {"crm-pay-token": w.token * 2}),
        ("crm-pay-token holds the token, twice",),
    ),
    Mistake(
        "quoted token",
        right(headers=lambda w, _: {"crm-pay-token": f'"{w.token}"'}),
        ("crm-pay-token holds the token, in quotes",),
    ),
    Mistake(
        "Bearer",
        right(headers=lambda w, _: {"crm-pay-token": f"Bearer {w.token}"}),
        ("crm-pay-token holds the token behind another word",),
    ),
    Mistake("cut token", right(headers=lambda w, _: {"crm-pay-token": w.token[:-1]}), ("without its last character",)),
    Mistake(
        "merchant_id as token",
        right(headers=lambda w, _: {"crm-pay-token": w.members["merchant_id"]}),
        ("the merchant_id, which is public",),
    ),
    Mistake("BOM", right(body=lambda _, data: b"\xef\xbb\xbf" + data), ("byte order mark", RIGHT_SIGN)),
    Mistake("UTF-16", right(body=lambda _, data: data.decode().encode("utf-16")), ("the body is UTF-16", RIGHT_SIGN)),
    Mistake(
        "Latin-1",
        right(body=lambda _, data: data.decode().encode("latin-1")),
        ("the body is not UTF-8", RIGHT_SIGN),
        NOTE,
    ),
    Mistake(
        "gzip",
        right(body=lambda _, data: gzip.compress(data, mtime=0), headers={"Content-Encoding": "gzip"}),
        ("compressed with gzip", RIGHT_SIGN),
    ),
    Mistake(
        "form type", right(headers={"Content-Type": FORM}), ("the body is JSON already, only the header is wrong",)
    ),
    Mistake("text type", right(headers={"Content-Type": "text/plain"}), ('its Content-Type is "text/plain"',)),
    Mistake(
        "form fields",
        right(body=lambda _, data: urlencode(json.loads(data)).encode(), headers={"Content-Type": FORM}),
        ("the body is a form (key=value&...)", RIGHT_SIGN),
    ),
    Mistake(
        "data={...}",
        right(body=lambda _, data: urlencode({"data": data.decode()}).encode(), headers={"Content-Type": FORM}),
        ("the JSON is in a form member", RIGHT_SIGN),
    ),
    Mistake("url-encoded JSON", right(body=lambda _, data: quote(data.decode()).encode()), ("url-encoded", RIGHT_SIGN)),
    Mistake(
        "query string",
        right(body=b"", path=lambda _, data: "/pay/callback?" + urlencode(json.loads(data))),
        ("the members are in the query string", RIGHT_SIGN),
    ),
    Mistake(
        "encoded twice", right(body=lambda _, data: json.dumps(data.decode()).encode()), ("encoded twice", RIGHT_SIGN)
    ),
    Mistake("in a list", right(body=lambda _, data: b"[" + data + b"]"), ("is in a list", RIGHT_SIGN)),
    Mistake(
        "wrapped",
        right(body=lambda _, data: b'{"data":' + data + b"}"),
        ('the members are inside "data"', RIGHT_SIGN),
    ),
    Mistake("single quotes", right(body=lambda _, data: str(json.loads(data)).encode()), ("single quotes", RIGHT_SIGN)),
    Mistake(
        "trailing comma", right(body=lambda _, data: data[:-1] + b",}"), ("a comma behind its last member", RIGHT_SIGN)
    ),
    Mistake(
        "double member",
        right(body=lambda _, data: data[:-1] + b',"status":1}'),
        ('member "status" is there twice', RIGHT_SIGN),
    ),
    Mistake("XML", right(body=b"<xml><order_no>1</order_no></xml>"), ("the body is XML or HTML",)),
    Mistake("empty body", right(body=b""), ("the body is empty",)),
    Mistake("GET", right(method="GET"), ("it was sent with GET: send it with POST",)),
    Mistake("callbacks", right(path="/pay/callbacks"), ("pay/callback is meant",)),
    Mistake("doubled slash", right(path="/pay//callback"), ("a slash is doubled",)),
    Mistake("placeholder", right(path="/{pay/callback}"), ("the braces of a placeholder",)),
    Mistake("appended twice", right(path="/pay/callback/pay/callback"), ("behind an address that ends in it already",)),
    Mistake("API-1's path", right(path="/pay/url"), ("that is the path of API-1",)),
    Mistake("capitals in the path", right(path="/Pay/Callback"), ("capital letters count",)),
    Mistake(
        "other header, other token",
        right(headers={"crm-pay-token": None, "X-Token": "guessed-0123456789"}),
        ("the header X-Token was sent in its place, and holds another token",),
    ),
    Mistake(
        "API-1's name",
        lambda w: right()(w._replace(members={("sum" if k == "amount" else k): v for k, v in w.members.items()})),
        ('"amount" is missing: "sum" is its name in API-1 only',),
    ),
    Mistake(
        "no sign", right(body=lambda w, _: json.dumps(w.members).encode()), ('no member "sign"', "not PSP Open API")
    ),
    Mistake(
        "signature", right(body=lambda _, data: data.replace(b'"sign"', b'"signature"')), ('"signature" is there',)
    ),
    Mistake(
        "another bridge's body", right(body=b'{"merchant_reference":"A","state":"paid"}'), ("this is not PSP Open API",)
    ),
    Mistake("orderNo", right(), ('"order_no" is missing: is "orderNo" meant?',), {"order_no": ..., "orderNo": "pay_x"}),
    Mistake("seconds", right(), ("looks like seconds",), {"time": 1795851349}),
    Mistake("microseconds", right(), ("looks like microseconds",), {"time": 1795851349123456}),
    Mistake("nanoseconds", right(), ("looks like nanoseconds",), {"time": 1795851349123456789}),
    Mistake("ISO time", right(), ("a date as text",), {"time": "2026-11-28T12:00:00Z"}),
    Mistake("text status", right(), ("send 1 without quotes",), {"status": "1"}),
    Mistake("word status", right(), ("looks like 1; send the number 1",), {"status": "success"}),
    Mistake(
        "other merchant_id",
        lambda w: right()(w._replace(members={**w.members, "merchant_id": w.other_merchant})),
        ('merchant_id is that of account "psp-two"',),
    ),
    Mistake(
        "merchant_id without dashes",
        lambda w: right()(w._replace(members={**w.members, "merchant_id": w.members["merchant_id"].replace("-", "")})),
        ("merchant_id is written in another way",),
    ),
    Mistake(
        "nested", right(body=lambda _, data: data[:-1] + b',"card":{"brand":"x"}}'), ("member 'card' is an object",)
    ),
    Mistake("hidden members", right(), ('holds "&name="',), {"note": "x&amount=1"}),
    Mistake("strange token", right(headers={"crm-pay-token": "tkn_example_1"}), (UNKNOWN_HEADER, RIGHT_SIGN)),
    Mistake(
        "strange token twice",
        other_token(lambda _: "tkn_example_1"),
        (UNKNOWN_HEADER, "sign can be checked once"),
    ),
    Mistake("short token", right(headers={"crm-pay-token": "x"}), (UNKNOWN_HEADER, RIGHT_SIGN)),
    Mistake("token with a space inside", right(headers={"crm-pay-token": "tkn example"}), (UNKNOWN_HEADER, RIGHT_SIGN)),
    Mistake("Bearer strange", right(headers={"crm-pay-token": "Bearer tkn_example_1"}), (UNKNOWN_HEADER, RIGHT_SIGN)),
    Mistake("cut token twice", other_token(lambda w: w.token[:-1]), ("without its last character", SAME)),
    Mistake(
        "upper token twice",
        other_token(lambda w: w.token.swapcase()),
        ("crm-pay-token holds", "sign can be checked once"),
    ),
    Mistake("doubled token twice", other_token(lambda w: w.token * 2), ("the token, twice", "the token twice")),
    Mistake(
        "double member, other sign",
        lambda w: call(
            w, w.members, "", body=json.dumps({**w.members, "sign": sha1("x")})[:-1].encode() + b',"status":1}'
        ),
        ('member "status" is there twice', "sign can be checked once the body is right"),
    ),
)
