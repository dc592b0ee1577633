"""The tutorial for authors of providers, typed as it stands: an empty folder, a new virtual environment, the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from gateway.cli.hosting import bind
from tests.support.docs_pages import ROOT
from tests.support.docs_runner import Step, run_steps, steps

PAGE = "docs/writing-a-provider.md"
PORTS = ("8080", "8081", "9120")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the gateway's wheel, built now."""
    folder = tmp_path_factory.mktemp("wheels")
    build = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT))
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed here but the gateway itself, so that no test needs a network."""
    folder = tmp_path_factory.mktemp("libraries")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.suffix != ".pth" and not path.name.lower().startswith(("tenant_payment_gateway", "pip", "__pycache__")):
            (folder / path.name).symlink_to(path)
    return folder


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page types curl")
async def test_a_stranger_can_follow_the_tutorial(
    wheels: Path, libraries: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends with a payment, a refund and a green kit; the minutes are printed."""
    environment = {
        "PYTHONPATH": str(libraries),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_BUILD_ISOLATION": "0",  # pip's way of saying: without isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    monkeypatch.setattr("tests.support.docs_runner.LONGEST", 200.0)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sockets = {port: bind(0) for port in PORTS}
    ports = {port: one.getsockname()[1] for port, one in sockets.items()}
    for one in sockets.values():
        one.close()
    began = time.monotonic()
    assert await run_steps([with_free_ports(step, ports) for step in steps(PAGE)], ports, tmp_path) == []
    with capsys.disabled():
        print(f"\n{PAGE}: {(time.monotonic() - began) / 60:.1f} minutes")


def with_free_ports(step: Step, ports: dict[str, int]) -> Step:
    """A step whose settings, which a command writes, have the ports that the runner puts into the page's text."""
    if "gateway plugins new" not in step.script:
        return step
    edits = " ".join(f"-e s/{shown[:2]}''{shown[2:]}/{real}/" for shown, real in ports.items())  # not itself edited
    return step._replace(script=f"{step.script}sed -i.bak {edits} settings.yaml\n")
