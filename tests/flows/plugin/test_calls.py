"""An outside plugin that raises and returns what it should not: nothing is stored, sent, shown or believed of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any, NoReturn
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from msgspec.structs import replace

import gateway
from gateway.core.facts import Absent, Declined, Event, Observation, Pending, Stage
from gateway.core.payment import Status
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.flows.callbacks.explain import explain
from gateway.flows.callbacks.reprocess import find
from tests.support.scripted_provider import KEY, ScriptedStack, running_scripted_stack

SEEN = Observation(stage=Stage.CAPTURED)
GOOD = HttpRequest(method="POST", url="https://outside.example/pay")


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack with the outside plugin for all tests here: each makes a payment of its own."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def scripted(opened: ScriptedStack) -> ScriptedStack:
    """The plugin as it was written."""
    opened.reset()
    return opened


def raising(error: BaseException) -> Callable[..., NoReturn]:
    """A member that raises."""

    def member(*_: object) -> NoReturn:
        raise error

    return member


def returning(value: object) -> Callable[..., Any]:
    """A member that returns this."""
    return lambda *_: value


async def coroutine(*_: object) -> HttpRequest:
    """A member that was written as ``async def``."""
    return GOOD


WORST: dict[str, Callable[..., Any]] = {
    "an error": raising(KeyError(KEY)),
    "no end": raising(RecursionError()),
    "the end of the process": raising(SystemExit(1)),
    "a cancellation": raising(asyncio.CancelledError()),
    "None": returning(None),
    "True": returning(True),
    "text": returning(KEY),
}
"""What any member may do."""

BAD_BUILDS = {
    **WORST,
    "a line break in a header": returning(gateway.HttpRequest(method="POST", url=GOOD.url, headers=(("A", "b\nc"),))),
    "an int in a header": returning(HttpRequest(method="POST", url=GOOD.url, headers=(("A", 1),))),  # type: ignore[arg-type]
    "a blank in the address": returning(HttpRequest(method="GET", url="https://outside.example/?note=SO 7")),
    "a session that is missing": raising(gateway.ProviderError(f"no session for {KEY}")),
}


@pytest.mark.parametrize("what", BAD_BUILDS)
async def test_what_cannot_be_sent_is_not_stored(
    scripted: ScriptedStack, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A 502 with nothing stored and nothing sent, and one line in the log that names the member."""
    scripted.provider.build = BAD_BUILDS[what]  # type: ignore[method-assign]
    reply = await scripted.create(merchant_reference=f"SO {what}")
    assert (reply.status, reply.json["detail"]) == (502, "outside could not build the request")
    assert scripted.sent == []
    stored = await scripted.stack.call("GET", "/v1/payments?" + urlencode({"merchant_reference": f"SO {what}"}))
    assert stored.json["data"] == []
    (record,) = [vars(one) for one in caplog.records if one.msg == "a plugin failed"]
    assert (record["provider"], record["account"], record["member"]) == ("outside", "outside-main", "build")
    assert KEY not in str([vars(one) for one in caplog.records])


