"""``gateway serve``: the ready line, signals, limits, ports and hosts."""

from __future__ import annotations

import json
import re
import secrets
import signal
import socket
import subprocess
import sys
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.foreground import IGNORED
from gateway.cli.loading import load
from gateway.drivers.settings import settings_files
from gateway.drivers.settings.regular_file import RegularFile, read_regular
from tests.support.cli import SHIPPED, run, running, write

READY = re.compile(r"ready http://127\.0\.0\.1:[0-9]+ admin http://127\.0\.0\.1:[0-9]+")


def get(url: str) -> Any:
    """The JSON behind an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


MISSING = "none.yaml:1: cannot be read: No such file or directory\n"


def test_serve_without_settings_is_bad_configuration(tmp_path: Path) -> None:
    """The server does not start, and says why as plain lines."""
    with running("serve", "--config", tmp_path / "none.yaml", lines=0) as process:
        assert process.ended() == (2, MISSING)


def test_serve_prints_exactly_one_ready_line(tmp_path: Path) -> None:
    """The line names both listeners, and both answer."""
    with running("serve", "--config", write(tmp_path)) as process:
        assert READY.fullmatch(process.lines[0])
        public, admin = process.urls
        assert get(f"{public}/openapi.json")["openapi"].startswith("3.1")
        assert get(f"{admin}/readyz") == {"status": "ok"}
        process.popen.send_signal(signal.SIGTERM)
        output, _ = process.popen.communicate(timeout=60)
    assert output == ""


def test_a_start_reads_the_settings_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the names of plugins and for everything else: ten thousand tenants are half a second of reading."""
    opened = []

    def read(path: Path, *, most: int) -> RegularFile:
        opened.append(path)
        return read_regular(path, most=most)

    monkeypatch.setattr(settings_files, "read_regular", read)
    assert load(SHIPPED).settings.tenants
    assert opened == [SHIPPED]


def test_a_gateway_without_tenants_starts(tmp_path: Path) -> None:
    """Its operator sets it up first; tenants come later."""
    path = tmp_path / "settings.yaml"
    secret = secrets.token_hex(20)
    path.write_text(f"server: {{port: 0, secret: {secret}, admin: {{port: 0}}, development: true}}\ntenants: {{}}\n")
    with running("serve", "--config", path) as process:
        assert READY.fullmatch(process.lines[0])


@pytest.mark.parametrize(
    "signals",
    [
        [signal.SIGTERM],
        [signal.SIGINT],
        [signal.SIGQUIT, signal.SIGHUP],
        [signal.SIGTERM] * 50,
        [*IGNORED, signal.SIGINT, *IGNORED, signal.SIGTERM],
    ],
)
def test_serve_stops_cleanly(tmp_path: Path, signals: list[signal.Signals]) -> None:
    """A stop signal, once or more often, ends with 0 and without a traceback; every log line is JSON."""
    with running("serve", "--config", write(tmp_path)) as process:
        for one in signals:
            process.popen.send_signal(one)
        code, errors = process.ended()
    assert code == 0, errors
    last = [json.loads(line) for line in errors.splitlines()][-2:]
    assert [line["message"] for line in last] == ["stopping", "stopped"]
    assert last[-1]["version"] == metadata.version("tenant-payment-gateway")


STOPPED = """
import asyncio, os, signal
from gateway.cli.foreground import stop_signal
async def main():
    with stop_signal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
asyncio.run(main())
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
    os.kill(os.getpid(), number)
"""


