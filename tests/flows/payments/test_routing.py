"""Which account takes a new payment: the order of the choice, the rules' expressions, fallbacks, limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.core.documents import amount_hook
from gateway.core.errors import TenantError
from gateway.core.money import Amount
from gateway.core.request_bodies import CreateBody
from gateway.drivers.settings import Tenant
from gateway.flows.payments import routing
from tests.support.factories.settings import load, with_tenant
from tests.support.stack import psp_body, running_stack

ANY = "provider: either, config: {environment: test}"
ACCOUNTS = f"""
accounts:
  dollars: {{provider: plain}}
  any: {{{ANY}}}
  more: {{{ANY}}}
  retired: {{{ANY}, accepts_new: false}}
  gone: {{{ANY}, accepts_new: false}}
deposit_methods:
  bank: {{account: any, currencies: [USD, EUR], amount: {{min: 10, max: 500}}}}
  old: {{account: retired}}
"""


def tenant(folder: Path, *rules: str, accounts: str = ACCOUNTS) -> Tenant:
    """A tenant with these routing rules, read from real settings."""
    lines = "".join(f"\n  - {rule}" for rule in rules)
    return load(folder, with_tenant(accounts + f"\nrouting:{lines or ' []'}")).tenants["acme"]


def body(amount: str = "100.00", currency: str = "USD", **members: Any) -> CreateBody:
    """A create as a tenant sends it."""
    return CreateBody(merchant_reference="SO-1", amount=Amount(amount), currency=currency, **members)


def chain(owner: Tenant, order: CreateBody) -> list[str]:
    """The names of the chosen account and of its fallback."""
    route = routing.choose(owner, order)
    return [route.entry.name, *(entry.name for entry in route.fallback)]


def refused(owner: Tenant, order: CreateBody) -> TenantError:
    """The error a create is refused with."""
    with pytest.raises(TenantError) as caught:
        routing.choose(owner, order)
    return caught.value


# --- who is asked first


def test_named_account_comes_first(tmp_path: Path) -> None:
    """An account that the create names is taken, whatever the rules say, and has no fallback."""
    acme = tenant(tmp_path, "{account: any, fallback: [more]}")
    assert chain(acme, body(account="dollars")) == ["dollars"]


def test_a_rules_account_that_is_named_has_no_fallback(tmp_path: Path) -> None:
    """A fallback belongs to the choice of a rule, not to the account."""
    acme = tenant(tmp_path, "{account: any, fallback: [more]}")
    assert chain(acme, body(account="any")) == ["any"]


def test_deposit_method_comes_before_the_rules(tmp_path: Path) -> None:
    """The account of the deposit method is taken ahead of the rules, without a fallback."""
    acme = tenant(tmp_path, "{account: dollars, fallback: [more]}")
    assert chain(acme, body(deposit_method="bank")) == ["any"]


def test_deposit_method_with_its_own_account(tmp_path: Path) -> None:
    """A create may name the deposit method and its account."""
    assert chain(tenant(tmp_path), body(deposit_method="bank", account="any")) == ["any"]


def test_deposit_method_with_another_account(tmp_path: Path) -> None:
    """A deposit method together with an account that is not its own is refused by the member's name."""
    error = refused(tenant(tmp_path), body(deposit_method="bank", account="more"))
    assert (error.code, [wrong.field for wrong in error.errors]) == ("validation_failed", ["$.account"])


def test_first_rule_that_matches(tmp_path: Path) -> None:
    """Rules are asked in order; the first that matches chooses, also when a later one would match."""
    rules = ["{when: \"currency == 'EUR'\", account: more}", "{account: any}"]
    acme = tenant(tmp_path, *rules)
    assert [chain(acme, body(currency=code)) for code in ("EUR", "USD")] == [["more"], ["any"]]


def test_only_account(tmp_path: Path) -> None:
    """A tenant with one account needs no rule."""
    assert chain(tenant(tmp_path, accounts="accounts: {dollars: {provider: plain}}"), body()) == ["dollars"]


def test_only_account_when_no_rule_matches(tmp_path: Path) -> None:
    """The only account is taken also when there are rules of which none matches."""
    rule = "{when: \"currency == 'EUR'\", account: dollars}"
    assert chain(tenant(tmp_path, rule, accounts="accounts: {dollars: {provider: plain}}"), body()) == ["dollars"]


@pytest.mark.parametrize("rules", [(), ("{when: \"currency == 'EUR'\", account: any}",)])
def test_no_route(tmp_path: Path, rules: tuple[str, ...]) -> None:
    """Several accounts and no rule that matches: the create must say where it goes."""
    assert refused(tenant(tmp_path, *rules), body()).code == "no_route"


def test_rule_that_cannot_be_searched_to_its_end(tmp_path: Path) -> None:
    """A rule that takes too many steps over an order refuses it, by its number: it may be the one that matches."""
    endless = " | ".join(["metadata.list", *["[@, @][]"] * 20])
    owner = tenant(
        tmp_path, "{when: currency == 'EUR', account: any}", f"{{when: '{endless}', account: any}}", "{account: more}"
    )
    error = refused(owner, body(metadata={"list": [1, 2]}))
    assert (error.code, error.detail) == (
        "no_route",
        "routing rule [1]: when takes more than 20000 steps over this payment",
    )
    assert chain(owner, body(metadata={})) == ["more"]


