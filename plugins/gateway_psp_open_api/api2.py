"""API-2, the payment callback: prove it and read it. Pure; believed nowhere before its checks pass.

The order of the checks is the order of the functions: envelope, source address, token, shape and sign, merchant_id.
Member names are fixed here, since renaming is for API-1 only.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, DecimalException
from typing import Any

import msgspec

import gateway
from gateway_psp_open_api import guesses, signature
from gateway_psp_open_api.account import TOKEN_HEADER, PspConfig, merchant_ids, tokens
from gateway_psp_open_api.signature import Form

SUFFIXES = frozenset({"", "pay/callback"})
STAGES = {
    Decimal(0): gateway.Stage.FAILED,
    Decimal(1): gateway.Stage.CAPTURED,
    Decimal(2): gateway.Stage.PROCESSING,
}
_ORDER_NO = re.compile(rb'"order_no"\s{0,9}:\s{0,9}"([A-Za-z0-9_.-]{1,64})"')
_CURRENCY = re.compile(r"[A-Za-z0-9]{2,12}")
# Milliseconds before 1973 are seconds of today; beyond the year 9999 they are micro- or nanoseconds.
_EARLIEST, _LATEST = 10**11, 253_402_300_799_999


LOOKED_THROUGH = 8192
"""Bytes of an unproved body that are looked through for the order that it names."""


class Proved(msgspec.Struct, frozen=True, kw_only=True):
    """A body whose token and sign are right. ``form`` says which number texts the sign vouches for."""

    body: Mapping[str, Any]
    form: Form


class Condition(msgspec.Struct, frozen=True):
    """Something that must hold before the token is looked at. The size was checked when the body was read."""

    name: str
    reason: gateway.Reason
    failure: str
    holds: Callable[[gateway.Callback, PspConfig], bool]

    def check(self, callback: gateway.Callback, config: PspConfig) -> None:
        """Raise ``CallbackRejected`` when it does not hold."""
        if not self.holds(callback, config):
            raise gateway.CallbackRejected(self.reason, self.failure)


ENVELOPE = (
    Condition(
        "method",
        gateway.Reason.METHOD,
        "method is not POST",
        lambda callback, _: callback.method == "POST",
    ),
    Condition(
        "media type",
        gateway.Reason.MEDIA_TYPE,
        "media type is not application/json",
        lambda callback, _: gateway.media_type(callback.headers) == "application/json",
    ),
    Condition(
        "path",
        gateway.Reason.UNAUTHENTIC,
        "path below the endpoint is not pay/callback",
        lambda callback, _: callback.suffix.strip("/") in SUFFIXES,
    ),
    Condition(
        "source address",
        gateway.Reason.UNAUTHENTIC,
        "source address is not on the account's list",
        lambda callback, config: config.may_call(callback.remote),
    ),
)
"""In the order in which they are checked."""


class Api2(msgspec.Struct, frozen=True, kw_only=True):
    """A proved callback as far as it could be read. None: absent or unusable. ``time`` is UTC."""

    order_no: str | None
    transaction_id: str | None
    status: str | None
    unknown_status: str | None
    stage: gateway.Stage
    currency: str | None
    amount: Decimal | None
    time: datetime | None


def prove(callback: gateway.Callback, account: gateway.Account) -> Proved:
    """Return the body once everything that proves it has passed. Raises ``CallbackRejected``."""
    config: PspConfig = account.config
    for condition in ENVELOPE:
        condition.check(callback, config)
    token = check_token(callback, tokens(account))
    proved = check_sign(callback.body, token, config)
    check_merchant(proved, account)
    return proved


def read(proved: Proved, account: gateway.Account) -> gateway.Event:
    """Say what a proved callback tells; the first unreadable member, in the core's order, is its ``problem``."""
    told = _read(proved.body, proved.form)
    problem = _first_problem(told)
    return gateway.Event(
        event_id=_fingerprint(told, account),
        observation=_observation(told),
        occurred_at=told.time,
        problem=problem,
        detail=None if problem is None else guesses.about(problem, proved.body.get(problem)),
    )


def check_token(callback: gateway.Callback, accepted: Sequence[gateway.Secret]) -> gateway.Secret:
    """Return the token of the one header; the sign must be made with the same one (S24)."""
    given = gateway.header(callback.headers, TOKEN_HEADER)
    if len(given) != 1:
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, f"{TOKEN_HEADER} is not given exactly once")
    sent = given[0].encode("utf-8", "surrogatepass")  # header bytes that are no UTF-8 arrive as surrogates
    matches = [gateway.same(sent, token.reveal()) for token in accepted]
    if not any(matches):
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, f"{TOKEN_HEADER} is not the account's token")
    return accepted[matches.index(True)]


