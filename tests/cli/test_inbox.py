"""``gateway inbox`` and ``gateway callback explain``: beside a running gateway, and through it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from gateway.drivers.store.sqlite import open_sqlite
from gateway.flows.background import inbox_retry
from tests.support.cli import run, write
from tests.support.clients.psp_callbacks import credentials, new_payment, post, sign, signed_body
from tests.support.factories.store_units import stored
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import (
    ADMIN_KEY,
    RIGHT,
    WRONG,
    api2,
    balked,
    deliver,
    inbox_stack,
    state_of,
    verdicts,
)
from tests.support.stack import GatewayStack


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The operators' key in the environment; nobody works off the inbox by itself."""
    monkeypatch.setenv("GATEWAY_ADMIN_KEY", ADMIN_KEY)
    monkeypatch.setattr(inbox_retry, "run", creditkey.idle)


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack."""
    async with inbox_stack(tmp_path) as (opened, _):
        yield opened


async def command(stack: GatewayStack, *arguments: object) -> Result:
    """Run a command on the stack's settings; it must show no secret."""
    result = await asyncio.to_thread(run, *arguments, "--config", stack.folder / "settings.yaml")
    for secret in (RIGHT, WRONG, ADMIN_KEY):
        assert secret not in result.output
    return result


async def through(stack: GatewayStack, *arguments: object) -> Result:
    """Run a command that asks the running gateway."""
    return await command(stack, *arguments, "--admin-url", stack.admin_url)


