"""Where the CPU time of a payment and of a callback goes: ``python -m bench.profile`` prints both tables as Markdown.

Two measurements of the same gateway: CPU per request and thread from the kernel, in windows beside the yardstick's, and
samples by ``py-spy``, which say how the main thread's part is shared among the steps of ``steps.py``. Samples of other
threads are not used: a sampler cannot tell well whether a thread that waits for work is idle.
"""

from __future__ import annotations

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench import machine, steps, wrk
from bench.contestant import PAYMENTS, Contestant
from bench.gateway import HERE, gateway
from bench.table import markdown
from bench.windows import Window, interleaved, median, ratio
from bench.yardsticks import provider, yardstick

ROUNDS = 5
SAMPLED_SECONDS = 8
SAMPLES_PER_SECOND = 400
HEADINGS = ("step", "µs", "share")
_LINE = re.compile(r"(.*) (\d+)")


class Samples(NamedTuple):
    """Samples of the main thread by step, and CPU nanoseconds of the other threads by name."""

    steps: Mapping[str, int]
    threads: Mapping[str, int]


def main() -> None:
    """Measure and print."""
    wrk.require()
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if spy is None:
        raise SystemExit("bench: py-spy is not installed; make profile installs it")
    os.sched_setaffinity(0, {machine.LOAD_CORE})
    with contextlib.ExitStack() as up:
        port = up.enter_context(provider())
        forward = up.enter_context(yardstick("forward", port))
        echo = up.enter_context(yardstick("echo"))
        ours = up.enter_context(gateway(port))
        paid = interleaved({"forward": partial(forward.pay, 1, PAYMENTS), "gateway": partial(ours.pay, 2)}, ROUNDS)
        samples = sampled(spy, ours, ours.pay, SAMPLED_SECONDS)
        print("\n".join(cost_table("payment", paid, samples)), flush=True)
        ours.prepare_callbacks(1)
        calling = {"echo": partial(echo.call_back, 1, ours.callbacks_file), "gateway": partial(ours.call_back, 1)}
        called = interleaved(calling, ROUNDS)
        samples = sampled(spy, ours, ours.call_back, SAMPLED_SECONDS // 2)
        print("\n".join(cost_table("callback", called, samples)))
        ours.check()


def sampled(spy: str, ours: Contestant, load: Callable[[int], Window], seconds: int) -> Samples:
    """Load a gateway twice: once to read its threads' CPU, and once to take samples, which costs CPU itself."""
    before = ours.server.threads()
    load(2)
    after = ours.server.threads()
    ours.prepare_callbacks(seconds)  # what is paid for them must not be sampled
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        lines = _raw_samples(spy, ours.server.pid, Path(folder, "raw"), partial(load, seconds))
    names = dict(_threads(lines))
    spent: collections.Counter[str] = collections.Counter()
    for thread in after.keys() - {ours.server.pid}:
        spent[names.get(thread, "other")] += after[thread] - before.get(thread, 0)
    return Samples(counted(lines, ours.server.pid), spent)


def _raw_samples(spy: str, pid: int, file: Path, load: Callable[[], object]) -> list[str]:
    """What ``py-spy`` saw: a line for each stack, with how often it was there."""
    command = [spy, "record", "--format", "raw", "--threads", "--output", str(file), "--pid", str(pid)]
    command += ["--rate", str(SAMPLES_PER_SECOND), "--duration", "600"]
    spying = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert spying.stdout is not None
    if not any("Sampling" in line for line in spying.stdout):
        raise SystemExit("bench: py-spy cannot look at another process here; it needs root, or ptrace allowed")
    try:
        time.sleep(1)  # the first samples take long
        load()
    finally:
        spying.send_signal(signal.SIGINT)  # it writes what it has
        spying.communicate()
    return file.read_text().splitlines()


def counted(lines: Sequence[str], main_thread: int) -> dict[str, int]:
    """Samples of the main thread by step."""
    seen: collections.Counter[str] = collections.Counter()
    for line in lines:
        found = _LINE.fullmatch(line)
        if found is not None and line.startswith(f"thread ({main_thread})"):
            frames = [_short(frame) for frame in found[1].split(";")[1:]]
            seen[steps.step_of(frames)] += int(found[2])
    return dict(seen)


def _threads(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Thread id and name: ``thread (123): sqlite writer_0;…``."""
    for line in lines:
        found = re.match(r"thread \((\d+)\): ([^;]*?)(?: \d+$|;)", line)
        if found is not None:
            yield int(found[1]), re.sub(r"[_-]?\d+", "", found[2])


def _short(frame: str) -> str:
    """A frame without the folder of the tree and of the libraries."""
    return re.sub(rf"\((?:{re.escape(str(HERE))}/(?:plugins/)?|.*?site-packages/|.*?/lib/python3\.\d+/)", "(", frame)


def cost_table(what: str, seen: Mapping[str, Sequence[Window]], samples: Samples) -> list[str]:
    """One table in Markdown: main thread by step, other threads by name, the whole, the yardstick."""
    (yard, theirs), (_, ours) = seen.items()
    main, others = (median(ours, lambda window: window.main_us), median(ours, lambda window: window.others_us))
    whole = main + others
    costs = shared_out(main, samples.steps) | {
        f"thread “{name}”": us for name, us in shared_out(others, samples.threads).items() if us >= 0.5
    }
    rows = [[name, f"{us:.0f}", f"{us / whole:.0%}"] for name, us in sorted(costs.items(), key=lambda cost: -cost[1])]
    of_yard = ratio(ours, theirs, lambda window: window.cpu_us)
    rows.append([f"**a {what}**", f"**{whole:.0f}**", f"{of_yard:.1f} × {yard}"])
    rows.append([yard, f"{median(theirs, lambda window: window.cpu_us):.0f}", ""])
    return [f"\nCPU per {what}\n", markdown(HEADINGS, rows)]


def shared_out(whole: float, parts: Mapping[str, int]) -> dict[str, float]:
    """A figure shared out in proportion."""
    total = sum(parts.values())
    return {name: whole * part / total for name, part in parts.items() if total}


if __name__ == "__main__":
    main()
