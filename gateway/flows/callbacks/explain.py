"""Explain a stored callback: which secret it was sent with, and check by check how it is verified and evaluated.

Reads only. It goes by today's settings and by what is stored now; an explanation shows no secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from gateway.core.callback_rules import Evaluation
from gateway.core.errors import CallbackRejected, Reason
from gateway.core.facts import Event, Hint, Repeated
from gateway.core.payment_urls import PURPOSES
from gateway.core.refusal_details import REMEDIES, RefusedCallback, allowed_times
from gateway.core.views import rfc3339
from gateway.core.wire import Callback, header
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.callbacks import likely_causes, named_payment
from gateway.flows.callbacks.apply import evaluate_event
from gateway.flows.callbacks.mistaken_secrets import mistaken_secrets, similar_accounts
from gateway.flows.callbacks.redaction import Revealed, SecretHeader, reveal_matching
from gateway.flows.callbacks.reprocess import MASKED_PART, UNKNOWN_SENDER, parts_of
from gateway.flows.plugin import calls
from gateway.flows.runtime import Gateway
from gateway.provider import Check, Explanation

RULES: tuple[tuple[str, frozenset[Reason]], ...] = (
    ("payment", frozenset({Reason.NOT_FOUND, Reason.NO_DEPOSIT_METHOD})),
    ("status", frozenset({Reason.STATUS})),
    ("seen before", frozenset()),
    ("currency", frozenset({Reason.CURRENCY})),
    ("amount", frozenset({Reason.AMOUNT})),
    ("time", frozenset({Reason.TIME})),
    ("state", frozenset({Reason.REPEATED_FINAL, Reason.IN_PROGRESS})),
)
"""The gateway's own checks of an event in their order, and the reasons with which each refuses."""


class Explained(msgspec.Struct, frozen=True, kw_only=True, rename={"rules": "judgement"}):
    """All that can be said about one callback.

    ``tried``: the secret headers it came with; ``proof``: how the plugin verifies it; ``rules``: the gateway's own
    checks; ``verdict``, ``reason`` and ``detail``: what it would come to now.
    """

    tried: tuple[SecretHeader, ...]
    proof: Explanation
    rules: tuple[Check, ...]
    verdict: str
    reason: str | None
    detail: str | None


async def explain(gw: Gateway, row: StoredCallback) -> Explained:
    """Explain a callback. Raises ``unknown_account`` when its account left the settings."""
    entry = gw.entry(row)
    others = similar_accounts(gw, entry)
    mistaken = mistaken_secrets(entry, others)
    revealed = reveal_matching(gw.settings.server.secrets, entry, row, mistaken)
    callback = replace(revealed.callback, payment_id=_proved_by_token(row))
    proved_as, said, others_said = _verified(gw, entry, row, callback)
    # In a thread: the search for what a sender does wrong takes milliseconds of work.
    shown = await asyncio.to_thread(calls.explain, gw, _with(proved_as, others), callback)
    proof = shown or _plain(said, revealed)
    held = _held(entry, revealed, mistaken)
    proof = replace(proof, notes=(*_not_kept(row, revealed), *held, *others_said, *proof.notes))
    if isinstance(said, Event):
        rules, verdict, reason, detail = await _evaluated(gw, entry, row, said)
    else:
        reason, detail = await _unproved(gw, entry, said, callback)
        rules = tuple(Check(name=name, passed=None) for name, _ in RULES)
        verdict = "recorded" if reason is None else "refused"
    return Explained(
        tried=(*revealed.tried, *revealed.elsewhere),
        proof=_with_reason(proof, reason, detail),
        rules=rules,
        verdict=verdict,
        reason=reason,
        detail=detail,
    )


async def _evaluated(
    gw: Gateway, entry: AccountEntry, row: StoredCallback, event: Event
) -> tuple[tuple[Check, ...], str, Reason | None, str | None]:
    """The gateway's own checks of an event, and the verdict, reason and detail they lead to."""
    found = await named_payment.of_event(gw, entry, event)
    made = await evaluate_event(gw, entry, event, found, received_at=row.received_at)
    return _rule_checks(entry, row, made), made.verdict.name, made.verdict.reason, made.detail


def _with(entry: AccountEntry, others: Mapping[str, AccountEntry]) -> AccountEntry:
    """The account as its plugin explains it: with what may have been taken for it."""
    return replace(entry, account=replace(entry.account, related={name: one.account for name, one in others.items()}))


def _with_reason(proof: Explanation, reason: Reason | None, detail: str | None) -> Explanation:
    """The proof with a note of why the callback is refused and what to do, unless a note says that already."""
    if reason is None or detail is None or detail in proof.notes or (reason not in REMEDIES and proof.notes):
        return proof
    remedy = f"; {REMEDIES[reason]}" if reason in REMEDIES else ""
    return replace(proof, notes=(*proof.notes, f"{detail}{remedy}"))


