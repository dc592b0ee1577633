"""Samples are counted for the right step, and no code is left without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import steps
from bench.profile import Samples, cost_table, counted, shared_out
from bench.windows import Window

ROOT = Path(__file__).parents[2]
LOOP = "_run_once (asyncio/base_events.py:1922)"
CREATE = "create (gateway/flows/payments/create.py:10)"


def sources() -> Iterator[str]:
    """The files of the gateway and the plugins."""
    yield from (str(path.relative_to(ROOT)) for top in ("gateway", "plugins") for path in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize(
    ("stack", "step"),
    [
        ([LOOP], steps.LOOP),
        ([LOOP, "run (gateway/web/server.py:1)"], steps.WEB),
        ([LOOP, "run (gateway/web/server.py:1)", "write_eof (aiohttp/http_writer.py:1)"], steps.HTTP),
        ([LOOP, CREATE], steps.PLAN),
        ([LOOP, CREATE, "new (gateway/drivers/clock.py:5)", "uuid4 (uuid.py:1)"], steps.PLAN),
        ([LOOP, CREATE, "check (gateway/flows/payments/create_validation.py:7)"], steps.CHECKS),
        ([LOOP, CREATE, "Calls.parse (gateway/flows/plugin/calls.py:7)", "now (datetime.py:1)"], steps.PARSE),
        ([LOOP, CREATE, "observe (gateway_psp_open_api/callback.py:7)"], steps.PROVE),
        (["run (somewhere/else.py:1)"], steps.LOOP),
    ],
)
def test_the_innermost_frame_with_a_step_has_the_sample(stack: list[str], step: str) -> None:
    """A helper's time belongs to the step that called it."""
    assert steps.step_of(stack) == step


def test_every_file_has_a_step_or_is_shared() -> None:
    """A new folder must say where its time is shown."""
    known = (*(name.partition(":")[0] for name in steps.STEPS), *steps.SHARED)
    assert [one for one in sources() if not any(one == name or one.startswith(f"{name}/") for name in known)] == []


def test_every_name_in_the_table_exists() -> None:
    """A file that was renamed would silently count for another step."""
    ours = [name for name in (*steps.STEPS, *steps.SHARED) if name.startswith(("gateway/", "plugins"))]
    assert len(ours) > 20
    assert [name for name in ours if not (ROOT / name.partition(":")[0]).exists()] == []
    functions = [name.split(":") for name in ours if ":" in name]
    assert [name for path, name in functions if f"def {name}(" not in (ROOT / path).read_text()] == []


def test_only_the_main_thread_s_samples_are_counted() -> None:
    """A waiting thread looks busy to a sampler."""
    lines = [
        f"thread (7): MainThread;{LOOP};create ({ROOT}/gateway/flows/payments/create.py:1) 3",
        f"thread (7): MainThread;{LOOP} 2",
        f"thread (8): sqlite writer_0;{LOOP} 50",
        "thread (7): MainThread 1",
    ]
    assert counted(lines, 7) == {steps.PLAN: 3, steps.LOOP: 3}


def test_the_table_adds_up() -> None:
    """Steps and threads make the whole; the yardstick is below it."""
    assert shared_out(90.0, {"a": 1, "b": 2}) == {"a": 30.0, "b": 60.0}
    ours, theirs = Window(1, 1.0, 90.0, 10.0, 1.0, 1.0), Window(1, 1.0, 20.0, 0.0, 1.0, 1.0)
    text = cost_table("payment", {"forward": [theirs], "gateway": [ours]}, Samples({"a": 1, "b": 2}, {"writer": 5}))
    assert text[1].splitlines()[2:] == [
        "| b | 60 | 60% |",
        "| a | 30 | 30% |",
        "| thread “writer” | 10 | 10% |",
        "| **a payment** | **100** | 5.0 × forward |",
        "| forward | 20 |  |",
    ]
