"""Run a page of the documentation: its shell blocks in one shell, against the shipped settings and both simulators.

A ``json`` block is the last document that the shell block before it printed, a ``text`` block is all of it. ``"…"``
stands for anything, a ``…`` in a text for any part of it; members of JSON that the page leaves out are not compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from gateway.cli.hosting import bind, hosted, simulating
from gateway.cli.loading import load
from gateway.web.server import Running, running
from tests.support.docs_pages import fenced, text_of

LONGEST = 60.0
"""Seconds one page may take."""

_PORT = re.compile(r"\b(8080|8081|9101|9102|9110|9120)\b")

Webhooks = asyncio.Queue[tuple[dict[str, str], bytes]]
"""Headers and body of each webhook, in order of arrival."""


class Step(NamedTuple):
    """A shell block, and what the page shows as its output: a text, or the JSON it printed last."""

    script: str
    text: str | None = None
    json: str | None = None


def steps(page: str) -> list[Step]:
    """The shell blocks of a page, in order; what runs until Ctrl-C, or for minutes, is not one."""
    return steps_in(text_of(page))


def steps_in(text: str) -> list[Step]:
    """The shell blocks of a page's text or of a part of it."""
    found: list[Step] = []
    for language, body in fenced(text):
        if language == "sh" and not body.startswith("make "):
            found.append(Step(body))
        elif language in ("json", "text") and found:
            found[-1] = found[-1]._replace(**{language: body})
    return found


@contextlib.asynccontextmanager
async def shipped_settings_running(folder: Path) -> AsyncIterator[tuple[Running, Mapping[str, int]]]:
    """The gateway, both simulators and a receiver of webhooks with the settings of the repository; and their ports."""
    async with settings_running(text_of("settings.yaml"), folder / "settings.yaml") as started:
        yield started


@contextlib.asynccontextmanager
async def settings_running(
    text: str, path: Path, received: Webhooks | None = None
) -> AsyncIterator[tuple[Running, Mapping[str, int]]]:
    """The same with any settings, written to ``path``. ``received`` is given each webhook's headers and body."""
    sockets = {name: bind(0) for name in ("creditkey", "psp_open_api", "hooks")}
    bound = {name: socket.getsockname()[1] for name, socket in sockets.items()}
    ports = {"8080": 0, "8081": 0, "9101": bound["creditkey"], "9102": bound["psp_open_api"], "9110": bound["hooks"]}
    path.write_text(on_ports(text, ports))  # noqa: ASYNC240  # before anything runs
    loaded = load(path)
    simulated = {name: sockets[name] for name in ("creditkey", "psp_open_api")}
    async with (
        hosted(_receiver(Webhooks() if received is None else received), sockets["hooks"]),
        running(loaded.settings, loaded.registry) as server,
        simulating(loaded, simulated, server.gateway.callback_url),
    ):
        ports |= {"8080": port_of(server.url), "8081": port_of(server.admin_url)}
        # Commands read the file: they must see real ports.
        path.write_text(on_ports(text, ports))  # noqa: ASYNC240
        yield server, ports


def _receiver(received: Webhooks) -> web.Application:
    """Takes every webhook."""

    async def take(request: web.Request) -> web.Response:
        received.put_nowait((dict(request.headers), await request.read()))
        return web.Response(status=204)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    return app


def port_of(url: str) -> int:
    """The port of one of our own addresses."""
    return int(url.rpartition(":")[2])


async def perform(scripts: list[str], ports: Mapping[str, int], folder: Path) -> list[str]:
    """Run shell blocks one after the other in one shell, as they stand but for the ports; what each printed."""
    marked = "\n".join(f"echo; echo '@@ next @@'\n{script}" for script in scripts)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-eu", "-c", on_ports(marked, ports)),
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=PIPE,
        stderr=PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(LONGEST):
            printed, errors = await shell.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):  # what a page left running
            os.killpg(shell.pid, signal.SIGKILL)
    assert shell.returncode == 0, f"{printed.decode()[-2000:]}\n{errors.decode()[-2000:]}"
    return printed.decode().split("\n@@ next @@\n")[1:]


def on_ports(text: str, ports: Mapping[str, int]) -> str:
    """A text of the documentation with the ports of this run."""
    return _PORT.sub(lambda found: str(ports[found[0]]), text)


def documents_in(text: str) -> list[Any]:
    """JSON documents that follow each other."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def differences(shown: Any, printed: Any, path: str = "$") -> list[str]:
    """Where what a page shows is not what was printed."""
    match shown, printed:
        case "…", _:
            return []
        case dict(), dict():
            lost = [f"{path}.{name}: not printed" for name in shown if name not in printed]
            common = ((f"{path}.{name}", value, printed[name]) for name, value in shown.items() if name in printed)
            return lost + [line for place, one, other in common for line in differences(one, other, place)]
        case [*wanted, "…"], [*rows] if len(rows) >= len(wanted):
            return differences(wanted, rows[: len(wanted)], path)
        case list(), list() if len(shown) == len(printed):
            pairs = enumerate(zip(shown, printed, strict=True))
            return [line for place, pair in pairs for line in differences(*pair, f"{path}[{place}]")]
        case str(), str() if re.fullmatch(".*".join(map(re.escape, shown.split("…"))), printed, re.DOTALL):
            return []
    return [] if shown == printed else [f"{path}: {shown!r} shown, {printed!r} printed"]


async def run_page(page: str, folder: Path) -> list[str]:
    """Run a page against a fresh gateway; the differences between what it shows and what was printed."""
    async with shipped_settings_running(folder) as (_, ports):
        return await run_steps(steps(page), ports, folder)


async def run_alone(page: str, folder: Path) -> list[str]:
    """Run a page that starts everything itself, in an empty folder; the differences as ``run_page``."""
    bound = {port: bind(0) for port in ("8080", "8081", "9102", "9110")}
    ports = {port: socket.getsockname()[1] for port, socket in bound.items()}
    for socket in bound.values():
        socket.close()
    return await run_steps(steps(page), ports, folder)


async def run_steps(wanted: list[Step], ports: Mapping[str, int], folder: Path) -> list[str]:
    """Run shell blocks against a gateway on these ports; the differences between what is shown and what was printed."""
    found: list[str] = []
    printed = await perform([step.script for step in wanted], ports, folder)
    for step, output in zip(wanted, printed, strict=True):
        place = f"after {step.script!r}: $"
        if step.text is not None:
            found += differences(on_ports(step.text.strip(), ports), output.strip(), place)
        if step.json is not None:
            found += differences(json.loads(on_ports(step.json, ports)), (documents_in(output) or [None])[-1], place)
    return found
