"""``gateway listen``: webhooks are verified and shown where the settings send them, and wrong ones explained."""

from __future__ import annotations

import asyncio
import json
import signal
import urllib.request
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import standardwebhooks
import yaml

from gateway.cli.hosting import bind
from gateway.cli.listen import (
    Endpoint,
    Received,
    beside_a_gateway,
    endpoints_of,
    print_lines,
    receiving,
    shown_where_refused,
)
from gateway.cli.loading import load
from gateway.core.errors import NotSent
from gateway.core.wire import HttpRequest, HttpResponse
from tests.support.cli import SHIPPED, run, running
from tests.support.stack import WEBHOOK_SECRET, GatewayStack, basic_settings, key_of, psp_body

OTHER_SECRET = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlci0="
PAYMENT = {
    "id": "pay_01a22112b67070d4aaa6e287dfd95976",
    "state": "captured",
    "amount": "162.48",
    "currency": "USD",
    "merchant_reference": "D-1001",
    "version": 3,
}
BODY = json.dumps({"type": "payment.captured", "data": {"payment": PAYMENT}}).encode()


def signed(body: bytes = BODY, *, secret: str = WEBHOOK_SECRET, age: float = 0.0) -> dict[str, str]:
    """The headers of a webhook as the gateway sends it."""
    at = datetime.now(UTC) - timedelta(seconds=age)
    signature = standardwebhooks.Webhook(secret).sign("evt_1", at, body.decode())
    return {"webhook-id": "evt_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


class Open(NamedTuple):
    """A viewer that runs, and what it has shown."""

    url: str
    shown: list[Received]

    async def post(self, headers: Mapping[str, str], body: bytes = BODY, path: str = "/acme") -> tuple[int, str]:
        """Send something to it; status and text of the answer."""
        async with aiohttp.ClientSession() as http, http.post(self.url + path, data=body, headers=headers) as reply:
            return reply.status, await reply.text()


@pytest.fixture
async def viewer() -> AsyncIterator[Open]:
    """A viewer of two tenants on one port; acme has two secrets."""
    bound = bind(0)
    port = bound.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    endpoints = [
        Endpoint("acme", f"{url}/acme", [OTHER_SECRET, WEBHOOK_SECRET]),
        Endpoint("globex", f"{url}/globex", [OTHER_SECRET]),
    ]
    shown: list[Received] = []
    async with receiving(endpoints, {("127.0.0.1", port): bound}, shown.append):
        yield Open(url, shown)


@pytest.mark.parametrize("secret", [WEBHOOK_SECRET, OTHER_SECRET])
async def test_a_webhook_of_either_secret_is_verified(viewer: Open, secret: str) -> None:
    """While a secret is replaced both are right."""
    assert await viewer.post(signed(secret=secret)) == (204, "")
    (received,) = viewer.shown
    assert (received.tenant, received.why, received.answer) == ("acme", None, 204)
    assert received.body["data"]["payment"]["id"] == PAYMENT["id"]


class Wrong(NamedTuple):
    """How a webhook is wrong: how it is signed, the headers that are changed then, its body; and what is said of it."""

    why: str
    how: Mapping[str, Any] = {}
    headers: Mapping[str, str | None] = {}
    body: bytes = BODY


HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
WRONG = {
    **{f"no {name}": Wrong(f"{name} missing", headers={name: ""}) for name in HEADERS},
    "no headers": Wrong(f"{', '.join(HEADERS)} missing", headers=dict.fromkeys(HEADERS)),
    "another secret": Wrong("not made with any of the tenant's 2 secrets", how={"secret": "whsec_" + "A" * 40}),
    "another body": Wrong("or the body was changed", body=BODY + b" "),
    "too old": Wrong("more than five minutes away", how={"age": 600}),
    "too new": Wrong("more than five minutes away", how={"age": -600}),
    "no number": Wrong("not a number of seconds", headers={"webhook-timestamp": "yesterday"}),
    "no base64": Wrong("was not made with", headers={"webhook-signature": "v1,???"}),
    "no version": Wrong("was not made with", headers={"webhook-signature": "abc"}),
    "not UTF-8": Wrong("was not made with", body=b"\xff\xfe"),
}


@pytest.mark.parametrize("name", WRONG)
async def test_what_is_not_verified_is_explained(viewer: Open, name: str) -> None:
    """It is answered 400 with the reason, which is shown too."""
    wrong = WRONG[name]
    headers = {**signed(**wrong.how), **wrong.headers}
    sent = {name: value for name, value in headers.items() if value is not None}
    status, text = await viewer.post(sent, wrong.body)
    assert (status, wrong.why in text) == (400, True), text
    (received,) = viewer.shown
    assert (received.tenant, received.why, received.body) == ("acme", text, None)


async def test_another_path_is_explained(viewer: Open) -> None:
    """What comes elsewhere is 404 and names where webhooks go."""
    status, text = await viewer.post(signed(), path="/acme/hooks")
    assert (status, f"{viewer.url}/acme" in text) == (404, True)
    assert viewer.shown[0].tenant is None


async def test_another_tenants_webhook_is_not_verified(viewer: Open) -> None:
    """A tenant's address takes what its own secrets signed."""
    assert (await viewer.post(signed(), path="/globex"))[0] == 400


def test_two_lines_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """One says what it is and whether it is believed, the other what it says; no text of a stranger is obeyed."""
    body = json.loads(BODY)
    body["data"]["payment"]["merchant_reference"] = "D-1001\x1b[2J"
    print_lines(Received(at="12:00:00", tenant="acme", why=None, answer=204, body=body))
    print_lines(Received(at="12:00:01", tenant="acme", why=None, answer=204, body={"type": "webhook.test", "data": {}}))
    print_lines(Received(at="12:00:02", tenant=None, why="GET / is wrong", answer=404))
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        "12:00:00 acme payment.captured verified, answered 204",
        f"{PAYMENT['id']} captured 162.48 USD D-1001\\x1b[2J version 3",
        "12:00:01 acme webhook.test verified, answered 204",
        "a test, not about a payment",
        "12:00:02 - refused, answered 404",
        "GET / is wrong",
    ]


