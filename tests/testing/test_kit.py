"""The kit as a whole: plugins found by name, reports, exit codes, replays, the page that explains each rule."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gateway
from gateway.core.masking import Mask
from gateway.testing import NotInstalled, check_plugin
from gateway.testing.calls import Call, Outcome
from gateway.testing.cases import Case
from gateway.testing.checks import JUDGES
from gateway.testing.rules import FIXES, severity_of
from tests.support.cli import run
from tests.support.docs_pages import ROOT, text_of

SANDBOX = ROOT / "examples" / "gateway-provider-sandbox"


@pytest.mark.parametrize("name", ["creditkey", "psp_open_api"])
def test_the_bundled_plugins_are_sound(name: str) -> None:
    """The kit finds no fault with them."""
    assert str(check_plugin(name)) == f"{name}: nothing is wrong"


@pytest.mark.parametrize("folder", sorted((ROOT / "examples").glob("gateway-*")), ids=lambda folder: folder.name)
def test_every_example_is_sound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What authors copy breaks no rule."""
    monkeypatch.syspath_prepend(folder)
    points = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]["gateway.providers"]
    for name in points:
        assert str(check_plugin(name)) == f"{name}: nothing is wrong"


def test_a_plugin_is_found_by_its_sources_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with a pyproject.toml is enough; its name and version are read there."""
    monkeypatch.syspath_prepend(SANDBOX)
    report = check_plugin("sandbox")
    assert (report.plugin, report.version, report.ok) == ("sandbox", "0.1.0", True)


def test_a_plugin_that_is_not_there_is_named() -> None:
    """Exit code 2, and what was meant."""
    result = run("plugins", "check", "creditkei")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == 'no plugin "creditkei" is installed or on the path; did you mean "creditkey"?\n'
    assert run("plugins", "check", "a\nb").stderr.startswith('no plugin "a\\nb" is installed')
    with pytest.raises(NotInstalled):
        check_plugin("creditkei")


QUESTIONS = [("https://p.example/", False), ("https://p.example/?k=key-0123456789", True)]


@pytest.mark.parametrize(("url", "is_shown"), QUESTIONS)
def test_a_further_question_may_carry_the_session(url: str, is_shown: bool) -> None:
    """What a lookup asks next is a request: its headers hold the token, its URL must not."""
    request = gateway.HttpRequest(method="GET", url=url, headers=(("Authorization", "Bearer key-0123456789"),))
    subject: Any = SimpleNamespace(mask=Mask(["key-0123456789"]))
    case = Case(("secret-shown",), (Call(member="parse", account="acme/main"),))
    said = JUDGES["secret-shown"](subject, case, [Outcome(value=gateway.Ask(request=request))])
    assert bool(said) is is_shown


def test_an_outcome_is_told_by_what_it_says() -> None:
    """Members that say nothing are left out."""
    seen = gateway.Observation(stage=gateway.Stage.CAPTURED, payment_id="p-1")
    said = str(Outcome(value=(gateway.Event(event_id="e-1", observation=seen),)))
    assert said.startswith("returned (Event(event_id='e-1', observation=Observation(stage=")
    assert said.endswith(", payment_id='p-1')))")


def test_the_report_for_programs() -> None:
    """The names that programs rely on."""
    result = run("plugins", "check", "psp_open_api", "--json")
    given = json.loads(result.stdout)
    assert result.exit_code == 0
    assert given.keys() == {"plugin", "version", "findings", "counts"}
    assert given["counts"]["build"] > 0


def test_each_rule_has_its_story_and_its_way_out() -> None:
    """The page and the rules keep step, and each rule that has a judge has a fix."""
    told = {
        line.removeprefix("### ") for line in text_of("docs/conformance.md").splitlines() if line.startswith("### ")
    }
    assert told == FIXES.keys()
    assert JUDGES.keys() <= FIXES.keys()
    assert {severity_of(rule) for rule in FIXES} == {"error", "warning"}


def test_the_kit_runs_as_a_pytest_plugin(tmp_path: Path) -> None:
    """One test per plugin that is named, beside those of the author."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "gateway.testing",
        "--gateway-plugin",
        "creditkey",
        "-q",
        "-n",
        "0",
    ]
    done = subprocess.run(
        [*command, "--rootdir", str(tmp_path), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_wheel_has_the_samples() -> None:
    """What is beside the modules is packaged: the kit finds it in an installation too."""
    for name in ("creditkey", "psp_open_api"):
        assert check_plugin(name).counts["parse"] > 400


def test_a_server_loads_nothing_of_the_kit() -> None:
    """It is for development alone; the command that checks loads it when it is called."""
    loaded = "[name for name in sys.modules if name.startswith('gateway.testing')]"
    code = f"import sys, gateway.cli.serve, gateway.cli.plugins; print(*{loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
