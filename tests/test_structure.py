"""Functions and files stay small, flows carry data and no functions, and a file's test is found by its name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

MAX_FUNCTION_LINES = 40
MAX_FILE_LINES = 400
MAX_TEST_FILE_LINES = 500

COVERED_BY = {
    "tests/cli/test_demo.py": "cli.demo",
    "tests/cli/test_keys.py": "cli.new_credentials",
    "tests/cli/test_listen.py": "cli.webhook_verifier",
    "tests/cli/test_map.py": "cli.create_requests",
    "tests/cli/test_payments.py": "cli.timeline cli.next_step",
    "tests/cli/test_plugins.py": "cli.plugin_capabilities",
    "tests/cli/test_review.py": "cli.operators cli.user_name",
    "tests/cli/test_tenants.py": "cli.edited_settings",
    "tests/cli/test_serve.py": "cli.exits cli.foreground cli.hosting cli.loading cli.options cli.output",
    "tests/core/test_card_numbers.py": "core.networks",
    "tests/core/test_field_mapping.py": "core.field_sources",
    "tests/core/test_body_reader.py": "core.wording",
    "tests/core/test_states.py": "core.change core.errors core.payment core.replacement core.state_entry",
    "tests/drivers/test_plugin_registry.py": "drivers.installed_plugins",
    "tests/drivers/test_sender.py": "core.wire drivers.sender.factory drivers.sender.failure_words",
    "tests/drivers/test_settings.py": "drivers.settings",
    "tests/drivers/test_sender_tls.py": "drivers.tls",
    "tests/drivers/test_settings_client_certificates.py": "drivers.settings.client_certificates",
    "tests/drivers/test_store.py": "drivers.store",
    "tests/drivers/test_traces.py": "drivers.traces web.traced_requests",
    "tests/flows/background/test_operator_events.py": "flows.operator_outbox",
    "tests/flows/background/test_reconcile.py": "flows.background.workers flows.runtime",
    "tests/flows/callbacks/test_reprocess.py": "flows.callbacks.apply flows.callbacks.inbox_rows",
    "tests/flows/test_observers.py": "flows.commit",
    "tests/flows/payments/test_concurrent_commands.py": "flows.payments.command_checks flows.payments.update",
    "tests/flows/payments/test_submit.py": "flows.payments.intent",
    "tests/web/test_api_model.py": "flows.payments.cancel flows.payments.capture flows.payments.refund",
    "tests/plugins/test_psp_explanation.py": "flows.callbacks.explain",
    "tests/security/test_canaries.py": "flows.masks",
    "tests/web/admin/test_callbacks.py": "flows.callbacks.likely_causes flows.callbacks.mistaken_secrets",
    "tests/web/test_psp_callbacks.py": "flows.callbacks.receive",
    "tests/web/test_create_body.py": "flows.payments.create flows.payments.create_validation flows.payments.rejections",
    "tests/web/api/test_payments.py": "flows.payments.read",
    "tests/web/api/test_webhooks.py": "flows.webhooks.read",
    "tests/web/test_creditkey_replacements.py": "flows.background.replaced_payments flows.payments.replacement",
    "tests/testing/test_provider_simulator.py": "testing.simulator",
    "tests/testing/test_conform.py": "testing.conform cli.plugin_conform",
    "tests/testing/test_workbench.py": "testing.workbench cli.plugin_try",
    "tests/drivers/test_provider_declaration.py": "hookspecs",
    "tests/web/admin/test_approvals.py": "web.four_eyes",
    "tests/web/test_app_keys.py": "web.auth",
    "tests/web/connections/test_graceful_shutdown.py": "flows.tasks",
    "tests/web/connections/test_connection.py": "web.connections.listener web.server",
    "tests/drivers/test_store_postgresql_dialect.py": "drivers.store.postgresql",
    "tests/web/test_problems.py": "web.http_errors web.middleware web.problem_pages",
    "tests/web/test_openapi.py": "web.openapi",
    "tests/testing/test_apart.py": "testing.steps",
    "tests/testing/test_samples.py": "testing.sample_files",
    "tests/testing/test_kit.py": "testing cli.plugin_check",
    "tests/plugins/psp_mistakes": "gateway_psp_open_api.diagnosis",
}
"""The test that covers modules whose names no test file has; a package stands for its modules."""


GENERATED = ROOT / "tests/clients/build"
"""What ``make clients`` leaves."""


def sources(*folders: str) -> Iterator[Path]:
    """The Python files below folders of the repository."""
    for folder in folders:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if GENERATED not in path.parents)


def long_functions(source: str) -> list[str]:
    """The functions with more than ``MAX_FUNCTION_LINES`` lines, without their decorators."""
    return [
        f"{node.name}: {lines} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES
    ]


def function_members(source: str) -> list[str]:
    """The members of Structs, named tuples and dataclasses whose type is a function."""
    return [
        f"{node.name}.{ast.unparse(member.target)}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ClassDef) and _is_data(node)
        for member in node.body
        if isinstance(member, ast.AnnAssign) and "Callable" in ast.unparse(member.annotation)
    ]


def _is_data(node: ast.ClassDef) -> bool:
    named = " ".join(ast.unparse(part) for part in (*node.bases, *node.decorator_list))
    return any(word in named for word in ("Struct", "NamedTuple", "dataclass"))


def code() -> Iterator[tuple[str, Path]]:
    """The modules of the gateway and the plugins with their names, as ``module_of`` writes them."""
    yield from ((module_of(path), path) for path in sources("gateway", "plugins"))


def has_functions(path: Path) -> bool:
    """Whether there is anything to test in a file."""
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(ast.parse(path.read_text()))
    )


def module_of(path: Path) -> str:
    """The dotted name of a module, from inside ``gateway``, or from the plugin's package."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts[1:])


