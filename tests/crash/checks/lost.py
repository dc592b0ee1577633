"""Nothing that was acknowledged is lost: checks that yield a sentence for each thing that is."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from tests.crash.checks.evidence import Evidence, Findings, creditkey_view, gateway_view, shown_payments
from tests.crash.checks.records import acknowledged
from tests.crash.testbed import CLOCKS

SEEN = {"captured": "succeeded", "failed": "failed"}
"""A PSP payment's last state and its order's in the ledger."""


def answers_are_kept(evidence: Evidence) -> Findings:
    """A settled answer is the same for ever, and a request that was taken is never forgotten."""
    for entry in evidence.journal:
        bodies = {answer.text for answer in entry.final_answers}
        if len(bodies) > 1:
            yield f"{entry.key} was answered in {len(bodies)} ways"
        if bodies and evidence.replayed[entry.key].text not in bodies:
            yield f"{entry.key} is answered anew: {evidence.replayed[entry.key].text}"


def what_was_shown_happened(evidence: Evidence) -> Findings:
    """Each version and state that a tenant was shown stands in the payment's timeline."""
    for view in {(one["id"], one["version"], one["state"]) for one in shown_payments(evidence)}:
        payment_id, version, state = view
        told = [event["doc"] for event in evidence.records.events[payment_id] if event["doc"]["version"] == version]
        if [event["state_after"] for event in told] != [state]:
            yield f"{payment_id} was shown as {state} in version {version}, the timeline has {told}"


def operations_are_kept(evidence: Evidence) -> Findings:
    """An operation a tenant was told of exists, and its outcome never turned."""
    for entry in evidence.journal:
        for answer in entry.final_answers:
            body = answer.json
            told = body.get("operation", body)
            found = [
                one
                for one in evidence.records.operations[body.get("payment_id", body["id"])]
                if one["id"].partition("_")[2] == told["id"].partition("_")[2]
            ]
            if [one["status"] for one in found] != [told["status"]]:
                yield f"{told['id']} was {told['status']}, the records have {[one['status'] for one in found]}"


def timelines_have_no_gaps(evidence: Evidence) -> Findings:
    """A payment's events are its versions 1, 2, 3 … to the present one, each with its webhook."""
    webhooks = defaultdict(list)
    for one in evidence.records.deliveries:
        webhooks[one["payment_id"]].append(one["version"])
    for payment in evidence.records.payments.values():
        versions = [event["doc"]["version"] for event in evidence.records.events[payment["id"]]]
        wanted = list(range(1, payment["version"] + 1))
        if versions != wanted or sorted(webhooks[payment["id"]]) != wanted:
            yield f"{payment['id']} is at {payment['version']}, events {versions}, webhooks {webhooks[payment['id']]}"


def webhooks_arrived(evidence: Evidence) -> Findings:
    """Each webhook was taken by its tenant or tried to the end; every try had the same id, bytes and a good sign."""
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
    """A callback that was answered with success is stored, and its payment stands where it said."""
    for order in evidence.records.orders["psp"]:
        told, payment_id = acknowledged(order), order["order_no"]
        kept = [one["verdict"] for one in evidence.records.callbacks[payment_id]]
        payment = evidence.records.payments.get(payment_id)
        if len(kept) < len(told):
            yield f"{len(told)} callbacks of {payment_id} were acknowledged, {len(kept)} are stored"
        if told and (payment is None or SEEN.get(payment["state"]) != order["state"]):
            yield f"{payment_id} is {order['state']} at the provider, here {payment and payment['state']}"


def orders_are_known(evidence: Evidence) -> Findings:
    """Nothing exists at a provider that the gateway did not mean, and Credit Key's ledger is ours to the cent."""
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
    """What the tenants were told was given back is what was given back, here and at the provider."""
    told: dict[str, Decimal] = defaultdict(Decimal)
    for entry in evidence.journal:
        if entry.path.endswith("/refunds") and entry.outcome is not None and entry.outcome["status"] == "succeeded":
            told[entry.outcome["payment_id"]] += Decimal(entry.outcome["amount"])
    for payment in evidence.records.payments.values():
        if Decimal(payment["refunded"]) != told[payment["id"]]:
            yield f"{payment['id']}: {told[payment['id']]} was told as refunded, {payment['refunded']} is on record"


def no_request_was_refused(evidence: Evidence) -> Findings:
    """No request was refused that the gateway's own answers allowed."""
    yield from (text for client in evidence.clients for text in client.unexpected)
