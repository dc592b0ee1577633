"""What a simulator of a provider has and knows, without the web application around it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Generic

from aiohttp import web

import gateway
from gateway.testing.simulator.call import Call, routes_of
from gateway.testing.simulator.clock import MovableClock
from gateway.testing.simulator.faults import Fault, Faults
from gateway.testing.simulator.ledger import Ledger, P, Refusal, SimulatedPayment
from gateway.testing.simulator.outbox import Answered, Outbox
from gateway.testing.simulator.tokens import Repeats, Tokens

Accounts = Mapping[str, gateway.SimulatedAccount]
CUSTOMER = "customer"
"""The operation of callbacks that no call caused."""


class SimulatorBase(Generic[P]):
    """The books and switches of a simulator, and what an author may write and use."""

    provider: ClassVar[str]
    port: ClassVar[int]
    title: ClassVar[str] = ""
    payment_type: ClassVar[type[Any]] = SimulatedPayment
    fault_type: ClassVar[type[Any]] = Fault
    many_captures: ClassVar[bool] = False
    operations: ClassVar[frozenset[str]] = frozenset()
    """Further names of operations, where a route's path has a part ``{operation}``."""
    page_path: ClassVar[str] = "/pay/{id}"
    buttons: ClassVar[Mapping[str, tuple[str, str]]] = {"pay": ("Pay", "pay"), "decline": ("Decline", "decline")}
    """Buttons of the page: the word in its path, its label, and what the customer ``does``."""
    words: ClassVar[Mapping[str, str]] = {}
    """The provider's own word for each state of a payment, where it differs."""

    def __init__(self, accounts: Accounts) -> None:
        self.accounts = accounts
        self.clock = MovableClock()
        self.routes = routes_of(self)
        self.requests: list[dict[str, Any]] = []
        self.ledger: Ledger[P] = Ledger(self.payment_type, self.now, many_captures=self.many_captures)
        self.faults: Faults[Any] = Faults(self.fault_type, {*self.routes, *self.operations, CUSTOMER})
        self.tokens = Tokens(self.now)
        self.outbox = Outbox()
        self._repeats = Repeats()
        self._sending: set[asyncio.Task[None]] = set()

    def now(self) -> datetime:
        """The time of the clock; a gateway beside it shares its own."""
        return self.clock.now()

    # What an author may write

    def callback(self, payment: P, what: str) -> gateway.HttpRequest | None:  # noqa: ARG002  # for a subclass
        """The signed callback about a payment after ``what`` happened; None: the provider sends none."""
        return None

    def refused(self, refusal: Refusal) -> web.Response:
        """A refusal in the provider's words."""
        return web.json_response({"error": refusal.code}, status=refusal.status)

    def act(self, payment: P, does: str) -> None:
        """What the customer does: pay, pay_less, decline, pend or abandon. Raises ``Refusal``."""
        if does == "pay":
            self.ledger.pay(payment)
        elif does == "pay_less":
            self.ledger.pay_less(payment)
        elif does == "decline":
            self.ledger.decline(payment)
        elif does == "pend":
            payment.state = "processing"
        elif does != "abandon":
            raise Refusal(400, f'"{does}" is not one of pay, pay_less, decline, pend, abandon')

    def back(self, payment: P, does: str) -> str | gateway.Form | None:
        """Where the browser goes after that: an address, a form that it posts, or nowhere."""
        return payment.return_url if does.startswith("pay") else payment.cancel_url or payment.return_url

    def pressed(self, said: dict[str, Any]) -> dict[str, Any]:
        """What a button answers where JSON is accepted."""
        return said

    def finished(self, call: Call, answer: web.Response) -> web.Response:  # noqa: ARG002  # for a subclass
        """The last look at an answer before it leaves."""
        return answer

    def describe(self, payment: P) -> str:
        """One line of the page about a payment."""
        return f"{payment.id}: {payment.asked} {payment.currency}, {payment.state}"

    def orders(self) -> Any:
        """What ``GET /_sim/orders`` shows: the payments with all their members."""
        return list(self.ledger)

    # What an author may use

    def owner(self, is_theirs: Callable[[gateway.SimulatedAccount], bool]) -> str:
        """The key of the account that a call belongs to. Raises ``Refusal`` 401 if it is nobody's."""
        for key, one in self.accounts.items():
            if is_theirs(one):
                return key
        raise Refusal(401, "unauthorized")

    def named(self, owner: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """A body by the names of the canonical fields; an account may have its own wire keys."""
        return {field.name: body.get(field.key) for field in self.accounts[owner].account.fields.fields}

    def word(self, payment: P, call: Call | None = None) -> str:
        """The provider's word for a payment's state, or the one of the fault that a call meets."""
        own = self.words.get(payment.state, payment.state)
        return (call and call.fault.status_word) or own

    def page_url(self, call: Call, payment: P) -> str:
        """The address of a payment's page."""
        return call.origin + self.page_path.replace("{id}", payment.id)

    async def notify(self, payment: P, what: str, call: Call | None = None) -> list[Answered]:
        """Send the callback of a payment now, unless a fault holds it."""
        return [await self.outbox.send(number) for number in self._outgoing(payment, what, call)]

    async def customer(self, payment: P, does: str, call: Call | None = None) -> dict[str, Any]:
        """Let the customer do something and send what follows. Raises ``Refusal``."""
        self.act(payment, does)
        answered = [] if does == "abandon" else await self.notify(payment, does, call)
        return {
            "payment_id": payment.payment_id,
            "state": payment.state,
            "callbacks": answered,
            "redirect": self.back(payment, does),
        }

    def line(self, payment: P) -> dict[str, Any]:
        """A payment as ``GET /_sim/ledger`` shows it; amounts are decimal text in major units."""
        totals = {"asked": payment.asked, "captured": payment.captured, "refunded": payment.refunded}
        return {
            "payment_id": payment.payment_id,
            "currency": payment.currency,
            "state": payment.state,
            **{name: format(amount, "f") for name, amount in totals.items()},
            "effects": payment.effects,
        }

    # Callbacks

    def _outgoing(self, payment: Any, what: str, call: Call | None) -> list[int]:
        """Make the callbacks of an event, which a call may have caused; returns the numbers of those that leave now."""
        fault: Fault = call.fault if call is not None else self.fault_type()
        if not fault.concerns(callbacks=True):
            fault = self.faults.meet(CUSTOMER if call is None else call.operation, callbacks=True)
        made = [self.callback(payment, what) for _ in range(2 if fault.duplicate_callback else 1)]
        numbers = [self.outbox.add(payment.id, one) for one in made if one is not None]
        return [] if fault.hold_callbacks else numbers

    async def _send(self, numbers: list[int]) -> None:
        for number in numbers:
            await self.outbox.send(number)

    def _send_after(self, numbers: list[int]) -> None:
        task = asyncio.create_task(self._send(numbers))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def sent(self) -> None:
        """Wait for the callbacks that follow an answer."""
        await asyncio.gather(*self._sending)
