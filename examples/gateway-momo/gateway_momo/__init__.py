"""Mobile money: a prompt on the customer's phone. No page and no callbacks; everything is asked for.

A request to pay is answered 202 without a body and named by a UUID that we choose (``X-Reference-Id``); so is a refund,
which has a status of its own. Modelled on MTN MoMo's public API (Collections, Disbursements).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

import gateway

JSON = ("Content-Type", "application/json")
PHONE = re.compile(r"[1-9][0-9]{7,14}")
ACCEPTED = frozenset({202, 409})  # 409: it was accepted before, under the same id
STAGES = {
    "PENDING": gateway.Stage.PROCESSING,
    "SUCCESSFUL": gateway.Stage.CAPTURED,
    "FAILED": gateway.Stage.FAILED,
}
POLL = tuple(timedelta(seconds=seconds) for seconds in (5, 5, 10, 20, 30, 60, 120, 300, 900, 3600))
"""The prompt stays on the phone for about five minutes."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``: one country's wallet."""

    base_url: str
    api_user: str
    api_key: gateway.Secret
    subscription_key: gateway.Secret
    target_environment: str
    currency: str

    def __post_init__(self) -> None:
        gateway.base_url(self.base_url, "base_url")
        if not re.fullmatch(r"[A-Z]{3}", self.currency):
            raise ValueError("currency: must be a code such as UGX")


