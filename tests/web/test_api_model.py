"""Long random conversations with the HTTP API, each step predicted by a small model of what a tenant may expect."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Awaitable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.api_model import Answer, Model, Paid
from tests.support.stack import GatewayStack, Reply, creditkey_body, order_of, psp_body, running_stack

T = TypeVar("T")

SYNCS = 5
"""How often one payment may be synced without waiting: more would make the model depend on time."""

OPERATIONS = {"capture": "confirm_order", "update": "update_order", "cancel": "cancel_order", "refund": "refund"}
"""Credit Key's word for each command."""

BAD_CREATES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"amount": "0"}, "validation_failed"),
    ({"amount": "-1.00"}, "validation_failed"),
    ({"amount": "1.001"}, "validation_failed"),
    ({"amount": "1e3"}, "validation_failed"),
    ({"amount": None}, "validation_failed"),
    ({"amout": "1.00"}, "validation_failed"),
    ({"merchant_reference": ""}, "validation_failed"),
    ({"return_url": "https://elsewhere.example/"}, "validation_failed"),
    ({"currency": "XQQ"}, "currency_not_supported"),
    ({"account": "nobody"}, "unknown_account"),
    ({"deposit_method": "nothing", "account": None}, "deposit_method_not_found"),
    ({"metadata": {"note": "4242 4242 4242 4242"}}, "card_data_refused"),
)
"""What is changed in a body that would be taken, and the code of its refusal."""

SELDOM = st.sampled_from([False, False, False, True])
DOLLARS = st.integers(20000, 200000).map(lambda cents: Decimal(cents) / 100)
WHICH = st.integers(0, 99)
SHARES = st.sampled_from([None, *map(Decimal, ("1.01", "0.5", "1", "0.25", "1.01"))])
CHANGES = st.sampled_from([Decimal(text) for text in ("-50.00", "0.00", "0.01", "99.99", "100.00", "100.01", "5000")])


class Taken(NamedTuple):
    """A request that made an operation, and how it was answered."""

    method: str
    path: str
    body: Any
    key: str
    reply: Reply


