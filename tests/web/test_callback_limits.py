"""Callbacks when there are too many: what is proved never waits behind what is not, nor a customer behind another.

The rate refills so slowly that a test sees bursts only: 8 for what is proved and for what is refused of an account,
half of it for what is refused of one address and for each link of one payment.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from gateway_psp_open_api import PspOpenApi
from msgspec.structs import replace

from gateway.core.facts import Busy
from gateway.core.wire import Callback
from gateway.drivers.settings import Rate
from gateway.drivers.store.inbox import InboxFilter
from gateway.web.callback_limits import Admission, CallbackLimits
from tests.support.clients.psp_callbacks import call_back, new_payment, post, signed_body
from tests.support.stack import GatewayStack, Reply, creditkey_body, running_stack

BURST, HALF = 8, 4
WRONG = {"crm-pay-token": "wrong"}


def slowly(settings: dict[str, Any]) -> None:
    settings["server"]["callback_rate"] = {"per_second": 0.001, "burst": BURST}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A stack with a small ``callback_rate``."""
    async with running_stack(tmp_path, change=slowly) as opened:
        yield opened


async def refused_rows(stack: GatewayStack, account: str) -> int:
    """How many refused callbacks of an account are stored."""
    wanted = InboxFilter(limit=1000, account=account, verdict="refused")
    return len(await stack.gateway.store.inbox.newest("acme", wanted))


async def bad_ones(stack: GatewayStack, count: int, **how: Any) -> Counter[int]:
    """Send callbacks that nothing proves; how many got which status."""
    replies = [await post(stack, b'{"sign": "x"}', **how) for _ in range(count)]
    assert all(int(reply.headers["Retry-After"]) > 0 for reply in replies if reply.status == 429)
    return Counter(reply.status for reply in replies)


# What a provider proves


async def test_good_callbacks_pass_a_flood_of_bad_ones(stack: GatewayStack) -> None:
    """Bad callbacks are put off when there are too many; good ones are applied meanwhile, and so is a repetition."""
    payments = [await new_payment(stack) for _ in range(BURST - 1)]
    bodies = [signed_body(stack, payment) for payment in payments]
    assert await bad_ones(stack, 20, headers=WRONG) == {400: HALF, 429: 20 - HALF}
    assert [(await post(stack, body)).status for body in bodies] == [204] * len(bodies)
    assert await bad_ones(stack, 20, headers=WRONG) == {429: 20}
    assert (await post(stack, bodies[0])).status == 204
    assert {(await stack.payment(payment["id"]))["state"] for payment in payments} == {"captured"}


async def test_a_flood_leaves_little_behind(stack: GatewayStack) -> None:
    """Of a flood as many are kept as evidence as one address may leave; those that are put off cost no row."""
    await bad_ones(stack, 20, headers=WRONG)
    assert await refused_rows(stack, "psp-main") == HALF


async def test_good_callbacks_pass_bad_ones_under_the_right_token(stack: GatewayStack) -> None:
    """A sender that knows the token and not how to sign uses up no room of what is proved."""
    payment = await new_payment(stack)
    assert await bad_ones(stack, 20) == {400: HALF, 429: 20 - HALF}
    assert (await call_back(stack, payment)).status == 204


