"""Explain how API-2 is proved: the checks of ``callback.verify`` one by one, what was signed, the sender's mistakes.

For operators, and for the tenant whose bridge sends it. The functions that prove a callback are called here as well, so
that an explanation agrees with them. Never shown: a token, or any part of the expected sign.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import gateway
from gateway_psp_open_api import callback as api2
from gateway_psp_open_api import signature
from gateway_psp_open_api.config import TOKEN_HEADER, prepared
from gateway_psp_open_api.diagnosis import lenient_body, received_sign
from gateway_psp_open_api.diagnosis.findings import Received, findings
from gateway_psp_open_api.diagnosis.signature_search import Found, search
from gateway_psp_open_api.signature import Form

ENVELOPE = ("method", "media type", "path", "source address")
"""The checks ahead of the token, as ``envelope_problems`` names them."""

TOKENS = ("token", "previous token")
"""The names of the accepted tokens, in the order of ``tokens``."""

SIGNED_RIGHT = "the sign itself is right"
NOTHING_FOUND = (
    "sign is made in no way that is known here. Checked were, one at a time and the common ones in pairs: how numbers,"
    " booleans, empty members and special characters are printed, which members are signed, in which order, how they"
    " are joined, where the token is, SHA-1, SHA-2, MD5 and HMAC, the whole body instead of its members, and the"
    " tokens of the tenant's other accounts"
)
TOKEN_FIRST = (
    f"sign can be checked once {TOKEN_HEADER} is right: it must be made with the same token, and it was not made with"
    " the token in the header in any way that is known here"
)
BODY_FIRST = "sign can be checked once the body is right: no sign proves a body of this form"
REMEDY = "sign the text shown here, followed directly by the account's token: SHA-1 of its UTF-8 bytes, 40 hex digits"

T = TypeVar("T")


def explain(callback: gateway.Callback, account: gateway.Account) -> gateway.Explanation:
    """Make every check in its order, also those after the first that fails; then look for the sender's mistakes."""
    accepted = prepared(account).tokens
    sender, token = _check(TOKEN_HEADER, lambda: api2.check_token(callback, accepted))
    if token is not None:
        sender = _passed(TOKEN_HEADER, f"it is the account's {TOKENS[accepted.index(token)]}")
    sign, proved = _check("sign", lambda: api2.check_sign(callback.body, token or accepted[0], account.config))
    merchant = gateway.Check(name="merchant_id", passed=None)
    if proved is not None:
        body, form = proved
        sign = _passed("sign", f"match, in the {form} form")
        merchant, _ = _check("merchant_id", lambda: api2.check_merchant(body, account))
    received = _received(callback, account, is_proved=proved is not None)
    if proved is None:
        about_sign = _about_sign(received, account, is_token_right=token is not None)
    else:
        about_sign = [SIGNED_RIGHT] if token is None else []
    return gateway.Explanation(
        checks=(*_envelope(callback, account), sender, sign, merchant),
        signed={str(form): text for form, text in _signed(received.members, _every_token(account)).items()},
        notes=(*findings(received), *about_sign),
    )


def _envelope(callback: gateway.Callback, account: gateway.Account) -> Iterator[gateway.Check]:
    failures = {name: failure for name, _, failure in api2.envelope_problems(callback, account.config)}
    for name in ENVELOPE:
        yield gateway.Check(name=name, passed=name not in failures, detail=failures.get(name, ""))


def _check(name: str, check: Callable[[], T]) -> tuple[gateway.Check, T | None]:
    """Make one check; its detail is that of a refusal."""
    try:
        return _passed(name), check()
    except gateway.CallbackRejected as rejected:
        return gateway.Check(name=name, passed=False, detail=rejected.detail), None


def _passed(name: str, detail: str = "") -> gateway.Check:
    return gateway.Check(name=name, passed=True, detail=detail)