class Conversation(RuleBasedStateMachine):
    """One tenant talks to a gateway of its own; customers and the simulators do what they like in between."""

    engine, conversations = "sqlite", 25

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.open = contextlib.AsyncExitStack()
        folder = self.open.enter_context(tempfile.TemporaryDirectory())
        self.stack: GatewayStack = self.do(
            self.open.enter_async_context(running_stack(Path(folder), engine=self.engine))
        )
        self.model = Model()
        self.taken: list[Taken] = []
        self.keys: list[str] = []
        """Keys of requests that were refused: they are as good as new."""
        self.keys_made = 0
        self.created: dict[str, Any] = {}
        """First answers by payment: a page may be used again when its payment shows it no longer."""
        self.touched: Paid | None = None

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:  # what failed before is what is to be told
                for paid in self.model.payments:
                    self.check_one(paid)
                    self.check_strangers(paid)
        finally:
            self.do(self.open.aclose())
            self.runner.close()

    def do(self, work: Awaitable[T]) -> T:
        """Let the stack run until this is done."""

        async def until_done() -> T:
            return await work

        return self.runner.run(until_done())

    # what the tenant does

    @initialize(amount=DOLLARS, lower=DOLLARS)
    def begins(self, amount: Decimal, lower: Decimal) -> None:
        """Something to talk about: each provider, and credit that is approved, captured, or neither."""
        self.creates("creditkey", 1, amount)
        self.customer_approves(0, comes_back=True)
        self.creates("creditkey", 2, lower)
        self.customer_approves(1, comes_back=True)
        self.change(self.one(1), "capture", {}, self.model.capture(self.one(1), None, declines=False))
        self.creates("creditkey", 3, lower)
        self.creates("psp_open_api", 1, amount)

    @rule(provider=st.sampled_from(["creditkey", "psp_open_api"]), number=st.integers(1, 4), amount=DOLLARS)
    def creates(self, provider: str, number: int, amount: Decimal) -> None:
        """A payment under one of a few references."""
        expected, paid = self.model.create(provider, f"R-{number}", amount)
        reply = self.ask("POST", "", _create_body(provider, f"R-{number}", amount), expected)
        assert paid is not None
        if expected.is_taken:
            paid.id = reply.json["id"]
            self.created[paid.id] = reply.json
            self.check_view(paid, reply.json)
        else:
            assert reply.json["payment_id"] == paid.id
        self.touched = paid

    @rule(bad=st.sampled_from(BAD_CREATES), amount=DOLLARS)
    def creates_badly(self, bad: tuple[dict[str, Any], str], amount: Decimal) -> None:
        """A body with one mistake."""
        change, code = bad
        body = {**_create_body("psp_open_api", "R-bad", amount), **change}
        self.ask("POST", "", body, Answer(422, code))

    @precondition(lambda self: self.taken)
    @rule(which=WHICH)
    def repeats(self, which: int) -> None:
        """The same request under the same key: the same answer, byte for byte."""
        old = self.taken[which % len(self.taken)]
        reply = self.call(old.method, old.path, old.body, old.key)
        assert (reply.status, reply.text) == (old.reply.status, old.reply.text)
        assert reply.headers["Idempotency-Replayed"] == "true"

    @precondition(lambda self: self.taken)
    @rule(which=WHICH, amount=DOLLARS)
    def reuses_a_key(self, which: int, amount: Decimal) -> None:
        """Another body under the key of a request that was taken."""
        old = self.taken[which % len(self.taken)]
        reply = self.call(old.method, old.path, {**old.body, "amount": f"{amount + 5000:.2f}"}, old.key)
        assert (reply.status, reply.json["code"]) == (422, "idempotency_key_reused")

    @precondition(lambda self: self.model.payments)
    @rule(which=WHICH, share=SHARES, declines=SELDOM)
    def captures(self, which: int, share: Decimal | None, declines: bool) -> None:
        """All, a part, or more than there is."""
        paid = self.likely(which, "authorized")
        amount = _part(paid.amount, share)
        expected = self.model.capture(paid, amount, declines=declines)
        self.change(paid, "capture", _amount(amount), expected)

    @precondition(lambda self: self.model.payments)
    @rule(which=WHICH, change=CHANGES, with_charges=st.sampled_from([True, True, False]), declines=SELDOM)
    def updates(self, which: int, change: Decimal, with_charges: bool, declines: bool) -> None:
        """Less, the same, more, the most, and more than that."""
        paid = self.likely(which, "awaiting_customer", "authorized")
        amount = paid.accepted + change
        expected = self.model.update(paid, amount, with_charges=with_charges, declines=declines)
        charges = {"order": {"charges": order_of(f"{amount:.2f}")["charges"]}} if with_charges else {}
        reply = self.change(paid, "update", {**_amount(amount), **charges}, expected)
        if expected.says == "increase_over_limit":
            assert [alert["code"] for alert in reply.json["alerts"]] == ["increase_over_limit"]

    @precondition(lambda self: self.model.payments)
    @rule(which=WHICH, declines=SELDOM)
    def cancels(self, which: int, declines: bool) -> None:
        """Give a payment up."""
        paid = self.one(which)
        self.change(paid, "cancel", {}, self.model.cancel(paid, declines=declines))

    @precondition(lambda self: self.model.payments)
    @rule(which=WHICH, share=SHARES, declines=SELDOM)
    def refunds(self, which: int, share: Decimal | None, declines: bool) -> None:
        """What is left, a part of it, or more."""
        paid = self.likely(which, "captured", "partially_refunded")
        amount = _part(paid.left or Decimal(10), share)
        expected = self.model.refund(paid, amount, declines=declines)
        self.change(paid, "refund", _amount(amount), expected)

    @precondition(lambda self: any(paid.syncs < SYNCS for paid in self.model.payments))
    @rule(which=WHICH)
    def syncs(self, which: int) -> None:
        """Ask the provider now."""
        paid = self.one(which, [paid for paid in self.model.payments if paid.syncs < SYNCS])
        paid.syncs += 1
        expected = self.model.sync(paid)
        reply = self.call("POST", f"/{paid.id}/sync", {}, None)
        assert Answer(reply.status, reply.json.get("code")) == expected
        if expected.status == 200:
            self.check_view(paid, reply.json)

    # what happens elsewhere

    @precondition(lambda self: self.of("creditkey"))
    @rule(which=WHICH, comes_back=st.booleans())
    def customer_approves(self, which: int, comes_back: bool) -> None:
        """At Credit Key's page; the browser comes back or does not."""
        paid = self.one(which, self.of("creditkey"))
        self.model.approve(paid)
        page = self.do(self.stack.call_provider("creditkey", "POST", f"/checkout/{self.reference_of(paid)}/approve"))
        assert page.status == (409 if paid.state == "canceled" else 200)
        if comes_back and page.status == 200:
            self.browser_comes(paid, page.json["redirect"])

    @precondition(lambda self: self.of("creditkey"))
    @rule(which=WHICH)
    def customer_declines(self, which: int) -> None:
        """The browser comes to the cancel address, which proves nothing."""
        paid = self.one(which, self.of("creditkey"))
        page = self.do(self.stack.call_provider("creditkey", "POST", f"/checkout/{self.reference_of(paid)}/decline"))
        self.browser_comes(paid, page.json["redirect"])

    @precondition(lambda self: self.of("psp_open_api"))
    @rule(which=WHICH, button=st.sampled_from(["pay", "pay", "fail", "pending"]))
    def customer_pays(self, which: int, button: str) -> None:
        """Pay, fail or wait at the PSP's page, as often as one likes; each time there is a callback."""
        paid = self.one(which, self.of("psp_open_api"))
        told = self.do(self.stack.click(self.created[paid.id], button)).json
        assert told["status"] == self.model.pressed(paid, button), told

    # what must always hold

    @invariant()
    def the_list_is_the_model(self) -> None:
        """Every payment, newest first, exactly as the model has it; the one that was touched from all sides."""
        shown = self.call("GET", "?limit=200", None, None).json
        assert shown["next_cursor"] is None
        assert [_known(view) for view in shown["data"]] == [paid.view() for paid in reversed(self.model.payments)]
        if self.touched is not None:
            self.check_one(self.touched)

    def check_one(self, paid: Paid) -> None:
        """Timeline without gaps, refunds within what was captured."""
        events = self.call("GET", f"/{paid.id}/events", None, None).json["data"]
        assert [event["version"] for event in events] == list(range(1, paid.version + 1))
        assert events[-1]["state_after"] == paid.state
        refunds = self.call("GET", f"/{paid.id}/refunds", None, None).json["data"]
        assert [(one["amount"], one["status"]) for one in refunds] == paid.refunds
        given = sum((Decimal(one["amount"]) for one in refunds if one["status"] == "succeeded"), Decimal(0))
        assert given == paid.refunded <= paid.captured

    def check_strangers(self, paid: Paid) -> None:
        """Another tenant sees and changes nothing of it."""
        for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/capture")):
            key = None if method == "GET" else "key-of-globex"
            body: Any = None if method == "GET" else {}
            reply = self.call(method, f"/{paid.id}{path}", body, key, tenant="globex")
            assert (reply.status, reply.json["code"]) == (404, "not_found")

    def check_view(self, paid: Paid, view: Any) -> None:
        """A shown payment is the model's."""
        assert _known(view) == paid.view()

    # how it is done

    def change(self, paid: Paid, command: str, body: Any, expected: Answer) -> Reply:
        """Ask for a change of a payment; where the provider is to decline it, it is told so."""
        if expected.is_taken and expected.says == "declined":
            fault = {"operation": OPERATIONS[command], "status": 400, "times": 1}
            self.do(self.stack.faults("creditkey", **fault))
        method, path = {"update": ("PATCH", ""), "refund": ("POST", "/refunds")}.get(command, ("POST", f"/{command}"))
        reply = self.ask(method, f"/{paid.id}{path}", body, expected)
        if expected.is_taken:
            self.check_view(paid, reply.json.get("payment", reply.json))
        return reply

    def ask(self, method: str, path: str, body: Any, expected: Answer) -> Reply:
        """A changing request under a new key, or under one whose request was refused."""
        key = self.keys.pop() if self.keys else self.new_key()
        reply = self.call(method, path, body, key)
        said = reply.json
        says = said.get("operation", said)["status"] if reply.status < 300 else said["code"]
        assert Answer(reply.status, says) == expected, reply.text
        if expected.is_taken:
            self.taken.append(Taken(method, path, body, key, reply))
        else:
            self.keys.append(key)
        return reply

    def call(self, method: str, path: str, body: Any, key: str | None, tenant: str = "acme") -> Reply:
        """One call below /v1/payments."""
        return self.do(self.stack.call(method, f"/v1/payments{path}", body, tenant=tenant, key=key))

    def browser_comes(self, paid: Paid, url: str) -> None:
        """A browser is sent on to the tenant with what is known by then."""
        self.model.looked_at(paid)
        page = self.do(self.stack.visit(url))
        query = parse_qs(urlsplit(page.headers["Location"]).query)
        assert (page.status, query["state"], query["payment_id"]) == (303, [paid.state], [paid.id])

    def reference_of(self, paid: Paid) -> str:
        """Credit Key's key of a payment."""
        return str(self.do(self.stack.payment(paid.id))["provider_reference"])

    def new_key(self) -> str:
        """A key nobody has used."""
        self.keys_made += 1
        return f"key-{self.keys_made:08}"

    def of(self, provider: str) -> list[Paid]:
        """The payments at one provider."""
        return [paid for paid in self.model.payments if paid.provider == provider]

    def likely(self, which: int, *states: str) -> Paid:
        """Mostly one at Credit Key in one of these states, where there is one; else any."""
        fitting = [paid for paid in self.of("creditkey") if paid.state in states]
        return self.one(which, fitting if fitting and which % 4 else None)

    def one(self, which: int, among: list[Paid] | None = None) -> Paid:
        """One of the payments, which is then looked at from all sides."""
        found = self.model.payments if among is None else among
        self.touched = found[which % len(found)]
        return self.touched