def test_unknown_account(tmp_path: Path) -> None:
    """An account that does not exist is refused and not replaced by what a rule says."""
    assert refused(tenant(tmp_path, "{account: any}"), body(account="anny")).code == "unknown_account"


def test_unknown_deposit_method(tmp_path: Path) -> None:
    """A deposit method that does not exist is refused and not replaced by what a rule says."""
    assert refused(tenant(tmp_path, "{account: any}"), body(deposit_method="cash")).code == "deposit_method_not_found"


# --- what a rule sees

THOUSAND = "currency == 'USD' && to_number(amount) >= `1000`"


@pytest.mark.parametrize(
    ("amount", "currency", "chosen"),
    [
        ("1000", "USD", "more"),
        ("1000.00", "USD", "more"),
        ("999.99", "USD", "any"),
        ("1000", "EUR", "any"),
        ("999999999999999", "USD", "more"),
    ],
)
def test_rule_over_the_amount(tmp_path: Path, amount: str, currency: str, chosen: str) -> None:
    """A rule may compare amount and currency of the create."""
    acme = tenant(tmp_path, f'{{when: "{THOUSAND}", account: more}}', "{account: any}")
    assert chain(acme, body(amount, currency)) == [chosen]


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ("amount == '100.00'", True),
        ("amount == `100`", False),
        ("amount < `1000`", False),
        ("merchant_reference == 'SO-1'", True),
        ("metadata.warehouse == '7'", True),
        ("fields.custom_1", True),
        ("customer.nationality == 'us'", True),
        ("customer.email", False),
        ("order.items[0].price == '0.0000000001'", True),
        ("account == `null`", True),
        ("ceil(to_number(metadata.big)) > `1`", False),
    ],
)
def test_what_a_rule_sees(tmp_path: Path, when: str, matches: bool) -> None:
    """A rule sees the create under our names, amounts as text; one that does not fit the body does not match."""
    order = {
        "fields": {"custom_1": "x"},
        "metadata": {"warehouse": "7", "big": "inf"},
        "customer": {"nationality": "us"},
        "order": {"items": [{"merchant_id": "a", "name": "a", "price": "0.0000000001", "quantity": 1}]},
    }
    acme = tenant(tmp_path, f'{{when: "{when}", account: more}}', "{account: any}")
    assert chain(acme, decoded(order)) == ["more" if matches else "any"]


def decoded(members: dict[str, Any]) -> CreateBody:
    """A create decoded as the server does, so that amounts are what they are there."""
    given = {"merchant_reference": "SO-1", "amount": "100.00", "currency": "USD", **members}
    return msgspec.convert(given, CreateBody, dec_hook=amount_hook)


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ("`true`", True),
        ("`0`", True),
        ("'x'", True),
        ("`[0]`", True),
        ("`false`", False),
        ("''", False),
        ("`[]`", False),
        ("`{}`", False),
        ("`null`", False),
    ],
)
def test_truth_is_that_of_jmespath(tmp_path: Path, when: str, matches: bool) -> None:
    """Nothing, false and what is empty do not match; everything else does, zero too."""
    acme = tenant(tmp_path, f'{{when: "{when}", account: more}}', "{account: any}")
    assert chain(acme, body()) == ["more" if matches else "any"]


# --- fallbacks and retired accounts


def test_fallback_of_a_rule(tmp_path: Path) -> None:
    """The accounts of a rule follow one another as they are written."""
    assert chain(tenant(tmp_path, "{account: any, fallback: [more, dollars]}"), body()) == ["any", "more", "dollars"]


def test_fallback_leaves_out_what_cannot_take_the_payment(tmp_path: Path) -> None:
    """Accounts that are retired or do not take the currency are no fallback."""
    acme = tenant(tmp_path, "{account: any, fallback: [retired, dollars, more]}")
    assert chain(acme, body(currency="EUR")) == ["any", "more"]


@pytest.mark.parametrize(
    ("capture", "accounts"), [("later", ["dollars"]), ("now", None), (None, ["any", "dollars", "more"])]
)
def test_fallback_captures_as_asked_for(tmp_path: Path, capture: Any, accounts: list[str] | None) -> None:
    """Money is never taken earlier than was asked for because another account had to take the payment."""
    acme = tenant(tmp_path, "{account: retired, fallback: [any, dollars, more]}")
    order = body(capture=capture)
    if accounts is None:
        assert refused(acme, order).code == "unknown_account"
    else:
        assert chain(acme, order) == accounts


