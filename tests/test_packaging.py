"""What is shipped: a wheel that, installed alone, holds both plugins, its types and a light public door."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import gateway
from gateway.core import commands, facts, payment
from gateway.drivers.settings import model, schema

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = """
    API_VERSION Absent Account Actual Address Amount AmountRule Ask Busy Callback CallbackDraft CallbackRejected
    CancelPayment CapturePayment Charges Check Checkout Command CompletePayment CreatePayment Customer Declined
    Derive Event Exact Explanation FetchPayment Field FieldMap FieldProblem FieldRule Form GatewayError Headers Hint
    HttpRequest HttpResponse Item JsonNumber Kind Member Money NotStrictJson Observation OpenOperation
    OperationOutcome Order OutcomeUnknown Payment PaymentEvent Pending Provider ProviderError Reason Recorded
    RefundPayment Refused Repeated Rules Secret Session SimulatedAccount Simulator Stage State Succeeded Tolerance
    UpdatePayment Urls Verdict base_url clean_message decimal_of dumps fill fill_nested header hookimpl json_object
    json_of loads media_type network one_host order_problems page_url read_amount read_answer read_id read_json
    read_refusal redirect_problem same secrets_of status_answer status_word unusual
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel and install it, without its dependencies, into an empty folder."""
    built, target = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("installed")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(ROOT))
    (wheel,) = built.glob("*.whl")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


def run(*arguments: str, **environment: str) -> str:
    """Run this Python in another process and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def ask(installed: Path, code: str) -> object:
    """Run code with the installed wheel ahead of everything else; it prints JSON."""
    return json.loads(run("-P", "-c", code, PYTHONPATH=str(installed)))


def test_the_wheel_is_what_is_asked(installed: Path) -> None:
    """The tests below see the installed copy, not the checkout."""
    found = ask(installed, "import gateway, json; print(json.dumps(gateway.__file__))")
    assert Path(str(found)).is_relative_to(installed)


def test_the_plugins_are_found_by_their_entry_points(installed: Path) -> None:
    """Both bundled plugins stand in the group outsiders use, and load from the wheel."""
    code = """
import importlib.metadata as metadata, json, sys
(found,) = metadata.distributions(name="tenant-payment-gateway", path=sys.path[:1])
points = [point for point in found.entry_points if point.group == "gateway.providers"]
print(json.dumps({point.name: point.load().__file__ for point in points}))
"""
    found = ask(installed, code)
    assert isinstance(found, dict)
    assert sorted(found) == ["creditkey", "psp_open_api"]
    assert all(Path(file).is_relative_to(installed) for file in found.values())


@pytest.mark.parametrize("module", ["gateway", "gateway_creditkey", "gateway_psp_open_api"])
def test_the_plugin_api_starts_no_web_framework(installed: Path, module: str) -> None:
    """Importing the door or a plugin loads no HTTP library and no database driver."""
    code = f"import sys, json, {module}; print(json.dumps(sorted(sys.modules)))"
    loaded = ask(installed, code)
    assert isinstance(loaded, list)
    assert module in loaded
    assert not {"aiohttp", "aiosqlite", "asyncpg"} & set(loaded)


def test_a_server_starts_without_what_few_need(installed: Path) -> None:
    """Patterns, currencies, what watches files and the API's pages are loaded when asked for: a start is quick."""
    loaded = ask(installed, "import sys, json, gateway.cli.serve; print(json.dumps(sorted(sys.modules)))")
    assert isinstance(loaded, list)
    assert "gateway.web.pages" in loaded
    assert not {"re2", "iso4217", "watchfiles", "swagger_ui", "gateway.web.openapi", "gateway.testing"} & set(loaded)


@pytest.mark.parametrize("module", [commands, facts, payment, schema, model], ids=lambda module: module.__name__)
def test_a_start_evaluates_no_annotations(module: ModuleType) -> None:
    """Each member that is text would be compiled when the decoders are made: 500 of them take 2 % of a start."""
    written = [
        f"{name}.{member}"
        for name, made in vars(module).items()
        if isinstance(made, type) and made.__module__ == module.__name__
        for member, kind in vars(made).get("__annotations__", {}).items()
        if isinstance(kind, str)
    ]
    assert written == []


def test_the_types_are_shipped(installed: Path) -> None:
    """A type checker may believe the annotations of the installed package."""
    assert (installed / "gateway" / "py.typed").exists()


def test_the_wheel_brings_nothing_else(installed: Path) -> None:
    """Only the gateway and its plugins: no tests, no ``plugins`` package that would be a second copy."""
    assert {path.name for path in installed.iterdir() if path.suffix != ".dist-info"} <= {
        "gateway",
        "gateway_creditkey",
        "gateway_psp_open_api",
        "bin",
    }


def test_the_schema_of_the_settings_is_that_of_the_repository(installed: Path, tmp_path: Path) -> None:
    """The wheel brings what the documentation says of each key."""
    code = "from gateway.cli import main; main(['schema', '--config', 'none.yaml'])"
    assert ask(installed, code) == json.loads((ROOT / "settings.schema.json").read_text())


def test_the_licence_is_shipped(installed: Path) -> None:
    """The wheel carries the licence it names."""
    (licence,) = installed.glob("*.dist-info/licenses/LICENSE")
    assert "Apache License" in licence.read_text()


def test_the_public_door_is_pinned() -> None:
    """A name is added to or taken from the plugin API on purpose, here as well."""
    assert sorted(gateway.__all__) == sorted(PUBLIC.split())


def test_every_public_name_exists() -> None:
    """What the door announces it has."""
    assert [name for name in gateway.__all__ if not hasattr(gateway, name)] == []