async def answered(stack: GatewayStack, *arguments: object) -> Any:
    """What a command that goes well prints as JSON."""
    result = await command(stack, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def newest(stack: GatewayStack) -> str:
    """The id of the newest callback."""
    found = await answered(stack, "inbox", "list", "--limit", "1")
    return str(found["data"][0]["id"])


async def explained(stack: GatewayStack, *arguments: object) -> Any:
    """The checks of an explanation by name, and the explanation."""
    found = await answered(stack, "callback", "explain", *arguments)
    checks = {one["name"]: one for one in found["proof"]["checks"] + found["judgement"]}
    return checks, found


# List and show


async def test_list_shows_what_came_and_what_was_made_of_it(stack: GatewayStack) -> None:
    """A line per callback, newest first, with whole ids."""
    payment = await new_payment(stack)
    await deliver(stack, payment, WRONG)
    await deliver(stack, payment)
    header, recorded, refused = (await command(stack, "inbox", "list")).stdout.splitlines()
    assert header.split()[:2] == ["id", "received_at"]
    assert {"recorded", payment["id"], "psp-main"} <= set(recorded.split())
    assert {"refused", "unauthentic"} <= set(refused.split())


async def test_list_takes_filters(stack: GatewayStack) -> None:
    """Verdict, account, tenant, payment and date choose."""
    payment = await new_payment(stack)
    await deliver(stack, payment, WRONG)
    await deliver(stack, payment)
    counts = [
        len((await answered(stack, "inbox", "list", *options))["data"])
        for options in (
            ("--verdict", "refused"),
            ("--tenant", "globex"),
            ("--account", "psp-main"),
            ("--payment-id", payment["id"]),
            ("--since", "2999-01-01"),
        )
    ]
    assert counts == [1, 0, 2, 1, 0]


async def test_show_prints_one_callback_without_its_secret(stack: GatewayStack) -> None:
    """Headers and body are there; the token's header holds a hash."""
    payment = await new_payment(stack)
    await post(stack, signed_body(stack, payment, note=RIGHT))
    result = await command(stack, "inbox", "show", await newest(stack))
    assert result.exit_code == 0
    assert payment["id"] in result.stdout
    assert "hmac-sha256:" in result.stdout


async def test_show_of_an_unknown_id_fails(stack: GatewayStack) -> None:
    """It ends with 1 and names the id."""
    result = await command(stack, "inbox", "show", "cb_none")
    assert (result.exit_code, "cb_none" in result.output) == (1, True)


# Replay and reverify


async def test_replay_changes_nothing_unless_told(stack: GatewayStack) -> None:
    """Without --apply it is a dry run."""
    payment = await new_payment(stack)
    await balked(stack, payment)
    callback = await newest(stack)
    dry = await through(stack, "inbox", "replay", callback)
    assert (dry.exit_code, "captured" in dry.stdout, "nothing was changed" in dry.stderr) == (0, True, True)
    assert await verdicts(stack) == ["pending"]
    assert (await through(stack, "inbox", "replay", callback, "--apply")).exit_code == 0
    assert (await verdicts(stack), await state_of(stack, payment)) == (["recorded"], "captured")


async def test_reverify_repairs_an_account_once_its_token_is_right(tmp_path: Path) -> None:
    """Refused under a mistyped token: dry run, then all of the account at once, oldest first."""
    async with inbox_stack(tmp_path, WRONG) as (stack, _):
        payments = [await new_payment(stack) for _ in range(3)]
        await deliver(stack, payments[0], status=2)
        for payment in payments:
            await deliver(stack, payment)
        assert set(await verdicts(stack)) == {"refused"}
    async with inbox_stack(tmp_path, RIGHT) as (stack, _):
        chosen = ("inbox", "reverify", "--account", "psp-main", "--since", "2020-01-01")
        assert (await through(stack, *chosen)).exit_code == 0
        assert set(await verdicts(stack)) == {"refused"}
        assert (await through(stack, *chosen, "--apply", "--actor", "dana")).exit_code == 0
        assert set(await verdicts(stack)) == {"recorded"}
        assert [await state_of(stack, payment) for payment in payments] == ["captured"] * 3
        assert await stack.events_of_type(payments[0]["id"], "payment.processing")


async def test_what_cannot_be_judged_again_does_not_stop_the_others(stack: GatewayStack) -> None:
    """The one is said and ends with 1, the other is applied."""
    payment = await new_payment(stack)
    await balked(stack, payment)
    result = await through(stack, "inbox", "replay", "cb_none", await newest(stack), "--apply")
    assert (result.exit_code, "cb_none" in result.stderr) == (1, True)
    assert await verdicts(stack) == ["recorded"]


@pytest.mark.parametrize("arguments", [(), ("cb_1", "--account", "psp-main")])
async def test_reverify_wants_ids_or_an_account(stack: GatewayStack, arguments: tuple[str, ...]) -> None:
    """Never everything by accident."""
    assert (await through(stack, "inbox", "reverify", *arguments)).exit_code == 2


# Explain


async def test_explain_names_the_token_and_every_check(stack: GatewayStack) -> None:
    """A recorded callback: all checks of the proof passed, the token by its name, the text that was signed."""
    payment = await new_payment(stack)
    await deliver(stack, payment)
    checks, found = await explained(stack, await newest(stack))
    assert found["tried"] == [{"header": "crm-pay-token", "credential": "token"}]
    proof = [one["name"] for one in found["proof"]["checks"]]
    assert proof == ["method", "media type", "path", "source address", "crm-pay-token", "sign", "merchant_id"]
    assert all(one["passed"] for one in found["proof"]["checks"])
    assert f"order_no={payment['id']}" in found["proof"]["signed"]["literal"]
    assert (found["verdict"], checks["seen before"]["detail"]) == ("repeated", "applied before: nothing changes")


async def test_explain_of_a_wrong_token_says_that_it_is_none_of_ours(stack: GatewayStack) -> None:
    """The check that failed is the token's, and the core's are not reached."""
    await deliver(stack, await new_payment(stack), WRONG)
    checks, found = await explained(stack, await newest(stack))
    assert found["tried"] == [{"header": "crm-pay-token", "credential": None}]
    assert (checks["crm-pay-token"]["passed"], checks["payment"]["passed"]) == (False, None)
    assert (found["verdict"], found["reason"]) == ("refused", "unauthentic")


async def test_explain_of_a_wrong_sign_tells_nothing_of_the_right_one(stack: GatewayStack) -> None:
    """It says what was looked for; neither the expected sign nor where the given one differs."""
    payment = await new_payment(stack)
    body = json.loads(api2(stack, payment))
    right = body["sign"]
    body["sign"] = right[:4] + ("0" if right[4] != "0" else "1") + right[5:]
    await post(stack, json.dumps(body).encode(), headers={"crm-pay-token": RIGHT})
    checks, found = await explained(stack, await newest(stack))
    assert (checks["crm-pay-token"]["passed"], checks["sign"]["passed"]) == (True, False)
    assert any("in no way that is known here" in note for note in found["proof"]["notes"])
    assert "position" not in json.dumps(found)
    assert right not in json.dumps(found)


async def test_explain_recognises_a_known_mistake(stack: GatewayStack) -> None:
    """A sender that signs without the token is told so."""
    payment = await new_payment(stack)
    body = json.loads(api2(stack, payment))
    await post(stack, json.dumps({**body, "sign": sign(body, "")}).encode(), headers={"crm-pay-token": RIGHT})
    _, found = await explained(stack, await newest(stack))
    assert "the sender signs with no token" in found["proof"]["notes"]


async def test_explain_shows_which_of_the_core_s_checks_refused(stack: GatewayStack) -> None:
    """A wrong amount: what comes before it passed, what comes after it was not reached."""
    payment = await new_payment(stack)
    await deliver(stack, payment, amount=1.5)
    checks, found = await explained(stack, await newest(stack))
    passed = [checks[name]["passed"] for name in ("payment", "status", "currency", "amount", "time", "state")]
    assert passed == [True, True, True, False, None, None]
    assert (found["reason"], checks["amount"]["detail"]) == ("amount", "1.5 was sent, the payment's is 162.48")


async def test_explain_for_people(stack: GatewayStack) -> None:
    """Lines with ok and failed, and the signed text."""
    payment = await new_payment(stack)
    await deliver(stack, payment, WRONG)
    result = await command(stack, "callback", "explain", await newest(stack))
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["method", "ok"] in lines
    assert any(line[:2] == ["crm-pay-token", "failed"] for line in lines)
    assert f"order_no={payment['id']}" in result.stdout


async def test_explain_of_a_callback_that_never_arrived(stack: GatewayStack) -> None:
    """Body and headers from files, the headers as curl prints them."""
    payment = await new_payment(stack)
    body, headers = stack.folder / "body.json", stack.folder / "headers.txt"
    body.write_bytes(api2(stack, payment))
    headers.write_text(f"> Content-Type: application/json\n> crm-pay-token: {RIGHT}\n>\n")
    given = ("--file", body, "--headers", headers, "--tenant", "acme", "--account", "psp-main")
    _, found = await explained(stack, *given, "--suffix", "pay/callback")
    assert (found["verdict"], found["tried"][0]["credential"]) == ("recorded", "token")
    assert await verdicts(stack) == []


async def test_explain_masks_a_token_in_the_body(stack: GatewayStack) -> None:
    """What a sender puts where it does not belong is not printed."""
    payment = await new_payment(stack)
    await post(stack, signed_body(stack, payment, note=f"my token is {RIGHT}"))
    _, found = await explained(stack, await newest(stack))
    assert "my token is ***" in found["proof"]["signed"]["literal"]


async def test_explain_of_a_provider_that_does_not_explain(stack: GatewayStack) -> None:
    """The generic part: one check, and what it said."""
    endpoint = stack.entry("acme", "creditkey-main").endpoint_id
    await stack.call("GET", f"/callbacks/{endpoint}/whatever", tenant=None)
    checks, found = await explained(stack, await newest(stack))
    assert (checks["verify"]["passed"], found["reason"]) == (False, "not_found")


@pytest.mark.parametrize("arguments", [(), ("--file", "settings.yaml"), ("cb_1", "--file", "settings.yaml")])
async def test_explain_wants_an_id_or_a_file(stack: GatewayStack, arguments: tuple[str, ...]) -> None:
    """One or the other, and whose it is."""
    assert (await command(stack, "callback", "explain", *arguments)).exit_code == 2


WRONG_PLACES = [
    (("--tenant", "nope", "--account", "psp-main"), 'there is no tenant "nope"; known are acme, globex'),
    (("--tenant", "acme", "--account", "nope"), 'acme has no account "nope"; it has'),
    (("--tenant", "acme"), "--file needs --tenant and --account"),
]


@pytest.mark.parametrize(("place", "told"), WRONG_PLACES)
async def test_explain_names_the_accounts_there_are(stack: GatewayStack, place: tuple[str, ...], told: str) -> None:
    """Where the one that was named does not exist."""
    result = await command(stack, "callback", "explain", "--file", stack.folder / "settings.yaml", *place)
    said = " ".join(result.output.replace("│", " ").split())
    assert (result.exit_code, told in said) == (2, True), said


async def test_what_the_sender_does_wrong_stands_first(stack: GatewayStack) -> None:
    """Above the tables, under a heading."""
    await deliver(stack, await new_payment(stack), WRONG)
    result = await command(stack, "callback", "explain", await newest(stack))
    heading, checks = result.output.index("What the sender does wrong:"), result.output.index("check")
    assert heading < result.output.index("- crm-pay-token holds a value") < checks


MISFITS = [
    ({"amount": 1.5}, "1.5 was sent", "(amount_rule)"),
    ({"currency": "EUR"}, "EUR was sent", "send the payment's own currency"),
    ({"order_no": "pay_00000000000070008000000000000000"}, "this account has no payment", "send the id of the payment"),
    ({"time": 1_631_696_419_516}, "it may be", "send when the payment ended"),
    ({"status": 9}, "status is 9", "0 failed, 1 succeeded, 2 processing"),
]


@pytest.mark.parametrize(("members", "why", "remedy"), MISFITS)
async def test_every_refusal_of_the_core_has_a_note(
    stack: GatewayStack, members: dict[str, Any], why: str, remedy: str
) -> None:
    """What was sent, what is right, and what to do: notes are what people read."""
    await post(stack, signed_body(stack, await new_payment(stack), **members))
    _, found = await explained(stack, await newest(stack))
    (note,) = found["proof"]["notes"]
    assert why in note
    assert remedy in note


async def test_the_previous_token_is_named(tmp_path: Path) -> None:
    """During a rotation it shows that the sender still has the old one."""
    async with inbox_stack(tmp_path, RIGHT, previous_token=WRONG) as (stack, _):
        await deliver(stack, await new_payment(stack), WRONG)
        checks, found = await explained(stack, await newest(stack))
        assert found["tried"][0]["credential"] == "config.previous_token"
        assert checks["crm-pay-token"]["detail"] == "it is the account's previous token"
        assert credentials(stack)[1] == RIGHT


@pytest.fixture
async def config(tmp_path: Path) -> Path:
    """Settings whose store exists and holds a payment."""
    path = write(tmp_path)
    store = await open_sqlite(store_of(path))
    await stored(store, 1, account="creditkey-main", provider="creditkey")
    await store.close()
    return path


def store_of(config: Path) -> Path:
    """The database of settings."""
    return config.parent / "data" / "gateway.db"


def test_headers_of_any_bytes_are_explained(config: Path) -> None:
    """A file of headers that is no UTF-8 is read as the server reads headers."""
    body, headers = config.parent / "body", config.parent / "headers"
    body.write_bytes(b"{}")
    headers.write_bytes(b"Content-Type: application/json\r\nX-Name: caf\xe9\x85\r\n")
    files = ("--file", body, "--headers", headers, "--tenant", "acme", "--account", "psp-main")
    done = run("callback", "explain", *files, "--config", config)
    assert (done.exit_code, "media type" in done.stdout) == (0, True)