def check_sign(data: bytes, token: gateway.Secret, config: PspConfig) -> Proved:
    """Parse the body and prove it by its sign; what signs ambiguously is refused all the same (S21)."""
    try:
        body = gateway.loads(data)
        form = signature.matching(body, token, unfiltered=config.accept_unfiltered_empties)
    except (gateway.NotStrictJson, signature.Unsignable) as problem:
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, f"body: {problem}") from None
    if form is None:
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, _why_unproved(body.get("sign")))
    if any(map(signature.ambiguous, body.values())):
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "a text could be read as several members")
    return Proved(body=body, form=form)


def _why_unproved(sign: object) -> str:
    """What is wrong with a sign that matches nothing."""
    if sign is None:
        return "sign is absent"
    return "sign is wrong" if signature.given_sign(sign) else "sign is malformed: it must be a text of 40 hex digits"


def check_merchant(proved: Proved, account: gateway.Account) -> None:
    """Check that a proved body is about this account."""
    if proved.body.get("merchant_id") not in merchant_ids(account):
        raise gateway.CallbackRejected(gateway.Reason.WRONG_ACCOUNT, "merchant_id is not this account's")


def claimed(body: bytes) -> str | None:
    """The ``order_no`` of a body that is not proved, and not even parsed: it costs a look through the bytes."""
    found = _ORDER_NO.search(body, 0, LOOKED_THROUGH)
    return None if found is None else found[1].decode()


def is_readable(name: str, value: object) -> bool:
    """Whether a member of an unproved body could be used: ``status``, ``currency``, ``amount`` or ``time``."""
    try:
        problem = _first_problem(_read({**_USABLE, name: value}, Form.CANONICAL))
    except signature.Unsignable:
        return False
    return problem is None


_ONE = gateway.JsonNumber("1")
_USABLE = {"status": _ONE, "amount": _ONE, "currency": "USD", "time": gateway.JsonNumber(str(_EARLIEST))}


def _read(body: Mapping[str, Any], form: Form) -> Api2:
    """Read the members under their fixed names (renaming is for API-1 only), numbers by their proved text."""
    status = _number(body.get("status"), form)
    stage = gateway.Stage.UNKNOWN if status is None else STAGES.get(status, gateway.Stage.UNKNOWN)
    currency = body.get("currency")
    return Api2(
        order_no=_text(body.get("order_no")),
        transaction_id=signature.text_of(body.get("transaction_id"), form) or None,
        status=signature.text_of(body.get("status"), form),
        unknown_status=gateway.status_word(body.get("status")) if stage is gateway.Stage.UNKNOWN else None,
        stage=stage,
        currency=currency.upper() if isinstance(currency, str) and _CURRENCY.fullmatch(currency) else None,
        amount=_amount(body.get("amount"), form),
        time=_time(_number(body.get("time"), form)),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: object, form: Form) -> Decimal | None:
    """A JSON number of a sane size, exactly. None for text and anything else."""
    if not isinstance(value, gateway.JsonNumber):
        return None
    try:
        number = Decimal(signature.text_of(value, form) or "")
    except DecimalException:  # an exponent beyond what a Decimal holds
        return None
    return number if abs(number.adjusted()) <= 30 and len(number.as_tuple().digits) <= 60 else None


def _amount(value: object, form: Form) -> Decimal | None:
    """A positive amount in major units, from a number or decimal text (S18); the core counts its decimals."""
    try:
        amount = Decimal(gateway.Amount.read(value)) if isinstance(value, str) else _number(value, form)
    except ValueError:
        return None
    return amount if amount is not None and amount > 0 else None


def _time(milliseconds: Decimal | None) -> datetime | None:
    """Unix milliseconds, whole; what looks like seconds or microseconds is no time."""
    if milliseconds is None or not _EARLIEST <= milliseconds <= _LATEST or milliseconds % 1 != 0:
        return None
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(milliseconds))


def _observation(told: Api2) -> gateway.Observation:
    return gateway.Observation(
        stage=told.stage,
        payment_id=told.order_no,
        provider_reference=told.transaction_id,
        currency=told.currency,
        amount=told.amount,
        raw_status=None if told.status is None else told.status[:64],
        unknown_status=told.unknown_status,
    )


def _first_problem(told: Api2) -> gateway.Reason | None:
    """The first member that could not be read, in the order in which the core judges."""
    unread = {
        gateway.Reason.STATUS: told.stage is gateway.Stage.UNKNOWN,
        gateway.Reason.CURRENCY: told.currency is None,
        gateway.Reason.AMOUNT: told.amount is None,
        gateway.Reason.TIME: told.time is None,
    }
    return next((reason for reason, is_unread in unread.items() if is_unread), None)


def _fingerprint(told: Api2, account: gateway.Account) -> str:
    """What makes two callbacks the same: ``time`` and ``sign`` take no part, senders make both anew."""
    amount = "" if told.amount is None else f"{told.amount:f}"
    parts = (
        account.tenant,
        account.name,
        told.order_no or "",
        told.transaction_id or "",
        told.stage if told.stage is not gateway.Stage.UNKNOWN else f"unknown {told.status}",
        amount.rstrip("0").rstrip(".") if "." in amount else amount,
        told.currency or "",
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