BAD_READS = {
    **WORST,
    "a float": returning(Observation(stage=Stage.CAPTURED, captured=10.0)),  # type: ignore[arg-type]
    "a word for a stage": returning(Observation(stage="captured")),  # type: ignore[arg-type]
    "no number": returning(Observation(stage=Stage.CAPTURED, captured=Decimal("NaN"))),
    "less than nothing": returning(Observation(stage=Stage.CAPTURED, captured=Decimal(-1))),
    "an absence": returning(Absent()),
    "a secret for an id": returning(Observation(stage=Stage.CAPTURED, provider_reference=f"X-{KEY}")),
    "a secret in an address": returning(Observation(stage=Stage.CAPTURED, redirect_url=f"https://p.example/{KEY}")),
    "a code that is no text": returning(Declined(code=7, message="no")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", BAD_READS)
async def test_a_reply_that_cannot_be_used_leaves_the_outcome_open(scripted: ScriptedStack, what: str) -> None:
    """After sending nothing is called failed, and nothing of the answer is kept."""
    scripted.provider.parse = BAD_READS[what]  # type: ignore[method-assign]
    reply = await scripted.create()
    assert (reply.status, reply.json["state"]) == (202, "created")
    (operation,) = await scripted.operations(reply.json)
    assert operation.status is Status.UNKNOWN
    assert KEY not in reply.text + str(operation)


@pytest.mark.parametrize("what", [name for name in BAD_READS if name != "an absence"])
async def test_a_lookup_that_cannot_be_used_is_a_failed_one(scripted: ScriptedStack, what: str) -> None:
    """It counts as unreadable: a 502 for who asked, nothing moves, and the next lookup may do better."""
    payment = await scripted.begin()
    good = scripted.provider.parse
    scripted.provider.parse = BAD_READS[what]  # type: ignore[method-assign]
    assert (await scripted.act(payment, "sync")).status == 502
    assert (await scripted.now(payment))["version"] == payment["version"]
    scripted.provider.parse = good  # type: ignore[method-assign]
    scripted.answers({"payment_id": payment["id"], "stage": "captured"})
    assert (await scripted.act(payment, "sync")).json["state"] == "captured"


BAD_PROOFS = {
    **{name: worst for name, worst in WORST.items() if name != "None"},
    "a float": returning(Event(event_id="e", observation=Observation(stage=Stage.CAPTURED, captured=1.0))),  # type: ignore[arg-type]
    "no event id": returning(Event(event_id="", observation=SEEN)),
    "an event id of int": returning(Event(event_id=7, observation=SEEN)),  # type: ignore[arg-type]
    "a secret for an event id": returning(Event(event_id=KEY, observation=SEEN)),
    "an unknown reason": raising(gateway.CallbackRejected("nonsense")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", BAD_PROOFS)
async def test_a_proof_that_cannot_be_used_is_a_refusal(scripted: ScriptedStack, what: str) -> None:
    """Whatever ``verify`` does, the callback is refused, stored as evidence, and never a 500."""
    payment = await scripted.begin()
    scripted.provider.verify = BAD_PROOFS[what]  # type: ignore[method-assign]
    answer = await scripted.call_back(
        {"event_id": payment["id"], "payment_id": payment["id"], "stage": "captured"}, key="wrong"
    )
    assert (answer.status, answer.text) == (422, "unauthentic")
    row = (await scripted.inbox())[0]
    assert (row.verdict, row.reason) == ("refused", "unauthentic")
    assert KEY not in str(row)


BAD_ANSWERS = {
    **WORST,
    "a status of text": returning(HttpResponse(status="200")),  # type: ignore[arg-type]
    "an informational status": returning(HttpResponse(status=100)),
    "a broken header": returning(HttpResponse(status=200, headers=(("A", "b\r\nc: d"),))),
    "a body of text": returning(HttpResponse(status=200, body="ok")),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", BAD_ANSWERS)
async def test_an_answer_that_cannot_be_given_is_a_plain_one(scripted: ScriptedStack, what: str) -> None:
    """What was stored stays stored; its sender gets a plain 503, one that was refused a plain 400."""
    payment = await scripted.begin()
    scripted.provider.answer = BAD_ANSWERS[what]  # type: ignore[method-assign]
    told = {"event_id": payment["id"], "payment_id": payment["id"], "stage": "captured"}
    assert (await scripted.call_back(told)).status == 503
    assert (await scripted.now(payment))["state"] == "captured"
    assert (await scripted.call_back(told, key="wrong")).status == 400


async def test_busy_is_never_worded_as_success(scripted: ScriptedStack) -> None:
    """A provider that were told "taken" would not come again."""
    scripted.provider.answer = returning(HttpResponse(status=200))  # type: ignore[method-assign]
    scripted.stack.gateway.current.is_stopping = True
    assert (await scripted.call_back({"event_id": "e-1"})).status == 503
    scripted.stack.gateway.current.is_stopping = False


SAID = f"key \x00{KEY} was wrong\n"


async def test_no_text_of_a_plugin_shows_a_secret(scripted: ScriptedStack) -> None:
    """Detail, message, code, status word and a field's problem: clean, in one line, without the account's secrets."""
    payment = await scripted.begin()
    scripted.provider.verify = raising(gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, SAID))  # type: ignore[method-assign]
    await scripted.call_back({})
    row = (await scripted.inbox())[0]
    assert row.detail == "key *** was wrong"
    scripted.answers({"is": "declined", "code": KEY, "message": SAID})
    refused = (await scripted.create()).json
    assert (refused["failure"]["message"], refused["failure"]["provider_code"]) == ("key *** was wrong", "***")
    scripted.answers({"payment_id": payment["id"], "stage": "failed", "raw_status": SAID})
    assert (await scripted.act(payment, "sync")).json["failure"]["provider_code"] == "key *** was wrong"
    scripted.provider.parse = raising(gateway.OutcomeUnknown(SAID))  # type: ignore[method-assign]
    (operation,) = await scripted.operations((await scripted.create()).json)
    assert (operation.note or "").startswith("key *** was wrong (HTTP 200, ")
    scripted.provider.build = raising(gateway.FieldProblem([("$.customer.email", SAID)]))  # type: ignore[method-assign]
    reply = await scripted.create()
    assert (reply.status, reply.json["errors"]) == (
        422,
        [{"field": "$.customer.email", "message": "key *** was wrong"}],
    )


BAD_PAGES = [
    "http://p.example/",
    "javascript:alert(1)",
    "//p.example/",
    "https://u:p@p.example/",
    "https://p.example/ a",
    "https://päge.example/",
    "https://*.p.example/",
    "https://127.1/",
    "https://p.example/\x00",
    "https://p.example/\nX: y",
    "\thttps://p.example/",
    "https://p.example\\@evil.example/",
    "https:p.example/",
    "https:///pay",
    "https://p.example:0/",
    "https://p.example:65536/",
    "/pay/1",
    "data:text/html,hello",
    "https://p.example/" + "a" * 2048,
]


@pytest.fixture
def production(scripted: ScriptedStack, monkeypatch: pytest.MonkeyPatch) -> ScriptedStack:
    """The same stack, taken for a production one."""
    settings = scripted.stack.gateway.settings
    server = replace(settings.server, development=False)
    monkeypatch.setattr(scripted.stack.gateway, "settings", replace(settings, server=server))
    return scripted


@pytest.mark.parametrize("url", BAD_PAGES)
async def test_a_page_nobody_is_sent_to(production: ScriptedStack, url: str) -> None:
    """In a reply it leaves the outcome open; in a callback and a lookup the rest stands; it is never kept or shown."""
    scripted = production
    scripted.answers({"stage": "awaiting_customer", "redirect_url": url})
    lost = await scripted.create()
    (operation,) = await scripted.operations(lost.json)
    assert (lost.status, operation.status) == (202, Status.UNKNOWN)
    assert operation.note.startswith("redirect_url must")
    assert (lost.json["state"], lost.json["redirect_url"]) == ("created", None)
    assert (await scripted.now(lost.json))["redirect_url"] is None
    for told in ("callback", "lookup"):
        payment = await scripted.begin()
        members = {"payment_id": payment["id"], "stage": "captured", "redirect_url": url}
        if told == "callback":
            assert (await scripted.call_back({"event_id": payment["id"], **members})).status == 204
        else:
            scripted.answers(members)
            await scripted.act(payment, "sync")
        now = await scripted.now(payment)
        assert (now["state"], now["redirect_url"]) == ("captured", None)


async def test_a_page_with_a_port_a_query_and_a_fragment(production: ScriptedStack) -> None:
    """It is shown as the provider wrote it: many checkouts route by the fragment."""
    url = "https://p.example:8443/pay?id=1&a=%20#/step/2"
    payment = await production.begin(redirect_url=url)
    assert payment["redirect_url"] == url


async def test_a_bad_page_of_what_is_only_accepted(production: ScriptedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that says no more than "accepted" may not bring one either."""
    seen = Observation(stage=Stage.AWAITING_CUSTOMER, redirect_url="javascript:alert(1)")
    monkeypatch.setattr(production.provider, "parse", returning(Pending(observation=seen)))
    lost = await production.create()
    (operation,) = await production.operations(lost.json)
    assert (lost.status, operation.status, lost.json["redirect_url"]) == (202, Status.UNKNOWN, None)
    assert operation.note.startswith("redirect_url must")


async def test_plain_pages_are_for_development(scripted: ScriptedStack) -> None:
    """A simulator's page on loopback is shown there."""
    payment = await scripted.begin(redirect_url="http://127.0.0.1:9/pay")
    assert payment["redirect_url"] == "http://127.0.0.1:9/pay"


async def test_an_explanation_says_of_a_hint_what_the_inbox_does(scripted: ScriptedStack) -> None:
    """A hint without a token is refused by both; one that our token proved is recorded by both."""
    urls: list[str] = []
    good = scripted.provider.build

    def build(command: gateway.Command, account: gateway.Account) -> HttpRequest:
        urls.extend([command.urls.return_] if isinstance(command, gateway.CreatePayment) else [])
        return good(command, account)

    scripted.provider.build = build  # type: ignore[method-assign]
    payment = await scripted.begin()
    assert (await scripted.call_back({"provider_reference": "X-1"})).text == "not_found"
    await scripted.stack.visit(urls[0])
    visited, refused = (await scripted.inbox())[:2]
    assert (visited.payment_id, refused.payment_id) == (payment["id"], None)
    for row in (visited, refused):
        found = await explain(scripted.stack.gateway, await find(scripted.stack.gateway, row.id))
        assert (found.verdict, found.reason) == (row.verdict, row.reason)


@pytest.mark.parametrize("what", WORST)
async def test_a_plugin_that_cannot_explain(scripted: ScriptedStack, what: str) -> None:
    """The explanation says so, and says the rest."""
    scripted.provider.explain = WORST[what]  # type: ignore[attr-defined]
    await scripted.call_back({}, key="wrong")
    row = (await scripted.inbox())[0]
    found = await explain(scripted.stack.gateway, await find(scripted.stack.gateway, row.id))
    assert (found.verdict, found.reason) == ("refused", "unauthentic")
    assert any(note.startswith("the plugin failed to explain") for note in found.proof.notes)


@pytest.mark.parametrize("what", WORST)
@pytest.mark.parametrize("member", ["login", "parse_login"])
async def test_a_login_that_cannot_be_used(scripted: ScriptedStack, member: str, what: str) -> None:
    """A 502 with nothing stored, never a 500."""
    scripted.provider.login = returning(GOOD)  # type: ignore[attr-defined]
    scripted.provider.parse_login = returning(gateway.Session(token=gateway.Secret("t"), expires_in=60))  # type: ignore[attr-defined]
    assert (await scripted.create()).status == 201
    scripted.stack.gateway.sessions.clear()
    setattr(scripted.provider, member, WORST[what])
    reply = await scripted.create()
    assert (reply.status, reply.json["detail"]) == (502, "the login at outside failed")


@pytest.mark.parametrize("lasts", [0, -1, float("nan"), float("inf"), "3600", None, True])
async def test_a_session_that_never_lasts(scripted: ScriptedStack, lasts: object) -> None:
    """``expires_in`` is a number of seconds above zero."""
    scripted.provider.login = returning(GOOD)  # type: ignore[attr-defined]
    scripted.provider.parse_login = returning(gateway.Session(token=gateway.Secret("t"), expires_in=lasts))  # type: ignore[attr-defined, arg-type]
    assert (await scripted.create()).status == 502


async def test_a_session_that_lasts_for_ever_is_renewed_some_day(scripted: ScriptedStack) -> None:
    """A number beyond all dates is no fault of the provider's."""
    scripted.provider.login = returning(GOOD)  # type: ignore[attr-defined]
    scripted.provider.parse_login = returning(gateway.Session(token=gateway.Secret("t"), expires_in=1e18))  # type: ignore[attr-defined]
    assert (await scripted.create()).status == 201
