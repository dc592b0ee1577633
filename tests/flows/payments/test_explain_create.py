"""What is explained is what a create sends: exactly, but for the payment's id, and without an effect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import gateway
from gateway.core.create_explanation import CreateExplanation
from gateway.core.errors import TenantError
from gateway.core.request_bodies import CreateBody
from gateway.core.wire import HttpRequest
from gateway.flows.payments import explain_create
from gateway.flows.payments.explain_create import PAYMENT_ID
from gateway.web.request import body_as, parsed
from tests.support.clients.psp_callbacks import credentials
from tests.support.scripted_provider import ScriptedStack, running_scripted_stack
from tests.support.stack import GatewayStack, creditkey_body, psp_body, running_stack

shared = pytest.mark.asyncio(loop_scope="module")


def explained(stack: GatewayStack, account: str, body: Any) -> CreateExplanation:
    """The explanation of a create for an account of acme."""
    gw, tenant = stack.gateway, stack.gateway.settings.tenants["acme"]
    create = body_as(parsed(json.dumps(body).encode(), []), CreateBody)
    return explain_create.explain(gw, explain_create.plan(gw, tenant, explain_create.of_account(create, account)))


@shared
async def test_the_psp_receives_what_was_explained(shared_stack: GatewayStack) -> None:
    """The body in every member but the payment's id and the sign, which covers it."""
    body = psp_body(fields={"custom_1": "GOLD"}, customer={"id": "C-1", "nationality": "us", "language": "de"})
    shown = explained(shared_stack, "psp-main", body)
    payment = (await shared_stack.create(body)).json
    sent = json.loads((await shared_stack.provider_requests("psp"))[-1]["body"])
    assert (sent.pop("order_no"), len(sent.pop("sign"))) == (payment["id"], 40)
    planned = json.loads(shown.body)
    assert (planned.pop("order_no"), len(planned.pop("sign"))) == (PAYMENT_ID, 40)
    assert planned == sent


@shared
async def test_credit_key_receives_what_was_explained(shared_stack: GatewayStack) -> None:
    """The body in every member but the keys, which are masked, and the tokens of the payment's addresses."""
    body = creditkey_body()
    planned = json.loads(explained(shared_stack, "creditkey-main", body).body)
    await shared_stack.create(body)
    sent = json.loads((await shared_stack.provider_requests("creditkey"))[-1]["body"])
    differing = {key for key in sent if planned[key] != sent[key]}
    assert sent.keys() == planned.keys()
    assert differing == {"public_key", "shared_secret", "return_url", "order_complete_url", "cancel_url"}
    assert {planned["public_key"], planned["shared_secret"]} == {"***"}


@shared
async def test_every_member_of_the_body_is_shown_once(shared_stack: GatewayStack) -> None:
    """Flat at the PSP, by path at Credit Key; each value as the body has it."""
    shown = explained(shared_stack, "psp-main", psp_body())
    members = {one["key"]: one["value"] for one in msgspec.json.decode(msgspec.json.encode(shown.members))}
    assert members == json.loads(shown.body)
    nested = explained(shared_stack, "creditkey-main", creditkey_body()).members
    keys = [one.key for one in nested]
    assert len(set(keys)) == len(keys)
    assert {"charges.total", "cart_items[0].merchant_id", "merchant_data.contact_method"} <= set(keys)


@shared
async def test_every_field_is_sent_or_left_out(shared_stack: GatewayStack) -> None:
    """Each field of the account is in one of the lists, with the place of its rule."""
    shown = explained(shared_stack, "psp-main", psp_body(customer={"id": "C-1", "nationality": "us"}))
    account = shared_stack.entry("acme", "psp-main").account
    names = [one.field for one in (*shown.members, *shown.left_out)]
    assert sorted(map(str, names)) == sorted([*(one.name for one in account.fields.fields), "nationality"])
    off = next(one for one in shown.left_out if one.field == "nationality")
    lines = (shared_stack.folder / "settings.yaml").read_text().splitlines()
    assert off.why == "is switched off"
    assert off.rule == f"settings.yaml:{1 + next(n for n, line in enumerate(lines) if 'nationality:' in line)}"


