"""Trees side by side: the yardstick first, then ratios to it and to the first tree."""

from __future__ import annotations

from bench.compare import concatenated, lines
from bench.windows import Window


def test_a_tree_is_shown_against_the_yardstick_and_the_first_tree() -> None:
    """CPU of all threads, as ratios of neighbours."""

    def window(main: float, others: float) -> Window:
        return Window(1, 1000.0, main, others, 2.0, 3.0)

    shown = lines({"echo": [window(50, 0)], "base": [window(300, 100)], "mine": [window(180, 20)]})
    assert shown == [
        ["echo", "1,000", "50", "50", "1.00", "1.50", "0.125"],
        ["base", "1,000", "300 + 100", "400", "8.00", "1.50", "1.000"],
        ["mine", "1,000", "180 + 20", "200", "4.00", "1.50", "0.500"],
    ]


def test_starts_are_put_together_by_tree() -> None:
    """Each with its windows in their order, so that neighbours stay neighbours."""

    def window(main: float) -> Window:
        return Window(1, 1000.0, main, 0.0, 2.0, 3.0)

    first = {"payments": {"base": [window(1), window(2)], "mine": [window(3), window(4)]}}
    second = {"payments": {"base": [window(5)], "mine": [window(6)]}}
    shown = concatenated([first, second])["payments"]
    assert {name: [one.main_us for one in windows] for name, windows in shown.items()} == {
        "base": [1, 2, 5],
        "mine": [3, 4, 6],
    }
