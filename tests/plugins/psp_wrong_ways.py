"""Ways in which bridges sign or send API-2 wrongly, as an outsider writes them, and what must be said of each."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import html
import json
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus, urlencode

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Sent(NamedTuple):
    """One call: body, headers, path below the callback address, method."""

    body: bytes
    headers: Mapping[str, str]
    path: str = "/pay/callback"
    method: str = "POST"


class World(NamedTuple):
    """What a bridge was told: its payment's members without sign, its token, and those of its neighbours."""

    members: dict[str, Any]
    token: str
    other_token: str
    other_merchant: str
    old_token: str


class Way(NamedTuple):
    """One mistake. ``told``: what the notes must say; ``changes``: members beside the usual ones."""

    name: str
    send: Callable[[World], Sent]
    told: tuple[str, ...]
    changes: Mapping[str, Any] = {}


Pairs = list[tuple[str, str]]


def shown(value: Any) -> str:
    """A value as JavaScript prints it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.10f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def pairs(members: Mapping[str, Any], *, empties: bool = False, show: Callable[[str, Any], str] | None = None) -> Pairs:
    """The members to be signed with their texts, in key order."""
    show = show or (lambda _, value: shown(value))
    kept = {key: value for key, value in members.items() if empties or value not in (None, "", [], {})}
    return [(key, show(key, kept[key])) for key in sorted(kept)]


def joined(found: Pairs, between: str = "&") -> str:
    """StringA."""
    return between.join(f"{key}={text}" for key, text in found)


def sha1(text: str) -> str:
    """The protocol's hash."""
    return hashlib.sha1(text.encode()).hexdigest().upper()


def call(world: World, members: Mapping[str, Any], sign: Any, **changes: Any) -> Sent:
    """A call as it should be, but for what is changed."""
    body = changes.pop("body", None)
    headers = {"crm-pay-token": world.token, "Content-Type": JSON, **changes.pop("headers", {})}
    content = json.dumps({**members, "sign": sign}, ensure_ascii=False).encode() if body is None else body
    return Sent(content, {name: value for name, value in headers.items() if value is not None}, **changes)


def by_text(make: Callable[[World], str]) -> Callable[[World], Sent]:
    """Sign a text in which the token stands already."""
    return lambda world: call(world, world.members, sha1(make(world)))


def printed(show: Callable[[str, Any], str], *, empties: bool = False) -> Callable[[World], Sent]:
    """Sign values printed in another way."""
    return by_text(lambda world: joined(pairs(world.members, empties=empties, show=show)) + world.token)


def amount_as(form: str) -> Callable[[World], Sent]:
    """Sign the amount in another form."""
    return printed(lambda key, value: format(value, form) if key == "amount" else shown(value))


def hashed(make: Callable[[str, str], str]) -> Callable[[World], Sent]:
    """Hash StringA and token in another way."""
    return lambda world: call(world, world.members, make(joined(pairs(world.members)), world.token))


def right(**changes: Any) -> Callable[[World], Sent]:
    """Sign rightly, send wrongly. A changed body, header or path may be made of the world."""

    def send(world: World) -> Sent:
        sign = sha1(joined(pairs(world.members)) + world.token)
        content = json.dumps({**world.members, "sign": sign}, ensure_ascii=False).encode()
        made = {name: value(world, content) if callable(value) else value for name, value in changes.items()}
        return call(world, world.members, sign, **{"body": content, **made})

    return send


def right_sign(make: Callable[[str], Any]) -> Callable[[World], Sent]:
    """The right sign, in another form."""
    return lambda world: call(world, world.members, make(sha1(joined(pairs(world.members)) + world.token)))


def algorithm(name: str) -> Callable[[World], Sent]:
    """Another hash over the right text."""
    return hashed(lambda text, token: hashlib.new(name, (text + token).encode()).hexdigest())


def keyed(name: str) -> Callable[[World], Sent]:
    """HMAC over StringA, keyed by the token."""
    return hashed(lambda text, token: hmac.new(token.encode(), text.encode(), name).hexdigest())


