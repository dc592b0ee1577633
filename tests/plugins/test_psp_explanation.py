"""gateway_psp_open_api.diagnosis.explanation: the checks of ``verify`` in order, and no secret."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import gateway_psp_open_api as plugin
import msgspec
import pytest
from gateway_psp_open_api.signature import canonical, sign

import gateway
from tests.support.factories.psp import MERCHANT, TOKEN, TOLD, account, callback, signed

PSP = plugin.PspOpenApi()
NAMES = ["method", "media type", "path", "source address", "crm-pay-token", "sign", "merchant_id"]
TEXT = canonical(TOLD)
OLD = gateway.Secret("the token before this one")


def explained(call: gateway.Callback, **settings: Any) -> gateway.Explanation:
    """Return an explanation, which shows neither token nor the sign that was expected."""
    found = PSP.explain(call, account(**settings))
    for secret in (TOKEN, OLD):
        assert secret.reveal() not in repr(found)
        assert sign(TEXT, secret) not in repr(found)
    return found


def sha1_hex(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest().upper()


def body(sign_: object) -> bytes:
    """API-2 with some sign."""
    return gateway.dumps({**TOLD, "sign": sign_})


def test_the_checks_of_a_right_callback_all_pass() -> None:
    """In the order of ``verify``, with the form that matched and the text that was signed."""
    found = explained(callback())
    assert [(one.name, one.passed) for one in found.checks] == [(name, True) for name in NAMES]
    assert found.checks[5].detail == "match, in the literal form"
    assert found.signed == {"literal": TEXT}


@pytest.mark.parametrize(
    ("call", "settings", "name"),
    [
        (callback(method="PUT"), {}, "method"),
        (callback(headers=(("Crm-Pay-Token", TOKEN.reveal()),)), {}, "media type"),
        (callback(suffix="elsewhere"), {}, "path"),
        (callback(), {"source_addresses": ("198.51.100.1",)}, "source address"),
        (callback(header=None), {}, "crm-pay-token"),
        (callback(header="another"), {}, "crm-pay-token"),
        (callback(body(sign("x", TOKEN))), {}, "sign"),
        (callback(b"{}{"), {}, "sign"),
        (callback(signed(merchant_id="other")), {}, "merchant_id"),
    ],
)
def test_the_first_check_that_fails_is_why_it_is_refused(
    call: gateway.Callback, settings: dict[str, Any], name: str
) -> None:
    """The explanation and ``verify`` say the same words."""
    first = next(one for one in explained(call, **settings).checks if one.passed is False)
    with pytest.raises(gateway.CallbackRejected) as refused:
        PSP.verify(call, account(**settings))
    assert (first.name, first.detail) == (name, refused.value.detail)


def test_the_previous_token_is_called_so() -> None:
    """Only its name is shown."""
    found = explained(callback(signed(OLD), header=OLD.reveal()), previous_token=OLD)
    assert found.checks[4].detail == "it is the account's previous token"


def test_nothing_of_the_expected_sign_is_shown() -> None:
    """Two wrong signs, of which one has all digits but the last right, are explained in the same words."""
    right = sign(TEXT, TOKEN)
    almost = right[:-1] + ("0" if right[-1] != "0" else "1")
    assert explained(callback(body(almost))).notes == explained(callback(body("0" * 40))).notes


def test_a_sign_of_the_other_token_is_found() -> None:
    """Where the header holds none of the account's tokens, the sign is compared with all of them."""
    found = explained(callback(body(sign(TEXT, OLD)), header="another"), previous_token=OLD)
    assert "the sender signs with the previous token" in found.notes


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (lambda text: sha1_hex(text), "no token"),
        (lambda text: sha1_hex(TOKEN.reveal() + text), "the token before the text"),
        (lambda text: sha1_hex(f"{text}&{TOKEN.reveal()}"), "an & before the token"),
        (
            lambda _: sha1_hex("&".join(f"{key}={value}" for key, value in members().items()) + TOKEN.reveal()),
            "the members in the order of the body",
        ),
    ],
)
def test_known_mistakes_are_recognised(mistake: Callable[[str], str], said: str) -> None:
    """What senders sign instead."""
    assert f"the sender signs with {said}" in explained(callback(body(mistake(TEXT)))).notes


