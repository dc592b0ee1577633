"""What a provider says is cleaned of the account's secrets before it is shown or stored."""

from __future__ import annotations

import base64

import pytest

from gateway.core.secret import Secret
from tests.support.stack import GatewayStack, creditkey_body

KEY = "gw_k1_0123456789abcdefABCDEF-_0123456789abcdef"


async def test_a_provider_cannot_publish_our_secret(stack: GatewayStack) -> None:
    """A key that Credit Key quotes back stays out of the answer and the timeline."""
    said = {"result": "unauthorized: shared_secret ss_test is wrong"}
    await stack.faults("creditkey", operation="begin_standalone_checkout", status=401, body=said, times=1)
    created = await stack.create(creditkey_body())
    told = created.text + str(await stack.events(created.json["id"]))
    assert created.json["failure"]["provider_code"] == "unauthorized: shared_secret *** is wrong"
    assert "ss_test" not in told


@pytest.mark.parametrize(
    ("identifier", "is_refused"),
    [
        ("pay_01a221c53a4f70849cd6026b101e7f3e", False),
        ("2026-11-28T19:30:00.000/7", False),
        ("4111111111111111", False),
        ("T-4111-1111-1111-1111", True),
        ("4111%2E1111%2E1111%2E1111", True),
        ("４１１１ 1111 1111 1111", True),
        (KEY, True),
        (base64.b64encode(f"id:{KEY}".encode()).decode(), True),
        (f"x{KEY}".encode().hex(), True),
    ],
)
def test_an_id_quotes_no_key_and_no_grouped_card_number(
    shared_stack: GatewayStack, identifier: str, is_refused: bool
) -> None:
    """Alone and beside others. A number without groups may be an honest id."""
    quotes = shared_stack.gateway.masks.quote
    assert quotes("acme", [identifier]) is is_refused
    assert quotes("acme", ["T-1", identifier, "1"]) is is_refused


def test_an_id_quotes_no_secret_of_its_tenant(shared_stack: GatewayStack) -> None:
    """In any form, also where it was split over two ids."""
    token = shared_stack.entry("acme", "psp-main").credentials["token"]
    assert isinstance(token, Secret)
    text, quotes = token.reveal(), shared_stack.gateway.masks.quote
    for ids in ([text.upper()], ["T-1", f"x{text}x"], [base64.b64encode(text.encode()).decode()], [text[:9], text[9:]]):
        assert quotes("acme", ids)
    assert not quotes("acme", [text[1:]])
