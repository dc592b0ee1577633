"""The way through an HTTP proxy (``egress.proxy``), by aiohttp's client. Imported only where a proxy is set.

The proxy resolves names and connects, so it is the proxy that must refuse private networks. An address that is written
out in a URL is refused here as well. aiohttp's redirects, retries, decompression and connection reuse are off.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.sender.failure_words import failure_word
from gateway.drivers.sender.request import Target, headers_of
from gateway.drivers.sender.response_parser import MAX_BODY_BYTES
from gateway.drivers.sender.sender import Progress

if TYPE_CHECKING:
    import ssl

    from aiohttp.client_middlewares import ClientHandlerType

_NEVER_CONNECTED = (
    aiohttp.ClientConnectorError,  # refused, unreachable, DNS, TLS
    aiohttp.ClientHttpProxyError,  # the proxy would not connect
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class _TooLarge(aiohttp.ClientError):
    """The body is longer than ``MAX_BODY_BYTES``."""


class _Dropped(aiohttp.ClientError):
    """The connection ended before the answer began."""


_OUTCOMES: tuple[tuple[type[Exception], str], ...] = (
    (_TooLarge, "too_large"),
    (TimeoutError, "timeout"),
    (aiohttp.ClientResponseError, "bad_http"),
    (aiohttp.ClientError, "connection_lost"),
    (OSError, "connection_lost"),
    (ValueError, "bad_http"),
)
"""What is said of a request that may have arrived; the first kind that fits."""


class _Call:
    """What aiohttp reported of one call: ``is_untouched`` from its start until its headers are about to go out.

    Should a future aiohttp report nothing, then every call counts as written.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.is_untouched = False


class Proxied:
    """Exchanges through the proxy at a URL, each over a connection of its own. ``tls`` is for tests: other roots."""

    def __init__(self, proxy: str, *, cuts_bodies: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self._proxy = URL(proxy)
        self._cuts_bodies = cuts_bodies
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def exchange(
        self, request: HttpRequest, target: Target, progress: Progress, tls: ssl.SSLContext | None = None
    ) -> HttpResponse:
        """Send one request through the proxy and return the whole answer. Raises ``NotSent``, ``OutcomeUnknown``."""
        headers = headers_of(request)
        call = _Call(progress)
        try:
            response = await self._opened().request(
                request.method,
                URL(f"{target.scheme}://{target.authority}{target.path}", encoded=True),  # ``%CKKEY%`` stays
                headers=headers,
                data=request.body or None,
                proxy=self._proxy,
                allow_redirects=False,
                ssl=tls or True,
                trace_request_ctx=call,
            )
            async with response:
                body = await _read(response, cuts=self._cuts_bodies)
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            raise _translated(problem, call) from None
        finally:
            if not call.is_untouched:
                progress.is_written = True
        return HttpResponse(status=response.status, headers=tuple(response.headers.items()), body=body)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._tls or True),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("Content-Type",),
                trace_configs=[_trace()],
                middlewares=(_only_once,),
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, *, cuts: bool) -> bytes:
    """Read the body, stopping at the first chunk over the limit."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            response.close()  # what else comes is not wanted
            if not cuts:
                raise _TooLarge
            break
    return bytes(body[:MAX_BODY_BYTES])


def _translated(problem: Exception, call: _Call) -> ProviderError:
    if call.is_untouched or isinstance(problem, _NEVER_CONNECTED):
        return NotSent("connect_failed", connection=True, why=f"by egress.proxy: {_failure(problem)}")
    return OutcomeUnknown(next(word for kind, word in _OUTCOMES if isinstance(problem, kind)))


def _failure(problem: Exception) -> str:
    """What kept the proxy from being reached, or that the proxy reached nobody."""
    if isinstance(problem, aiohttp.ClientHttpProxyError):
        return f"the proxy answered {problem.status}"
    return failure_word(problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem)


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
        context.trace_request_ctx.is_untouched = True

    async def on_headers(_: aiohttp.ClientSession, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.is_untouched = False
        context.trace_request_ctx.progress.written()

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(on_start)
    trace.on_request_headers_sent.append(on_headers)
    return trace
