"""Patterns of the settings: which are taken, what they match, and that matching never takes long, whatever the text."""

from __future__ import annotations

import pytest

from gateway.core.patterns import MAX_PROGRAM_SIZE, compile_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("[A-Z]+", "GOLD", True),
        ("[A-Z]+", "GOLDx", False),
        ("[A-Z]+", "xGOLD", False),
        ("[A-Z]+", "GOLD\n", False),
        ("^[A-Z]+$", "GOLD\n", False),
        ("a|ab", "ab", True),
        ("(?i)gold", "GoLd", True),
        ("[a-z.]+@[a-z.]+", "dana@reyes.example", True),
        (r"\d{2}", "42", True),
        (r"\d{2}", "\u0664\u0662", False),
        (r"\w+", "Zoe", True),
        (r"\w+", "Zo\u00eb", False),
        (r"[\pL ]+", "Zo\u00eb Ng", True),
        ("..", "\U0001d538\u00eb", True),
        (".+", "a\ud800", True),
        ("(?P<year>[0-9]{4})-[0-9]{2}", "2027-01", True),
    ],
)
def test_the_whole_text_must_match(pattern: str, text: str, fits: bool) -> None:
    r"""A pattern describes the whole text; ``\d``, ``\w`` and ``\s`` are those of ASCII."""
    assert compile_pattern(pattern).fits(text) is fits


NEEDS_MORE = "pattern needs what RE2 does not have (backreferences, look-around, \\Z, repetitions above 1000): "
TOO_LARGE = "pattern is too large: write + and max_length in place of a large repetition"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("[", "pattern is not a regular expression: unterminated character set"),
        ("a**", "pattern is not a regular expression: multiple repeat"),
        ("(" * 3000 + ")" * 2999, "pattern is not a regular expression: "),
        (r"(a)\1", NEEDS_MORE),
        ("(?P<x>a)(?P=x)", NEEDS_MORE),
        ("(?=a)a", NEEDS_MORE),
        ("(?!a)b", NEEDS_MORE),
        ("(?<=a)b", NEEDS_MORE),
        ("(?>a+)b", NEEDS_MORE),
        ("a*+b", NEEDS_MORE),
        (r"a\Z", NEEDS_MORE),
        ("a{1,1001}", NEEDS_MORE),
        ("\ud800", NEEDS_MORE),
        ("a{,5}", "pattern has a repetition without a lower bound: write {0,5} for {,5}"),
        ("x" * 200_000, TOO_LARGE),
        (r"[\pL ]{1,255}", TOO_LARGE),
        ("(?:.{1,30}){1,33}", TOO_LARGE),
        ("(?:(?:a?){30}){33}a{255}" * 9, TOO_LARGE),
    ],
)
def test_patterns_that_are_refused(pattern: str, said: str) -> None:
    """What cannot be matched without going back, or only slowly, is refused in one line that says why."""
    with pytest.raises(ValueError, match=r"^pattern ") as caught:
        compile_pattern(pattern)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "([a-zA-Z]+)*$",
        "(a|aa)+$",
        "(a|a?)+$",
        "(.*a){12}",
        "([A-Za-z]+ ?)+",
        "(x+x+)+y",
        "(.*)*b",
        "(a|b)*a(a|b){99}",
    ],
)
def test_bad_patterns_say_no(pattern: str) -> None:
    """Patterns that keep an engine that goes back busy for years refuse 255 characters like any other pattern."""
    assert not any(
        compile_pattern(pattern).fits(text) for text in ("a" * 254 + "!", "xyz" * 84 + "-", "A" * 127 + " !" * 64)
    )


def test_largest_pattern_is_bounded_in_what_it_may_do() -> None:
    """What a pattern may do for each byte of a text is bounded by its size, and so are all that are taken."""
    assert 2000 < compile_pattern(".{1,255}").size <= MAX_PROGRAM_SIZE


def test_nothing_is_written_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    """RE2 itself logs nothing, neither of a refused pattern nor of one whose memory is used up."""
    for pattern in (r"(a)\1", "x" * 200_000):
        with pytest.raises(ValueError, match=r"^pattern "):
            compile_pattern(pattern)
    compile_pattern("(a|b)*a(a|b){250}").fits("ab" * 127)
    assert capfd.readouterr() == ("", "")