def of_body(dump: Callable[[dict[str, Any]], str]) -> Callable[[World], Sent]:
    """Sign the JSON body instead of StringA."""
    return by_text(lambda world: dump(world.members) + world.token)


def signs_with(what: str) -> tuple[str, ...]:
    """What an explanation says of a mistake in the signature."""
    return (f"the sender signs with {what}",)


RIGHT_SIGN = "the sign itself is right"
DRINK = {"note": "Café / bar", "promo": True}
EMPTY = {"note": "", "extra": None}

PRINTING = (
    Way("two decimals", amount_as(".2f"), signs_with("the amount printed with two decimals"), {"amount": 25.5}),
    Way("one decimal", amount_as(".1f"), signs_with("the amount printed with one decimal"), {"amount": 25}),
    Way("four decimals", amount_as(".4f"), signs_with("the amount printed with 4 decimals"), {"amount": 25.5}),
    Way("exponent", amount_as(".0e"), ("exponent (1e+02)",), {"amount": 100}),
    Way(
        "1E2",
        by_text(lambda w: joined(pairs({**w.members, "amount": "1E2"})) + w.token),
        ("exponent (1E2)",),
        {"amount": 100},
    ),
    Way(
        "cents",
        by_text(lambda w: joined(pairs({**w.members, "amount": 2550})) + w.token),
        signs_with("the amount printed in cents"),
        {"amount": 25.5},
    ),
    Way(
        "decimal comma",
        by_text(lambda w: joined(pairs({**w.members, "amount": "25,50"})) + w.token),
        signs_with("the amount printed with a comma (25,50)"),
        {"amount": 25.5},
    ),
    Way(
        "floats",
        printed(lambda _, v: str(float(v)) if isinstance(v, int | float) else shown(v)),
        signs_with("every number printed as a float"),
    ),
    Way(
        "Java doubles",
        printed(
            lambda k, v: (
                {
                    "amount": "162.48",
                    "status": "1.0",
                    "time": f"{v / 1e12:.12f}".rstrip("0") + "E12" if k == "time" else "",
                }.get(k)
                or shown(v)
            )
        ),
        signs_with("every number printed as Java prints a double"),
    ),
    Way(
        "Go floats",
        printed(lambda k, v: f"{v / 1e12:.12f}".rstrip("0") + "e+12" if k == "time" else shown(v)),
        signs_with("every number printed as Go prints a float64"),
    ),
    Way(
        "True",
        printed(lambda _, v: str(v) if isinstance(v, bool) else shown(v)),
        signs_with("booleans printed as True and False"),
        {"promo": True},
    ),
    Way(
        "1 for true",
        printed(lambda _, v: str(int(v)) if isinstance(v, bool) else shown(v)),
        signs_with("booleans printed as 1 and 0"),
        {"promo": True, "test": False},
    ),
    Way(
        "empties",
        printed(lambda _, v: "" if v is None else shown(v), empties=True),
        signs_with("empty members signed too (key=)"),
        EMPTY,
    ),
    Way(
        "null",
        printed(lambda _, v: "null" if v is None else shown(v), empties=True),
        signs_with("empty members signed too, null as null"),
        EMPTY,
    ),
    Way(
        "None",
        printed(lambda _, v: "None" if v is None else shown(v), empties=True),
        signs_with("empty members signed too, null as None"),
        EMPTY,
    ),
    Way(
        "url-encoded", printed(lambda _, v: quote(shown(v), safe="")), signs_with("the values url-encoded (%20)"), DRINK
    ),
    Way(
        "plus for blank",
        printed(lambda _, v: quote_plus(shown(v))),
        signs_with("the values url-encoded (+ for a blank)"),
        DRINK,
    ),
    Way(
        "escapes",
        printed(lambda _, v: json.dumps(v)[1:-1] if isinstance(v, str) else shown(v)),
        signs_with("characters beyond ASCII signed as \\u escapes"),
        DRINK,
    ),
    Way(
        "PHP escapes",
        printed(lambda _, v: json.dumps(v)[1:-1].replace("/", "\\/") if isinstance(v, str) else shown(v)),
        signs_with("characters beyond ASCII and slashes"),
        DRINK,
    ),
    Way(
        "quotes",
        printed(lambda _, v: json.dumps(v) if isinstance(v, str) else shown(v)),
        signs_with("texts signed in their quotes"),
    ),
    Way(
        "currency case",
        printed(lambda k, v: v.lower() if k == "currency" else shown(v)),
        signs_with("the currency signed in lower case"),
    ),
    Way(
        "trimmed",
        printed(lambda _, v: v.strip() if isinstance(v, str) else shown(v)),
        signs_with("texts signed without the blanks"),
        {"note": " a "},
    ),
)

