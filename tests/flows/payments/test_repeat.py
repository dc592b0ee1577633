"""Operations whose answer was lost, at a provider that carries out a request once however often it comes.

The provider here keeps an idempotency store, as such providers do: what is asked for again has one effect and the
first answer. ``effects`` counts what it did.
"""

# ruff: noqa: ARG002  # the protocol's signatures

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.core.errors import NotSent, OutcomeUnknown
from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest, HttpResponse, header
from gateway.drivers.settings import load_settings
from gateway.flows.background import reconcile
from gateway.flows.payments import lookup
from tests.support.passing_time import run_due_checks
from tests.support.scenarios.creditkey import idle
from tests.support.scripted_provider import KEY, ScriptedProvider, ScriptedStack, answered, running_scripted_stack
from tests.support.virtual_clock import START, VirtualClock

PAGE = "https://outside.example/page"
CREATED = {"stage": "awaiting_customer", "redirect_url": PAGE}
LOST_BEFORE, LOST_AFTER = "before its effect", "after its effect"
HTML = HttpResponse(status=200, headers=(("Content-Type", "text/html"),), body=b"<html>")
HOUR, CHECK = 3600, 31
"""Seconds; the second until the first check of an unknown operation."""


class Keyed(ScriptedProvider):
    """Names our operation in its idempotency key; creates, captures and refunds may be repeated."""

    repeatable = frozenset({gateway.CreatePayment, gateway.CapturePayment, gateway.RefundPayment})

    def rules(self, account: gateway.Account) -> gateway.Rules:
        return gateway.Rules(absence_proves=True, partial_capture=True, repeatable=self.repeatable)

    def build(self, command: gateway.Command, account: gateway.Account) -> HttpRequest:
        kind, key = type(command).__name__, getattr(command, "operation_id", "")
        secret = account.session.token if account.session is not None else account.config.key
        headers = (("Authorization", f"Bearer {secret.reveal()}"), ("Idempotency-Key", key))
        said = {"money": command.money.text(), "at": str(command.at), "status": getattr(command, "merchant_status", "")}
        return HttpRequest(
            method="POST", url=f"https://outside.example/{kind}", headers=headers, body=gateway.dumps(said)
        )


class Ledger:
    """The provider: ``faults`` are what becomes of its next requests, in turn; ``seen`` what its lookups answer."""

    def __init__(self, scripted: ScriptedStack) -> None:
        self.scripted = scripted
        self.faults: list[Any] = []
        self.seen: Any = HttpResponse(status=503)
        self.answers: dict[str, Any] = {}
        self.replies: dict[str, Any] = {"CreatePayment": CREATED}
        scripted.respond = self.respond

    @property
    def effects(self) -> int:
        return len(self.answers)

    def sent(self, kind: str) -> list[HttpRequest]:
        """The requests of one kind that came."""
        return [request for request in self.scripted.sent if request.url.endswith(f"/{kind}")]

    def respond(self, request: HttpRequest) -> Any:
        kind = request.url.rpartition("/")[2]
        if kind == "FetchPayment":
            return self.seen
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, NotSent | HttpResponse):
            return fault
        if fault == LOST_BEFORE:
            return OutcomeUnknown("timeout")
        (key,) = header(request.headers, "Idempotency-Key")
        first = self.answers.setdefault(key, self.replies.get(kind, {"stage": "captured"}))
        return OutcomeUnknown("timeout") if fault == LOST_AFTER else first


@pytest.fixture
def clock() -> VirtualClock:
    """A clock that the test turns."""
    return VirtualClock(START)


@pytest.fixture
async def scripted(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ScriptedStack]:
    """A stack with that provider, whose checks the test makes."""
    monkeypatch.setattr(reconcile, "run", idle)
    async with running_scripted_stack(tmp_path, provider=Keyed(), clock=clock) as made:
        yield made


@pytest.fixture
def ledger(scripted: ScriptedStack) -> Ledger:
    """The provider."""
    return Ledger(scripted)


