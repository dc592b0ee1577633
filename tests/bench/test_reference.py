"""The reference does the job that it is compared for: a repeated request, a wrong signature, every row."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from bench import stored
from bench.machine import free_port
from bench.psp_callbacks import line
from bench.settings import TENANT_KEYS
from bench.yardsticks import TENANTS, Reference

testclient = pytest.importorskip("fastapi.testclient", reason="the extra of make bench is not installed")

BODY = {
    "merchant_reference": "a-1",
    "amount": "162.48",
    "currency": "USD",
    "deposit_method": "bank",
    "customer": {
        "id": "C-1",
        "name": "Dana Reyes",
        "email": "dana@reyes.example",
        "phone": "+1 253 555 0142",
        "nationality": "us",
        "language": "en-us",
        "device": "pc",
    },
}


@pytest.mark.parametrize("variant", ["usual", "tuned"])
async def test_a_payment_and_its_callback(tmp_path: Path, variant: str) -> None:
    """Both variants store the same rows; a wrong signature stores nothing, a repeated request repeats the answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"data": {"url": "https://pay.example/page"}})

    provider = web.Application()
    provider.router.add_post("/pay/url", answer)
    runner = web.AppRunner(provider)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        await asyncio.to_thread(pay_and_call_back, variant, port, tmp_path / "a.db")
    finally:
        await runner.cleanup()
    found = stored.count(tmp_path / "a.db", Reference.counts)
    stored.check(found, payments=range(1, 2), callbacks=range(1, 2))


def pay_and_call_back(variant: str, provider_port: int, database: Path) -> None:
    """One payment twice, one callback three times: spoilt, right, repeated."""
    from bench.reference.app import make_app

    headers = {"Authorization": f"Bearer {TENANT_KEYS['acme']}", "Idempotency-Key": "key-of-acme"}
    with testclient.TestClient(make_app(variant, provider_port, str(database))) as client:
        first, again = (client.post("/v1/payments", json=BODY, headers=headers) for _ in range(2))
        assert (first.status_code, again.json()) == (201, first.json())
        path, token, said = line(TENANTS["acme"].account, first.json()["id"]).strip().split("\t")
        for body, status in ((said.replace("162.48", "1.00"), 401), (said, 204), (said, 204)):
            headers = {"Content-Type": "application/json", "crm-pay-token": token}
            assert client.post(path, content=body, headers=headers).status_code == status
