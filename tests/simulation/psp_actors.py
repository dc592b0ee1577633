"""The actors at the PSP: customers on payment pages, the sender of callbacks, and forgers."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from random import Random

import gateway
from gateway.core.wire import Callback
from tests.simulation.cluster import Cluster
from tests.simulation.environment import Environment
from tests.simulation.fake_psp import FakePsp, Page, StatusNotice

CUSTOMER_PLANS = (
    (14, ("paid",)),
    (3, ("failed",)),
    (3, ("processing", "paid")),
    (1, ("processing", "failed")),
    (1, ("failed", "paid")),
    (2, ()),
)
MAX_TRIES = 120
"""Maximum attempts to deliver a callback."""

FORGERIES = ("other token", "no sign", "other amount", "other account")


class PspActors:
    """``visit`` sends a customer to a page."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._seen: set[str] = set()
        self.deployment: Cluster
        self.ledger: FakePsp

    def page_created(self, page: Page) -> None:
        """Let some customers pay before the gateway has the PSP's answer."""
        if self._env.dice(f"page {page.order_no}").random() < 0.15:
            self._env.spawn(self._pay(page, self._env.dice(f"payer {page.order_no}"), patience=0.3))

    def visit(self, url: str) -> None:
        """Send the customer to a page."""
        page = next(page for page in self.ledger.pages.values() if page.url == url)
        self._env.spawn(self._pay(page, self._env.dice(f"payer {page.order_no}"), patience=60))

    async def _pay(self, page: Page, dice: Random, *, patience: float) -> None:
        if page.order_no in self._seen:
            return
        self._seen.add(page.order_no)
        plan = dice.choices([plan for _, plan in CUSTOMER_PLANS], [weight for weight, _ in CUSTOMER_PLANS])[0]
        self._env.note(f"the customer of {page.order_no} goes {plan}")
        await asyncio.sleep(dice.uniform(480, 1400) if dice.random() < 0.07 else dice.uniform(0, patience))
        for state in plan:
            page.state = state
            amount = page.amount
            if state == "paid" and dice.random() < 0.03:
                amount = f"{Decimal(page.amount) - 1:.2f}"
            notice = StatusNotice(state=state, amount=amount)
            page.notices.append(notice)
            self._env.spawn(self._deliver(page, notice, dice))
            if dice.random() < self._env.rates.misuse:
                self._env.spawn(self._deliver(page, StatusNotice(state=state, amount=amount), dice))
                self._env.spawn(self._send_forgery(page, dice))
            await asyncio.sleep(dice.choice((0.0, 0.05, 5.0, 60.0)))

    async def _deliver(self, page: Page, notice: StatusNotice, dice: Random) -> None:
        """Send a callback until it is accepted or refused."""
        await asyncio.sleep(dice.choice((0.0, 0.0, 0.2, 10.0)))
        for number in range(MAX_TRIES):
            answer = await self.deployment.send_callback(_path(page), self.ledger.callback(page, notice))
            self._env.note(f"callback {page.order_no} {notice.state}: {answer.status if answer else 'no answer'}")
            if answer is not None and answer.status < 500 and answer.status != 429:
                notice.answer = answer.status
                return
            await asyncio.sleep(dice.uniform(0.5, 1.5) * min(2**number, 60))

    async def _send_forgery(self, page: Page, dice: Random) -> None:
        """Send a forged callback for a payment that was never made."""
        await asyncio.sleep(dice.uniform(0, 20))
        how = dice.choice(FORGERIES)
        forged = self._forgery(page, how)
        answer = await self.deployment.send_callback(_path(page), forged)
        self._env.note(f"forgery ({how}) of {page.order_no}: {answer.status if answer else 'no answer'}")
        if answer is not None and answer.status < 300:
            self._env.violated(f"promise 5: a forged callback ({how}) was answered {answer.status}")

    def _forgery(self, page: Page, how: str) -> Callback:
        notice = StatusNotice(state="paid", amount=page.amount)
        real = self.ledger.callback(page, notice, transaction_id="FORGED")
        body, token = real.body, real.headers[1][1]
        if how == "other token":
            token = "A" * len(token)
        elif how == "no sign":
            members = gateway.loads(body)
            body = gateway.dumps({name: value for name, value in members.items() if name != "sign"})
        elif how == "other amount":
            body = body.replace(page.amount.encode(), b"0.01")
        else:
            body = self.ledger.callback(page, notice, transaction_id="FORGED", merchant_id="somebody-else").body
        return self.ledger.posted(body, token)


def _path(page: Page) -> str:
    return f"{page.account.endpoint_id}/pay/callback"
