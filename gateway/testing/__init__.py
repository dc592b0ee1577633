"""The kit for authors of providers: for development and tests only, nothing of it runs in a plain ``gateway serve``.

``check_plugin("NAME")`` checks a plugin as an object alone, in a test of your own; ``pytest -p gateway.testing
--gateway-plugin NAME`` runs it as a test. ``ProviderSimulator`` is what simulators stand on. Each is imported when it
is used: a check starts no web framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gateway.testing.pytest_plugin import pytest_addoption, pytest_collection_modifyitems

if TYPE_CHECKING:
    from gateway.testing.conform.run import conform_plugin
    from gateway.testing.installed import NotInstalled
    from gateway.testing.kit import check_plugin, replay_calls
    from gateway.testing.report import Finding, Report
    from gateway.testing.samples import UnusableSamples
    from gateway.testing.simulator import (
        Call,
        Effect,
        Fault,
        Ledger,
        ProviderSimulator,
        Refusal,
        SimulatedPayment,
        route,
    )

__all__ = [
    "Call",
    "Effect",
    "Fault",
    "Finding",
    "Ledger",
    "NotInstalled",
    "ProviderSimulator",
    "Refusal",
    "Report",
    "SimulatedPayment",
    "UnusableSamples",
    "check_plugin",
    "conform_plugin",
    "pytest_addoption",
    "pytest_collection_modifyitems",
    "replay_calls",
    "route",
]

_MODULES = {
    "conform.run": "conform_plugin",
    "installed": "NotInstalled",
    "kit": "check_plugin replay_calls",
    "report": "Finding Report",
    "samples": "UnusableSamples",
    "simulator": "Call Effect Fault Ledger ProviderSimulator Refusal SimulatedPayment route",
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
