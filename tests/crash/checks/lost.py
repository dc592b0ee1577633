"""Checks that nothing acknowledged is lost."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from tests.crash.checks.evidence import Evidence, Findings, creditkey_view, gateway_view, shown_payments
from tests.crash.checks.records import acknowledged
from tests.crash.testbed import CLOCKS

SEEN = {"captured": "succeeded", "failed": "failed"}
"""Final state of a PSP payment -> state of its order in the ledger."""


def answers_are_kept(evidence: Evidence) -> Findings:
    """A final answer never changes, and a request that was accepted is never forgotten."""
    for entry in evidence.journal:
        bodies = {answer.text for answer in entry.final_answers}
        if len(bodies) > 1:
            yield f"{entry.key} was answered in {len(bodies)} ways"
        if bodies and evidence.replayed[entry.key].text not in bodies:
            yield f"{entry.key} is answered anew: {evidence.replayed[entry.key].text}"


def what_was_shown_happened(evidence: Evidence) -> Findings:
    """Each version and state that a tenant was shown is in the payment's timeline."""
    for view in {(one["id"], one["version"], one["state"]) for one in shown_payments(evidence)}:
        payment_id, version, state = view
        events = [event["doc"] for event in evidence.records.events[payment_id] if event["doc"]["version"] == version]
        if [event["state_after"] for event in events] != [state]:
            yield f"{payment_id} was shown as {state} in version {version}, the timeline has {events}"


def operations_are_kept(evidence: Evidence) -> Findings:
    """An operation in an answer exists, and its outcome never changed."""
    for entry in evidence.journal:
        for answer in entry.final_answers:
            body = answer.json
            shown = body.get("operation", body)
            found = [
                one
                for one in evidence.records.operations[body.get("payment_id", body["id"])]
                if one["id"].partition("_")[2] == shown["id"].partition("_")[2]
            ]
            if [one["status"] for one in found] != [shown["status"]]:
                yield f"{shown['id']} was {shown['status']}, the records have {[one['status'] for one in found]}"


def timelines_have_no_gaps(evidence: Evidence) -> Findings:
    """A payment's events are its versions from 1 to the current one, each with its webhook."""
    webhooks = defaultdict(list)
    for one in evidence.records.deliveries:
        webhooks[one["payment_id"]].append(one["version"])
    for payment in evidence.records.payments.values():
        versions = [event["doc"]["version"] for event in evidence.records.events[payment["id"]]]
        wanted = list(range(1, payment["version"] + 1))
        if versions != wanted or sorted(webhooks[payment["id"]]) != wanted:
            yield f"{payment['id']} is at {payment['version']}, events {versions}, webhooks {webhooks[payment['id']]}"


def webhooks_arrived(evidence: Evidence) -> Findings:
    """Each webhook was accepted or attempted to the end; every attempt had the same id, bytes and a valid signature."""
    tries = defaultdict(list)
    for webhook in evidence.webhooks:
        tries[webhook.id].append(webhook)
    for one in evidence.records.deliveries:
        came = tries.pop(one["event_id"], [])
        if {(webhook.tenant, webhook.body) for webhook in came} != {(one["tenant"], one["body"].encode())}:
            yield f"webhook {one['event_id']} came {len(came)} times, not always as it is stored"
        elif not all(webhook.is_signed for webhook in came):
            yield f"webhook {one['event_id']} came with a wrong signature"
        elif one["status"] == "delivered" and not any(webhook.was_accepted for webhook in came):
            yield f"webhook {one['event_id']} was never taken"
        elif one["status"] == "dead" and len(one["attempts"]) < len(CLOCKS["webhook_retry"]):
            yield f"webhook {one['event_id']} was given up after {len(one['attempts'])} tries"
    yield from (f"webhook {event_id} came and is not stored" for event_id in tries)


def callbacks_are_kept(evidence: Evidence) -> Findings:
    """A callback answered with success is stored, and its payment has the state that it reported."""
    for order in evidence.records.orders["psp"]:
        acknowledged_statuses, payment_id = acknowledged(order), order["order_no"]
        kept = [one["verdict"] for one in evidence.records.callbacks[payment_id]]
        payment = evidence.records.payments.get(payment_id)
        if len(kept) < len(acknowledged_statuses):
            yield f"{len(acknowledged_statuses)} callbacks of {payment_id} were acknowledged, {len(kept)} are stored"
        if acknowledged_statuses and (payment is None or SEEN.get(payment["state"]) != order["state"]):
            yield f"{payment_id} is {order['state']} at the provider, here {payment and payment['state']}"


def orders_are_known(evidence: Evidence) -> Findings:
    """Every order at a provider has its payment, and Credit Key's ledger agrees with it to the cent."""
    records = evidence.records
    yield from (
        f"the provider has an order {one['order_no']} that no payment knows"
        for one in records.orders["psp"]
        if one["order_no"] not in records.payments
    )
    known = {one["merchant_reference"]: one for one in records.payments.values() if one["provider"] == "creditkey"}
    for order in records.orders["creditkey"]:
        payment = known.pop(order["remote_id"], None)
        if payment is None:
            yield f"Credit Key has an order {order['remote_id']} that no payment knows"
        elif creditkey_view(order) != gateway_view(payment):
            yield f"{payment['id']} is {gateway_view(payment)}, at Credit Key {creditkey_view(order)}"
    yield from (
        f"{one['id']} has no order, but is {one['state']}" for one in known.values() if one["state"] != "failed"
    )


def refunds_add_up(evidence: Evidence) -> Findings:
    """The refunds reported to tenants are the refunds on record."""
    reported: dict[str, Decimal] = defaultdict(Decimal)
    for entry in evidence.journal:
        if entry.path.endswith("/refunds") and entry.outcome is not None and entry.outcome["status"] == "succeeded":
            reported[entry.outcome["payment_id"]] += Decimal(entry.outcome["amount"])
    for payment in evidence.records.payments.values():
        if Decimal(payment["refunded"]) != reported[payment["id"]]:
            yield f"{payment['id']}: {reported[payment['id']]} was reported, {payment['refunded']} is on record"


def no_request_was_refused(evidence: Evidence) -> Findings:
    """No request was refused that the gateway's own answers had allowed."""
    yield from (text for client in evidence.clients for text in client.unexpected)
