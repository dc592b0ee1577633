"""Explain a stored callback: which secret it was sent with, check by check how it is proved, and how the core judges.

Reads only. Everything is judged by today's settings and by what is stored now; nothing told here is a secret.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.core.errors import CallbackRejected, Reason
from gateway.core.facts import Event, Refused, Repeated
from gateway.core.masking import Mask
from gateway.core.payment import Payment
from gateway.core.views import rfc3339
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.context import Gateway
from gateway.flows.effects import NAMES, Judged, judged
from gateway.flows.inbox import MASKED_PART, UNKNOWN_SENDER, entry_of
from gateway.flows.redaction import Restored, Tried, restore
from gateway.provider import Check, Explains, Explanation

ORDER: tuple[tuple[str, frozenset[Reason]], ...] = (
    ("payment", frozenset({Reason.NOT_FOUND, Reason.NO_DEPOSIT_METHOD})),
    ("status", frozenset({Reason.STATUS})),
    ("seen before", frozenset()),
    ("currency", frozenset({Reason.CURRENCY})),
    ("amount", frozenset({Reason.AMOUNT})),
    ("time", frozenset({Reason.TIME})),
    ("state", frozenset({Reason.REPEATED_FINAL, Reason.IN_PROGRESS})),
)
"""The core's checks in their order, and the reasons each refuses with."""


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """All that can be said about one callback. ``verdict`` is what it would come to now."""

    tried: tuple[Tried, ...]
    proof: Explanation
    judgement: tuple[Check, ...]
    verdict: str
    reason: str | None
    detail: str | None


async def explain(gw: Gateway, row: StoredCallback) -> Explained:
    """Explain a callback. Raises ``unknown_account`` when its account left the settings."""
    entry = entry_of(gw, row)
    found = restore(gw.settings.server.secret, entry, row)
    proof, said = _proof(entry, found)
    proof = _masked(proof, gw.masks.of(entry.tenant))
    proof = msgspec.structs.replace(proof, notes=(*_not_kept(row, found), *proof.notes))
    if not isinstance(said, Event):
        refused = said.reason if isinstance(said, CallbackRejected) else None
        return Explained(
            tried=found.tried,
            proof=proof,
            judgement=tuple(Check(name=name, passed=None) for name, _ in ORDER),
            verdict="refused" if refused is not None else "recorded",
            reason=refused,
            detail=said.detail if isinstance(said, CallbackRejected) else "no event: it moves no payment by itself",
        )
    made = await judged(gw, entry, said, received_at=row.received_at)
    reason = made.verdict.reason if isinstance(made.verdict, Refused) else None
    return Explained(
        tried=found.tried,
        proof=proof,
        judgement=_judgement(gw, entry, row, said, made),
        verdict=NAMES[type(made.verdict)],
        reason=reason,
        detail=made.detail,
    )


def _proof(entry: AccountEntry, found: Restored) -> tuple[Explanation, Event | CallbackRejected | None]:
    """How the plugin proves it, and what it makes of it. A hint is no event."""
    said: Event | CallbackRejected | None = None
    try:
        read = entry.provider.verify(found.callback, entry.account)
        said = read if isinstance(read, Event) else None
    except CallbackRejected as rejected:
        said = rejected
    except Exception as broken:  # a plugin's mistake is an explanation too
        said = CallbackRejected(Reason.UNAUTHENTIC, f"the plugin failed to verify: {type(broken).__name__}")
    if isinstance(entry.provider, Explains):
        return entry.provider.explain(found.callback, entry.account), said
    detail = said.detail if isinstance(said, CallbackRejected) else ""
    check = Check(name="verify", passed=not isinstance(said, CallbackRejected), detail=detail)
    note = () if found.is_known else (UNKNOWN_SENDER,)
    return Explanation(checks=(check,), notes=note), said


def _not_kept(row: StoredCallback, found: Restored) -> tuple[str, ...]:
    """What the store has not of a callback: what the checks say of it, they say of nothing."""
    missing = {
        "the body was not kept": not row.is_whole,
        "the headers were not kept": not row.headers,
        MASKED_PART: found.is_masked,
    }
    return tuple(note for note, is_missing in missing.items() if is_missing)


def _masked(proof: Explanation, mask: Mask) -> Explanation:
    """What a plugin told, without secrets should it have forgotten one."""
    return Explanation(
        checks=tuple(Check(name=one.name, passed=one.passed, detail=mask.over(one.detail)) for one in proof.checks),
        signed={form: mask.over(text) for form, text in proof.signed.items()},
        notes=tuple(mask.over(note) for note in proof.notes),
    )


def _judgement(gw: Gateway, entry: AccountEntry, row: StoredCallback, event: Event, made: Judged) -> tuple[Check, ...]:
    """The core's checks: passed up to the one that decided, then not reached."""
    reason = made.verdict.reason if isinstance(made.verdict, Refused) else None
    told = _details(gw, entry, row, event, made.before.payment if made.before is not None else None)
    checks: list[Check] = []
    is_decided = False
    for name, reasons in ORDER:
        passed = None if is_decided else reason not in reasons
        is_decided = is_decided or not passed
        detail = told.get(name, "") if passed is not None else ""
        if name == "seen before" and isinstance(made.verdict, Repeated):
            is_decided, detail = True, "applied before: nothing changes"
        checks.append(Check(name=name, passed=passed, detail=detail))
    return tuple(checks)


def _details(
    gw: Gateway, entry: AccountEntry, row: StoredCallback, event: Event, payment: Payment | None
) -> Mapping[str, str]:
    """What each check compares."""
    seen = event.observation
    if payment is None:
        return {"payment": "this account has no payment of that name"}
    window = gw.terms(entry).rules.time_window
    at = "none" if event.occurred_at is None else rfc3339(event.occurred_at)
    if window is not None:
        earliest, latest = payment.created_at - window[0], row.received_at + window[1]
        at += f", may be {rfc3339(earliest)} to {rfc3339(latest)}"
    return {
        "payment": payment.id,
        "status": f"{seen.raw_status} is {seen.stage}",
        "currency": f"{seen.currency}, the payment's is {payment.money.currency}",
        "amount": f"{seen.amount}, the payment's is {payment.money.text()}",
        "time": at,
        "state": f"{payment.state} meets {seen.stage}",
    }
