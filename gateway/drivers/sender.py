"""Send one request and return the whole answer: the only HTTP client of the gateway, for providers and for webhooks.

Its errors tell "certainly not sent" from "may have arrived"; their messages are fixed words, because the client's own
texts quote the URL and what came back. Nothing is logged here, followed, retried, unpacked or kept.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from yarl import URL

from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.addresses import is_forbidden

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver
    from aiohttp.client_middlewares import ClientHandlerType

BODY_LIMIT = 64 * 1024
"""The largest response body, in bytes as they come off the wire: nothing is decompressed, so nothing can grow."""

# A request on a kept connection that the provider is just closing is "silence after sending", whatever the method.
# Servers keep idle connections for five seconds and more, so one second is far from the edge, and it is all that reuse
# needs: under load a connection waits for milliseconds, without load a handshake costs nobody anything. A close that
# has already arrived is seen by the client; never reusing any would be a handshake per payment.
KEEPALIVE = 1.0

CONNECTIONS_PER_HOST = 100
"""A slow provider can fill its own connections, never those of another; waiting for one counts as connecting."""

_HEADERS = {"User-Agent": "payment-gateway", "Accept-Encoding": "identity"}

_NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,  # refused, unreachable, DNS, TLS, an address of the table
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class AddressNotAllowed(OSError):
    """The host's address is in the table of forbidden ones."""


class _TooLarge(aiohttp.ClientError):
    """The body is longer than ``BODY_LIMIT``."""


class _Dropped(aiohttp.ClientError):
    """The connection ended before the answer began."""


_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (_TooLarge, "too_large"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientResponseError, "bad_http"),
    (aiohttp.ClientError, "connection_lost"),
    (OSError, "connection_lost"),
    (ValueError, "bad_http"),
)
"""What is said of a request that may have arrived; the first kind that fits."""


class _Progress:
    """What is known of one request: ``untouched`` from its start until its headers are handed to the connection."""

    untouched = False


class Sender:
    """One client session, used as ``async with``. ``allow_private`` is for development: any address, plain http.

    ``is_bounded`` False: whoever calls bounds how many requests one host gets at a time. ``cuts_bodies``: of a body
    over the limit its beginning is returned, for who only wants the status; else such an answer is none.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        is_bounded: bool = True,
        cuts_bodies: bool = False,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self._allow_private = allow_private
        self._cuts_bodies = cuts_bodies
        self._per_host = CONNECTIONS_PER_HOST if is_bounded else 0
        self._resolver = resolver

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                limit_per_host=self._per_host,
                keepalive_timeout=KEEPALIVE,
                resolver=self._resolver,
                socket_factory=None if self._allow_private else _guarded_socket,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
            headers=_HEADERS,
            skip_auto_headers=("Content-Type",),
            trace_configs=[_trace()],
            middlewares=(_only_once,),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def send(self, request: HttpRequest, *, total: float, connect: float, owner: str) -> HttpResponse:  # noqa: ARG002  # pools per owner follow
        """Send a request and read the answer, all within ``total`` seconds, ``connect`` of them for a connection.

        Raises ``NotSent`` when no byte of the request left, ``OutcomeUnknown`` in every other case without a whole
        answer. Any status is an answer, a redirect too.
        """
        url = _parsed(request.url)
        if not (self._allow_private or url.scheme == "https"):
            raise NotSent("https_required", connection=True)
        progress = _Progress()
        try:
            async with asyncio.timeout(total):
                return await self._exchange(request, url, progress, connect)
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise _translated(problem, progress) from None

    async def _exchange(self, request: HttpRequest, url: URL, progress: _Progress, connect: float) -> HttpResponse:
        response = await self._session.request(
            request.method,
            url,
            headers=request.headers,
            data=request.body or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=connect),
            trace_request_ctx=progress,
        )
        try:
            body = await _read(response, cuts=self._cuts_bodies)
        except BaseException:
            response.close()
            raise
        return HttpResponse(status=response.status, headers=tuple(response.headers.items()), body=body)


def _parsed(url: str) -> URL:
    """Split an URL without touching its escapes, so that a placeholder such as ``%CKKEY%`` stays one."""
    try:
        return URL(url, encoded=True)
    except ValueError:
        raise NotSent("connect_failed", connection=True) from None


async def _read(response: aiohttp.ClientResponse, *, cuts: bool) -> bytes:
    """Read the body, stopping at the first chunk over the limit."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_LIMIT:
            if not cuts:
                raise _TooLarge
            response.close()  # what else comes is not wanted, and the connection cannot be kept
            return bytes(body[:BODY_LIMIT])
    return bytes(body)


def _translated(problem: Exception, progress: _Progress) -> ProviderError:
    if progress.untouched or isinstance(problem, _NEVER_CONNECTED):
        refused = isinstance(getattr(problem, "os_error", None), AddressNotAllowed)
        return NotSent("address_not_allowed" if refused else "connect_failed", connection=True)
    return OutcomeUnknown(next(word for kind, word in _WORDS if isinstance(problem, kind)))


def _guarded_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Judge the very address this socket is about to connect to: a name may answer differently every time."""
    family, kind, protocol, _, target = address
    if is_forbidden(str(target[0])):
        raise AddressNotAllowed(errno.EACCES, "address not allowed")
    return socket.socket(family=family, type=kind, proto=protocol)


async def _only_once(request: aiohttp.ClientRequest, handler: ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a GET, PUT or DELETE again when the connection drops: it does not for this error."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        raise _Dropped from None


def _trace() -> aiohttp.TraceConfig:
    """Follow a request's progress. aiohttp reports the headers just before it writes their first byte, and only on a
    connection that stands, TLS included: no report, nothing sent."""

    async def on_start(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.untouched = True

    async def on_headers(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.untouched = False

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(on_start)
    trace.on_request_headers_sent.append(on_headers)
    return trace
