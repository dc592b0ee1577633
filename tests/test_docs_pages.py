"""Pages of the documentation that are run: what they type works, and what they show is what is printed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from gateway.web.app import make_admin_app, make_app
from tests.support.docs_runner import run_alone, run_page, steps
from tests.support.stack import GatewayStack

REQUESTS = "docs/requests.md"
PAGES = (
    "README.md",
    "docs/how-to.md",
    REQUESTS,
    "docs/tutorials/erp.md",
    "docs/tutorials/broker.md",
    "docs/tutorials/psp.md",
)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the pages type curl")
@pytest.mark.parametrize("page", PAGES)
async def test_a_page_runs_as_it_stands(page: str, tmp_path: Path) -> None:
    """Every shell block ends well, and every answer shown is the answer given."""
    assert await run_page(page, tmp_path) == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page types curl")
async def test_a_new_operator_can_follow_the_page_of_onboarding(tmp_path: Path) -> None:
    """From an empty folder to a tenant, a PSP account and a payment that is paid: nothing but the page is needed."""
    assert await run_alone("docs/onboarding.md", tmp_path) == []
    assert _exposed(tmp_path / "my-gateway") == []


def _exposed(folder: Path) -> list[Path]:
    """Files that others may read, and those beside the secrets that hold a key or a secret."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    printed = re.compile(rb"(gw_k1|whsec)_[\w+/-]{32}")
    open_to_others = [path for path in files if path.stat().st_mode & 0o077]
    beside = [path for path in files if path.parent.name != "secrets"]
    return open_to_others + [path for path in beside if printed.search(path.read_bytes())]


async def test_every_route_has_a_request(stack: GatewayStack) -> None:
    """Both listeners, read from the applications: each route is typed by curl, with its method."""
    calls = [line for step in steps(REQUESTS) for line in re.findall(r"curl[^|]*", step.script)]
    routes = {
        (route.method, route.resource.canonical)
        for app in (make_app(stack.gateway), make_admin_app(stack.gateway))
        for route in app.router.routes()
        if route.resource is not None and not route.resource.canonical.startswith(("/docs/", "/callbacks/"))
    }
    missing = [route for route in routes if route[0] not in ("HEAD", "OPTIONS", "*") and not _called(*route, calls)]
    assert sorted(missing) == []


def _called(method: str, path: str, calls: list[str]) -> bool:
    """Whether one of some curl lines calls a route; a body without a method posts."""
    target = re.sub(r"\\{\w+\\}", r"[$\\w]+", re.escape(path)) + r"""["'?\s]"""
    return any(re.search(target, call) and _method(call) == method for call in calls)


def _method(call: str) -> str:
    given = re.search(r"-X (\w+)", call)
    return given[1] if given else "POST" if re.search(r" -d\b", call) else "GET"
