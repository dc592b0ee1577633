"""``pytest -p gateway.testing --gateway-plugin NAME``: the checks of a plugin as a test beside the author's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("gateway")
    group.addoption("--gateway-plugin", action="append", default=[], metavar="NAME", help="Check this plugin.")
    group.addoption("--samples", type=Path, default=None, metavar="FILE", help="Its samples file.")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each plugin that was named."""
    import pytest

    class PluginCheck(pytest.Item):
        """The checks of one plugin."""

        def runtest(self) -> None:
            """Fail with the whole report."""
            from gateway.testing.kit import check_plugin

            report = check_plugin(self.name, config.getoption("--samples"))
            assert report.ok, str(report)  # noqa: S101  # a test

        def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # type: ignore[override]
            """The report, without the kit's own frames."""
            return str(excinfo.value)

    items += [PluginCheck.from_parent(session, name=name) for name in config.getoption("--gateway-plugin")]
