"""``gateway simulate`` and ``serve --with-simulators``: ports and hosts, and development only."""

from __future__ import annotations

import json
import re
import signal
import socket
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cli import SHIPPED, run, running, write
from tests.support.factories.senders import free_port

READY = re.compile(r"ready http://127\.0\.0\.1:[0-9]+ admin http://127\.0\.0\.1:[0-9]+")


def get(url: str) -> Any:
    """The JSON behind an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def pay(url: str) -> Any:
    """What the gateway answers to a create of the shipped tenant."""
    body = {"merchant_reference": "D-1", "amount": "162.48", "currency": "USD", "deposit_method": "bank"}
    headers = {
        "Authorization": "Bearer gw_k1_dev-only-acme-key-0123456789",
        "Idempotency-Key": "after-a-reload",
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(f"{url}/v1/payments", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("command", ["serve", "simulate"])
def test_a_simulator_on_a_taken_port_fails(tmp_path: Path, command: str) -> None:
    """Provider, host, port and the option that names another are in the line."""
    option = ("--with-simulators", "--simulator-port") if command == "serve" else ("--port",)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = write(tmp_path, port=0, public_url="http://127.0.0.1:1")
        ended = run(command, *option, f"creditkey={port}", "--config", path)
    assert ended.exit_code == 1
    assert f"the simulator of creditkey cannot listen on host 127.0.0.1, port {port}: Address already in use" in (
        ended.stderr
    )


def test_a_port_of_a_simulator_that_does_not_run_is_refused(tmp_path: Path) -> None:
    """A typo must not pass in silence."""
    ended = run("serve", "--simulator-port", "foo=1", "--config", write(tmp_path))
    assert ended.exit_code == 2
    assert "--simulator-port needs --with-simulators" in ended.stderr


def test_serve_with_simulators(tmp_path: Path) -> None:
    """The simulators run in the same process, are announced one per line, and know the settings' accounts."""
    ports = [f"--simulator-port={name}=0" for name in ("creditkey", "psp_open_api")]
    with running("serve", "--with-simulators", *ports, "--config", write(tmp_path), lines=3) as process:
        assert READY.fullmatch(process.lines[0])
        assert [line.split()[:2] for line in process.lines[1:]] == [
            ["simulator", "creditkey"],
            ["simulator", "psp_open_api"],
        ]
        assert [get(f"{url}/_sim/orders") for url in process.urls[2:]] == [[], []]
        process.popen.send_signal(signal.SIGTERM)
        assert process.ended()[0] == 0


def put(url: str, body: Any) -> Any:
    """The JSON answer to a PUT."""
    request = urllib.request.Request(url, json.dumps(body).encode(), method="PUT")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_a_simulator_moves_the_clock_of_the_gateway_beside_it(tmp_path: Path) -> None:
    """Moved at one simulator, it is moved at the other and in the gateway, which the next payment shows."""
    path = tmp_path / "settings.yaml"
    text = SHIPPED.read_text()
    for port in ("8080", "8081", "9101", "9102", "9110"):
        text = text.replace(port, str(free_port()))
    path.write_text(text)
    with running("serve", "--with-simulators", "--config", path, lines=3) as process:
        gateway, _, *simulators = process.urls
        assert put(f"{simulators[1]}/_sim/clock", {"advance": "30d"})["ahead"] == 30 * 86400
        assert {get(f"{url}/_sim/clock")["ahead"] for url in simulators} == {30 * 86400}
        created = datetime.fromisoformat(pay(gateway)["created_at"])
        assert created - datetime.now(UTC) > timedelta(days=29)


@pytest.mark.parametrize("command", ["serve --with-simulators", "simulate"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "[::1]"])
def test_simulators_are_where_the_accounts_look_for_them(tmp_path: Path, command: str, host: str) -> None:
    """With the ports of the settings moved nothing has to be repeated on the command line."""
    path = write(tmp_path, public_url="http://127.0.0.1:9")
    settings = yaml.safe_load(path.read_text())
    moved = {name: free_port() for name in ("creditkey", "psp_open_api")}
    for tenant in settings["tenants"].values():
        for account in tenant["accounts"].values():
            member = "base_url" if account["provider"] == "creditkey" else "app_url"
            account["config"][member] = f"http://{host}:{moved[account['provider']]}"
    path.write_text(yaml.safe_dump(settings))
    with running(*command.split(), "--config", path, lines=3 if "serve" in command else 2) as process:
        where = host.replace("localhost", "127.0.0.1")
        told = [line for line in process.lines if line.startswith("simulator")]
        assert told == [f"simulator {name} http://{where}:{port}" for name, port in moved.items()]


def test_simulators_follow_a_reload(tmp_path: Path) -> None:
    """A key that is renamed is known to the simulator of its account too, and a payment goes through."""
    path = tmp_path / "settings.yaml"
    text = SHIPPED.read_text()
    for port in ("8080", "8081", "9101", "9102", "9110"):
        text = text.replace(port, str(free_port()))
    path.write_text(text)
    with running("serve", "--with-simulators", "--config", path, lines=3) as process:
        assert process.popen.stderr is not None
        assert "amount: {key: sum" in text
        path.write_text(text.replace("amount: {key: sum", "amount: {key: total_sum"))
        process.popen.send_signal(signal.SIGHUP)
        loaded = (line for line in process.popen.stderr if '"settings loaded"' in line)
        assert [next(loaded), next(loaded)]
        assert pay(process.urls[0])["state"] == "awaiting_customer"


@pytest.mark.parametrize("command", ["serve --with-simulators", "simulate", "simulate creditkey"])
def test_simulators_are_for_development_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """With development: false a simulator is refused as bad usage: it signs with what opens the real account."""
    monkeypatch.setenv("MASTER", "m" * 40)
    (tmp_path / "settings.yaml").write_text("server: {secret: env:MASTER}\n")
    with running(*command.split(), "--config", tmp_path / "settings.yaml", lines=0) as process:
        code, errors = process.ended()
    assert (code, "needs server.development: true" in errors) == (2, True)


def test_simulate_runs_until_it_is_stopped(tmp_path: Path) -> None:
    """One line per simulator; SIGTERM ends with 0."""
    path = write(tmp_path, public_url="http://127.0.0.1:9")
    with running("simulate", "--port", "creditkey=0", "creditkey", "--config", path) as process:
        assert process.lines[0].startswith("simulator creditkey http://127.0.0.1:")
        assert get(f"{process.urls[0]}/_sim/requests") == []
        process.popen.send_signal(signal.SIGTERM)
        assert process.ended() == (0, "")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nobody"], 'there is no simulator for "nobody"'),
        (["--port", "nobody=0"], 'there is no simulator for "nobody"'),
        (["--port", "creditkey"], "must be PROVIDER=PORT"),
        (["--port", "creditkey=70000"], "must be PROVIDER=PORT"),
        (["--port", "creditkey=0", "creditkey"], "server.port is 0"),
    ],
)
def test_simulate_refuses_bad_usage(tmp_path: Path, arguments: list[str], says: str) -> None:
    """Unknown providers, unreadable ports and settings without an address end with 2."""
    result = run("simulate", *arguments, "--config", write(tmp_path))
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr


def test_simulate_on_a_taken_port_fails(tmp_path: Path) -> None:
    """An address in use ends with 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = run("simulate", "--port", f"creditkey={port}", "creditkey", "--config", write(tmp_path))
    assert (result.exit_code, str(port) in result.stderr) == (1, True)