async def test_good_callbacks_without_a_secret_header_pass_too(
    stack: GatewayStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no header tells who sends, a good callback is told by its signature, and passes the bad ones as well."""
    monkeypatch.setattr(PspOpenApi, "secret_headers", frozenset())
    payments = [await new_payment(stack) for _ in range(3)]
    assert await bad_ones(stack, 20) == {400: HALF, 429: 20 - HALF}
    assert [(await call_back(stack, payment)).status for payment in payments] == [204] * 3


async def test_proved_ones_have_the_rate_that_is_set(stack: GatewayStack) -> None:
    """``callback_rate`` is the rate of what is proved, also of what is repeated; above it nothing is applied."""
    first, last = await new_payment(stack), await new_payment(stack)
    replies = [await call_back(stack, first) for _ in range(BURST)] + [await call_back(stack, last)]
    assert [reply.status for reply in replies] == [204] * BURST + [429]
    assert (await stack.payment(last["id"]))["state"] == "awaiting_customer"


async def test_accounts_do_not_share_a_rate(stack: GatewayStack) -> None:
    """What comes to one account uses up nothing of another."""
    for path in range(BURST + 1):
        await visit(stack, f"/callbacks/{stack.entry('acme', 'creditkey-main').endpoint_id}/{path}")
    assert (await bad_ones(stack, 1, headers=WRONG)) == {400: 1}


async def test_a_body_that_says_it_is_too_large_is_not_waited_for(stack: GatewayStack) -> None:
    """A callback that announces more than 64 KiB is refused by its head; in a flood it leaves nothing behind."""
    replies = [await head_only(stack, 64 * 1024 + 1) for _ in range(HALF + 1)]
    assert replies == [413] * HALF + [429]
    assert await refused_rows(stack, "psp-main") == HALF


async def head_only(stack: GatewayStack, length: int) -> int:
    """Send the head of a callback whose body never comes; the status of the answer."""
    address = urlsplit(stack.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    path = f"/callbacks/{stack.entry('acme', 'psp-main').endpoint_id}"
    lines = (f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {length}", "", "")
    writer.write("\r\n".join(lines).encode())
    async with asyncio.timeout(5):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


# What customers do


async def begun(stack: GatewayStack) -> dict[str, str]:
    """A Credit Key payment: the addresses that were made for it, without their keys."""
    created = await stack.create(creditkey_body())
    assert created.status == 201, created.text
    order = next(
        one for one in await stack.provider_orders("creditkey") if one["id"] == created.json["provider_reference"]
    )
    return {name: urlsplit(order[f"{name}_url"]).path for name in ("return", "cancel", "order_complete")}


async def visit(stack: GatewayStack, path: str) -> Reply:
    return await stack.call("GET", path, tenant=None)


async def test_customers_come_back_through_a_flood(stack: GatewayStack) -> None:
    """A stranger who asks below the endpoint, and a customer who reloads for ever, keep no other customer waiting."""
    others = [await begun(stack) for _ in range(3)]
    greedy = await begun(stack)
    below = re.sub("return/.*", "anything", greedy["return"])
    assert Counter([(await visit(stack, below)).status for _ in range(20)]) == {404: HALF, 429: 20 - HALF}
    assert Counter([(await visit(stack, greedy["return"])).status for _ in range(20)]) == {303: HALF, 503: 20 - HALF}
    assert [(await visit(stack, one["return"])).status for one in others] == [303] * 3
    assert (await visit(stack, greedy["cancel"])).status == 303
    assert (await visit(stack, greedy["order_complete"])).status == 200


async def test_a_visit_that_comes_too_often_may_be_repeated(stack: GatewayStack) -> None:
    """The page that asks to reload says when that makes sense."""
    path = (await begun(stack))["return"]
    last = [await visit(stack, path) for _ in range(HALF + 1)][-1]
    assert (last.status, "reload" in last.text) == (503, True)
    assert int(last.headers["Retry-After"]) > 0


async def test_a_wrong_token_is_nothing(stack: GatewayStack) -> None:
    """Links with tokens that are not ours are 404 however many come, and leave nothing."""
    path = re.sub("return/.*", "return/" + "A" * 43, (await begun(stack))["return"])
    assert Counter([(await visit(stack, path)).status for _ in range(20)]) == {404: 20}
    assert await refused_rows(stack, "creditkey-main") == 0


# The work of refusing


class Work:
    """A processor's clock: a test says what has been done."""

    done = 0.0

    def __call__(self) -> float:
        return self.done


def callback_from(stack: GatewayStack, address: str, **headers: str) -> Callback:
    return Callback(
        method="POST",
        suffix="",
        query="",
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
        body=b"",
        remote=address,
        received_at=stack.gateway.clock.now(),
    )


async def test_refusing_costs_a_part_of_the_processor_only(stack: GatewayStack) -> None:
    """Where refusing takes long, unknown callbacks are put off before their bodies are read; known ones are not."""
    work = Work()
    limits = CallbackLimits(Rate(per_second=1, burst=1000), clock=lambda: 0.0, cpu=work)
    entry = stack.entry("acme", "psp-main")
    unknown = callback_from(stack, "192.0.2.1")
    for _ in range(3):
        admission = limits.admission(entry, unknown)
        admission.after_body(0)
        work.done += 1.0
        assert admission.admit(False) is None
    assert limits.admission(entry, unknown).before_body() == Busy(limited=True, retry_after=5)
    told = entry.provider.credentials(entry.account)["token"]
    known = callback_from(stack, "192.0.2.1", crm_pay_token=told.reveal())  # type: ignore[union-attr]
    assert limits.admission(entry, known).before_body() is None
    assert limits.admission(stack.entry("globex", "psp-main"), unknown).before_body() is None


async def test_a_large_body_counts_as_many(stack: GatewayStack) -> None:
    """Looking for secrets and card numbers takes work by the byte, so a bucket is charged by the byte."""
    limits = CallbackLimits(Rate(per_second=1, burst=16), clock=lambda: 0.0)
    entry, head = stack.entry("acme", "psp-main"), callback_from(stack, "192.0.2.1")
    link = replace(head, suffix="return", payment_id="pay_1")
    assert admitted(limits.admission(entry, head), 8192, is_proved=False) is None
    assert admitted(limits.admission(entry, head), 0, is_proved=False) == Busy(limited=True, retry_after=4)
    assert admitted(limits.admission(entry, head), 65536, is_proved=True) is None
    limits.admission(entry, link).after_body(16384)
    assert limits.admission(entry, link).before_body() is not None
    assert admitted(limits.admission(entry, head), 0, is_proved=True) is None


def admitted(admission: Admission, size: int, *, is_proved: bool) -> Busy | None:
    """What becomes of a callback whose body was read."""
    admission.after_body(size)
    return admission.admit(is_proved)


async def test_one_address_leaves_room_for_evidence_of_others(stack: GatewayStack) -> None:
    """One address may leave half of the evidence of an account: a misconfigured bridge elsewhere is still seen."""
    limits = CallbackLimits(Rate(per_second=0.001, burst=BURST), clock=lambda: 0.0)
    entry = stack.entry("acme", "psp-main")

    def kept(address: str) -> int:
        admissions = [limits.admission(entry, callback_from(stack, address)) for _ in range(20)]
        return sum(admitted(admission, 0, is_proved=False) is None for admission in admissions)

    assert [kept(address) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3")] == [HALF, HALF, 0]


async def test_a_secret_is_known_in_its_own_header_only(stack: GatewayStack) -> None:
    """A callback is known by the account's secret in a secret header; elsewhere, or another account's, it is not."""
    limits, entry = CallbackLimits(Rate()), stack.entry("acme", "psp-main")
    token, foreign = (
        stack.entry(tenant, "psp-main").provider.credentials(stack.entry(tenant, "psp-main").account)["token"].reveal()  # type: ignore[union-attr]
        for tenant in ("acme", "globex")
    )
    heads = [
        {"CRM_Pay_Token": token},
        {"crm_pay_token": f"Bearer {token}"},
        {"crm_pay_token": foreign},
        {"x_token": token},
        {"crm_pay_token": ""},
        {},
    ]
    known = [limits.admission(entry, callback_from(stack, "192.0.2.1", **head)).is_known for head in heads]
    assert known == [True, True, False, False, False, False]
    assert json.dumps(token) not in repr(limits.__dict__)
