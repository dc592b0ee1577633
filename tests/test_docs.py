"""The documentation is whole: whatever has a name is on a page, links lead somewhere, shown values are real."""

from __future__ import annotations

import inspect
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import click
import gateway_creditkey.simulator as creditkey_simulator
import gateway_psp_open_api.simulator as psp_simulator
import msgspec
import pytest

import gateway
from gateway import hookspecs
from gateway.cli import main
from gateway.cli.loading import load
from gateway.core import facts
from gateway.core.commands import KIND_OF, FetchPayment, Kind
from gateway.core.diagram import mermaid
from gateway.core.documents import amount_hook
from gateway.core.errors import PROBLEMS, Reason
from gateway.core.operator_events import OperatorEvent, OperatorEventBody
from gateway.core.payment import WEBHOOK_TYPES, AlertCode, FailureCode, ReviewReason, State, Status
from gateway.core.request_bodies import CaptureBody, CreateBody, RefundBody, UpdateBody
from gateway.core.view_types import EventView, PaymentView, PaymentWithOperation, RefundWithPayment, WebhookBody
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings.model import RoutingRule
from gateway.drivers.settings.scalar_reader import Raw
from gateway.drivers.settings.schema import FileShape, ServerShape
from gateway.web.admin.reviews import ResolveOperation, ResolveReview
from gateway.web.admin.settings import StatusView
from gateway.web.api.accounts import AccountList, DepositMethodList
from gateway.web.api.webhooks import DeliveryList, EnableBody, EnabledEndpoint, RedeliverBody, Redelivered
from gateway.web.app import make_admin_app, make_app
from tests.support.docs_pages import (
    DOCS,
    PAGES,
    ROOT,
    anchors,
    blocks,
    headings,
    is_documented,
    links,
    missing,
    spans,
    text_of,
)
from tests.support.stack import GatewayStack

API, PROVIDERS, SETTINGS = "docs/api.md", "docs/providers.md", "docs/settings.md"
ADR_HEADINGS = ["Status", "Context", "Decision", "Price", "When to revisit"]
REGISTRY = load_plugins()
PROVIDER_METHODS = [
    name for name in vars(gateway.Provider) if inspect.isfunction(vars(gateway.Provider)[name]) and name[0] != "_"
]


