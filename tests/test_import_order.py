"""The layers of the code: every import of ``gateway/`` and the plugins, read from their syntax trees, points down."""

from __future__ import annotations

import ast
import functools
import shutil
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

LAYERS = {
    "core": 0,
    "provider": 1,
    "hookspecs": 1,
    "__init__": 1,  # the public door: it gathers layers 0 and 1
    "drivers": 2,
    "flows": 3,
    "web": 4,
    "testing": 5,  # the kit for authors of plugins
    "cli": 6,  # and every module or package whose name begins with cli
    "__main__": 6,
}

FLOWS = (
    "tasks masks nodes occurrences credential_uses recent_payments → refused_requests → runtime"
    " → audit claims tenant_stores"
    " → approvals audit_chain plugin restore cascade storage → search webhooks reply_maps change_occurrences"
    " operator_outbox → commit"
    " → payments → callbacks → customers → background"
)
"""The import order of ``gateway/flows``: each room may import those before its arrow."""

ORDER: dict[int, tuple[str, ...]] = {
    0: (
        "core.errors core.secret core.encodings core.card_numbers core.urls core.networks core.key_families",
        "core.credentials core.problem_guides core.wording core.text_checks core.payment_urls",
        "core.money core.wire core.strictjson core.signing core.ids core.plain_expressions core.patterns core.masking"
        " core.card_data",
        "core.commands",
        "core.response_body core.curl core.facts core.rules core.checks core.status_word core.retry_after"
        " core.expressions",
        "core.field_values core.body_maps",
        "core.payment core.field_mapping core.nested_fields core.request_bodies core.response_outcome"
        " core.field_sources core.status_answer core.refusal",
        "core.plugin_returns core.state_members core.event_details core.repeats",
        "core.matching core.documents core.validation",
        "core.view_types core.review_details",
        "core.change core.views",
        "core.totals core.search_terms core.operator_events",
        "core.personal_data",
        "core.operation_outcome core.state_entry core.replacement core.restore core.body_reader",
        "core.named_outcomes core.resolution",
        "core.states",
        "core.callback_rules core.schedule core.refusal_details core.create_explanation",
        "core.reply_explanation",
    ),
    1: ("provider", "hookspecs", "__init__"),
    2: (
        "drivers.deadlines drivers.log_throttle drivers.file_descriptors drivers.plugin_sources drivers.threads"
        " drivers.tls drivers.workers",
        "drivers.forbidden_addresses drivers.clock drivers.installed_plugins drivers.disk_space drivers.log_lines"
        " drivers.measures",
        "drivers.telemetry",
        "drivers.settings",
        "drivers.store",
        "drivers.provider_declaration",
        "drivers.sender drivers.plugin_registry",
    ),
    3: tuple(" ".join(f"flows.{room}" for room in step.split()) for step in FLOWS.split(" → ")),
    4: (
        "web.limits web.paging web.response_headers web.responses web.proxies web.query_parameters",
        "web.callback_limits web.failure_limits web.connections",
        "web.app_keys",
        "web.problems web.problem_pages web.auth web.request_log web.leaked_secrets",
        "web.body_maps",
        "web.request",
        "web.four_eyes",
        "web.routing web.http_errors",
        "web.middleware web.customer_return",
        "web.form_page",
        "web.provider_callbacks web.direct_routes",
        "web.api",
        "web.openapi",
        "web.pages web.healthz",
        "web.admin",
        "web.app",
        "web.traced_requests",
        "web.server",
    ),
}
"""Within a layer a part may import the parts of the lines above its own. What is not named stands on top of its layer:
it may import every named part, no named part may import it, and neither may its equals."""

LIBRARIES: dict[str, frozenset[str]] = {
    "core": frozenset({"msgspec", "iso4217", "jmespath", "re2", "idna"}),
    "provider": frozenset({"msgspec"}),
    "hookspecs": frozenset({"pluggy"}),
    "__init__": frozenset(),
    "testing": frozenset({"aiohttp", "hypothesis", "msgspec", "pytest", "yarl"}),
    "flows": frozenset({"msgspec", "standardwebhooks"}),
}
"""What may be imported beside the standard library; a layer that is not named may import anything."""

IMPURE = frozenset(
    {
        "asyncio",
        "http",
        "logging",
        "os",
        "pathlib",
        "random",
        "secrets",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
    }
)
"""The standard library's clocks, randomness and I/O, none of which the core may import."""

ANNOTATIONS = {("gateway.provider", "aiohttp.web")}
"""Imported for an annotation only, so that ``import gateway`` starts no web framework."""


class Import(NamedTuple):
    """One imported module. ``typing_only``: under ``if TYPE_CHECKING``."""

    importer: str
    imported: str
    line: int
    typing_only: bool


def modules(root: Path, within: str = ".") -> dict[str, Path]:
    """Every module ``within`` a folder of packages, by dotted name."""
    return {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for path in sorted((root / within).rglob("*.py"))
    }


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    """The imports of one module, also those inside functions; ``from x import y`` means ``x.y`` where that is one."""
    for node, guarded in _statements(path.read_text(encoding="utf-8")):
        for imported in _named_by(node, known):
            yield Import(name, imported, node.lineno, guarded)


