"""What each error code is explained with: one entry each, complete, and the same in the documentation."""

from __future__ import annotations

import pytest

from gateway.core.errors import PROBLEMS
from gateway.core.problem_guides import GUIDES, example, table
from tests.support.docs_pages import DOCS


def test_every_code_has_its_guide() -> None:
    """A new code must be explained, and no explanation outlives its code."""
    assert list(GUIDES) == list(PROBLEMS)


@pytest.mark.parametrize("code", GUIDES)
def test_a_guide_is_whole(code: str) -> None:
    """Why and what to do are sentences; the example has a detail, and names members wherever a 422 does."""
    guide = GUIDES[code]
    for text in (guide.why, guide.remedy):
        assert text.endswith(".")
        assert text[0].isupper() or text[0] == "`"
    shown = example(code)
    assert list(shown)[:6] == ["type", "title", "status", "detail", "code", "request_id"]
    assert bool(shown.get("errors")) == (shown["status"] == 422)


@pytest.mark.parametrize(("status", "code", "why", "remedy"), table(), ids=list(PROBLEMS))
def test_the_documentation_says_the_same(status: int, code: str, why: str, remedy: str) -> None:
    """The table of errors in the documentation is this one, row by row."""
    row = f"\n| {status} | `{code}` | {why} | {remedy} |\n"
    assert any(row in page.read_text() for page in DOCS.rglob("*.md"))
