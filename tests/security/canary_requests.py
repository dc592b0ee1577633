"""What the chapters of the canaries' story share: whose secrets there are, and how requests are made in numbers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterable, Iterator
from typing import Any

from tests.security.canaries import spellings
from tests.security.canary_gateway import ObservedGateway

AT_ONCE = 8
"""Requests under way at a time."""

SHARES = 3
"""Of the places around a call each text is written into a share; the shares take turns."""

OURS = ("acme's key", "acme's expired key", "globex's key", "operators' key", "acme's webhook secret", "master")
"""Secrets between callers and us."""

OF_PROVIDERS = ("token", "previous token", "another account's token", "public key", "shared secret", "callback key")
"""Secrets between providers and us."""

Work = Coroutine[Any, Any, Any]


async def run_all(work: Iterable[Work]) -> None:
    """Do all of it, a few at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(work: Work) -> None:
        async with free:
            await work

    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))


def some(work: Iterable[Work], at: int, of: int = SHARES) -> Iterator[Work]:
    """Every so many of the works, others for each ``at``: together the texts stand in every place."""
    for number, one in enumerate(work):
        if number % of == at % of:
            yield one
        else:
            one.close()


async def create(observed: ObservedGateway, body: Any, **headers: str) -> tuple[int, Any]:
    """Create a payment under a fresh key."""
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