def structs_in(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Every Struct inside a type, at any depth; ``Raw`` only stands for what is read later."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not Raw:
        yield kind
        for field in msgspec.structs.fields(kind):
            yield from structs_in(field.type)
    for inner in get_args(kind):
        yield from structs_in(inner)


def members_of(*kinds: Any) -> set[str]:
    """The names of all members of some types and of the types inside them, as they are written."""
    return {
        field.encode_name for kind in kinds for struct in structs_in(kind) for field in msgspec.structs.fields(struct)
    }


def commands_in(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below one, by what one types."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands_in(below, f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(commands_in(main, "gateway"))
NAMES: list[tuple[str, Iterable[object], tuple[str, ...]]] = [
    ("error codes", PROBLEMS, (API,)),
    ("webhook types", WEBHOOK_TYPES, (API,)),
    ("states", State, (API, "docs/states.md")),
    ("operators' events", {*OperatorEvent, *members_of(OperatorEventBody)}, ("docs/operating.md",)),
    ("members of the status", members_of(StatusView), ("docs/operating.md",)),
    ("review reasons", ReviewReason, (API,)),
    ("alert codes", AlertCode, (API,)),
    ("failure codes", FailureCode, (API,)),
    ("operation statuses", Status, (API,)),
    ("operation kinds", Kind, (API,)),
    ("causes", facts.Cause, (API,)),
    ("request members", members_of(CreateBody, CaptureBody, UpdateBody, RefundBody), (API,)),
    ("answer members", members_of(PaymentWithOperation, RefundWithPayment, EventView, WebhookBody), (API,)),
    ("catalogue members", members_of(AccountList, DepositMethodList), (API,)),
    ("webhook members", members_of(DeliveryList, RedeliverBody, Redelivered, EnableBody, EnabledEndpoint), (API,)),
    ("operators' members", members_of(ResolveReview, ResolveOperation), (API,)),
    ("settings keys", members_of(FileShape, ServerShape, RoutingRule), (SETTINGS,)),
    ("hooks", [name for name in vars(hookspecs) if name.startswith("gateway_")], (PROVIDERS,)),
    ("the public door", gateway.__all__, (PROVIDERS,)),
    ("callback reasons", Reason, (PROVIDERS,)),
    ("stages", gateway.Stage, (PROVIDERS,)),
    ("rules", members_of(gateway.Rules) - members_of(gateway.Money), (PROVIDERS,)),
    ("field rules", members_of(gateway.FieldRule), (PROVIDERS,)),
    ("command members", {name for kind in [*KIND_OF, FetchPayment] for name in kind.__struct_fields__}, (PROVIDERS,)),
    ("urls", [name for name, member in vars(gateway.Urls).items() if isinstance(member, property)], (PROVIDERS,)),
    ("account members", gateway.Account.__struct_fields__, (PROVIDERS,)),
    ("callback members", gateway.Callback.__struct_fields__, (PROVIDERS,)),
    ("facts", members_of(gateway.Observation, gateway.Declined, gateway.Event, gateway.Hint), (PROVIDERS,)),
    ("verdicts", members_of(gateway.Refused, gateway.Repeated, gateway.Busy), (PROVIDERS,)),
    ("simulator", {*gateway.Simulator.__struct_fields__, *gateway.SimulatedAccount.__struct_fields__}, (PROVIDERS,)),
    ("commands", COMMANDS, tuple(str(page.relative_to(ROOT)) for page in DOCS.glob("*.md"))),
    (
        "options",
        {name for one in COMMANDS.values() for option in one.params if option.param_type_name == "option"
         for name in option.opts if name.startswith("--")},
        tuple(str(page.relative_to(ROOT)) for page in DOCS.glob("*.md")),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("names", "pages"), [row[1:] for row in NAMES], ids=[row[0] for row in NAMES])
def test_every_name_is_documented(names: Iterable[object], pages: tuple[str, ...]) -> None:
    """What a reader can meet by name is explained on the page for it."""
    assert missing(names, *pages) == []


@pytest.mark.parametrize("member", sorted({*gateway.Provider.__annotations__, *PROVIDER_METHODS}))
def test_every_member_of_a_provider_is_documented(member: str) -> None:
    """The protocol stands on its page member by member, methods with their arguments."""
    assert re.search(rf"^\| `{member}(\(\w+(, \w+)*\))?` \|", text_of(PROVIDERS), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(REGISTRY.providers))
def test_every_config_key_of_a_provider_is_documented(name: str) -> None:
    """A bundled provider's own settings stand on its own page."""
    keys = {field.encode_name for field in msgspec.structs.fields(REGISTRY.providers[name].account_type)}
    assert missing(keys, f"docs/providers/{name}.md") == []


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("creditkey", (creditkey_simulator.Fault, creditkey_simulator.OrderEdit)),
        ("psp_open_api", (psp_simulator.Faults,)),
    ],
)
def test_every_switch_of_a_simulator_is_documented(name: str, kinds: tuple[type[msgspec.Struct], ...]) -> None:
    """A simulator's routes, with their methods, and all that can be set there stand on its provider's page, or on the
    page for all of them."""
    pages = (f"docs/providers/{name}.md", PROVIDERS)
    routes = REGISTRY.simulators[name].app({}).router.routes()
    found = {(route.method, route.resource.canonical) for route in routes if route.resource is not None}
    wanted = {f"`{'ANY' if method == '*' else method} {path}`" for method, path in found if method != "HEAD"}
    assert sorted(one for one in wanted if not any(one in text_of(page) for page in pages)) == []
    assert missing({member for kind in kinds for member in kind.__struct_fields__}, *pages) == []


def test_every_alert_code_is_documented(tmp_path: Path) -> None:
    """Each code a bundled provider has a text for is explained to tenants."""
    shutil.copy(ROOT / "settings.yaml", tmp_path)
    codes = {code for entry in load(tmp_path / "settings.yaml").entries for code in entry.rules.messages}
    assert codes
    assert missing(codes, API) == []


async def test_every_route_is_documented(stack: GatewayStack) -> None:
    """Both listeners, read from the applications themselves; the assets of /docs need no words."""
    found = {
        f"{'ANY' if route.method == '*' else route.method} {route.resource.canonical}"
        for app in (make_app(stack.gateway), make_admin_app(stack.gateway))
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD" and not route.resource.canonical.startswith("/docs/")
    }
    documented = " ".join(spans(text_of(API)))
    unnamed = documented.replace("{suffix:.*}", "{suffix}")
    assert sorted(route for route in found if route not in unnamed) == []


def test_no_command_is_invented() -> None:
    """Every ``gateway …`` written as code is a command that exists."""
    said = [span for page in PAGES for span in spans(page.read_text()) if span.startswith("gateway ")]
    assert said
    assert [span for span in said if not any(f"{name} ".startswith(_words(span)) for name in COMMANDS)] == []


def _words(span: str) -> str:
    """The command of a piece of code without options and arguments: ``gateway keys new``."""
    return " ".join(re.findall(r"^[a-z]+|(?<= )[a-z]+(?= |$)", span)[:3]) + " "


def test_every_make_target_exists() -> None:
    """``make …`` in the texts names targets of the Makefile, and the first two commands are the README's first."""
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    said = {
        name
        for page in PAGES
        for line in re.findall(r"\bmake ((?:[a-z]+(?:-[a-z]+)* ?)+)", _code_of(page))
        for name in line.split()
    }
    assert said >= {"demo", "test", "serve"}
    assert said <= targets
    assert re.findall(r"^make (\w+)", blocks(text_of("README.md"), "sh")[0], re.MULTILINE) == ["demo", "test"]


def _code_of(page: Path) -> str:
    text = page.read_text()
    return "\n".join([*(span for span in spans(text) if span.startswith("make ")), *blocks(text, "sh")]).replace(
        "#", "\n"
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_internal_links_resolve(page: Path) -> None:
    """A link leads to a file of the repository, and its fragment to a heading of it."""
    broken = []
    for target in links(page):
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (fragment and fragment not in anchors(file.read_text())):
            broken.append(target)
    assert broken == []


def test_every_page_is_reached() -> None:
    """The index of the documentation leads to every page."""
    reached = {(DOCS / target.partition("#")[0]).resolve() for target in links(DOCS / "index.md")}
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= reached


@pytest.mark.parametrize("page", sorted((DOCS / "adr").glob("*.md")), ids=lambda page: page.stem)
def test_a_decision_has_its_five_parts(page: Path) -> None:
    """The five parts in their order; the title has the file's number, and the index repeats the title."""
    title, *parts = headings(page.read_text())
    number, _, decision = title.partition(": ")
    assert number == page.name[:4]
    assert f"| [{number}](adr/{page.name}) | {decision} |" in (DOCS / "index.md").read_text().splitlines()
    assert parts == ADR_HEADINGS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_names_somebodys_folders(page: Path) -> None:
    """A reader has the repository and nothing else: no path of a machine it was written on."""
    assert re.findall(r"(?<![\w.}])/(?:home|root|Users|work|mnt|tmp)/\S*|\.\./shared\S*", page.read_text()) == []


def test_the_drawn_states_are_the_code_s() -> None:
    """The diagram between the markers is what ``gateway states --mermaid`` prints."""
    drawn = text_of("docs/states.md").partition("<!-- states:begin -->\n")[2].partition("<!-- states:end -->")[0]
    assert drawn == f"```mermaid\n{mermaid()}```\n"


def test_the_shown_payment_has_exactly_its_members() -> None:
    """The example of a payment shows every member and no other, in the order of the answer."""
    shown = next(block for block in blocks(text_of(API), "json") if '"redirect_url"' in block)
    assert list(json.loads(shown)) == list(PaymentView.__struct_fields__)


def test_the_shown_create_body_is_accepted() -> None:
    """The example with everything is a body the gateway reads, and it leaves nothing out."""
    shown = next(block for block in blocks(text_of(API), "json") if '"billing_address"' in block)
    body = json.loads(shown)
    msgspec.convert(body, CreateBody, dec_hook=amount_hook)
    assert set(body) == set(CreateBody.__struct_fields__)


def test_a_name_inside_another_word_is_not_documented() -> None:
    """The check itself can fail: only a whole word set as code counts."""
    assert is_documented("amount", "the `amount` of")
    assert not is_documented("amount", "the amount of `amount_rule` and `no-amount`")
