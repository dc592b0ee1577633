"""``gateway map explain``: what an account would send for a create, for people and for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli import main
from tests.support.cli import SHIPPED, run

CREATE: dict[str, Any] = {
    "merchant_reference": "SO-1",
    "amount": "25.50",
    "currency": "USD",
    "customer": {"id": "C-88", "language": "en-us", "nationality": "us"},
    "fields": {"custom_1": "GOLD"},
}


def explain(folder: Path, *options: str, account: str = "acme/psp-main", **changes: Any) -> Any:
    """Explain a create with the shipped settings."""
    (folder / "create.json").write_text(json.dumps({**CREATE, **changes}))
    return run("map", "explain", account, "--request", folder / "create.json", "--config", SHIPPED, *options)


def test_json_has_each_member_with_its_rule(tmp_path: Path) -> None:
    """File and line are those of the shipped settings; what is switched off is left out with its line."""
    shown = json.loads(explain(tmp_path, "--json").stdout)
    assert list(shown) == ["members", "left_out", "body", "signed", "curl"]
    lang = next(one for one in shown["members"] if one["key"] == "lang")
    line = 1 + next(n for n, text in enumerate(SHIPPED.read_text().splitlines()) if "language: {key: lang" in text)
    rule = f"settings.yaml:{line}"
    assert lang == {"key": "lang", "value": "EN", "field": "language", "origin": "payment", "rule": rule}
    assert {one["field"]: one["why"] for one in shown["left_out"]}["nationality"] == "is switched off"
    assert {one["key"]: one["value"] for one in shown["members"]} == json.loads(shown["body"])


def test_people_see_tables_and_texts(tmp_path: Path) -> None:
    """The members, what is left out, then body, signed text and curl line."""
    output = explain(tmp_path).stdout
    assert "sum" in output.partition("left out")[0]
    assert [line for line in output.splitlines() if line.endswith(":")] == ["body:", "signed:", "curl:"]


def test_a_request_from_stdin() -> None:
    """``-`` reads it there."""
    arguments = ["map", "explain", "acme/psp-main", "--request", "-", "--json", "--config", str(SHIPPED)]
    result = CliRunner().invoke(main, arguments, input=json.dumps(CREATE))
    assert json.loads(json.loads(result.stdout)["body"])["sum"] == 25.5


def test_a_request_that_would_be_refused(tmp_path: Path) -> None:
    """Exit 1 with every error that the create would give, on stderr for people."""
    wrong = {"amount": "1.005", "fields": {"custom_1": "gold"}}
    result = explain(tmp_path, **wrong)
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.partition(":")[0] for line in result.stderr.splitlines()[1:]] == ["$.amount", "$.fields.custom_1"]
    problem = json.loads(explain(tmp_path, "--json", **wrong).stdout)
    assert (problem["code"], [one["field"] for one in problem["errors"]]) == (
        "validation_failed",
        ["$.amount", "$.fields.custom_1"],
    )


POSTED = {
    "orderNumber": "SO-7",
    "currency": "USD",
    "totals": {"grand": 25.50},
    "lines": [{"sku": "J", "title": "Jack", "unit": "25.50", "qty": 1}],
}


def own(folder: Path, *options: str, **changes: Any) -> Any:
    """Explain what the shipped settings make of a body of the tenant's own shape."""
    (folder / "own.json").write_text(json.dumps({**POSTED, **changes}))
    return run("map", "explain", "acme/psp-main", "--request", folder / "own.json", "--config", SHIPPED, *options)


def test_a_body_of_the_tenants_own_shape(tmp_path: Path) -> None:
    """As ``?map=`` takes it; errors name the expression and its line."""
    assert json.loads(json.loads(own(tmp_path, "--map", "erp", "--json").stdout)["body"])["sum"] == 25.5
    refused = own(tmp_path, "--map", "erp", totals={})
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert re.search(r"\$\.amount: .*settings\.yaml:\d+: totals\.grand", refused.stderr)


