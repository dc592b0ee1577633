"""Several processes: started, started again, and stopped together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

PROGRAM = """
import asyncio, json, os, signal, sys
from gateway.cli.foreground import stop_signal
from gateway.cli.workers import supervisor
from gateway.core.errors import Unavailable
from gateway.drivers.telemetry import setup_logging
from gateway.flows.tasks import backoff

supervisor.backoff = lambda most: (pause / 1000 for pause in backoff(most))
supervisor.STOP_WITHIN = 0.3
supervisor.HEALTHY_SECONDS = float(sys.argv[2])

def say(*words):
    os.write(1, f"{' '.join(map(str, words))}\\n".encode())

def until_stopped(place):
    signal.signal(signal.SIGHUP, lambda *_: say("reload", place.number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
    say("process", place.number, os.getpid(), "first" if place.is_first else "again")
    place.started()
    while os.read(place.stop, 1):
        pass

def cannot_start(place):
    if place.number == 2:
        raise Unavailable("the store is not there")
    until_stopped(place)

def of_one(place):
    until_stopped(place)
    say("stopped")

def only_one_process():
    if os.getpid() in forked:
        raise BlockingIOError(11, "no more processes")
    forked.append(os.getpid())
    return fork()

if sys.argv[1] == "of_one":
    fork, os.fork, forked = os.fork, only_one_process, []

def ends_at_once(place):
    place.started()
    if place.number == 2:
        raise ValueError("a secret")
    until_stopped(place)

def never_stops(place):
    place.started()
    while True:
        signal.pause()

def signalled_at_once():
    pid = fork()
    forked.append(pid)
    if not pid and len(forked) == 2:
        os.kill(os.getpid(), signal.SIGTERM)
    return pid

if sys.argv[1] == "ends_by_signal":
    fork, os.fork, forked = os.fork, signalled_at_once, []

async def serve(place):
    with stop_signal() as stop:
        for _ in range(3):
            await asyncio.sleep(0)
        if not stop.is_set():
            say("process", place.number, os.getpid(), "first" if place.is_first else "again")
            place.started()
            asyncio.get_running_loop().add_reader(place.stop, stop.set)
            await stop.wait()

def ends_by_signal(place):
    asyncio.run(serve(place))

setup_logging()
started = lambda: say("started")
sys.exit(supervisor.Supervisor(2, globals()[sys.argv[1]], started=started, stopping=lambda: say("stopping")).run())
"""


@contextlib.contextmanager
def supervised(work: str, *, healthy_after: float = 60.0) -> Iterator[subprocess.Popen[str]]:
    """Two processes that do ``work``, below the supervisor that is given."""
    command = [sys.executable, "-c", PROGRAM, work, str(healthy_after)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str], count: int) -> list[list[str]]:
    """The next words on its stdout, as many lines of them."""
    assert process.stdout is not None
    return [process.stdout.readline().split() for _ in range(count)]


def ended(process: subprocess.Popen[str]) -> tuple[int, str, list[str]]:
    """Exit code, what it has still printed, and the lines on stderr: none of its processes is left."""
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors.splitlines()


def test_all_work_before_it_is_said_and_a_signal_stops_all() -> None:
    """The end is a good one."""
    with supervised("until_stopped") as process:
        (_, one, _, _), (_, two, _, _), last = said(process, 3)
        assert (one, two, last) == ("1", "2", ["started"])
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (0, "stopping\n", [])


def test_a_killed_process_is_started_again() -> None:
    """The new one is told that it takes another's place; the log says which ended, and how."""
    with supervised("until_stopped") as process:
        _, (_, _, pid, how), _ = said(process, 3)
        os.kill(int(pid), signal.SIGKILL)
        ((_, number, other, again),) = said(process, 1)
        process.send_signal(signal.SIGINT)
        code, _, errors = ended(process)
    assert (code, how, number, again, other != pid) == (0, "first", "2", "again", True)
    (line,) = map(json.loads, errors)
    assert (line["message"], line["worker"], line["pid"], line["reason"]) == (
        "a worker has ended",
        2,
        int(pid),
        "signal 9",
    )


def test_the_pauses_grow_while_a_process_only_ends() -> None:
    """The others go on."""
    with supervised("ends_at_once") as process:
        said(process, 2)
        assert process.stderr is not None
        lines = [json.loads(process.stderr.readline()) for _ in range(6)]
    faults, ends = lines[::2], lines[1::2]
    assert [line["exception"]["type"] for line in faults] == ["ValueError"] * 3
    assert [line["detail"] for line in ends] == [f"starts again in 0.00{pause} s" for pause in (1, 2, 4)]


def test_a_process_that_was_healthy_does_not_wait_longer() -> None:
    """Only one that ends soon after its start, again and again, does."""
    with supervised("ends_at_once", healthy_after=0.0) as process:
        said(process, 2)
        assert process.stderr is not None
        lines = [json.loads(process.stderr.readline()) for _ in range(6)]
    assert {line["detail"] for line in lines[1::2]} == {"starts again in 0.001 s"}


def test_a_process_that_cannot_start_ends_all() -> None:
    """With its own code and sentence, said once."""
    with supervised("cannot_start") as process:
        code, output, errors = ended(process)
    assert (code, errors) == (4, ["the store is not there"])
    assert output.splitlines()[1:] == ["stopping"]


def test_a_signal_that_comes_at_once_is_for_the_new_process() -> None:
    """It ends before it works, and another takes its place: the others and the supervisor go on."""
    with supervised("ends_by_signal") as process:
        assert [(one, *more[:1], *more[2:]) for one, *more in said(process, 3)] == [
            ("process", "1", "first"),
            ("process", "2", "again"),
            ("started",),
        ]
        process.send_signal(signal.SIGTERM)
        code, output, errors = ended(process)
    assert (code, output) == (0, "stopping\n")
    assert [(line["worker"], line["reason"]) for line in map(json.loads, errors)] == [(2, "exit code 0")]


def test_processes_are_waited_for_where_there_can_be_no_more() -> None:
    """Nobody is left behind, and what is wrong is said."""
    with supervised("of_one") as process:
        code, output, errors = ended(process)
    assert (code, errors) == (1, ["[Errno 11] no more processes"])
    assert sorted(output.splitlines()[1:]) == ["stopped", "stopping"]


def test_a_hangup_reaches_one_process() -> None:
    """It is the one that tells the others; nothing ends."""
    with supervised("until_stopped") as process:
        said(process, 3)
        process.send_signal(signal.SIGHUP)
        assert said(process, 1) == [["reload", "1"]]
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 0


def test_processes_stop_when_their_supervisor_is_killed() -> None:
    """Its stdout is open as long as one of them lives."""
    with supervised("until_stopped") as process:
        said(process, 3)
        process.kill()
        assert ended(process) == (-signal.SIGKILL, "", [])


def test_a_process_that_does_not_stop_is_killed() -> None:
    """The code tells it."""
    with supervised("never_stops") as process:
        assert said(process, 1) == [["started"]]
        process.send_signal(signal.SIGTERM)
        assert ended(process) == (1, "stopping\n", [])
