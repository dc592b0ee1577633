"""``gateway listen``: receive webhooks where the settings send them on this machine, verify them and show them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import msgspec
from aiohttp import web

from gateway.cli.foreground import stop_signal
from gateway.cli.hosting import Address, address_of, bind, hosted, is_here
from gateway.cli.loading import Configuration, config_option, json_option, load, tenants_of
from gateway.cli.output import harmless
from gateway.cli.webhook_verifier import NotVerified, verified
from gateway.core.errors import NotSent
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.flows.runtime import Gateway, Send

DEVELOPMENT_ONLY = "this shows tenants' webhooks: it needs server.development: true, or --outside-development"

ANSWERED, REFUSED, NOT_FOUND = 204, 400, 404
"""What a verified webhook is answered by default, one that cannot be verified, and what comes elsewhere."""


class Endpoint(NamedTuple):
    """Where one tenant's webhooks go, on this machine."""

    tenant: str
    url: str
    secrets: Sequence[str]

    @property
    def address(self) -> Address:
        """Host and port to listen on."""
        return address_of(self.url)


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One request that came. ``why`` is None where it was verified, and ``body`` is its JSON then."""

    at: str
    tenant: str | None
    why: str | None
    answer: int
    body: Any = None


Show = Callable[[Received], None]


@click.command()
@click.option("--tenant", help="Only this tenant's webhooks.")
@click.option(
    "--answer",
    type=click.IntRange(200, 599),
    default=ANSWERED,
    show_default=True,
    metavar="STATUS",
    help="Answer verified webhooks with this status; 503 shows how they are retried.",
)
@click.option("--full", is_flag=True, help="Print each body too.")
@click.option("--outside-development", is_flag=True, help="Listen even if server.development is false.")
@config_option
@json_option
def listen(tenant: str | None, answer: int, full: bool, outside_development: bool, config: Path, as_json: bool) -> None:
    """Receive, verify and show webhooks on this machine.

    Listens where the settings send them, if that is on loopback, until a signal stops it. A webhook that cannot be
    verified is answered 400, with the reason.
    """
    loaded = load(config)
    if not (loaded.settings.server.development or outside_development):
        raise click.UsageError(DEVELOPMENT_ONLY)
    endpoints = endpoints_of(loaded, tenant)
    sockets = {address: bind(address[1], address[0]) for address in {one.address for one in endpoints}}
    show = _print_json if as_json else _print_full if full else print_lines
    asyncio.run(_listen(endpoints, sockets, show, answer))


def endpoints_of(loaded: Configuration, tenant: str | None) -> list[Endpoint]:
    """The endpoints on this machine, of one tenant or of all. Raises click's usage error for none."""
    tenants = {name: loaded.settings.tenants[name].webhook for name in tenants_of(loaded.settings, tenant)}
    found = [
        Endpoint(name, webhook.url, [secret.reveal() for secret in webhook.secrets])
        for name, webhook in tenants.items()
        if webhook is not None and is_here(webhook.url)
    ]
    if not found:
        raise click.UsageError(f"no webhook url of {tenant or 'any tenant'} is http:// on this machine (127.0.0.1)")
    return found


def print_lines(received: Received) -> None:
    """Print what came in two lines: what it is and whether it is believed, then what it says."""
    name = "-" if received.tenant is None else received.tenant
    if received.why is not None:
        click.echo(f"{received.at} {name} refused, answered {received.answer}")
        click.echo(f"         {harmless(received.why)}")
        return
    click.echo(f"{received.at} {name} {received.body['type']} verified, answered {received.answer}")
    click.echo(f"         {harmless(_summary(received.body))}")


def beside_a_gateway(loaded: Configuration) -> Callable[[Gateway], None]:
    """Make a viewer for ``serve``: it shows what a gateway delivers to this machine while nobody listens there.

    It takes no port: a tenant's own server gets its webhooks as soon as it listens. Raises click's usage error.
    """
    if not loaded.settings.server.development:
        raise click.UsageError("--listen needs server.development: true")
    endpoints = endpoints_of(loaded, None)

    def begin(gw: Gateway) -> None:
        gw.deliver = shown_where_refused(gw.deliver, endpoints, print_lines)
        announce(endpoints)

    return begin


