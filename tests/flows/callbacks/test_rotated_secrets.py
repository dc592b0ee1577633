"""While the master secret is replaced, what the one before it made is still believed; then it no longer is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.clients.psp_callbacks import credentials, new_payment, post, signed_body
from tests.support.scenarios.inbox import admin
from tests.support.settings_file import loaded_with, reload, with_operator
from tests.support.stack import GatewayStack, creditkey_body, psp_body, running_stack, simulated

OLD, NEW = "the master secret that this store began with", "the master secret that takes the place of the other"


def with_secrets(*secrets: str, **account: Any) -> Callable[[dict[str, Any]], None]:
    """Settings with these master secrets, and acme's PSP account with some keys changed."""

    def change(settings: dict[str, Any]) -> None:
        with_operator(settings)
        settings["server"].pop("secret", None)
        settings["server"]["secrets"] = list(secrets)
        settings["tenants"]["acme"]["accounts"]["psp-main"] |= account

    return change


def today(stack: GatewayStack) -> GatewayStack:
    """The stack as the settings of now have it; the stack itself stays as it began."""
    return replace(stack, settings=stack.gateway.settings)


async def uses(stack: GatewayStack) -> dict[str, dict[str, int]]:
    """How often what acme's PSP account was derived from before was used, by its name."""
    listed = (await admin(stack, "GET", "/admin/v1/keys?tenant=acme")).json["data"]
    return {one["id"]: one["uses_by"] for one in listed if one["account"] == "psp-main"}


async def test_addresses_and_credentials_of_the_old_secret_are_believed(tmp_path: Path) -> None:
    """Old, new, and a sender who was told one half of it; each use of the old one is counted."""
    async with running_stack(tmp_path, change=with_secrets(OLD)) as stack:
        made = [await new_payment(stack) for _ in range(3)]
        assert (await reload(stack, with_secrets(NEW, OLD))).status == 200
        now = today(stack)
        assert now.entry("acme", "psp-main").endpoint_id != stack.entry("acme", "psp-main").endpoint_id
        assert credentials(now) != credentials(stack)
        half = {"crm-pay-token": credentials(now)[1]}
        merchant_of_old = signed_body(now, made[1], merchant_id=credentials(stack)[0])
        sent = [
            await post(stack, signed_body(stack, made[0])),
            await post(now, merchant_of_old, headers=half),
            await post(now, signed_body(now, made[2])),
        ]
        assert [reply.status for reply in sent] == [204, 204, 204]
        assert [(await stack.payment(one["id"]))["state"] for one in made] == ["captured"] * 3
        assert await uses(stack) == {"server.secrets[1]": {"address": 1, "credentials": 2}}


async def test_a_start_with_both_accepts_what_the_old_one_made(tmp_path: Path) -> None:
    """As a reload does: the store is used with the new one from then on."""
    async with running_stack(tmp_path, change=with_secrets(OLD)) as before:
        payment = await new_payment(before)
    async with running_stack(tmp_path, change=with_secrets(NEW, OLD)) as stack:
        reply = await post(replace(stack, settings=before.settings), signed_body(before, payment))
        assert (reply.status, (await stack.payment(payment["id"]))["state"]) == (204, "captured")


async def test_a_callback_of_neither_secret_is_refused(tmp_path: Path) -> None:
    """At the old address and at the new one; what proves nothing is no use of the old one."""
    async with running_stack(tmp_path, change=with_secrets(OLD)) as stack:
        payment = await new_payment(stack)
        await reload(stack, with_secrets(NEW, OLD))
        for one in (stack, today(stack)):
            refused = await post(one, signed_body(one, payment), headers={"crm-pay-token": "x" * 43})
            assert (refused.status, refused.json["type"]) == (400, "psp_token_invalid")
        assert (await uses(stack))["server.secrets[1]"] == {}


async def test_links_of_customers_stay_good(tmp_path: Path) -> None:
    """The address that a payment's customer is sent back to was made before the rotation."""
    async with running_stack(tmp_path, change=with_secrets(OLD)) as stack:
        payment = (await stack.create(creditkey_body())).json
        back = await stack.approve(payment)
        await reload(stack, with_secrets(NEW, OLD))
        assert (await stack.visit(back)).status == 303
        await reload(stack, with_secrets(NEW))
        assert (await stack.visit(back)).status == 404


async def test_a_stored_callback_is_proved_anew_after_the_rotation(tmp_path: Path) -> None:
    """Its secret header was stored as a hash keyed with the old secret."""
    async with running_stack(tmp_path, change=with_secrets(OLD, fields={})) as stack:
        payment = await new_payment(stack)
        refused = await post(stack, signed_body(stack, payment, currency="EUR"))
        assert refused.json["type"] == "payment_currency_not_allowed"
        await reload(stack, with_secrets(NEW, OLD))
        [row] = (await admin(stack, "GET", "/admin/v1/inbox")).json["data"]
        again = await admin(stack, "POST", f"/admin/v1/inbox/{row['id']}/reverify")
        assert again.json["reason"] == "currency"
        await reload(stack, with_secrets(NEW))
        again = await admin(stack, "POST", f"/admin/v1/inbox/{row['id']}/reverify")
        assert again.json["reason"] == "unauthentic"


async def test_an_explanation_names_what_proved_it(tmp_path: Path) -> None:
    """Also where it is neither today's nor the one before."""
    more = {"generation": 2, "accept_previous": True}
    async with running_stack(tmp_path, change=with_secrets(OLD)) as stack:
        payment = await new_payment(stack)
        await reload(stack, with_secrets(NEW, OLD, **more))
        await post(stack, signed_body(stack, payment))
        [row] = (await stack.call("GET", "/v1/callbacks")).json["data"]
        shown = (await stack.call("GET", f"/v1/callbacks/{row['id']}/explanation")).json
        assert [check["name"] for check in shown["checks"] if check["passed"] is False] == []
        assert shown["notes"] == ["it is proved with what was before: generation before, server.secrets[1]"]


