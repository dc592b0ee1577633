"""The three records of the same events, in forms that can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.crash.checks.records import Records
from tests.crash.clients import Client, JournalEntry
from tests.crash.webhook_endpoint import ReceivedWebhook

KINDS = {
    "begin_standalone_checkout": "create",
    "complete_checkout": "complete",
    "confirm_order": "capture",
    "update_order": "update",
    "cancel_order": "cancel",
    "refund": "refund",
}
"""Path at Credit Key -> kind of operation."""

Findings = Iterator[str]
"""Sentences, one per violation."""


class Evidence(NamedTuple):
    """The records to compare."""

    records: Records
    clients: Sequence[Client]
    webhooks: Sequence[ReceivedWebhook]
    replayed: Mapping[str, Any]
    """By idempotency key: the answer to one more repetition at the end."""

    @property
    def journal(self) -> list[JournalEntry]:
        """Every request of every client."""
        return [entry for client in self.clients for entry in client.journal]


def shown_payments(evidence: Evidence) -> Iterator[Any]:
    """Yield every payment a tenant was shown: in answers, reads and webhooks."""
    for client in evidence.clients:
        yield from client.shown_payments
    for entry in evidence.journal:
        yield from (answer.json.get("payment", answer.json) for answer in entry.answers if answer.status < 300)
    yield from (json.loads(webhook.body)["data"]["payment"] for webhook in evidence.webhooks)


def creditkey_view(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order of Credit Key's ledger in comparable form."""
    is_captured = order["capture_status"] == "captured"
    stage = "captured" if is_captured else "authorized" if order["completed"] else "awaiting_customer"
    return {
        "stage": "canceled" if order["status"] == "canceled" else stage,
        "key": order["id"],
        "captured": cents(order["amount"]) if is_captured else "0.00",
        "refunded": cents(order["refunded_amount"]),
    } | ({} if is_captured else {"amount": cents(order["amount"])})


def gateway_view(payment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gateway's payment in the same form."""
    is_captured = Decimal(payment["captured"]) > 0
    return {
        "stage": "captured" if is_captured else payment["state"],
        "key": payment["provider_reference"],
        "captured": cents(payment["captured"]),
        "refunded": cents(payment["refunded"]),
    } | ({} if is_captured else {"amount": cents(payment["money"]["amount"])})


def requests(records: Records) -> Iterator[tuple[str, ...]]:
    """Yield kind, reference and amount of every changing request the providers received."""
    references = {order["id"]: order["remote_id"] for order in records.orders["creditkey"]}
    for request in records.requests["creditkey"]:
        kind = KINDS.get(urlsplit(request["path"]).path.rpartition("/")[2])
        if kind is not None:
            body = json.loads(request["body"])
            reference = body["remote_id"] if kind == "create" else references[body["id"]]
            yield _key(kind, reference, body.get("amount") or body.get("charges", {}).get("grand_total"))
    for request in records.requests["psp"]:
        body = json.loads(request["body"])
        yield _key("create", next(body[name] for name in ("order_no", "invoice") if name in body), None)


def operations(records: Records) -> Iterator[tuple[str, ...]]:
    """Yield the same for every operation that may have been sent."""
    for payment_id, operations in records.operations.items():
        payment = records.payments[payment_id]
        is_psp = payment["provider"] != "creditkey"
        for one in operations:
            yield _key(one["kind"], payment_id if is_psp else payment["merchant_reference"], one["amount"])


def _key(kind: str, reference: str, amount: object) -> tuple[str, ...]:
    named = kind in ("refund", "update", "capture")
    return (kind, reference, cents(amount)) if named else (kind, reference, "")


def cents(amount: object) -> str:
    """Format an amount with two decimals."""
    return f"{Decimal(str(amount)):.2f}"
