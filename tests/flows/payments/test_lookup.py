"""An outside plugin's lookups and callbacks: what is this payment, what proves that there is none, in any order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError
from gateway.core.facts import Absent
from gateway.core.payment import Status
from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.store.schedule import ScheduledCheck
from gateway.flows.background import reconcile
from gateway.provider import Account, Session
from tests.support.scenarios import creditkey
from tests.support.scenarios.creditkey import TimedStack
from tests.support.scripted_provider import JSON, KEY, ScriptedStack, answered, running_scripted_stack
from tests.support.stack import new_key
from tests.support.virtual_clock import START, VirtualClock

MINUTE = timedelta(minutes=1)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TimedTrial]:
    """One stack with the outside plugin for all tests here; the tests turn its clock and its agenda."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "run", creditkey.idle)
        clock = VirtualClock(START)
        async with running_scripted_stack(tmp_path_factory.mktemp("stack"), clock=clock) as made:
            yield TimedTrial(made, clock)


@pytest.fixture
def clock(opened: TimedTrial) -> VirtualClock:
    """A clock that the test turns."""
    return opened.clock


@pytest.fixture
def scripted(opened: TimedTrial) -> ScriptedStack:
    """The plugin as it was written, and the send that asks the provider."""
    opened.scripted.reset()
    return opened.scripted


class TimedTrial(NamedTuple):
    """The stack and its clock."""

    scripted: ScriptedStack
    clock: VirtualClock


def proof_of(payment: Any, **told: Any) -> dict[str, Any]:
    """A lookup's answer that names our payment id, and what else is told."""
    return {"payment_id": payment["id"], "stage": "captured", **told}


async def test_our_payment_id_is_proof_enough(scripted: ScriptedStack) -> None:
    """A provider that names our payment id, and nothing else of ours, shows this payment."""
    payment = await scripted.begin()
    scripted.answers(proof_of(payment, captured="10.00"))
    now = (await scripted.act(payment, "sync")).json
    assert (now["state"], now["amount_captured"], now["review"]) == ("captured", "10.00", None)


async def test_a_payment_that_exists_unpaid(scripted: ScriptedStack) -> None:
    """An observation without any key says no more than where the payment stands: it settles a create, quietly."""
    payment = await scripted.lose()
    scripted.answers(proof_of(payment, stage="awaiting_customer"))
    now = (await scripted.act(payment, "sync")).json
    assert (now["state"], now["pending_operation"], now["review"]) == ("awaiting_customer", None, None)


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"amount": "9.00"}, "amount"),
        ({"captured": "10.01"}, "amount"),
        ({"currency": "EUR"}, "currency"),
        ({"merchant_reference": "another"}, "reference"),
    ],
)
async def test_a_lookup_is_judged_as_a_callback_is(scripted: ScriptedStack, told: dict[str, str], reason: str) -> None:
    """What is proved to be this payment and does not fit is a person's: by lookup as by callback."""
    asked, called = await scripted.begin(), await scripted.begin()
    scripted.answers(proof_of(asked, **told))
    now = (await scripted.act(asked, "sync")).json
    assert (now["state"], now["review"]["reason"]) == ("awaiting_customer", reason)
    await scripted.call_back(proof_of(called, event_id=called["id"], **told))
    assert (await scripted.now(called))["review"]["reason"] == reason


async def test_a_lookup_of_another_payment_id_moves_nothing(scripted: ScriptedStack) -> None:
    """All that is alike does not outweigh another payment's id."""
    payment = await scripted.begin()
    alike = {"merchant_reference": payment["merchant_reference"], "amount": "10.00", "currency": "USD"}
    scripted.answers({"stage": "captured", "payment_id": "pay_other", "provider_reference": "X-1", **alike})
    await scripted.act(payment, "sync")
    now = await scripted.now(payment)
    assert (now["state"], now["review"], now["provider_reference"]) == ("awaiting_customer", None, None)


