"""One payment, or one callback, at a time: where ``wrk`` cannot follow what happens to it afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from bench import psp_callbacks
from bench.contestant import Contestant
from bench.settings import TENANT_KEYS
from bench.wrk import WrongAnswer


class Client:
    """A tenant and its PSP, both in this process."""

    def __init__(self, contestant: Contestant, http: aiohttp.ClientSession) -> None:
        self._contestant, self._http = contestant, http
        self._url = f"http://127.0.0.1:{contestant.port}"

    async def pay(self, tenant: str, reference: str, idempotency_key: str, **members: Any) -> str:
        """Create a payment; return its id. ``members`` replace those of the body. Raises ``WrongAnswer``."""
        body = {**create_body(reference), **members}
        headers = {"Authorization": f"Bearer {TENANT_KEYS[tenant]}", "Idempotency-Key": idempotency_key}
        async with self._http.post(f"{self._url}/v1/payments", json=body, headers=headers) as answer:
            if answer.status != 201:
                raise WrongAnswer(f"{answer.status} {await answer.text()}")
            self._contestant.payments += 1
            return str((await answer.json())["id"])

    async def call_back(self, tenant: str, payment: str, transaction: str, **members: Any) -> None:
        """Report a payment as captured. ``members`` replace those of the callback. Raises ``WrongAnswer``."""
        account = self._contestant.accounts[tenant]
        headers = {"Content-Type": "application/json", "crm-pay-token": account.token}
        body = psp_callbacks.body(account, payment, transaction, **members)
        async with self._http.post(self._url + psp_callbacks.path(account), data=body, headers=headers) as answer:
            if answer.status != 204:
                raise WrongAnswer(f"{answer.status} {await answer.text()}")
            self._contestant.callbacks += 1


@contextlib.asynccontextmanager
async def client(contestant: Contestant) -> AsyncIterator[Client]:
    """A client for the time of the block."""
    async with aiohttp.ClientSession() as http:
        yield Client(contestant, http)


def create_body(reference: str) -> dict[str, Any]:
    """The body that ``load/payments.lua`` sends."""
    return {
        "merchant_reference": reference,
        "amount": "162.48",
        "currency": "USD",
        "deposit_method": "bank",
        "customer": {
            "id": f"C-{reference}",
            "name": "Dana Reyes",
            "email": "dana@reyes.example",
            "phone": "+1 253 555 0142",
            "nationality": "us",
            "language": "en-us",
            "device": "pc",
        },
        "metadata": {"warehouse": "north"},
    }