def test_a_signal_after_the_stop_is_harmless() -> None:
    """Between the loop's end and the process's end a further signal still finds exit code 0."""
    ended = subprocess.run([sys.executable, "-c", STOPPED], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_nohup_is_obeyed() -> None:
    """A process that was started to survive its terminal does."""
    survivor = """
import asyncio, os, signal
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from gateway.cli.foreground import stop_signal
async def main():
    with stop_signal() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        for _ in range(3):
            await asyncio.sleep(0)
        assert not stop.is_set()
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", survivor], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


FROZEN = """
import gc
from gateway.cli.foreground import freeze_startup_memory
made, before = ["at the start"], gc.get_stats()[2]
freeze_startup_memory()
assert gc.get_stats()[2] == before, "looked through"
assert not any(one is made for one in gc.get_objects()), "not exempt"
"""


def test_what_a_start_made_is_never_looked_through() -> None:
    """Neither by the start itself, which would take longer with each tenant, nor by a later collection."""
    ended = subprocess.run([sys.executable, "-c", FROZEN], capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_serve_warns_loudly_of_development(tmp_path: Path) -> None:
    """Development mode is the first thing in the log, as a warning; what was loaded from where follows."""
    with running("serve", "--config", write(tmp_path)) as process:
        process.popen.send_signal(signal.SIGTERM)
        _, errors = process.ended()
    first, *others = [json.loads(line) for line in errors.splitlines()]
    assert (first["level"], first["message"].split(":")[0]) == ("warning", "DEVELOPMENT MODE")
    (start,) = [line for line in others if line["message"] == "starting"]
    assert start["version"] == metadata.version("tenant-payment-gateway")
    plugins = [(line["plugin"], line["distribution"]) for line in others if line["message"] == "plugin loaded"]
    assert plugins == [("creditkey", "tenant-payment-gateway"), ("psp_open_api", "tenant-payment-gateway")]


def with_descriptors(soft: int, hard: int) -> tuple[str, ...]:
    """What stands before a command so that it may have so many files open."""
    return ("sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$@"', "sh")


def test_serve_raises_the_limit_of_open_files_and_says_so(tmp_path: Path) -> None:
    """The soft limit becomes the hard one, and the log tells who gets how many."""
    with running("serve", "--config", write(tmp_path), before=with_descriptors(200, 300)) as process:
        process.popen.send_signal(signal.SIGTERM)
        _, errors = process.ended()
    said = next(line for line in map(json.loads, errors.splitlines()) if line["message"] == "listening")
    assert (said["descriptors"], said["callers"], said["operators"], said["outgoing"]) == (300, 135, 16, 75)


def test_serve_needs_descriptors(tmp_path: Path) -> None:
    """A limit that leaves callers nothing is named, and nothing starts."""
    with running("serve", "--config", write(tmp_path), lines=0, before=with_descriptors(64, 64)) as process:
        code, errors = process.ended()
    assert (code, errors.splitlines()[-1].startswith("the process may open 64 files only")) == (2, True)


def test_a_second_server_on_the_same_store_is_refused(tmp_path: Path) -> None:
    """It ends with 3, and the first goes on."""
    path = write(tmp_path)
    with running("serve", "--config", path) as first:
        with running("serve", "--config", path, lines=0) as second:
            code, errors = second.ended()
        assert code == 3
        assert errors.splitlines()[-1].startswith("another gateway is using ")
        assert get(f"{first.urls[1]}/readyz") == {"status": "ok"}


def test_serve_on_a_taken_port_fails(tmp_path: Path) -> None:
    """An address in use ends with 1; file, key, host and port are named, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running("serve", "--config", write(tmp_path, port=port), lines=0) as process:
            code, errors = process.ended()
    said = rf"settings\.yaml:\d+: server\.port: cannot listen on host 127\.0\.0\.1, port {port}: Address already in use"
    assert code == 1
    assert re.fullmatch(said, errors.splitlines()[-1])


@pytest.mark.parametrize(
    ("server", "key", "host"),
    [
        ({"host": "gateway.invalid"}, "host", "gateway.invalid"),
        ({"host": "203.0.113.9"}, "host", "203.0.113.9"),
        ({"admin": {"host": "gateway.invalid", "port": 0}}, "admin.host", "gateway.invalid"),
    ],
)
def test_serve_on_a_host_that_is_not_here_fails(tmp_path: Path, server: dict[str, Any], key: str, host: str) -> None:
    """A name without an address and an address of another machine are mistakes of the settings: 2, with the line."""
    with running("serve", "--config", write(tmp_path, **server), lines=0) as process:
        code, errors = process.ended()
    assert code == 2
    port = {"host": r"\d+", "admin.host": "0"}[key]
    assert re.fullmatch(
        rf"settings\.yaml:\d+: server\.{key}: cannot listen on host {host}, port {port}: \S.+", errors.splitlines()[-1]
    )


def test_an_ipv6_host_may_be_copied_from_a_url(tmp_path: Path) -> None:
    """In brackets it is the same address."""
    path = write(tmp_path, host="[::1]")
    assert run("check", "--config", path).exit_code == 0
    with running("serve", "--config", path) as process:
        assert process.lines[0].startswith("ready http://[::1]:")