def _create_body(provider: str, reference: str, amount: Decimal) -> dict[str, Any]:
    text = f"{amount:.2f}"
    if provider == "creditkey":
        return creditkey_body(merchant_reference=reference, amount=text, order=order_of(text))
    return psp_body(merchant_reference=reference, amount=text)


def _part(whole: Decimal, share: Decimal | None) -> Decimal | None:
    return None if share is None else max(Decimal("0.01"), (whole * share).quantize(Decimal("0.01")))


def _amount(amount: Decimal | None) -> dict[str, str]:
    return {} if amount is None else {"amount": f"{amount:.2f}"}


def _known(view: Any) -> dict[str, Any]:
    """The members of a shown payment that the model predicts."""
    reason = view["review"] and view["review"]["reason"]
    return {name: view[name] for name in Paid("creditkey", "", Decimal(0)).view()} | {"review": reason}


class ConversationOnPostgresql(Conversation):
    """The same over the other engine."""

    engine, conversations = "postgresql", 10


@pytest.mark.parametrize("conversation", [Conversation, ConversationOnPostgresql])
def test_the_api_does_what_the_model_says(conversation: type[Conversation]) -> None:
    """Status, code, state, amounts and version of every answer are as predicted, and so is the list after it."""
    run_state_machine_as_test(
        conversation,
        settings=settings(
            derandomize=True,
            deadline=None,
            database=None,
            max_examples=conversation.conversations,
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )
