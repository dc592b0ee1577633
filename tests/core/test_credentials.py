"""Keys, webhook secrets and links of ours in texts: found by their form, and nothing else taken for one."""

from __future__ import annotations

import base64

import pytest

from gateway.core.credentials import holds_credential, without_credentials

KEY = "gw_k1_0123456789abcdefABCDEF-_0123456789abcdef"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwNmYzQ3JtMTI="
LINK = "return/" + "A1-_" * 10 + "xyz"
ALL = [KEY, SECRET, LINK, LINK.replace("return", "cancel"), LINK.replace("return", "complete")]
HONEST = [
    "",
    "gw_k1_short",
    "a gw_ and a whsec_ and a return/ and cancel/x",
    "hmac-sha256:" + "0123456789abcdef" * 4,
    "01a221c53a4f70849cd6026b101e7f3e",
    base64.b64encode(b"a long text that is honest and holds no key at all").decode(),
    "x" * 200,
    "d3X" * 20,
    "Z3df" + "A" * 37,
]


@pytest.mark.parametrize("text", ALL)
def test_a_credential_is_found_and_taken_out(text: str) -> None:
    """As it is, wherever it stands."""
    sentence = f"see {text}, please"
    assert holds_credential(sentence)
    assert text[10:] not in without_credentials(sentence)
    assert without_credentials(sentence).startswith("see ")


@pytest.mark.parametrize("text", ALL)
@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
def test_it_is_taken_out_of_base64_and_hex(text: str, before: str) -> None:
    """Below an encoding that a header or a careless program may give it, at every offset, in both alphabets."""
    data = f"{before}{text}".encode()
    forms = [base64.b64encode(data), base64.urlsafe_b64encode(data).rstrip(b"="), data.hex().encode()]
    for form in (*forms, data.hex().upper().encode()):
        assert without_credentials(f"Basic {form.decode()}", "***") == "Basic ***"


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_text_stays(text: str) -> None:
    """Hashes, ids, other encoded texts and the marks alone are nothing of ours."""
    assert not holds_credential(text)
    assert without_credentials(text) == text
