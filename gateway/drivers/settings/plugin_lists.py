"""``plugins`` of the settings, read alone: it is needed before any plugin's code may run."""

from __future__ import annotations

from collections.abc import Collection

from yaml.nodes import SequenceNode

from gateway.core.errors import SettingsError
from gateway.drivers.settings.load_context import LoadContext
from gateway.drivers.settings.problems import Problem, unknown_entry
from gateway.drivers.settings.scalar_reader import INVALID, Invalid, LoadState
from gateway.drivers.settings.schema import PluginsShape
from gateway.drivers.settings.settings_files import SettingsFiles
from gateway.drivers.settings.struct_reader import reader_of
from gateway.drivers.settings.yaml_file import nothing, value_at


def plugin_names(files: SettingsFiles, installed: Collection[str]) -> PluginsShape:
    """Read which plugins are blocked and which are allowed.

    Raises ``SettingsError`` for a mistake in that section, such as a name that no ``installed`` plugin has: which code
    was it meant to keep out? What else is wrong with the file is left for ``load_settings`` to report.
    """
    problems: list[Problem] = []
    context = LoadContext(folder=files.path.parent, owner=files.owner, environ={}, development=False)
    state = LoadState(files.root, context, problems)
    node = value_at(files.root, ("plugins",)) or nothing("")
    shape: PluginsShape | Invalid = reader_of(PluginsShape)(node, ("plugins",), state)
    if shape is not INVALID and not problems:
        _check_names(state, shape, installed)
    if shape is INVALID or problems:
        raise SettingsError([str(problem) for problem in problems])
    return shape


def _check_names(state: LoadState, shape: PluginsShape, installed: Collection[str]) -> None:
    for member in ("blocked", "allowed"):
        node = value_at(state.root, ("plugins", member))
        for number, item in enumerate(node.value if isinstance(node, SequenceNode) else ()):
            place = ("plugins", member, number)
            if item.value not in installed:
                state.note(place, unknown_entry("plugin", item.value, installed))
            elif member == "allowed" and item.value in shape.blocked:
                state.note(place, f'"{item.value}" is blocked too')