STEPS = (
    Way(
        "body order",
        by_text(lambda w: "&".join(f"{k}={shown(v)}" for k, v in w.members.items()) + w.token),
        ("order of the body",),
    ),
    Way(
        "case-insensitive order",
        by_text(lambda w: joined(sorted(pairs(w.members), key=lambda p: p[0].lower())) + w.token),
        ("sorted without regard to case",),
        {"Zone": "x", "Alpha": "y"},
    ),
    Way(
        "by value",
        by_text(lambda w: joined(sorted(pairs(w.members), key=lambda p: p[1])) + w.token),
        ("sorted by value",),
    ),
    Way("backwards", by_text(lambda w: joined(pairs(w.members)[::-1]) + w.token), ("sorted backwards",)),
    Way("comma", by_text(lambda w: joined(pairs(w.members), ",") + w.token), ("a comma between the members",)),
    Way("semicolon", by_text(lambda w: joined(pairs(w.members), ";") + w.token), ("a semicolon between the members",)),
    Way("no separator", by_text(lambda w: joined(pairs(w.members), "") + w.token), ("nothing between the members",)),
    Way("values alone", by_text(lambda w: "".join(t for _, t in pairs(w.members)) + w.token), ("the values alone",)),
    Way(
        "upper keys",
        by_text(lambda w: joined([(k.upper(), t) for k, t in pairs(w.members)]) + w.token),
        ("the keys in upper case",),
    ),
    Way(
        "lower keys",
        by_text(lambda w: joined([(k.lower(), t) for k, t in pairs(w.members)]) + w.token),
        ("the keys in lower case",),
        {"Zone": "x"},
    ),
    Way(
        "sign in it",
        by_text(lambda w: joined(pairs({**w.members, "sign": ""}, empties=True)) + w.token),
        ("an empty sign among the members",),
    ),
    Way(
        "extra left out",
        by_text(lambda w: joined([p for p in pairs(w.members) if p[0] not in ("note", "zone")]) + w.token),
        ("only the documented members",),
        {"note": "x", "zone": "y"},
    ),
    Way(
        "time left out",
        by_text(lambda w: joined([p for p in pairs(w.members) if p[0] != "time"]) + w.token),
        ("time left out",),
    ),
    Way(
        "zeros left out",
        by_text(lambda w: joined([p for p in pairs(w.members) if p[1] != "0"]) + w.token),
        ("0 or false left out",),
        {"status": 0},
    ),
    Way("& before the token", by_text(lambda w: f"{joined(pairs(w.members))}&{w.token}"), ("an & before the token",)),
    Way("&key=", by_text(lambda w: f"{joined(pairs(w.members))}&key={w.token}"), ("&key= before the token",)),
    Way("&token=", by_text(lambda w: f"{joined(pairs(w.members))}&token={w.token}"), ("&token= before the token",)),
    Way("no token", by_text(lambda w: joined(pairs(w.members))), ("no token",)),
    Way("token first", by_text(lambda w: w.token + joined(pairs(w.members))), ("the token before the text",)),
    Way("token twice", by_text(lambda w: joined(pairs(w.members)) + w.token * 2), ("the token twice",)),
    Way(
        "line break behind",
        by_text(lambda w: joined(pairs(w.members)) + w.token + "\n"),
        ("a line break after the token",),
    ),
    Way(
        "token as a member",
        by_text(lambda w: joined(pairs({**w.members, "token": w.token}))),
        ("the token as a member token",),
    ),
    Way(
        "other account's token",
        by_text(lambda w: joined(pairs(w.members)) + w.other_token),
        ('the token of account "psp-two"',),
    ),
    Way(
        "earlier token",
        by_text(lambda w: joined(pairs(w.members)) + w.old_token),
        ("the token of generation 1 of this account",),
    ),
    Way(
        "merchant_id for token",
        by_text(lambda w: joined(pairs(w.members)) + w.members["merchant_id"]),
        ("the merchant_id in the place of the token",),
    ),
    Way(
        "two at once",
        by_text(
            lambda w: (
                f"{joined(pairs(w.members, show=lambda k, v: f'{v:.2f}' if k == 'amount' else shown(v)))}&key={w.token}"
            )
        ),
        ("the amount printed with two decimals", "&key= before the token"),
        {"amount": 25.5},
    ),
)

