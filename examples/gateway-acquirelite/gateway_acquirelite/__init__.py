"""AcquireLite: cards on a hosted page. OAuth client credentials, minor units, signed webhooks in batches.

A session gives the page; each attempt of the customer is a payment with an id of its own. Captures, voids and refunds
are accepted (202) and told later, one by one, by webhook or lookup. Modelled on the public pages of card acquirers.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import quote, urlencode

import msgspec
from msgspec.structs import replace

import gateway

SIGNATURE = "Acq-Signature"
OTHER_DIGITS = frozenset({"CLP", "ISK"})  # AcquireLite's smallest unit of these is not that of ISO 4217
STAGES = {
    "Pending": gateway.Stage.PROCESSING,
    "Authorized": gateway.Stage.AUTHORIZED,
    "Partially Captured": gateway.Stage.AUTHORIZED,  # more captures may follow
    "Captured": gateway.Stage.CAPTURED,
    "Refunded": gateway.Stage.CAPTURED,
    "Voided": gateway.Stage.CANCELED,
}
Acting = gateway.CapturePayment | gateway.CancelPayment | gateway.RefundPayment
PATHS: Mapping[type[gateway.Command], str] = {
    gateway.CapturePayment: "captures",
    gateway.CancelPayment: "voids",
    gateway.RefundPayment: "refunds",
}
ACTIONS = frozenset({"payment_captured", "payment_voided", "payment_refunded"})


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``. ``capture``: for payments whose tenant does not say."""

    base_url: str
    client_id: str
    client_secret: gateway.Secret
    webhook_key: gateway.Secret
    channel: str
    capture: Literal["now", "later"] = "later"

    def __post_init__(self) -> None:
        gateway.base_url(self.base_url, "base_url")
        if not self.channel.startswith("pc_"):
            raise ValueError("channel: must begin with pc_")


class Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A hosted page. ``payment`` is the attempt that succeeded, once there is one."""

    id: str
    reference: str
    page: str
    payment: str | None = None


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """A capture, void or refund. ``reference`` is our operation id; ``approved`` None: being worked on."""

    id: str
    reference: str = ""
    approved: bool | None = None
    reason: str = ""


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, as lookups show it."""

    id: str
    reference: str
    status: str
    amount: int
    currency: str
    balances: dict[str, int]
    actions: list[Action]


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a webhook. ``amount`` is that of the action, of a dispute the total."""

    id: str
    type: str
    created_on: datetime
    payment: str
    reference: str
    amount: int
    currency: str
    action: Action | None = None


class Webhook(msgspec.Struct, frozen=True):
    events: list[Notice]


class AcquireLite(gateway.Provider):
    name = "acquirelite"
    account_type = Config
    commands = frozenset({gateway.CreatePayment, gateway.FetchPayment, *PATHS})
    fields: Mapping[str, gateway.FieldRule] = {
        "amount": gateway.FieldRule(type="number", mandatory=True, locked=True, meaning="minor units"),
        "currency": gateway.FieldRule(mandatory=True, locked=True, meaning="code"),
        "reference": gateway.FieldRule(source="payment_id", mandatory=True, locked=True, meaning="our payment id"),
        "description": gateway.FieldRule(source="merchant_reference", meaning="the tenant's reference"),
        "email": gateway.FieldRule(source="customer.email", meaning="where the receipt goes"),
    }

    def rules(self, account: gateway.Account) -> gateway.Rules:  # noqa: ARG002  # alike for all
        return gateway.Rules(
            cancel_from=frozenset({gateway.State.AUTHORIZED}),
            partial_capture=True,
            captures="many",
            capture_modes=frozenset({"now", "later"}),
            absence_proves=True,  # a session can be looked up as soon as it exists
        )

    def login(self, account: gateway.Account) -> gateway.HttpRequest:
        config: Config = account.config
        basic = base64.b64encode(f"{config.client_id}:{config.client_secret.reveal()}".encode()).decode()
        form = ("Content-Type", "application/x-www-form-urlencoded")
        url, body = f"{config.base_url}/oauth/token", urlencode({"grant_type": "client_credentials"}).encode()
        return gateway.HttpRequest(
            method="POST", url=url, headers=(("Authorization", f"Basic {basic}"), form), body=body
        )

    def parse_login(self, response: gateway.HttpResponse, account: gateway.Account) -> gateway.Session:  # noqa: ARG002
        if response.status != 200:
            raise gateway.ProviderError(f"the token endpoint answered {response.status}")
        token = gateway.read_answer(response, Token)
        return gateway.Session(token=gateway.Secret(token.access_token), expires_in=token.expires_in)

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        if isinstance(command, gateway.CreatePayment):
            return _post("payment-sessions", _session(command, account), command.operation_id, account)
        reference = command.provider_reference
        if isinstance(command, gateway.FetchPayment):
            # A session is found by its own id, or by ours where the answer with that id was lost.
            session = command.memory.get("session", command.payment_id)
            return _get(f"payments/{reference}" if reference else f"payment-sessions/{session}", account)
        if reference is None or not isinstance(command, Acting):
            raise gateway.ProviderError("this payment has no payment id at AcquireLite yet")
        return _post(f"payments/{reference}/{PATHS[type(command)]}", _action(command), command.operation_id, account)

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined | gateway.Pending | gateway.Absent | gateway.Ask:
        is_lookup = isinstance(command, gateway.FetchPayment)
        if response.status >= 300:
            secrets = gateway.secrets_of(account.config)
            refusal = gateway.read_refusal(response, "error_type", secrets, by="AcquireLite", statuses=range(400, 500))
            return gateway.Absent() if is_lookup and response.status == 404 else refusal
        if isinstance(command, gateway.CreatePayment):
            return _page(gateway.read_answer(response, Session))
        if not is_lookup:
            action = gateway.read_answer(response, Action)
            if isinstance(command, Acting) and action.reference != command.operation_id:
                raise gateway.OutcomeUnknown("the answer is about another action")
            outcome = _outcome(action)
            return gateway.Pending(observation=gateway.Observation(stage=gateway.Stage.UNKNOWN, operations=(outcome,)))
        if command.provider_reference is not None or "payment" in command.memory:
            return _payment(gateway.read_answer(response, Payment), account)
        session = gateway.read_answer(response, Session)
        if session.payment is None:
            return _page(session)
        return gateway.Ask(request=_get(f"payments/{session.payment}", account), memory={"payment": session.payment})

    def verify(
        self, callback: gateway.Callback, account: gateway.Account
    ) -> gateway.Hint | tuple[gateway.Event | gateway.Hint, ...]:
        if callback.payment_id is not None:  # the browser comes back, with our own token
            return gateway.Hint()
        if callback.method != "POST":
            raise gateway.CallbackRejected(gateway.Reason.METHOD)
        given = gateway.header(callback.headers, SIGNATURE)
        key: gateway.Secret = account.config.webhook_key
        wanted = hmac.new(key.reveal().encode(), callback.body, hashlib.sha256).hexdigest()
        if len(given) != 1 or not gateway.same(given[0], wanted):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the signature is wrong")
        try:
            notices = gateway.read_json(callback.body, Webhook).events
        except ValueError:
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the body is not a webhook") from None
        return tuple(one for notice in notices if (one := _reported(notice, account)) is not None)

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:  # noqa: ARG002
        # 200 also for what was proved and refused: a repetition would be judged alike
        return gateway.status_answer(verdict, stored=200, refused=200, unauthentic=401)


def _session(command: gateway.CreatePayment, account: gateway.Account) -> dict[str, object]:
    if command.money.currency in OTHER_DIGITS:
        raise gateway.FieldProblem.at("$.currency", "AcquireLite counts this currency with other decimals")
    key = account.fields.key
    return {
        **{member.key: member.value for member in gateway.fill(account.fields, command)},
        key("amount"): command.money.minor_units(),
        key("currency"): command.money.currency,
        "processing_channel_id": account.config.channel,
        "capture": (command.capture or account.config.capture) == "now",
        "success_url": command.urls.return_,
        "cancel_url": command.urls.cancel,
    }


def _action(command: Acting) -> dict[str, object]:
    amount = {} if isinstance(command, gateway.CancelPayment) else {"amount": command.money.minor_units()}
    final = {"final": command.final} if isinstance(command, gateway.CapturePayment) else {}
    return {"reference": command.operation_id, **amount, **final}


def _post(path: str, body: object, key: str, account: gateway.Account) -> gateway.HttpRequest:
    plain = _get(path, account)
    headers = (*plain.headers, ("Content-Type", "application/json"), ("Acq-Idempotency-Key", key))
    return replace(plain, method="POST", headers=headers, body=gateway.dumps(body))


def _get(path: str, account: gateway.Account) -> gateway.HttpRequest:
    if account.session is None:
        raise gateway.ProviderError("there is no session")
    bearer = ("Authorization", f"Bearer {account.session.token.reveal()}")
    return gateway.HttpRequest(method="GET", url=f"{account.config.base_url}/{quote(path)}", headers=(bearer,))


def _page(session: Session) -> gateway.Observation:
    stage, memory = gateway.Stage.AWAITING_CUSTOMER, {"session": session.id}
    return gateway.Observation(stage=stage, payment_id=session.reference, redirect_url=session.page, memory=memory)


def _payment(payment: Payment, account: gateway.Account) -> gateway.Observation:
    try:
        total = {name: account.money(units, payment.currency).amount for name, units in payment.balances.items()}
        amount = account.money(payment.amount, payment.currency).amount
    except ValueError as problem:
        raise gateway.OutcomeUnknown(str(problem)) from None
    return gateway.Observation(
        stage=STAGES.get(payment.status, gateway.Stage.UNKNOWN),
        payment_id=payment.reference,
        provider_reference=payment.id,
        currency=payment.currency,
        amount=amount,
        captured=total.get("captured"),
        refunded=total.get("refunded"),
        disputed=total.get("disputed"),
        raw_status=payment.status,
        operations=tuple(_outcome(action) for action in payment.actions if action.reference),
    )


def _outcome(action: Action) -> gateway.OperationOutcome:
    declined = gateway.Declined(code=action.reason, message=action.reason)
    outcome = {True: gateway.Succeeded(), False: declined, None: None}[action.approved]
    return gateway.OperationOutcome(operation_id=action.reference, provider_id=action.id or None, outcome=outcome)


def _reported(notice: Notice, account: gateway.Account) -> gateway.Event | gateway.Hint | None:
    """What one entry says. An action that nobody here asked for, such as a capture at the portal, is looked up."""
    seen = gateway.Observation(
        stage=gateway.Stage.UNKNOWN, payment_id=notice.reference, provider_reference=notice.payment
    )
    event = gateway.Event(event_id=notice.id, observation=seen, occurred_at=notice.created_on)
    if notice.action is not None and notice.action.reference:
        return replace(event, operation=_outcome(notice.action))
    if notice.type in ACTIONS:
        return gateway.Hint(payment_id=notice.reference)
    try:
        amount = account.money(notice.amount, notice.currency).amount
    except ValueError as problem:
        return replace(event, problem=gateway.Reason.CURRENCY, detail=str(problem))
    facts = {
        "payment_approved": {"stage": gateway.Stage.AUTHORIZED, "amount": amount},
        "payment_disputed": {"stage": gateway.Stage.CAPTURED, "disputed": amount},
    }.get(notice.type)
    return None if facts is None else replace(event, observation=replace(seen, currency=notice.currency, **facts))


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    return [AcquireLite()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    from gateway_acquirelite.simulator import AcquireLiteSimulator  # loads a web server: only when one is wanted

    return [AcquireLiteSimulator.offer()]
