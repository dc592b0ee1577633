"""``gateway plugins new``: a package that installs, passes the kit and every check, and takes payments."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from gateway.cli.new_plugin import MAX_NAME, STYLES
from gateway.testing import check_plugin
from tests.support.cli import run
from tests.support.installed_plugin import ACCOUNT, INSTALL, python, serving
from tests.support.stack import new_key

FILES = [
    ".github/workflows/ci.yml",
    ".gitignore",
    "README.md",
    "gateway_{}/__init__.py",
    "gateway_{}/samples.json",
    "gateway_{}/simulator.py",
    "pyproject.toml",
    "settings.yaml",
    "tests/test_{}.py",
]
ORDER = {"merchant_reference": "SO-1", "amount": "12.50", "currency": "EUR", "account": ACCOUNT}
PHONE = {"customer": {"phone": "+256772123456"}}


def name_of(style: str) -> str:
    """The name under which a style is written here: modules of one process need different ones."""
    return f"try_{style.replace('-', '_')}"


def written(folder: Path, name: str, style: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new package in an empty folder."""
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    result = run("plugins", "new", name, "--style", style)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module", params=STYLES)
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Path]:
    """The style, its package, and the folder it is installed in with pip."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        package = written(folder / "package", name_of(request.param), request.param, patch)
    python(package, *INSTALL, str(folder / "installed"), ".")
    return request.param, package, folder / "installed"


@pytest.mark.parametrize("style", STYLES)
def test_the_files_are_named_after_the_provider(style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every style has the same files, and nothing of the example's name is left in them."""
    package = written(tmp_path / "new", "acme_pay", style, monkeypatch)
    files = sorted(path for path in package.rglob("*") if path.is_file())
    assert sorted(str(path.relative_to(package)) for path in files) == [name.format("acme_pay") for name in FILES]
    assert [path.name for path in files if "example_pay" in path.read_text() or "Example" in path.read_text()] == []


def test_the_kit_finds_nothing(installed: tuple[str, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a warning: an author begins with nothing to put right."""
    monkeypatch.syspath_prepend(installed[2])
    report = check_plugin(name_of(installed[0]))
    assert report.findings == (), str(report)
    assert {"build", "answer"} <= set(report.counts)


def test_it_agrees_with_its_simulator_in_every_story(installed: tuple[str, Path, Path]) -> None:
    """In a real gateway: answers lost and cut, callbacks doubled, late and forged."""
    style, package, target = installed
    said = python(package, "-m", "gateway", "plugins", "conform", name_of(style), path=target)
    assert " stories, " in said


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_the_types_of_a_new_package_are_right(installed: tuple[str, Path, Path]) -> None:
    """By its own settings, which are strict."""
    cache = Path(sys.prefix, "types")  # what was found out of the gateway is read again by the next run
    assert "Success" in python(installed[1], "-m", "mypy", "--cache-dir", str(cache))


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff is not installed")
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ["a", "acme_pay", "a" * MAX_NAME])
def test_a_new_package_is_laid_out_well(name: str, style: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long its name is."""
    package = written(tmp_path / "new", name, style, monkeypatch)
    python(package, "-m", "ruff", "check", ".")
    python(package, "-m", "ruff", "format", "--check", ".")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Acme-Pay", 'such as "acme_pay"'),
        ("9", "lower-case words"),
        ("../up", 'such as "up"'),
        ("a" * (MAX_NAME + 1), f"at most {MAX_NAME} characters"),
        ("creditkey", "the name of an installed plugin"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused(
    name: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As bad usage that names what would be right, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    result = run("plugins", "new", name)
    assert result.exit_code == 2
    assert says in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("there", ["notes.txt", ".github"])
def test_a_folder_that_is_not_empty_is_refused(there: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of somebody's is written over."""
    (tmp_path / there).mkdir()
    monkeypatch.chdir(tmp_path)
    result = run("plugins", "new", "acme_pay")
    assert (result.exit_code, [path.name for path in tmp_path.iterdir()]) == (2, [there])
    assert f"is not empty: {there}" in result.stderr


def test_hidden_folders_of_tools_are_not_in_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository and a virtual environment may be there already."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".venv").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run("plugins", "new", "acme_pay").exit_code == 0


# Payments


async def test_a_new_package_takes_payments_and_refunds(
    installed: tuple[str, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Created, paid, captured where that is a step of its own, refunded; the provider's books say the same."""
    name = name_of(installed[0])
    monkeypatch.syspath_prepend(installed[2])
    settings = yaml.safe_load((installed[1] / "settings.yaml").read_text())
    async with serving(name, settings["tenants"]["shop"]["accounts"]["main"]["config"], tmp_path) as stack:
        created = await stack.create({**ORDER, **PHONE})
        assert created.status == 201, created.text
        payment = f"/v1/payments/{created.json['id']}"
        done = {"payment_id": created.json["id"], "does": "pay"}
        assert (await stack.call_provider(name, "POST", "/_sim/customer", done)).status == 200
        if installed[0] == "signed-webhook":
            assert (await stack.call("GET", payment)).json["state"] == "authorized"
            assert (await stack.call("POST", f"{payment}/capture", {}, key=new_key())).status == 200
        await stack.call("POST", f"{payment}/sync")
        assert (await stack.call("GET", payment)).json["state"] == "captured"
        await stack.call("POST", f"{payment}/refunds", {"amount": "2.50"}, key=new_key())
        await stack.call("POST", f"{payment}/sync")
        refunded = (await stack.call("GET", payment)).json
        assert (refunded["state"], refunded["amount_refunded"]) == ("partially_refunded", "2.50")
        (line,) = (await stack.call_provider(name, "GET", "/_sim/ledger")).json
        assert (line["captured"], line["refunded"]) == ("12.50", "2.50")
