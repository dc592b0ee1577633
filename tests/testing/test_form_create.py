"""A plugin whose create is a form, which the customer's browser posts: the kit judges it as it judges a request."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gateway.testing import Report, check_plugin

PROJECT = """
[project]
name = "gateway-formpay"
version = "0.1"

[project.entry-points."gateway.providers"]
formpay = "formpay"
"""
SAMPLES = {
    "accounts": [{"tenant": "acme", "name": "main", "config": {"key": "form-key"}}],
    "wire": {"USD 10.00": {"amount": "1000"}},
}
PLUGIN = """
import hashlib
import hmac

import msgspec

import gateway


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key: gateway.Secret


class FormPay(gateway.Provider):
    name = "formpay"
    account_type = Config
    commands = frozenset({gateway.CreatePayment})

    def build(self, command, account):
        fields = {"order": command.payment_id, "amount": str(command.money.minor_units())}
        text = "".join(fields.values())
        fields["sign"] = hmac.new(account.config.key.reveal().encode(), text.encode(), hashlib.sha256).hexdigest()
        form = gateway.Form("https://pages.formpay.example/pay", fields)
        return gateway.Observation(stage=gateway.Stage.AWAITING_CUSTOMER, form=form)

    def parse(self, command, response, account):
        raise gateway.OutcomeUnknown("nothing is asked")

    def verify(self, callback, account):
        return gateway.Hint()

    def answer(self, verdict, callback):
        return gateway.status_answer(verdict, judged=200)


@gateway.hookimpl
def gateway_providers():
    return [FormPay()]
"""
FAULTS = {
    "wire-amount": ("command.money.minor_units()", "command.money.amount"),
    "build-returns": ("Stage.AWAITING_CUSTOMER", "Stage.CAPTURED"),
    "secret-in-url": ('.example/pay"', '.example/pay?" + account.config.key.reveal()'),
}


def report_of(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> Report:
    """What the kit says of a source."""
    for name, text in (("pyproject.toml", PROJECT), ("samples.json", json.dumps(SAMPLES)), ("formpay.py", source)):
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "formpay", raising=False)
    return check_plugin("formpay", replays=folder / "replays")


def findings(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The rules that the kit reports of a source."""
    return {one.rule for one in report_of(folder, source, monkeypatch).findings if one.severity == "error"}


def test_a_create_may_be_a_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sound one is green."""
    assert findings(tmp_path, PLUGIN, monkeypatch) == set()


def test_no_answer_is_missed_where_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A create that takes no call has no answer that a sample could show."""
    assert "CreatePayment" not in str(report_of(tmp_path, PLUGIN, monkeypatch))


@pytest.mark.parametrize("rule", FAULTS)
def test_a_form_is_judged_as_a_request_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """Its amount, its stage and its address have the rules of any other create."""
    old, new = FAULTS[rule]
    assert PLUGIN.count(old) == 1
    assert rule in findings(tmp_path, PLUGIN.replace(old, new), monkeypatch)