@functools.cache
def _statements(source: str) -> list[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Each import of a source, and whether it is only for types."""
    tree = ast.parse(source)
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    return [(node, node in guarded) for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


def _named_by(node: ast.Import | ast.ImportFrom, known: dict[str, Path]) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    source = "." * node.level + (node.module or "")
    inner = {f"{source}.{alias.name}" for alias in node.names}
    return {name if name in known else source for name in inner}


def part_of(module: str) -> str:
    """The part of the code a module belongs to: ``core.money``, ``drivers.store``, ``provider``, ``__init__``."""
    steps = module.split(".")[1:] or ["__init__"]
    return ".".join(steps[:2]) if steps[0] in {"core", "drivers", "flows", "web"} else steps[0]


def level_of(module: str) -> int | None:
    """The layer a module stands on; None when it has none."""
    first = part_of(module).partition(".")[0]
    return LAYERS.get("cli" if first.startswith("cli") else first)


def place_of(part: str, layer: int) -> int:
    """The place of a part within its layer, from the bottom; unnamed parts are on top."""
    lines = ORDER.get(layer, ())
    return next((place for place, line in enumerate(lines) if part in line.split()), len(lines))


def problem_of(found: Import) -> str | None:
    """Say why an import of the gateway is refused; None when it is allowed."""
    if found.imported.startswith("."):
        return "is relative"
    if found.imported.partition(".")[0] != "gateway":
        return _problem_of_library(found)
    layer, below = level_of(found.importer), level_of(found.imported)
    if layer is None or below is None:
        return "stands on no layer"
    if below > layer:
        return f"points up, from layer {layer} to {below}"
    here, there = part_of(found.importer), part_of(found.imported)
    if below < layer or here == there or layer == LAYERS["cli"]:
        return None
    return None if place_of(there, layer) < place_of(here, layer) else "points sideways or up within its layer"


def _problem_of_library(found: Import) -> str | None:
    place, library = part_of(found.importer).partition(".")[0], found.imported.partition(".")[0]
    if found.typing_only and (found.importer, found.imported) in ANNOTATIONS:
        return None
    if place == "core" and library in IMPURE:
        return "brings a clock, randomness or I/O into the core"
    if library in sys.stdlib_module_names or place not in LIBRARIES or library in LIBRARIES[place]:
        return None
    return "is a library this layer does not use"


def refused(root: Path) -> list[str]:
    """Every refused import of the package ``gateway`` below ``root``, one line each."""
    stack = modules(root, "gateway")
    found = [one for name, path in stack.items() for one in imports(name, path, stack)]
    return [f"{one.importer}:{one.line}: {one.imported} {why}" for one in found if (why := problem_of(one))]


def refused_of_plugins(folder: Path) -> list[str]:
    """Every import of a plugin below ``folder`` that reaches behind the public door or into another plugin."""
    stack, own = modules(ROOT, "gateway"), modules(folder)
    tops = {name.partition(".")[0] for name in own}
    return [
        f"{one.importer}:{one.line}: {one.imported} is not the public door"
        for name, path in own.items()
        for one in imports(name, path, stack)
        if one.imported != "gateway.testing"
        and (
            one.imported.startswith(("gateway.", "."))
            or one.imported.partition(".")[0] in tops - {name.partition(".")[0]}
        )
    ]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of the package, to plant mistakes in."""
    shutil.copytree(ROOT / "gateway", tmp_path / "gateway", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_every_import_points_down() -> None:
    """No layer knows one above it, and within a layer only the written order holds."""
    assert refused(ROOT) == []


def test_no_module_imports_itself_in_a_circle() -> None:
    """Also inside a part there is an order in which its modules can be read."""
    stack = modules(ROOT, "gateway")
    graph = {
        name: {one.imported for one in imports(name, path, stack)} & set(stack) - {name} for name, path in stack.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


@pytest.mark.parametrize("folder", ["plugins", "examples"])
def test_plugins_use_the_public_door(folder: str) -> None:
    """A plugin imports ``gateway``, its simulator ``gateway.testing``, nothing deeper, and no other plugin."""
    assert refused_of_plugins(ROOT / folder) == []


PLANTED = [
    ("core/money.py", "import gateway.drivers.clock", "points up"),
    ("core/money.py", "from gateway import provider", "points up"),
    ("core/money.py", "from gateway import Secret", "points up"),
    ("core/money.py", "def late():\n    from gateway.web import app", "points up"),
    (
        "core/money.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from gateway import flows",
        "points up",
    ),
    ("core/errors.py", "from gateway.core import money", "within its layer"),
    ("core/payment.py", "from gateway.core.states import apply", "within its layer"),
    ("core/secret.py", "import time", "a clock"),
    ("core/secret.py", "import aiohttp", "a library"),
    ("core/secret.py", "from . import errors", "is relative"),
    ("provider.py", "import aiohttp.web", "a library"),
    ("provider.py", "from gateway.hookspecs import hookimpl", "within its layer"),
    ("drivers/clock.py", "from gateway.flows import payments", "points up"),
    ("drivers/forbidden_addresses.py", "from gateway.drivers.sender import Sender", "within its layer"),
    ("flows/__init__.py", "import aiohttp", "a library"),
    ("newcomer.py", "from gateway.core import money", "stands on no layer"),
]


@pytest.mark.parametrize(("file", "source", "why"), PLANTED)
def test_a_planted_import_is_refused(copy: Path, file: str, source: str, why: str) -> None:
    """The test itself is tested: what is wrong in a copy is found there, on its line."""
    path = copy / "gateway" / file
    path.parent.mkdir(exist_ok=True)
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{before}\n{source}\n")
    (line,) = set(refused(copy)) - set(refused(ROOT))
    assert why in line


@pytest.mark.parametrize(
    "source", ["from gateway.core import Money", "from gateway import core", "import gateway.provider", "import other"]
)
def test_a_planted_import_of_a_plugin_is_refused(tmp_path: Path, source: str) -> None:
    """A plugin that reaches behind the door, or into its neighbour, is found."""
    (tmp_path / "other.py").write_text("import gateway\nfrom gateway import Money\n")
    (tmp_path / "gateway_acme.py").write_text(source + "\n")
    (line,) = refused_of_plugins(tmp_path)
    assert line.startswith("gateway_acme:1: ")