@pytest.mark.parametrize("data", [{"payment": {"nummer": "D-1001"}}, {"payment": "D-1001"}, {"id": "D-1001"}])
def test_own_names_are_shown_as_they_are(capsys: pytest.CaptureFixture[str], data: dict[str, Any]) -> None:
    """A tenant's reply map may make anything of a webhook's data, also what is only called like ours."""
    body = {"type": "payment.captured", "data": data}
    print_lines(Received(at="12:00:00", tenant="acme", why=None, answer=204, body=body))
    assert json.loads(capsys.readouterr().out.splitlines()[1]) == data


def write(folder: Path, **server: Any) -> tuple[Path, str]:
    """Settings whose webhooks go to a free port of this machine, and that address."""
    with bind(0) as free:
        port = free.getsockname()[1]
    settings = basic_settings({"psp": 1, "creditkey": 1, "hooks": port})
    settings["server"] |= server
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path, f"http://127.0.0.1:{port}"


def post(url: str, headers: Mapping[str, str], body: bytes = BODY) -> int:
    """The status of the answer to a request."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


@pytest.mark.parametrize(
    ("options", "status", "last"),
    [
        ([], 204, f"{PAYMENT['id']} captured 162.48 USD D-1001 version 3"),
        (["--answer", "503"], 503, f"{PAYMENT['id']} captured 162.48 USD D-1001 version 3"),
        (["--full"], 204, "}"),
        (["--json"], 204, ""),
    ],
)
def test_listen_runs_until_it_is_stopped(tmp_path: Path, options: list[str], status: int, last: str) -> None:
    """It says where it listens, shows what comes, answers as told, and ends with 0."""
    path, url = write(tmp_path)
    with running("listen", "--tenant", "acme", *options, "--config", path) as process:
        assert process.lines == [f"webhooks acme {url}/acme"]
        assert post(f"{url}/acme", signed()) == status
        process.popen.send_signal(signal.SIGTERM)
        output, errors = process.popen.communicate(timeout=60)
    assert (process.popen.returncode, errors) == (0, "")
    if options == ["--json"]:
        assert json.loads(output)["body"] == json.loads(BODY)
    else:
        assert output.splitlines()[-1].strip() == last


def test_serve_shows_a_payments_webhooks(tmp_path: Path) -> None:
    """``make serve``: the first payment's webhooks are received, verified and shown; nothing is refused."""
    path, url = write(tmp_path)
    ports = [f"--simulator-port={name}=0" for name in ("creditkey", "psp_open_api")]
    with running("serve", "--with-simulators", "--listen", *ports, "--config", path, lines=5) as process:
        assert process.lines[3:] == [f"webhooks acme {url}/acme", f"webhooks globex {url}/globex"]
        headers = {
            "Authorization": f"Bearer {key_of('acme')}",
            "Idempotency-Key": "a-webhook",
            "Content-Type": "application/json",
        }
        post(f"{process.urls[0]}/v1/payments", headers, json.dumps(psp_body()).encode())
        assert process.popen.stdout is not None
        first, second = process.popen.stdout.readline(), process.popen.stdout.readline()
        assert first.split()[1:] == ["acme", "payment.created", "verified,", "answered", "204"]
        assert second.split()[0].startswith("pay_")
        process.popen.send_signal(signal.SIGTERM)
        code, errors = process.ended()
    assert code == 0
    assert "a webhook was not sent" not in errors


