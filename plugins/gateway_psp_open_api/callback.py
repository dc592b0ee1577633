"""API-2, the callback that reports how a payment ended: prove it, read it, answer it. Pure.

It is proved by envelope, token, sign and merchant_id, in this order; only then is it read. Its member names are fixed:
an account renames members of API-1 only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import gateway
from gateway_psp_open_api import diagnosis, signature
from gateway_psp_open_api.config import JSON, TOKEN_HEADER, PspConfig, prepared

SUFFIXES = frozenset({"", "pay/callback"})
STAGES: Mapping[Decimal | None, gateway.Stage] = {
    Decimal(0): gateway.Stage.FAILED,
    Decimal(1): gateway.Stage.CAPTURED,
    Decimal(2): gateway.Stage.PROCESSING,
}
UNAUTHENTIC = gateway.Reason.UNAUTHENTIC
LONGEST_ID = 1024  # characters of a payment's id that are taken for one
SEARCHED = 8192  # bytes of an unproved body, for the payment that it names
_ORDER_NO = re.compile(rb'"order_no"\s{0,9}:\s{0,9}"([A-Za-z0-9_.-]{1,64})"')
_CURRENCY = re.compile(r"[A-Za-z0-9]{2,12}")
_EPOCH = datetime.fromtimestamp(0, UTC)
# Milliseconds before 1973 are seconds of today; beyond the year 9999 they are micro- or nanoseconds.
_EARLIEST, _LATEST = 10**11, 253_402_300_799_999

REFUSALS: Mapping[gateway.Reason, tuple[str, int]] = {
    gateway.Reason.METHOD: ("method_not_allowed", 405),
    gateway.Reason.MEDIA_TYPE: ("unsupported_media_type", 415),
    gateway.Reason.TOO_LARGE: ("body_too_large", 413),
    gateway.Reason.UNAUTHENTIC: ("psp_token_invalid", 401),
    gateway.Reason.WRONG_ACCOUNT: ("psp_setting_not_found", 404),
    gateway.Reason.NO_DEPOSIT_METHOD: ("deposit_method_not_found", 404),
    gateway.Reason.NOT_FOUND: ("payment_not_found", 404),
    gateway.Reason.STATUS: ("payment_status_not_allowed", 422),
    gateway.Reason.REPEATED_FINAL: ("payment_status_not_pending", 409),
    gateway.Reason.IN_PROGRESS: ("payment_request_exists", 409),
    gateway.Reason.CURRENCY: ("payment_currency_not_allowed", 422),
    gateway.Reason.AMOUNT: ("payment_amount_not_allowed", 422),
    gateway.Reason.TIME: ("payment_status_not_allowed", 422),
}
"""The ``type`` of each refusal, and the HTTP status that fits it."""

BUSY = {True: ("rate_limited", 429), False: ("temporarily_unavailable", 503)}  # by whether the rate is limited
# Types that the description does not name go with their own status, never with 400.
OURS = frozenset({405, 413, 415, 429, 503})


def verify(callback: gateway.Callback, account: gateway.Account) -> gateway.Event:
    """Prove API-2 and read it. Raises ``CallbackRejected``; its ``claims`` is the payment that the body names."""
    try:
        for _, reason, failure in envelope_problems(callback, account.config):
            raise gateway.CallbackRejected(reason, failure)
        token = check_token(callback, prepared(account).tokens)
        body, form = check_sign(callback.body, token, account.config)
        members = signature.covered(body, form)
        check_merchant(members, account)
    except gateway.CallbackRejected as rejected:
        claimed = _ORDER_NO.search(callback.body, 0, SEARCHED)  # an unproved body is searched, never parsed
        rejected.claims = None if claimed is None else claimed[1].decode()
        raise
    return read(members, body, account)


def envelope_problems(callback: gateway.Callback, config: PspConfig) -> Iterator[tuple[str, gateway.Reason, str]]:
    """Name what is wrong before the token is compared: the part, the reason to refuse the callback, the sentence."""
    if callback.method != "POST":
        yield "method", gateway.Reason.METHOD, "method is not POST"
    if gateway.media_type(callback.headers) != "application/json":
        yield "media type", gateway.Reason.MEDIA_TYPE, "media type is not application/json"
    if callback.suffix.strip("/") not in SUFFIXES:
        yield "path", UNAUTHENTIC, "path below the endpoint is not pay/callback"
    if not config.may_call(callback.remote):
        yield "source address", UNAUTHENTIC, "source address is not on the account's list"


def check_token(callback: gateway.Callback, accepted: Sequence[gateway.Secret]) -> gateway.Secret:
    """Return the token of the one header; the sign must be made with the same one (S24)."""
    given = gateway.header(callback.headers, TOKEN_HEADER)
    if len(given) != 1:
        raise gateway.CallbackRejected(UNAUTHENTIC, f"{TOKEN_HEADER} is not given exactly once")
    sent = given[0].encode("utf-8", "surrogatepass")  # header bytes that are not UTF-8 arrive as surrogates
    matches = [gateway.same(sent, token.reveal()) for token in accepted]
    if not any(matches):
        raise gateway.CallbackRejected(UNAUTHENTIC, f"{TOKEN_HEADER} is not the account's token")
    return accepted[matches.index(True)]


def check_sign(data: bytes, token: gateway.Secret, config: PspConfig) -> tuple[dict[str, Any], signature.Form]:
    """Return the body once its sign proves it, and the sign's form; ambiguous texts are refused even so (S21)."""
    try:
        body = gateway.loads(data)
        form = signature.matching(body, token, unfiltered=config.accept_unfiltered_empties)
    except (gateway.NotStrictJson, signature.Unsignable) as problem:
        raise gateway.CallbackRejected(UNAUTHENTIC, f"body: {problem}") from None
    if form is None:
        raise gateway.CallbackRejected(UNAUTHENTIC, diagnosis.why_unproved(body.get("sign")))
    has_ampersand = b"&" in data or b"\\" in data  # as it is, or escaped
    if has_ampersand and any(map(signature.ambiguous, body.values())):
        raise gateway.CallbackRejected(UNAUTHENTIC, "a text could be read as several members")
    return body, form