HASHES = (
    Way("SHA-256", algorithm("sha256"), signs_with("SHA-256 instead of SHA-1")),
    Way("SHA-512", algorithm("sha512"), signs_with("SHA-512 instead of SHA-1")),
    Way("MD5", algorithm("md5"), signs_with("MD5 instead of SHA-1")),
    Way("HMAC-SHA1", keyed("sha1"), signs_with("HMAC-SHA1 keyed by the token")),
    Way("HMAC-SHA256", keyed("sha256"), signs_with("HMAC-SHA256 keyed by the token")),
    Way("HMAC-SHA512", keyed("sha512"), signs_with("HMAC-SHA512 keyed by the token")),
    Way("SHA-1 twice", hashed(lambda text, token: sha1(sha1(text + token).lower())), signs_with("SHA-1 twice")),
    Way(
        "base64",
        hashed(lambda text, token: base64.b64encode(hashlib.sha1((text + token).encode()).digest()).decode()),
        ("sign is in base64", RIGHT_SIGN),
    ),
    Way(
        "base64 of SHA-256",
        hashed(lambda text, token: base64.b64encode(hashlib.sha256((text + token).encode()).digest()).decode()),
        ("sign is in base64", "SHA-256 instead of SHA-1"),
    ),
    Way("line break in sign", right_sign(lambda sign: f"{sign}\n"), ("a line break at its end", RIGHT_SIGN)),
    Way("blanks around sign", right_sign(lambda sign: f" {sign} "), ("a blank", RIGHT_SIGN)),
    Way("0x", right_sign(lambda sign: f"0x{sign}"), ("before its digits", RIGHT_SIGN)),
    Way(
        "colons",
        right_sign(lambda sign: ":".join(sign[i : i + 2] for i in range(0, 40, 2))),
        ("between its digits", RIGHT_SIGN),
    ),
    Way("cut sign", right_sign(lambda sign: sign[:30]), ("sign has 30 characters",)),
    Way("a number", right_sign(lambda _: 12345), ("sign is a number",)),
    Way(
        "compact JSON", of_body(lambda m: json.dumps(m, separators=(",", ":"))), ("the JSON body instead of key=value",)
    ),
    Way(
        "sorted JSON", of_body(lambda m: json.dumps(dict(sorted(m.items())), separators=(",", ":"))), ("sorted by key",)
    ),
    Way("Python's JSON", of_body(json.dumps), ("the JSON body with blanks",)),
    Way(
        "HMAC of the body",
        lambda w: call(
            w,
            w.members,
            hmac.new(w.token.encode(), json.dumps(w.members, separators=(",", ":")).encode(), "sha256").hexdigest(),
        ),
        ("the JSON body instead of key=value", "HMAC-SHA256"),
    ),
)

