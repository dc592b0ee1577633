"""``gateway plugins new``: write the package of a new provider into an empty folder.

``scaffold/`` holds the files as they are written, but for the name: those of ``common``, and of one style.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import click

from gateway.drivers.installed_plugins import installed

TEMPLATES = Path(__file__).parent / "scaffold"
STYLES = ("redirect", "polling", "signed-webhook")
SUFFIX = "-tpl"
"""Ends the names of Python files among the templates, which are not modules of the gateway."""

NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
MAX_NAME = 30


def _checked_name(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Refuse a name that settings, packages and modules could not all use, or that is taken."""
    if len(name) > MAX_NAME or NAME.fullmatch(name) is None:
        words = re.findall(r"[a-z0-9]+", name.lower().lstrip("0123456789_- "))
        better = f', such as "{"_".join(words)[:MAX_NAME].rstrip("_")}"' if words else ""
        rule = f"must be lower-case words of letters and digits, joined by _, at most {MAX_NAME} characters"
        raise click.BadParameter(f'"{name}" {rule}{better}')
    if name in {point.name for point in installed()}:
        raise click.BadParameter(f'"{name}" is the name of an installed plugin: choose another')
    return name


@click.command()
@click.argument("name", callback=_checked_name)
@click.option("--style", type=click.Choice(STYLES), default=STYLES[0], show_default=True, help="How its customers pay.")
def new(name: str, style: str) -> None:
    """Write the package of a new provider into this folder, which must be empty.

    With style redirect the customer pays on a page and unsigned notices say when to look, with polling the provider
    calls nobody, with signed-webhook its callbacks are proved.
    """
    files = {path.replace("example_pay", name): _named(text, name) for path, text in templates(style).items()}
    folder = Path.cwd()
    in_the_way = sorted(path.name for path in folder.iterdir() if path.name[0] != "." or path.name in _tops(files))
    if in_the_way:
        raise click.UsageError(f"{folder} is not empty: {', '.join(in_the_way[:5])}. Begin in an empty folder")
    for path, text in sorted(files.items()):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        click.echo(f"wrote {path}")
    click.echo(f"next: pip install -e '.[dev]' && gateway plugins check {name}")


def templates(style: str) -> Mapping[str, str]:
    """The files of a style by their paths in a package called ``example_pay``."""
    roots = (TEMPLATES / "common", TEMPLATES / style)  # a style's own file comes in place of the common one
    return {
        str(path.relative_to(root)).removesuffix(SUFFIX): path.read_text(encoding="utf-8")
        for root in roots
        for path in root.rglob("*")
        if path.is_file()
    }


def _tops(files: Mapping[str, str]) -> set[str]:
    return {Path(path).parts[0] for path in files}


def _named(text: str, name: str) -> str:
    """A template's text for a provider of this name, in each way that it is written."""
    title = name.replace("_", " ").title()
    spellings = {
        "example_pay": name,
        "example-pay": name.replace("_", "-"),
        "Example Pay": title,
        "Example-Pay": title.replace(" ", "-"),
    }
    for example, own in spellings.items():
        text = text.replace(example, own)
    return text
