"""Checks that nothing is done twice."""

from __future__ import annotations

from collections import Counter

from tests.crash.checks.evidence import Evidence, Findings, cents, operations, requests

ONCE = ("completed", "confirmed", "canceled", "approved", "begun")
"""Events that an order in Credit Key's ledger may have only once."""


def requests_have_operations(evidence: Evidence) -> Findings:
    """The providers never received more requests of a kind and amount than there are such operations."""
    sent, meant = Counter(requests(evidence.records)), Counter(operations(evidence.records))
    for what, count in sent.items():
        if count > meant[what]:
            yield f"{' '.join(what)}: {count} requests, {meant[what]} operations"


def orders_are_begun_once(evidence: Evidence) -> Findings:
    """There is one order per payment and one payment per merchant reference."""
    for name, found in (
        ("orders at Credit Key", Counter(one["remote_id"] for one in evidence.records.orders["creditkey"])),
        ("orders at the PSP", Counter(one["order_no"] for one in evidence.records.orders["psp"])),
        (
            "payments",
            Counter(f"{one['tenant']} {one['merchant_reference']}" for one in evidence.records.payments.values()),
        ),
    ):
        yield from (f"{reference}: {count} {name}" for reference, count in found.items() if count > 1)


def effects_happened_once(evidence: Evidence) -> Findings:
    """An order is confirmed, completed and canceled once, and each refund is made once."""
    meant = Counter(operations(evidence.records))
    for order in evidence.records.orders["creditkey"]:
        happened = Counter(one["event"] for one in order["history"])
        yield from (f"{order['remote_id']}: {happened[name]} times {name}" for name in ONCE if happened[name] > 1)
        refunds = Counter(cents(one["amount"]) for one in order["history"] if one["event"] == "refunded")
        for amount, count in refunds.items():
            if count > meant["refund", order["remote_id"], amount]:
                yield f"{order['remote_id']}: refund of {amount} given {count} times"


def keys_did_one_thing(evidence: Evidence) -> Findings:
    """An idempotency key has one sent operation at most."""
    used = Counter(
        f"{one['tenant']} {one['idempotency_key']}"
        for several in evidence.records.operations.values()
        for one in several
        if one["idempotency_key"] is not None and one["status"] != "not_sent"
    )
    yield from (f"key {key} made {count} operations" for key, count in used.items() if count > 1)


def callbacks_worked_once(evidence: Evidence) -> Findings:
    """A callback that arrived several times changed its payment once."""
    for payment_id, events in evidence.records.events.items():
        moved = Counter(event["doc"]["state_after"] for event in events if event["doc"]["cause"] == "callback")
        yield from (f"{payment_id} became {state} {count} times" for state, count in moved.items() if count > 1)
