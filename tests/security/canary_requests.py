"""What the parts of the canary scenario share: the secrets of each party, and how to send many requests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from tests.security.canaries import spellings
from tests.security.canary_gateway import ObservedGateway

MAX_CONCURRENT_REQUESTS = 8
"""Requests in flight at a time."""

SHARES = 3
"""Each text goes into one of ``SHARES`` parts of the places around a call; the parts take turns."""

OURS = ("acme's key", "acme's expired key", "globex's key", "operators' key", "acme's webhook secret", "master")
"""Secrets between callers and the gateway."""

OF_PROVIDERS = ("token", "previous token", "another account's token", "public key", "shared secret", "callback key")
"""Secrets between providers and the gateway."""

Work = Coroutine[Any, Any, Any]


async def run_all(work: Iterable[Work]) -> None:
    """Run all of it, a few at a time."""
    free = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)

    async def one(work: Work) -> None:
        async with free:
            await work

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))


def some(work: Iterable[Work], at: int, of: int = SHARES) -> Iterator[Work]:
    """Take every ``of``-th of the works, starting at ``at``: together the texts are put in every place."""
    for number, one in enumerate(work):
        if number % of == at % of:
            yield one
        else:
            one.close()


async def create(observed: ObservedGateway, body: Any, **headers: str) -> tuple[int, Any]:
    """Create a payment under a new key."""
    keyed = {"Idempotency-Key": f"key-{uuid.uuid4().hex}", **headers}
    return await observed.call("POST", "/v1/payments", body, key="acme's key", headers=keyed)


def grouped(card: str) -> str:
    return spellings(card)[2]


def endpoint_of(observed: ObservedGateway, account: str) -> str:
    return f"/callbacks/{observed.settings.tenants['acme'].accounts[account].endpoint_id}"


def globex_token(observed: ObservedGateway) -> str:
    entry = observed.settings.tenants["globex"].accounts["psp-main"]
    token = entry.provider.credentials(entry.account)["token"]
    return token if isinstance(token, str) else token.reveal()
