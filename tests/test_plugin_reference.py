"""The reference of the plugin API is what its docstrings say."""

from __future__ import annotations

import gateway
from tests.support.docs_pages import headings
from tests.tools.plugin_reference import PAGE, entry, page


def test_the_reference_is_made_of_the_docstrings() -> None:
    """After a change of a docstring or a member: run ``python -m tests.tools.plugin_reference``."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_public_name_has_its_entry() -> None:
    """And no other has one."""
    assert sorted(headings(page())[1:]) == sorted(gateway.__all__)


def test_an_entry_has_members_types_and_defaults() -> None:
    """As an author writes them, without the modules they are in."""
    lines = "\n".join(entry("Form")), "\n".join(entry("read_json"))
    assert "| `fields` | `Mapping[str, str]` |  |" in lines[0]
    assert "read_json(body: bytes, kind: type[T]) -> T" in lines[1]
