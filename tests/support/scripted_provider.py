"""An outside plugin whose every member a test can replace, and a simulator that answers what the test says.

Its answers are JSON: ``{"is": "observation" | "declined" | "pending" | "absent" | "ask", …}``, amounts as text.
Callbacks are an observation with an ``event_id`` and the key in ``X-Key``; one without an ``event_id`` is a hint.
"""

# ruff: noqa: ARG002  # the protocol's signatures

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

import gateway
from gateway.core.errors import OutcomeUnknown
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.clock import Clock
from gateway.drivers.store.inbox import InboxFilter
from tests.support.stack import GatewayStack, Reply, new_key, running_stack

KEY = "outside-key-canary-0001"
JSON = (("Content-Type", "application/json"),)
AMOUNTS = frozenset({"amount", "captured", "refunded", "disputed"})


class ScriptedConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``."""

    key: gateway.Secret
    absence_proves: bool = True


def observation(members: Mapping[str, Any]) -> gateway.Observation:
    """JSON as facts."""
    facts = {name: Decimal(value) if name in AMOUNTS and value else value for name, value in members.items()}
    facts["operations"] = msgspec.convert(facts.get("operations", ()), tuple[gateway.OperationOutcome, ...])
    return gateway.Observation(**{**facts, "stage": gateway.Stage(facts.get("stage", "unknown"))})


def request_to(path: str) -> HttpRequest:
    """A call of the provider."""
    return HttpRequest(method="POST", url=f"https://outside.example/{path}")


class ScriptedProvider:
    """The adapter. A test sets an attribute to replace a member."""

    def __init__(self, name: str = "outside") -> None:
        self.name = name
        self.account_type: type[msgspec.Struct] = ScriptedConfig
        self.commands: frozenset[type[gateway.Command]] = frozenset(
            {
                gateway.CreatePayment,
                gateway.UpdatePayment,
                gateway.CapturePayment,
                gateway.CancelPayment,
                gateway.RefundPayment,
                gateway.FetchPayment,
            }
        )
        self.fields: Mapping[str, gateway.FieldRule] = {}
        self.secret_headers: frozenset[str] = frozenset({"X-Key"})
        self.built: list[gateway.Command] = []

    def rules(self, account: gateway.Account) -> gateway.Rules:
        """Everything is allowed."""
        states = frozenset({gateway.State.AUTHORIZED, gateway.State.AWAITING_CUSTOMER})
        return gateway.Rules(
            cancel_from=states, partial_capture=True, absence_proves=account.config.absence_proves, expires_after=DAY
        )

    def credentials(self, account: gateway.Account) -> Mapping[str, str | gateway.Secret]:
        """The key."""
        return {"key": account.config.key}

    def build(self, command: gateway.Command, account: gateway.Account) -> HttpRequest:
        """Name the command in the path."""
        self.built.append(command)
        return request_to(type(command).__name__)

    def parse(self, command: gateway.Command, response: HttpResponse, account: gateway.Account) -> Any:
        """Read what the provider says."""
        try:
            said = json.loads(response.body)
        except ValueError:
            raise gateway.OutcomeUnknown("not json") from None
        match said.pop("is", "observation"):
            case "declined":
                return gateway.Declined(**said)
            case "pending":
                return gateway.Pending(observation=observation(said))
            case "absent":
                return gateway.Absent(**said)
            case "ask":
                return gateway.Ask(request=request_to(said["path"]), memory=said["memory"])
        return observation(said)

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> Any:
        """Believe anyone who has the key."""
        if callback.suffix == "return":
            return gateway.Hint()
        if gateway.header(callback.headers, "X-Key") != [account.config.key.reveal()]:
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the key is wrong")
        said = json.loads(callback.body)
        event_id = said.pop("event_id", None)
        if event_id is None:
            return gateway.Hint(provider_reference=said.get("provider_reference"))
        operation = msgspec.convert(said.pop("operation", None), gateway.OperationOutcome | None)
        return gateway.Event(event_id=event_id, observation=observation(said), operation=operation)

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> HttpResponse:
        """Say the reason in words of its own."""
        match verdict:
            case gateway.Refused(reason=reason):
                return HttpResponse(status=422, body=str(reason).encode())
            case gateway.Busy():
                return HttpResponse(status=503)
        return HttpResponse(status=204)


DAY = timedelta(days=1)


def answered(said: Mapping[str, Any], status: int = 200) -> HttpResponse:
    """An answer in JSON."""
    return HttpResponse(status=status, headers=JSON, body=json.dumps(said).encode())


def plugin_of(provider: object) -> object:
    """A plugin that offers this provider."""

    @gateway.hookimpl
    def gateway_providers() -> list[object]:
        return [provider]

    return SimpleNamespace(gateway_providers=gateway_providers, __name__=f"plugin_{getattr(provider, 'name', 'x')}")


@dataclass
class ScriptedStack:
    """A stack with an account at that provider. ``respond`` answers its calls, ``sent`` are those that were made."""

    stack: GatewayStack
    provider: ScriptedProvider
    respond: Callable[[HttpRequest], Any] = lambda _: {"stage": "awaiting_customer"}
    sent: list[HttpRequest] = field(default_factory=list)

    def answers(self, *said: Any, status: int = 200) -> None:
        """Answer the next calls by these, the last one forever; an error is raised."""
        left = [answered(one, status) if isinstance(one, dict) else one for one in said]
        self.respond = lambda _: left.pop(0) if len(left) > 1 else left[0]

    async def create(self, **changes: Any) -> Reply:
        """Ask for a payment of 10.00 USD."""
        body = {"merchant_reference": new_key()[:20], "amount": "10.00", "currency": "USD", "account": "outside-main"}
        return await self.stack.create({**body, **changes})

    async def begin(self, stage: str = "awaiting_customer", **facts: Any) -> Any:
        """A payment whose create was answered with this stage."""
        self.answers({"stage": stage, **facts})
        created = await self.create()
        assert created.status == 201, created.text
        return created.json

    async def lose(self) -> Any:
        """A payment whose create was never answered."""
        self.answers(OutcomeUnknown("timeout"))
        created = await self.create()
        assert created.status == 202, created.text
        return created.json

    async def act(self, payment: Any, verb: str, body: Any = None) -> Reply:
        """Ask for a command: ``capture``, ``cancel``, ``refunds`` or ``sync``."""
        return await self.stack.call("POST", f"/v1/payments/{payment['id']}/{verb}", body or {}, key=new_key())

    async def call_back(self, said: Mapping[str, Any], *, key: str = KEY, suffix: str = "") -> Reply:
        """Call back as the provider."""
        entry = self.stack.entry("acme", "outside-main")
        url = self.stack.gateway.callback_url(entry) + suffix
        async with self.stack.http.post(url, data=json.dumps(said), headers={"X-Key": key}) as response:
            return Reply(response.status, response.headers, await response.text())

    async def now(self, payment: Any) -> Any:
        """The payment as the tenant reads it now."""
        return await self.stack.payment(payment["id"])

    def operations(self, payment: Any) -> Any:
        """Its operations."""
        return self.stack.gateway.store.operations("acme", payment["id"])

    def reset(self) -> None:
        """The plugin as it was written, and a simulator that takes every payment."""
        vars(self.provider).clear()
        ScriptedProvider.__init__(self.provider)
        self.respond = lambda _: {"stage": "awaiting_customer"}
        self.sent.clear()
        self.stack.gateway.sessions.clear()

    async def inbox(self) -> list[Any]:
        """All stored callbacks, newest first."""
        found = await self.stack.gateway.store.inbox.newest("acme", InboxFilter(limit=50))
        return list(found)


@asynccontextmanager
async def running_scripted_stack(
    folder: Path,
    *,
    provider: ScriptedProvider | None = None,
    clock: Clock | None = None,
    more: Callable[[dict[str, Any]], object] = lambda _: None,
) -> AsyncIterator[ScriptedStack]:
    """A stack in which the outside provider is installed; ``more`` changes its settings."""
    made = provider or ScriptedProvider()

    def change(settings: dict[str, Any]) -> None:
        account = {"provider": made.name, "config": {"key": KEY}}
        settings["tenants"]["acme"]["accounts"]["outside-main"] = account
        more(settings)

    async with running_stack(folder, change=change, clock=clock, extra_plugins=(plugin_of(made),)) as stack:
        scripted = ScriptedStack(stack, made)

        async def send(request: HttpRequest, **_: Any) -> HttpResponse:
            scripted.sent.append(request)
            said = scripted.respond(request)
            if isinstance(said, Exception):
                raise said
            return said if isinstance(said, HttpResponse) else answered(said)

        stack.gateway.send = send
        yield scripted
