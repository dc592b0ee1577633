"""``gateway payments review`` against a running gateway: what it shows, what it changes, and how it fails."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from click.testing import Result

from gateway.cli.hosting import bind, hosted, url_of
from gateway.drivers.store import statements
from tests.support.cli import run, write
from tests.support.scenarios import creditkey
from tests.support.stack import GatewayStack, new_key, running_stack

ADMIN_KEY = "gw_admin_test-key-of-the-operators"
KEY_VARIABLE = "GATEWAY_ADMIN_KEY"

EACH = {
    "list": ["list"],
    "resolve": ["resolve", "pay_1", "--reason", "seen"],
    "operations": ["operations"],
    "settle": ["settle", "op_1", "--outcome", "succeeded", "--reason", "seen"],
}
"""Every command, with what it cannot do without."""


@pytest.fixture(autouse=True)
def operators_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the operators' key into the environment."""
    monkeypatch.setenv(KEY_VARIABLE, ADMIN_KEY)


@pytest.fixture
async def staffed(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack that operators have a key for."""

    def change(settings: dict[str, Any]) -> None:
        settings["server"]["admin"]["key_sha256"] = hashlib.sha256(ADMIN_KEY.encode()).hexdigest()

    async with running_stack(tmp_path, change=change) as opened:
        yield opened


async def review(stack: GatewayStack, *arguments: str) -> Result:
    """Run a command against the stack, beside it."""
    return await asyncio.to_thread(run, "payments", "review", *arguments, "--admin-url", stack.admin_url)


async def reviewed(stack: GatewayStack, *arguments: str) -> Any:
    """What a command that goes well prints as JSON."""
    result = await review(stack, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def flagged(stack: GatewayStack) -> Any:
    """A payment that a person must look at: its provider's order was canceled after the capture."""
    payment = await creditkey.captured(stack)
    await creditkey.edit(stack, payment, status="canceled", capture_status=None)
    now = (await creditkey.act(stack, payment, "sync")).json
    assert now["review"]["reason"] == "contradiction"
    return now


async def uncertain(stack: GatewayStack) -> Any:
    """A payment whose capture has no outcome."""
    payment = await creditkey.authorized(stack)
    await stack.faults("creditkey", operation="confirm_order", silence="before_effect", times=1)
    answer = await creditkey.act(stack, payment, "capture", key=new_key())
    assert (answer.status, answer.json["pending_operation"]["status"]) == (202, "unknown")
    return answer.json


# What is shown


async def test_review_list_shows_what_the_tenant_reads(staffed: GatewayStack) -> None:
    """The flagged payment stands there with its reason; one without a flag does not."""
    await creditkey.authorized(staffed)
    payment = await flagged(staffed)
    found = await reviewed(staffed, "list")
    assert found["data"] == [await staffed.payment(payment["id"])]


async def test_review_list_for_people_tells_reason_and_date(staffed: GatewayStack) -> None:
    """A line per payment with whole ids, the reason, and since when."""
    payment = await flagged(staffed)
    header, row = (await review(staffed, "list")).stdout.splitlines()
    assert header.split()[-3:] == ["reason", "since", "detail"]
    assert {payment["id"], "acme", "captured", "contradiction", payment["review"]["since"]} <= set(row.split())


async def test_review_operations_lists_those_without_an_outcome(staffed: GatewayStack) -> None:
    """The open operation is there, with its payment and tenant."""
    payment = await uncertain(staffed)
    [found] = (await reviewed(staffed, "operations"))["data"]
    assert (found["id"], found["kind"], found["status"]) == (payment["operation"]["id"], "capture", "unknown")
    assert (found["tenant"], found["payment_id"]) == ("acme", payment["id"])


async def test_review_operations_for_people_never_cuts_an_id(staffed: GatewayStack) -> None:
    """A line per operation that the next command can be copied from."""
    payment = await uncertain(staffed)
    header, row = (await review(staffed, "operations")).stdout.splitlines()
    assert header.split()[:2] == ["id", "tenant"]
    assert {payment["operation"]["id"], payment["id"], "capture"} <= set(row.split())


# What is decided


async def test_resolve_says_what_has_gone_back(staffed: GatewayStack) -> None:
    """Where the provider denied how a refund ended, a person gives the total; an amount is written as everywhere."""
    flag = await flagged(staffed)
    before = await staffed.gateway.store.payment("acme", flag["id"])
    assert before is not None
    denied = msgspec.structs.replace(before.payment, denied_operations=("op_1",))
    rows = [statements.update_payment(before.payment, denied, open_before=None, open_after=None)]
    await staffed.gateway.store.commit("acme", rows)
    arguments = ("resolve", flag["id"], "--reason", "called them", "--amount-refunded")
    shown = await reviewed(staffed, *arguments, "67.33")
    assert (shown["review"], shown["state"], shown["amount_refunded"]) == (None, "partially_refunded", "67.33")
    wrong = await review(staffed, *arguments, "1e3")
    assert (wrong.exit_code, "must be a decimal such as" in wrong.output) == (2, True)


async def test_resolve_clears_the_flag(staffed: GatewayStack) -> None:
    """The payment goes on as it stood, and its timeline names reason and operator."""
    payment = await flagged(staffed)
    arguments = ("resolve", payment["id"], "--reason", "canceled in the portal", "--actor", "kim")
    shown = await reviewed(staffed, *arguments)
    assert shown == await staffed.payment(payment["id"])
    assert (shown["review"], shown["state"], shown["version"]) == (None, "captured", payment["version"] + 1)
    event = (await staffed.events(payment["id"]))[-1]
    assert (event["cause"], event["details"]["actor"]) == ("operator", "operator (kim)")
    assert event["details"]["reason"] == "canceled in the portal"


async def test_resolve_sets_a_state_that_a_person_knows(staffed: GatewayStack) -> None:
    """With --state the payment is what the operator says; people read it as lines."""
    payment = await flagged(staffed)
    result = await review(staffed, "resolve", payment["id"], "--reason", "money came back", "--state", "canceled")
    assert result.exit_code == 0, result.output
    assert ["state", "canceled"] in [line.split() for line in result.stdout.splitlines()]
    assert (await staffed.payment(payment["id"]))["state"] == "canceled"


@pytest.mark.parametrize("outcome", ["succeeded", "declined", "written_off"])
async def test_settle_ends_an_operation(staffed: GatewayStack, outcome: str) -> None:
    """The operation has the outcome that was given, nothing is open, and the provider was not called again."""
    payment = await uncertain(staffed)
    shown = await reviewed(staffed, "settle", payment["operation"]["id"], "--outcome", outcome, "--reason", "by phone")
    assert (shown["id"], shown["pending_operation"]) == (payment["id"], None)
    assert (await creditkey.operations(staffed, payment))[-1] == ("capture", outcome)
    assert await creditkey.calls(staffed, payment, "confirm_order") == ["confirm_order"]


async def test_the_actor_is_the_user_unless_named(staffed: GatewayStack) -> None:
    """Who decides is the user of the machine."""
    payment = await uncertain(staffed)
    arguments = ("settle", payment["operation"]["id"], "--outcome", "declined", "--reason", "looked it up")
    assert (await review(staffed, *arguments)).exit_code == 0
    assert (await staffed.events(payment["id"]))[-1]["details"]["actor"] == f"operator ({getpass.getuser()})"


def test_a_user_without_a_name_must_give_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine knows no name, --actor is mandatory."""

    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    result = run("payments", "review", *EACH["resolve"], "--admin-url", "http://127.0.0.1:9")
    assert (result.exit_code, "--actor" in result.stderr) == (2, True)


# Where the listener is


async def test_the_settings_tell_where_the_listener_is(staffed: GatewayStack, tmp_path: Path) -> None:
    """Without --admin-url host and port are those of server.admin."""
    folder = tmp_path / "beside"
    folder.mkdir()
    port = int(staffed.admin_url.rpartition(":")[2])
    config = write(folder, admin={"host": "127.0.0.1", "port": port})
    result = await asyncio.to_thread(run, "payments", "review", "list", "--json", "--config", config)
    assert (result.exit_code, json.loads(result.stdout)) == (0, {"data": []})


def test_a_listener_on_any_port_must_be_named(tmp_path: Path) -> None:
    """With port 0 in the settings nobody can know the address: bad usage that says what is missing."""
    result = run("payments", "review", "list", "--config", write(tmp_path))
    assert (result.exit_code, "--admin-url" in result.stderr) == (2, True)


async def test_an_address_makes_settings_needless(staffed: GatewayStack, tmp_path: Path) -> None:
    """With --admin-url the settings are not even read."""
    assert (await review(staffed, "list", "--config", str(tmp_path / "none.yaml"))).exit_code == 0


# How it fails


def failed(result: Result) -> str:
    """The one line on stderr of a command that failed."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    [line] = result.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", EACH)
