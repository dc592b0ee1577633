"""A tenant's route as data: the server registers it and ``openapi`` documents it from the same line."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web

from gateway.core import body_reader, strictjson
from gateway.core.card_numbers import without_card_numbers
from gateway.core.documents import amount_hook
from gateway.core.errors import TenantError, invalid, together
from gateway.core.masking import Mask
from gateway.core.text_checks import may_need_checks
from gateway.core.view_types import PaymentView
from gateway.core.views import to_json
from gateway.drivers.settings import Rate, Tenant
from gateway.drivers.store.rows import PageRequest
from gateway.flows.masks import Masks
from gateway.flows.payments.idempotency import Answer, Claim, refuse_other_request
from gateway.flows.runtime import Gateway
from gateway.web.bearer import refuse_expired, sent_key_hash, unknown_key
from gateway.web.bodies import body_response
from gateway.web.connections import note_proof
from gateway.web.keys import ABOUT, GATEWAY, IS_PROVED, LIMITS, TURNS, WORK
from gateway.web.misplaced import refuse_secrets
from gateway.web.paging import page_of
from gateway.web.parameters import refuse_unknown

BODY_LIMIT = 64 * 1024
"""Bytes of a tenant's request body."""

ROWS_OF_ONE_REQUEST, BYTES_OF_ONE_REQUEST = 20, 8 * 1024
"""What weighs as much as a request itself in a tenant's rate: rows shown or sent again, bytes of a body."""

JSON = "application/json"

TOO_SLOW = "the body did not arrive in time"

NO_KEY = "send an Idempotency-Key header: a new value such as a UUID for each thing you want done"
BAD_KEY = "an Idempotency-Key is 8 to 128 of A-Z a-z 0-9 _ -, such as a UUID"

_KEY = re.compile(r'"?([A-Za-z0-9_-]{8,128})"?')
_NOT_OF_A_KEY = re.compile(r"[^A-Za-z0-9_-]")

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
S = TypeVar("S", bound=PageRequest)


Judge = Callable[[T], Sequence[TenantError]]
"""What content rules say of a body of which some members may be None because they could not be read."""


class Read(NamedTuple):
    """A parsed body, {} for none. ``is_plain``: no text in it is blank or holds a control character."""

    data: Any
    is_plain: bool = True


NO_BODY = Read({})


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One query parameter, for the document. ``schema`` may be an enumeration."""

    name: str
    description: str
    schema: Mapping[str, Any] | type = msgspec.field(default_factory=lambda: {"type": "string"})


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler answers: a status, and a view or bytes that are one already."""

    view: Any
    status: int = 200


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated tenant's request."""

    gw: Gateway
    tenant: Tenant
    request: web.Request
    route: Route
    read: Read

    @property
    def payment_id(self) -> str:
        """The payment the path names."""
        return self.request.match_info["id"]

    @property
    def turn(self) -> asyncio.Lock:
        """Held while something long is read or written for a tenant: one at a time, so that it delays no other."""
        return self.request.app[TURNS][self.tenant.id]

    def charge(self, rows: int) -> None:
        """Weigh the request by the rows it has read or written."""
        _charge(self.request, self.tenant, rows // ROWS_OF_ONE_REQUEST)

    async def page(
        self,
        read: Callable[[S], Awaitable[Sequence[R]]],
        wanted: S,
        show: Callable[[R], Any],
        *,
        id_of: Callable[[R], str] = attrgetter("id"),
    ) -> Reply:
        """One page of a list, in the tenant's turn and weighed by what it shows."""
        async with self.turn:
            page = await page_of(read, wanted, show, id_of=id_of, most_bytes=self.gw.settings.limits.page_bytes)
        self.charge(len(page.data))
        return Reply(view=page)

    def note_account(self, name: str | None) -> None:
        """Note for the log which account the request is about, if the tenant has it."""
        if name in self.tenant.accounts:
            self.request[ABOUT]["account"] = name

    def noted(self, reply: Reply | Answer) -> Reply | Answer:
        """A reply as it is, after noting for the log which payment and account it is about."""
        if isinstance(reply, Answer):
            self.request[ABOUT]["payment_id"] = reply.payment_id
        elif isinstance(reply.view, PaymentView):
            self.note_account(reply.view.account)
        return reply

    def body(self, wanted: type[T], judge: Judge[T] | None = None) -> T:
        """The body as one of our types; see ``read_as``."""
        return read_as(self.read, wanted, judge)

    def claim(self) -> Claim:
        """The request under its idempotency key; equal requests have equal fingerprints."""
        key = idempotency_key(self.request, self.gw.masks)
        parts = (self.request.method, self.route.path, sorted(self.request.match_info.items()), self.read.data)
        said = strictjson.canonical(parts)
        return Claim(tenant=self.tenant.id, idempotency_key=key, fingerprint=hashlib.sha256(said).hexdigest())


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One route for tenants, with what the document says of it.

    ``name`` is what clients call it, ``tag`` the group it stands in, ``summary`` a title, ``text`` a sentence or two.
    ``answers`` has an example for each success status, a value of the type that is answered; ``sends`` is an example of
    the body, ``sends_any`` are several by what they are about. ``codes`` are its own error codes.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[Reply | Answer]]
    name: str
    tag: str
    summary: str
    text: str
    answers: Mapping[int, msgspec.Struct]
    body: type | None = None
    sends: Mapping[str, Any] = msgspec.field(default_factory=dict)
    sends_any: Mapping[str, Mapping[str, Any]] = msgspec.field(default_factory=dict)
    query: tuple[Query, ...] = ()
    codes: tuple[str, ...] = ()
    is_idempotent: bool = False


