"""Fixtures of all tests: the whole stack on a fresh store."""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import Phase, settings

from tests.support import postgresql
from tests.support.stack import GatewayStack, drop_databases, running_stack

settings.register_profile("unshrunk", phases=(Phase.generate,))  # ``make sabotage`` wants to know that, not why


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_cmdline_main() -> Iterator[None]:
    """Hold what the processes of this run share for as long as it lasts."""
    if (memory := postgresql.memory()) is not None:
        for name in ("PYTEST_DEBUG_TEMPROOT", "TMPDIR"):
            os.environ.setdefault(name, memory)  # no test waits for a disk there
        tempfile.tempdir = None  # it is chosen again
    with postgresql.folder_of_the_run():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Collect without looking for garbage: there is next to none, and what is collected is needed to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def forget_bytecode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Delete what was compiled of modules that tests have written: no run finds those of another."""
    yield
    forget_compiled(tmp_path_factory.getbasetemp())


def forget_compiled(folder: Path) -> None:
    """Delete what was compiled of modules in a folder whose name may be used again, at once even."""
    shutil.rmtree(f"{sys.pycache_prefix}{folder}", ignore_errors=True)


HAS_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Remember of a test that it has failed."""
    report: Any = yield
    if report.failed:
        item.stash[HAS_FAILED] = True
    return report


@pytest.fixture
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A folder, in memory where there is enough of it; only that of a test that fails is kept."""
    yield tmp_path
    forget_compiled(tmp_path)
    drop_databases(tmp_path)
    if HAS_FAILED not in request.node.stash:
        shutil.rmtree(tmp_path, ignore_errors=True)


@pytest.fixture
def database_url() -> Iterator[str]:
    """The URL of a PostgreSQL database with empty tables; the test may do with it what it likes."""
    with postgresql.fresh_database() as url:
        yield url


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[GatewayStack]:
    """A running gateway with both simulators."""
    async with running_stack(tmp_path) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayStack]:
    """One running stack for all tests of a module that are marked ``asyncio(loop_scope="module")``."""
    async with running_stack(tmp_path_factory.mktemp("stack")) as opened:
        yield opened