class Token(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A request to pay, or a refund, as its status shows it. ``external_id`` is our id of it."""

    amount: gateway.Amount
    currency: str
    external_id: str
    status: str
    reason: str | None = None

    @property
    def word(self) -> str:
        return self.status if self.reason is None else f"{self.status} {self.reason}"


class Momo(gateway.Provider):
    name = "momo"
    account_type = Config
    commands = frozenset({gateway.CreatePayment, gateway.FetchPayment, gateway.RefundPayment})
    fields: Mapping[str, gateway.FieldRule] = {
        "phone": gateway.FieldRule(source="customer.phone", mandatory=True, locked=True, meaning="whose wallet pays"),
        "note": gateway.FieldRule(source="merchant_reference", mandatory=True, locked=True, meaning="what is paid"),
    }

    def rules(self, account: gateway.Account) -> gateway.Rules:
        return gateway.Rules(
            currencies=frozenset({account.config.currency}),
            absence_proves=True,
            poll=POLL,
            repeatable=frozenset({gateway.RefundPayment}),  # under its UUID it is accepted once
        )

    def session_scope(self, command: gateway.Command) -> str:
        """Each product has tokens of its own."""
        asked = command.open_operation if isinstance(command, gateway.FetchPayment) else None
        is_refund = isinstance(command, gateway.RefundPayment) or (asked and asked.kind is gateway.Kind.REFUND)
        return "disbursement" if is_refund else "collection"

    def login(self, account: gateway.Account, at: datetime, scope: str) -> gateway.HttpRequest:  # noqa: ARG002  # no time
        config: Config = account.config
        basic = base64.b64encode(f"{config.api_user}:{config.api_key.reveal()}".encode()).decode()
        headers = (("Authorization", f"Basic {basic}"), _subscription(config))
        return gateway.HttpRequest(method="POST", url=f"{config.base_url}/{scope}/token/", headers=headers)

    def parse_login(self, response: gateway.HttpResponse, account: gateway.Account) -> gateway.Session:  # noqa: ARG002
        if response.status != 200:
            raise gateway.ProviderError(f"the token endpoint answered {response.status}")
        token = gateway.read_answer(response, Token)
        return gateway.Session(token=gateway.Secret(token.access_token), expires_in=token.expires_in)

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        pay, refund = "collection/v1_0/requesttopay", "disbursement/v1_0/refund"
        match command:
            case gateway.CreatePayment():
                own = {member.field.name: member.value for member in gateway.fill(account.fields, command)}
                payer = {"partyIdType": "MSISDN", "partyId": _msisdn(str(own["phone"]))}
                body = {"externalId": command.payment_id, "payer": payer, "payerMessage": own["note"]}
                return _post(pay, command.payment_id, body, command.money, account)
            case gateway.RefundPayment():
                body = {"externalId": command.operation_id, "referenceIdToRefund": reference(command.payment_id)}
                return _post(refund, command.operation_id, body, command.money, account)
            case gateway.FetchPayment(open_operation=gateway.OpenOperation(kind=gateway.Kind.REFUND, id=operation)):
                return _get(f"{refund}/{reference(operation)}", account)
            case _:
                return _get(f"{pay}/{reference(command.payment_id)}", account)

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined | gateway.Pending | gateway.Absent:
        if isinstance(command, gateway.FetchPayment):
            return _looked_up(command, response, account)
        if response.status not in ACCEPTED:
            return gateway.read_refusal(response, "code", gateway.secrets_of(account.config), by="mobile money")
        if isinstance(command, gateway.RefundPayment):
            return gateway.Pending(observation=gateway.Observation(stage=gateway.Stage.UNKNOWN))
        return gateway.Observation(stage=gateway.Stage.PROCESSING, provider_reference=reference(command.payment_id))

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> None:  # noqa: ARG002
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "this provider sends no callbacks")

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:  # noqa: ARG002
        return gateway.status_answer(verdict, refused=204, unauthentic=404)


def reference(ours: str) -> str:
    """The UUID that names what we ask for: always the same for one of our ids, of version 4 by its form."""
    return str(UUID(bytes=hashlib.sha256(ours.encode()).digest()[:16], version=4))


def _looked_up(
    command: gateway.FetchPayment, response: gateway.HttpResponse, account: gateway.Account
) -> gateway.Observation | gateway.Declined | gateway.Absent:
    operation = command.open_operation
    if operation is not None and operation.kind is gateway.Kind.REFUND:
        return _refund(operation, response, account)
    if response.status != 200:
        refusal = gateway.read_refusal(response, "code", gateway.secrets_of(account.config), by="mobile money")
        return gateway.Absent() if response.status == 404 else refusal
    found = gateway.read_answer(response, Status)
    stage = STAGES.get(found.status, gateway.Stage.UNKNOWN)
    return gateway.Observation(
        stage=stage,
        payment_id=found.external_id,
        provider_reference=reference(found.external_id),
        currency=found.currency,
        amount=found.amount,
        captured=found.amount if stage is gateway.Stage.CAPTURED else None,
        raw_status=found.word,
    )


def _refund(
    operation: gateway.OpenOperation, response: gateway.HttpResponse, account: gateway.Account
) -> gateway.Observation | gateway.Declined:
    """The refund's own status says nothing of the payment, but how the operation ended."""
    if response.status != 200:
        return gateway.read_refusal(response, "code", gateway.secrets_of(account.config), by="mobile money")
    found = gateway.read_answer(response, Status)
    if found.external_id != operation.id:
        raise gateway.OutcomeUnknown("the status is another refund's")
    declined = gateway.Declined(code=found.reason or found.status, message=found.word)
    outcomes: dict[str, gateway.Succeeded | gateway.Declined] = {"SUCCESSFUL": gateway.Succeeded(), "FAILED": declined}
    refund = gateway.OperationOutcome(operation_id=found.external_id, outcome=outcomes.get(found.status))
    return gateway.Observation(stage=gateway.Stage.UNKNOWN, operations=(refund,))


def _msisdn(phone: str) -> str:
    digits = re.sub(r"[ ().-]", "", phone).removeprefix("+")
    if not PHONE.fullmatch(digits):
        raise gateway.FieldProblem.at("$.customer.phone", "must be an international number such as +256 772 123456")
    return digits


def _post(
    path: str, ours: str, body: Mapping[str, object], money: gateway.Money, account: gateway.Account
) -> gateway.HttpRequest:
    plain = _get(path, account)
    whole = {"amount": money.text(), "currency": money.currency, **body}
    headers = (*plain.headers, JSON, ("X-Reference-Id", reference(ours)))
    return gateway.HttpRequest(method="POST", url=plain.url, headers=headers, body=gateway.dumps(whole))


def _get(path: str, account: gateway.Account) -> gateway.HttpRequest:
    config: Config = account.config
    if account.session is None:
        raise gateway.ProviderError("there is no session")
    bearer = ("Authorization", f"Bearer {account.session.token.reveal()}")
    headers = (bearer, _subscription(config), ("X-Target-Environment", config.target_environment))
    return gateway.HttpRequest(method="GET", url=f"{config.base_url}/{path}", headers=headers)


def _subscription(config: Config) -> tuple[str, str]:
    return ("Ocp-Apim-Subscription-Key", config.subscription_key.reveal())


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    return [Momo()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    from gateway_momo.simulator import MomoSimulator  # loads a web server: only when one is wanted

    return [MomoSimulator.offer()]
