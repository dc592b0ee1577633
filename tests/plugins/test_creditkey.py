"""The Credit Key plugin: its rules, what it makes of a callback and how it answers one, its hooks."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from gateway_creditkey import CreditKey, gateway_providers, gateway_simulators

import gateway
from tests.support.factories.creditkey import AT, make_account, usd

CK = CreditKey()
ACCOUNT = make_account()


def test_the_rules_are_credit_keys():
    """Dollars, a rise of at most 100.00, one partial capture, cancel before capture, the account's clocks."""
    rules = CK.rules(make_account(confirm_deadline=timedelta(days=10), absence_proves=True))
    assert rules.currencies == {"USD"}
    assert rules.max_increase == usd("100.00")
    assert (rules.capture_deadline, rules.deadline_warning) == (timedelta(days=10), timedelta(days=3))
    assert rules.expires_after == timedelta(days=30)
    assert rules.cancel_from == {"created", "awaiting_customer", "processing", "authorized", "expired"}
    assert rules.partial_capture
    assert rules.absence_proves
    assert rules.amount == gateway.Exact()


def test_the_published_alerts_are_word_for_word():
    """The two sentences that Credit Key prescribes are given as they stand; each alert has one."""
    messages = CK.rules(ACCOUNT).messages
    selected = (
        "You have selected Credit Key as the payment method. "
        "A new notification will be sent to the customer to complete this order."
    )
    assert messages["customer_will_be_notified"] == selected
    assert messages["new_checkout_started"] == selected
    assert messages["increase_over_limit"] == (
        "Credit Key order amounts can only be increased by $100. "
        "A new notification will be sent to the customer to complete this order."
    )
    assert messages["customer_notified_of_cancel"]
    assert messages["capture_deadline_near"]


def callback(suffix: str = "complete", method: str = "GET", **changes: Any) -> gateway.Callback:
    given: dict[str, Any] = {
        "query": "key=CK-TST1001",
        "headers": (),
        "body": b"",
        "remote": "192.0.2.1",
        "received_at": AT,
        "payment_id": "pay_1",
    }
    return gateway.Callback(method=method, suffix=suffix, **{**given, **changes})


@pytest.mark.parametrize(
    ("suffix", "method"), [("return", "GET"), ("cancel", "GET"), ("complete", "GET"), ("complete", "POST")]
)
def test_a_visit_is_a_hint(suffix: str, method: str):
    """A visit of our own addresses names an order key and proves nothing."""
    assert CK.verify(callback(suffix, method), ACCOUNT) == gateway.Hint(provider_reference="CK-TST1001")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "id=CK-1",
        "key=",
        "key=%CKKEY%",
        "key=CK-1&key=CK-2",
        "key=" + "x" * 65,
        "key=CK-1%0A",
        "key=CK%001",
        "key=a%20b",
        "key=%FF",
        "%%%",
        "&" * 5000,
    ],
)
def test_an_unusable_key_is_left_out(query: str):
    """A key that cannot be one leaves the hint without it."""
    assert CK.verify(callback("return", query=query), ACCOUNT) == gateway.Hint(provider_reference=None)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"id":"CK-7"}', "CK-7"),
        (b'{"id":7}', None),
        (b'{"id":"a b"}', None),
        (b"[]", None),
        (b"key=CK-7", None),
        (b"", None),
        (b"\xff", None),
    ],
)
def test_a_posted_key_is_a_fallback(body: bytes, key: str | None):
    """Without a key in the query the JSON body's id is taken; any other body is ignored."""
    assert CK.verify(callback(method="POST", query="", body=body), ACCOUNT) == gateway.Hint(provider_reference=key)


def test_the_querys_key_wins():
    """The query's key counts before the body's."""
    hint = CK.verify(callback(method="POST", body=b'{"id":"CK-7"}'), ACCOUNT)
    assert hint.provider_reference == "CK-TST1001"


def test_a_get_has_no_body():
    """The body of a GET is not read."""
    assert CK.verify(callback(query="", body=b'{"id":"CK-7"}'), ACCOUNT).provider_reference is None


@pytest.mark.parametrize(("suffix", "method"), [("return", "POST"), ("cancel", "POST"), ("complete", "PUT")])
def test_other_methods_are_refused(suffix: str, method: str):
    """Browsers come by GET; Credit Key itself by GET or POST."""
    with pytest.raises(gateway.CallbackRejected) as refused:
        CK.verify(callback(suffix, method), ACCOUNT)
    assert refused.value.reason is gateway.Reason.METHOD


@pytest.mark.parametrize("changes", [{"suffix": ""}, {"suffix": "pay/callback"}, {"payment_id": None}])
def test_addresses_that_nobody_was_given_are_not_found(changes: dict[str, Any]):
    """Another path, or one without the payment's token, is not found."""
    with pytest.raises(gateway.CallbackRejected) as refused:
        CK.verify(callback(**changes), ACCOUNT)
    assert refused.value.reason is gateway.Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("verdict", "status", "extra"),
    [
        (gateway.Recorded(), 200, ()),
        (gateway.Repeated(), 200, ()),
        (gateway.Repeated(is_final=True), 200, ()),
        (gateway.Refused(reason=gateway.Reason.NOT_FOUND), 404, ()),
        (gateway.Refused(reason=gateway.Reason.UNAUTHENTIC), 404, ()),
        (gateway.Refused(reason=gateway.Reason.METHOD), 405, (("Allow", "GET, POST"),)),
        (gateway.Refused(reason=gateway.Reason.TOO_LARGE), 413, ()),
        (gateway.Refused(reason=gateway.Reason.MEDIA_TYPE), 415, ()),
        (gateway.Busy(limited=True, retry_after=7), 429, (("Retry-After", "7"),)),
        (gateway.Busy(retry_after=3), 503, (("Retry-After", "3"),)),
    ],
)
def test_each_verdict_has_its_answer(verdict: gateway.Verdict, status: int, extra: gateway.Headers):
    """Stored hints are answered 200; every refusal and fault has its status."""
    result = CK.answer(verdict, callback())
    assert (result.status, result.headers[1:]) == (status, extra)
    assert gateway.media_type(result.headers) == "application/json"
    assert gateway.loads(result.body) == {"ok": status == 200}


def test_the_plugin_offers_one_provider():
    """The hook returns a provider named creditkey that fits the protocol and hands out no credentials."""
    [provider] = gateway_providers()
    assert isinstance(provider, gateway.Provider)
    assert (provider.name, provider.secret_headers, provider.credentials(ACCOUNT)) == ("creditkey", frozenset(), {})
    assert gateway.FetchPayment in provider.commands
    assert len(provider.commands) == 7


def test_the_plugin_offers_its_simulator():
    """The simulator's hook names provider and port."""
    [simulator] = gateway_simulators()
    assert (simulator.provider, simulator.port) == ("creditkey", 9101)


def test_the_plugin_loads_no_web_framework():
    """Importing the plugin does not import aiohttp."""
    code = "import sys, gateway_creditkey; sys.exit('aiohttp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