def shown_where_refused(deliver: Send, endpoints: Sequence[Endpoint], show: Show) -> Send:
    """The same way out, except that a webhook to one of ``endpoints`` that finds nobody is received here."""
    urls = {one.url for one in endpoints}

    async def send(request: HttpRequest, **how: Any) -> HttpResponse:
        try:
            return await deliver(request, **how)
        except NotSent:
            if request.url not in urls:
                raise
        received = verify_request(endpoints, request, ANSWERED)
        show(received)
        return HttpResponse(status=received.answer)

    return send


def announce(endpoints: Sequence[Endpoint]) -> None:
    """Print one line per tenant: where its webhooks go."""
    for one in endpoints:
        click.echo(f"webhooks {one.tenant} {one.url}")


@contextlib.asynccontextmanager
async def receiving(
    endpoints: Sequence[Endpoint], sockets: Mapping[Address, socket.socket], show: Show, answer: int = ANSWERED
) -> AsyncIterator[None]:
    """Receive webhooks on these sockets for the time of the block."""
    async with contextlib.AsyncExitStack() as stack:
        for address, bound in sockets.items():
            here = [one for one in endpoints if one.address == address]
            await stack.enter_async_context(hosted(_app(here, show, answer), bound))
        yield


def _print_full(received: Received) -> None:
    print_lines(received)
    if received.body is not None:
        for line in msgspec.json.format(msgspec.json.encode(received.body), indent=2).decode().splitlines():
            click.echo(f"         {harmless(line)}")


def _print_json(received: Received) -> None:
    click.echo(msgspec.json.encode(received))


_SHOWN = ("id", "state", "amount", "currency", "merchant_reference")
"""Members of a payment that its line shows."""


def _summary(body: Any) -> str:
    """What a webhook says, for people."""
    data = body["data"]
    payment = data.get("payment")
    if not isinstance(payment, dict) or not payment.keys() >= {*_SHOWN, "version"}:  # a test, or under own names
        return msgspec.json.encode(data).decode() if data else "a test, not about a payment"
    return " ".join((*(payment[name] for name in _SHOWN), f"version {payment['version']}"))


def verify_request(endpoints: Sequence[Endpoint], request: HttpRequest, answer: int) -> Received:
    """Verify one request with the secrets of the tenants whose address it came to."""
    at = datetime.now().astimezone().strftime("%H:%M:%S")
    path = urlsplit(request.url).path
    here = [one for one in endpoints if urlsplit(one.url).path in (path, path.rstrip("/"))]
    if not here or request.method != "POST":
        known = ", ".join(one.url for one in endpoints)
        why = f"{request.method} {path} is not where a tenant's webhooks go: POST to {known}"
        return Received(at=at, tenant=None, why=why, answer=NOT_FOUND)
    why = ""
    for one in here:
        try:
            said = verified(one.secrets, dict(request.headers), request.body)
        except NotVerified as problem:
            why = str(problem)
        else:
            return Received(at=at, tenant=one.tenant, why=None, answer=answer, body=said)
    return Received(at=at, tenant=here[0].tenant, why=why, answer=REFUSED)


def _app(endpoints: Sequence[Endpoint], show: Show, answer: int) -> web.Application:
    async def receive(request: web.Request) -> web.Response:
        headers, body = tuple(request.headers.items()), await request.read()
        came = HttpRequest(method=request.method, url=str(request.url), headers=headers, body=body)
        received = verify_request(endpoints, came, answer)
        show(received)
        return web.Response(status=received.answer, text=received.why)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receive)
    return app


async def _listen(
    endpoints: Sequence[Endpoint], sockets: Mapping[Address, socket.socket], show: Show, answer: int
) -> None:
    with stop_signal() as stop:
        async with receiving(endpoints, sockets, show, answer):
            announce(endpoints)
            await stop.wait()
