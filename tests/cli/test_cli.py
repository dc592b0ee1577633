"""The command line: what it prints, on which stream, and with which exit code it ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from subprocess import PIPE
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

from gateway.cli import main
from gateway.cli.dates import parse_date
from gateway.cli.demo import steps
from gateway.cli.demo.environment import Environment
from gateway.cli.demo.psp import psp_create, psp_webhook
from gateway.cli.foreground import ENDING, IGNORED
from gateway.cli.loading import load
from gateway.cli.serve import NO_RELOAD
from gateway.cli.timeline import ORDER, merge
from gateway.drivers.store.deliveries import DeliveryRow
from tests.support.cli import SHIPPED, run, running, write
from tests.support.factories.senders import free_port
from tests.support.stack import GatewayStack, new_key, psp_body, running_stack

READY = re.compile(r"ready http://127\.0\.0\.1:[0-9]+ admin http://127\.0\.0\.1:[0-9]+")
BAD = "server: {}\nbogus: 1\n"


def get(url: str) -> Any:
    """The JSON behind an address."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


# check


def test_check_says_ok_and_sums_up() -> None:
    """The shipped settings are usable, and say so in two lines."""
    result = run("check", "--config", SHIPPED)
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert first == "ok"
    assert second.endswith("2 tenants, 3 accounts, 2 deposit methods, 2 plugins")


def test_check_prints_every_problem_on_stderr(tmp_path: Path) -> None:
    """Unusable settings end with 2 and one line per problem; stdout stays empty."""
    (tmp_path / "bad.yaml").write_text(BAD)
    result = run("check", "--config", tmp_path / "bad.yaml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        ["bad.yaml:1", "server.secret"],
        ["bad.yaml:2", "bogus"],
    ]


def test_check_as_json_lists_problems_on_stdout(tmp_path: Path) -> None:
    """With --json the problems are a list for programs, and the exit code is the same."""
    (tmp_path / "bad.yaml").write_text(BAD)
    result = run("check", "--json", "--config", tmp_path / "bad.yaml")
    assert result.exit_code == 2
    assert len(json.loads(result.stdout)["problems"]) == 2


def test_check_as_json_without_problems() -> None:
    """Usable settings have an empty list of problems."""
    result = run("check", "--json", "--config", SHIPPED)
    assert (result.exit_code, json.loads(result.stdout)["problems"]) == (0, [])


MISSING = "none.yaml:1: cannot be read: No such file or directory\n"


@pytest.mark.parametrize("command", ["check", "simulate", "accounts show", "payments list", "payments show pay_1"])
def test_a_missing_settings_file_is_bad_configuration(tmp_path: Path, command: str) -> None:
    """Every command that needs settings ends with 2 and names the file that is not there."""
    result = run(*command.split(), "--config", tmp_path / "none.yaml")
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", MISSING)


def test_serve_without_settings_is_bad_configuration(tmp_path: Path) -> None:
    """The server does not start, and says why as plain lines."""
    with running("serve", "--config", tmp_path / "none.yaml", lines=0) as process:
        assert process.ended() == (2, MISSING)


def test_the_environment_names_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GATEWAY_CONFIG stands for --config."""
    (tmp_path / "other.yaml").write_text(BAD)
    monkeypatch.setenv("GATEWAY_CONFIG", str(tmp_path / "other.yaml"))
    assert "other.yaml:1" in run("check").stderr


@pytest.mark.parametrize("arguments", [["nothing"], ["check", "--bogus"], ["keys", "new", "--id", "a b"]])
def test_bad_usage_exits_2(arguments: list[str]) -> None:
    """A command, option or value that is not known ends with 2."""
    assert run(*arguments).exit_code == 2


# keys


@pytest.mark.parametrize(
    ("options", "begins"), [([], "gw_k1_"), (["--id", "k2"], "gw_k2_"), (["--admin"], "gw_admin_")]
)
def test_keys_new_prints_a_key_and_its_hash(options: list[str], begins: str) -> None:
    """The hash is that of the whole key's text."""
    made = json.loads(run("keys", "new", "--json", *options).stdout)
    assert made["key"].startswith(begins)
    assert made["sha256"] == hashlib.sha256(made["key"].encode()).hexdigest()