@pytest.mark.parametrize("secrets", [(NEW, OLD), (OLD, NEW)])
async def test_generations_and_secrets_are_accepted_together(tmp_path: Path, secrets: tuple[str, str]) -> None:
    """A generation that is accepted is accepted of both secrets; the first of the list is used for what is new."""
    more = {"generation": 2, "accept_previous": True}
    async with running_stack(tmp_path, change=with_secrets(OLD)) as stack:
        made = [await new_payment(stack) for _ in range(2)]
        assert (await reload(stack, with_secrets(*secrets, **more))).status == 200
        entry = today(stack).entry("acme", "psp-main")
        assert entry.secret.reveal() == secrets[0]
        assert [one.name_of_earlier for one in entry.earlier] == [
            "generation before",
            "server.secrets[1]",
            "generation before, server.secrets[1]",
        ]
        assert (await post(stack, signed_body(stack, made[0]))).status == 204
        await reload(stack, with_secrets(*secrets, **{**more, "accept_previous": False}))
        assert (await post(stack, signed_body(stack, made[1]))).status == 404


async def test_what_ends_with_an_old_secret_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A reload without the secret that an account's provider still used names the account and its uses."""
    async with running_stack(tmp_path, change=with_secrets(OLD)) as stack:
        payment = await new_payment(stack)
        await reload(stack, with_secrets(NEW, OLD))
        junk = await post(stack, b"{}", headers={"crm-pay-token": "of somebody else"})
        assert junk.status == 400
        await post(stack, signed_body(stack, payment))
        status = (await admin(stack, "GET", "/admin/v1/status")).json
        rows = {(one["tenant"], one["account"]): one for one in status["still_accepted"]}
        used = rows["acme", "psp-main"]
        assert (used["name"], used["uses_by"]) == ("server.secrets[1]", {"address": 1, "credentials": 1})
        assert rows["globex", "psp-main"]["uses_by"] == {}
        [line] = status["needs_person"]
        assert line.startswith("the provider of account acme psp-main still uses what is replaced (server.secrets[1])")
        caplog.clear()
        ended = (await reload(stack, with_secrets(NEW))).json["ended"]
        assert [one.partition(", last")[0] for one in ended] == ["acme/psp-main: address 1"]
        assert "ended" not in (await reload(stack)).json
        [said] = [one for one in caplog.records if "refused from now on" in one.message]
        assert (said.tenant, said.account) == ("acme", "psp-main")  # type: ignore[attr-defined]
        assert said.detail.startswith("address 1, last 20")  # type: ignore[attr-defined]
        assert (await post(stack, signed_body(stack, payment))).status == 404


class Load:
    """Tenants and customers who go on while the secret is replaced: four at a time, each answer kept."""

    def __init__(self, stack: GatewayStack) -> None:
        self.stack = stack
        self.created: list[int] = []
        self.waiting: list[Any] = []
        self.paid: list[str] = []

    async def go_on(self, payments: int) -> None:
        """Create so many payments; half of their customers pay at once, the others later."""
        await asyncio.gather(*(self._one(number) for number in range(payments)))

    async def _one(self, number: int) -> None:
        reply = await self.stack.create(psp_body())
        self.created.append(reply.status)
        await (self._pay(reply.json) if number % 2 else self._wait(reply.json))

    async def _wait(self, payment: Any) -> None:
        self.waiting.append(payment)

    async def pay_those_that_wait(self) -> None:
        """Their providers call back as they were told when the payment was made."""
        waiting, self.waiting = self.waiting, []
        await asyncio.gather(*map(self._pay, waiting))

    async def _pay(self, payment: Any) -> None:
        assert (await self.stack.click(payment, "pay")).status < 400
        self.paid.append(payment["id"])


async def test_a_rotation_under_load_loses_and_refuses_nothing(tmp_path: Path) -> None:
    """Payments and callbacks go on through ``[new, old]`` and ``[new]``: none is lost, none is refused."""
    async with running_stack(tmp_path, change=with_secrets(OLD)) as stack:
        load = Load(stack)
        await load.go_on(12)
        loading = asyncio.create_task(load.go_on(40))
        # The bridge is told the new credentials in time, and keeps the old ones for the payments that it knows.
        await reload(stack, with_secrets(OLD, NEW))
        told = replace(stack, settings=await _settings_of(stack, NEW, OLD))
        stack.simulated["psp"] |= {f"{name} (new)": one for name, one in simulated(told, "psp_open_api").items()}
        more = asyncio.create_task(load.go_on(40))
        assert (await reload(stack, with_secrets(NEW, OLD))).status == 200
        await asyncio.gather(loading, more, load.pay_those_that_wait(), load.go_on(20))
        await load.pay_those_that_wait()
        assert (await uses(stack))["server.secrets[1]"]["credentials"] > 0
        assert (await reload(stack, with_secrets(NEW))).status == 200
        await load.go_on(20)
        await load.pay_those_that_wait()
        states = [(await stack.payment(one))["state"] for one in load.paid]
        refused = (await admin(stack, "GET", "/admin/v1/inbox?verdict=refused")).json["data"]
    assert load.created == [201] * 132
    assert states == ["captured"] * 132
    assert refused == []


async def _settings_of(stack: GatewayStack, *secrets: str) -> Any:
    """The settings as they will be: for what the bridge is told ahead."""
    return await asyncio.to_thread(loaded_with, stack, with_secrets(*secrets))