async def check(ledger: Ledger, clock: VirtualClock, seconds: float = CHECK) -> None:
    """Let time pass, and check what is due."""
    clock.set(clock.now() + timedelta(seconds=seconds))
    await run_due_checks(ledger.scripted.stack.gateway)


async def lost_create(ledger: Ledger, *faults: Any) -> Any:
    """A create that was not answered, and what becomes of its repetitions."""
    ledger.faults = list(faults)
    created = await ledger.scripted.create()
    assert created.status == 202, created.text
    return created.json


def is_open(payment: Any) -> bool:
    return payment["pending_operation"] is not None


@pytest.mark.parametrize("lost", [LOST_BEFORE, LOST_AFTER])
async def test_a_lost_create_gets_its_page_back(ledger: Ledger, clock: VirtualClock, lost: str) -> None:
    """The same bytes under the same key, one effect, and the tenant has the address of the page."""
    payment = await lost_create(ledger, lost)
    await check(ledger, clock)
    now = await ledger.scripted.now(payment)
    assert (now["state"], now["redirect_url"], is_open(now)) == ("awaiting_customer", PAGE, False)
    first, second = ledger.sent("CreatePayment")
    assert first == second
    assert ledger.effects == 1
    (operation,) = await ledger.scripted.operations(payment)
    assert (operation.status, operation.repeatable) == ("succeeded", None)


async def test_a_capture_is_repeated_as_it_was(ledger: Ledger, clock: VirtualClock) -> None:
    """Its command is stored with it: amount, time and the tenant's own words are those of the first request."""
    ledger.replies["CreatePayment"] = {"stage": "authorized"}
    payment = (await ledger.scripted.create()).json
    ledger.faults = [LOST_AFTER]
    reply = await ledger.scripted.act(payment, "capture", {"amount": "4.00", "merchant_status": "shipped"})
    assert reply.status == 202
    await check(ledger, clock)
    now = await ledger.scripted.now(payment)
    assert (now["state"], is_open(now)) == ("captured", False)
    first, second = ledger.sent("CapturePayment")
    assert first == second
    assert (b'"4.00"' in first.body, b"shipped" in first.body) == (True, True)


async def test_a_definite_no_declines(ledger: Ledger, clock: VirtualClock) -> None:
    """The answer is the command's reply, whatever it is."""
    payment = await lost_create(ledger, LOST_BEFORE, answered({"is": "declined", "code": "no", "message": "no"}, 402))
    await check(ledger, clock)
    now = await ledger.scripted.now(payment)
    assert (now["state"], now["failure"]["provider_code"]) == ("failed", "no")


NOTHING = {
    **{str(status): answered({"is": "declined", "code": "no", "message": "no"}, status) for status in (401, 403)},
    **{str(status): answered(CREATED, status) for status in (302, 408, 425, 429, 500, 503)},
    "html": HTML,
    "no connection": NotSent("connect_failed", connection=True),
    "silence": LOST_BEFORE,
}


@pytest.mark.parametrize("what", NOTHING)
async def test_what_proves_nothing_leaves_it_open(ledger: Ledger, clock: VirtualClock, what: str) -> None:
    """Above all it is never ``not_sent``: the first request may have had its effect. A later repetition resolves it."""
    payment = await lost_create(ledger, LOST_AFTER, NOTHING[what])
    await check(ledger, clock)
    assert is_open(await ledger.scripted.now(payment))
    for _ in range(3):
        await check(ledger, clock, seconds=400)
    assert (await ledger.scripted.now(payment))["redirect_url"] == PAGE
    assert ledger.effects == 1


