"""What the forms of the page do: a tenant's call, the customer, a callback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import aiohttp

from gateway.core.commands import CreatePayment
from gateway.core.errors import GatewayError
from gateway.core.facts import Stage
from gateway.core.money import Amount, Money
from gateway.core.wire import HttpRequest
from gateway.flows.plugin import calls as plugin_calls
from gateway.provider import CallbackDraft
from gateway.testing.calls import Outcome
from gateway.testing.conform.testbed import StoryFailed, create_body
from gateway.testing.render import received_of
from gateway.testing.samples import SampleCallback
from gateway.testing.workbench.benches import Bench

CHANGES: Mapping[str, tuple[str, str, str]] = {
    "lookup": ("FetchPayment", "POST", "/sync"),
    "capture": ("CapturePayment", "POST", "/capture"),
    "update": ("UpdatePayment", "PATCH", ""),
    "cancel": ("CancelPayment", "POST", "/cancel"),
    "refund": ("RefundPayment", "POST", "/refunds"),
}
"""The command of a form, and the tenant's call that gives it."""

WITH_AMOUNT = ("capture", "update", "refund")
"""Forms with an amount; where it is empty it is everything."""


class Presses:
    """The forms, for the last payment that was created. ``note``: what the last press came to."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.bed = bench, bench.bed
        self.payment: Any = None
        self.note = ""

    def forms(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Each form with its inputs, for what the provider can do."""
        body = create_body(self.bed.entry)
        fields = {f"field.{name}": value for name, value in body["fields"].items()}
        yield "create", {"amount": body["amount"], "currency": body["currency"], **fields}
        if self.payment is None:
            return
        if not self.bench.is_real:
            yield "customer", {"does": "pay"}
            yield "later", {"minutes": "2"}
        for name, (command, *_) in CHANGES.items():
            if command in self.bed.commands:
                yield name, {"amount": ""} if name in WITH_AMOUNT else {}
        if "CompletePayment" in self.bed.commands:
            yield "complete", {}
        if hasattr(self.bed.entry.provider, "sign_callback"):
            yield "signed callback", {"stage": "captured"}
        yield "callback", {"method": "POST", "suffix": "", "query": "", "headers": "", "body": ""}

    async def press(self, what: str, form: Mapping[str, str]) -> None:
        """Do what a form says; what does not work is the note."""
        known = dict(self.forms())
        self.note = what
        try:
            if what not in known:
                self.note = f"{what}: not one of {', '.join(sorted(known))}"
                return
            form = {**known[what], **form}
            if what in CHANGES:
                await self._change(what, form)
            else:
                await getattr(self, f"_{what.replace(' ', '_')}")(form)
        except (GatewayError, StoryFailed, aiohttp.ClientError, TimeoutError, ValueError, ArithmeticError) as problem:
            self.note = f"{what}: {type(problem).__name__}: {problem}"

    async def payment_now(self) -> Any:
        """The payment as the gateway has it."""
        return self.payment and await self.bed.payment(self.payment)

    async def _create(self, form: Mapping[str, str]) -> None:
        body = create_body(self.bed.entry)
        body |= {"amount": form["amount"], "currency": form["currency"]}
        body["fields"] = {name: form[f"field.{name}"] for name in body["fields"]}
        if body["amount"] != create_body(self.bed.entry)["amount"]:
            del body["order"]  # its charges come to another amount
        said = await self._api("POST", "/v1/payments", body)
        self.payment = said if "merchant_reference" in said else self.payment

    async def _change(self, what: str, form: Mapping[str, str]) -> None:
        _, method, path = CHANGES[what]
        amount = {"amount": form["amount"]} if form.get("amount") else {}
        await self._api(method, f"/v1/payments/{self.payment['id']}{path}", amount)

    async def _api(self, method: str, path: str, body: Any) -> Any:
        said = await self.bed.api(method, path, body)
        self.bench.recorder.add("tenant", (f"{method} {path}", body), Outcome(value=said))
        return said

    async def _customer(self, form: Mapping[str, str]) -> None:
        await self.bed.customer(await self.payment_now(), form["does"])

    async def _later(self, form: Mapping[str, str]) -> None:
        self.bed.clock.advance(timedelta(minutes=float(form["minutes"])))

    async def _complete(self, _: Mapping[str, str]) -> None:
        """Visit the address at which the customer's browser comes back to be completed."""
        created = [step.given[0] for step in self.bench.recorder.steps.values() if step.member == "build"]
        urls = next(one.urls for one in reversed(created) if isinstance(one, CreatePayment))
        path = self.bed.entry.callback_path + urls.complete.partition(self.bed.entry.callback_path)[2]
        await self._send(HttpRequest(method="GET", url=self.bed.proxies.gateway + path))

    async def _signed_callback(self, form: Mapping[str, str]) -> None:
        now, entry = await self.payment_now(), self.bed.entry
        digits = entry.account.digits(now["currency"])
        draft = CallbackDraft(
            payment_id=now["id"],
            money=Money.of(Amount.read(now["amount"]), now["currency"], digits),
            stage=Stage(form["stage"]),
            at=self.bed.clock.now(),
            provider_reference=now["provider_reference"],
        )
        url = self.bed.proxies.gateway + entry.callback_path
        await self._send(plugin_calls.sign_callback(self.bed.server.gateway.settings, entry, draft, url))

    async def _callback(self, form: Mapping[str, str]) -> None:
        """Send what was written, its placeholders and HMACs filled in as in samples, with this payment's ids."""
        now = await self.payment_now()
        texts = {name: form[name] for name in ("suffix", "query", "headers", "body")}
        for name in ("payment_id", "merchant_reference", "provider_reference"):
            value = now["id" if name == "payment_id" else name] or ""
            texts = {key: text.replace(f"${{{name}}}", value) for key, text in texts.items()}
        lines = [line.partition(":") for line in texts["headers"].splitlines() if line.strip()]
        headers = [(name.strip(), value.strip()) for name, _, value in lines]
        sample = SampleCallback(
            gives=None,
            method=form["method"],
            suffix=texts["suffix"],
            query=texts["query"],
            headers=headers,
            body=texts["body"],
        )
        made = received_of(sample, self.bed.entry.account)
        path = f"{self.bed.entry.callback_path}/{made.suffix}".rstrip("/")
        url = f"{self.bed.proxies.gateway}{path}" + (f"?{made.query}" if made.query else "")
        await self._send(HttpRequest(method=made.method, url=url, headers=made.headers, body=made.body))

    async def _send(self, request: HttpRequest) -> None:
        status = await self.bed.proxies.send(request)
        self.note = f"the gateway answered the callback with {status}"
