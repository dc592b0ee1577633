"""What is wrong with a callback besides its signature: each check says what it saw and what to change. Pure.

Every check is a function of one ``Received`` that yields sentences, or nothing if all is well. None quotes a token.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote_plus

import msgspec

import gateway
from gateway_psp_open_api import callback
from gateway_psp_open_api.callback import SUFFIXES
from gateway_psp_open_api.config import TOKEN_HEADER, PspConfig
from gateway_psp_open_api.diagnosis import unusable_values
from gateway_psp_open_api.diagnosis.lenient_body import Reading

REQUIRED = ("merchant_id", "order_no", "amount", "currency", "time", "status")

SIGN_NAMES = ("signature", "sig", "hash", "signed", "checksum", "sign_value", "md5", "hmac")
"""What senders call ``sign``."""

OTHER_HEADERS = ("crmpaytoken", "paytoken", "xcrmpaytoken", "xpaytoken", "crmtoken", "xtoken", "token")
"""What senders call the token's header, without dashes and underscores."""

NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,20})(?:\.[0-9]{1,10})?")
"""A text that JSON would take for a number."""

PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,40}")
"""Names of members and headers that are quoted."""


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A callback as far as it can be read, and what its account expects.

    ``others``: the owner of each merchant id that the sender may have taken for the account's. ``renamed``: the names
    in API-1 of the fields that the account renames.
    """

    callback: gateway.Callback
    config: PspConfig
    reading: Reading
    tokens: tuple[str, ...]
    merchant_ids: tuple[str, ...]
    others: Mapping[str, str]
    renamed: Mapping[str, str]

    @property
    def members(self) -> Mapping[str, Any]:
        """The body's members; empty if it has none."""
        return self.reading.members or {}


def findings(call: Received) -> list[str]:
    """Return everything that is wrong, in the order in which a sender should correct it."""
    return [sentence for check in CHECKS for sentence in check(call)]


def _method(call: Received) -> Iterator[str]:
    if call.callback.method != "POST":
        yield f"it was sent with {call.callback.method}: send it with POST"


def _media_type(call: Received) -> Iterator[str]:
    given = gateway.media_type(call.callback.headers)
    if given == "application/json":
        return
    is_json = call.callback.body.lstrip()[:1] == b"{"
    only = "the body is JSON already, only the header is wrong: " if is_json else ""
    said = f'its Content-Type is "{given[:60]}"' if given else "it has no Content-Type, or more than one"
    yield f"{said}; {only}send Content-Type: application/json"


def _path(call: Received) -> Iterator[str]:
    suffix = call.callback.suffix.strip("/")
    if suffix not in SUFFIXES:
        guess = next((guess for guess, matches in PATHS.items() if matches(suffix)), "")
        where = f'"/{suffix}"' if len(suffix) <= 60 else f"{len(suffix)} characters"
        yield f"behind the callback address is {where}{': ' + guess if guess else ''}; {RIGHT_PATH}"


RIGHT_PATH = "post to the callback address as it was given, or with /pay/callback behind it"

PATHS: Mapping[str, Callable[[str], bool]] = {
    "the braces of a placeholder are still in it": lambda path: "{" in path or "%7b" in path.lower(),
    "a slash is doubled": lambda path: "//" in path and re.sub("/+", "/", path) in SUFFIXES,
    "capital letters count": lambda path: path.lower() in SUFFIXES,
    "/pay/callback was put behind an address that ends in it already": lambda path: (
        re.fullmatch(r"(pay/callback/?)+", path) is not None
    ),
    "that is the path of API-1": lambda path: path == "pay/url",
    "the whole address is in it once more": lambda path: "callbacks/" in path or "http" in path,
    "a part of the path is missing": lambda path: path in ("pay", "callback"),
    "pay/callback is meant": lambda path: bool(difflib.get_close_matches(path, ["pay/callback"], cutoff=0.7)),
}
"""Mistakes in the path, by how they look."""


def _address(call: Received) -> Iterator[str]:
    remote = call.callback.remote
    if call.config.may_call(remote):
        return
    allowed = ", ".join(call.config.source_addresses)
    yield f"it came from {remote}, source_addresses allows {allowed}"
    try:
        is_near = ip_address(remote).is_private
    except ValueError:
        is_near = False
    if is_near:
        yield f"{remote} looks like your own proxy: {_what_its_proxy_needs(call)}"


def _what_its_proxy_needs(call: Received) -> str:
    """Return what to change when a proxy's address hides the sender's."""
    hops = ",".join(gateway.header(call.callback.headers, "X-Forwarded-For")).split(",")
    try:
        ip_address(hops[-1].strip())
    except ValueError:
        return (
            "it sent no usable X-Forwarded-For: add proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for"
            " (nginx), and name it in server.trusted_proxies if it is not there yet"
        )
    return "name it in server.trusted_proxies, so that the sender's address is seen"


def _token(call: Received) -> Iterator[str]:
    given = gateway.header(call.callback.headers, TOKEN_HEADER)
    if len(given) > 1:
        yield f"{TOKEN_HEADER} was sent {len(given)} times: send it once"
    if given:
        return
    yield f"the header {TOKEN_HEADER} is missing"
    yield from (f"{place}: send it in the header {TOKEN_HEADER}" for place in _elsewhere(call))


def _elsewhere(call: Received) -> Iterator[str]:
    """Find the token where it does not belong."""
    for name, value in call.callback.headers:
        shown = f"the header {name}" if PLAIN.fullmatch(name) else "another header"
        if any(token in value for token in call.tokens):
            yield f"the token is in {shown}"
        elif re.sub("[-_]", "", name.lower()) in OTHER_HEADERS:
            yield f"{shown} was sent in its place, and holds another token"
    if any(token in unquote_plus(call.callback.query) for token in call.tokens):
        yield "the token is in the query string"
    for name, value in call.members.items():
        if isinstance(value, str) and any(token in value for token in call.tokens):
            yield (f'the token is in the body, in "{name}"' if PLAIN.fullmatch(name) else "the token is in the body")


def _body(call: Received) -> Iterator[str]:
    yield from call.reading.faults
    if call.reading.members is None and not call.reading.faults:
        yield "the body is not a JSON object"


def _shape(call: Received) -> Iterator[str]:
    for name, value in call.members.items():
        if isinstance(value, dict | list) and value:
            kind = "an object" if isinstance(value, dict) else "a list"
            yield f"member {name[:64]!r} is {kind}: send texts, numbers and booleans only, at the top level"
        elif isinstance(value, str) and re.search(r"&[A-Za-z_][A-Za-z0-9_.-]*=", value):
            yield f'member {name[:64]!r} holds "&name=": it would be read as a member of its own'


def _sign(call: Received) -> Iterator[str]:
    if call.reading.members is None or call.members.get("sign") is not None:
        return
    alike = _alike("sign", call.members) or next((name for name in SIGN_NAMES if name in _lower(call.members)), None)
    if alike is not None:
        yield f'no member "sign": "{alike}" is there; the signature\'s member is called "sign"'
    elif not _is_psp(call):
        yield 'no member "sign", no "merchant_id", no "order_no": this is not PSP Open API'
    else:
        yield 'no member "sign": an unsigned callback is not PSP Open API; sign it as the documentation says'


def _is_psp(call: Received) -> bool:
    """Return whether the members look like those of API-2 at all."""
    return bool(call.members.keys() & {"merchant_id", "order_no", "sign"})


def _names(call: Received) -> Iterator[str]:
    for name in REQUIRED if _is_psp(call) else ():
        if name in call.members:
            continue
        alike = _alike(name, call.members)
        if call.renamed.get(name) in call.members:
            yield f'"{name}" is missing: "{call.renamed[name]}" is its name in API-1 only, names in API-2 are fixed'
        else:
            yield f'"{name}" is missing' + (f': is "{alike}" meant? Names are as written here' if alike else "")


def _alike(name: str, members: Mapping[str, Any]) -> str | None:
    """Find a member that looks like a misspelling of one that is missing."""
    plain = {re.sub("[^a-z]", "", key.lower()): key for key in members if PLAIN.fullmatch(key)}
    wanted = name.replace("_", "")
    free = {word: key for word, key in plain.items() if key not in (*REQUIRED, "sign")}
    close = [wanted] if wanted in free else difflib.get_close_matches(wanted, [*free], n=1, cutoff=0.75)
    return free[close[0]] if close else None


def _lower(members: Mapping[str, Any]) -> set[str]:
    return {key.lower() for key in members}


def _values(call: Received) -> Iterator[str]:
    members = dict(call.members)
    for name, value in members.items():
        if call.reading.is_form and isinstance(value, str) and NUMBER.fullmatch(value):
            members[name] = gateway.JsonNumber(value)  # a form has no JSON numbers: this is not text by mistake
    for name in callback.unusable(*callback.observe(members, members)):
        if name in members:
            yield unusable_values.describe(name, members[name])


def _merchant(call: Received) -> Iterator[str]:
    given = call.members.get("merchant_id")
    if given is None or given in call.merchant_ids:
        return
    wanted = call.merchant_ids[0]
    if isinstance(given, str) and given in call.others:
        yield f"merchant_id is that of {call.others[given]}: send {wanted}"
    elif isinstance(given, str) and _bare(given) == _bare(wanted):
        yield f"merchant_id is written in another way: send {wanted}"
    else:
        yield f"merchant_id is {unusable_values.quoted(given)}: send {wanted}"


def _bare(text: str) -> str:
    return re.sub("[^0-9a-z]", "", text.lower())


CHECKS: tuple[Callable[[Received], Iterator[str]], ...] = (
    _method,
    _media_type,
    _path,
    _address,
    _token,
    _body,
    _shape,
    _sign,
    _names,
    _merchant,
    _values,
)
