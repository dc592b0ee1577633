"""``plugins`` of the settings, read alone: it is needed before any plugin's code may run."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from yaml.nodes import SequenceNode

from gateway.core.errors import SettingsError
from gateway.drivers.settings.around import Around
from gateway.drivers.settings.files import SettingsFiles
from gateway.drivers.settings.problems import Problem, unknown
from gateway.drivers.settings.reader import reader_of
from gateway.drivers.settings.reading import BAD, Bad, Reading
from gateway.drivers.settings.shape import PluginsShape
from gateway.drivers.settings.yaml_file import nothing, value_at


def plugin_names(path: Path, installed: Collection[str]) -> PluginsShape:
    """Read which plugins are blocked and which are allowed.

    Raises ``SettingsError`` for a mistake in that section, such as a name that no ``installed`` plugin has: which code
    was it meant to keep out? What else is wrong with the file is left for ``load_settings`` to report.
    """
    files = SettingsFiles(path)
    problems: list[Problem] = []
    around = Around(folder=files.path.parent, owner=files.owner, environ={}, development=False)
    reading = Reading(files.root, around, problems)
    node = value_at(files.root, ("plugins",)) or nothing("")
    shape: PluginsShape | Bad = reader_of(PluginsShape)(node, ("plugins",), reading)
    if shape is not BAD and not problems:
        _judge(reading, shape, installed)
    if shape is BAD or problems:
        raise SettingsError([str(problem) for problem in problems])
    return shape


def _judge(reading: Reading, shape: PluginsShape, installed: Collection[str]) -> None:
    for member in ("blocked", "allowed"):
        node = value_at(reading.root, ("plugins", member))
        for number, item in enumerate(node.value if isinstance(node, SequenceNode) else ()):
            place = ("plugins", member, number)
            if item.value not in installed:
                reading.note(place, unknown("plugin", item.value, installed))
            elif member == "allowed" and item.value in shape.blocked:
                reading.note(place, f'"{item.value}" is blocked too')
