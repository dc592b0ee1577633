"""A provider's page that is reached by form POST: the gateway's own page posts the form from the customer's browser."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import gateway
from gateway.flows.payments import idempotency, submit
from gateway.web.form_page import form_page
from tests.support.scripted_provider import KEY, ScriptedStack, running_scripted_stack
from tests.support.stack import of_sqlite

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGET = "https://pages.outside.example:8443/pay?shop=7&lang=en"
FIELDS = {"amount": "10.00", "note": "\"><script>alert(1)</script>&amp;'", "sign": "c2lnbg==", "submit": "1", "ä": "ü"}
PAID = "https://shop.example/paid"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ScriptedStack]:
    """One stack for all tests here: each makes payments of its own."""
    async with running_scripted_stack(tmp_path_factory.mktemp("stack")) as made:
        yield made


@pytest.fixture
def scripted(opened: ScriptedStack) -> ScriptedStack:
    """A provider that is not called for a create: its form is made by ``build``."""
    opened.reset()
    opened.provider.build = building()  # type: ignore[method-assign]
    return opened


def building(
    fields: dict[str, str] = FIELDS, *, url: str = TARGET, origins: tuple[str, ...] = (), **members: Any
) -> Callable[[gateway.Command, gateway.Account], Any]:
    """A ``build`` whose create is a form at once."""

    def build(command: gateway.Command, account: gateway.Account) -> Any:
        if not isinstance(command, gateway.CreatePayment):
            return gateway.HttpRequest(method="GET", url="https://outside.example/FetchPayment")
        form = gateway.Form(url, {"order": command.payment_id, **fields}, origins)
        return gateway.Observation(**{"stage": gateway.Stage.AWAITING_CUSTOMER, "form": form, **members})

    return build


class Inputs(HTMLParser):
    """What a browser reads of a page: the form's target, its fields, and the scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.form: dict[str, str | None] = {}
        self.fields: dict[str | None, str | None] = {}
        self.scripts: list[str] = []
        self._is_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_script = tag == "script"
        given = dict(attrs)
        if tag == "form":
            self.form = given
        if tag == "input":
            self.fields[given["name"]] = given["value"]

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts.append(data)

    def handle_endtag(self, _: str) -> None:
        self._is_script = False


async def begun(scripted: ScriptedStack) -> Any:
    created = await scripted.create(return_url=PAID)
    assert created.status == 201, created.text
    return created.json


