"""Routing rules in the settings: mistakes in a rule, and rules that nothing reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.expressions import compile_expression
from gateway.drivers.settings import RoutingRule
from tests.support.factories.settings import GOOD, load, problems, with_tenant


def test_routing_rules(tmp_path: Path) -> None:
    """Rules become compiled expressions with their accounts, in order; without a section there are none."""
    rules = "  - {when: \"currency == 'USD'\", account: main, fallback: [backup]}\n  - {account: backup}"
    assert load(tmp_path, with_tenant(ROUTED + rules)).tenants["acme"].routing == (
        RoutingRule(when=compile_expression("currency == 'USD'"), account="main", fallback=("backup",)),
        RoutingRule(when=None, account="backup", fallback=()),
    )
    assert load(tmp_path, GOOD).tenants["acme"].routing == ()


RULE_MISTAKES = [
    ("{when: a, account: man}", 'routing[1].account: unknown account "man"; did you mean "main"?'),
    ("{}", "routing[1].account: is missing"),
    ("{when: a, account: null}", "routing[1].account: must not be empty"),
    ("{when: a, account: main, fallback: [bakup]}", 'fallback[0]: unknown account "bakup"; did you mean "backup"?'),
    ("{when: a, account: main, fallback: [main]}", 'routing[1].fallback[0]: "main" is listed twice in this rule'),
    (
        "{when: a, account: main, fallback: [backup, backup]}",
        'routing[1].fallback[1]: "backup" is listed twice in this rule',
    ),
    ("{when: a, account: main, fallback: backup}", "routing[1].fallback: must be a list"),
    ("{account: main, falback: [backup]}", 'routing[1].falback: unknown key "falback"; did you mean "fallback"?'),
    ("{when: 'a b', account: main}", "routing[1].when: is not a JMESPath expression: Unexpected token: b"),
    (
        "{when: to_nmber(amount), account: main}",
        'routing[1].when: is not a JMESPath expression: unknown function "to_nm',
    ),
    ("{when: '', account: main}", "routing[1].when: is not a JMESPath expression"),
    ("{when: [a], account: main}", "routing[1].when: must be a single value"),
]


ROUTED = "accounts: {main: {provider: plain}, backup: {provider: plain}}\nrouting:\n"


@pytest.mark.parametrize(("rule", "said"), RULE_MISTAKES)
def test_mistake_in_a_routing_rule(tmp_path: Path, rule: str, said: str) -> None:
    """One mistake in a rule is one line that names the rule; it accuses no rule after it."""
    text = f"{ROUTED}  - {{when: account, account: main}}\n  - {rule}\n  - {{when: currency, account: main}}"
    [line] = problems(tmp_path, with_tenant(text))
    assert line.startswith("settings.yaml:8: tenant acme: routing[1]")
    assert said in line


def test_mistakes_of_one_rule_are_all_named(tmp_path: Path) -> None:
    """A rule that cannot be read is still asked for its accounts, each under the number it has in the file."""
    text = ROUTED + "  - {when: 'a b', account: man, fallback: [[x], backup, nobody]}"
    assert [line.split(": ")[2] for line in problems(tmp_path, with_tenant(text))] == [
        "routing[0].when",
        "routing[0].fallback[0]",
        "routing[0].account",
        "routing[0].fallback[2]",
    ]


def test_rules_behind_one_that_always_matches(tmp_path: Path) -> None:
    """Every rule behind one without ``when`` is refused: it would never be asked."""
    rules = [
        "{when: currency, account: main}",
        "{account: main}",
        "{when: currency, account: backup}",
        "{account: main}",
    ]
    lines = problems(tmp_path, with_tenant(ROUTED + "".join(f"  - {rule}\n" for rule in rules)))
    assert lines == [
        f"settings.yaml:{7 + number}: tenant acme: routing[{number}]: can never match: rule [1] before it has no when"
        for number in (2, 3)
    ]


def test_rule_for_an_account_that_could_not_be_read(tmp_path: Path) -> None:
    """A mistake in an account does not also accuse the rule that names it."""
    text = "accounts: {main: {provider: nobody}}\nrouting: [{account: main}]"
    assert len(problems(tmp_path, with_tenant(text))) == 1
