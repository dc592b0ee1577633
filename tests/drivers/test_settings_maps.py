"""Request maps and reply maps in the settings: what they become, and one line for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.drivers.settings import advice
from tests.support.factories.settings import GOOD, load, problems, with_tenant

GOOD_MAPS = """
request_maps:
  erp:
    amount: totals.grand
    order.items: "lines[].{sku: code}"
reply_maps:
  own: {nummer.intern: merchant_reference}
webhook: {url: "https://x.example", secrets: ["env:ACME_WHSEC"], map: own}
"""


def test_maps_keep_their_places(tmp_path: Path) -> None:
    """Each rule knows its line; a tenant without maps shares one empty mapping with all others."""
    tenant = load(tmp_path, with_tenant(GOOD_MAPS)).tenants["acme"]
    erp = tenant.request_maps["erp"]
    assert (erp.name, erp.place) == ("erp", "settings.yaml:6")
    assert [(rule.member, rule.place) for rule in erp.rules] == [
        ("amount", "settings.yaml:7"),
        ("order.items", "settings.yaml:8"),
    ]
    assert tenant.webhook_map is tenant.reply_maps["own"]
    bare = load(tmp_path, GOOD).tenants["acme"]
    assert bare.request_maps is bare.reply_maps
    assert bare.webhook_map is None


def test_a_rule_in_an_included_file_has_that_files_place(tmp_path: Path) -> None:
    """That is where it can be changed."""
    (tmp_path / "more.yaml").write_text("tenants:\n  globex:\n    request_maps: {erp: {\n      amount: sum}}\n")
    top = "include: [more.yaml]\nserver: {secret: 'env:GATEWAY_SECRET', development: true}\n"
    [rule] = load(tmp_path, top).tenants["globex"].request_maps["erp"].rules
    assert rule.place == "more.yaml:4"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("request_maps: {erp: {amuont: total}}", "request_maps.erp.amuont: is not a member of any request; did you"),
        ("request_maps: {erp: {amount: 'a b'}}", "request_maps.erp.amount: is not a JMESPath expression: Unexpected"),
        ("request_maps: {erp: {amount: [a]}}", "request_maps.erp.amount: must be a single value"),
        ("request_maps: {erp: {amount: null}}", "request_maps.erp.amount: must not be empty"),
        ("request_maps: {erp: [amount]}", "request_maps.erp: must be a mapping of keys"),
        ("request_maps: {'a b': {amount: sum}}", "request_maps.a b: must match"),
        ("request_maps: {erp: {order: a, order.items: b}}", "request_maps.erp.order.items: is a part of order"),
        ("request_maps: {erp: {order.items.sku: b}}", "request_maps.erp.order.items.sku: is inside a list"),
        ("request_maps: {erp: {amount: a, amount: b}}", "request_maps.erp.amount: is written twice"),
        (
            "request_maps: {erp: {account: \"'mian'\"}}\naccounts: {main: {provider: plain}}",
            'request_maps.erp.account: unknown account "mian"; did you mean "main"?',
        ),
        (
            "request_maps: {erp: {deposit_method: '`1`'}}",
            'request_maps.erp.deposit_method: unknown deposit method "1"',
        ),
        (
            "request_maps: {own: {amount: 'to_string(sum(lines[].to_number(price)))'}}",
            "request_maps.own.amount: is an amount, and to_number and avg may lose digits: take it as it was posted",
        ),
        ("reply_maps: {own: {nr: stat}}", 'reply_maps.own.nr: reads "stat", which is not there; did you mean "state"?'),
        ("reply_maps: {own: {a: id, a.b: id}}", "reply_maps.own.a.b: is a part of a"),
        ("reply_maps: {own: {a..b: id}}", "reply_maps.own.a..b: must be names with one dot"),
        (
            "webhook: {url: 'https://x.example', secrets: ['env:ACME_WHSEC'], map: onw}\nreply_maps: {own: {nr: id}}",
            'webhook.map: unknown reply map "onw"; did you mean "own"?',
        ),
        (
            "webhook: {url: 'https://x.example', secrets: ['env:ACME_WHSEC'], map: own}",
            'webhook.map: unknown reply map "own"',
        ),
    ],
)
def test_mistake_in_a_map(tmp_path: Path, line: str, said: str) -> None:
    """One mistake is one line that names file, line, tenant and key."""
    [found] = problems(tmp_path, with_tenant(line))
    assert found.startswith(f"settings.yaml:5: tenant acme: {said}")


def test_a_field_that_no_account_asks_for_is_advised(tmp_path: Path) -> None:
    """Every create that has it would be refused; a field that one of the accounts asks for is fine."""
    section = (
        "accounts: {main: {provider: plain, fields: {shop: {}}}, other: {provider: plain, fields: {desk: {}}}}\n"
        "request_maps:\n  own:\n    fields.shpo: a\n    fields.desk: b\n    metadata.x: c"
    )
    lines = [one for one in advice(load(tmp_path, with_tenant(section))) if "fields." in one]
    assert lines == [
        "settings.yaml:8: tenant acme: request_maps.own.fields.shpo: is a field that no account asks for;"
        ' did you mean "shop"?'
    ]


def test_a_map_that_can_make_no_create_is_advised(tmp_path: Path) -> None:
    """It has what only a create has, but not all that each needs; one for other requests needs nothing."""
    maps = (
        "request_maps:\n  half: {amount: a, metadata.x: b}\n  whole: {amount: a, currency: b, merchant_reference: c}\n"
    )
    settings = load(tmp_path, with_tenant(maps + "  later: {amount: a, reason: b}"))
    [line] = [one for one in advice(settings) if "request_maps" in one]
    assert line == (
        "settings.yaml:6: tenant acme: request_maps.half: makes no create without merchant_reference and currency"
    )


def test_a_webhook_that_names_a_map_with_a_mistake_is_not_accused(tmp_path: Path) -> None:
    """The map is there; one mistake stays one line."""
    text = "webhook: {url: 'https://x.example', secrets: ['env:ACME_WHSEC'], map: own}\nreply_maps: {own: {nr: stat}}"
    [found] = problems(tmp_path, with_tenant(text))
    assert found.startswith("settings.yaml:6: tenant acme: reply_maps.own.nr")