def test_keys_new_prints_lines_for_people() -> None:
    """Without --json: id, key and sha256, one per line."""
    lines = [line.split() for line in run("keys", "new").stdout.splitlines()]
    assert [line[0] for line in lines] == ["id", "key", "sha256"]


@pytest.mark.parametrize("options", [[], ["--id", "dana"]])
def test_a_new_operators_key_is_printed_as_settings(tmp_path: Path, options: list[str]) -> None:
    """What is printed goes into the settings as it stands, and its id is who will have acted."""
    made = json.loads(run("keys", "new", "--admin", "--json", *options).stdout)
    path, _, entry = made["settings"].partition(": ")
    assert path == "server.admin.keys"
    settings = load(write(tmp_path, admin={"port": 0, "keys": yaml.safe_load(entry)})).settings
    assert settings.operators_by_sha256[made["sha256"]].id == made["id"] == (options or ["", "admin"])[1]


def test_no_two_keys_are_the_same() -> None:
    """Keys are random."""
    assert run("keys", "new").stdout != run("keys", "new").stdout


# accounts


def test_accounts_show_hides_the_token() -> None:
    """Without --reveal the public credentials are shown and the secret ones are not."""
    revealed = json.loads(run("accounts", "show", "acme", "psp-main", "--reveal", "--json", "--config", SHIPPED).stdout)
    credentials = revealed["data"][0]["credentials"]
    for options in ([], ["--json"]):
        shown = run("accounts", "show", "--config", SHIPPED, *options).stdout
        assert credentials["merchant_id"] in shown
        assert credentials["token"] not in shown


def test_accounts_show_reveals_the_token_on_request() -> None:
    """With --reveal the token stands beside the merchant_id."""
    shown = run("accounts", "show", "acme", "psp-main", "--reveal", "--config", SHIPPED).stdout
    assert re.search(r"^  token +[A-Za-z0-9_-]{43}$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], ["acme/creditkey-main", "acme/psp-main", "globex/psp-main"]),
        (["acme"], ["acme/creditkey-main", "acme/psp-main"]),
        (["acme", "psp-main"], ["acme/psp-main"]),
    ],
)
def test_accounts_show_what_was_named(names: list[str], shown: list[str]) -> None:
    """Nothing named is everything, a tenant is its accounts, an account is that one."""
    found = json.loads(run("accounts", "show", *names, "--json", "--config", SHIPPED).stdout)["data"]
    assert [f"{one['tenant']}/{one['account']}" for one in found] == shown


@pytest.mark.parametrize("names", [["nobody"], ["globex", "creditkey-main"]])
def test_accounts_show_refuses_unknown_names(names: list[str]) -> None:
    """A name that is not in the settings is bad usage."""
    result = run("accounts", "show", *names, "--config", SHIPPED)
    assert (result.exit_code, result.stdout) == (2, "")
    assert names[-1] in result.stderr


async def test_accounts_show_the_address_that_the_server_listens_to(tmp_path: Path) -> None:
    """The callback URL is the one the running gateway tells its providers."""

    def change(settings: dict[str, Any]) -> None:
        settings["server"]["public_url"] = "http://pay.example"

    async with running_stack(tmp_path, change=change) as stack:
        entry = stack.settings.tenants["acme"].accounts["psp-main"]
        result = run("accounts", "show", "acme", "psp-main", "--json", "--config", tmp_path / "settings.yaml")
        assert json.loads(result.stdout)["data"][0]["callback_url"] == stack.gateway.callback_url(entry)


def test_accounts_show_no_address_while_the_port_is_open(tmp_path: Path) -> None:
    """With port 0 and no public_url nobody knows the address before the server runs."""
    result = run("accounts", "show", "acme", "psp-main", "--json", "--config", write(tmp_path))
    assert json.loads(result.stdout)["data"][0]["callback_url"] is None


# plugins


def test_plugins_list_what_is_installed() -> None:
    """Both bundled plugins, where they come from and what they offer; settings are not needed."""
    found = json.loads(run("plugins", "list", "--json", "--config", "none.yaml").stdout)["data"]
    assert [(one["name"], one["distribution"], one["providers"]) for one in found] == [
        ("creditkey", "tenant-payment-gateway", ["creditkey"]),
        ("psp_open_api", "tenant-payment-gateway", ["psp_open_api"]),
    ]


