"""What a provider says is cleaned of the account's secrets before it is shown or stored."""

from __future__ import annotations

from tests.support.stack import GatewayStack, creditkey_body


async def test_a_provider_cannot_publish_our_secret(stack: GatewayStack) -> None:
    """A key that Credit Key quotes back stays out of the answer and the timeline."""
    said = {"result": "unauthorized: shared_secret ss_test is wrong"}
    await stack.faults("creditkey", operation="begin_standalone_checkout", status=401, body=said, times=1)
    created = await stack.create(creditkey_body())
    told = created.text + str(await stack.events(created.json["id"]))
    assert created.json["failure"]["provider_code"] == "unauthorized: shared_secret *** is wrong"
    assert "ss_test" not in told