ENVELOPES = (
    Way("no header", right(headers={"crm-pay-token": None}), ("the header crm-pay-token is missing",)),
    Way(
        "Authorization",
        right(headers=lambda w, _: {"crm-pay-token": None, "Authorization": f"Bearer {w.token}"}),
        ("the token is in the header Authorization",),
    ),
    Way(
        "other header",
        right(headers=lambda w, _: {"crm-pay-token": None, "X-Pay-Token": w.token}),
        ("the token is in the header X-Pay-Token",),
    ),
    Way(
        "underscores",
        right(headers=lambda w, _: {"crm-pay-token": None, "crm_pay_token": w.token}),
        ("the token is in the header crm_pay_token",),
    ),
    Way(
        "in the query",
        right(headers={"crm-pay-token": None}, path=lambda w, _: f"/pay/callback?token={w.token}"),
        ("the token is in the query string",),
    ),
    Way(
        "other account's header",
        right(headers=lambda w, _: {"crm-pay-token": w.other_token}),
        ('crm-pay-token holds the token of account "psp-two"',),
    ),
    Way(
        "earlier generation's header",
        right(headers=lambda w, _: {"crm-pay-token": w.old_token}),
        ("crm-pay-token holds the token of generation 1",),
    ),
    Way(
        "header's name in its value",
        right(headers=lambda w, _: {"crm-pay-token": f"crm-pay-token: {w.token}"}),
        ("token, behind a name",),
    ),
    Way(
        "doubled token",
        right(headers=lambda w, _: {"crm-pay-token": w.token * 2}),
        ("crm-pay-token holds the token, twice",),
    ),
    Way(
        "quoted token",
        right(headers=lambda w, _: {"crm-pay-token": f'"{w.token}"'}),
        ("crm-pay-token holds the token, in quotes",),
    ),
    Way(
        "Bearer",
        right(headers=lambda w, _: {"crm-pay-token": f"Bearer {w.token}"}),
        ("crm-pay-token holds the token behind another word",),
    ),
    Way("cut token", right(headers=lambda w, _: {"crm-pay-token": w.token[:-1]}), ("without its last character",)),
    Way(
        "merchant_id as token",
        right(headers=lambda w, _: {"crm-pay-token": w.members["merchant_id"]}),
        ("the merchant_id, which is public",),
    ),
    Way("BOM", right(body=lambda _, data: b"\xef\xbb\xbf" + data), ("byte order mark", RIGHT_SIGN)),
    Way("UTF-16", right(body=lambda _, data: data.decode().encode("utf-16")), ("the body is UTF-16", RIGHT_SIGN)),
    Way(
        "Latin-1",
        right(body=lambda _, data: data.decode().encode("latin-1")),
        ("the body is not UTF-8", RIGHT_SIGN),
        DRINK,
    ),
    Way(
        "gzip",
        right(body=lambda _, data: gzip.compress(data, mtime=0), headers={"Content-Encoding": "gzip"}),
        ("compressed with gzip", RIGHT_SIGN),
    ),
    Way("form type", right(headers={"Content-Type": FORM}), ("the body is JSON already, only the header is wrong",)),
    Way("text type", right(headers={"Content-Type": "text/plain"}), ('its Content-Type is "text/plain"',)),
    Way(
        "form fields",
        right(body=lambda _, data: urlencode(json.loads(data)).encode(), headers={"Content-Type": FORM}),
        ("the body is a form (key=value&...)", RIGHT_SIGN),
    ),
    Way(
        "data={...}",
        right(body=lambda _, data: urlencode({"data": data.decode()}).encode(), headers={"Content-Type": FORM}),
        ("the JSON is in a form member", RIGHT_SIGN),
    ),
    Way("url-encoded JSON", right(body=lambda _, data: quote(data.decode()).encode()), ("url-encoded", RIGHT_SIGN)),
    Way(
        "query string",
        right(body=b"", path=lambda _, data: "/pay/callback?" + urlencode(json.loads(data))),
        ("the members are in the query string", RIGHT_SIGN),
    ),
    Way("encoded twice", right(body=lambda _, data: json.dumps(data.decode()).encode()), ("encoded twice", RIGHT_SIGN)),
    Way("in a list", right(body=lambda _, data: b"[" + data + b"]"), ("is in a list", RIGHT_SIGN)),
    Way(
        "wrapped",
        right(body=lambda _, data: b'{"data":' + data + b"}"),
        ('the members are inside "data"', RIGHT_SIGN),
    ),
    Way("single quotes", right(body=lambda _, data: str(json.loads(data)).encode()), ("single quotes", RIGHT_SIGN)),
    Way(
        "trailing comma", right(body=lambda _, data: data[:-1] + b",}"), ("a comma behind its last member", RIGHT_SIGN)
    ),
    Way(
        "double member",
        right(body=lambda _, data: data[:-1] + b',"status":1}'),
        ('member "status" is there twice', RIGHT_SIGN),
    ),
    Way("XML", right(body=b"<xml><order_no>1</order_no></xml>"), ("the body is XML or HTML",)),
    Way("empty body", right(body=b""), ("the body is empty",)),
    Way("GET", right(method="GET"), ("it was sent with GET: send it with POST",)),
    Way("callbacks", right(path="/pay/callbacks"), ("pay/callback is meant",)),
    Way("doubled slash", right(path="/pay//callback"), ("a slash is doubled",)),
    Way("placeholder", right(path="/{pay/callback}"), ("the braces of a placeholder",)),
    Way("appended twice", right(path="/pay/callback/pay/callback"), ("behind an address that ends in it already",)),
    Way("API-1's path", right(path="/pay/url"), ("that is the path of API-1",)),
    Way("capitals in the path", right(path="/Pay/Callback"), ("capital letters count",)),
)

