"""gateway_psp_open_api: what the plugin offers, and what importing it loads."""

from __future__ import annotations

import subprocess
import sys

import gateway_psp_open_api as plugin
import pytest

import gateway


def test_the_adapter_is_a_provider() -> None:
    """The hook offers one object that fits the protocol."""
    (provider,) = plugin.gateway_providers()
    assert isinstance(provider, gateway.Provider)
    assert provider.name == "psp_open_api"


def test_the_simulator_is_offered() -> None:
    """The second hook offers the simulated bridge."""
    (simulator,) = plugin.gateway_simulators()
    assert (simulator.provider, simulator.port) == ("psp_open_api", 9102)


@pytest.mark.parametrize("module", ["aiohttp", "gateway_psp_open_api.diagnosis.explanation"])
def test_importing_the_plugin_loads_no_tool(module: str) -> None:
    """The web framework is loaded with the simulator, the explanation when one is asked for."""
    code = f"import sys, gateway_psp_open_api; sys.exit('{module}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
