"""Explain how API-2 is proved: the checks of ``api2.prove`` one by one, what was signed, and what the sender does.

For operators, and for the tenant whose bridge sends it. The very functions that prove a callback are called here, so
that an explanation cannot say something else. Never shown: a token, or any part of the sign that was expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import gateway
from gateway_psp_open_api import api2, findings, given, lenient, signature
from gateway_psp_open_api.account import TOKEN_HEADER, merchant_ids, tokens
from gateway_psp_open_api.search import Found, search
from gateway_psp_open_api.signature import Form

TOKENS = ("token", "previous token")
"""What the accepted tokens are called, in the order of ``tokens``."""

SIGNED_RIGHT = "the sign itself is right"

NOTHING_FOUND = (
    "sign is made in no way that is known here. Checked were, one at a time and the common ones in pairs: how numbers,"
    " booleans, empty members and special characters are printed, which members are signed, in which order, how they"
    " are joined, where the token stands, SHA-1, SHA-2, MD5 and HMAC, the whole body instead of its members, and the"
    " tokens of the tenant's other accounts"
)

TOKEN_FIRST = (
    f"whether sign is right is seen when {TOKEN_HEADER} is: it must be made with the same token, and with the token in"
    " the header it was not found to be"
)
BODY_FIRST = "whether sign is right is seen when the body is: no sign proves a body of this form"

REMEDY = "sign the text shown here, followed directly by the account's token: SHA-1 of its UTF-8 bytes, 40 hex digits"

T = TypeVar("T")


def explain(callback: gateway.Callback, account: gateway.Account) -> gateway.Explanation:
    """Make every check in its order, also those behind the first that fails; then look for what the sender does."""
    accepted = tokens(account)
    envelope = [_tried(one.name, partial(one.check, callback, account.config))[0] for one in api2.ENVELOPE]
    sender, token = _tried(TOKEN_HEADER, partial(api2.check_token, callback, accepted), partial(_name, accepted))
    sign, proved = _tried("sign", partial(api2.check_sign, callback.body, token or accepted[0], account.config), _form)
    merchant = gateway.Check(name="merchant_id", passed=None)
    if proved is not None:
        merchant, _ = _tried("merchant_id", partial(api2.check_merchant, proved, account))
    seen = findings.Seen(
        callback=callback,
        config=account.config,
        reading=_reading(callback, is_proved=proved is not None),
        tokens=tuple(secret.reveal() for secret in accepted),
        merchant_ids=merchant_ids(account),
        others=findings.of_account(account),
        renamed=_renamed(account),
    )
    if proved is None:
        about_sign = _about_sign(seen, account, is_known=token is not None)
    else:
        about_sign = [SIGNED_RIGHT] if token is None else []
    return gateway.Explanation(
        checks=(*envelope, sender, sign, merchant),
        signed={str(form): text for form, text in _signed(seen.members, _every_token(account)).items()},
        notes=(*findings.of(seen), *about_sign),
    )


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


def _reading(callback: gateway.Callback, *, is_proved: bool) -> lenient.Reading:
    """The members: as they are where the body is proved, else however it is wrapped."""
    if is_proved:
        return lenient.Reading(gateway.loads(callback.body))
    return lenient.read(callback.body, callback.query)


def _every_token(account: gateway.Account) -> dict[str, str]:
    """Every token that a sender may have signed with, by whose it is; the account's own first."""
    own = dict(zip(TOKENS, (secret.reveal() for secret in tokens(account)), strict=False))
    others = {f"the token of {name}": tokens(other)[0].reveal() for name, other in account.related.items()}
    return {**own, **{name: token for name, token in others.items() if token not in own.values()}}


def _signed(body: Mapping[str, Any], known: Mapping[str, str]) -> dict[Form, str]:
    """StringA in each form that differs from those before; the token follows it directly and is not shown."""
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


def _about_sign(seen: findings.Seen, account: gateway.Account, *, is_known: bool) -> list[str]:
    """How a sign was made that did not prove its body. ``is_known``: the header holds a token of the account."""
    body = seen.members
    if body.get("sign") is None:
        return []
    sign, known = given.read(body["sign"]), _every_token(account)
    if not _texts(body):
        return [*sign.faults, "no text can be signed of such a body"]
    if sign.digest is None:
        return [*sign.faults, REMEDY]
    own = {name: token for name, token in known.items() if name in TOKENS}
    in_header = gateway.header(seen.callback.headers, TOKEN_HEADER)
    foreign = {"the token in the header": in_header[0]} if in_header and not is_known else {}
    found = search(body, sign.digest, own, seen.renamed) or _with_foreign_token(body, sign.digest, {**known, **foreign})
    if found == Found((), TOKENS[0]):
        return [*sign.faults, SIGNED_RIGHT]
    if found is None and foreign:
        return [*sign.faults, TOKEN_FIRST]
    if found is None and seen.reading.faults:
        return [*sign.faults, BODY_FIRST]
    return [*sign.faults, NOTHING_FOUND if found is None else _told(found), REMEDY]


def _with_foreign_token(body: Mapping[str, Any], digest: bytes, known: Mapping[str, str]) -> Found | None:
    """Whether all is right but the token, or it is signed with the merchant_id in its place."""
    foreign = {name: token for name, token in known.items() if name not in TOKENS}
    merchant = body.get("merchant_id")
    if isinstance(merchant, str) and merchant:
        foreign["the merchant_id in the place of the token"] = merchant
    for name, token in foreign.items():
        if digest.hex().upper() in {signature.sha1_hex(text + token) for text in _texts(body)}:
            return Found((), name)
    return None


def _renamed(account: gateway.Account) -> dict[str, str]:
    """What API-1 calls the fields that the account renames."""
    return {field.name: field.key for field in account.fields.fields if field.key != field.name}


def _texts(body: Mapping[str, Any]) -> list[str]:
    try:
        return [signature.canonical(body, form=form) for form in (Form.LITERAL, Form.CANONICAL)]
    except signature.Unsignable:
        return []


def _told(found: Found) -> str:
    """Say what the search found."""
    token = () if found.token == TOKENS[0] else (f"the {found.token}" if found.token in TOKENS else found.token,)
    return f"the sender signs with {' and '.join((*found.steps, *token))}"