@pytest.mark.parametrize("key", [None, "", "  ", "caf\u00e9", "two\nlines"])
def test_no_usable_key_fails(monkeypatch: pytest.MonkeyPatch, name: str, key: str | None) -> None:
    """Without a key in the environment nothing is asked, and the line says how to get one."""
    if key is None:
        monkeypatch.delenv(KEY_VARIABLE)
    else:
        monkeypatch.setenv(KEY_VARIABLE, key)
    line = failed(run("payments", "review", *EACH[name], "--admin-url", "http://127.0.0.1:9"))
    assert f"set {KEY_VARIABLE} " in line


@pytest.mark.parametrize("name", EACH)
def test_a_gateway_that_does_not_run_fails(name: str) -> None:
    """Where nobody listens the line names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    assert f"cannot connect to {url}" in failed(run("payments", "review", *EACH[name], "--admin-url", url))


async def test_a_wrong_key_is_refused(staffed: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the variable that holds it; the key is not shown."""
    monkeypatch.setenv(KEY_VARIABLE, "gw_admin_another")
    line = failed(await review(staffed, "list"))
    assert "GATEWAY_ADMIN_KEY is not a key of this gateway, or it has expired" in line
    assert "gw_admin_another" not in line


@pytest.mark.parametrize("arguments", [EACH["resolve"], EACH["settle"]])
async def test_what_is_not_there_fails_with_the_listener_s_words(staffed: GatewayStack, arguments: list[str]) -> None:
    """An unknown payment or operation ends with 1 and the problem's detail."""
    assert "there is no such" in failed(await review(staffed, *arguments))


