"""Find a plugin by its name, installed or on the path: its providers, or why it cannot be loaded."""

from __future__ import annotations

import json
import sys
from importlib.metadata import EntryPoint

import msgspec

from gateway.core.errors import SettingsError
from gateway.core.wording import unknown_name
from gateway.drivers.installed_plugins import installed, origin_of
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.plugin_sources import unreadable
from gateway.provider import Provider
from gateway.testing.steps import enter


class NotInstalled(LookupError):
    """No plugin has this name. The text lists those that are there."""


class Plugin(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin: its name, the module of its entry point, and the providers it offers; without any, why."""

    name: str
    version: str | None
    module: str
    providers: tuple[Provider, ...] = ()
    problems: tuple[str, ...] = ()


def find_plugin(name: str) -> Plugin:
    """The plugin whose entry point, distribution or provider has this name. Raises ``NotInstalled``."""
    points = installed()
    point = next((one for one in points if name in (one.name, origin_of(one)[0])), None)
    if point is not None:
        return _loaded(point)
    for one in points:
        found = _loaded(one)
        providers = tuple(provider for provider in found.providers if provider.name == name)
        if providers:
            return msgspec.structs.replace(found, providers=providers)
    names = [one.name for one in points]
    shown = json.dumps(name, ensure_ascii=False)
    problem = f"no plugin {shown} is installed or on the path"
    raise NotInstalled("\n".join([unknown_name(name, names, problem, otherwise="none is"), *unreadable()]))


def imported_anew(plugin: Plugin, provider: str) -> Provider | None:
    """The provider of a second copy of the plugin's modules, which knows nothing of what the first has done."""
    top = plugin.module.partition(".")[0]
    own = {name: sys.modules.pop(name) for name in [*sys.modules] if name == top or name.startswith(f"{top}.")}
    try:
        again = find_plugin(plugin.name)
    finally:
        sys.modules.update(own)
    return next((one for one in again.providers if one.name == provider), None)


def _loaded(point: EntryPoint) -> Plugin:
    enter(f"the import or gateway_providers of plugin {point.name}")
    plugin = Plugin(name=point.name, version=origin_of(point)[1], module=point.module)
    try:
        registry = load_plugins(allowed={point.name})
    except SettingsError as problem:
        return msgspec.structs.replace(plugin, problems=problem.problems)
    if not registry.providers:
        return msgspec.structs.replace(
            plugin, problems=(f"plugin {point.name}: gateway_providers returned no provider",)
        )
    return msgspec.structs.replace(plugin, providers=tuple(registry.providers.values()))
