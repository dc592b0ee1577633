"""An event names the request that caused it: a tenant's, a provider's, an operator's; the gateway's own has none."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.support.cli import run
from tests.support.clients.psp_callbacks import call_back, change_store, expire
from tests.support.stack import GatewayStack, psp_body, running_stack
from tests.web.admin.test_reviews import REASON, desk, with_key


async def ids_of(stack: GatewayStack, payment_id: str) -> list[tuple[str, str | None]]:
    """Cause and request of each event, as they are stored."""
    return [(event.cause, event.request_id) for _, event in await stack.gateway.store.events("acme", payment_id)]


async def test_each_event_names_the_request_that_caused_it(tmp_path: Path) -> None:
    """Also what was done after the answer; and what the gateway does by itself names none."""
    async with running_stack(tmp_path, change=with_key) as stack:
        created = await stack.create(psp_body())
        payment = created.json
        refused = await call_back(stack, payment, status=0)
        paid_after_all = await call_back(stack, payment)
        resolved = await desk(
            stack, "POST", f"/reviews/{payment['id']}/resolve", {"reason": REASON, "state": "captured"}
        )
        assert (created.status, refused.status, resolved.status) == (201, 204, 200), resolved.text
        ids = [reply.headers["X-Request-Id"] for reply in (created, refused, paid_after_all, resolved)]
        assert await ids_of(stack, payment["id"]) == [
            ("tenant", ids[0]),
            ("reply", ids[0]),
            ("callback", ids[1]),
            ("callback", ids[2]),
            ("operator", ids[3]),
        ]
        other = (await stack.create(psp_body())).json
        await expire(stack, other["id"])
        assert (await ids_of(stack, other["id"]))[-1] == ("clock", None)


async def test_a_timeline_shows_it(tmp_path: Path) -> None:
    """An operator sees it; a tenant's view of the event and its webhook are as ever, and so is an older event."""
    async with running_stack(tmp_path) as stack:
        created = await stack.create(psp_body())
        payment_id, request_id = created.json["id"], created.headers["X-Request-Id"]
        shown = await asyncio.to_thread(
            run, "payments", "show", payment_id, "--json", "--config", stack.folder / "settings.yaml"
        )
        events = [one["details"] for one in json.loads(shown.stdout)["timeline"] if one["kind"] == "event"]
        assert [one.get("request_id") for one in events] == [request_id] * 2
        assert request_id not in json.dumps(await stack.events(payment_id))
        assert request_id not in json.dumps(await stack.webhook(payment_id, "payment.created"))
        await change_store(stack, "UPDATE events SET doc = json_remove(doc, '$.request_id')")
        assert [one for _, one in await ids_of(stack, payment_id)] == [None, None]