def check_merchant(members: Mapping[str, Any], account: gateway.Account) -> None:
    """Check that a proved body is about this account."""
    if members.get("merchant_id") not in prepared(account).merchant_ids:
        raise gateway.CallbackRejected(gateway.Reason.WRONG_ACCOUNT, "merchant_id is not this account's")


def read(members: Mapping[str, Any], sent: Mapping[str, Any], account: gateway.Account) -> gateway.Event:
    """Return what proved members report; the first that cannot be used is the event's ``problem``, quoted as sent."""
    observation, occurred_at = observe(members, sent)
    problem = next(iter(unusable(observation, occurred_at)), None)
    return gateway.Event(
        event_id=_event_id(observation, members.get("status"), account),
        observation=observation,
        occurred_at=occurred_at,
        problem=problem,
        detail=None if problem is None else diagnosis.describe(problem, sent.get(problem)),
    )


def observe(members: Mapping[str, Any], sent: Mapping[str, Any]) -> tuple[gateway.Observation, datetime | None]:
    """Read the members and their time, None for those that cannot be used; an unknown status is quoted as ``sent``."""
    status, currency, order_no = members.get("status"), members.get("currency"), members.get("order_no")
    amount, milliseconds, raw_status = _decimal(members.get("amount")), _number(members.get("time")), _text(status)
    stage = STAGES.get(_number(status), gateway.Stage.UNKNOWN)
    observation = gateway.Observation(
        stage=stage,
        payment_id=order_no if isinstance(order_no, str) and 0 < len(order_no) <= LONGEST_ID else None,
        provider_reference=_text(members.get("transaction_id")) or None,
        currency=currency.upper() if isinstance(currency, str) and _CURRENCY.fullmatch(currency) else None,
        amount=amount if amount is not None and amount > 0 else None,
        raw_status=None if raw_status is None else raw_status[:64],
        unknown_status=gateway.status_word(sent.get("status")) if stage is gateway.Stage.UNKNOWN else None,
    )
    return observation, None if milliseconds is None else _time(milliseconds)


