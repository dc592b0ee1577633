"""Windows in turn, and ratios of neighbours."""

from __future__ import annotations

from bench.windows import Window, in_words, interleaved, ratio


def window(per_second: float, others: float = 0.0) -> Window:
    """A window with a throughput."""
    return Window(100, per_second, 50.0, others, 2.0, 3.0)


def test_everybody_begins_once_and_the_first_round_is_dropped() -> None:
    """The place in a round moves, so that no one always follows the same neighbour."""
    order: list[str] = []

    def contestant(name: str, per_second: float) -> Window:
        order.append(name)
        return window(per_second)

    speeds = iter((1.0, 2.0, 3.0))
    seen = interleaved({"a": lambda: contestant("a", 5.0), "b": lambda: contestant("b", next(speeds))}, rounds=2)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [one.per_second for one in seen["b"]] == [2.0, 3.0]


def test_a_ratio_is_the_median_of_neighbours() -> None:
    """Not the ratio of medians: a round that was slow for both says the same as the others."""
    ours, theirs = [window(10), window(1), window(12)], [window(20), window(2), window(20)]
    assert ratio(ours, theirs, lambda one: one.per_second) == 0.5


def test_cpu_of_other_threads_is_shown_where_there_is_any() -> None:
    """Main thread + others."""
    assert in_words("a", [window(1_234, 25.4)]) == "a 1,234/s, 50 + 25 µs"
    assert in_words("a", [window(1_234)]) == "a 1,234/s, 50 µs"
