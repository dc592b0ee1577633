"""``gateway callback sign``: a valid callback of an account, which the gateway believes when it is sent as printed."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.cli import run, write
from tests.support.clients.psp_callbacks import new_payment
from tests.support.scenarios.inbox import RIGHT, inbox_stack
from tests.support.stack import GatewayStack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running stack."""
    async with inbox_stack(tmp_path) as (opened, _):
        yield opened


def sign(folder: Path, *arguments: object) -> Any:
    """Run the command on the settings of a folder."""
    return run("callback", "sign", *arguments, "--config", folder / "settings.yaml")


async def signed(stack: GatewayStack, payment: Any, *arguments: object) -> Any:
    """What it prints as JSON for an account of acme; the port is the running server's."""
    url = stack.gateway.callback_url(stack.entry("acme", "psp-main"))
    given = ("psp-main", "--tenant", "acme", "--order", payment["id"], "--url", url, "--json", *arguments)
    result = await asyncio.to_thread(sign, stack.folder, *given)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


async def send(stack: GatewayStack, made: Any) -> int:
    """Send it as printed; its status."""
    async with stack.http.request(
        made["method"], made["url"], data=made["body"].encode(), headers=made["headers"]
    ) as answer:
        return answer.status


@pytest.mark.parametrize(
    ("status", "state"), [("succeeded", "captured"), ("failed", "failed"), ("processing", "processing")]
)
async def test_what_is_printed_is_believed(stack: GatewayStack, status: str, state: str) -> None:
    """Amount and currency are the payment's unless given; the payment goes where the status says."""
    payment = await new_payment(stack, amount="25.50")
    made = await signed(stack, payment, "--status", status, "--transaction", "T-77")
    assert '"amount":25.5,' in made["body"]
    assert await send(stack, made) == 204
    now = await stack.payment(payment["id"])
    assert (now["state"], now["provider_reference"]) == (state, "T-77")


async def test_another_amount_is_signed_as_given(stack: GatewayStack) -> None:
    """The sign is right, the amount is not: the gateway refuses it for that."""
    made = await signed(stack, await new_payment(stack), "--amount", "1.5", "--currency", "EUR")
    assert json.loads(made["body"])["currency"] == "EUR"
    assert await send(stack, made) == 400


async def test_the_tenant_is_found_by_the_payment(stack: GatewayStack) -> None:
    """Where several tenants have an account of this name."""
    payment = await new_payment(stack)
    url = stack.gateway.callback_url(stack.entry("acme", "psp-main"))
    result = await asyncio.to_thread(sign, stack.folder, "psp-main", "--order", payment["id"], "--url", url)
    assert (result.exit_code, payment["id"] in result.stdout, result.stderr) == (0, True, ""), result.output


DOUBTS = [
    (("--amount", "25.555"), "USD has 2 decimals, 25.555 has more: the gateway will refuse the callback"),
    (("--amount", "1.5"), "the payment's amount is 162.48 USD"),
    (("--currency", "EUR"), "the payment's amount is 162.48 USD"),
    (("--currency", "XQX"), "XQX is not a known currency: the gateway will refuse the callback"),
    (("--order", "pay_none", "--amount", "1", "--currency", "USD"), "acme has no payment pay_none"),
    (("--tenant", "globex", "--amount", "1", "--currency", "USD"), "globex has no payment pay_"),
    ((), None),
    (("--amount", "162.480"), None),
]


@pytest.mark.parametrize(("changed", "told"), DOUBTS)
async def test_a_callback_that_will_be_refused_is_signed_with_a_warning(
    stack: GatewayStack, changed: tuple[str, ...], told: str | None
) -> None:
    """On stderr, so that what is printed stays what is sent."""
    payment = await new_payment(stack)
    given = ("psp-main", "--tenant", "acme", "--order", payment["id"], "--url", "http://127.0.0.1:1/callbacks/x")
    result = await asyncio.to_thread(sign, stack.folder, *given, *changed)
    assert result.exit_code == 0, result.output
    assert f"warning: {told}" in result.stderr if told else result.stderr == ""
    assert "warning" not in result.stdout


async def test_the_curl_line_holds_all_of_it(stack: GatewayStack) -> None:
    """URL, headers and body, quoted for a shell."""
    made = await signed(stack, await new_payment(stack))
    words = shlex.split(made["curl"])
    assert words[:5] == ["curl", "-i", "-X", "POST", made["url"]]
    assert f"crm-pay-token: {RIGHT}" in words
    assert words[-1] == made["body"]


ORDER = ("--order", "pay_1", "--amount", "25.50", "--currency", "USD", "--url", "http://127.0.0.1:1/callbacks/x")
MISUSES: list[tuple[tuple[str, ...], int, str]] = [
    (("creditkey-main", *ORDER), 1, "callbacks of creditkey are not signed"),
    (("psp-main", *ORDER), 2, "--tenant (acme, globex)"),
    (("nobody", *ORDER), 2, "known are acme/creditkey-main, acme/psp-main"),
    (("psp-main", "--tenant", "acme", *ORDER[:-2]), 2, "pass it as --url"),
    (("psp-main", "--tenant", "acme", *ORDER, "--amount", "1,00"), 2, "--amount"),
    (("psp-main", "--tenant", "acme"), 2, "--order"),
]


@pytest.mark.parametrize(("arguments", "code", "told"), MISUSES)
def test_a_misuse_says_what_to_do(tmp_path: Path, arguments: tuple[str, ...], code: int, told: str) -> None:
    """Each with the exit code of its kind."""
    write(tmp_path)
    result = sign(tmp_path, *arguments)
    assert (result.exit_code, told in result.output) == (code, True), result.output


def test_outside_development_it_needs_reveal(tmp_path: Path) -> None:
    """It prints the account's secret."""
    path = write(tmp_path, development=False)
    settings = yaml.safe_load(path.read_text())
    del settings["tenants"]["acme"]["accounts"]["creditkey-main"]
    for tenant in settings["tenants"].values():
        del tenant["webhook"]
        for one in tenant["accounts"].values():
            one["config"]["app_url"] = "https://psp.example"
    secret = tmp_path / "secret"
    secret.write_text("kD8vR2nQ5xW9yB3mT6jL1pF4hS7gC0zA8eU2iO5")
    secret.chmod(0o600)
    settings["server"]["secret"] = f"file:{secret}"
    path.write_text(yaml.safe_dump(settings))
    given = ("psp-main", "--tenant", "acme", *ORDER[:-1], "https://pay.example/callbacks/x")
    hidden, shown = sign(tmp_path, *given), sign(tmp_path, *given, "--reveal")
    assert (hidden.exit_code, "--reveal" in hidden.output, "crm-pay-token" in hidden.output) == (2, True, False), (
        hidden.output
    )
    assert (shown.exit_code, "crm-pay-token: " in shown.output) == (0, True), shown.output


def test_a_payment_that_is_not_there_needs_an_amount(tmp_path: Path) -> None:
    """Without a store nothing is known of it."""
    write(tmp_path)
    result = sign(tmp_path, "psp-main", "--tenant", "acme", "--order", "pay_none", *ORDER[-2:])
    assert result.exit_code != 0
