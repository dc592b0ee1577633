"""An authenticated request as handlers see it: its JSON body as one of our types, its idempotency key, its pages."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web
from msgspec.structs import replace

from gateway.core import body_reader, strictjson
from gateway.core.body_maps import mapped_request
from gateway.core.card_data import refuse_card_data
from gateway.core.card_numbers import without_card_numbers
from gateway.core.documents import amount_hook
from gateway.core.errors import TenantError, invalid, merged, refusals_of
from gateway.core.masking import Mask
from gateway.core.text_checks import may_need_checks
from gateway.core.wording import unknown_name
from gateway.drivers.settings import OperatorKey, Tenant
from gateway.drivers.store.approvals import Approval
from gateway.drivers.store.rows import PageRequest
from gateway.flows import audit
from gateway.flows.masks import Masks
from gateway.flows.payments.idempotency import Claim
from gateway.flows.runtime import Gateway
from gateway.web.app_keys import ABOUT, GATEWAY, LIMITS, TURNS
from gateway.web.body_maps import NO_MAPS, NamedMaps, renamed_rows
from gateway.web.leaked_secrets import refuse_secrets
from gateway.web.paging import SLICE, Page, page_of
from gateway.web.query_parameters import refuse_backwards
from gateway.web.responses import JSON, Reply

BODY_LIMIT = 64 * 1024
"""Bytes of a request body, of tenants and operators."""

ROWS_PER_REQUEST = 20
"""Rows read or sent again that count as one more request of a tenant's rate."""

TOO_SLOW = "the body did not arrive in time"

NO_KEY = "send an Idempotency-Key header: a new value such as a UUID for each thing you want done"
BAD_KEY = "an Idempotency-Key is 8 to 128 of A-Z a-z 0-9 _ -, such as a UUID"

_KEY = re.compile(r'"?([A-Za-z0-9_-]{8,128})"?')
_NOT_OF_A_KEY = re.compile(r"[^A-Za-z0-9_-]")

Actor = Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None
"""The name that an operator gives in a body; kept with the decision beside the id of the key, which is proved."""

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")
S = TypeVar("S", bound=PageRequest)

Check = Callable[[T], Sequence[TenantError]]
"""Checks the content of a body of which some members may be None because they could not be read."""


class Body(NamedTuple):
    """A parsed body, {} where none was sent. ``is_plain``: no text in it is blank or holds a control character."""

    data: Any
    is_plain: bool = True


NO_BODY = Body({})


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose caller is known and whose body is read. ``path`` is the route's pattern."""

    gw: Gateway
    request: web.Request
    path: str
    sent: Body

    @property
    def query(self) -> dict[str, str]:
        """The query parameters that are not empty."""
        return {name: value for name, value in self.request.query.items() if value}

    @property
    def id(self) -> str:
        """The id or name in the path, where a route has one."""
        (only,) = self.request.match_info.values()
        return only


