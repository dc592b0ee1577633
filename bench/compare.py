"""Compare working trees: ``python -m bench.compare NAME=TREE ... [--starts 4] [--rounds 2] [--what payments]``.

All are up at once and loaded in turn, each by its own ``.venv``; yardsticks are this tree's. Where a process has its
code and data in memory is chance, which it keeps until it ends: two starts of one tree differ by 3 %, and seldom by 10.
So all are started several times, and more rounds of one start say little more.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from bench import machine, wrk
from bench.contestant import PAYMENTS
from bench.gateway import gateway
from bench.table import markdown
from bench.windows import Window, cpu_in_words, interleaved, median, ratio
from bench.yardsticks import provider, yardstick

HEADINGS = ("tree", "requests/s", "CPU µs main + others", "all", ": yardstick", "p99 : p50", ": first")

Seen = Mapping[str, Mapping[str, Sequence[Window]]]
"""What was asked for -> the yardstick or a tree -> its windows."""


def main() -> None:
    """Measure, check and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("trees", nargs="+", metavar="NAME=TREE")
    parser.add_argument("--starts", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2, help="of each start")
    parser.add_argument("--what", default="payments,callbacks", help="payments, or payments,callbacks")
    options = parser.parse_args()
    wrk.require()
    os.sched_setaffinity(0, {machine.LOAD_CORE})
    trees = {name: Path(tree).resolve() for name, _, tree in (one.partition("=") for one in options.trees)}
    starts = [measured(trees, options.rounds, "callbacks" in options.what) for _ in range(options.starts)]
    for what, seen in concatenated(starts).items():
        print(f"\n{what}\n\n{markdown(HEADINGS, lines(seen))}")


def measured(trees: Mapping[str, Path], rounds: int, with_callbacks: bool) -> Seen:
    """Payments, and callbacks for them, of each tree and of the yardstick, which comes first. One start of each."""
    with contextlib.ExitStack() as up:
        port = up.enter_context(provider())
        forward = up.enter_context(yardstick("forward", port))
        echo = up.enter_context(yardstick("echo"))
        ours = {name: up.enter_context(gateway(port, tree=tree)) for name, tree in trees.items()}
        paying = {name: partial(one.pay, 2) for name, one in ours.items()}
        seen = {"payments": interleaved({"forward": partial(forward.pay, 1, PAYMENTS), **paying}, rounds)}
        if with_callbacks:
            first = next(iter(ours.values()))
            first.prepare_callbacks(1)
            calling = {name: partial(one.call_back, 1) for name, one in ours.items()}
            seen["callbacks"] = interleaved(
                {"echo": partial(echo.call_back, 1, first.callbacks_file), **calling}, rounds
            )
        for one in ours.values():
            one.check()
    return seen


def concatenated(starts: Sequence[Seen]) -> Seen:
    """The windows of all starts, one after the other."""
    return {
        what: {name: [window for one in starts for window in one[what][name]] for name in windows}
        for what, windows in starts[0].items()
    }


def lines(seen: Mapping[str, Sequence[Window]]) -> list[list[str]]:
    """The table's rows: the yardstick, then the trees in their order."""
    yard, first = list(seen.values())[:2]
    return [
        [
            name,
            f"{median(windows, lambda window: window.per_second):,.0f}",
            cpu_in_words(windows),
            f"{median(windows, lambda window: window.cpu_us):.0f}",
            f"{ratio(windows, yard, lambda window: window.cpu_us):.2f}",
            f"{median(windows, lambda window: window.spread):.2f}",
            f"{ratio(windows, first, lambda window: window.cpu_us):.3f}",
        ]
        for name, windows in seen.items()
    ]


if __name__ == "__main__":
    main()
