"""A real gateway process whose every secret is a canary, servers that quote them, and all its output."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from yarl import URL

from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import Settings, load_settings
from tests.security.canaries import LINKS, SESSIONS, SETTINGS, STRANGERS, Found, Search
from tests.security.quoting_hosts import QuotingHosts
from tests.support.stack import _bound_socket, _serve, basic_settings

PLUGIN = Path(__file__).parent / "canary_plugin"
LINK = re.compile(r"/(return|cancel|complete)/([A-Za-z0-9_-]{43})")
LONGEST = 60.0
"""Seconds that a step may take."""


def settings_of(port: int) -> dict[str, Any]:
    """Return settings in which every secret is a canary; ``port`` is that of all other servers."""
    url = f"http://127.0.0.1:{port}"
    settings = basic_settings({"psp": port, "creditkey": port, "hooks": port})
    fast = {"per_second": 100000, "burst": 100000}
    admin = {"host": "127.0.0.1", "port": 0, "keys": [{"id": "dana", "sha256": _hash("second operators' key")}]}
    settings["server"] |= {"secret": SETTINGS["master"], "callback_rate": fast}
    settings["server"]["admin"] = {**admin, "key_sha256": _hash("operators' key")}
    settings["clocks"] |= {"webhook_retry": ["0s", "1ms"], "quiet_period": "1s"}
    acme, globex = settings["tenants"]["acme"], settings["tenants"]["globex"]
    acme["keys"] = [
        {"id": "k1", "sha256": _hash("acme's key")},
        {"id": "k0", "sha256": _hash("acme's expired key"), "expires": "2020-01-01T00:00:00Z"},
    ]
    globex["keys"] = [{"id": "k1", "sha256": _hash("globex's key")}]
    hook = f"{url}/hooks/acme?token={SETTINGS['query of the webhook']}"
    secrets = [SETTINGS["acme's webhook secret"], SETTINGS["acme's next webhook secret"]]
    acme["webhook"] = {"url": hook, "secrets": secrets}
    globex["webhook"]["secrets"] = [SETTINGS["globex's webhook secret"]]
    acme["accounts"] = _accounts(url)
    acme["deposit_methods"] = {"bank": {"account": "psp-main"}, "other": {"account": "psp-other"}}
    return settings


def _accounts(url: str) -> dict[str, Any]:
    bridge = f"{url}/{SETTINGS['path of the bridge']}"
    both = {"token": SETTINGS["token"], "previous_token": SETTINGS["previous token"]}
    keys = {"public_key": SETTINGS["public key"], "shared_secret": SETTINGS["shared secret"]}
    canary = {"client_secret": SETTINGS["client secret"], "callback_key": SETTINGS["callback key"]}
    return {
        "psp-main": {"provider": "psp_open_api", "config": {"app_url": bridge, **both}},
        "psp-other": {
            "provider": "psp_open_api",
            "config": {"app_url": bridge, "token": SETTINGS["another account's token"]},
        },
        "creditkey-main": {"provider": "creditkey", "config": {"base_url": f"{url}/ck", **keys}},
        "canary-main": {"provider": "canary", "config": {"base_url": f"{url}/canary", **canary}},
    }


def _hash(name: str) -> str:
    return hashlib.sha256(SETTINGS[name].encode()).hexdigest()


class ObservedGateway:
    """The process, the servers around it and its output. ``answers``: place and whole text of every answer.

    ``outputs``: what processes printed; ``files``: contents of the store's folder.
    """

    def __init__(self, folder: Path, hosts: QuotingHosts, settings: Settings, http: aiohttp.ClientSession) -> None:
        self.folder, self.hosts, self.settings, self.http = folder, hosts, settings, http
        self.answers: list[tuple[str, str]] = []
        self.url = self.admin_url = ""
        self.outputs: dict[str, bytes] = {}
        self.files: dict[str, bytes] = {}

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        admin: bool = False,
    ) -> tuple[int, Any]:
        """Send a request with the bearer key of that name; return status and JSON. Bytes are sent unchanged."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **(headers or {})}
        if key is not None:
            sent["Authorization"] = f"Bearer {SETTINGS[key]}"
        url = URL((self.admin_url if admin else self.url) + path, encoded=True)
        async with self.http.request(method, url, data=data, headers=sent, allow_redirects=False) as answer:
            text = await answer.text()
        self.answers.append((f"answers to {_kind_of(path)}", f"{dict(answer.headers)}{text}"))
        return answer.status, json.loads(text) if "json" in answer.content_type else None

    async def command(self, *arguments: str) -> str:
        """Run a command of the gateway to its end and keep its output."""
        environ = {"GATEWAY_ADMIN_KEY": SETTINGS["operators' key"]}
        process = await start(self.folder, *arguments, environ=environ)
        async with asyncio.timeout(LONGEST):
            output, errors = await process.communicate()
        self.outputs[f"gateway {' '.join(arguments[:2])}"] = output + errors
        return output.decode()

    def links(self) -> dict[str, str]:
        """Return the tokens of the payment links that the provider has got."""
        sent = b"".join(body for _, _, body in self.hosts.heard).decode("utf-8", "replace").replace("\\/", "/")
        tokens = {f"{purpose} link": token for purpose, token in LINK.findall(sent)}
        assert set(tokens) == set(LINKS)
        return tokens

    def search(self) -> Search:
        """Return a search for every canary."""
        derived = {
            f"{tenant}/{name}: derived token": entry.provider.credentials(entry.account)["token"].reveal()
            for tenant, name in (("globex", "psp-main"),)
            for entry in (self.settings.tenants[tenant].accounts[name],)
        }
        return Search({**SETTINGS, **SESSIONS, **STRANGERS, **derived, **self.links()})

    def keep_files(self, when: str) -> None:
        """Keep the current bytes of every file in the store's folder, backups included."""
        found = sorted((self.folder / "data").iterdir())
        self.files |= {f"{path.name} {when}": path.read_bytes() for path in found}


