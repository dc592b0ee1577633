"""Explain how API-2 is proved: the checks of ``api2.prove`` one by one, what was signed, and where the sign differs.

For operators. The very functions that prove a callback are called here, so that an explanation cannot say something
else. Never told: a token, or the sign that was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import gateway
from gateway_psp_open_api import api2, signature
from gateway_psp_open_api.account import TOKEN_HEADER, tokens
from gateway_psp_open_api.signature import Form

TOKENS = ("token", "previous token")
"""What the accepted tokens are called, in the order of ``tokens``."""

MISTAKES: Mapping[str, Callable[[str, str, str], str]] = {
    "the members in the order of the body": lambda _, unsorted, token: unsorted + token,
    "no token": lambda text, _, __: text,
    "the token before the text": lambda text, _, token: token + text,
    "an & before the token": lambda text, _, token: f"{text}&{token}",
}
"""What senders are known to sign instead, made of StringA, the members as they stand in the body, and the token."""

T = TypeVar("T")


def explain(callback: gateway.Callback, account: gateway.Account) -> gateway.Explanation:
    """Make every check in its order, also those behind the first that fails."""
    accepted = tokens(account)
    envelope = [_tried(one.name, partial(one.check, callback, account.config))[0] for one in api2.ENVELOPE]
    sender, token = _tried(TOKEN_HEADER, partial(api2.check_token, callback, accepted), partial(_name, accepted))
    sign, proved = _tried("sign", partial(api2.check_sign, callback.body, token or accepted[0], account.config), _form)
    merchant = gateway.Check(name="merchant_id", passed=None)
    if proved is not None:
        merchant, _ = _tried("merchant_id", partial(api2.check_merchant, proved, account))
    body = _members(callback.body)
    notes = [] if proved is not None or body is None else _compared(body, accepted, token)
    signed = {} if body is None else {str(form): text for form, text in _signed(body, accepted).items()}
    checks = (*envelope, sender, sign, merchant)
    return gateway.Explanation(checks=checks, signed=signed, notes=tuple(notes))


def _tried(
    name: str, check: Callable[[], T], told: Callable[[Any], str] = lambda _: ""
) -> tuple[gateway.Check, T | None]:
    """Make one check; its detail is what a refusal says, or what ``told`` makes of its result."""
    try:
        result = check()
    except gateway.CallbackRejected as rejected:
        return gateway.Check(name=name, passed=False, detail=rejected.detail), None
    return gateway.Check(name=name, passed=True, detail=told(result)), result


def _name(accepted: Sequence[gateway.Secret], token: gateway.Secret) -> str:
    return f"it is the account's {TOKENS[accepted.index(token)]}"


def _form(proved: api2.Proved) -> str:
    return f"match, in the {proved.form} form"


def _members(data: bytes) -> dict[str, Any] | None:
    """The body, where it can be signed at all."""
    try:
        body = gateway.loads(data)
        signature.canonical(body)
    except (gateway.NotStrictJson, signature.Unsignable):
        return None
    return body if isinstance(body, dict) else None


def _signed(body: dict[str, Any], accepted: Sequence[gateway.Secret]) -> dict[Form, str]:
    """StringA in each form that differs from those before; the token follows it directly and is not shown."""
    texts: dict[Form, str] = {}
    for form in Form:
        text = signature.canonical(body, form=form)
        for secret in accepted:
            text = text.replace(secret.reveal(), "***")
        if text not in texts.values():
            texts[form] = text
    return texts


def _compared(body: dict[str, Any], accepted: Sequence[gateway.Secret], token: gateway.Secret | None) -> list[str]:
    """How the given sign compares with each that would be right, and with known mistakes."""
    given = signature.given_sign(body.get("sign"))
    if not given:
        return ["sign is not 40 hex digits"]
    notes, forms = [], list(_signed(body, accepted))
    for name, secret in zip(TOKENS, accepted, strict=False):
        if token is None or secret == token:
            notes += [f"sign, {form} form, {name}: {_difference(given, _right(body, secret, form))}" for form in forms]
            notes += [f"the sender signs with {made}" for made in _mistaken(body, secret, given)]
    return notes


def _right(body: dict[str, Any], secret: gateway.Secret, form: Form) -> str:
    return signature.sign(signature.canonical(body, form=form), secret)


def _difference(given: str, wanted: str) -> str:
    """Tell where two signs of one length part; what was wanted is not shown."""
    found = next((place for place, pair in enumerate(zip(given, wanted, strict=True), 1) if pair[0] != pair[1]), None)
    return "match" if found is None else f"differ at position {found}"


def _mistaken(body: dict[str, Any], secret: gateway.Secret, given: str) -> list[str]:
    text = signature.canonical(body)
    places = {key: place for place, key in enumerate(body)}
    unsorted = "&".join(sorted(text.split("&"), key=lambda member: places.get(member.partition("=")[0], 0)))
    return [
        name
        for name, mistake in MISTAKES.items()
        if given == signature.sha1_hex(mistake(text, unsorted, secret.reveal()))
    ]
