"""Which plugins are installed or on the path, from metadata alone: none of their code runs here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points, version

from gateway.drivers.plugin_sources import GROUP, on_path


@cache
def own_version() -> str:
    """The version of the gateway."""
    return version("tenant-payment-gateway")


def installed() -> list[EntryPoint]:
    """Every plugin's entry point, by its name and its distribution's. What is installed comes before its sources."""
    found = {(point.name, point.value): point for point in (*on_path(), *entry_points(group=GROUP))}
    return sorted(found.values(), key=lambda point: (point.name, origin_of(point)[0] or ""))


def chosen(points: Iterable[EntryPoint], blocked: Collection[str], allowed: Collection[str] | None) -> list[EntryPoint]:
    """Those that may be loaded: not blocked, and allowed where there is a list of allowed ones."""
    return [point for point in points if point.name not in blocked and (allowed is None or point.name in allowed)]


def origin_of(point: EntryPoint) -> tuple[str | None, str | None]:
    """The distribution a plugin came with, and its version."""
    if point.dist is None:
        return None, None
    read = point.dist.metadata  # reads the file again each time
    return read["Name"], read["Version"]


def clashes(points: Iterable[EntryPoint]) -> list[str]:
    """A line for each name, and for each module, of more than one plugin: which code would run were chance."""
    by_name, by_module = defaultdict(list), defaultdict(list)
    for point in points:
        by_name[point.name].append(point)
        by_module[point.module].append(point)
    return [
        *(f"plugin {name}: is offered by {_named(found)}" for name, found in by_name.items() if len(found) > 1),
        *(
            f"plugins {' and '.join(names)}: are one module, {module}, of {_named(found)}"
            for module, found in by_module.items()
            if len(names := sorted({point.name for point in found})) > 1
        ),
    ]


def _named(points: Iterable[EntryPoint]) -> str:
    """The distributions that offer these, each with the module: one may have been installed before it was changed."""
    return " and ".join(f"{' '.join(part or '?' for part in origin_of(point))} ({point.value})" for point in points)
