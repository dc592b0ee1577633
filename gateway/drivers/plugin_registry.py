"""Find the plugins and check them: everything a plugin can get wrong at start is one line that names the plugin.

A plugin is a module behind an entry point of the group ``gateway.providers``; the entry point's name is the plugin's.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property, partial
from importlib.metadata import EntryPoint
from typing import Any

import msgspec
import pluggy

from gateway import hookspecs
from gateway.core.errors import SettingsError
from gateway.core.payment import Payment, PaymentEvent
from gateway.core.wording import unknown_name
from gateway.drivers.installed_plugins import chosen, clashes, installed, origin_of
from gateway.drivers.provider_declaration import (
    FIRST_API_VERSION,
    api_version_of,
    declaration_problems,
    simulator_problem,
)
from gateway.provider import Provider, Simulator

_log = logging.getLogger(__name__)
_FOREIGN = (Exception, SystemExit)
"""What code of a plugin may raise: ``sys.exit(0)`` in it would end the start as if all were well."""

_Origin = tuple[str | None, str | None]
"""The distribution of a plugin and its version."""

_Candidate = tuple[str, Callable[[], object], _Origin]
"""A plugin's name, what loads it, and where it comes from."""

_HOOKS = frozenset(name for name in vars(hookspecs) if name.startswith("gateway_"))


class PluginInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One loaded plugin. ``distribution`` and ``version`` are None for one that was handed over as an object.

    ``api_version``: the newest that one of its providers is made for.
    """

    name: str
    distribution: str | None
    version: str | None
    api_version: str
    providers: tuple[str, ...]


class Registry:
    """What the plugins offer."""

    def __init__(self, hooks: pluggy.PluginManager, providers: Mapping[str, Provider], plugins: tuple[PluginInfo, ...]):
        self._hooks = hooks
        self.providers = providers
        self.plugins = plugins

    @cached_property
    def simulators(self) -> Mapping[str, Simulator]:
        """The simulators by provider. Loaded at first use: a production start runs none of their code.

        Raises ``SettingsError``.
        """
        problems: list[str] = []
        found: dict[str, Simulator] = {}
        for plugin, offered in _offers(self._hooks.hook.gateway_simulators, problems):
            for simulator in offered:
                wrong = simulator_problem(simulator)
                if wrong is not None:
                    problems.append(f"plugin {plugin}: simulator {wrong}")
                    continue
                if simulator.provider not in self.providers or simulator.provider in found:
                    problems.append(f'plugin {plugin}: no provider, or a second simulator: "{simulator.provider}"')
                found.setdefault(simulator.provider, simulator)
        if problems:
            raise SettingsError(problems)
        return found

    @property
    def has_observers(self) -> bool:
        """Whether any plugin observes."""
        return bool(self._hooks.hook.gateway_payment_changed.get_hookimpls())

    def observe(self, payment: Payment, event: PaymentEvent) -> None:
        """Call every observer with a committed change. An observer's error is logged and stops nobody."""
        said = {"payment": payment, "event": event}
        for hook in self._hooks.hook.gateway_payment_changed.get_hookimpls():
            try:
                hook.function(*(said[name] for name in hook.argnames))
            except Exception as problem:  # foreign code beside the payment: its errors are its own
                # The kind only: the text of a plugin's error may quote what it was given.
                fields = {"plugin": hook.plugin_name, "payment_id": payment.id, "error": type(problem).__name__}
                _log.error("observer failed", extra=fields)


def load_plugins(
    found: Iterable[EntryPoint] | None = None,
    *,
    blocked: Collection[str] = (),
    allowed: Collection[str] | None = None,
    extra: Iterable[object] = (),
) -> Registry:
    """Import every plugin that is allowed and not blocked, once, and collect what it offers.

    ``found`` is what ``installed`` found, where it was asked already. ``blocked`` and ``allowed`` (None: all) are
    entry-point names; ``extra`` are plugin objects or modules that have no entry point. Raises ``SettingsError`` with
    a line per problem; where two have one name no code of any has run.
    """
    points = chosen(installed() if found is None else found, blocked, allowed)
    problems = clashes(points)
    if problems:
        raise SettingsError(problems)
    hooks = pluggy.PluginManager(hookspecs.PROJECT)
    hooks.add_hookspecs(hookspecs)
    origins: dict[str, _Origin] = {}
    for name, load, origin in _candidates(points, extra):
        plugin = _imported(name, load, problems)
        if plugin is not None and _registered(hooks, name, plugin, problems):
            origins[name] = origin
    owners = _owners(hooks, problems)
    if problems:
        raise SettingsError(problems)
    plugins = tuple(_info(name, origin, owners) for name, origin in origins.items())
    return Registry(hooks, {name: provider for name, (_, provider) in owners.items()}, plugins)


