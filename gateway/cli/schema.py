"""``gateway schema``: a JSON Schema of the settings with the descriptions of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click

import gateway
from gateway.cli.loading import config_option, load_registry
from gateway.cli.output import print_json
from gateway.drivers.settings.json_schema import SETTINGS, Pages, SettingsSchema

PACKAGE = Path(gateway.__file__).parent
DOCS = next(path for path in (PACKAGE / "docs", PACKAGE.parent / "docs") if path.exists())
"""The documentation as the wheel brings it, or in the repository."""

NOT_MEANINGS = ("key", "default", "production")
NO_DEFAULTS = ("", "none", "required", "see below", "–")

_CELLS = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@click.command()
@config_option
def schema(config: Path) -> None:
    """Print a JSON Schema of the settings, with the config of each installed provider, for editors.

    Name it in the first line of a settings file: # yaml-language-server: $schema=settings.schema.json
    """
    print_json(SettingsSchema(load_registry(config).providers, _pages()).whole())


def _pages() -> Pages:
    """What the page of the settings says of each key, and those of the bundled providers, which have no sections."""
    found: dict[str, dict[str, dict[str, tuple[str, str]]]] = {SETTINGS: {}}
    for section, key, said in _rows((DOCS / "settings.md").read_text(encoding="utf-8")):
        found[SETTINGS].setdefault(section, {}).setdefault(key, said)
    for page in sorted((DOCS / "providers").glob("*.md")):
        for _, key, said in _rows(page.read_text(encoding="utf-8")):
            found.setdefault(page.stem, {}).setdefault("", {}).setdefault(key, said)
    return found


def _rows(page: str) -> Iterator[tuple[str, str, tuple[str, str]]]:
    """The keys of a page's tables: section, key, (meaning, default)."""
    section, columns = "", list[str]()
    for line in page.splitlines():
        cells = [cell.strip() for cell in _CELLS.split(line)[1:-1]]
        if line.startswith("#"):
            section = line.strip("# `")
        elif not cells:
            columns = []
        elif not columns:
            columns = [cell.lower() for cell in cells]
        elif columns[0] == "key":
            row = dict(zip(columns, cells, strict=True))
            for key in re.findall(r"`([^`]+)`", row["key"]):
                meaning = next(text for column, text in row.items() if column not in NOT_MEANINGS)
                default = row.get("default", "")
                yield section, key, (_plain(meaning), "" if default in NO_DEFAULTS else _plain(default))


def _plain(text: str) -> str:
    """A cell without links and stress."""
    return _LINK.sub(r"\1", text).replace("\\|", "|").replace("**", "")