async def test_a_create_without_a_call_gives_a_page_of_our_own(scripted: ScriptedStack) -> None:
    """Nothing is sent; the page holds the form to the letter, and its policy one script and one target."""
    payment = await begun(scripted)
    assert (payment["state"], payment["operation"]["status"], scripted.sent) == ("awaiting_customer", "succeeded", [])
    assert re.fullmatch(rf"{scripted.stack.url}/callbacks/[\w-]+/form/[\w-]+", payment["redirect_url"])
    async with scripted.stack.http.get(payment["redirect_url"]) as reply:
        page, policy = Inputs(await reply.text()), reply.headers["Content-Security-Policy"]
    assert reply.status == 200
    assert (page.form["action"], page.form["method"]) == (TARGET, "post")
    assert page.fields == {"order": payment["id"], **FIELDS}
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert len(page.scripts) == 1
    assert policy.split("; ") == [
        "default-src 'none'",
        f"script-src 'sha256-{digest}'",
        "form-action https://pages.outside.example:8443",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
    assert (reply.headers["Cache-Control"], reply.headers["Referrer-Policy"]) == ("no-store", "no-referrer")


async def test_an_answer_may_bring_a_form_as_well(scripted: ScriptedStack) -> None:
    """A provider that is called and answers with fields to be posted has the same page."""
    scripted.reset()
    form = gateway.Form(TARGET, {"token": "t-1"})
    scripted.provider.parse = lambda *_: gateway.Observation(  # type: ignore[method-assign]
        stage=gateway.Stage.AWAITING_CUSTOMER, redirect_url="https://outside.example/other", form=form
    )
    payment = await begun(scripted)
    async with scripted.stack.http.get(payment["redirect_url"]) as reply:
        assert Inputs(await reply.text()).fields == {"token": "t-1"}


async def test_the_form_is_not_shown_in_lists(scripted: ScriptedStack) -> None:
    """It may hold a signature: only the page has it."""
    payment = await begun(scripted)
    listed = await scripted.stack.call("GET", "/v1/payments?limit=5")
    shown = await scripted.stack.call("GET", f"/v1/payments/{payment['id']}")
    assert "c2lnbg==" not in listed.text + shown.text


@pytest.mark.parametrize("stage", ["captured", "failed"])
async def test_a_payment_that_waits_no_longer_has_no_page(scripted: ScriptedStack, stage: str) -> None:
    """Whoever opens it again is sent on to the tenant's page."""
    payment = await begun(scripted)
    said = {"stage": stage, "amount": "10.00", "currency": "USD", "payment_id": payment["id"]}
    await scripted.call_back({**said, "event_id": f"E {payment['id']}"})
    reply = await scripted.stack.visit(payment["redirect_url"])
    assert (reply.status, reply.headers["Location"].partition("?")[0]) == (303, PAID)


async def test_the_page_is_only_looked_at(scripted: ScriptedStack) -> None:
    """HEAD as GET, nothing else; a token of another purpose or payment opens nothing."""
    url = (await begun(scripted))["redirect_url"]
    async with scripted.stack.http.head(url) as reply:
        assert reply.status == 200
    async with scripted.stack.http.post(url) as reply:
        assert (reply.status, reply.headers["Allow"]) == (405, "GET,HEAD,OPTIONS")
    for other in (url.replace("/form/", "/return/"), url[:-1] + ("A" if url[-1] != "A" else "B")):
        assert (await scripted.stack.visit(other)).status == 404


BAD: dict[str, Callable[..., Any]] = {
    "a blank in the address": building(url="https://pages.outside.example/pay now"),
    "a user name": building(url="https://me@pages.outside.example/pay"),
    "a secret in a field": building({"key": KEY}),
    "a secret in base64": building({"params": base64.b64encode(f"key={KEY}".encode()).decode()}),
    "a line break": building({"note": "a\nb"}),
    "an origin with a path": building(origins=("https://api.outside.example/",)),
    "an origin that is a keyword": building(origins=("*",)),
    "money that was taken": building(stage=gateway.Stage.CAPTURED),
    "money": building(captured=gateway.Amount.read("10.00")),
}


@pytest.mark.parametrize("build", BAD.values(), ids=BAD)
async def test_a_form_that_cannot_be_used_is_told_before_anything_is_stored(
    scripted: ScriptedStack, build: Callable[..., Any]
) -> None:
    """It is the plugin's fault: 502, no payment, and the secret is nowhere."""
    scripted.provider.build = build  # type: ignore[method-assign]
    before = (await scripted.stack.call("GET", "/v1/payments?limit=1")).text
    reply = await scripted.create()
    assert (reply.status, reply.json["code"], KEY in reply.text) == (502, "provider_error", False)
    assert (await scripted.stack.call("GET", "/v1/payments?limit=1")).text == before


async def test_a_form_says_where_the_browser_comes_back(scripted: ScriptedStack) -> None:
    """The links of the payment are the customer's to follow, as they are and in the base64 of parameters."""
    fields: dict[str, str] = {}

    def build(command: gateway.CreatePayment, _: gateway.Account) -> gateway.Observation:
        links = {"ok": command.urls.return_, "ko": command.urls.cancel, "notify": command.urls.callback}
        fields.update(links, params=base64.b64encode(gateway.dumps(links)).decode())
        form = gateway.Form(TARGET, fields)
        return gateway.Observation(stage=gateway.Stage.AWAITING_CUSTOMER, form=form)

    scripted.provider.build = build  # type: ignore[method-assign,assignment]
    payment = await begun(scripted)
    async with scripted.stack.http.get(payment["redirect_url"]) as reply:
        assert Inputs(await reply.text()).fields == fields


async def test_only_a_create_may_need_no_call(scripted: ScriptedStack) -> None:
    """A capture that was not sent has not happened."""
    payment = await begun(scripted)
    said = {"stage": "authorized", "amount": "10.00", "currency": "USD", "payment_id": payment["id"]}
    await scripted.call_back({**said, "event_id": f"E {payment['id']}"})
    scripted.provider.build = lambda *_: gateway.Observation(stage=gateway.Stage.PROCESSING)  # type: ignore[method-assign]
    assert (await scripted.act(payment, "capture")).status == 502


@pytest.mark.asyncio(loop_scope="function")
@pytest.mark.parametrize("again", [True, False])
@of_sqlite
async def test_a_crash_before_the_outcome_leaves_nothing_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    """At the next start the form is made again; where the plugin cannot, the create was not sent."""

    async def died(*_: Any) -> None:
        """The process ended between the two commits."""

    async with running_scripted_stack(tmp_path) as scripted:
        scripted.provider.build = building()  # type: ignore[method-assign]
        with monkeypatch.context() as patched:
            patched.setattr(idempotency, "submit", died)
            created = await scripted.create(return_url=PAID)
        assert (created.status, created.json["operation"]["status"]) == (202, "sending")
        if not again:
            scripted.provider.build = lambda *_: None  # type: ignore[method-assign]
        await submit.resolve_interrupted(scripted.stack.gateway)
        now = await scripted.now(created.json)
        assert (now["pending_operation"], scripted.sent) == (None, [])
        if again:
            assert (now["state"], "/form/" in now["redirect_url"]) == ("awaiting_customer", True)
        else:
            assert (now["state"], now["failure"]["code"]) == ("failed", "not_sent")


async def test_the_policy_names_the_targets_as_browsers_compare_them() -> None:
    """No default port, and where the provider redirects at once, that origin as well."""
    form = gateway.Form("https://Pages.Outside.example:443/pay", {}, origins=("https://api.outside.example",))
    policy = form_page(form).headers["Content-Security-Policy"]
    assert "form-action https://pages.outside.example https://api.outside.example;" in policy