MORE = (
    Way(
        "other header, other token",
        right(headers={"crm-pay-token": None, "X-Token": "guessed-0123456789"}),
        ("the header X-Token was sent in its place, and holds another token",),
    ),
    Way(
        "API-1's name",
        lambda w: right()(w._replace(members={("sum" if k == "amount" else k): v for k, v in w.members.items()})),
        ('"amount" is missing: "sum" is its name in API-1 only',),
    ),
    Way(
        "API-1's name signed",
        by_text(lambda w: joined(sorted(("sum" if k == "amount" else k, t) for k, t in pairs(w.members))) + w.token),
        ("the names of API-1 (sum for amount)",),
    ),
    Way(
        "MD5 of the token",
        by_text(lambda w: joined(pairs(w.members)) + hashlib.md5(w.token.encode()).hexdigest()),
        signs_with("the MD5 of the token in its place"),
    ),
    Way(
        "plus as a blank",
        printed(lambda _, v: v.replace("+", " ") if isinstance(v, str) else shown(v)),
        signs_with("the values url-decoded"),
        {"phone": "+1 123456"},
    ),
    Way(
        "decomposed Unicode",
        printed(lambda _, v: unicodedata.normalize("NFD", v) if isinstance(v, str) else shown(v)),
        signs_with("texts signed in another form of Unicode (NFD)"),
        DRINK,
    ),
    Way(
        "REST, older",
        printed(lambda _, v: "" if v is None else shown(v), empties=True),
        ("as the vendor's older REST signature does",),
        {"user_id": ""},
    ),
    Way("escaped JSON", of_body(lambda m: json.dumps(m, separators=(",", ":"))), ("the JSON body in ASCII",), DRINK),
)

MEMBERS = (
    Way("no sign", right(body=lambda w, _: json.dumps(w.members).encode()), ('no member "sign"', "not PSP Open API")),
    Way("signature", right(body=lambda _, data: data.replace(b'"sign"', b'"signature"')), ('"signature" is there',)),
    Way(
        "another bridge's body", right(body=b'{"merchant_reference":"A","state":"paid"}'), ("this is not PSP Open API",)
    ),
    Way("orderNo", right(), ('"order_no" is missing: is "orderNo" meant?',), {"order_no": ..., "orderNo": "pay_x"}),
    Way("seconds", right(), ("looks like seconds",), {"time": 1795851349}),
    Way("microseconds", right(), ("looks like microseconds",), {"time": 1795851349123456}),
    Way("nanoseconds", right(), ("looks like nanoseconds",), {"time": 1795851349123456789}),
    Way("ISO time", right(), ("a date as text",), {"time": "2026-11-28T12:00:00Z"}),
    Way("text status", right(), ("send 1 without quotes",), {"status": "1"}),
    Way("word status", right(), ("looks like 1; send the number 1",), {"status": "success"}),
    Way(
        "other merchant_id",
        lambda w: right()(w._replace(members={**w.members, "merchant_id": w.other_merchant})),
        ('merchant_id is that of account "psp-two"',),
    ),
    Way(
        "merchant_id without dashes",
        lambda w: right()(w._replace(members={**w.members, "merchant_id": w.members["merchant_id"].replace("-", "")})),
        ("merchant_id is written in another way",),
    ),
    Way("nested", right(body=lambda _, data: data[:-1] + b',"card":{"brand":"x"}}'), ("member 'card' is an object",)),
    Way("hidden members", right(), ('holds "&name="',), {"note": "x&amount=1"}),
)


