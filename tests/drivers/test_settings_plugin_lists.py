"""The lists of allowed and blocked plugins: read before any plugin is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import SettingsError
from gateway.drivers.settings import plugin_names, read_settings

INSTALLED = ("acme_pay", "creditkey", "psp_open_api")


@pytest.mark.parametrize(
    ("section", "blocked", "allowed"),
    [
        ("{blocked: [creditkey]}", {"creditkey"}, None),
        ("{allowed: [psp_open_api]}", set(), {"psp_open_api"}),
        ("{blocked: [acme_pay], allowed: [creditkey]}", {"acme_pay"}, {"creditkey"}),
        ("{allowed: []}", set(), set()),
        ("{allowed: null}", set(), None),
        ("", set(), None),
    ],
)
def test_plugins_are_read_alone(tmp_path: Path, section: str, blocked: set[str], allowed: set[str] | None) -> None:
    """Their names can be read before there are providers, even from a file with mistakes or from none."""
    path = tmp_path / "settings.yaml"
    path.write_text(f"plugins: {section}\nnonsense: 1\n")
    found = plugin_names(read_settings(path), INSTALLED)
    assert (found.blocked, found.allowed) == (blocked, allowed)
    assert plugin_names(read_settings(tmp_path / "missing.yaml"), INSTALLED).blocked == frozenset()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{blocked: [creditkey, Creditkey]}", 'blocked[1]: unknown plugin "Creditkey"; did you mean "creditkey"?'),
        ("{blocked: [gateway_creditkey]}", 'blocked[0]: unknown plugin "gateway_creditkey"; did you mean "creditkey"?'),
        ("{blocked: [stripe]}", 'blocked[0]: unknown plugin "stripe"; known are acme_pay, creditkey, psp_open_api'),
        ("{allowed: [creditkei]}", 'allowed[0]: unknown plugin "creditkei"; did you mean "creditkey"?'),
        ("{blocked: [acme_pay], allowed: [creditkey, acme_pay]}", 'allowed[1]: "acme_pay" is blocked too'),
        ("{blocked: creditkey}", "blocked: must be a list"),
        ("{blocked: [[creditkey]]}", "blocked[0]: must be a single value"),
        ("{block: [creditkey]}", 'block: unknown key "block"; did you mean "blocked"?'),
        ("[creditkey]", "must be a mapping of keys"),
    ],
)
def test_mistake_in_plugins(tmp_path: Path, section: str, said: str) -> None:
    """One mistake is one line, before any code runs that it may have been meant to keep out."""
    path = tmp_path / "settings.yaml"
    path.write_text(f"\nplugins: {section}\n")
    with pytest.raises(SettingsError) as caught:
        plugin_names(read_settings(path), INSTALLED)
    [line] = caught.value.problems
    assert line.startswith("settings.yaml:2: plugins")
    assert said in line