def _held(entry: AccountEntry, found: Revealed, mistaken: Mapping[str, str]) -> tuple[str, ...]:
    """What a secret header holds that is not the secret as it should be sent."""
    notes = []
    for one in found.tried:
        sent = header(found.callback.headers, one.header)
        if one.credential is None:
            notes.append(
                f"{one.header} holds a value that is not one of this account's secrets: compare it with what"
                f" `gateway accounts show {entry.tenant} {entry.name} --reveal` prints"
            )
        elif one.credential in mistaken.values():
            notes.append(f"{one.header} holds the {one.credential}: send this account's own, as it is")
        elif any(" " in value for value in sent):
            notes.append(f"{one.header} holds the {one.credential} behind another word: send it alone")
    return tuple(notes)


def _proved_by_token(row: StoredCallback) -> str | None:
    """The payment that our own token in the address proved: that of an accepted callback without an event."""
    is_accepted = row.verdict == "recorded" and row.event is None
    return row.payment_id if is_accepted and row.suffix in PURPOSES else None


def _verified(
    gw: Gateway, entry: AccountEntry, row: StoredCallback, callback: Callback
) -> tuple[AccountEntry, Event | Hint | CallbackRejected | None, tuple[str, ...]]:
    """The account as it is proved for, what the plugin makes of it, and notes: one of several things is explained."""
    try:
        proved_as, proof = calls.verify_as(gw, entry, callback)
    except CallbackRejected as rejected:
        return entry, rejected, ()
    parts = parts_of(row, proof)
    first = next(iter(parts), None)
    others = (f"it reports {len(parts)} things: this explains the first",) if len(parts) > 1 else ()
    earlier = (f"it is proved with what was before: {proved_as.name_of_earlier}",) if proved_as is not entry else ()
    return proved_as, first, (*others, *earlier)


async def _unproved(
    gw: Gateway, entry: AccountEntry, said: Hint | CallbackRejected | None, callback: Callback
) -> tuple[Reason | None, str]:
    """Why the inbox refuses what proves no event (None: it does not), and what it says of it."""
    match said:
        case CallbackRejected(reason=reason, detail=detail):
            return reason, detail
        case Hint():
            found = await named_payment.of_hint(gw, entry, said, callback.payment_id)
            if found.before is None:
                return Reason.NOT_FOUND, likely_causes.of_hint(gw, entry, found)
            return None, "a hint: it may cause a lookup and moves no payment by itself"
        case None:
            return None, "authentic, but nothing for us: it moves no payment"


def _plain(said: object, found: Revealed) -> Explanation:
    """How it is proved, as far as a plugin without ``explain`` tells."""
    detail = said.detail if isinstance(said, CallbackRejected) else ""
    check = Check(name="verify", passed=not isinstance(said, CallbackRejected), detail=detail)
    return Explanation(checks=(check,), notes=() if found.is_known else (UNKNOWN_SENDER,))


def _not_kept(row: StoredCallback, found: Revealed) -> tuple[str, ...]:
    """What the store has not of a callback: what the checks say of it, they say of nothing."""
    missing = {
        "the body was not kept": not row.is_whole,
        "the headers were not kept": not row.headers,
        MASKED_PART: found.is_masked,
    }
    return tuple(note for note, is_missing in missing.items() if is_missing)


def _rule_checks(entry: AccountEntry, row: StoredCallback, evaluation: Evaluation) -> tuple[Check, ...]:
    """The gateway's own checks: passed up to the one that decided, then not reached."""
    details = _details(entry, row, evaluation)
    checks: list[Check] = []
    is_decided = False
    for name, reasons in RULES:
        passed = None if is_decided else evaluation.verdict.reason not in reasons
        is_decided = is_decided or not passed
        detail = details.get(name, "") if passed else ""
        if passed is False:
            detail = evaluation.detail or ""
        if name == "seen before" and isinstance(evaluation.verdict, Repeated):
            is_decided, detail = True, "applied before: nothing changes"
        checks.append(Check(name=name, passed=passed, detail=detail))
    return tuple(checks)


def _details(entry: AccountEntry, row: StoredCallback, evaluation: Evaluation) -> Mapping[str, str]:
    """What each check that passed compared."""
    payment, event = evaluation.payment, evaluation.event
    if payment is None or event is None:
        return {}
    seen = event.observation
    allowed = allowed_times(RefusedCallback(payment, event, entry.policy, row.received_at))
    at = "none" if event.occurred_at is None else rfc3339(event.occurred_at)
    if allowed is not None:
        at += f", may be {rfc3339(allowed[0])} to {rfc3339(allowed[1])}"
    return {
        "payment": payment.id,
        "status": f"{seen.raw_status} is {seen.stage}",
        "currency": f"{seen.currency}, the payment's is {payment.money.currency}",
        "amount": f"{seen.amount}, the payment's is {payment.money.text()}",
        "time": at,
        "state": f"{payment.state} meets {seen.stage}",
    }
