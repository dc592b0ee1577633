"""``python -m tests.simulation --seeds 10000`` runs many histories; ``--seed 123 --trace`` prints one of them."""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable

from tests.simulation.history import Outcome, run_history
from tests.simulation.seed_corpus import add_failing_seeds, failing_seeds
from tests.support.postgresql import folder_of_the_run
from tests.support.stores import ENGINES

SHOWN = 40
"""Lines of the trace printed before a violation."""

FIGURES = ("operations", "events", "answers", "starts", "crashes", "stops", "faults", "repetitions")


def main() -> int:
    """Run the histories; return 1 if one broke an invariant."""
    options = _options()
    run = functools.partial(run_history, nodes=options.nodes, engine=options.engine)
    if options.seed is not None:
        outcome = run(options.seed)
        print("\n".join(outcome.trace if options.trace else outcome.trace[-SHOWN:]))
        print(_figures([options.seed], outcome.figures, len(outcome.violations)))
        return 1 if outcome.violations else 0
    seeds = [*failing_seeds(), *range(options.first, options.first + options.seeds)]
    figures, failed = _run(run, seeds, options.jobs, until_red=options.until_red)
    if (options.nodes, options.engine) == (1, "sqlite"):
        add_failing_seeds(failed)
    print(_figures(seeds, figures, len(failed)))
    return 1 if failed else 0


def _run(
    run: Callable[[int], Outcome], seeds: list[int], jobs: int, *, until_red: bool
) -> tuple[Counter[str], list[int]]:
    figures: Counter[str] = Counter()
    failed: list[int] = []
    began, reported = time.monotonic(), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for number, outcome in enumerate(pool.imap_unordered(run, seeds, chunksize=4), start=1):
            figures.update(outcome.figures)
            if outcome.violations:
                failed.append(outcome.seed)
                print(explained(outcome), flush=True)
                if until_red:
                    break
            if time.monotonic() - reported > 30:
                reported = time.monotonic()
                print(f"{number} of {len(seeds)} histories, {reported - began:.0f} s", file=sys.stderr, flush=True)
    return figures, failed


def explained(outcome: Outcome) -> str:
    """Describe the violations of a history: the end of its trace, and the command that prints the rest."""
    first = next((at for at, line in enumerate(outcome.trace) if "VIOLATION" in line), 0)
    shown = outcome.trace[max(0, first - SHOWN) : first]
    again = (
        f"python -m tests.simulation --seed {outcome.seed} --nodes {outcome.nodes} --engine {outcome.engine} --trace"
    )
    violated = (f"violated at {violation}" for violation in outcome.violations)
    return "\n".join((f"seed {outcome.seed}:", *shown, *violated, f"the whole history: {again}"))


def _figures(seeds: list[int], figures: dict[str, int], violations: int) -> str:
    counts = ", ".join(f"{figures.get(name, 0)} {name}" for name in FIGURES)
    return f"{len(seeds)} histories, {counts}, {violations} violations"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "--seeds", type=int, default=1000, help="how many histories, besides the seeds that failed before"
    )
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--nodes", type=int, default=1, help="gateways on one store, which more than one share")
    parser.add_argument("--engine", choices=ENGINES, default="sqlite", help="what the store is kept on")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes side by side")
    parser.add_argument("--until-red", action="store_true", help="stop at the first violation")
    parser.add_argument("--seed", type=int, help="one history only")
    parser.add_argument("--trace", action="store_true", help="print the whole history of --seed")
    return parser.parse_args()


if __name__ == "__main__":
    with folder_of_the_run():
        sys.exit(main())