async def test_an_order_of_two_payments_is_a_persons(scripted: ScriptedStack) -> None:
    """The provider names our payment beside an order that another payment of ours holds."""
    await scripted.begin(provider_reference="X-1")
    payment = await scripted.begin()
    scripted.answers(proof_of(payment, provider_reference="X-1", captured="10.00"))
    now = (await scripted.act(payment, "sync")).json
    assert (now["state"], now["review"]["reason"], now["provider_reference"]) == (
        "awaiting_customer",
        "reference",
        None,
    )


ABSENT = {"is": "absent"}
PAGE = (("Content-Type", "text/html; charset=utf-8"),)
NO_PROOF = {
    **{str(status): answered(ABSENT, status) for status in (301, 400, 401, 402, 403, 405, 409, 422, 429, 500, 503)},
    "a page of a proxy": HttpResponse(status=404, headers=PAGE, body=answered(ABSENT).body),
    "a page by its look": HttpResponse(status=404, headers=JSON, body=b"<!DOCTYPE html>\n<html>"),
}


async def lost(scripted: ScriptedStack, clock: VirtualClock, answer: HttpResponse) -> Any:
    """A payment whose create got lost, looked up twice, a quiet period apart; the plugin reads Absent in any answer."""
    payment = await scripted.lose()
    scripted.provider.parse = lambda *_: Absent()  # type: ignore[method-assign]  # a plugin that is wrong
    scripted.answers(answer)
    for _ in range(2):
        await scripted.act(payment, "sync")
        clock.set(clock.now() + 5 * MINUTE)
    return await scripted.now(payment)


@pytest.mark.parametrize("what", NO_PROOF)
async def test_what_never_proves_an_absence(scripted: ScriptedStack, clock: VirtualClock, what: str) -> None:
    """Refused credentials, a refused request, a redirect, an outage or a page of HTML say nothing of any payment."""
    now = await lost(scripted, clock, NO_PROOF[what])
    assert (now["state"], now["pending_operation"]["status"]) == ("created", "unknown")


@pytest.mark.parametrize("status", [200, 404, 410])
async def test_what_may_prove_an_absence(scripted: ScriptedStack, clock: VirtualClock, status: int) -> None:
    """Two answers that there is no such payment prove that a create had no effect."""
    now = await lost(scripted, clock, answered(ABSENT, status))
    assert (now["state"], now["failure"]["code"]) == ("failed", "not_created")


@pytest.mark.parametrize("status", [400, 401, 404, 500])
async def test_no_error_shows_a_payment(scripted: ScriptedStack, status: int) -> None:
    """An observation that a plugin reads in an error is none."""
    payment = await scripted.begin()
    scripted.answers(proof_of(payment), status=status)
    assert (await scripted.act(payment, "sync")).status == 502
    assert (await scripted.now(payment))["state"] == "awaiting_customer"


@pytest.mark.parametrize(
    ("wish", "pause", "told"),
    [
        ("1200", 1200, "1200"),
        ("Fri, 02 Jan 2026 03:24:05 GMT", 1200, "1200"),
        ("Friday, 02-Jan-26 03:24:05 GMT", 1200, "1200"),
        ("Fri Jan  2 03:24:05 2026", 1200, "1200"),
        ("999999", 3600, "3600"),
        ("0", 120, "1"),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 120, "1"),
        ("soon", 120, None),
    ],
)
async def test_a_provider_that_asks_for_time_gets_it(
    scripted: ScriptedStack, clock: VirtualClock, wish: str, pause: int, told: str | None
) -> None:
    """A lookup refused with Retry-After is repeated no sooner, and within the hour; a tenant that syncs reads it."""
    clock.set(START)
    payment = await scripted.lose()
    scripted.respond = lambda _: HttpResponse(status=503, headers=(("Retry-After", wish),))
    await reconcile.check(scripted.stack.gateway, await visit_of(scripted, payment))
    assert (await visit_of(scripted, payment)).due_at / 1000 == START.timestamp() + pause
    synced = await scripted.act(payment, "sync")
    assert (synced.status, synced.headers.get("Retry-After")) == (502, told)