def is_covered(module: str, test_names: frozenset[str]) -> bool:
    """Whether a test file's name begins or ends with the module's name, or the table lists the module."""
    name = module.rpartition(".")[2]
    if any(test.endswith(f"_{name}") or test.startswith(f"test_{name}_") for test in test_names):
        return True
    listed = {covered for line in COVERED_BY.values() for covered in line.split()}
    return any(module == covered or module.startswith(f"{covered}.") for covered in listed)


def test_functions_are_small() -> None:
    """A function of more than 40 lines has a second idea."""
    assert {name: found for name, path in code() if (found := long_functions(path.read_text()))} == {}


@pytest.mark.parametrize(
    ("folders", "most"),
    [(("gateway", "plugins"), MAX_FILE_LINES), (("tests",), MAX_TEST_FILE_LINES)],
    ids=["code", "tests"],
)
def test_files_are_small(folders: tuple[str, ...], most: int) -> None:
    """A file above its limit has more than one subject."""
    assert {
        str(path): lines for path in sources(*folders) if (lines := len(path.read_text().splitlines())) > most
    } == {}


def test_flows_carry_data_and_no_functions() -> None:
    """A value that one flow hands to another says what is to be done; it holds no function to be called."""
    flows = ((name, path) for name, path in code() if name.startswith("flows."))
    assert {name: found for name, path in flows if (found := function_members(path.read_text()))} == {}


def test_a_files_test_is_found_by_its_name() -> None:
    """Each module with code has a test file of its name, or the table names the one that covers it."""
    names = frozenset(path.stem for path in sources("tests") if path.stem.startswith("test_"))
    modules = (module for module, path in code() if not path.stem.startswith("__") and has_functions(path))
    assert [module for module in modules if not is_covered(module, names)] == []


def test_the_table_of_covering_tests_is_current() -> None:
    """Each test and each module that the table names exists."""
    modules = {module.removesuffix(".__init__") for module, _ in code()}
    assert [test for test in COVERED_BY if not (ROOT / test).exists()] == []
    assert {name for line in COVERED_BY.values() for name in line.split()} - modules == set()


def test_a_planted_function_of_41_lines_is_found() -> None:
    """The limit is what it says: 40 lines pass, 41 do not."""
    body = "    pass\n" * 39
    assert long_functions(f"def fits():\n{body}") == []
    assert long_functions(
        f"class Part:\n    async def grown(self):\n    {body.replace(chr(10), chr(10) + '    ')}    pass\n"
    ) == ["grown: 41 lines"]


@pytest.mark.parametrize("base", ["msgspec.Struct, frozen=True", "NamedTuple"])
def test_a_planted_function_in_a_value_is_found(base: str) -> None:
    """Also where it is optional; what only a function's parameter is does not count."""
    planted = f"class Intent({base}):\n    key: str\n    remake: Callable[[], str] | None = None\n"
    assert function_members(planted) == ["Intent.remake"]
    assert function_members("def run(work: Callable[[], None]) -> None:\n    work()\n") == []


def test_a_planted_module_without_a_test_is_found() -> None:
    """A name that no test file has and the table does not list."""
    names = frozenset({"test_money", "test_store_inbox"})
    assert is_covered("core.money", names)
    assert is_covered("drivers.store.inbox", names)
    assert not is_covered("core.planted", names)