def test_plugins_list_leaves_out_blocked_ones(tmp_path: Path) -> None:
    """A blocked plugin is not loaded and is named as blocked."""
    (tmp_path / "settings.yaml").write_text("plugins: {blocked: [creditkey]}\n")
    shown = run("plugins", "list", "--config", tmp_path / "settings.yaml").stdout
    assert shown.splitlines()[-1] == "blocked: creditkey"
    assert [line.split()[0] for line in shown.splitlines()[1:-1]] == ["psp_open_api"]


@pytest.mark.parametrize("command", ["check", "plugins list", "accounts show"])
def test_a_misspelt_plugin_is_bad_configuration(tmp_path: Path, command: str) -> None:
    """The line has place and the right name, and nothing was loaded."""
    path = write(tmp_path)
    path.write_text(path.read_text() + "plugins: {blocked: [Creditkey]}\n")
    result = run(*command.split(), "--config", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.endswith(': plugins.blocked[0]: unknown plugin "Creditkey", did you mean "creditkey"\n')


def test_plugins_list_names_those_that_are_not_allowed(tmp_path: Path) -> None:
    """With a list of allowed plugins the others are named and not loaded."""
    (tmp_path / "settings.yaml").write_text("plugins: {allowed: [psp_open_api]}\n")
    shown = run("plugins", "list", "--config", tmp_path / "settings.yaml").stdout
    assert [line.split()[0] for line in shown.splitlines()[1:-1]] == ["psp_open_api"]
    assert shown.splitlines()[-1] == "not allowed: creditkey"


# payments


async def look(stack: GatewayStack, *arguments: str) -> Any:
    """Run a reading command beside the running server; its JSON."""
    result = await asyncio.to_thread(run, *arguments, "--json", "--config", stack.folder / "settings.yaml")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def test_payments_list_goes_over_all_tenants(stack: GatewayStack) -> None:
    """The newest payment of any tenant comes first, while the server runs."""
    first = (await stack.create(psp_body())).json["id"]
    second = (await stack.create(psp_body(), tenant="globex")).json["id"]
    third = (await stack.create(psp_body())).json["id"]
    found = await look(stack, "payments", "list")
    assert [one["id"] for one in found["data"]] == [third, second, first]


async def test_payments_list_filters(stack: GatewayStack) -> None:
    """Each filter keeps what fits and drops the rest."""
    mine = (await stack.create(psp_body(merchant_reference="D-1"))).json
    other = (await stack.create(psp_body(merchant_reference="D-2"), tenant="globex")).json
    await stack.click(mine, "pay")
    for options, expected in (
        (["--tenant", "acme"], [mine]),
        (["--state", "awaiting_customer"], [other]),
        (["--merchant-reference", "D-1"], [mine]),
        (["--limit", "1"], [other]),
    ):
        found = await look(stack, "payments", "list", *options)
        assert [one["id"] for one in found["data"]] == [one["id"] for one in expected], options


async def test_payments_list_for_people_never_cuts_an_id(stack: GatewayStack) -> None:
    """The table on a pipe holds whole ids and amounts."""
    payment = (await stack.create(psp_body())).json
    result = await asyncio.to_thread(run, "payments", "list", "--config", stack.folder / "settings.yaml")
    header, row = result.stdout.splitlines()
    assert header.split()[:2] == ["id", "tenant"]
    assert {payment["id"], "acme", "awaiting_customer", "162.48", "USD"} <= set(row.split())


async def test_payments_show_merges_everything_by_time(stack: GatewayStack) -> None:
    """The timeline holds events, operations, callbacks and webhooks with their tries, oldest first."""
    payment = (await stack.create(psp_body())).json
    await stack.click(payment, "pay")
    await stack.webhook(payment["id"], "payment.captured")
    shown = await look(stack, "payments", "show", payment["id"])
    lines = shown["timeline"]
    assert shown["payment"] == await stack.payment(payment["id"])
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    told = {kind: [line["what"] for line in lines if line["kind"] == kind] for kind in ORDER}
    assert told["operation"] == ["create sending", "create succeeded"]
    assert told["callback"] == ["pay/callback recorded"]
    assert told["event"] == ["payment.created", "payment.awaiting_customer", "payment.captured"]
    assert {"payment.created", "payment.captured"} <= set(told["webhook"])


def test_the_timeline_holds_every_try_of_a_webhook() -> None:
    """Each try is a line with its answer; the one that will come is a line at its date."""
    tries = [
        {"at": "2026-01-02T03:04:05.000Z", "status_code": 500, "error": None},
        {"at": "2026-01-02T03:04:10.000Z", "status_code": None, "error": "timeout"},
    ]
    row = DeliveryRow(
        tenant="acme",
        id="dlv_1",
        event_id="evt_1",
        payment_id="pay_1",
        type="payment.created",
        version=1,
        body="{}",
        status="pending",
        next_attempt_at=1767323345000,
        attempts=tries,
        created_at=1767323045000,
    )
    lines = merge(events=[], operations=[], callbacks=[], deliveries=[row])
    assert [(line.at, line.details["try"], line.details["answer"]) for line in lines] == [
        ("2026-01-02T03:04:05.000Z", "1", "500"),
        ("2026-01-02T03:04:10.000Z", "2", "timeout"),
        ("2026-01-02T03:09:05.000Z", "3", "due"),
    ]


async def test_payments_show_reads_like_a_story(stack: GatewayStack) -> None:
    """For people: the payment's members, a blank line, then one line per thing that happened."""
    payment = (await stack.create(psp_body())).json
    result = await asyncio.to_thread(run, "payments", "show", payment["id"], "--config", stack.folder / "settings.yaml")
    members, _, timeline = result.stdout.partition("\n\n")
    assert re.search(r"^state +awaiting_customer$", members, re.MULTILINE)
    assert "version: 1, state: - -> created, cause: tenant" in timeline


async def test_payments_show_an_unknown_id_fails(stack: GatewayStack) -> None:
    """A payment that no tenant has ends with 1."""
    result = await asyncio.to_thread(run, "payments", "show", "pay_none", "--config", stack.folder / "settings.yaml")
    assert (result.exit_code, result.stdout) == (1, "")


async def test_reading_changes_nothing(stack: GatewayStack) -> None:
    """A reading command leaves the payment's version as it was, and the server working."""
    payment = (await stack.create(psp_body())).json
    await look(stack, "payments", "show", payment["id"])
    assert (await stack.payment(payment["id"]))["version"] == payment["version"]
    assert (await stack.create(psp_body(), key=new_key())).status == 201


def test_payments_list_refuses_an_unknown_tenant(tmp_path: Path) -> None:
    """A tenant that is not in the settings is bad usage."""
    assert run("payments", "list", "--tenant", "nobody", "--config", write(tmp_path)).exit_code == 2


def test_a_store_that_is_not_there_is_unusable(tmp_path: Path) -> None:
    """Reading before the first start ends with 4 and makes no file."""
    result = run("payments", "list", "--config", write(tmp_path))
    assert (result.exit_code, result.stdout) == (4, "")
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["serve", "payments list"])
def test_a_store_that_is_no_database_is_unusable(tmp_path: Path, command: str) -> None:
    """A file that is something else ends with 4 and is left as it was."""
    path = tmp_path / "data" / "gateway.db"
    path.parent.mkdir()
    path.write_bytes(b"something else " * 1000)
    with running(*command.split(), "--config", write(tmp_path), lines=0) as process:
        code, errors = process.ended()
    assert code == 4
    assert "Traceback" not in errors
    assert path.read_bytes() == b"something else " * 1000