def in_time(write: Callable[[int], str]) -> Callable[[World], Sent]:
    """Sign the time in another form."""
    return printed(lambda key, value: write(value) if key == "time" else shown(value))


def with_member(name: str, word: str) -> Callable[[World], Sent]:
    """Sign a member that the body does not have."""
    return by_text(lambda w: joined(sorted([*pairs(w.members), (name, word)])) + w.token)


def two_printed(first: str, empty: str) -> Callable[[World], Sent]:
    """Sign the amount in another form, and empty members as a word."""
    return printed(
        lambda key, value: format(value, first) if key == "amount" else empty if value is None else shown(value),
        empties=True,
    )


def decoded(decode: Callable[[str], bytes]) -> Callable[[World], Sent]:
    """Sign with the bytes that the token stands for in another notation."""
    return hashed(lambda text, token: hashlib.sha1(text.encode() + decode(token)).hexdigest())


def other_token(make: Callable[[World], str]) -> Callable[[World], Sent]:
    """A header and a sign, both made with another token."""
    return lambda w: call(w, w.members, sha1(joined(pairs(w.members)) + make(w)), headers={"crm-pay-token": make(w)})


UNKNOWN_HEADER = "crm-pay-token holds a value that is none of this account's secrets: compare it with what"
SAME = "the sender signs with the token in the header"