class TenantCall(Call, frozen=True, kw_only=True):
    """A request of a tenant."""

    tenant: Tenant
    maps: NamedMaps = NO_MAPS

    @property
    def turn(self) -> asyncio.Lock:
        """Held while a long list is read or written: one at a time for each tenant, so that it delays no other."""
        return self.request.app[TURNS][self.tenant.id]

    def charge(self, rows: int) -> None:
        """Count the request by the rows that it has read or written."""
        self.request.app[LIMITS].charge(self.tenant, rows // ROWS_PER_REQUEST)

    async def page(
        self,
        read: Callable[[S], Awaitable[Sequence[R]]],
        wanted: S,
        show: Callable[[R], Any],
        *,
        id_of: Callable[[R], str] = attrgetter("id"),
    ) -> Reply:
        """Answer one page of a list, in the tenant's turn, and count its rows."""
        show = renamed_rows(self.tenant, self.maps, show)
        most_bytes, pauses = self.gw.settings.limits.page_bytes, self.maps.reply is not None
        async with self.turn:
            page = await page_of(read, wanted, show, id_of=id_of, most_bytes=most_bytes, pauses=pauses)
        self.charge(len(page.data))
        await refuse_unknown_account(read, wanted, page, lambda: self.tenant.accounts)
        return Reply(view=page)

    def note_account(self, name: str | None) -> None:
        """Note for the log which account the request is about, if the tenant has it."""
        if name in self.tenant.accounts:
            self.request[ABOUT]["account"] = name

    def body(self, wanted: type[T], check: Check[T] | None = None) -> T:
        """Read the body as one of our types. Raises ``validation_failed`` naming every member that is wrong."""
        if self.maps is NO_MAPS:
            return body_as(self.sent, wanted, check)
        return mapped_body_as(self.maps.require(), self.sent, wanted, check)

    def claim(self) -> Claim:
        """Read the idempotency key. Requests with equal fingerprints are equal: method, path, body and its map's name.

        The body as it was posted: what a map makes of it may change with the settings, the request does not.
        """
        key = _idempotency_key(self.request, self.gw.masks)
        named = () if self.maps.request is None else (self.maps.request.name,)
        parts = (self.request.method, self.path, sorted(self.request.match_info.items()), self.sent.data, *named)
        fingerprint = hashlib.sha256(strictjson.canonical(parts)).hexdigest()
        return Claim(tenant=self.tenant.id, idempotency_key=key, fingerprint=fingerprint)


class OperatorCall(Call, frozen=True, kw_only=True):
    """A request of an operator, with the key that was sent."""

    key: OperatorKey

    @property
    def by(self) -> audit.Actor:
        """Who acts, for the audit trail."""
        return audit.Actor(key_id=self.key.id, key_name=self.key.name)

    def actor(self, named: str | None) -> str:
        """Who acts, for a payment's timeline: the id of the key and the name that was given: ``k1 (dana@example)``."""
        return self.key.id if named is None else f"{self.key.id} ({named})"

    def act(self, *, actor: str | None = None, reason: str | None = None, **about: Any) -> audit.Act:
        """This call for the audit trail; its name is the path without ids: ``reviews.resolve``."""
        return audit.Act(name=act_of(self.path), by=replace(self.by, given=actor), reason=reason, **about)

    def tenants(self, *others: str) -> list[str]:
        """The tenant that the query names, or all. ``others`` and what it raises as of ``tenants_named``."""
        return self.tenants_named(self.query.get("tenant"), "tenant", *others)

    def tenants_named(self, tenant: str | None, field: str, *others: str) -> list[str]:
        """The named tenant, or all. ``others``: names beside those of the settings.

        Raises ``validation_failed`` for one that is not in the settings.
        """
        tenants = (*self.gw.settings.tenants, *others)
        if tenant is not None and tenant not in tenants:
            raise invalid((field, f"is not in the settings; known are {', '.join(tenants)}"))
        return [tenant] if tenant is not None else [*tenants]

    async def page(
        self,
        read: Callable[[S], Awaitable[Sequence[R]]],
        wanted: S,
        show: Callable[[R], Any],
        *,
        id_of: Callable[[R], str] = attrgetter("id"),
        slice_of: int = SLICE,
    ) -> Reply:
        """Answer one page of a list."""
        most_bytes = self.gw.settings.limits.page_bytes
        page = await page_of(read, wanted, show, id_of=id_of, most_bytes=most_bytes, slice_of=slice_of)
        await refuse_unknown_account(
            read, wanted, page, lambda: {*chain(*(self.gw.tenant(one).accounts for one in self.tenants()))}
        )
        return Reply(view=page)

    def body(self, wanted: type[T]) -> T:
        """Read the body as one of our types, without card numbers. Raises ``validation_failed``."""
        body = body_as(self.sent, wanted, lambda body: refusals_of(partial(refuse_card_data, body)))
        refuse_card_data(body)
        refuse_backwards(getattr(body, "since", None), getattr(body, "until", None), "$.since", "$.until")
        return body


async def refuse_unknown_account(
    read: Callable[[S], Awaitable[Sequence[R]]], wanted: S, page: Page, known: Callable[[], Collection[str]]
) -> None:
    """Refuse an empty list of an account that is not there. One that has left the settings may still have rows."""
    only: dict[str, Any] = {"limit": 1, "account": getattr(wanted, "account", None)}
    if only["account"] is None or page.data or only["account"] in (accounts := sorted(known())):
        return
    if not await read(type(wanted)(**only)):
        raise invalid(("account", unknown_name(only["account"], accounts, "is not one of the accounts")))


class ApprovedCall(OperatorCall, frozen=True, kw_only=True):
    """What another key has asked for, done now: ``key`` is the one that approves it. It has no query."""

    asked: Approval

    @property
    def by(self) -> audit.Actor:
        """Who asked, and who approved it."""
        asked = self.asked
        return audit.Actor(key_id=asked.key_id, key_name=asked.key_name, approved_by=self.key.id, approval_id=asked.id)

    @property
    def id(self) -> str:
        """The id that was in the path."""
        return self.asked.target or ""

    def actor(self, named: str | None) -> str:
        """Both, for a payment's timeline: ``k1 (dana@example), approved by k2``."""
        asked = self.asked.key_id
        return f"{asked if named is None else f'{asked} ({named})'}, approved by {self.key.id}"


def act_of(path: str) -> str:
    """What the audit trail calls a route: ``/admin/v1/reviews/{payment_id}/resolve`` is ``reviews.resolve``."""
    return ".".join(part for part in path.split("/")[3:] if not part.startswith("{"))


async def read_body(request: web.Request, masks: Sequence[Mask]) -> Body:
    """Read and parse a JSON body. Raises the error that fits; a body that arrives too slowly is cut off.

    A body that holds a key, or a secret that one of ``masks`` knows, is refused.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise TenantError("unsupported_media_type", "the body must not be compressed")
    data = await _bytes_of(request)
    if not data:
        return NO_BODY
    if request.headers.get("Content-Type") != JSON and request.content_type != JSON:
        raise TenantError("unsupported_media_type", "send the body as application/json, with that Content-Type")
    return parsed(data, masks)


def parsed(data: bytes, masks: Sequence[Mask]) -> Body:
    """Parse a JSON body. Raises ``malformed_json``, or ``validation_failed`` where it holds a key or a secret."""
    refuse_secrets(data, masks)
    try:
        return Body(strictjson.loads_exact(data), is_plain=not may_need_checks(data))
    except strictjson.NotStrictJson as problem:
        raise TenantError("malformed_json", without_card_numbers(str(problem))) from None


def arrived_body(request: web.Request, limit: int) -> bytes | None:
    """The body, if all of it came with the head, as nearly always, and is not too large: it needs no timer."""
    content = request.content
    return content.read_nowait() if content.is_eof() and content.total_bytes <= limit else None


async def _bytes_of(request: web.Request) -> bytes:
    try:
        arrived = arrived_body(request, BODY_LIMIT)
        if arrived is not None:
            return arrived
        async with asyncio.timeout(request[GATEWAY].settings.timeouts.request_body):
            return await request.read()
    except TimeoutError:
        raise TenantError("request_timeout", TOO_SLOW) from None
    except (ConnectionError, web.RequestPayloadError):
        raise TenantError("request_timeout", "the body broke off before its end") from None


def body_as(body: Body, wanted: type[T], check: Check[T] | None = None) -> T:
    """Convert a body. Where its shape is wrong ``check`` runs too, so that one answer names everything."""
    if body.is_plain:
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(body.data, wanted, dec_hook=amount_hook)
    read, problems = body_reader.read(body.data, wanted)
    if read is not None and not problems:
        return read
    raise merged(invalid(*problems), *(check(read) if check is not None and read is not None else ()))


def mapped_body_as(maps: NamedMaps, sent: Body, wanted: type[T], check: Check[T] | None = None) -> T:
    """Convert the body that the request map makes of what was sent; what was sent, if there is no map."""
    if maps.request is None:
        return body_as(sent, wanted, check)
    made, problems = mapped_request(maps.request, sent.data, maps.budget)
    body = Body(made, is_plain=not may_need_checks(strictjson.dumps(made)))
    read = partial(body_as, body, wanted, check)
    if problems:
        raise merged(invalid(*problems), *refusals_of(read))
    return read()


def _idempotency_key(request: web.Request, masks: Masks) -> str:
    """Read ``Idempotency-Key``. A secret is refused, because the key is stored as it is."""
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
    """Describe an unusable key by its count, one character or its length; the rest may be a secret and is not shown."""
    if len(given) > 1:
        return f"{len(given)} were sent"
    key = given[0].strip().removeprefix('"').removesuffix('"')
    wrong = _NOT_OF_A_KEY.search(key)
    if wrong is None:
        return f"yours has {len(key)} characters" if not 8 <= len(key) <= 128 else "yours has one quote"
    character = wrong[0]
    return f'yours holds "{character}"' if " " < character <= "~" else "yours holds a blank or another such character"