async def test_a_provider_without_lookups_is_asked_again(ledger: Ledger, clock: VirtualClock) -> None:
    """By the schedule of unknown outcomes, and for twelve hours."""
    ledger.scripted.provider.commands -= {gateway.FetchPayment}
    await reloaded(ledger.scripted)
    payment = await lost_create(ledger, *[LOST_BEFORE] * 9)
    for pause in (31, 121, 601, HOUR + 1, 6 * HOUR + 1, 24 * HOUR):
        await check(ledger, clock, seconds=pause)
    assert is_open(await ledger.scripted.now(payment))
    assert len(ledger.sent("CreatePayment")) == 1 + 5
    assert ledger.sent("FetchPayment") == []


async def reloaded(scripted: ScriptedStack) -> None:
    """Let the gateway load its settings again."""
    gw = scripted.stack.gateway
    providers = {entry.provider.name: entry.provider for entry in gw.settings.endpoints.values()}
    gw._use(load_settings(gw.settings.source, providers=providers, environ={}))


async def test_what_is_not_repeatable_is_never_repeated(ledger: Ledger, clock: VirtualClock) -> None:
    """Neither what the rules do not name, nor what they no longer name; a lookup resolves it."""
    ledger.replies["CreatePayment"] = {"stage": "authorized"}
    payment = (await ledger.scripted.create()).json
    ledger.faults = [LOST_BEFORE] * 2
    await ledger.scripted.act(payment, "update", {"amount": "11.00"})
    await check(ledger, clock)
    assert len(ledger.sent("UpdatePayment")) <= 1
    other = await lost_create(ledger, LOST_BEFORE)
    ledger.scripted.provider.repeatable = frozenset()  # type: ignore[attr-defined]
    await reloaded(ledger.scripted)
    await check(ledger, clock)
    assert is_open(await ledger.scripted.now(other))
    assert len(ledger.sent("CreatePayment")) == 2


@pytest.mark.parametrize("change", ["the request", "the account"])
async def test_another_request_is_never_sent(
    ledger: Ledger, clock: VirtualClock, caplog: pytest.LogCaptureFixture, change: str
) -> None:
    """The plugin builds it differently by now, or the account is another one at the provider: one line says so."""
    payment = await lost_create(ledger, LOST_BEFORE)
    if change == "the request":
        ledger.scripted.provider.build = lambda *given: HttpRequest(  # type: ignore[method-assign]
            method="POST", url=f"https://outside.example/v2/{type(given[0]).__name__}"
        )
    else:
        source = ledger.scripted.stack.gateway.settings.source
        source.write_text(source.read_text().replace(KEY, f"{KEY}-of-another"))
        await reloaded(ledger.scripted)
    for _ in range(3):
        await check(ledger, clock, seconds=601)
    assert len(ledger.sent("CreatePayment")) == 1
    assert is_open(await ledger.scripted.now(payment))
    said = [one.message for one in caplog.records if "is not repeated" in one.message]
    assert said == ["an operation is not repeated: its request has changed"]