def unusable(observation: gateway.Observation, occurred_at: datetime | None) -> list[gateway.Reason]:
    """Name the members that could not be read, in the order in which the gateway checks them."""
    values = {
        gateway.Reason.STATUS: None if observation.stage is gateway.Stage.UNKNOWN else observation.stage,
        gateway.Reason.CURRENCY: observation.currency,
        gateway.Reason.AMOUNT: observation.amount,
        gateway.Reason.TIME: occurred_at,
    }
    return [member for member, value in values.items() if value is None]


def answer(verdict: gateway.Verdict, config: PspConfig | None) -> gateway.HttpResponse:
    """Word a verdict: 204, or the protocol's error. ``config`` is None when the account is not known."""
    match verdict:
        case gateway.Repeated(is_final=True) if config is not None and config.strict_duplicates:
            return _error(REFUSALS[gateway.Reason.REPEATED_FINAL], config)
        case gateway.Recorded() | gateway.Repeated():
            return gateway.HttpResponse(status=204)
        case gateway.Refused(reason=reason):
            allow = (("Allow", "POST"),) if reason is gateway.Reason.METHOD else ()
            return _error(REFUSALS[reason], config, *allow)
        case gateway.Busy(limited=limited, retry_after=seconds):
            return _error(BUSY[limited], config, ("Retry-After", str(seconds)))


def _error(error: tuple[str, int], config: PspConfig | None, *headers: tuple[str, str]) -> gateway.HttpResponse:
    """Write the error; its ``code`` always equals the HTTP status."""
    type_, fitting = error
    status = fitting if fitting in OURS or (config is not None and config.error_status == "semantic") else 400
    body = gateway.dumps({"error": True, "code": status, "type": type_})
    return gateway.HttpResponse(status=status, headers=(JSON, *headers), body=body)


def _number(value: object) -> Decimal | None:
    """Read a number; None for anything else, and for one of no sane size."""
    return _decimal(value) if isinstance(value, gateway.JsonNumber) else None


def _decimal(value: object) -> Decimal | None:
    """Read a number or, as amounts may be sent, a decimal text (S18)."""
    try:
        return gateway.decimal_of(value)
    except ValueError:
        return None


def _time(milliseconds: Decimal) -> datetime | None:
    """Read whole Unix milliseconds; what looks like seconds or microseconds is not a time."""
    whole = int(milliseconds)
    return _EPOCH + timedelta(milliseconds=whole) if whole == milliseconds and _EARLIEST <= whole <= _LATEST else None


def _text(value: object) -> str | None:
    return value.text if isinstance(value, gateway.JsonNumber) else value if isinstance(value, str) else None


def _event_id(observation: gateway.Observation, status: object, account: gateway.Account) -> str:
    """Hash what makes two callbacks the same: all but ``time`` and ``sign``, which differ in each attempt."""
    amount = "" if observation.amount is None else f"{observation.amount:f}"
    parts = (
        account.tenant,
        account.name,
        observation.payment_id or "",
        observation.provider_reference or "",
        f"unknown {_text(status)}" if observation.stage is gateway.Stage.UNKNOWN else observation.stage,
        amount.rstrip("0").rstrip(".") if "." in amount else amount,
        observation.currency or "",
    )
    written = ", ".join(map(json.encoder.encode_basestring_ascii, parts))  # as json.dumps writes a list of texts
    return hashlib.sha256(f"[{written}]".encode()).hexdigest()