def _candidates(points: Iterable[EntryPoint], extra: Iterable[object]) -> Iterator[_Candidate]:
    """By entry point, and as objects. An entry point may be of another class: importlib_metadata finds them too."""
    for point in points:
        yield point.name, point.load, origin_of(point)
    for plugin in extra:
        yield getattr(plugin, "__name__", type(plugin).__name__), partial(_itself, plugin), (None, None)


def _itself(plugin: object) -> object:
    return plugin


def _imported(name: str, load: Callable[[], object], problems: list[str]) -> object | None:
    try:
        return load()
    except _FOREIGN as problem:  # whatever its import raises is a line here, not a traceback
        problems.append(f"plugin {name}: cannot be imported: {_brief(problem)}")
        return None


def _registered(hooks: pluggy.PluginManager, name: str, plugin: object, problems: list[str]) -> bool:
    wrong = _wrong_hooks(hooks, plugin)
    if not wrong:
        try:
            hooks.register(plugin, name=name)
        except pluggy.PluginValidationError as problem:
            wrong = [str(problem).splitlines()[-1]]
        except ValueError:
            wrong = ["is there twice, under this name or another"]
    problems += [f"plugin {name}: {line}" for line in wrong]
    return not wrong


def _wrong_hooks(hooks: pluggy.PluginManager, plugin: object) -> list[str]:
    """Say which functions look like hooks but are not, and which hook is missing."""
    wrong: list[str] = []
    implemented: set[str] = set()
    for name in dir(plugin):
        options = hooks.parse_hookimpl_opts(plugin, name)
        hook = (options and options.get("specname")) or name
        if options is None and not (hook.startswith("gateway_") and inspect.isroutine(getattr(plugin, name))):
            continue
        implemented.add(hook)
        if hook not in _HOOKS:
            wrong.append(unknown_name(hook, sorted(_HOOKS), f'"{hook}" is not a hook'))
        elif options is None:
            wrong.append(f'"{hook}" is not marked with @gateway.hookimpl')
    if not wrong and "gateway_providers" not in implemented:
        wrong.append('has no hook "gateway_providers"')
    return wrong


def _offers(hook: pluggy.HookCaller, problems: list[str]) -> Iterator[tuple[str, list[Any]]]:
    """Call one hook plugin by plugin, so that what each returns keeps its plugin's name."""
    for implementation in hook.get_hookimpls():
        line = f"plugin {implementation.plugin_name}: {hook.name}"
        try:
            offered: object = implementation.function()
        except _FOREIGN as problem:
            problems.append(f"{line} failed: {_brief(problem)}")
            continue
        if inspect.iscoroutine(offered):
            offered.close()
        if isinstance(offered, list):
            yield implementation.plugin_name, offered
        else:
            problems.append(f"{line} must return a list, not {type(offered).__name__}")


def _owners(hooks: pluggy.PluginManager, problems: list[str]) -> dict[str, tuple[str, Provider]]:
    """The providers by name, each with the name of its plugin."""
    owners: dict[str, tuple[str, Provider]] = {}
    for plugin, offered in _offers(hooks.hook.gateway_providers, problems):
        for provider in offered:
            wrong = _mistakes(provider)
            if not wrong and provider.name in owners:
                wrong = [f'provider "{provider.name}" is already offered by plugin {owners[provider.name][0]}']
            problems += [f"plugin {plugin}: {line}" for line in wrong]
            if not wrong:
                owners[provider.name] = (plugin, provider)
    return owners


def _mistakes(provider: object) -> list[str]:
    if isinstance(provider, type) and inspect.isfunction(inspect.getattr_static(provider, "build", None)):
        return [f"provider {provider.__name__} is a class: return {provider.__name__}() in the list"]
    try:
        return declaration_problems(provider)
    except _FOREIGN as problem:  # a member may be a property that fails
        return [f"provider {type(provider).__name__} cannot be read: {type(problem).__name__}"]


def _info(name: str, origin: _Origin, owners: Mapping[str, tuple[str, Provider]]) -> PluginInfo:
    distribution, version = origin
    offered = {provider: made for provider, (plugin, made) in owners.items() if plugin == name}
    return PluginInfo(
        name=name,
        distribution=distribution,
        version=version,
        api_version=max((str(api_version_of(one)) for one in offered.values()), default=FIRST_API_VERSION),
        providers=tuple(offered),
    )


def _brief(problem: BaseException) -> str:
    try:
        text = str(problem).splitlines()
    except Exception:  # its text is foreign code too
        text = []
    return f"{type(problem).__name__}: {text[0]}" if text else type(problem).__name__
