"""``gateway plugins conform``: sound plugins pass every story, and each kind of fault fails one."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import gateway_psp_open_api as psp
import pytest
from msgspec.structs import replace

import gateway
from gateway.testing import NotInstalled, conform_plugin
from tests.support.cli import run
from tests.support.docs_pages import ROOT

EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("name", ["creditkey", "momo", "acquirelite", "girobank", "formpay"])
def test_a_sound_plugin_passes_every_story(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Lookups, callbacks, two steps, pending refunds: nothing is lost and nothing is sent twice."""
    monkeypatch.syspath_prepend(EXAMPLES / f"gateway-{name}")
    report = conform_plugin(name)
    assert str(report) == f"{name}: nothing is wrong"
    assert report.counts["stories"] >= 10


@pytest.mark.parametrize("style", ["redirect", "polling", "signed-webhook"])
def test_a_new_plugin_passes_every_story(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, style: str) -> None:
    """What ``plugins new`` writes conforms as it stands."""
    name = f"new_{style.partition('-')[0]}"
    monkeypatch.chdir(tmp_path)
    assert run("plugins", "new", name, "--style", style).exit_code == 0
    monkeypatch.syspath_prepend(tmp_path)
    assert str(conform_plugin(name)) == f"{name}: nothing is wrong"


def test_mutants_are_noticed() -> None:
    """Each fault that changes anything at this provider fails a story."""
    report = conform_plugin("psp_open_api", mutants=True)
    assert report.findings == ()
    assert report.counts["mutants"] == report.counts["mutants_noticed"] == 3


def test_a_signature_inside_the_body_is_forged_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that computes it and does not compare is noticed."""
    monkeypatch.syspath_prepend(EXAMPLES / "gateway-formpay")
    report = conform_plugin("formpay", mutants=True)
    assert "no story fails although signatures are not compared" not in str(report)


def test_a_finding_shows_what_passed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both ledgers, and every exchange of the story, in a file that people can read."""
    build = psp.PspOpenApi.build

    def doubled(self: Any, command: Any, account: Any) -> Any:
        money = replace(command.money, amount=command.money.amount * 2)
        return build(self, replace(command, money=money), account)

    monkeypatch.setattr(psp.PspOpenApi, "build", doubled)
    report = conform_plugin("psp_open_api", replays=tmp_path)
    assert not report.ok
    assert "ledger" in {one.rule for one in report.findings}
    shown = json.loads(Path(next(one.replay for one in report.findings if one.rule == "ledger")).read_text())
    assert (shown["ledger"][0]["asked"], shown["payment"]["amount"]) == ("20", "10.00")
    assert {one["to"] for one in shown["exchanges"]} <= {"provider", "gateway"}
    assert shown["exchanges"]


def test_a_forged_callback_that_is_believed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier that does not compare is found by its rule."""
    monkeypatch.setattr(gateway, "same", lambda *_: True)
    monkeypatch.setattr("hmac.compare_digest", lambda *_: True)
    assert "forged-callback" in {one.rule for one in conform_plugin("psp_open_api").findings}


def test_a_plugin_without_a_simulator_cannot_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a finding, not a failure of the command."""
    monkeypatch.syspath_prepend(EXAMPLES / "gateway-provider-sandbox")
    assert [one.rule for one in conform_plugin("sandbox").findings] == ["simulator"]


def test_the_report_for_programs() -> None:
    """As that of check; without errors it ends with 0."""
    result = run("plugins", "conform", "psp_open_api", "--json")
    assert (result.exit_code, json.loads(result.stdout)["findings"]) == (0, [])
    assert logging.getLogger("gateway").isEnabledFor(logging.CRITICAL)


def test_a_plugin_that_is_not_there_is_named() -> None:
    """Exit code 2, and what was meant."""
    result = run("plugins", "conform", "creditkei")
    assert (result.exit_code, result.stdout) == (2, "")
    with pytest.raises(NotInstalled):
        conform_plugin("creditkei")
