"""What is stored of a callback: no secret in any form, no card number, and enough to prove it anew."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gateway.core.wire import Callback
from gateway.drivers.store.inbox import StoredCallback
from gateway.flows.background import inbox_retry
from gateway.flows.callbacks import explain, reprocess
from gateway.flows.callbacks.redaction import Revealed, redact, reveal_matching
from gateway.flows.callbacks.reprocess import MASKED_PART, Order
from tests.support.clients.psp_callbacks import credentials, new_payment, post, signed_body
from tests.support.scenarios import creditkey
from tests.support.scenarios.inbox import RIGHT, api2, inbox_stack, rows, state_of
from tests.support.stack import GatewayStack

VISA = "4111111111111111"


@pytest.fixture
async def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[GatewayStack]:
    """A stack whose inbox nobody works off by itself."""
    monkeypatch.setattr(inbox_retry, "run", creditkey.idle)
    async with inbox_stack(tmp_path) as (opened, _):
        yield opened


def on_disk(stack: GatewayStack) -> bytes:
    """Every byte of the store: the database and its log."""
    return b"".join(path.read_bytes() for path in sorted(stack.store_file.parent.glob("*.db*")))


def callback(**members: Any) -> Callback:
    """A callback to acme's PSP account."""
    given = {"method": "POST", "suffix": "pay/callback", "query": "", "headers": (), "body": b"", "remote": "::1"}
    return Callback(**{**given, "received_at": datetime.now(UTC), **members})


def kept(stack: GatewayStack, given: Callback) -> Callback:
    """What is stored of it."""
    entry = stack.settings.tenants["acme"].accounts["psp-main"]
    masks, named = stack.gateway.masks, entry.provider.secret_headers
    return redact(given, hash_of=masks.hash_of("acme"), mask=masks.of("acme"), secret_headers=named)


def put_back(stack: GatewayStack, given: Callback) -> Revealed:
    """What is made of it when it is judged again."""
    members = dict.fromkeys(StoredCallback.__struct_fields__) | {
        "headers": given.headers,
        "body": given.body,
        "query": given.query,
        "suffix": given.suffix,
        "received_at": given.received_at,
    }
    entry = stack.settings.tenants["acme"].accounts["psp-main"]
    return reveal_matching(stack.settings.server.secrets, entry, StoredCallback(**members))