async def visit_of(scripted: ScriptedStack, payment: Any) -> ScheduledCheck:
    """The payment's row on the agenda, however far ahead."""
    rows = await scripted.stack.gateway.store.due_checks(START + timedelta(days=1), 1000)
    return next(row for row in rows if row.payment_id == payment["id"])


async def test_a_lookup_tells_of_refused_credentials(scripted: ScriptedStack, caplog: pytest.LogCaptureFixture) -> None:
    """The operators read it, as for an operation, with the account."""
    payment = await scripted.begin()
    scripted.answers({}, status=403)
    await scripted.act(payment, "sync")
    (record,) = [one for one in caplog.records if one.msg == "the provider refuses our credentials"]
    assert (vars(record)["account"], vars(record)["status"]) == ("outside-main", 403)


# Callback and reply, in both orders

COMMANDS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any]]] = {
    "capture": ("authorized", "capture", {}, {"stage": "captured", "captured": "10.00"}),
    "capture in part": ("authorized", "capture", {"amount": "4.00"}, {"stage": "captured", "captured": "4.00"}),
    "cancel": ("authorized", "cancel", {}, {"stage": "canceled"}),
    "refund": ("captured", "refunds", {"amount": "4.00"}, {"stage": "captured", "refunded": "4.00"}),
    "update": ("authorized", "", {"amount": "8.00"}, {"stage": "authorized", "amount": "8.00"}),
}
"""The stage before, the command and its body, the callback that shows its effect."""


@pytest.mark.parametrize("is_first", [True, False], ids=["callback first", "reply first"])
@pytest.mark.parametrize("name", COMMANDS)
async def test_an_accepted_command_is_settled_by_its_callback(
    scripted: ScriptedStack, monkeypatch: pytest.MonkeyPatch, name: str, is_first: bool
) -> None:
    """Whichever comes first, callback or "accepted": the operation has succeeded, and no lookup was needed."""
    stage, verb, body, effect = COMMANDS[name]
    payment = await scripted.begin(stage)
    if verb == "refunds":  # the refunded total is read first
        scripted.answers(proof_of(payment), {"is": "pending"})
    accepted, asked = asyncio.Event(), asyncio.Event()

    async def hold(request: HttpRequest, **_: Any) -> HttpResponse:
        if "FetchPayment" in request.url:
            return answered(proof_of(payment))
        asked.set()
        await accepted.wait()
        return answered({"is": "pending"}, 202)

    monkeypatch.setattr(scripted.stack.gateway, "send", hold)
    method, path = ("PATCH", "") if not verb else ("POST", f"/{verb}")
    calling = asyncio.create_task(
        scripted.stack.call(method, f"/v1/payments/{payment['id']}{path}", body, key=new_key())
    )
    await asked.wait()
    told = {"event_id": payment["id"], "payment_id": payment["id"], **effect}
    if is_first:
        await scripted.call_back(told)
        accepted.set()
        await calling
    else:
        accepted.set()
        await calling
        await scripted.call_back(told)
    now = await scripted.now(payment)
    (*_, operation) = await scripted.operations(payment)
    assert (operation.status, now["pending_operation"], now["review"]) == (Status.SUCCEEDED, None, None)
    assert {"capture": "captured", "cancel": "canceled"}.get(name, now["state"]) == now["state"]
    assert now["amount"] == ("8.00" if name == "update" else "10.00")


async def test_another_attempts_event_is_refused_by_the_documented_word(scripted: ScriptedStack) -> None:
    """The payment was found and goes to review: "not found" would be wrong."""
    payment = await scripted.begin("processing", provider_reference="A-1")
    told = {"payment_id": payment["id"], "stage": "authorized", "provider_reference": "A-2"}
    answer = await scripted.call_back({"event_id": "e-2", **told})
    assert (answer.status, answer.text) == (422, "in_progress")
    assert (await scripted.now(payment))["review"]["reason"] == "reference"