@pytest.mark.parametrize(
    ("account", "capture", "detail"),
    [
        ("dollars", "later", None),
        ("dollars", None, None),
        ("any", None, None),
        ("dollars", "now", 'account "dollars" takes later only: leave it out, or name another account'),
        ("any", "now", 'account "any" cannot be told when to capture: leave it out, or name another account'),
    ],
)
def test_when_to_capture(tmp_path: Path, account: str, capture: Any, detail: str | None) -> None:
    """An account captures as its provider's rules allow, and a refusal names the member and says which."""
    entry = tenant(tmp_path).accounts[account]
    if detail is None:
        routing.check_capture(entry, body(capture=capture))
        return
    with pytest.raises(TenantError) as caught:
        routing.check_capture(entry, body(capture=capture))
    problems = [(one.field, one.message) for one in caught.value.errors]
    assert (caught.value.code, problems) == ("unsupported_by_provider", [("$.capture", detail)])


def test_fallback_takes_the_place_of_a_retired_account(tmp_path: Path) -> None:
    """The first fallback that can take the payment stands in for a retired account; the rest stay fallback."""
    acme = tenant(tmp_path, "{account: retired, fallback: [gone, any, dollars, more]}")
    assert chain(acme, body()) == ["any", "dollars", "more"]


def test_stand_in_takes_the_currency(tmp_path: Path) -> None:
    """An account that does not take the currency does not stand in for a retired one."""
    acme = tenant(tmp_path, "{account: retired, fallback: [dollars, more]}")
    assert chain(acme, body(currency="EUR")) == ["more"]


@pytest.mark.parametrize("rule", ["{account: retired}", "{account: retired, fallback: [gone, dollars]}"])
def test_retired_without_a_stand_in(tmp_path: Path, rule: str) -> None:
    """A retired account of a rule that nobody can stand in for is refused by its name; no later rule is asked."""
    error = refused(tenant(tmp_path, rule.replace("}", ", when: '@'}"), "{account: any}"), body(currency="EUR"))
    detail = 'account "retired" does not accept new payments; these do: dollars, any, more'
    assert (error.code, error.detail) == ("unknown_account", detail)


@pytest.mark.parametrize("named", [{"account": "retired"}, {"deposit_method": "old"}])
def test_retired_account_that_was_named(tmp_path: Path, named: dict[str, str]) -> None:
    """A retired account that the create asked for is refused, also where a rule has a fallback for it."""
    acme = tenant(tmp_path, "{account: retired, fallback: [any]}")
    assert refused(acme, body(**named)).code == "unknown_account"


def test_retired_only_account(tmp_path: Path) -> None:
    """A tenant whose only account is retired takes no new payment."""
    acme = tenant(tmp_path, accounts="accounts: {dollars: {provider: plain, accepts_new: false}}")
    assert refused(acme, body()).code == "unknown_account"


def test_the_rules_account_is_not_skipped_for_its_currency(tmp_path: Path) -> None:
    """A rule that sends euros to an account of dollars is a mistake that is told, not worked around."""
    acme = tenant(tmp_path, "{account: dollars, fallback: [any]}")
    order = body(currency="EUR")
    route = routing.choose(acme, order)
    assert limit_problem(acme, order, account=route.entry.name) == "currency_not_supported"


# --- limits


def limit_problem(owner: Tenant, order: CreateBody, account: str = "any") -> str | None:
    """The code ``check_limits`` refuses with, if it does."""
    try:
        routing.check_limits(owner, owner.accounts[account], order)
    except TenantError as problem:
        return problem.code
    return None


@pytest.mark.parametrize(
    ("amount", "currency", "code"),
    [
        ("10.00", "USD", None),
        ("500.00", "EUR", None),
        ("9.99", "USD", "validation_failed"),
        ("500.01", "USD", "validation_failed"),
        ("100.00", "GBP", "currency_not_supported"),
    ],
)
def test_limits_of_a_deposit_method(tmp_path: Path, amount: str, currency: str, code: str | None) -> None:
    """A deposit method takes its currencies and amounts, both limits included."""
    assert limit_problem(tenant(tmp_path), body(amount, currency, deposit_method="bank")) == code


@pytest.mark.parametrize(("currency", "code"), [("USD", None), ("EUR", "currency_not_supported")])
def test_currencies_of_an_account(tmp_path: Path, currency: str, code: str | None) -> None:
    """An account takes the currencies of its provider's rules."""
    assert limit_problem(tenant(tmp_path), body(currency=currency), account="dollars") == code


async def test_fallbacks_that_cannot_take_a_payment_are_passed_over(tmp_path: Path) -> None:
    """The chain goes on past an account that refuses the order, and every attempt is in the timeline."""

    def chain(settings: dict[str, Any]) -> None:
        acme = settings["tenants"]["acme"]
        dead = {"provider": "psp_open_api", "config": {"app_url": "http://127.0.0.1:9"}}
        acme["accounts"] |= {
            "dead": dead,
            "picky": {**dead, "fields": {"loyalty": {"required": True}}},
        }
        acme["deposit_methods"] |= {"d": {"account": "dead"}, "p": {"account": "picky"}}
        acme["routing"] = [{"account": "dead", "fallback": ["picky", "psp-main"]}]

    async with running_stack(tmp_path, change=chain) as stack:
        created = await stack.create(psp_body(account=None))
        assert (created.json["state"], created.json["account"]) == ("awaiting_customer", "psp-main")
        last = (await stack.events(created.json["id"]))[-1]["details"]
        assert last["account"] == "psp-main"
        assert last["not_sent"].count("dead op_") == 2
