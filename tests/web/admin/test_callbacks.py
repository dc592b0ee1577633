"""The operators' routes over stored callbacks: what they show, what they change, and what they never show."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.background import inbox_retry
from gateway.flows.callbacks.explain import explain
from gateway.flows.callbacks.inbox_rows import MAX_REPEATED, REFUSED
from tests.support.clients.psp_callbacks import new_payment, post, signed_body
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import (
    ADMIN_KEY,
    RIGHT,
    WRONG,
    admin,
    balked,
    deliver,
    inbox_stack,
    rows,
    state_of,
    verdicts,
)
from tests.support.stack import GatewayStack

INBOX = "/admin/v1/inbox"
ROUTES = [
    ("GET", INBOX),
    ("GET", f"{INBOX}/cb_1"),
    ("POST", f"{INBOX}/cb_1/replay"),
    ("POST", f"{INBOX}/cb_1/reverify"),
]


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A stack with an operators' key whose inbox nobody works off by itself."""
    monkeypatch.setattr(inbox_retry, "run", creditkey.idle)
    async with inbox_stack(tmp_path) as (opened, _):
        yield opened


async def listed(stack: GatewayStack, query: str = "") -> list[Any]:
    """The list's rows, newest first."""
    reply = await admin(stack, "GET", f"{INBOX}?{query}")
    assert reply.status == 200, reply.text
    found: list[Any] = reply.json["data"]
    return found


async def three(stack: GatewayStack) -> Any:
    """A payment with a refused, a recorded and a repeated callback."""
    payment = await new_payment(stack)
    for token in (WRONG, RIGHT, RIGHT):
        await deliver(stack, payment, token)
    return payment


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_opens_without_the_operators_key(stack: GatewayStack, method: str, path: str) -> None:
    """Stored callbacks are for operators alone."""
    assert (await admin(stack, method, path, key="gw_admin_other")).status == 401


async def test_the_list_tells_verdict_and_reason(stack: GatewayStack) -> None:
    """Newest first, with what was made of each."""
    payment = await three(stack)
    found = await listed(stack)
    assert [(row["verdict"], row["reason"]) for row in found] == [
        ("repeated", None),
        ("recorded", None),
        ("refused", "unauthentic"),
    ]
    assert [row["payment_id"] for row in found] == [payment["id"], payment["id"], None]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("verdict=refused", 2),
        ("tenant=globex", 1),
        ("tenant=acme&verdict=recorded", 1),
        ("account=creditkey-main", 0),
        ("since=2999-01-01T00:00:00Z", 0),
        ("since=2020-01-01T00:00:00Z", 4),
        ("limit=2", 2),
    ],
)
async def test_the_list_is_filtered(stack: GatewayStack, query: str, count: int) -> None:
    """By tenant, account, verdict and date."""
    payment = await three(stack)
    await post(stack, signed_body(stack, payment, tenant="globex"), tenant="globex")
    assert len(await listed(stack, query)) == count


async def test_the_list_of_a_payment(stack: GatewayStack) -> None:
    """Only what was about it, as far as that was proved."""
    payment = await three(stack)
    await three(stack)
    assert [row["verdict"] for row in await listed(stack, f"payment_id={payment['id']}")] == ["repeated", "recorded"]


async def test_the_list_goes_on_at_the_cursor(stack: GatewayStack) -> None:
    """Pages follow each other without gap or repetition, and the last says so."""
    await three(stack)
    first = (await admin(stack, "GET", f"{INBOX}?limit=2")).json
    second = (await admin(stack, "GET", f"{INBOX}?limit=2&cursor={first['next_cursor']}")).json
    assert [row["id"] for row in first["data"] + second["data"]] == [row["id"] for row in await listed(stack)]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "query", ["verdict=odd", "limit=0", "limit=x", "since=yesterday", "colour=red", "tenant=nobody"]
)
async def test_a_filter_that_means_nothing_is_named(stack: GatewayStack, query: str) -> None:
    """A misspelt filter must not look like an empty inbox."""
    reply = await admin(stack, "GET", f"{INBOX}?{query}")
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert query.partition("=")[0] in reply.json["errors"][0]["field"]


async def test_a_callback_is_shown_as_it_came(stack: GatewayStack) -> None:
    """Body as text, the event it proved; of the secret header a keyed hash."""
    payment = await three(stack)
    row = (await listed(stack, "verdict=recorded"))[0]
    shown = (await admin(stack, "GET", f"{INBOX}/{row['id']}")).json
    assert json.loads(shown["body"])["order_no"] == payment["id"]
    assert (shown["body_base64"], shown["event"]["observation"]["stage"]) == (None, "captured")
    assert dict(shown["headers"])["crm-pay-token"].startswith("hmac-sha256:")


async def test_a_body_that_is_no_text_is_shown_in_base64(stack: GatewayStack) -> None:
    """Every byte can be had back."""
    await post(stack, b"\xff\x00{", headers={"crm-pay-token": RIGHT})
    row = (await listed(stack))[0]
    shown = (await admin(stack, "GET", f"{INBOX}/{row['id']}")).json
    assert (shown["body"], shown["body_base64"]) == (None, "/wB7")


