"""Compare three records: the gateway's database, the providers' ledgers, the clients' journals.

Every check yields a sentence for each thing that was lost, doubled or left unresolved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.crash.checks import doubled, lost
from tests.crash.checks.evidence import Evidence, Findings


def everything_is_resolved(evidence: Evidence) -> Findings:
    """No operation that can be resolved is open, no hint is due, no webhook is pending, no workload hangs."""
    yield from evidence.records.unresolved()
    yield from (f"client {client.name} hangs: {client.doing}" for client in evidence.clients if client.doing)


CHECKS: dict[str, Sequence[Callable[[Evidence], Findings]]] = {
    "lost": (
        lost.answers_are_kept,
        lost.what_was_shown_happened,
        lost.operations_are_kept,
        lost.timelines_have_no_gaps,
        lost.webhooks_arrived,
        lost.callbacks_are_kept,
        lost.orders_are_known,
        lost.refunds_add_up,
        lost.no_request_was_refused,
    ),
    "doubled": (
        doubled.requests_have_operations,
        doubled.orders_are_begun_once,
        doubled.effects_happened_once,
        doubled.keys_did_one_thing,
        doubled.callbacks_worked_once,
    ),
    "unresolved": (everything_is_resolved,),
}


def findings(evidence: Evidence) -> dict[str, list[str]]:
    """Run every check; return its sentences by kind."""
    return {
        kind: [f"{check.__name__}: {text}" for check in checks for text in check(evidence)]
        for kind, checks in CHECKS.items()
    }


def sentences(found: Mapping[str, Iterable[str]]) -> str:
    """Format findings, one line each."""
    return "\n".join(f"{kind}: {text}" for kind, texts in found.items() for text in texts)
