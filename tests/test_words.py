"""Words and phrases that may not come back: the trade has a term for each, or English has a plainer sentence.

``docs/glossary.md`` holds the terms that are used instead.
"""

from __future__ import annotations

import functools
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PHRASES = {
    r"(?<!here )\b(?:is|are|was|were) no (?!(?:longer|more|less|later|such|earlier|greater|one)\b)": 'say "is not a"',
    r"\b(?:is|are) none\b": 'say "does not exist", "has no"',
    r"\bof ours\b": 'say "our", or name the thing',
    r"\b(?:tell|tells|told) of\b": 'say "report", "describe", "show"',
    r"\b(?:at most|only|for|after) so (?:many|long)\b": "name the number or the limit",
    r"\bwho(?:so)?ever\b": 'say "anyone who", or name them',
    r"\bwhat(?:ever)? becomes? of\b": 'say "what happens to", "the outcome of"',
    r"\bat leisure\b": 'say "in the background"',
    r"\bby whose word\b": 'say "on whose report", or name the cause',
    r"\bstands? (?:in|beside|under|behind|on) (?!line|order|for|the way)": 'say "is in", "is stored in"',
    r"\b(?:makes?|made|gives?|gave) (?:way|place)\b": 'say "is replaced"',
    r"\bfar[ -]sides?\b": 'say "simulator", "provider", "other end"',
    r"\bthe house\b": "name the layer, the code or the test stack",
    r"\bfor ever\b": 'say "forever", "indefinitely"',
    r"\ba wish\b|\bper wish\b": 'say "a request"',
    r"\bin its hands\b": "say what is known",
    r"(?<!enter )\banew\b": 'say "again", "rebuilt", "restarted"',
    r"\bwhat (?:came|comes) of\b": 'say "the outcome of", "the result of"',
    r"\bin vain\b": "say what fails, or what is not needed",
    r"\bput off\b": 'say "answered 429", "postponed", "canceled"',
}
"""A pattern of phrases, and what to say instead."""

NAMES = {
    "Draft": "ChangeBuilder",
    "Judged": "Evaluation",
    "Judgement": "Evaluation",
    "Rejudged": "Evaluation",
    "Loaded": "PaymentSnapshot",
    "Ruled": "OperationResolved",
    "Terms": "Policy",
    "Around": "LoadContext",
    "Race": "ConflictRetry",
    "FarSide": "Ledger",
    "FarOrder": "SimulatedOrder",
    "AT_ONCE": "BATCH_SIZE or MAX_CONCURRENT_...",
    "BREATH": "a constant with its unit",
    "SICK_PAUSE": "a constant with its unit",
    "NEWCOMERS": "TENANT_REFRESH",
    "BURIED_AT_ONCE": "DEAD_LETTER_BATCH",
    "once": "idempotency.run",
    "told": "event_rows",
    "settle": "resolve",
    "settled": "resolved",
    "misfit_of": "mismatch_of",
    "next_look": "next_check_at",
    "hasten": "bring_check_forward",
    "looked": "record_check",
    "bury": "mark_dead",
    "house": "stack",
    "far_side": "simulator, provider",
}
"""A retired name, and what took its place."""

COMMANDS = {"settle"}
"""Words that are retired as names but stay as commands, which users have in their scripts."""

PLACES = (
    "gateway",
    "plugins",
    "examples",
    "bench",
    "docs",
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
    "settings.yaml",
)
TEXT = re.compile("|".join(f"({phrase})" for phrase in PHRASES))
"""One search for all phrases; the number of the group that matched is the phrase's place."""


def sources(place: str) -> Iterator[Path]:
    """The Python files and pages of one place."""
    path = ROOT / place
    found = [path] if path.is_file() else sorted(path.rglob("*"))
    yield from (one for one in found if one.suffix in {".py", ".md", ".yaml"} or one.name == "Makefile")


@functools.lru_cache(maxsize=1)
def tokens(source: str) -> list[tokenize.TokenInfo]:
    """The tokens of a Python file, for both searches."""
    return list(tokenize.generate_tokens(io.StringIO(source).readline))


def words(path: Path) -> Iterator[tuple[int, str]]:
    """What a person reads in a file, with line numbers: strings and comments of code, all of a page."""
    source = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), start=1)
        return
    for token in tokens(source):
        if token.type in (tokenize.STRING, tokenize.COMMENT):
            yield from enumerate(token.string.splitlines(), start=token.start[0])


def names(path: Path) -> Iterator[tuple[int, str]]:
    """The identifiers of a file, with line numbers: those of code, and single words in a page's inline code."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for token in tokens(source):
            if token.type == tokenize.NAME:
                yield token.start[0], token.string
    elif path.suffix == ".md":
        for number, line in enumerate(source.splitlines(), start=1):
            found = re.findall(r"`(\w+)(?:\(\))?`", line)
            yield from ((number, name) for name in found if name not in COMMANDS)


def offences(path: Path) -> Iterator[str]:
    """Each retired phrase or name of a file, one line each, with what to write instead."""
    for number, line in words(path):
        for found in TEXT.finditer(line):
            instead = list(PHRASES.values())[(found.lastindex or 1) - 1]
            yield f'{path.name}:{number}: "{found.group()}": {instead}'
    for number, name in names(path):
        if name in NAMES:
            yield f"{path.name}:{number}: {name} is retired: {NAMES[name]}"


@pytest.mark.parametrize("place", PLACES)
def test_no_retired_word_comes_back(place: str) -> None:
    """Sentences are plain, and names are the trade's terms."""
    assert [f"{path.parent.relative_to(ROOT)}/{line}" for path in sources(place) for line in offences(path)] == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("planted.py", '"""This is no cursor of ours."""\n', ["is no ", "of ours"]),
        ("planted.py", "# whoever asks\nAT_ONCE = 1\n", ["whoever", "AT_ONCE"]),
        ("planted.md", "It stands in the inbox.\n", ["stands in"]),
        ("planted.md", "`Judgement` is what was decided.\n", ["Judgement"]),
    ],
)
def test_a_planted_word_is_found(tmp_path: Path, name: str, text: str, said: list[str]) -> None:
    """The test itself is tested, in code and on pages."""
    (tmp_path / name).write_text(text)
    found = list(offences(tmp_path / name))
    assert len(found) == len(said)
    assert all(word in line for word, line in zip(said, found, strict=True))


@pytest.mark.parametrize(
    "text", ["There is no such payment.", "It is no longer open.", "Nothing stands in the way.", "A hint is None."]
)
def test_plain_sentences_pass(tmp_path: Path, text: str) -> None:
    """What a native speaker would write is not refused."""
    (tmp_path / "page.md").write_text(text)
    assert list(offences(tmp_path / "page.md")) == []
