"""A fake PSP: payment pages by order number, and the callbacks that report their outcome.

Its ledger records what was paid. Callbacks are signed by the published rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from gateway_psp_open_api import signature

import gateway
from gateway.core.wire import Callback, HttpRequest, HttpResponse, header
from gateway.drivers.settings import AccountEntry
from tests.simulation.environment import Environment
from tests.simulation.network import JSON
from tests.simulation.outgoing_calls import OutgoingCalls

OUTCOMES = {"failed": 0, "paid": 1, "processing": 2}
"""State of a page -> ``status`` of API-2."""


class StatusNotice(msgspec.Struct, kw_only=True):
    """A status the PSP reports until it is accepted or refused. ``answer``: the HTTP status that ended it."""

    state: str
    amount: str
    answer: int | None = None


class Page(msgspec.Struct, kw_only=True):
    """One payment page. ``by``: the operation that made it. ``notices``: each is sent until it is accepted."""

    order_no: str
    account: AccountEntry
    amount: str
    currency: str
    transaction: str
    by: str
    state: str = "pending"
    notices: list[StatusNotice] = []

    @property
    def url(self) -> str:
        """Where the customer pays."""
        return f"https://psp.example/pay/{self.transaction}"


class FakePsp:
    """The ledger. ``entries``: accounts by token. ``page_created`` is called for each new page."""

    def __init__(self, env: Environment, outgoing_calls: OutgoingCalls, entries: Mapping[str, AccountEntry]) -> None:
        self._env = env
        self._outgoing_calls = outgoing_calls
        self._entries = entries
        self._dice = env.dice("psp")
        self._last = 0
        self.pages: dict[str, Page] = {}
        self.refusals: set[str] = set()
        self.page_created: Callable[[Page], None] = lambda _page: None

    def admit(self, request: HttpRequest, *, leaves: bool) -> str:
        """Find the operation a call belongs to, before the call leaves."""
        return self._outgoing_calls.assign(str(gateway.loads(request.body)["order_no"]), "create") if leaves else ""

    def handle(self, request: HttpRequest, tag: str) -> HttpResponse:
        """API-1: the same order number gets the same page."""
        entry = self._entries[header(request.headers, "crm-pay-token")[0]]
        body = gateway.loads(request.body)
        token = entry.provider.credentials(entry.account)["token"]
        if not isinstance(token, gateway.Secret) or signature.matching(body, token) is None:
            raise AssertionError("the gateway's signature is wrong")
        known = self.pages.get(body["order_no"])
        if known is None and (tag in self.refusals or self._dice.random() < 0.05):
            self.refusals.add(tag)  # a copy of a refused request is refused as well
            return _envelope(self._dice.choice((200, 422)), {}, result=False)
        page = known or self._open(body, entry, tag)
        return _envelope(200, {"url": page.url}, result=True)

    def callback(self, page: Page, notice: StatusNotice, **changes: Any) -> Callback:
        """Return a signed API-2 callback. ``changes`` to its members are made before it is signed."""
        self._last = max(self._last + 1, int(self._env.now().timestamp() * 1000))
        credentials = page.account.provider.credentials(page.account.account)
        token = credentials["token"]
        assert isinstance(token, gateway.Secret)
        body: dict[str, Any] = {
            "merchant_id": credentials["merchant_id"],
            "order_no": page.order_no,
            "transaction_id": page.transaction,
            "amount": gateway.JsonNumber(notice.amount),
            "currency": page.currency,
            "time": gateway.JsonNumber(str(self._last)),
            "status": gateway.JsonNumber(str(OUTCOMES[notice.state])),
            **changes,
        }
        body["sign"] = signature.sign(signature.canonical(body), token)
        return self.posted(gateway.dumps(body), token.reveal())

    def posted(self, body: bytes, token: str) -> Callback:
        """Return a callback with any body and any token."""
        return Callback(
            method="POST",
            suffix="pay/callback",
            query="",
            headers=(*JSON, ("crm-pay-token", token)),
            body=body,
            remote="192.0.2.7",
            received_at=self._env.now(),
        )

    def _open(self, body: Mapping[str, Any], entry: AccountEntry, tag: str) -> Page:
        page = Page(
            order_no=body["order_no"],
            account=entry,
            amount=f"{body['amount'].decimal():.2f}",
            currency=body["currency"],
            transaction=f"T-{len(self.pages) + 1000}",
            by=tag,
        )
        self.pages[page.order_no] = page
        self.page_created(page)
        return page


def _envelope(status: int, data: dict[str, str], *, result: bool) -> HttpResponse:
    return HttpResponse(
        status=status, headers=JSON, body=msgspec.json.encode({"data": data, "result": result, "msg": "sim"})
    )
