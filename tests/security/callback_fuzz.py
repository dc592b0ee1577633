"""Mutated callbacks against a gateway in this process, each checked by a second verifier; run it to see figures."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from random import Random

from gateway.core.facts import Busy, Recorded, Repeated
from gateway.core.wire import Callback
from gateway.flows.callbacks import receive
from tests.security.psp_mutations import mutated
from tests.security.psp_verifier import Merchant, Order, Refusal, Sent, verify
from tests.support.clients.psp_callbacks import credentials
from tests.support.stack import GatewayStack, psp_body, running_stack

MERCHANT_ACCOUNTS = (("acme", "psp-main"), ("acme", "psp-second"), ("globex", "psp-main"))
LANES = 16
"""Callbacks in flight at a time, so that they share commits."""

OPEN = 2
"""Payments open at a time, per account and lane."""

SHOWN = 20
"""Callbacks printed for each kind of disagreement."""


@dataclass
class Figures:
    """The results. ``accepted`` and ``refused``: wrongly so; ``moved``: states that differ."""

    cases: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was wrong."""
        return not (self.accepted or self.refused or self.faults or self.moved)


class Fuzz:
    """The gateway, and the ledger of the second verifier."""

    def __init__(self, stack: GatewayStack, seed: int) -> None:
        self.stack, self.seed, self.figures = stack, seed, Figures()
        self.merchants = [
            Merchant(tenant, account, *credentials(stack, tenant, account)) for tenant, account in MERCHANT_ACCOUNTS
        ]
        self.orders: dict[str, Order] = {}

    async def run(self, cases: int) -> Figures:
        """Send ``cases`` callbacks and compare each verdict and each payment."""
        await asyncio.gather(*(self._lane(lane, cases // LANES) for lane in range(LANES)))
        return self.figures

    async def _lane(self, lane: int, cases: int) -> None:
        """Send callbacks one after the other; lanes share the accounts and the store, but no payment."""
        random = Random(f"{self.seed} {lane}")
        open_ = [await self._new(merchant) for merchant in self.merchants * OPEN]
        for _ in range(cases):
            at = random.randrange(len(open_))
            await self._one(open_[at], open_, random)
            if open_[at].state in ("captured", "failed") and random.random() < 0.2:
                await self._compare(open_[at])
                open_[at] = await self._new(open_[at].merchant)
        for order in open_:
            await self._compare(order)

    async def _one(self, order: Order, others: Sequence[Order], random: Random) -> None:
        now = self.stack.gateway.clock.now()
        sent = mutated(order, others, int(now.timestamp() * 1000), random)
        accepted = await self._accepts(sent)
        try:
            verify(sent, self.orders)
            reason = None
        except Refusal as refusal:
            reason = str(refusal)
        self.figures.cases += 1
        self.figures.reasons[reason or "accepted"] += 1
        if accepted and reason is not None:
            self.figures.accepted.append(f"{reason}: {sent}")
        elif accepted is False and reason is None:
            self.figures.refused.append(repr(sent))

    async def _accepts(self, sent: Sent) -> bool | None:
        """Return whether the gateway accepts it, None when it failed."""
        entry = self.stack.entry(sent.merchant.tenant, sent.merchant.account)
        callback = Callback(
            method=sent.method,
            suffix=sent.suffix,
            query="",
            headers=sent.headers,
            body=sent.body,
            remote="127.0.0.1",
            received_at=datetime.fromtimestamp(sent.at / 1000, UTC),
            config=entry.account.config,
        )
        gw = self.stack.gateway
        verdict = await receive.accept(gw, receive.verify(gw, entry, callback))
        answer = receive.answer(entry, verdict, callback)
        is_success = isinstance(verdict, Recorded | Repeated)
        self.figures.verdicts[type(verdict).__name__] += 1
        if isinstance(verdict, Busy) or answer.status >= 500 or (answer.status < 300) != is_success:
            self.figures.faults.append(f"{verdict} {answer.status}: {sent}")
            return None
        return is_success

    async def _new(self, merchant: Merchant) -> Order:
        created = await self.stack.create(psp_body(account=merchant.account), tenant=merchant.tenant)
        assert created.status == 201, created.text
        at = datetime.fromisoformat(created.json["created_at"])
        order = Order(created.json["id"], merchant, Fraction("162.48"), "USD", int(at.timestamp() * 1000))
        self.orders[order.payment_id] = order
        return order

    async def _compare(self, order: Order) -> None:
        stored = await self.stack.gateway.store.payment(order.merchant.tenant, order.payment_id)
        assert stored is not None
        state = str(stored.payment.state).replace("awaiting_customer", "waiting")
        if state != order.state or stored.payment.provider_reference != order.transaction_id:
            self.figures.moved.append(f"{state} {stored.payment.provider_reference}, expected {order}")


async def fuzz(folder: Path, *, cases: int, seed: int) -> Figures:
    """Run in a folder of its own."""

    def second_account(settings: dict[str, dict[str, dict[str, dict[str, dict[str, dict[str, str]]]]]]) -> None:
        acme = settings["tenants"]["acme"]
        acme["accounts"]["psp-second"] = {**acme["accounts"]["psp-main"], "fields": {}}
        acme["deposit_methods"]["second"] = {"label": {"en": "Second"}, "account": "psp-second"}  # type: ignore[dict-item]
        for tenant in settings["tenants"].values():
            del tenant["webhook"]

    async with running_stack(folder, change=second_account) as stack:
        return await Fuzz(stack, seed).run(cases)


def main() -> int:
    """Send ``--cases`` callbacks and print the results; return 1 if anything was wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    logging.disable(logging.CRITICAL)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(fuzz(Path(folder), cases=chosen.cases, seed=chosen.seed))
    print(f"{found.cases} callbacks of seed {chosen.seed} in {time.monotonic() - began:.0f} s")
    for title, counts in (("the gateway", found.verdicts), ("the second verifier", found.reasons)):
        print(f"{title}: {', '.join(f'{name} {count}' for name, count in counts.most_common())}")
    for title in ("accepted", "refused", "faults", "moved"):
        wrong = getattr(found, title)
        print(f"wrongly {title}: {len(wrong)}", *wrong[:SHOWN], sep="\n  ")
    return 0 if found.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