async def test_nested_rules_are_shown_with_their_lines(tmp_path: Path) -> None:
    """Each member of an item, a charge or an address with its field and the entry that changed it."""

    def change(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["accounts"]["creditkey-main"]["fields"] = {
            "order.items[].sku": {"key": "part_no"},
            "order.items[].unit": {"value": "pcs"},
            "order.charges.tax": {"enabled": False},
        }

    async with running_stack(tmp_path, change=change) as stack:
        shown = explained(stack, "creditkey-main", creditkey_body())
        places = [stack.entry("acme", "creditkey-main").rule_of(f"order.items[].{name}") for name in ("sku", "unit")]
        members = {one.key: one for one in shown.members}
        found = [members[f"cart_items[0].{key}"] for key in ("part_no", "unit", "price")]
        assert [(one.field, one.origin, one.rule) for one in found] == [
            ("order.items[].sku", "payment", places[0]),
            ("order.items[].unit", "constant", places[1]),
            ("order.items[].price", "payment", None),
        ]
        assert {one.field: one.why for one in shown.left_out}["order.charges.tax"] == "is switched off"


@shared
async def test_the_signed_text_makes_the_sign(shared_stack: GatewayStack) -> None:
    """With the secret in place of the stars it hashes to the sign in the body."""
    shown = explained(shared_stack, "psp-main", psp_body())
    _, token = credentials(shared_stack)
    assert shown.signed is not None
    text = shown.signed.removesuffix("***") + token
    assert hashlib.sha1(text.encode()).hexdigest().upper() == json.loads(shown.body)["sign"]
    assert explained(shared_stack, "creditkey-main", creditkey_body()).signed is None


@shared
@pytest.mark.parametrize("account", ["psp-main", "creditkey-main"])
async def test_no_secret_is_shown(shared_stack: GatewayStack, account: str) -> None:
    """Neither in the members, nor in body, signed text and curl line; a header's is a variable."""
    body = psp_body() if account == "psp-main" else creditkey_body()
    shown = explained(shared_stack, account, body)
    text = msgspec.json.encode(shown).decode()
    mask = shared_stack.gateway.masks.of("acme")
    assert not mask.holds(text)
    assert ('"crm-pay-token: $CRM_PAY_TOKEN"' in shown.curl) is (account == "psp-main")


@shared
async def test_nothing_is_stored_or_sent(shared_stack: GatewayStack) -> None:
    """The same create may be explained again and again, and still be made afterwards."""
    body = psp_body()
    before = len(await shared_stack.provider_requests("psp"))
    assert explained(shared_stack, "psp-main", body) == explained(shared_stack, "psp-main", body)
    assert len(await shared_stack.provider_requests("psp")) == before
    assert (await shared_stack.create(body)).status == 201


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"amount": "0.00"}, "$.amount"),
    ({"currency": "XXQ"}, "$.currency"),
    ({"fields": {"custom_1": "gold"}}, "$.fields.custom_1"),
    ({"fields": {"nothing": "1"}}, "$.fields.nothing"),
    ({"return_url": "https://elsewhere.example"}, "$.return_url"),
    ({"account": "creditkey-main"}, "$.account"),
    ({"deposit_method": "nothing"}, "$.deposit_method"),
]


@shared
@pytest.mark.parametrize(("change", "field"), REFUSED)
async def test_what_a_create_refuses_is_refused(shared_stack: GatewayStack, change: dict[str, Any], field: str) -> None:
    """With the member that is wrong; a body that names another account than the one explained is a mistake too."""
    with pytest.raises(TenantError) as refused:
        explained(shared_stack, "psp-main", psp_body(**change))
    assert [error.field for error in refused.value.errors] == [field]


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[ScriptedStack]:
    """A stack with an account at a provider of a test's own."""
    async with running_scripted_stack(tmp_path) as opened:
        yield opened


