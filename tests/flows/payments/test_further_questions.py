"""``Ask``: a lookup that needs several exchanges, such as payment, then refunds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from msgspec.structs import replace

import gateway
from gateway.core.wire import HttpRequest, HttpResponse
from tests.support.scripted_provider import KEY, ScriptedStack, request_to, running_scripted_stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack for all tests here."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def scripted(opened: ScriptedStack) -> ScriptedStack:
    """The plugin as it was written."""
    opened.reset()
    return opened


def asks(path: str, **memory: str) -> dict[str, Any]:
    """An answer on which the plugin asks further."""
    return {"is": "ask", "path": path, "memory": memory}


def paths(scripted: ScriptedStack) -> list[str]:
    """What was asked since the create."""
    return [request.url.removeprefix("https://outside.example/") for request in scripted.sent[1:]]


async def test_three_further_questions_are_one_lookup(scripted: ScriptedStack) -> None:
    """Each answer is parsed with the stored memory and what its question came with; nothing of that is kept."""
    seen: list[dict[str, str]] = []
    parse = scripted.provider.parse

    def note(command: gateway.Command, response: HttpResponse, account: gateway.Account) -> Any:
        seen.append(dict(command.memory))
        return parse(command, response, account)

    payment = await scripted.begin(memory={"order": "O-1"})
    scripted.provider.parse = note  # type: ignore[method-assign]
    scripted.answers(
        asks("a", at="1"), asks("b", at="2", order="X"), asks("c"), {"payment_id": payment["id"], "stage": "captured"}
    )
    now = (await scripted.act(payment, "sync")).json
    assert (now["state"], paths(scripted)) == ("captured", ["FetchPayment", "a", "b", "c"])
    assert seen == [{"order": "O-1"}, {"order": "O-1", "at": "1"}, {"order": "X", "at": "2"}, {"order": "O-1"}]
    snapshot = await scripted.stack.gateway.store.payment("acme", payment["id"])
    assert snapshot is not None
    assert snapshot.payment.memory == {"order": "O-1"}


async def test_the_fourth_is_a_failed_lookup(scripted: ScriptedStack) -> None:
    """A plugin that asks forever is stopped, and the payment stays as it is."""
    payment = await scripted.begin()
    scripted.answers(asks("again"))
    answer = await scripted.act(payment, "sync")
    assert (answer.status, answer.json["detail"]) == (502, "the plugin asks more than 3 further questions")
    assert paths(scripted) == ["FetchPayment", "again", "again", "again"]


async def test_a_further_question_that_fails_fails_the_lookup(scripted: ScriptedStack) -> None:
    """An answer of 500 to the second proves as little as to the first."""
    payment = await scripted.begin()
    answers = iter([asks("a", at="1"), HttpResponse(status=500)])
    scripted.respond = lambda _: next(answers)
    answer = await scripted.act(payment, "sync")
    assert (answer.status, (await scripted.now(payment))["state"]) == (502, "awaiting_customer")


async def test_what_is_not_there_may_be_asked_for_elsewhere(scripted: ScriptedStack) -> None:
    """A 404 may lead to another question, and the answer to that one counts."""
    payment = await scripted.begin()
    found = {"payment_id": payment["id"], "stage": "captured"}
    answers = iter([HttpResponse(status=404, body=gateway.dumps(asks("by-reference"))), found])
    scripted.respond = lambda _: next(answers)
    assert (await scripted.act(payment, "sync")).json["state"] == "captured"


async def test_a_reply_cannot_ask(scripted: ScriptedStack) -> None:
    """A command is one exchange: whatever its plugin wanted to know, the outcome is unknown."""
    payment = await scripted.begin("authorized")
    scripted.answers(asks("more"))
    answer = await scripted.act(payment, "capture")
    note = answer.json["pending_operation"]["note"]
    assert (answer.status, paths(scripted)) == (202, ["CapturePayment"])
    assert note.startswith("plugin_error Ask: must be Observation or Declined or Pending or Absent, not Ask")


@pytest.mark.parametrize(
    ("further", "why"),
    [
        (gateway.Ask(request=HttpRequest(method="GET", url="http://a b")), "request url"),
        (gateway.Ask(request=request_to("x"), memory={"k": 1}), "memory must be str"),  # type: ignore[dict-item]
        (gateway.Ask(request=request_to("x"), memory={"k": KEY}), "Ask: memory holds a secret"),
        (gateway.Ask(request=None), "request must be HttpRequest"),  # type: ignore[arg-type]
    ],
)
async def test_a_question_is_judged_as_what_is_built(
    scripted: ScriptedStack, further: gateway.Ask, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be sent is not sent, and the log says what was wrong with it."""
    payment = await scripted.begin()
    scripted.provider.parse = lambda *_: further  # type: ignore[method-assign]
    assert (await scripted.act(payment, "sync")).status == 502
    assert paths(scripted) == ["FetchPayment"]
    assert why in vars(next(one for one in caplog.records if one.message == "a plugin failed"))["kind"]


async def test_plain_http_is_for_development(scripted: ScriptedStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for what is built."""
    payment = await scripted.begin()
    settings = scripted.stack.gateway.settings
    production = replace(settings, server=replace(settings.server, development=False))
    monkeypatch.setattr(scripted.stack.gateway, "settings", production)
    further = gateway.Ask(request=HttpRequest(method="GET", url="http://outside.example/"))
    monkeypatch.setattr(scripted.provider, "parse", lambda *_: further)
    assert (await scripted.act(payment, "sync")).status == 502
    assert paths(scripted) == ["FetchPayment"]


async def test_a_session_that_ends_between_two_questions(scripted: ScriptedStack) -> None:
    """The lookup is begun again in a new session, whose token the further question has."""
    provider: Any = scripted.provider
    logins = iter("12")
    provider.login = lambda _: request_to("login")
    provider.parse_login = lambda *_: gateway.Session(token=gateway.Secret(f"token-{next(logins)}"), expires_in=3600)

    def parse(command: gateway.Command, _: HttpResponse, account: gateway.Account) -> Any:
        if isinstance(command, gateway.CreatePayment):
            return gateway.Observation(stage=gateway.Stage.AWAITING_CUSTOMER)
        if command.memory:
            return gateway.Observation(stage=gateway.Stage.CAPTURED, payment_id=command.payment_id)
        assert account.session is not None
        return gateway.Ask(request=request_to(account.session.token.reveal()), memory={"at": "2"})

    provider.parse = parse
    payment = await scripted.begin()
    scripted.respond = lambda request: HttpResponse(status=401 if request.url.endswith("token-1") else 200)
    assert (await scripted.act(payment, "sync")).json["state"] == "captured"
