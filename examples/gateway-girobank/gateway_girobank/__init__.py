"""Giro Bank: bank transfers. The customer is told an account and a reference, and pays there at any time.

Giro Bank names a payment by the tenant's reference alone, in requests and in form-encoded callbacks that are signed by
an HMAC in a header. Refunds are paid out at once and may bounce days later. Modelled on virtual IBAN services of banks.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qs

import msgspec

import gateway

FORM = "application/x-www-form-urlencoded"
SIGNATURE = "Giro-Signature"


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account's ``config``. Banks mostly ask for a client certificate too: ``tls``, beside ``config``."""

    base_url: str
    api_key: gateway.Secret
    signing_key: gateway.Secret

    def __post_init__(self) -> None:
        gateway.base_url(self.base_url, "base_url")


class Collection(msgspec.Struct, frozen=True, kw_only=True):
    """Where the customer pays."""

    iban: str
    bic: str
    holder: str
    remittance: str


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """A refund. ``id`` is our operation id."""

    payout: str
    id: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A callback: money that came in (``credit``) or went out (``debit``), or a payout that came back (``bounced``)."""

    entry: str
    type: str
    reference: str
    amount: gateway.Amount
    currency: str
    refund: str = ""
    reason: str = ""


class GiroBank(gateway.Provider):
    name = "girobank"
    account_type = Config
    commands = frozenset({gateway.CreatePayment, gateway.RefundPayment})
    fields: Mapping[str, gateway.FieldRule] = {
        "reference": gateway.FieldRule(
            source="merchant_reference", mandatory=True, locked=True, meaning="what is paid"
        ),
        "payer": gateway.FieldRule(source="customer.name", meaning="who is expected to pay"),
    }

    def rules(self, account: gateway.Account) -> gateway.Rules:  # noqa: ARG002  # alike for all
        # Each request carries an idempotency key: where its answer was lost it may be sent again.
        return gateway.Rules(currencies=frozenset({"EUR"}), repeatable=self.commands)

    def build(self, command: gateway.Command, account: gateway.Account) -> gateway.HttpRequest:
        body: dict[str, object] = {"amount": command.money.text(), "currency": command.money.currency}
        if isinstance(command, gateway.CreatePayment):
            own = {member.key: member.value for member in gateway.fill(account.fields, command)}
            return _post("collections", {**own, **body, "notify": command.urls.callback}, command.operation_id, account)
        if not isinstance(command, gateway.RefundPayment):
            raise gateway.ProviderError("Giro Bank has no such command")
        body |= {"reference": command.merchant_reference, "refund": command.operation_id, "text": command.reason or ""}
        return _post("payouts", body, command.operation_id, account)

    def parse(
        self, command: gateway.Command, response: gateway.HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined:
        if response.status != 201:
            return gateway.read_refusal(response, "error", gateway.secrets_of(account.config), by="Giro Bank")
        if isinstance(command, gateway.CreatePayment):
            found = gateway.read_answer(response, Collection)
            instructions = {
                "iban": found.iban,
                "bic": found.bic,
                "holder": found.holder,
                "remittance": found.remittance,
            }
            return gateway.Observation(stage=gateway.Stage.AWAITING_CUSTOMER, instructions=instructions)
        paid = gateway.read_answer(response, Payout)
        if isinstance(command, gateway.RefundPayment) and paid.id != command.operation_id:
            raise gateway.OutcomeUnknown("the answer is about another payout")
        done = gateway.OperationOutcome(
            operation_id=paid.id, provider_id=paid.payout or None, outcome=gateway.Succeeded()
        )
        return gateway.Observation(stage=gateway.Stage.CAPTURED, operations=(done,))

    def verify(self, callback: gateway.Callback, account: gateway.Account) -> gateway.Event | None:
        if callback.method != "POST":
            raise gateway.CallbackRejected(gateway.Reason.METHOD)
        given = gateway.header(callback.headers, SIGNATURE)
        key: gateway.Secret = account.config.signing_key
        wanted = hmac.new(key.reveal().encode(), callback.body, hashlib.sha256).hexdigest()
        if len(given) != 1 or not gateway.same(given[0], wanted):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the signature is wrong")
        if gateway.media_type(callback.headers) != FORM:
            raise gateway.CallbackRejected(gateway.Reason.MEDIA_TYPE)
        return _reported(_entry(callback.body))

    def answer(self, verdict: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:  # noqa: ARG002
        # 200 also for what was proved and refused: a repetition would be judged alike
        return gateway.status_answer(verdict, stored=200, refused=200, unauthentic=401)


def _entry(body: bytes) -> Entry:
    """Read the form. A member written twice is refused: a bank and we might each believe another one."""
    try:
        read = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
        members = {name: value for name, (value,) in read.items()}
        return msgspec.convert({**members, "amount": gateway.Amount.read(members.get("amount"))}, Entry)
    except (ValueError, msgspec.ValidationError):
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the body is not an entry of an account") from None


def _reported(entry: Entry) -> gateway.Event | None:
    if entry.type == "credit":
        paid = gateway.Observation(
            stage=gateway.Stage.CAPTURED,
            merchant_reference=entry.reference,
            currency=entry.currency,
            amount=entry.amount,
            raw_status=entry.type,
        )
        return gateway.Event(event_id=entry.entry, observation=paid)
    bounced = gateway.Declined(code=entry.reason, message=entry.reason)
    outcomes: dict[str, gateway.Succeeded | gateway.Declined] = {"debit": gateway.Succeeded(), "bounced": bounced}
    if entry.type not in outcomes:
        return None
    return gateway.Event(
        event_id=entry.entry,
        observation=gateway.Observation(stage=gateway.Stage.UNKNOWN, merchant_reference=entry.reference),
        operation=gateway.OperationOutcome(operation_id=entry.refund, outcome=outcomes[entry.type]),
    )


def _post(path: str, body: Mapping[str, object], key: str, account: gateway.Account) -> gateway.HttpRequest:
    config: Config = account.config
    headers = (
        ("Content-Type", "application/json"),
        ("Authorization", f"Bearer {config.api_key.reveal()}"),
        ("Idempotency-Key", key),
    )
    return gateway.HttpRequest(
        method="POST", url=f"{config.base_url}/{path}", headers=headers, body=gateway.dumps(body)
    )


@gateway.hookimpl
def gateway_providers() -> list[gateway.Provider]:
    return [GiroBank()]


@gateway.hookimpl
def gateway_simulators() -> list[gateway.Simulator]:
    from gateway_girobank.simulator import GiroBankSimulator  # loads a web server: only when one is wanted

    return [GiroBankSimulator.offer()]
