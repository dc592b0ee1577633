"""The customer's browser comes back by POST, with a form that the provider signed or did not sign."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import pytest_asyncio

import gateway
from gateway.flows.payments.intent import urls_of
from tests.support.scripted_provider import KEY, ScriptedStack, running_scripted_stack
from tests.support.stack import Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

BACK = {"return_url": "https://shop.example/paid?cart=7", "cancel_url": "https://shop.example/cart"}
FORM = "application/x-www-form-urlencoded"


def signature(text: str) -> str:
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def verify(callback: gateway.Callback, account: gateway.Account) -> gateway.Event | gateway.Hint:
    """A form whose ``sign`` is over the rest is an event; one without is a hint; any other is refused."""
    if gateway.media_type(callback.headers) != FORM:
        raise gateway.CallbackRejected(gateway.Reason.MEDIA_TYPE)
    said = dict(parse_qsl(callback.body.decode()))
    sign = said.pop("sign", None)
    if sign is None:
        return gateway.Hint(provider_reference=said.get("ref"))
    if not gateway.same(sign, signature(urlencode(said))):
        raise gateway.CallbackRejected(gateway.Reason.UNAUTHENTIC, "the signature is wrong")
    seen = gateway.Observation(stage=gateway.Stage(said["stage"]), payment_id=said["order"])
    return gateway.Event(event_id=said["id"], observation=seen)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack for all tests here: each makes payments of its own."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def scripted(opened: ScriptedStack) -> ScriptedStack:
    """A provider that posts its forms by the browser."""
    opened.reset()
    opened.provider.verify = verify  # type: ignore[method-assign]
    return opened


async def begun(scripted: ScriptedStack) -> Any:
    scripted.answers({"stage": "awaiting_customer"})
    return (await scripted.create(**BACK)).json


def signed(**said: str) -> dict[str, str]:
    return {**said, "sign": signature(urlencode(said))}


async def post(
    scripted: ScriptedStack, payment: Any, body: dict[str, str] | bytes, way: str = "return_", kind: str = FORM
) -> Reply:
    """Come back as a browser that was told to post this."""
    urls = urls_of(scripted.stack.gateway, scripted.stack.entry("acme", "outside-main"), payment["id"])
    data = body if isinstance(body, bytes) else urlencode(body).encode()
    url, headers = getattr(urls, way), {"Content-Type": kind, "Origin": "https://pages.outside.example"}
    async with scripted.stack.http.post(url, data=data, headers=headers, allow_redirects=False) as response:
        return Reply(response.status, response.headers, await response.text())


def moved_on(reply: Reply) -> tuple[str, str]:
    """The page a browser was sent on to, and the state it was told."""
    assert reply.status == 303, reply.text
    target = urlsplit(reply.headers["Location"])
    return f"{target.netloc}{target.path}", dict(parse_qsl(target.query))["state"]


async def test_a_signed_form_moves_the_payment_at_once(scripted: ScriptedStack) -> None:
    """The event is applied before the customer goes on to the tenant's page, which is told the new state."""
    payment = await begun(scripted)
    scripted.sent.clear()
    reply = await post(scripted, payment, signed(id=f"E{payment['id']}", stage="captured", order=payment["id"]))
    assert moved_on(reply) == ("shop.example/paid", "captured")
    assert scripted.sent == []  # nothing had to be looked up


async def test_an_unsigned_form_causes_a_lookup(scripted: ScriptedStack) -> None:
    """It is a hint: what the lookup shows counts."""
    payment = await begun(scripted)
    scripted.answers({"stage": "authorized", "payment_id": payment["id"]})
    assert moved_on(await post(scripted, payment, {"status": "captured"})) == ("shop.example/paid", "authorized")


@pytest.mark.parametrize(
    ("body", "kind", "reason"),
    [
        ({"stage": "captured", "sign": "0" * 64}, FORM, "unauthentic"),
        ({"stage": "captured"}, "text/plain", "media_type"),
        (b"x" * 70_000, FORM, "too_large"),
    ],
)
async def test_a_form_that_is_refused_moves_nothing_and_nobody_is_stuck(
    scripted: ScriptedStack, body: Any, kind: str, reason: str
) -> None:
    """The customer goes on all the same; the inbox says why it was refused."""
    payment = await begun(scripted)
    reply = await post(scripted, payment, body, kind=kind)
    assert moved_on(reply) == ("shop.example/paid", "awaiting_customer")
    row = (await scripted.inbox())[0]
    assert (row.verdict, row.reason, row.suffix, row.method) == ("refused", reason, "return", "POST")


async def test_a_customer_may_give_up_by_post(scripted: ScriptedStack) -> None:
    """The cancel address takes the form as well."""
    payment = await begun(scripted)
    body = signed(id=f"C{payment['id']}", stage="canceled", order=payment["id"])
    assert moved_on(await post(scripted, payment, body, way="cancel")) == ("shop.example/cart", "canceled")


async def test_a_form_that_is_signed_for_another_payment_moves_that_one(scripted: ScriptedStack) -> None:
    """What is proved counts, not the address that it was posted to."""
    cheap, dear = await begun(scripted), await begun(scripted)
    reply = await post(scripted, dear, signed(id=f"E{cheap['id']}", stage="captured", order=cheap["id"]))
    assert moved_on(reply) == ("shop.example/paid", "awaiting_customer")
    assert [(await scripted.now(one))["state"] for one in (cheap, dear)] == ["captured", "awaiting_customer"]


async def test_a_provider_that_never_posts_says_so(scripted: ScriptedStack) -> None:
    """A plugin that refuses the method of a return is taken at its word."""
    payment = await begun(scripted)

    def refuse(*_: Any) -> Any:
        raise gateway.CallbackRejected(gateway.Reason.METHOD)

    scripted.provider.verify = refuse  # type: ignore[method-assign]
    reply = await post(scripted, payment, {})
    assert (reply.status, reply.headers["Allow"]) == (405, "GET,HEAD,OPTIONS")


# A challenge


async def test_a_challenge_is_echoed(scripted: ScriptedStack) -> None:
    """Some providers try an address by GET before they use it: the plugin answers what the query asks for."""

    def echo(_: gateway.Verdict, callback: gateway.Callback) -> gateway.HttpResponse:
        asked = dict(parse_qsl(callback.query))
        return gateway.HttpResponse(status=200, body=asked["hub.challenge"].encode())

    scripted.provider.verify = lambda *_: None  # type: ignore[method-assign]
    scripted.provider.answer = echo  # type: ignore[method-assign]
    url = scripted.stack.gateway.callback_url(scripted.stack.entry("acme", "outside-main"))
    async with scripted.stack.http.get(f"{url}?hub.mode=subscribe&hub.challenge=1158201444") as response:
        assert (response.status, await response.text()) == (200, "1158201444")