async def test_a_new_session_is_no_other_request(
    ledger: Ledger, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its token changes by the hour. One that has ended is renewed, and the question is asked in the new one."""
    tokens = iter(("first-token", "second-token", "third-token"))
    login = HttpRequest(method="POST", url="https://outside.example/login", headers=(("Idempotency-Key", "login"),))
    ledger.scripted.provider.login = lambda _: login  # type: ignore[attr-defined]
    ledger.scripted.provider.parse_login = lambda *_: gateway.Session(token=Secret(next(tokens)), expires_in=20)  # type: ignore[attr-defined]
    payment = await lost_create(ledger, None, LOST_AFTER, None, answered({}, 401))
    await check(ledger, clock)
    assert (await ledger.scripted.now(payment))["redirect_url"] == PAGE
    sent = [header(request.headers, "Authorization") for request in ledger.sent("CreatePayment")]
    assert sent == [["Bearer first-token"], ["Bearer second-token"], ["Bearer third-token"]]
    assert "the provider refuses our credentials" not in caplog.text


async def test_nothing_is_repeated_after_a_restore(ledger: Ledger, clock: VirtualClock) -> None:
    """Since the backup the operation may have been given up and done anew under another key."""
    payment = await lost_create(ledger, LOST_BEFORE)
    ledger.scripted.stack.gateway.restored_at = clock.now() + timedelta(seconds=1)
    await check(ledger, clock)
    assert len(ledger.sent("CreatePayment")) == 1
    assert is_open(await ledger.scripted.now(payment))


async def test_what_was_accepted_is_not_repeated(ledger: Ledger, clock: VirtualClock) -> None:
    """Its answer was not lost: lookups and callbacks tell more."""
    ledger.replies["CreatePayment"] = {"is": "pending", "stage": "unknown"}
    assert (await ledger.scripted.create()).status == 202
    await check(ledger, clock)
    assert len(ledger.sent("CreatePayment")) == 1


ABSENT = answered({"is": "absent"}, 404)


async def test_an_answer_that_proves_nothing_leaves_it_to_lookups(ledger: Ledger, clock: VirtualClock) -> None:
    """Where they begin to show that nothing was done, it is not repeated any more, and they may prove it."""
    payment = await lost_create(ledger, LOST_BEFORE, HTML)
    ledger.seen = ABSENT
    for _ in range(3):
        await check(ledger, clock, seconds=121)
    now = await ledger.scripted.now(payment)
    assert (now["state"], now["failure"]["code"]) == ("failed", "not_created")
    assert len(ledger.sent("CreatePayment")) == 2


async def test_absence_is_proved_after_a_repetition_has_ended(ledger: Ledger, clock: VirtualClock) -> None:
    """One that was not answered may have its effect yet: a lookup beside it shows nothing, and the next ones do."""
    payment = await lost_create(ledger, LOST_BEFORE, LOST_BEFORE)
    ledger.seen = ABSENT
    await check(ledger, clock)
    (operation,) = await ledger.scripted.operations(payment)
    assert operation.contrary_since is None
    await check(ledger, clock, seconds=121)
    (operation,) = await ledger.scripted.operations(payment)
    assert operation.contrary_since == clock.now()
    assert is_open(await ledger.scripted.now(payment))
    await check(ledger, clock, seconds=121)
    assert not is_open(await ledger.scripted.now(payment))
    assert len(ledger.sent("CreatePayment")) == 2


async def test_a_repetition_runs_as_its_operation(ledger: Ledger, clock: VirtualClock) -> None:
    """Lookups of hints and of ``sync`` wait for that: else they would find the payment without its page."""
    payment = await lost_create(ledger, LOST_AFTER)
    gw = ledger.scripted.stack.gateway
    sends, is_sent, may_answer = gw.send, asyncio.Event(), asyncio.Event()

    async def slowly(request: HttpRequest, **how: Any) -> HttpResponse:
        assert may_answer.is_set() or request.url.endswith("/CreatePayment")
        is_sent.set()
        await may_answer.wait()
        return await sends(request, **how)

    async def waits(name: str, seconds: float) -> None:
        may_answer.set()
        await wait_for(name, seconds)

    gw.send = slowly
    checking = asyncio.create_task(check(ledger, clock))
    await is_sent.wait()
    wait_for, gw.tasks.wait_for = gw.tasks.wait_for, waits
    with pytest.raises(gateway.ProviderError):
        await lookup.refresh(gw, payment["tenant"], payment["id"], hinted=False)
    await checking
    assert (await ledger.scripted.now(payment))["redirect_url"] == PAGE


async def test_a_sync_asks_for_the_lost_answer_first(ledger: Ledger) -> None:
    """A lookup alone would find the payment as it waits for its customer, and nobody would know the page any more."""
    payment = await lost_create(ledger, LOST_AFTER)
    ledger.seen = {"stage": "awaiting_customer", "payment_id": payment["id"], "provider_reference": "P-1"}
    synced = await ledger.scripted.act(payment, "sync")
    assert (synced.json["state"], synced.json["redirect_url"]) == ("awaiting_customer", PAGE)
    assert ledger.effects == 1
