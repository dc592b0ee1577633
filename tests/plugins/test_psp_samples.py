"""The test vector and the sample code of docs/providers/psp_open_api.md: every program makes the vector's callback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from gateway_psp_open_api import PspOpenApi
from gateway_psp_open_api.signature import canonical

import gateway
from tests.support.factories.psp import account, callback

PAGE = (Path(__file__).parents[2] / "docs/providers/psp_open_api.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (token|members|StringA|sign) \| `(.*)` \|$", PAGE, re.MULTILINE))
MEMBERS: dict[str, Any] = json.loads(ROWS["members"])


class Language(NamedTuple):
    """How a program is run: its name on the page, its file, the interpreter."""

    name: str
    file: str
    command: str | None

    @property
    def program(self) -> str:
        """The one program of this language on the page."""
        (found,) = re.findall(rf"```{self.name}\n(.*?)```", PAGE, re.DOTALL)
        return str(found)


LANGUAGES = (
    Language("python", "callback.py", sys.executable),
    Language("php", "callback.php", shutil.which("php")),
    Language("javascript", "callback.js", shutil.which("node")),
    Language("java", "Callback.java", shutil.which("java")),
)


def test_the_vector_is_what_the_plugin_signs() -> None:
    """Text and sign, and a callback of it is believed."""
    assert canonical(gateway.loads(ROWS["members"].encode())) == ROWS["StringA"]
    body = json.dumps({**MEMBERS, "sign": ROWS["sign"]}).encode()
    psp = account(token=gateway.Secret(ROWS["token"]), merchant_id=MEMBERS["merchant_id"])
    event = PspOpenApi().verify(callback(body, header=ROWS["token"]), psp)
    assert (event.observation.payment_id, event.problem) == (MEMBERS["order_no"], None)


ABSENT = {
    "python": ('"user_id": ""', '"user_id": None'),
    "php": ("'user_id' => ''", "'user_id' => null"),
    "javascript": ('user_id: ""', "user_id: undefined"),
}
"""By language: a member that is empty, and the same one absent."""


@pytest.mark.parametrize("language", LANGUAGES[:3], ids=lambda language: language.name)
def test_a_sample_signs_no_absent_member(tmp_path: Path, language: Language) -> None:
    """Neither ``undefined`` nor null takes part in the text."""
    if language.command is None:
        pytest.skip(f"{language.name} is not installed")
    empty, absent = ABSENT[language.name]
    assert language.program.count(empty) == 1
    file = tmp_path / language.file
    file.write_text(language.program.replace(empty, absent), encoding="utf-8")
    done = subprocess.run([language.command, str(file)], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout)["sign"] == ROWS["sign"]


@pytest.mark.parametrize("language", LANGUAGES, ids=lambda language: language.name)
def test_a_sample_makes_the_callback_of_the_vector(tmp_path: Path, language: Language) -> None:
    """As it stands on the page, where the interpreter is installed."""
    if language.command is None:
        pytest.skip(f"{language.name} is not installed")
    file = tmp_path / language.file
    file.write_text(language.program, encoding="utf-8")
    done = subprocess.run([language.command, str(file)], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == {**MEMBERS, "sign": ROWS["sign"]}
    assert len([line for line in language.program.splitlines() if line.strip()]) <= 26
