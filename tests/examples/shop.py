"""A tenant of a gateway with outside plugins, and what happens at their providers: the words of the stories."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.support.stack import key_of, new_key

PATIENCE = 4.0
"""Seconds after which what does not come is a red test."""


@dataclass(frozen=True)
class Place:
    """Where the gateway and the simulators listen, by provider."""

    url: str
    simulators: dict[str, str]


@dataclass(frozen=True)
class Shop:
    """Calls as the tenant, and what happens at a provider."""

    place: Place
    http: aiohttp.ClientSession

    async def call(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call the gateway's API; status and JSON."""
        headers = {"Authorization": f"Bearer {key_of('acme')}", "Idempotency-Key": new_key()}
        async with self.http.request(method, self.place.url + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def create(self, account: str, amount: str = "10.00", currency: str = "USD", **more: Any) -> Any:
        """Create a payment that succeeds."""
        status, payment = await self.try_to_create(account, amount, currency, **more)
        assert status == 201, payment
        return payment

    async def try_to_create(self, account: str, amount: str, currency: str, **more: Any) -> tuple[int, Any]:
        """Create a payment."""
        body = {"merchant_reference": uuid.uuid4().hex[:12], "amount": amount, "currency": currency, "account": account}
        return await self.call("POST", "/v1/payments", {**body, **more})

    async def do(self, payment: Any, what: str, body: Any = None) -> tuple[int, Any]:
        """Capture, cancel, refund or sync a payment."""
        return await self.call("POST", f"/v1/payments/{payment['id']}/{what}", body or {})

    async def read(self, payment: Any) -> Any:
        """The payment as it is now."""
        return (await self.call("GET", f"/v1/payments/{payment['id']}"))[1]

    async def events(self, payment: Any) -> list[str]:
        """The types of its timeline."""
        return [one["type"] for one in (await self.call("GET", f"/v1/payments/{payment['id']}/events"))[1]["data"]]

    async def refunds(self, payment: Any) -> list[Any]:
        """Its refunds, oldest first."""
        data: list[Any] = (await self.call("GET", f"/v1/payments/{payment['id']}/refunds"))[1]["data"]
        return data

    async def until(self, payment: Any, state: str | None = None, **members: Any) -> Any:
        """Wait until the payment has no open operation and looks like this."""
        wanted = {**members, "pending_operation": None, **({"state": state} if state else {})}
        return await self.until_it(payment, lambda now: all(now.get(name) == value for name, value in wanted.items()))

    async def until_it(self, payment: Any, is_so: Callable[[Any], bool]) -> Any:
        """Wait until something is so of the payment."""
        now: Any = None
        try:
            async with asyncio.timeout(PATIENCE):
                while not is_so(now := await self.read(payment)):  # noqa: ASYNC110  # another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"it stays {json.dumps(now, indent=1)}") from None
        return now

    # What happens at a provider

    async def simulator(self, provider: str, method: str, path: str, body: Any = None) -> Any:
        """Call a simulator; its JSON."""
        async with self.http.request(method, self.place.simulators[provider] + path, json=body) as response:
            text = await response.text()
            assert response.status < 300, text
            return json.loads(text)

    async def customer(self, payment: Any, does: str = "pay", name: str = "id") -> Any:
        """Let the customer do something; what follows at once has been answered then."""
        body = {"payment_id": payment[name], "does": does}
        return await self.simulator(payment["provider"], "POST", "/_sim/customer", body)

    async def faults(self, provider: str, *faults: Any) -> None:
        """Replace a simulator's faults."""
        await self.simulator(provider, "PUT", "/_sim/faults", list(faults))

    async def pass_time(self, provider: str, period: str) -> None:
        """Move the clock of the simulator, and with it the gateway's."""
        await self.simulator(provider, "PUT", "/_sim/clock", {"advance": period})

    async def ledger(self, payment: Any, name: str = "id") -> Any:
        """The payment on the provider's books."""
        lines = await self.simulator(payment["provider"], "GET", "/_sim/ledger")
        (line,) = [one for one in lines if one["payment_id"] == payment[name]]
        return line

    async def sent(self, provider: str, path: str) -> int:
        """How many requests that change something have arrived at paths with this end."""
        seen = await self.simulator(provider, "GET", "/_sim/requests")
        return sum(1 for one in seen if one["method"] == "POST" and one["path"].endswith(path))

    async def callbacks(self, provider: str, do: str) -> list[int | None]:
        """Release, repeat or forge callbacks; how each was answered."""
        answers = await self.simulator(provider, "POST", "/_sim/callbacks", {"do": do})
        return [one["status"] for one in answers]