# serve


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


def test_serve_outlives_a_hangup_and_says_what_to_do(tmp_path: Path) -> None:
    """SIGHUP, the usual reload, kills nothing: each is a line that names the restart, and SIGTERM still stops."""
    with running("serve", "--config", write(tmp_path)) as process:
        for _ in range(2):
            process.popen.send_signal(signal.SIGHUP)
            assert get(f"{process.urls[1]}/readyz") == {"status": "ok"}
        process.popen.send_signal(signal.SIGTERM)
        code, errors = process.ended()
    messages = [json.loads(line)["message"] for line in errors.splitlines()]
    assert (code, messages.count(NO_RELOAD)) == (0, 2)
    assert "restart the gateway" in NO_RELOAD


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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_stopped_demo_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """A signal in the middle of the demo ends it with 1, and its folder is gone."""
    command = [sys.executable, "-m", "gateway", "demo"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        while "1." not in process.stdout.readline():
            pass
        assert list(tmp_path.iterdir())
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == 1
    assert list(tmp_path.iterdir()) == []


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


def test_check_looks_the_hosts_up(tmp_path: Path) -> None:
    """A name that ``serve`` could not listen on is a line of ``check``, for both listeners."""
    path = write(tmp_path, host="gateway.invalid", admin={"host": "admin.invalid", "port": 0})
    result = run("check", "--config", path)
    assert result.exit_code == 2
    assert [line.split(": ")[1:3] for line in result.stderr.splitlines()] == [
        ["server.host", "cannot listen on host gateway.invalid, port 0"],
        ["server.admin.host", "cannot listen on host admin.invalid, port 0"],
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "is not required: some bridges refuse payments without it "),
        ({"enabled": False}, "is switched off: some bridges refuse payments without it"),
        ({"required": True}, None),
        ({"value": "shop-1"}, None),
    ],
)
def test_check_advises_without_refusing(tmp_path: Path, change: dict[str, Any], said: str | None) -> None:
    """What could be better is a line on stderr, or a list for programs; the settings are usable all the same."""
    path = write(tmp_path)
    settings = yaml.safe_load(path.read_text())
    for tenant in settings["tenants"].values():
        tenant["accounts"]["psp-main"].setdefault("fields", {})["user_id"] = change
    path.write_text(yaml.safe_dump(settings))
    result = run("check", "--config", path)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, "ok")
    wanted = [] if said is None else ["acme", "globex"]
    lines = result.stderr.splitlines()
    for line, tenant in zip(lines, wanted, strict=True):
        key = rf"tenant {tenant}: accounts\.psp-main\.fields\.user_id"
        assert re.match(rf"advice: settings\.yaml:\d+: {key}: {re.escape(said or '')}", line)
    told = json.loads(run("check", "--json", "--config", path).stdout)
    assert [f"advice: {line}" for line in told["advice"]] == lines


