"""Each finding has a file with the input that shows it; made again, it says whether the fault is still there."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from gateway.core.strictjson import JsonNumber
from gateway.core.wire import HttpResponse
from gateway.testing.calls import Call
from gateway.testing.cases import Case
from gateway.testing.recipes import Recipe
from gateway.testing.replays import read_replay, write_replay
from tests.support.cli import run
from tests.support.docs_pages import ROOT

SOUND = ROOT / "tests" / "testing" / "soundpay"
FAULT = ("gateway.Stage.UNKNOWN),\n        payment_id", "gateway.Stage.CAPTURED),\n        payment_id")


def test_a_finding_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is red with the fault, and green without."""
    folder = tmp_path / "plugin"
    shutil.copytree(SOUND, folder)
    monkeypatch.syspath_prepend(folder)
    source = (folder / "soundpay.py").read_text()
    assert FAULT[0] in source

    def checked(text: str, *options: object) -> tuple[int, str]:
        (folder / "soundpay.py").write_text(text)
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        monkeypatch.delitem(sys.modules, "soundpay", raising=False)
        result = run("plugins", "check", "soundpay", *options)
        return result.exit_code, result.stdout

    status, shown = checked(source.replace(*FAULT), "--json", "--replays", tmp_path / "replays")
    (found,) = (one for one in json.loads(shown)["findings"] if one["rule"] == "unknown-word")
    assert status == 1
    status, shown = checked(source.replace(*FAULT), "--replay", found["replay"])
    assert (status, shown.splitlines()[-1]) == (1, found["message"])
    status, shown = checked(source, "--replay", found["replay"])
    assert (status, shown.splitlines()[-1]) == (0, "nothing is wrong any more")


def test_a_file_holds_all_of_a_case(tmp_path: Path) -> None:
    """Bytes that are not text and numbers as they were written come back as they were."""
    response = HttpResponse(status=200, headers=(("A", "b"),), body=b"\xff\x00")
    recipe = Recipe(command="FetchPayment", money="KWD 1.250", memory={"order": "o"})
    call = Call(member="parse", account="acme/main", recipe=recipe, response=response)
    case = Case(("reply",), (call,), {"amount": JsonNumber("1.250"), "kind": "event"})
    write_replay(tmp_path / "one.json", "soundpay", "reply", case)
    assert read_replay(tmp_path / "one.json") == case


@pytest.mark.parametrize("text", ["{}", "[]", "{"])
def test_another_file_is_bad_usage(text: str, tmp_path: Path) -> None:
    """What the kit did not write ends with 2."""
    path = tmp_path / "one.json"
    path.write_text(text)
    assert run("plugins", "check", "creditkey", "--replay", path).exit_code == 2