async def test_a_payment_without_a_flag_is_not_resolved(staffed: GatewayStack) -> None:
    """What a rule forbids is told in one line and changes nothing."""
    payment = await creditkey.authorized(staffed)
    assert "not under review" in failed(await review(staffed, "resolve", payment["id"], "--reason", "seen"))
    assert (await staffed.payment(payment["id"]))["version"] == payment["version"]


async def test_a_refused_member_is_named(staffed: GatewayStack) -> None:
    """A reason that is too long ends with 1 and a line that names it."""
    assert "reason" in failed(await review(staffed, "resolve", "pay_1", "--reason", "x" * 501))


async def not_a_gateway(_request: web.Request) -> web.StreamResponse:
    """Answer as some other server."""
    return web.Response(text="<p>hello</p>", content_type="text/html")


async def broken_problem(_request: web.Request) -> web.StreamResponse:
    """Answer with a problem that is none."""
    return web.Response(status=500, text="{", content_type="application/problem+json")


async def moved(_request: web.Request) -> web.StreamResponse:
    """Send the caller, and with it the key, somewhere else."""
    raise web.HTTPFound("http://127.0.0.1:9/")


async def hung_up(request: web.Request) -> web.StreamResponse:
    """Take the request and close the connection."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    ("handler", "says"),
    [
        (not_a_gateway, "did not answer as a gateway does (status 200)"),
        (broken_problem, "did not answer as a gateway does (status 500)"),
        (moved, "did not answer as a gateway does (status 302)"),
        (hung_up, "did not answer: check"),
    ],
)
async def test_another_server_s_answer_fails(handler: Callable[[web.Request], Any], says: str) -> None:
    """What is no answer of a gateway ends with 1 and one line that names the address."""
    app, bound = web.Application(), bind(0)
    url = url_of(bound)
    app.router.add_route("*", "/{path:.*}", handler)
    async with hosted(app, bound):
        result = await asyncio.to_thread(run, "payments", "review", "list", "--admin-url", url)
    assert f"{url} {says}" in failed(result)


@pytest.mark.parametrize(
    "arguments",
    [
        ["resolve", "pay_1"],
        ["resolve", "pay_1", "--reason", "seen", "--state", "refunded"],
        ["settle", "op_1", "--reason", "seen"],
        ["settle", "op_1", "--outcome", "unknown", "--reason", "seen"],
        ["list", "--admin-url", "127.0.0.1:8081"],
        ["list", "--admin-url", "ftp://127.0.0.1:8081"],
        ["list", "--admin-url", "http://"],
        ["list", "--admin-url", "http://[::1:8081"],
        ["list", "--admin-url", "http://user@127.0.0.1:8081"],
    ],
)
def test_bad_usage_exits_2(arguments: list[str]) -> None:
    """What is missing, not a choice or no address ends with 2, before anything is asked."""
    result = run("payments", "review", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
