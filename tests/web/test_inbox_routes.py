"""The operators' routes over stored callbacks: what they show, what they change, and what they never show."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.flows.background import inbox_retry
from tests import creditkey_story as story
from tests.house import House
from tests.inbox_kit import ADMIN_KEY, RIGHT, WRONG, admin, balked, deliver, inbox_house, state_of, verdicts
from tests.web.psp_sender import new_payment, post, signed_body

INBOX = "/admin/v1/inbox"
ROUTES = [
    ("GET", INBOX),
    ("GET", f"{INBOX}/cb_1"),
    ("POST", f"{INBOX}/cb_1/replay"),
    ("POST", f"{INBOX}/cb_1/reverify"),
]


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house with an operators' key whose inbox nobody works off by itself."""
    monkeypatch.setattr(inbox_retry, "run", story.idle)
    async with inbox_house(tmp_path) as (opened, _):
        yield opened


async def listed(house: House, query: str = "") -> list[Any]:
    """The list's rows, newest first."""
    reply = await admin(house, "GET", f"{INBOX}?{query}")
    assert reply.status == 200, reply.text
    found: list[Any] = reply.json["data"]
    return found


async def three(house: House) -> Any:
    """A payment with a refused, a recorded and a repeated callback."""
    payment = await new_payment(house)
    for token in (WRONG, RIGHT, RIGHT):
        await deliver(house, payment, token)
    return payment


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_opens_without_the_operators_key(house: House, method: str, path: str) -> None:
    """Stored callbacks are for operators alone."""
    assert (await admin(house, method, path, key="gw_admin_other")).status == 401


async def test_the_list_tells_verdict_and_reason(house: House) -> None:
    """Newest first, with what was made of each."""
    payment = await three(house)
    found = await listed(house)
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
async def test_the_list_is_filtered(house: House, query: str, count: int) -> None:
    """By tenant, account, verdict and date."""
    payment = await three(house)
    await post(house, signed_body(house, payment, tenant="globex"), tenant="globex")
    assert len(await listed(house, query)) == count


async def test_the_list_of_a_payment(house: House) -> None:
    """Only what was about it, as far as that was proved."""
    payment = await three(house)
    await three(house)
    assert [row["verdict"] for row in await listed(house, f"payment_id={payment['id']}")] == ["repeated", "recorded"]


async def test_the_list_goes_on_at_the_cursor(house: House) -> None:
    """Pages follow each other without gap or repetition, and the last says so."""
    await three(house)
    first = (await admin(house, "GET", f"{INBOX}?limit=2")).json
    second = (await admin(house, "GET", f"{INBOX}?limit=2&cursor={first['next_cursor']}")).json
    assert [row["id"] for row in first["data"] + second["data"]] == [row["id"] for row in await listed(house)]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    "query", ["verdict=odd", "limit=0", "limit=x", "since=yesterday", "colour=red", "tenant=nobody"]
)
async def test_a_filter_that_means_nothing_is_named(house: House, query: str) -> None:
    """A misspelt filter must not look like an empty inbox."""
    reply = await admin(house, "GET", f"{INBOX}?{query}")
    assert (reply.status, reply.json["code"]) == (422, "validation_failed")
    assert query.partition("=")[0] in reply.json["errors"][0]["field"]


async def test_a_callback_is_shown_as_it_came(house: House) -> None:
    """Body as text, the event it proved; of the secret header a keyed hash."""
    payment = await three(house)
    row = (await listed(house, "verdict=recorded"))[0]
    shown = (await admin(house, "GET", f"{INBOX}/{row['id']}")).json
    assert json.loads(shown["body"])["order_no"] == payment["id"]
    assert (shown["body_base64"], shown["event"]["observation"]["stage"]) == (None, "captured")
    assert dict(shown["headers"])["crm-pay-token"].startswith("hmac-sha256:")


async def test_a_body_that_is_no_text_is_shown_in_base64(house: House) -> None:
    """Every byte can be had back."""
    await post(house, b"\xff\x00{", headers={"crm-pay-token": RIGHT})
    row = (await listed(house))[0]
    shown = (await admin(house, "GET", f"{INBOX}/{row['id']}")).json
    assert (shown["body"], shown["body_base64"]) == (None, "/wB7")


async def test_no_answer_holds_a_secret(house: House, caplog: pytest.LogCaptureFixture) -> None:
    """Even a sender that writes the token into body, query and other headers: neither answers nor log show it."""
    payment = await new_payment(house)
    sent = {"crm-pay-token": RIGHT, "X-Copy": RIGHT}
    await post(house, signed_body(house, payment, note=RIGHT), headers=sent, path=f"/pay/callback?token={RIGHT}")
    await post(house, b"\xff" + RIGHT.encode(), headers=sent)
    for row in await listed(house):
        for method, path in (("GET", ""), ("POST", "/replay"), ("POST", "/reverify")):
            reply = await admin(house, method, f"{INBOX}/{row['id']}{path}", {} if method == "POST" else None)
            assert RIGHT not in reply.text
            assert ADMIN_KEY not in reply.text
    assert RIGHT not in caplog.text


@pytest.mark.parametrize(("method", "path"), ROUTES[1:])
async def test_a_callback_that_is_not_there(house: House, method: str, path: str) -> None:
    """An unknown id is 404."""
    reply = await admin(house, method, path, {} if method == "POST" else None)
    assert (reply.status, reply.json["code"]) == (404, "not_found")


async def test_a_replay_applies_unless_it_is_a_dry_run(house: House) -> None:
    """The dry run says what would be, the replay does it; who did it stands in the row."""
    payment = await new_payment(house)
    await balked(house, payment)
    path = f"{INBOX}/{(await listed(house))[0]['id']}"
    dry = (await admin(house, "POST", f"{path}/replay", {"dry_run": True})).json
    assert (dry["verdict"], dry["changed"], dry["state_before"], dry["state_after"]) == (
        "recorded",
        True,
        "awaiting_customer",
        "captured",
    )
    assert (await verdicts(house), await state_of(house, payment)) == (["pending"], "awaiting_customer")
    made = (await admin(house, "POST", f"{path}/replay", {"actor": "dana"})).json
    assert made == {**dry, "dry_run": False}
    assert (await verdicts(house), await state_of(house, payment)) == (["recorded"], "captured")
    assert (await admin(house, "GET", path)).json["history"][0]["by"] == "operator (dana)"


async def test_a_reverify_says_when_the_sender_is_unknown(house: House) -> None:
    """The reason names the token, and nothing has changed."""
    await deliver(house, await new_payment(house), WRONG)
    row = (await listed(house))[0]
    made = (await admin(house, "POST", f"{INBOX}/{row['id']}/reverify")).json
    assert (made["verdict"], made["reason"], made["changed"]) == ("refused", "unauthentic", False)
    assert "none of the account's" in made["detail"]


async def test_a_callback_without_an_event_cannot_be_replayed(house: House) -> None:
    """409 says why."""
    await deliver(house, await new_payment(house), WRONG)
    row = (await listed(house))[0]
    reply = await admin(house, "POST", f"{INBOX}/{row['id']}/replay")
    assert (reply.status, reply.json["code"]) == (409, "invalid_state")


async def test_a_body_with_another_member_is_refused(house: House) -> None:
    """A misspelt ``dry_run`` must not apply anything."""
    payment = await new_payment(house)
    await balked(house, payment)
    row = (await listed(house))[0]
    reply = await admin(house, "POST", f"{INBOX}/{row['id']}/replay", {"dryrun": True})
    assert reply.status == 422
    assert await verdicts(house) == ["pending"]
