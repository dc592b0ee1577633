"""What a check does at the moment, so that a plugin that ends or hangs it is told by the member it was in."""

from __future__ import annotations

import mmap
import signal

LONGEST_STEP = 20
"""Seconds that one step may take, such as an import or a call, where a check runs apart."""

_step = mmap.mmap(-1, 512)  # shared with a child process: it is read when the child is gone
_longest = 0


def enter(step: str) -> None:
    """Note what the check does next, and restart its time."""
    _step[:] = step.encode(errors="replace")[: len(_step)].ljust(len(_step))
    if _longest:
        signal.alarm(_longest)


def current() -> str:
    """The step that was entered last."""
    return bytes(_step).decode(errors="replace").strip()


def limit(seconds: int) -> None:
    """From now on a step that takes longer ends this process."""
    global _longest  # of a process that is there for one check
    _longest = seconds
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)


def readable(error: BaseException) -> BaseException:
    """An error of a plugin; where its text cannot be read, one that says so."""
    try:
        str(error)
    except BaseException:  # its __str__ is the plugin's code
        return TypeError(f"the text of {type(error).__name__} cannot be read")
    return error