TWO_AT_ONCE = (
    Way(
        "25.50 and key=",
        two_printed(".2f", ""),
        ("two decimals", "and empty members signed too"),
        {"amount": 25.5, **EMPTY},
    ),
    Way("25.50 and null", two_printed(".2f", "null"), ("two decimals", "null as null"), {"amount": 25.5, **EMPTY}),
    Way(
        "cents and True",
        printed(lambda k, v: f"{v * 100:.0f}" if k == "amount" else str(v) if isinstance(v, bool) else shown(v)),
        ("printed in cents and booleans printed as True",),
        {"amount": 25.5, "promo": True},
    ),
    Way(
        "seconds and 25.50",
        printed(lambda k, v: str(v // 1000) if k == "time" else f"{v:.2f}" if k == "amount" else shown(v)),
        ("two decimals", "the time printed in seconds"),
        {"amount": 25.5, "time": 1795851349000},
    ),
    Way(
        "url-encoded and 25.50",
        printed(lambda k, v: f"{v:.2f}" if k == "amount" else quote(shown(v), safe="")),
        ("two decimals", "url-encoded"),
        {"amount": 25.5, **DRINK},
    ),
    Way(
        "25.50 and undefined",
        by_text(
            lambda w: joined(sorted([*pairs({**w.members, "amount": "25.50"}), ("user_id", "undefined")])) + w.token
        ),
        ("two decimals", "user_id=undefined, which the body does not have"),
        {"amount": 25.5},
    ),
    Way(
        "25.50 and values alone",
        by_text(lambda w: "".join(text for _, text in pairs({**w.members, "amount": "25.50"})) + w.token),
        ("two decimals", "the values alone"),
        {"amount": 25.5},
    ),
    Way(
        "undefined and MD5",
        lambda w: call(
            w,
            w.members,
            hashlib.md5((joined([*pairs(w.members), ("user_id", "undefined")]) + w.token).encode()).hexdigest(),
        ),
        ("user_id=undefined, which the body does not have", "MD5 instead of SHA-1"),
    ),
    Way(
        "seconds and HMAC",
        lambda w: call(
            w,
            w.members,
            hmac.new(
                w.token.encode(),
                joined(pairs(w.members, show=lambda k, v: str(v // 1000) if k == "time" else shown(v))).encode(),
                "sha1",
            ).hexdigest(),
        ),
        ("the time printed in seconds", "HMAC-SHA1"),
        {"time": 1795851349000},
    ),
)

FURTHER = (
    Way("undefined", with_member("user_id", "undefined"), ("user_id=undefined, which the body does not have",)),
    Way("None absent", with_member("user_id", "None"), ("user_id=None, which the body does not have",)),
    Way("empty absent", with_member("user_id", ""), ("user_id=, which the body does not have",)),
    Way(
        "undefined transaction",
        with_member("transaction_id", "undefined"),
        ("transaction_id=undefined, which the body does not have",),
        {"transaction_id": ...},
    ),
    Way(
        "PHP float",
        in_time(lambda v: f"{v / 1e12:.12f}".rstrip("0") + "E+12"),
        signs_with("every number printed as PHP prints a float"),
    ),
    Way("seconds signed", in_time(lambda v: str(v // 1000)), ("the time printed in seconds",)),
    Way("fraction of seconds", in_time(lambda v: f"{v / 1000:.3f}".rstrip("0")), ("the time printed in seconds",)),
    Way("CRLF", by_text(lambda w: joined(pairs(w.members)) + w.token + "\r\n"), ("a line break (CRLF) after",)),
    Way(
        "HTML escapes",
        printed(lambda _, v: html.escape(v) if isinstance(v, str) else shown(v)),
        signs_with("the values HTML-escaped"),
        {"note": "Café & 'Bar'"},
    ),
    Way(
        "PHP's HTML escapes",
        printed(lambda _, v: html.escape(v).replace("&#x27;", "&#039;") if isinstance(v, str) else shown(v)),
        signs_with("the values HTML-escaped, as PHP does"),
        {"note": "Café & 'Bar'"},
    ),
    Way(
        "base64 token",
        decoded(lambda token: base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))),
        signs_with("the token decoded from base64"),
    ),
    Way(
        "changed status",
        by_text(lambda w: joined(pairs({**w.members, "status": 2})) + w.token),
        ("status=2: it was changed",),
    ),
    Way(
        "status word signed",
        by_text(lambda w: joined(pairs({**w.members, "status": "success"})) + w.token),
        ("status=success: it was changed",),
    ),
    Way(
        "text in capitals",
        by_text(lambda w: joined(pairs(w.members)).upper() + w.token),
        signs_with("the text in upper case, the token as it is"),
    ),
    Way("strange token", right(headers={"crm-pay-token": "tkn_example_1"}), (UNKNOWN_HEADER, RIGHT_SIGN)),
    Way(
        "strange token twice",
        other_token(lambda _: "tkn_example_1"),
        (UNKNOWN_HEADER, "sign can be checked once"),
    ),
    Way("short token", right(headers={"crm-pay-token": "x"}), (UNKNOWN_HEADER, RIGHT_SIGN)),
    Way("token with a space inside", right(headers={"crm-pay-token": "tkn example"}), (UNKNOWN_HEADER, RIGHT_SIGN)),
    Way("Bearer strange", right(headers={"crm-pay-token": "Bearer tkn_example_1"}), (UNKNOWN_HEADER, RIGHT_SIGN)),
    Way("cut token twice", other_token(lambda w: w.token[:-1]), ("without its last character", SAME)),
    Way(
        "upper token twice",
        other_token(lambda w: w.token.swapcase()),
        ("crm-pay-token holds", "sign can be checked once"),
    ),
    Way("doubled token twice", other_token(lambda w: w.token * 2), ("the token, twice", "the token twice")),
    Way(
        "double member, other sign",
        lambda w: call(
            w, w.members, "", body=json.dumps({**w.members, "sign": sha1("x")})[:-1].encode() + b',"status":1}'
        ),
        ('member "status" is there twice', "sign can be checked once the body is right"),
    ),
)

WAYS = (*PRINTING, *STEPS, *HASHES, *ENVELOPES, *MEMBERS, *MORE, *TWO_AT_ONCE, *FURTHER)
