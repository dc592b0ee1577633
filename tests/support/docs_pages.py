"""The documentation as the tests see it: pages, their code, their headings and links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "AGENTS.md",
    ROOT / "llms.txt",
    ROOT / "CHANGELOG.md",
    ROOT / "bench/README.md",
    ROOT / "examples/settings/README.md",
    *sorted(DOCS.rglob("*.md")),
)

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def text_of(page: str) -> str:
    """A page by its path in the repository."""
    return (ROOT / page).read_text(encoding="utf-8")


def fenced(text: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page with their languages, in order."""
    return _FENCE.findall(text)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language, in order."""
    return [body for kind, body in fenced(text) if kind == language]


def block_named(text: str, title: str) -> str:
    """The fenced block that follows the line ```title`:``."""
    return str(_FENCE.findall(text[text.index(f"\n`{title}`:\n") :])[0][1])


def code(text: str) -> str:
    """Everything that is set as code, a line each: a name counts as documented only there."""
    return "\n".join([*spans(text), *(body for _, body in _FENCE.findall(text))])


def spans(text: str) -> list[str]:
    """The pieces of inline code."""
    return _SPAN.findall(_FENCE.sub("", text))


def is_documented(name: str, text: str) -> bool:
    """Whether a name stands as code of its own in a page's text, not as a part of a longer word."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", code(text)) is not None


def missing(names: Iterable[object], *pages: str) -> list[str]:
    """Those of some names that are documented on none of the pages."""
    text = "\n".join(text_of(page) for page in pages)
    return [str(name) for name in names if not is_documented(str(name), text)]


def headings(text: str) -> list[str]:
    """The headings of a page, in order."""
    return _HEADING.findall(_FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """What a link's fragment may name: headings in lower case, blanks as hyphens, other signs dropped."""
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings(text)}


def links(page: Path) -> Iterator[str]:
    """The targets of a page's links, those in code left out."""
    text = _SPAN.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    return (target for target in _LINK.findall(text) if "://" not in target)