PROXY = "192.0.2.7/32"


@pytest.mark.parametrize(
    ("server", "addresses", "key", "said"),
    [
        ({}, [], "server.public_url", "is not given, so providers and browsers are sent to http://127.0.0.1:PORT"),
        ({"port": 8080}, [], "server.public_url", "sent to http://127.0.0.1:8080: write the https address"),
        ({"host": "::1", "port": 80}, [], "server.public_url", "sent to http://[::1]:80"),
        ({"public_url": "https://pay.example"}, [], None, ""),
        (
            {"public_url": "https://pay.example"},
            [PROXY],
            "config.source_addresses",
            "name it in server.trusted_proxies",
        ),
        ({"public_url": "https://pay.example", "trusted_proxies": [PROXY]}, [PROXY], None, ""),
    ],
)
def test_check_advises_how_the_world_reaches_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: dict[str, Any], addresses: list[str], key: str, said: str
) -> None:
    """Outside development, where a callback address that only this machine can call loses every payment's outcome."""
    monkeypatch.setenv("MASTER", "a master secret that is long enough")
    config = {"app_url": "https://psp.example", "source_addresses": addresses}
    account = {"provider": "psp_open_api", "config": config, "fields": {"user_id": {"required": True}}}
    whole = {"secret": "env:MASTER", "port": 0, "admin": {"port": 0}, **server}
    path = tmp_path / "settings.yaml"
    acme = {"accounts": {"main": account}, "deposit_methods": {"bank": {"account": "main"}}}
    path.write_text(yaml.safe_dump({"server": whole, "tenants": {"acme": acme}}))
    result = run("check", "--config", path)
    assert (result.exit_code, result.stdout.splitlines()[:1]) == (0, ["ok"])
    lines = result.stderr.splitlines()
    assert len(lines) == (key is not None)
    assert all(key in line and said in line for line in lines)


def test_an_ipv6_host_may_be_copied_from_a_url(tmp_path: Path) -> None:
    """In brackets it is the same address."""
    path = write(tmp_path, host="[::1]")
    assert run("check", "--config", path).exit_code == 0
    with running("serve", "--config", path) as process:
        assert process.lines[0].startswith("ready http://[::1]:")


def test_serve_with_simulators(tmp_path: Path) -> None:
    """The far sides run in the same process, are announced one per line, and know the settings' accounts."""
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


@pytest.mark.parametrize("command", ["serve --with-simulators", "simulate", "simulate creditkey"])
def test_simulators_are_for_development_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """With development: false a fake far side is refused as bad usage: it signs with what opens the real account."""
    monkeypatch.setenv("MASTER", "m" * 40)
    (tmp_path / "settings.yaml").write_text("server: {secret: env:MASTER}\n")
    with running(*command.split(), "--config", tmp_path / "settings.yaml", lines=0) as process:
        code, errors = process.ended()
    assert (code, "needs server.development: true" in errors) == (2, True)