def _received(callback: gateway.Callback, account: gateway.Account, *, is_proved: bool) -> Received:
    """Read the members: as they are when the body is proved, else in any wrapping."""
    return Received(
        callback=callback,
        config=account.config,
        reading=lenient_body.Reading(gateway.loads(callback.body))
        if is_proved
        else lenient_body.read(callback.body, callback.query),
        tokens=tuple(secret.reveal() for secret in prepared(account).tokens),
        merchant_ids=prepared(account).merchant_ids,
        others={one: name for name, other in account.related.items() for one in prepared(other).merchant_ids},
        renamed={field.name: field.key for field in account.fields.fields if field.key != field.name},
    )


def _every_token(account: gateway.Account) -> dict[str, str]:
    """Return every token a sender may have signed with, by its name; the account's own first."""
    own = dict(zip(TOKENS, (secret.reveal() for secret in prepared(account).tokens), strict=False))
    others = {f"the token of {name}": prepared(other).tokens[0].reveal() for name, other in account.related.items()}
    return {**own, **{name: token for name, token in others.items() if token not in own.values()}}


def _signed(body: Mapping[str, Any], known: Mapping[str, str]) -> dict[Form, str]:
    """Return StringA in each form that differs from those before; the token follows it directly and is not shown."""
    texts: dict[Form, str] = {}
    try:
        for form in Form if body else ():
            text = signature.canonical(body, form=form)
            for token in known.values():
                text = text.replace(token, "***")
            if text not in texts.values():
                texts[form] = text
    except signature.Unsignable:
        return {}
    return texts


def _about_sign(received: Received, account: gateway.Account, *, is_token_right: bool) -> list[str]:
    """Return how a sign was made that did not prove its body, and what is right."""
    body = received.members
    if body.get("sign") is None:
        return []
    sign = received_sign.read(body["sign"])
    if not _texts(body):
        return [*sign.faults, "a body like this has no text that can be signed"]
    if sign.digest is None:
        return [*sign.faults, REMEDY]
    in_header = gateway.header(received.callback.headers, TOKEN_HEADER)
    foreign = {"the token in the header": in_header[0]} if in_header and not is_token_right else {}
    found = _search(received, sign.digest, {**_every_token(account), **foreign})
    if found == Found((), TOKENS[0]):
        return [*sign.faults, SIGNED_RIGHT]
    if found is None and foreign:
        return [*sign.faults, TOKEN_FIRST]
    if found is None and received.reading.faults:
        return [*sign.faults, BODY_FIRST]
    return [*sign.faults, NOTHING_FOUND if found is None else _worded(found), REMEDY]


def _search(received: Received, digest: bytes, known: Mapping[str, str]) -> Found | None:
    """Find the sender's mistake: in how it signs with a token of the account, or in the token alone."""
    own = {name: token for name, token in known.items() if name in TOKENS}
    found = search(received.members, digest, own, received.renamed)
    return found or _with_foreign_token(received.members, digest, known)


def _with_foreign_token(body: Mapping[str, Any], digest: bytes, known: Mapping[str, str]) -> Found | None:
    """Find a token that is not the account's, or the merchant_id in its place, with which all else is right."""
    foreign = {name: token for name, token in known.items() if name not in TOKENS}
    merchant = body.get("merchant_id")
    if isinstance(merchant, str) and merchant:
        foreign["the merchant_id in the place of the token"] = merchant
    for name, token in foreign.items():
        if digest.hex().upper() in {signature.sign(text, gateway.Secret(token)) for text in _texts(body)}:
            return Found((), name)
    return None


def _texts(body: Mapping[str, Any]) -> list[str]:
    try:
        return [signature.canonical(body, form=form) for form in (Form.LITERAL, Form.CANONICAL)]
    except signature.Unsignable:
        return []


def _worded(found: Found) -> str:
    token = () if found.token == TOKENS[0] else (f"the {found.token}" if found.token in TOKENS else found.token,)
    return f"the sender signs with {' and '.join((*found.mistakes, *token))}"