# Sessions


class Logins:
    """A login for the outside plugin; ``tokens`` are those that were given out."""

    def __init__(self, scripted: ScriptedStack) -> None:
        self.tokens: list[str] = []
        scripted.provider.login = lambda _: HttpRequest(method="POST", url="https://outside.example/login")  # type: ignore[attr-defined]
        scripted.provider.parse_login = self.parse  # type: ignore[attr-defined]

    def parse(self, response: HttpResponse, account: object) -> Session:  # noqa: ARG002  # the protocol's signature
        """A token per login."""
        if response.status != 200:
            raise ProviderError(f"refused for client-key {KEY}")
        self.tokens.append(f"session-{len(self.tokens)}")
        return Session(token=Secret(self.tokens[-1]), expires_in=3600)


async def test_a_login_may_name_the_time(scripted: ScriptedStack) -> None:
    """Its second parameter is now, in UTC; the plugin has no clock of its own."""
    Logins(scripted)
    given: list[datetime] = []

    def login(account: Account, at: datetime) -> HttpRequest:
        given.append(at)
        return HttpRequest(method="POST", url="https://outside.example/login")

    scripted.provider.login = login  # type: ignore[attr-defined]
    began = scripted.stack.gateway.clock.now()
    await scripted.create()
    assert [at.utcoffset() for at in given] == [timedelta(0)]
    assert began <= given[0] <= scripted.stack.gateway.clock.now()


@pytest.mark.parametrize(("ends", "logins", "status"), [(1, 2, 200), (2, 2, 502)])
async def test_a_lookup_in_an_ended_session_logs_in_once(
    scripted: ScriptedStack, ends: int, logins: int, status: int
) -> None:
    """A lookup changes nothing: it is asked again in a new session, once, and never for ever."""
    made = Logins(scripted)
    payment = await scripted.begin()
    ended = [answered({}, 401)] * ends
    looks = iter([*ended, *[answered(proof_of(payment))] * 3])
    scripted.respond = lambda request: {} if request.url.endswith("login") else next(looks)
    assert (await scripted.act(payment, "sync")).status == status
    assert len(made.tokens) == logins


FAILED_LOGINS = {
    "refused": answered({"error": "no"}, 401),
    "unreadable": HttpResponse(status=200, body=b"<html>"),
    "no_connection": NotSent("connect_failed", connection=True),
    "no_answer": OutcomeUnknown("timeout"),
}


@pytest.mark.parametrize("kind", FAILED_LOGINS)
async def test_why_a_login_failed_is_for_the_operators(
    scripted: ScriptedStack, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    """The log tells which way it failed and what the plugin said, without secrets; the tenant reads that it failed."""
    made = Logins(scripted)
    if kind == "unreadable":
        scripted.provider.parse_login = lambda *_: None  # type: ignore[attr-defined]
    scripted.answers(FAILED_LOGINS[kind])
    reply = await scripted.create()
    assert (reply.status, reply.json["code"], reply.json["detail"]) == (
        502,
        "provider_error",
        "the login at outside failed",
    )
    (record,) = [vars(one) for one in caplog.records if one.msg == "a login failed"]
    assert (record["kind"], record["account"]) == (kind, "outside-main")
    assert kind != "refused" or record["problem"] == "refused for client-key ***"
    assert KEY not in caplog.text + str([vars(one) for one in caplog.records])
    assert made.tokens == []


# What happened, in the log


async def test_the_log_names_a_poll_a_poll(
    scripted: ScriptedStack, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no hint came none is told of."""
    payment = await scripted.begin()
    scripted.answers(HttpResponse(status=200, body=b"<html>"))
    await TimedStack(scripted.stack, clock).advance(10 * MINUTE)
    warnings = (one for one in caplog.records if one.levelno == logging.WARNING)
    messages = {one.msg for one in warnings if vars(one).get("payment_id") == payment["id"]}
    assert messages == {"a poll failed"}
