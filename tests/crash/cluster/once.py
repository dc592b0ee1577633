"""Checks that only several nodes can fail: of webhooks, who sent which attempt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from tests.crash import checks
from tests.crash.checks.evidence import Evidence, Findings
from tests.crash.cluster.nodes import Fates
from tests.crash.webhook_endpoint import ReceivedWebhook

STORED_WITHIN = 3.0
"""Seconds from a webhook's arrival to its attempt stored, with a receiver that hangs and a database that restarts."""


def findings(evidence: Evidence, fates: Fates) -> dict[str, list[str]]:
    """What is wrong with any store, and what only several nodes can do wrong."""
    found = checks.findings(evidence)
    found["doubled"] += attempts_are_sent_once(evidence, fates)
    found["lost"] += first_attempts_keep_their_order(evidence)
    return found


def repeated(evidence: Evidence) -> Mapping[str, tuple[int, list[ReceivedWebhook]]]:
    """Webhooks that came more often than attempts are stored: by how much, and every arrival."""
    came = _arrivals(evidence)
    surplus = {one["event_id"]: len(came[one["event_id"]]) - one["tries"] for one in evidence.records.deliveries}
    return {event: (count, came[event]) for event, count in surplus.items() if count > 0}


def attempts_are_sent_once(evidence: Evidence, fates: Fates) -> Findings:
    """An attempt is sent a second time only where the process that had it under way died, or was out of its lease."""
    for event, (count, came) in repeated(evidence).items():
        excused = sum(fates.excuses(one.sender, one.at, STORED_WITHIN) for one in came)
        if count > excused:
            seen = [(one.sender, round(one.at, 2), round(fates.died.get(one.sender or 0, 0.0), 2)) for one in came]
            yield f"webhook {event} came {len(came)} times, {count} more than stored: (process, at, died) {seen}"


def first_attempts_keep_their_order(evidence: Evidence) -> Findings:
    """No version of a payment is told for the first time before the version below it."""
    came = _arrivals(evidence)
    versions = defaultdict(list)
    for one in evidence.records.deliveries:
        versions[one["payment_id"]].append((one["version"], min(hook.at for hook in came[one["event_id"]])))
    for payment_id, told in versions.items():
        times = [at for _, at in sorted(told)]
        if times != sorted(times):
            yield f"{payment_id}: versions came first at {times}"


def _arrivals(evidence: Evidence) -> dict[str, list[ReceivedWebhook]]:
    came: dict[str, list[ReceivedWebhook]] = defaultdict(list)
    for webhook in evidence.webhooks:
        came[webhook.id].append(webhook)
    return came
