"""Calls to the operators' listener of a running gateway, which is the only way to change what a person decides."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
from collections.abc import Callable
from datetime import datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar
from urllib.parse import quote, urlencode

import aiohttp
import click
import msgspec
from yarl import URL

from gateway.cli.loading import config_option, http_url, json_option, load
from gateway.cli.options import combined_options
from gateway.cli.output import print_json
from gateway.core.errors import SettingsError
from gateway.core.secret import Secret
from gateway.core.views import rfc3339
from gateway.web.four_eyes import NeedsApproval
from gateway.web.problems import MEDIA_TYPE

KEY = "GATEWAY_ADMIN_KEY"
"""The environment variable with the operators' key: an argument could be read by everybody on the machine."""

ANSWERED_WITHIN = aiohttp.ClientTimeout(total=30, connect=5)

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A page of a list; ``next_cursor`` is None on the last."""

    data: list[T]
    next_cursor: str | None = None


admin_url_option = click.option(
    "--admin-url", metavar="URL", help="The operators' listener. Default: server.admin in the settings."
)


def listener_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that calls the operators' listener; it is given ``listener`` and ``as_json``."""

    @wraps(command)
    def called(*args: Any, config: Path, admin_url: str | None, **given: Any) -> None:
        command(*args, listener=Operators(config, admin_url), **given)

    return combined_options(admin_url_option, config_option, json_option)(called)


class Operators:
    """The operators' listener of a running gateway. Its key and its address are looked for when it is first asked."""

    def __init__(self, config: Path, admin_url: str | None) -> None:
        self._config, self._admin_url = config, admin_url

    @cached_property
    def key(self) -> Secret:
        """The key that opens it. Raises click's exception where none is set."""
        key = os.environ.get(KEY, "").strip()
        if not (key and key.isascii() and key.isprintable()):
            raise click.ClickException(f"set {KEY} to the operators' key (gateway keys new --admin makes one)")
        return Secret(key)

    @cached_property
    def url(self) -> str:
        """Where it is, e.g. ``http://127.0.0.1:8081``. Settings are read only where no address is given.

        Raises click's usage error for an invalid address.
        """
        return _given(self._admin_url) if self._admin_url is not None else _from_settings(self._config)


class Answer(NamedTuple):
    """A status and a whole body."""

    status: int
    media_type: str
    body: bytes


class _Problem(msgspec.Struct, frozen=True, kw_only=True):
    """What of ``application/problem+json`` is shown; ``detail`` names the fields too."""

    detail: str


def ask(listener: Operators, method: str, path: str, *, body: msgspec.Struct | None = None, wanted: type[T]) -> T:
    """Send one request and read its answer. ``path`` is already encoded.

    An act that another key must approve ends the command with 0. Raises click's exception with one line for any other
    answer.
    """
    answer = asyncio.run(_exchange(listener, method, path, body))
    try:
        if answer.status == 401:
            raise click.ClickException(f"{KEY} is not a key of this gateway, or it has expired")
        if answer.status == 202:
            with contextlib.suppress(msgspec.ValidationError):
                _end_waiting(msgspec.json.decode(answer.body, type=NeedsApproval))
        if answer.status in (200, 202):
            return msgspec.json.decode(answer.body, type=wanted)
        if answer.media_type == MEDIA_TYPE:
            raise click.ClickException(msgspec.json.decode(answer.body, type=_Problem).detail)
    except msgspec.DecodeError:
        pass  # another program is listening there
    raise click.ClickException(f"{listener.url} did not answer as a gateway does (status {answer.status})")


def _end_waiting(asked: NeedsApproval) -> NoReturn:
    context = click.get_current_context()
    if context.params.get("as_json"):
        print_json(asked)
    else:
        click.echo(f"another operator must approve this: gateway approvals approve {asked.approval.id}")
    context.exit()


def path_to(*parts: str) -> str:
    """The path of an operators' route. Its parts are encoded here: some are what the caller typed."""
    return "/".join(("/admin/v1", *(quote(part, safe="") for part in parts)))


def with_query(path: str, **query: str | int | datetime | None) -> str:
    """A path with these query parameters, without those that are None."""
    given = {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in query.items()}
    return f"{path}?{urlencode({name: value for name, value in given.items() if value is not None})}"


def ask_all(listener: Operators, path: str, *, row: type[T], most: float = math.inf) -> list[T]:
    """Read every page of a list of such rows, or those with the first ``most``. Raises as ``ask``."""
    rows: list[T] = []
    wanted = Page[row]  # type: ignore[valid-type]  # made at run time for the decoder
    page = ask(listener, "GET", path, wanted=wanted)
    while page.next_cursor is not None and len(rows) + len(page.data) < most:
        rows += page.data
        joint = "&" if "?" in path else "?"
        page = ask(listener, "GET", f"{path}{joint}cursor={page.next_cursor}", wanted=wanted)
    return [*rows, *page.data]


def _given(url: str) -> str:
    """Check an address. Raises click's usage error."""
    try:
        parts = URL(url)
        fits = parts.scheme in ("http", "https") and bool(parts.host and parts.port) and parts.user is None
    except ValueError:
        fits = False
    if not fits:
        raise click.BadParameter("must look like http://127.0.0.1:8081", param_hint="--admin-url")
    return url.rstrip("/")


def _from_settings(config: Path) -> str:
    try:
        admin = load(config).settings.server.admin
    except SettingsError as wrong:
        raise SettingsError(
            [*wrong.problems, "--admin-url URL asks the running gateway without these settings"]
        ) from None
    if admin.port == 0:
        raise click.UsageError("server.admin.port is 0: pass --admin-url with the address in the server's ready line")
    return http_url(admin.host, admin.port)


async def _exchange(listener: Operators, method: str, path: str, body: msgspec.Struct | None) -> Answer:
    headers = {"Authorization": f"Bearer {listener.key.reveal()}", "Content-Type": "application/json"}
    data = None if body is None else msgspec.json.encode(body)
    url = URL(listener.url + path, encoded=True)
    try:
        async with (
            aiohttp.ClientSession(timeout=ANSWERED_WITHIN) as http,
            http.request(method, url, data=data, headers=headers, allow_redirects=False) as answer,
        ):
            return Answer(answer.status, answer.content_type, await answer.read())
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
        raise click.ClickException(f"cannot connect to {listener.url}: is the gateway running there?") from None
    except (aiohttp.ClientError, TimeoutError):
        raise click.ClickException(f"{listener.url} did not answer: check what happened before you try again") from None