async def test_a_tenants_own_server_comes_first(stack: GatewayStack, capsys: pytest.CaptureFixture[str]) -> None:
    """What a tenant's own server takes is not shown; while nobody listens it is, and counts as delivered."""
    loaded = load(stack.folder / "settings.yaml")
    beside_a_gateway(loaded)(stack.gateway)
    first = (await stack.create(psp_body())).json
    await stack.webhook(first["id"], "payment.created")
    assert "payment.created" not in capsys.readouterr().out

    async def nobody(*_: object, **__: object) -> HttpResponse:
        raise NotSent("connect_failed", connection=True)

    shown: asyncio.Queue[Received] = asyncio.Queue()
    stack.gateway.deliver = shown_where_refused(nobody, endpoints_of(loaded, "acme"), shown.put_nowait)
    second = (await stack.create(psp_body())).json
    async with asyncio.timeout(10):
        received = await shown.get()
        while received.body["data"]["payment"]["id"] != second["id"]:
            received = await shown.get()
    assert (received.tenant, received.why, received.answer) == ("acme", None, 204)
    other = HttpRequest(method="POST", url="http://127.0.0.1:9/elsewhere")
    with pytest.raises(NotSent):
        await stack.gateway.deliver(other, total=1, connect=1, owner="acme")


def test_listen_on_a_taken_port_fails(tmp_path: Path) -> None:
    """Where a tenant's own server listens already there is nothing to show."""
    path, url = write(tmp_path)
    with bind(int(url.rpartition(":")[2])):
        taken = run("listen", "--config", path)
    assert (taken.exit_code, "Address already in use" in taken.stderr) == (1, True)


def test_serve_leaves_the_port_free(tmp_path: Path) -> None:
    """A tenant's own server can start beside ``make serve`` at any time."""
    path, url = write(tmp_path)
    with running("serve", "--listen", "--config", path, lines=3) as process:
        assert process.lines[1:] == [f"webhooks acme {url}/acme", f"webhooks globex {url}/globex"]
        with bind(int(url.rpartition(":")[2])):
            pass
        process.popen.send_signal(signal.SIGTERM)
        assert process.ended()[0] == 0


@pytest.mark.parametrize(
    ("command", "server", "says"),
    [
        ("listen", {"development": False}, "--outside-development"),
        ("serve --listen", {"development": False}, "needs server.development: true"),
        ("listen --tenant nobody", {}, 'there is no tenant "nobody"'),
    ],
)
def test_listen_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, server: dict[str, Any], says: str
) -> None:
    """Bad usage ends with 2 and says what is needed."""
    monkeypatch.setenv("MASTER", "the master secret of this test, long enough 0")
    path, _ = write(tmp_path, **server)
    if not server.get("development", True):
        path.write_text("server: {secret: env:MASTER}\n")
    result = run(*command.split(), "--config", path)
    assert (result.exit_code, says in result.stderr) == (2, True), result.output


@pytest.mark.parametrize("url", ["http://192.0.2.1/hooks", "https://127.0.0.1:9/hooks", "http://erp.example/hooks"])
def test_listen_needs_an_address_of_this_machine(tmp_path: Path, url: str) -> None:
    """Webhooks that go elsewhere cannot be shown here."""
    path, _ = write(tmp_path)
    settings = yaml.safe_load(path.read_text())
    for tenant in settings["tenants"].values():
        tenant["webhook"]["url"] = url
    path.write_text(yaml.safe_dump(settings))
    result = run("listen", "--config", path)
    assert (result.exit_code, "on this machine" in result.stderr) == (2, True), result.output


def test_the_shipped_settings_can_be_listened_to() -> None:
    """Both tenants' webhooks go to this machine."""
    assert [one.tenant for one in endpoints_of(load(SHIPPED), None)] == ["acme", "globex"]
