"""A provider as outside plugins are: refunds are told later, by name; requests may be repeated; captures are parts."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

import gateway
from gateway.core.wire import Callback, HttpRequest, HttpResponse, header

OUTCOMES: Mapping[str, gateway.Succeeded | gateway.Declined | None] = {
    "pending": None,
    "done": gateway.Succeeded(),
    "failed": gateway.Declined(code="failed", message="the acquirer could not do it"),
}
WITHOUT_TOTALS = "operation"
"""Memory of a lookup that has asked for the payment, and now asks for its open operation."""


class AcquirerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """An account."""

    base_url: str
    key: gateway.Secret


class Acquirer(gateway.Provider):
    """Asks for a payment by our id, and for an operation by ours."""

    name = "acquirer"
    account_type = AcquirerConfig
    commands = frozenset(
        {
            gateway.CreatePayment,
            gateway.CapturePayment,
            gateway.CancelPayment,
            gateway.RefundPayment,
            gateway.FetchPayment,
        }
    )

    def rules(self, account: gateway.Account) -> gateway.Rules:  # noqa: ARG002  # the protocol's
        """Everything is carried out once under its operation's id."""
        return gateway.Rules(
            captures="many",
            cancel_from=frozenset({"awaiting_customer", "authorized"}),
            absence_proves=True,
            repeatable=self.commands - {gateway.FetchPayment},
        )

    def build(self, command: gateway.Command, account: gateway.Account) -> HttpRequest:
        """Name the payment in the address, the operation in the idempotency key."""
        url = f"{account.config.base_url}/payments/{command.payment_id}"
        if isinstance(command, gateway.FetchPayment):
            return _get(url, account)
        kind = type(command).__name__.removesuffix("Payment").lower()
        body = {"amount": command.money.text(), "final": getattr(command, "final", None)}
        headers = (
            ("Authorization", account.config.key.reveal()),
            ("Idempotency-Key", getattr(command, "operation_id", "")),
        )
        return HttpRequest(method="POST", url=f"{url}/{kind}s", headers=headers, body=gateway.dumps(body))

    def parse(
        self, command: gateway.Command, response: HttpResponse, account: gateway.Account
    ) -> gateway.Observation | gateway.Declined | gateway.Pending | gateway.Absent | gateway.Ask:
        """Read an answer; of a payment with an open operation ask further."""
        said = _read(response.body)
        seen = _observation(said)
        if not isinstance(command, gateway.FetchPayment):
            if "declined" in said:
                return gateway.Declined(code=said["declined"], message="the acquirer declined")
            return gateway.Pending(observation=seen) if response.status == 202 else seen
        operation = command.open_operation
        is_named = operation is not None and operation.kind is not gateway.Kind.CREATE
        if "absent" in said:
            return gateway.Absent(operation_id=operation.id if operation is not None and is_named else None)
        if operation is not None and is_named and WITHOUT_TOTALS not in command.memory:
            url = f"{account.config.base_url}/operations/{operation.id}"
            return gateway.Ask(request=_get(url, account), memory={WITHOUT_TOTALS: "asked"})
        return seen

    def verify(self, callback: Callback, account: gateway.Account) -> gateway.Event:
        """Prove an event by the account's key."""
        shown = header(callback.headers, "authorization")
        if len(shown) != 1 or not gateway.same(shown[0], account.config.key.reveal()):
            raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the key is wrong")
        said = _read(callback.body)
        seen = _observation(said)
        named = seen.operations[0] if seen.operations else None
        return gateway.Event(
            event_id=said["event"], observation=msgspec.structs.replace(seen, operations=()), operation=named
        )

    def answer(self, verdict: gateway.Verdict, callback: Callback) -> HttpResponse:  # noqa: ARG002  # the protocol's
        """Answer 200 to whatever was judged."""
        return gateway.status_answer(verdict, stored=200, judged=200)


def _get(url: str, account: gateway.Account) -> HttpRequest:
    return HttpRequest(method="GET", url=url, headers=(("Authorization", account.config.key.reveal()),), body=b"")


def _read(body: bytes) -> dict[str, Any]:
    try:
        said = gateway.loads(body)
    except ValueError as problem:
        raise gateway.OutcomeUnknown("this is not JSON") from problem
    if not isinstance(said, dict) or not {"payment", "declined", "absent"} & said.keys():
        raise gateway.OutcomeUnknown("this is not the acquirer's")
    return said


def _observation(said: Mapping[str, Any]) -> gateway.Observation:
    captured = said.get("captured")
    return gateway.Observation(
        stage=gateway.Stage(said.get("stage", "unknown")),
        payment_id=said.get("payment"),
        provider_reference=said.get("reference"),
        captured=Decimal(captured) if captured is not None else None,
        redirect_url=said.get("page"),
        operations=(_named(said),) if "status" in said else (),
    )


def _named(said: Mapping[str, Any]) -> gateway.OperationOutcome:
    return gateway.OperationOutcome(
        operation_id=said.get("operation"), provider_id=said.get("id"), outcome=OUTCOMES[said["status"]]
    )
