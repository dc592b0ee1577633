"""What operators' own webhooks say: each type with its sentence, the command that acts, and what it is about. Pure.

A body has ids and words of the gateway and of providers, never what a customer or a caller wrote.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from gateway.core import ids
from gateway.core.views import rfc3339, to_json

PAUSE_MILLISECONDS = 3_600_000
"""Within an hour, by the clock, operators hear once of the same thing."""


class OperatorEvent(enum.StrEnum):
    """The types, named as what they report is counted and logged."""

    REVIEW_RAISED = "review_raised"
    SUCCESS_AFTER_FAILURE = "success_after_failure"
    CAPTURE_DEADLINE_NEAR = "capture_deadline_near"
    UNKNOWN_PROVIDER_STATUS = "unknown_provider_status"
    OPERATION_STILL_UNKNOWN = "operation_still_unknown"
    CALLBACKS_REFUSED = "callbacks_refused"
    ENDPOINT_DISABLED = "endpoint_disabled"
    STORE_NEAR_FULL = "store_near_full"
    RELOAD_FAILED = "reload_failed"


class OperatorEventData(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What happened, to what, and the command that acts."""

    sentence: str
    command: str
    tenant: str | None = None
    account: str | None = None
    payment_id: str | None = None
    operation_id: str | None = None
    reason: str | None = None


class OperatorEventBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an operators' webhook, laid out like those of tenants."""

    type: OperatorEvent
    timestamp: str
    data: OperatorEventData


class _Wording(NamedTuple):
    """``subject``: the fields by which two are the same thing. The texts name fields of the occurrence."""

    sentence: str
    command: str
    subject: tuple[str, ...]


_SHOW = "gateway payments show {payment_id}"
_RESOLVE = f"{_SHOW}, then gateway payments review resolve {{payment_id}}"

_WORDINGS: Mapping[OperatorEvent, _Wording] = {
    OperatorEvent.REVIEW_RAISED: _Wording(
        "a payment of {tenant}/{account} needs a review: {reason}", _RESOLVE, ("payment_id", "reason")
    ),
    OperatorEvent.SUCCESS_AFTER_FAILURE: _Wording(
        "a payment of {tenant}/{account} was paid after it had ended as {reason}", _RESOLVE, ("payment_id", "reason")
    ),
    OperatorEvent.CAPTURE_DEADLINE_NEAR: _Wording(
        "the capture deadline of a payment of {tenant}/{account} is near: ask the tenant to capture or to cancel",
        _SHOW,
        ("payment_id",),
    ),
    OperatorEvent.UNKNOWN_PROVIDER_STATUS: _Wording(
        "the provider of {tenant}/{account} named a status that is not known ({reason}): ask it what that means",
        _SHOW,
        ("tenant", "account", "reason"),
    ),
    OperatorEvent.OPERATION_STILL_UNKNOWN: _Wording(
        "an operation of {tenant}/{account} still has an unknown outcome: look at the provider's portal",
        f"{_SHOW}, then gateway payments review settle {{operation_id}}",
        ("operation_id",),
    ),
    OperatorEvent.CALLBACKS_REFUSED: _Wording(
        "callbacks to {tenant}/{account} are refused again and again, the last one for {reason}",
        "gateway inbox list --tenant {tenant} --account {account} --verdict refused",
        ("tenant", "account"),
    ),
    OperatorEvent.ENDPOINT_DISABLED: _Wording(
        "the webhook endpoint of {tenant} is disabled: {reason}", "gateway endpoints enable {tenant}", ("tenant",)
    ),
    OperatorEvent.STORE_NEAR_FULL: _Wording(
        "the disk of the store is almost full and new payments are refused: free space on it", "gateway status", ()
    ),
    OperatorEvent.RELOAD_FAILED: _Wording(
        "the settings were not reloaded: {reason}", "gateway check, then gateway reload", ()
    ),
}


def reason_of(fields: Mapping[str, object]) -> str | None:
    """Why, in the word that the occurrence has for it."""
    said = (fields.get(name) for name in ("reason", "provider_status", "problem"))
    return next((str(one) for one in said if one is not None), None)


def body_of(kind: OperatorEvent, fields: Mapping[str, object], at: datetime) -> bytes:
    """Write the body. ``fields``: of the occurrence."""
    reason = reason_of(fields)
    named = {**fields, "reason": reason or "see the log"}
    wording, known = _WORDINGS[kind], ("tenant", "account", "payment_id", "operation_id")
    data = OperatorEventData(
        sentence=wording.sentence.format_map(named),
        command=wording.command.format_map(named),
        reason=reason,
        **{name: str(fields[name]) for name in known if name in fields},
    )
    return to_json(OperatorEventBody(type=kind, timestamp=rfc3339(at), data=data))


def id_of(kind: OperatorEvent, fields: Mapping[str, object], at: int) -> str:
    """The id of the event, the same for the same thing within the pause; of an operation always. ``at``: milliseconds.

    What is stored once by its id is told once, also by a transaction that is tried again and after a restart.
    """
    operation = ids.uuid_of(str(fields.get("operation_id")))
    at = at if operation is None else operation.int >> 80  # its id begins with its time
    began = at - at % PAUSE_MILLISECONDS
    named = {**fields, "reason": reason_of(fields)}
    subject = "\n".join([kind, str(began), *(str(named.get(name)) for name in _WORDINGS[kind].subject)])
    digits = int.from_bytes(hashlib.sha256(subject.encode()).digest())
    return ids.time_ordered("evt", began, digits & 0xFFF, digits >> 12)