def test_an_unknown_map(tmp_path: Path) -> None:
    """Refused as the create would be, with those there are."""
    refused = own(tmp_path, "--map", "nothing")
    assert (refused.exit_code, "known are erp" in refused.stderr) == (1, True)


PAYMENT = {"id": "pay_1", "merchant_reference": "SO-7", "state": "captured", "redirect_url": None}


def reply(folder: Path, body: Any, *options: str) -> Any:
    """Explain what the reply maps of the shipped settings make of a body."""
    (folder / "reply.json").write_text(json.dumps(body))
    return run("map", "explain", "acme/psp-main", "--reply", folder / "reply.json", "--config", SHIPPED, *options)


@pytest.mark.parametrize(
    "body", [PAYMENT, {"type": "payment.captured", "timestamp": "2026-01-02T03:04:05Z", "data": {"payment": PAYMENT}}]
)
def test_reply_maps_are_explained(tmp_path: Path, body: Any) -> None:
    """Of an answer or a webhook: each member with its line, what finds nothing, and the exact body."""
    [shown] = json.loads(reply(tmp_path, body, "--json").stdout)["replies"]
    assert shown["map"] == "erp"
    assert {one["key"]: one["value"] for one in shown["members"]} == {
        "order.number": "SO-7",
        "order.status": "captured",
    }
    assert {one["field"]: one["why"] for one in shown["left_out"]} == {"order.pay_here": "finds nothing"}
    assert json.loads(shown["body"]) == {"order": {"number": "SO-7", "status": "captured"}}
    assert all(one["rule"].startswith("settings.yaml:") for one in (*shown["members"], *shown["left_out"]))


def test_people_see_reply_maps_after_the_request(tmp_path: Path) -> None:
    """Both may be explained at once."""
    (tmp_path / "create.json").write_text(json.dumps(CREATE))
    output = reply(tmp_path, PAYMENT, "--request", str(tmp_path / "create.json")).stdout
    assert output.index("signed:") < output.index("reply map erp:") < output.index("order.status")


@pytest.mark.parametrize("body", [[], 5, {"type": 1, "timestamp": 1, "data": 1}])
def test_a_reply_that_is_none(tmp_path: Path, body: Any) -> None:
    """Exit 2; so does a command without anything to explain."""
    assert reply(tmp_path, body).exit_code == 2
    assert run("map", "explain", "acme/psp-main", "--config", SHIPPED).exit_code == 2


def test_a_create_is_not_a_standard_body(tmp_path: Path) -> None:
    """A map would find next to nothing in it: that is said, and shown."""
    result = reply(tmp_path, CREATE)
    assert (result.exit_code, "this is not a standard body" in result.stderr) == (0, True)
    assert reply(tmp_path, PAYMENT).stderr == ""


def test_a_tenant_without_reply_maps(tmp_path: Path) -> None:
    """It is said, rather than nothing shown."""
    (tmp_path / "reply.json").write_text(json.dumps(PAYMENT))
    result = run("map", "explain", "globex/psp-main", "--reply", tmp_path / "reply.json", "--config", SHIPPED)
    assert (result.exit_code, "globex has no reply maps" in result.stderr) == (2, True)


@pytest.mark.parametrize("account", ["acme/nothing", "nothing/psp-main", "psp-main", ""])
def test_an_unknown_account(tmp_path: Path, account: str) -> None:
    """Exit 2, with the accounts that there are."""
    result = explain(tmp_path, account=account)
    assert (result.exit_code, "globex/psp-main" in result.stderr) == (2, True)


def test_a_body_that_is_not_json(tmp_path: Path) -> None:
    """The place is named."""
    (tmp_path / "create.json").write_text('{"amount": 1,}')
    result = run("map", "explain", "acme/psp-main", "--request", tmp_path / "create.json", "--config", SHIPPED)
    assert (result.exit_code, "at line 1 column" in result.stderr) == (1, True)