async def test_no_answer_holds_a_secret(stack: GatewayStack, caplog: pytest.LogCaptureFixture) -> None:
    """Even a sender that writes the token into body, query and other headers: neither answers nor log show it."""
    payment = await new_payment(stack)
    sent = {"crm-pay-token": RIGHT, "X-Copy": RIGHT}
    await post(stack, signed_body(stack, payment, note=RIGHT), headers=sent, path=f"/pay/callback?token={RIGHT}")
    await post(stack, b"\xff" + RIGHT.encode(), headers=sent)
    for row in await listed(stack):
        for method, path in (("GET", ""), ("POST", "/replay"), ("POST", "/reverify")):
            reply = await admin(stack, method, f"{INBOX}/{row['id']}{path}", {} if method == "POST" else None)
            assert RIGHT not in reply.text
            assert ADMIN_KEY not in reply.text
    assert RIGHT not in caplog.text


@pytest.mark.parametrize(("method", "path"), ROUTES[1:])
async def test_a_callback_that_is_not_there(stack: GatewayStack, method: str, path: str) -> None:
    """An unknown id is 404."""
    reply = await admin(stack, method, path, {} if method == "POST" else None)
    assert (reply.status, reply.json["code"]) == (404, "not_found")


async def test_a_replay_applies_unless_it_is_a_dry_run(stack: GatewayStack) -> None:
    """The dry run says what would be, the replay does it; who did it stands in the row."""
    payment = await new_payment(stack)
    await balked(stack, payment)
    path = f"{INBOX}/{(await listed(stack))[0]['id']}"
    dry = (await admin(stack, "POST", f"{path}/replay", {"dry_run": True})).json
    assert (dry["verdict"], dry["changed"], dry["state_before"], dry["state_after"]) == (
        "recorded",
        True,
        "awaiting_customer",
        "captured",
    )
    assert (await verdicts(stack), await state_of(stack, payment)) == (["pending"], "awaiting_customer")
    made = (await admin(stack, "POST", f"{path}/replay", {"actor": "dana"})).json
    assert made == {**dry, "dry_run": False}
    assert (await verdicts(stack), await state_of(stack, payment)) == (["recorded"], "captured")
    assert (await admin(stack, "GET", path)).json["history"][0]["by"] == "operator (dana)"


async def test_a_reverify_says_when_the_sender_is_unknown(stack: GatewayStack) -> None:
    """The reason names the token, and nothing has changed."""
    await deliver(stack, await new_payment(stack), WRONG)
    row = (await listed(stack))[0]
    made = (await admin(stack, "POST", f"{INBOX}/{row['id']}/reverify")).json
    assert (made["verdict"], made["reason"], made["changed"]) == ("refused", "unauthentic", False)
    assert "not one of the account's" in made["detail"]


async def test_a_callback_without_an_event_cannot_be_replayed(stack: GatewayStack) -> None:
    """409 says why."""
    await deliver(stack, await new_payment(stack), WRONG)
    row = (await listed(stack))[0]
    reply = await admin(stack, "POST", f"{INBOX}/{row['id']}/replay")
    assert (reply.status, reply.json["code"]) == (409, "invalid_state")


async def test_a_body_with_another_member_is_refused(stack: GatewayStack) -> None:
    """A misspelt ``dry_run`` must not apply anything."""
    payment = await new_payment(stack)
    await balked(stack, payment)
    row = (await listed(stack))[0]
    reply = await admin(stack, "POST", f"{INBOX}/{row['id']}/replay", {"dryrun": True})
    assert reply.status == 422
    assert await verdicts(stack) == ["pending"]


async def test_a_sender_that_repeats_itself_does_not_fill_the_disk(stack: GatewayStack) -> None:
    """Of a payment only the newest repetitions are kept, and always what was recorded."""
    payment, other = await new_payment(stack), await new_payment(stack)
    await deliver(stack, other, transaction_id="T-2")
    for _ in range(MAX_REPEATED + 6):
        assert (await deliver(stack, payment)).status == 204
    await deliver(stack, other, transaction_id="T-2")
    assert await verdicts(stack) == ["recorded", "recorded", *["repeated"] * (MAX_REPEATED + 1)]


@pytest.mark.parametrize("query", ["cursor=%27%20OR%201%3D1--", "cursor=%00", "cursor=cb_1"])
async def test_a_cursor_that_is_none_of_ours_is_refused(stack: GatewayStack, query: str) -> None:
    """The list of callbacks says so, as every list does; it is not simply empty."""
    reply = await admin(stack, "GET", f"{INBOX}?{query}")
    assert (reply.status, reply.json["errors"][0]["field"]) == (422, query.partition("=")[0])


async def test_an_explanation_says_that_a_body_was_not_kept(stack: GatewayStack) -> None:
    """Nobody is told that a sender sent nothing when the store has left it out."""
    big = b'{"x": "' + b"y" * REFUSED.body + b'"}'
    await post(stack, big, headers={"crm-pay-token": WRONG})
    await post(stack, b"{}", headers={"crm-pay-token": WRONG})
    told = [(await explain(stack.gateway, row)).proof.notes for row in await rows(stack)]
    assert ["the body was not kept" in notes for notes in told] == [True, False]