def serve(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make the aiohttp handler of a route: authenticate, read, call, answer."""

    parameters = [query.name for query in route.query]

    async def handle(request: web.Request) -> web.StreamResponse:
        gw = request.app[GATEWAY]
        tenant = authenticate(gw, request)
        request[IS_PROVED] = True
        if tenant.rate_limit is not None:
            wait = request.app[LIMITS].tenants.take(tenant.id, tenant.rate_limit)
            if wait:
                raise TenantError("rate_limited", _rate_text(tenant.rate_limit), retry_after=wait)
        note_proof(request)
        if request.query_string:
            refuse_unknown(request.query, parameters)
        read = await read_json(request, [gw.masks.of(tenant.id)]) if route.body is not None else NO_BODY
        _charge(request, tenant, request.content.total_bytes // BYTES_OF_ONE_REQUEST)
        call = Call(gw=gw, tenant=tenant, request=request, route=route, read=read)
        with request.app[WORK].of(tenant.id):
            try:
                return respond(call.noted(await route.handler(call)))
            except TenantError as refusal:
                if route.is_idempotent and refusal.code == "validation_failed":
                    await refuse_other_request(gw, call.claim())
                raise

    return handle


def _rate_text(rate: Rate) -> str:
    return f"at most {rate.per_second:g} requests per second ({rate.burst} at once) for this tenant"


def _charge(request: web.Request, tenant: Tenant, tokens: int) -> None:
    if tokens and tenant.rate_limit is not None:
        rate = tenant.rate_limit
        request.app[LIMITS].tenants.charge(tenant.id, rate, tokens, debt=rate.burst)


def respond(reply: Reply | Answer) -> web.Response:
    """A handler's reply as HTTP."""
    if isinstance(reply, Answer):
        headers = {"Idempotency-Replayed": "true"} if reply.is_replayed else {}
        return body_response(reply.body, JSON, status=reply.status, headers=headers)
    return body_response(to_json(reply.view), JSON, status=reply.status)


def authenticate(gw: Gateway, request: web.Request) -> Tenant:
    """The tenant comes only from the credential. Raises ``unauthorized``."""
    sent = sent_key_hash(request)
    found = gw.settings.keys_by_sha256.get(sent)
    if found is None:
        raise unknown_key(sent, "tenant")
    tenant, key = found
    request[ABOUT]["tenant"] = tenant
    refuse_expired(key, gw.clock.now(), request[ABOUT])
    return gw.settings.tenants[tenant]


def idempotency_key(request: web.Request, masks: Masks) -> str:
    """The ``Idempotency-Key``. Raises when it is missing or is none: it is stored, so it must not be a secret."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        raise TenantError("idempotency_key_required", NO_KEY)
    found = _KEY.fullmatch(given[0].strip()) if len(given) == 1 else None
    if found is None or given[0].strip().startswith('"') != given[0].strip().endswith('"'):
        raise TenantError("invalid_idempotency_key", f"{BAD_KEY}; {_what_is_wrong(given)}")
    if masks.is_secret(found.group(1)):
        raise TenantError("invalid_idempotency_key", "an Idempotency-Key must not be a key or a secret")
    return found.group(1)


def _what_is_wrong(given: Sequence[str]) -> str:
    """What a key has that it must not have: its number, a character, or its length. Nothing else of it is shown."""
    if len(given) > 1:
        return f"{len(given)} were sent"
    key = given[0].strip().removeprefix('"').removesuffix('"')
    wrong = _NOT_OF_A_KEY.search(key)
    if wrong is None:
        return f"yours has {len(key)} characters" if not 8 <= len(key) <= 128 else "yours has one quote"
    character = wrong[0]
    return f'yours holds "{character}"' if " " < character <= "~" else "yours holds a blank or another such character"


async def read_json(request: web.Request, masks: Sequence[Mask]) -> Read:
    """The parsed body. Raises the problem that fits; a body that drips too long is cut off.

    One that holds a key, or a secret that one of ``masks`` knows, is refused.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise TenantError("unsupported_media_type", "the body must not be compressed")
    try:
        async with asyncio.timeout(request.app[GATEWAY].settings.timeouts.request_body):
            data = await request.read()
    except TimeoutError:
        raise TenantError("request_timeout", TOO_SLOW) from None
    except (ConnectionError, web.RequestPayloadError):
        raise TenantError("request_timeout", "the body broke off before its end") from None
    if not data:
        return NO_BODY
    if request.content_type != JSON:
        raise TenantError("unsupported_media_type", "send the body as application/json, with that Content-Type")
    refuse_secrets(data, masks)
    try:
        return Read(strictjson.loads_exact(data), is_plain=not may_need_checks(data))
    except strictjson.NotStrictJson as problem:
        raise TenantError("malformed_json", without_card_numbers(str(problem))) from None


def read_as(read: Read, wanted: type[T], judge: Judge[T] | None = None) -> T:
    """A body as one of our types. Raises ``validation_failed`` naming every member that cannot be used.

    Where the shape is wrong already, ``judge`` says what else is, so that one answer names everything.
    """
    if read.is_plain:
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(read.data, wanted, dec_hook=amount_hook)
    body, problems = body_reader.read(read.data, wanted)
    if body is not None and not problems:
        return body
    raise together(invalid(*problems), *(judge(body) if judge is not None and body is not None else ()))