# simulate


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


# demo


@pytest.fixture
def own_signals() -> Iterator[None]:
    """Give the test process its signals back after a command that ran in it."""
    kept = {number: signal.getsignal(number) for number in (*ENDING, *IGNORED)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
def test_the_demo_plays_to_its_end() -> None:
    """Every step holds; the output shows the wire body under the tenant's keys, the alerts and all timelines."""
    result = run("demo")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == f"all {len(steps.STEPS)} steps as expected"
    assert '"sum":162.48' in result.stdout
    assert "order amounts can only be increased by $100" in result.stdout
    assert result.stdout.count("arrived, verified by the reference library") == 7
    assert result.stdout.count("the tenant received a webhook for each") == 4
    for kind, times in {"captured": 2, "partially_refunded": 2, "canceled": 1}.items():
        assert len(re.findall(rf"^ [0-9]+ +\S+Z +payment\.{kind} ", result.stdout, re.MULTILINE)) == times


@pytest.mark.usefixtures("own_signals")
def test_the_demo_ends_with_1_at_the_step_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not as expected ends the demo there, named, and later steps are not played."""

    async def psp_pay(on: Environment) -> None:
        """the customer pays"""
        on.check("state captured", False, "awaiting_customer")

    monkeypatch.setattr(steps, "STEPS", (psp_create, psp_pay, psp_webhook))
    result = run("demo")
    assert result.exit_code == 1
    assert "expected: state captured, seen: awaiting_customer" in result.stdout
    assert result.stdout.splitlines()[-1] == "failed at step 2. the customer pays"


# the command itself


def test_the_version_is_the_package_s() -> None:
    """--version prints one line."""
    assert re.fullmatch(r"gateway, version [0-9.]+\n", run("--version").stdout)


def every_command(group: click.Group = main, *path: str) -> Iterator[tuple[str, ...]]:
    """All commands and groups, as they are typed."""
    context = click.Context(group)
    for name in group.list_commands(context):
        one = group.get_command(context, name)
        yield (*path, name)
        if isinstance(one, click.Group):
            yield from every_command(one, *path, name)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_help_is_cut_or_shows_codes(columns: int) -> None:
    """Sentences are whole in any window, lists of words are wrapped, and dates are shown by example."""
    found = [(), *every_command()]
    assert ("payments", "review", "settle") in found
    for path in found:
        shown = CliRunner().invoke(main, [*path, "--help"], terminal_width=columns).stdout
        assert "..." not in shown.replace("]...", "").replace("ID...", ""), path
        assert "%" not in shown, path
        assert max(map(len, shown.splitlines())) <= columns, path


def test_gateway_alone_shows_the_way() -> None:
    """Without a command it names what to run first, and that is no mistake."""
    result = run()
    assert result.exit_code == 0
    for command in ("gateway demo", "gateway check", "gateway serve", "gateway keys new", "gateway --help", "docs/"):
        assert command in result.stdout
    assert all(len(line) <= 100 for line in result.stdout.splitlines())


@pytest.mark.parametrize("text", ["31.1.2026", "yesterday", "2026-13-01", "2026-01-31T25:00:00Z", ""])
def test_a_date_that_is_none_is_explained_by_example(text: str) -> None:
    """The message shows dates, not how they are parsed."""
    result = run("inbox", "list", "--since", text, "--config", SHIPPED)
    assert result.exit_code == 2
    assert "2026-01-31T12:00:00Z" in result.stderr
    assert "%" not in result.stderr


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00+0000", "2026-01-31 12:00", "2026-01-31T13:00:00.000+01:00"]
)
def test_a_moment_without_a_zone_is_utc(text: str) -> None:
    """All forms of one moment are the same."""
    assert parse_date(text) == datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_help_names_every_command_and_the_exit_codes() -> None:
    """The first page is enough to find the rest."""
    shown = run("--help").stdout
    commands = {"serve", "check", "demo", "simulate", "keys", "accounts", "plugins", "payments"}
    assert commands <= {line.split()[0] for line in shown.splitlines() if line.strip()}
    assert "3 already" in shown