def _kind_of(path: str) -> str:
    """Return the fixed part of a path, without anything a caller chose."""
    parts = [part for part in path.partition("?")[0].split("/") if part.isalpha() or part == "v1"]
    return "/".join(parts[:4])


def _rows(path: Path) -> bytes:
    """Return every value of every row, because the file may store a text in pieces."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in database.execute(f"SELECT * FROM {table}")]  # noqa: S608
    values = [value for row in rows for value in row if isinstance(value, str | bytes)]
    return b"\n".join(value if isinstance(value, bytes) else value.encode() for value in values)


async def start(folder: Path, *arguments: str, environ: Mapping[str, str] | None = None) -> Process:
    """Start a command of the gateway, with the canary plugin installed."""
    command = [sys.executable, "-m", "gateway", *arguments, "--config", str(folder / "settings.yaml")]
    surroundings = {**os.environ, "PYTHONPATH": str(PLUGIN), **(environ or {})}
    return await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE, env=surroundings)


@contextlib.asynccontextmanager
async def observed_gateway(folder: Path) -> AsyncIterator[ObservedGateway]:
    """Serve for the duration of the block; afterwards ``outputs`` has what the process printed."""
    bound = _bound_socket()
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings_of(bound.getsockname()[1])))
    hosts = QuotingHosts()
    async with contextlib.AsyncExitStack() as exits:
        http = await exits.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=LONGEST)))
        await _serve(hosts.app(), bound, exits)
        opened = ObservedGateway(folder, hosts, _settings(folder), http)
        process = await start(folder, "serve")
        assert process.stdout is not None
        async with asyncio.timeout(LONGEST):
            line = await process.stdout.readline()
        assert line.startswith(b"ready"), await process.communicate()
        errors = asyncio.create_task(_all_of(process))
        opened.url, opened.admin_url = line.decode().split()[1], line.decode().split()[3]
        try:
            yield opened
        finally:
            opened.keep_files("beside the running server")
            process.terminate()
            async with asyncio.timeout(LONGEST):
                opened.outputs["log of the server"] = line + await errors
            opened.keep_files("afterwards")
        assert process.returncode == 0


def _settings(folder: Path) -> Settings:
    """Return the settings as the process reads them."""
    sys.path.insert(0, str(PLUGIN))  # as PYTHONPATH does for the process
    try:
        return load_settings(folder / "settings.yaml", providers=load_plugins().providers, environ={})
    finally:
        sys.path.remove(str(PLUGIN))


async def _all_of(process: Process) -> bytes:
    assert process.stdout is not None
    assert process.stderr is not None
    output, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
    await process.wait()
    return output + errors


def found_in(observed: ObservedGateway) -> Found:
    """Return every canary in the output, by place."""
    search, found = observed.search(), Found()
    for place, data in observed.files.items():
        found.note(place, search.in_bytes(data))
    texts = {
        **observed.outputs,
        "rows": _rows(observed.folder / "data" / "copy.db"),
        "webhooks": b"\n".join(observed.hosts.webhooks),
    }
    for place, text in dict.fromkeys(observed.answers):
        texts[place] = texts.get(place, b"") + text.encode("utf-8", "surrogatepass") + b"\n"
    for place, data in texts.items():
        found.note(place, search.in_text(data))
    return found