async def test_a_secret_header_is_a_variable_whatever_it_holds(scripted: ScriptedStack) -> None:
    """A value that follows from a secret is hidden too, in any spelling of the header's name."""
    headers = (("x-key", "derived-from-the-key"), ("X-Other", "shown"))
    made = HttpRequest(method="POST", url="https://outside.example", headers=headers)
    scripted.provider.build = lambda *_: made  # type: ignore[method-assign]
    curl = explained(scripted.stack, "outside-main", CREATE).curl
    assert ("derived" in curl, '"x-key: $X_KEY"' in curl, "X-Other: shown" in curl) == (False, True, True)


CREATE = {"merchant_reference": "SO-1", "amount": "10.00", "currency": "USD"}


async def test_no_login_is_made(scripted: ScriptedStack) -> None:
    """A provider that logs in is shown with a placeholder for its session."""

    def build(_: gateway.Command, account: gateway.Account) -> HttpRequest:
        assert account.session is not None
        headers = (("Authorization", f"Bearer {account.session.token.reveal()}"),)
        return HttpRequest(method="POST", url="https://outside.example", headers=headers, body=b"a=1&b=2")

    scripted.provider.login = scripted.provider.parse_login = None  # type: ignore[attr-defined]  # never called
    scripted.provider.build = build  # type: ignore[assignment, method-assign]
    shown = explained(scripted.stack, "outside-main", CREATE)
    assert "Authorization: Bearer $SESSION" in shown.curl
    assert scripted.sent == []


async def test_a_form_is_shown_member_by_member(scripted: ScriptedStack) -> None:
    """Not only JSON; a body that is neither has no members."""
    form = (("Content-Type", "application/x-www-form-urlencoded"),)
    made = {
        "form": HttpRequest(method="POST", url="https://outside.example", headers=form, body=b"a=1&b=x%20y&c="),
        "text": HttpRequest(method="POST", url="https://outside.example", body=b"\xff"),
    }
    for name, members in (("form", {"a": "1", "b": "x y", "c": ""}), ("text", {})):
        scripted.provider.build = lambda *_, name=name: made[name]  # type: ignore[method-assign, misc]
        shown = explained(scripted.stack, "outside-main", CREATE)
        assert {one.key: one.value for one in shown.members} == members


@pytest.mark.parametrize("broken", [lambda *_: 1 / 0, lambda *_: 5])
async def test_a_plugin_that_cannot_show_what_it_signs(scripted: ScriptedStack, broken: Any) -> None:
    """The rest is explained all the same."""
    scripted.provider.signed_text = broken  # type: ignore[attr-defined]
    assert explained(scripted.stack, "outside-main", CREATE).signed is None


async def test_a_secret_in_the_signed_text_is_masked(scripted: ScriptedStack) -> None:
    """A plugin that forgot the stars gives nothing away."""
    scripted.provider.signed_text = lambda _, account: f"a=1{account.config.key.reveal()}"  # type: ignore[attr-defined]
    assert explained(scripted.stack, "outside-main", CREATE).signed == "a=1***"


@pytest.mark.parametrize(
    "form", [gateway.Form("https://pages.outside.example/pay", {"note": "a&b", "sign": "c2"}), None]
)
async def test_what_the_browser_posts_is_shown_where_nothing_is_sent(tmp_path: Path, form: gateway.Form | None) -> None:
    """A form stands in for the request; without one there is nothing to show."""
    async with running_scripted_stack(tmp_path) as scripted:
        made = gateway.Observation(stage=gateway.Stage.AWAITING_CUSTOMER, form=form)
        scripted.provider.build = lambda *_: made  # type: ignore[method-assign, assignment, return-value]
        body = {"merchant_reference": "SO-1", "amount": "10.00", "currency": "USD"}
        shown = explained(scripted.stack, "outside-main", body)
    if form is None:
        assert (shown.members, shown.body, shown.curl) == ([], "", "")
    else:
        assert [(one.key, one.value) for one in shown.members] == [("note", "a&b"), ("sign", "c2")]
        assert shown.curl.startswith("curl -i -X POST https://pages.outside.example/pay -H")
