"""gateway_psp_open_api.diagnosis: each of ``psp_mistakes``, sent over HTTP, is explained rightly."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yarl

from gateway.core.signing import derive
from gateway.drivers.store.inbox import InboxFilter
from gateway.flows.callbacks.explain import Explained, explain
from tests.plugins.psp_mistakes import MISTAKES
from tests.plugins.psp_mistakes.bridge import Bridge, Call, Mistake, joined, pairs, sha1
from tests.support.clients.psp_callbacks import credentials, new_payment
from tests.support.stack import GatewayStack, running_stack

MILLISECONDS = 347
"""Those of every bridge's clock here: of none and of some the seconds print alike in two mistakes."""

shared = pytest.mark.asyncio(loop_scope="module")


def _settings(settings: dict[str, Any]) -> None:
    """A second account of the same bridge, and a first one in its second generation."""
    acme = settings["tenants"]["acme"]
    acme["accounts"]["psp-main"]["generation"] = 2
    acme["accounts"]["psp-two"] = {"provider": "psp_open_api", "config": dict(acme["accounts"]["psp-main"]["config"])}
    acme["deposit_methods"]["two"] = {"account": "psp-two"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """One gateway for all mistakes."""
    async with running_stack(tmp_path_factory.mktemp("stack"), change=_settings) as opened:
        yield opened


async def bridge_for(stack: GatewayStack, mistake: Mistake) -> Bridge:
    """A new payment of 162.48 USD, or of the amount that the mistake is about, and what its bridge knows."""
    amount = f"{mistake.changes.get('amount', 162.48):.2f}"
    payment = await new_payment(stack, amount=amount)
    merchant_id, token = credentials(stack)
    other_merchant, other_token = credentials(stack, account="psp-two")
    members = {
        "merchant_id": merchant_id,
        "order_no": payment["id"],
        "transaction_id": "T-1",
        "amount": 162.48,
        "currency": "USD",
        "time": int(time.time()) * 1000 + MILLISECONDS,
        "status": 1,
        **mistake.changes,
    }
    old = derive(stack.settings.server.secret, "acme", "psp-main", "psp.token", "1").reveal()
    kept = {key: value for key, value in members.items() if value is not ...}
    return Bridge(kept, token, other_token, other_merchant, old)


async def sent(stack: GatewayStack, call: Call) -> int:
    """Send a call as it is; its status."""
    address = f"{stack.url}/callbacks/{stack.entry('acme', 'psp-main').endpoint_id}{call.path}"
    url = yarl.URL(address, encoded=True)
    skip = ["Content-Type"]
    async with stack.http.request(
        call.method, url, data=call.body, headers=call.headers, skip_auto_headers=skip
    ) as answer:
        return answer.status


async def newest(stack: GatewayStack) -> Explained:
    """The explanation of the newest stored callback."""
    store = stack.gateway.store
    (row,) = await store.inbox.newest("acme", InboxFilter(limit=1))
    whole = await store.inbox.find(["acme"], row.id)
    assert whole is not None
    return await explain(stack.gateway, whole)


@shared
@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
async def test_a_mistake_is_explained_rightly(stack: GatewayStack, mistake: Mistake) -> None:
    """It is refused; the notes say what is wrong, nothing that is not, no token, and no expected sign."""
    bridge = await bridge_for(stack, mistake)
    call = mistake.send(bridge)
    assert await sent(stack, call) >= 400
    found = await newest(stack)
    assert found.verdict == "refused"
    said = " | ".join((*found.proof.notes, found.detail or ""))
    for phrase in mistake.notes:
        assert phrase in said
    for note in found.proof.notes:
        is_about_the_sign = note.startswith("the sender signs with")
        assert not is_about_the_sign or any(phrase in note for phrase in mistake.notes), note
    assert "in no way that is known" not in said
    shown = repr(found)
    for secret in (bridge.token, bridge.other_token, bridge.old_token):
        assert secret not in shown
    right = sha1(joined(pairs(bridge.members)) + bridge.token)
    assert right not in shown.upper() or right.encode() in call.body.upper()


def test_there_are_enough_mistakes() -> None:
    """A bridge's author can make more than a hundred mistakes."""
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 100


@shared
@pytest.mark.parametrize("make", [str.lower, str])
async def test_a_right_callback_in_any_case_has_no_note(stack: GatewayStack, make: Any) -> None:
    """The sign may be in lower case; nothing is made up where nothing is wrong."""
    bridge = await bridge_for(stack, Mistake("right", lambda _: Call(b"", {}), ()))
    body = {**bridge.members, "sign": make(sha1(joined(pairs(bridge.members)) + bridge.token))}
    headers = {"crm-pay-token": bridge.token, "Content-Type": "application/json"}
    assert await sent(stack, Call(json.dumps(body).encode(), headers)) == 204
    found = await newest(stack)
    assert (found.verdict, found.proof.notes) == ("repeated", ())
