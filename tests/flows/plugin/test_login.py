"""Sessions: one per account, or one for each scope that the provider names for a command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.core.wire import HttpRequest, HttpResponse
from tests.support.scripted_provider import ScriptedStack, answered, running_scripted_stack


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[ScriptedStack]:
    """A gateway with the outside provider."""
    async with running_scripted_stack(tmp_path) as opened:
        yield opened


class Scoped:
    """Creates and lookups in the session ``pay``, refunds in the session ``refunds``."""

    def __init__(self, scripted: ScriptedStack, payment: Any = None) -> None:
        self.logins: list[str] = []
        self.sent: list[tuple[str, str]] = []
        self.refuses: set[str] = set()
        self.payment, self.build = payment, scripted.provider.build
        members = {"login": self.login, "parse_login": self.parse, "session_scope": self.scope, "build": self.request}
        vars(scripted.provider).update(members)
        scripted.respond = self.respond

    @staticmethod
    def scope(command: gateway.Command) -> str:
        """Which session a command needs."""
        return "refunds" if isinstance(command, gateway.RefundPayment) else "pay"

    def login(self, account: gateway.Account, at: datetime, scope: str) -> HttpRequest:  # noqa: ARG002  # the protocol's
        """The address says the scope."""
        self.logins.append(scope)
        return HttpRequest(method="POST", url=f"https://outside.example/login/{scope}")

    def parse(self, response: HttpResponse, account: gateway.Account) -> gateway.Session:  # noqa: ARG002  # as above
        """A token per login."""
        token = f"{self.logins[-1]}-{len(self.logins)}"
        return gateway.Session(token=gateway.Secret(token), expires_in=3600)

    def request(self, command: gateway.Command, account: gateway.Account) -> Any:
        """Note in which session a request was built."""
        assert account.session is not None
        self.sent.append((type(command).__name__, account.session.token.reveal()))
        return self.build(command, account)

    def respond(self, request: HttpRequest) -> Any:
        """Refuse the tokens that have ended; decline refunds."""
        if "/login/" not in request.url and self.sent[-1][1] in self.refuses:
            return answered({}, 401)
        if request.url.endswith("RefundPayment"):
            return {"is": "declined", "code": "later", "message": ""}
        return {"stage": "captured", "payment_id": self.payment["id"]}

    def tokens(self, kind: str) -> list[str]:
        """The tokens with which a command was sent."""
        return [token for command, token in self.sent if command == kind]


async def test_each_scope_has_a_session_of_its_own(scripted: ScriptedStack) -> None:
    """A second command of the same scope logs in no more."""
    payment = await scripted.begin("captured")
    made = Scoped(scripted, payment)
    for _ in range(2):
        assert (await scripted.act(payment, "refunds", {"amount": "1.00"})).json["status"] == "declined"
    assert made.logins == ["pay", "refunds"]
    assert made.tokens("RefundPayment") == ["refunds-2"] * 2
    assert set(made.tokens("FetchPayment")) == {"pay-1"}


async def test_a_401_ends_the_session_of_the_command_alone(scripted: ScriptedStack) -> None:
    """The refund is sent again, as a new operation, in a new session; that of payments is kept."""
    payment = await scripted.begin("captured")
    made = Scoped(scripted, payment)
    made.refuses = {"refunds-2"}
    assert (await scripted.act(payment, "refunds", {"amount": "1.00"})).json["status"] == "declined"
    await scripted.act(payment, "sync")
    assert made.logins == ["pay", "refunds", "refunds"]
    assert made.tokens("RefundPayment") == ["refunds-2", "refunds-3"]
    assert set(made.tokens("FetchPayment")) == {"pay-1"}


def _raises(_: object) -> str:
    raise KeyError("token")


SCOPES: dict[str, Callable[[object], Any]] = {
    "no text": lambda _: None,
    "too long": lambda _: "s" * 65,
    "an error": _raises,
}


@pytest.mark.parametrize("what", SCOPES)
async def test_a_scope_that_cannot_be_used(
    scripted: ScriptedStack, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is stored or sent; the log names the member."""
    made = Scoped(scripted)
    vars(scripted.provider)["session_scope"] = SCOPES[what]
    reply = await scripted.create()
    assert (reply.status, reply.json["code"]) == (502, "provider_error")
    assert [vars(one)["member"] for one in caplog.records if one.msg == "a plugin failed"] == ["session_scope"]
    assert (made.logins, made.sent) == ([], [])