FORMS: Mapping[str, Callable[[str], str]] = {
    "as it is": str,
    "percent-encoded": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "escaped": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "as Basic credentials": lambda text: base64.b64encode(f"bridge:{text}".encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "upper-case hex": lambda text: text.encode().hex().upper(),
}


@pytest.mark.parametrize("form", FORMS)
async def test_a_secret_of_the_account_is_stored_in_no_form(stack: GatewayStack, form: str) -> None:
    """A bridge that sends its token in another header, the body, the query or the path is refused, and no byte of
    the store holds the token."""
    payment, text = await new_payment(stack), FORMS[form](RIGHT)
    await post(stack, signed_body(stack, payment, note="x"), headers={"X-Bridge": text})
    await post(stack, f'{{"token":"{text}"}}'.encode())
    await post(stack, b"{}", path=f"/pay/callback?t={quote(text, safe='%')}")
    await post(stack, b"{}", path=f"/{quote(text, safe='%')}")
    assert len(await rows(stack)) == 4
    data = on_disk(stack)
    for written in {RIGHT, text, quote(text, safe="%")}:
        assert written.encode() not in data
    for row in await rows(stack):
        shown = " ".join([row.suffix, row.query, *(value for _, value in row.headers), row.body.decode()])
        assert not stack.gateway.masks.of("acme").holds(shown)


async def test_other_secrets_than_the_accounts_are_stored_neither(stack: GatewayStack) -> None:
    """The tenant's other secrets, keys of ours, webhook secrets, links of payments, and headers that say secret."""
    webhook = stack.settings.tenants["acme"].webhook
    assert webhook is not None
    secrets = {
        "server": stack.settings.server.secret.reveal(),
        "webhook": webhook.secrets[0].reveal(),
        "tenant key": "gw_k1_0123456789abcdefghijklmnopqrstuv",
        "webhook secret of others": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "link": "A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v",
    }
    told = " ".join([secrets["server"], secrets["webhook"], secrets["tenant key"], secrets["webhook secret of others"]])
    headers = (
        ("Referer", f"https://pay.example/callbacks/abc/return/{secrets['link']}"),
        ("X-Api-Key", "some-key"),
        ("Authorization", "Bearer some-token"),
        ("Cookie", "sid=some-cookie"),
        ("X-My-Password", "some-password"),
        ("X-Signature", "a-signature"),
        ("X-Auth-Timestamp", "12345"),
    )
    shown = kept(stack, callback(body=told.encode(), headers=headers))
    text = shown.body.decode() + repr(shown.headers)
    assert not [name for name, secret in secrets.items() if secret in text]
    assert "some-" not in text
    assert dict(shown.headers)["X-Signature"] == "a-signature"
    assert dict(shown.headers)["X-Auth-Timestamp"] == "12345"
    assert dict(shown.headers)["Authorization"].startswith("Bearer hmac-sha256:")


@pytest.mark.parametrize(
    "given",
    [
        callback(headers=(("crm-pay-token", RIGHT),)),
        callback(headers=(("crm-pay-token", f"Bearer {RIGHT}"),)),
        callback(headers=(("X-Other", f"key={RIGHT};v=1"),)),
        callback(query=f"a=1&token={RIGHT}"),
        callback(suffix=f"in/{RIGHT}"),
        callback(body=f'{{"secret":"{RIGHT}","n":"\xe9"}}'.encode("latin-1")),
        callback(body=b'{"plain": "body"}', query="a=%20b"),
    ],
    ids=["header", "Bearer", "other header", "query", "path", "body", "nothing"],
)
async def test_what_was_masked_is_put_back(stack: GatewayStack, given: Callback) -> None:
    """Byte by byte, so that a callback of a provider that sends its secret there can be proved anew."""
    shown = kept(stack, given)
    assert RIGHT not in repr((shown.headers, shown.query, shown.suffix, shown.body))
    found = put_back(stack, shown)
    for member in ("headers", "query", "suffix", "body"):
        assert getattr(found.callback, member) == getattr(given, member)
    assert not found.is_masked


async def test_nobody_else_says_where_a_secret_is_put_back(stack: GatewayStack) -> None:
    """A body with the hash that an operator may have seen stays without the secret."""
    seen = kept(stack, callback(body=RIGHT.encode())).body
    for body in (seen, quote(seen.decode()).encode(), seen + b" " + RIGHT.encode()):
        found = put_back(stack, kept(stack, callback(body=body, headers=(("X-Copy", seen.decode()),))))
        assert found.callback.body != RIGHT.encode()
        assert dict(found.callback.headers)["X-Copy"] == "{masked}"
        assert found.is_masked


@pytest.mark.parametrize(
    "written",
    [
        VISA,
        "4111 1111 1111 1111",
        "4111.1111.1111.1111",
        "４１１１１１１１１１１１１１１１",
        "4111%201111%201111%201111",
    ],
)
async def test_a_card_number_is_stored_nowhere(stack: GatewayStack, written: str) -> None:
    """Neither in a refused callback's header, query, path and body nor in a proved one's unknown member."""
    payment = await new_payment(stack)
    sent = await post(
        stack, signed_body(stack, payment, note=written), headers={"crm-pay-token": credentials(stack)[1]}
    )
    assert sent.status == 204
    await post(stack, f'{{"pan":"{written}"}}'.encode(), headers={"X-Pan": quote(written)})
    await post(stack, b"{}", path=f"/pay/callback?pan={quote(written, safe='%')}")
    await post(stack, b"{}", path=f"/{quote(written, safe='%')}")
    data = on_disk(stack)
    for form in {written, VISA, quote(written), quote(written, safe="%")}:
        assert form.encode() not in data
    assert b"{card ****1111}" in data


async def test_an_explanation_says_that_a_part_was_masked(stack: GatewayStack) -> None:
    """A signature over a body without its card number cannot be proved, and ``reverify`` says why."""
    payment = await new_payment(stack)
    await post(stack, api2(stack, payment, note=VISA), headers={"crm-pay-token": RIGHT, "Content-Type": "text/plain"})
    (row,) = await rows(stack)
    assert MASKED_PART in (await explain.explain(stack.gateway, row)).proof.notes
    made = await reprocess.reverify(stack.gateway, row.id, Order(by="dana", how="reverify"))
    assert made.evaluation.detail is not None
    assert MASKED_PART in made.evaluation.detail
    assert await state_of(stack, payment) == "awaiting_customer"


async def test_what_a_plugin_says_of_a_refusal_is_cleaned(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its detail is stored and shown."""
    provider = stack.settings.tenants["acme"].accounts["psp-main"].provider

    def refuse(*_: object) -> None:
        raise reprocess.CallbackRejected(reprocess.Reason.UNAUTHENTIC, f"not {RIGHT[:5]}\0{RIGHT[5:]} for {VISA}")

    monkeypatch.setattr(provider, "verify", refuse)
    await post(stack, b"{}")
    assert [row.detail for row in await rows(stack)] == ["not *** for ****1111"]
