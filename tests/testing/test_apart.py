"""Hostile plugins: whatever one does to the process that checks it, the report is whole, and 0 means it was checked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.testing import steps
from tests.support.cli import run
from tests.support.docs_pages import ROOT

SOUND = ROOT / "tests" / "testing" / "soundpay"

NEWLINE = "\n"
TOP, IN_PARSE, IN_RULES, IN_HOOK = "top", "parse", "rules", "hook"
BEFORE = {
    TOP: "import gateway\n",
    IN_PARSE: "gateway.Pending | gateway.Absent:\n        ",
    IN_RULES: "def rules(self, account: gateway.Account) -> gateway.Rules:\n        ",
    IN_HOOK: "def gateway_providers() -> list[gateway.Provider]:\n    ",
}
"""What stands before each place."""

NEEDED = """import os
import sys
import threading
import time

class Mute(Exception):
    def __str__(self):
        raise ValueError("x")

"""

HOSTILE = [
    (TOP, "sys.exit(0)", "declaration", "plugin soundpay: cannot be imported: SystemExit: 0"),
    (TOP, "os._exit(0)", "declaration", "or gateway_providers of plugin soundpay ended the process (exit 0)"),
    (TOP, "raise BaseException('b')", "declaration", "of plugin soundpay ended the check: BaseException: b"),
    (TOP, "raise KeyboardInterrupt", "declaration", "of plugin soundpay ended the check: KeyboardInterrupt"),
    (TOP, "time.sleep(60)", "blocks", "of plugin soundpay did not end within 1 seconds"),
    (IN_HOOK, "return []", "declaration", "gateway_providers returned no provider"),
    (IN_HOOK, "raise SystemExit(7)", "declaration", "gateway_providers failed: SystemExit: 7"),
    (IN_RULES, "raise KeyboardInterrupt", "declaration", "rules of soundpay ended the check: KeyboardInterrupt"),
    (IN_PARSE, "os._exit(0)", "declaration", "ended the process (exit 0)"),
    (IN_PARSE, "os.kill(os.getpid(), 9)", "declaration", "ended the process (signal 9)"),
    (IN_PARSE, "raise Mute", "parse-raises", "the text of Mute cannot be read"),
    (IN_PARSE, "while True: pass", "blocks", "did not end within 1 seconds"),
    (IN_PARSE, "threading.Thread(target=time.sleep, args=(60,)).start()", "blocks", "_thread.start_"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sound plugin, on the path."""
    shutil.copytree(SOUND, tmp_path / "plugin")
    monkeypatch.syspath_prepend(tmp_path / "plugin")
    monkeypatch.setattr(steps, "LONGEST_STEP", 1)
    return tmp_path / "plugin"


def plant(folder: Path, place: str, line: str) -> None:
    """Put a line into the plugin."""
    source = (folder / "soundpay.py").read_text().replace("import hashlib\n", f"{NEEDED}import hashlib\n", 1)
    before = BEFORE[place]
    assert before in source
    (folder / "soundpay.py").write_text(source.replace(before, f"{before}{line}\n{before.rpartition(NEWLINE)[2]}", 1))


@pytest.mark.parametrize(("place", "line", "rule", "said"), HOSTILE)
def test_a_hostile_plugin_is_a_finding(folder: Path, place: str, line: str, rule: str, said: str) -> None:
    """It names the member; the report is one JSON document, and the exit code is 1."""
    plant(folder, place, line)
    result = run("plugins", "check", "soundpay", "--json", "--replays", folder / "replays")
    assert result.exit_code == 1, result.output
    messages = [one["message"] for one in json.loads(result.stdout)["findings"] if one["rule"] == rule]
    assert any(said in message for message in messages), result.stdout


def test_what_a_plugin_prints_is_not_the_report(folder: Path) -> None:
    """Its output, of its C code too, is on stderr; a thread that does not end keeps nobody waiting."""
    noise = "print('noise'); os.system('echo loud')"
    plant(folder, TOP, f"threading.Thread(target=time.sleep, args=(600,)).start(); {noise}")
    command = [sys.executable, "-m", "gateway", "plugins", "check", "soundpay", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, json.loads(done.stdout)["plugin"]) == (0, "soundpay")
    assert "noise" in done.stderr
    assert "loud" in done.stderr


def test_a_replay_that_hangs_is_told(folder: Path, tmp_path: Path) -> None:
    """A replay runs apart too."""
    call = {"member": "parse", "account": "acme/main", "recipe": {"command": "FetchPayment", "money": "USD 1.00"}}
    path = tmp_path / "one.json"
    response = {"status": 200, "body": {"text": ""}}
    path.write_text(json.dumps({"rule": "reply", "calls": [call | {"response": response}]}))
    plant(folder, IN_PARSE, "while True: pass")
    result = run("plugins", "check", "soundpay", "--replay", path)
    assert (result.exit_code, result.stdout) == (1, "parse FetchPayment USD 1.00 did not end within 1 seconds\n")


UNUSABLE = ["--samples", "--replay"]


@pytest.mark.parametrize("option", UNUSABLE)
def test_what_is_not_a_file_is_one_line(option: str, tmp_path: Path) -> None:
    """A folder, and a file that is not there: nothing was checked."""
    for path in (tmp_path, tmp_path / "none"):
        result = run("plugins", "check", "creditkey", option, path)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
        assert f"{path}: must be a file" in result.stderr


def test_a_folder_that_cannot_hold_replays_is_told_first() -> None:
    """Before a finding could be lost."""
    result = run("plugins", "check", "creditkey", "--replays", "/dev/null/x")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "/dev/null/x: cannot hold replays: Not a directory\n"