@pytest.mark.parametrize("member", ["status=1", "amount=432.98", "time=1795851349000"])
def test_a_form_has_no_quotes_to_leave_out(member: str) -> None:
    """Numbers are text in a form: only that it is a form is said."""
    found = explained(callback(member.encode()))
    assert any("the body is a form" in note for note in found.notes)
    assert not any("quotes" in note or "must be" in note for note in found.notes)


@pytest.mark.parametrize("member", ["status=success", "amount=1,5", "time=1795851349"])
def test_what_is_wrong_in_a_form_too_is_said(member: str) -> None:
    """A word, a comma, seconds."""
    assert any("must be" in note for note in explained(callback(member.encode())).notes)


SIGNS = [
    (None, "sign is absent"),
    ("", "sign is malformed: it must be a text of 40 hex digits"),
    (gateway.JsonNumber("7"), "sign is malformed: it must be a text of 40 hex digits"),
    ("0" * 39, "sign is malformed: it must be a text of 40 hex digits"),
    ("0" * 40, "sign is wrong"),
    ("g" * 40, "sign is malformed: it must be a text of 40 hex digits"),
]


@pytest.mark.parametrize(("given", "said"), SIGNS)
def test_an_absent_a_malformed_and_a_wrong_sign_are_distinguished(given: object, said: str) -> None:
    """In the reason that is stored, logged and listed; the sender's answer is one for all three."""
    with pytest.raises(gateway.CallbackRejected) as refused:
        PSP.verify(callback(body(given)), account())
    assert (refused.value.reason, refused.value.detail) == (gateway.Reason.UNAUTHENTIC, said)


def members() -> dict[str, str]:
    """The members as texts, in the order of the body."""
    return {key: value.text if isinstance(value, gateway.JsonNumber) else str(value) for key, value in TOLD.items()}


def test_each_form_that_differs_is_shown() -> None:
    """Literal and canonical numbers, and empty members for senders that sign them."""
    data = gateway.dumps({**TOLD, "amount": gateway.JsonNumber("432.980"), "note": "", "sign": "0" * 40})
    signed_texts = explained(callback(data)).signed
    assert "amount=432.980&" in signed_texts["literal"]
    assert "amount=432.98&" in signed_texts["canonical"]
    assert "&note=&" in signed_texts["unfiltered"]


def test_a_token_in_the_body_is_masked() -> None:
    """What a sender puts where it does not belong is not repeated."""
    found = explained(callback(signed(note=f"my token: {TOKEN.reveal()}")))
    assert "note=my token: ***" in found.signed["literal"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"a":1,"a":1}', b'{"sign":{}}', b"\xff"])
def test_what_is_no_body_is_explained_too(data: bytes) -> None:
    """No text was signed, and nothing is raised."""
    found = explained(callback(data))
    assert ([one.passed for one in found.checks][-2:], MERCHANT in repr(found)) == ([False, None], False)


@pytest.mark.parametrize(
    ("forwarded", "needs"),
    [
        ((), "add proxy_set_header X-Forwarded-For"),
        (("",), "add proxy_set_header X-Forwarded-For"),
        (("unknown",), "add proxy_set_header X-Forwarded-For"),
        (("203.0.113.9, unknown",), "add proxy_set_header X-Forwarded-For"),
        (("203.0.113.9",), "name it in server.trusted_proxies, so"),
        (("unknown", "2001:db8::1"), "name it in server.trusted_proxies, so"),
    ],
)
def test_what_a_proxy_in_front_needs(forwarded: tuple[str, ...], needs: str) -> None:
    """To be named, where it says who called; to say so, where it does not: naming it alone changes nothing then."""
    call = callback()
    headers = (*call.headers, *(("X-Forwarded-For", line) for line in forwarded))
    call = msgspec.structs.replace(call, headers=headers, remote="127.0.0.1")
    [found] = [one for one in explained(call, source_addresses=("198.51.100.1",)).notes if "your own proxy" in one]
    assert needs in found
