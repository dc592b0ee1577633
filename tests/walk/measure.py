"""Measure the way that one create and one callback of a PSP take through the code.

A profile hook notes every call that the request makes, and that the tasks it starts make, in ``gateway/`` and
``plugins/``; workers with tasks of their own are left out. A stay is a run of consecutive calls inside one file.
"""

from __future__ import annotations

import asyncio
import contextlib
import dis
import sys
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from itertools import groupby
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

from tests.support.stack import GatewayStack, psp_body

ROOT = Path(__file__).resolve().parents[2]

FIRST = ROOT / "gateway/web/middleware.py"
"""The file in which a request begins."""

_VALUES = (
    "core/change core/commands core/errors core/facts core/ids core/money core/payment core/payment_urls"
    " core/rules core/secret core/state_members core/wire drivers/settings/model"
)
_WRAPPERS = (
    "core/documents core/signing core/strictjson drivers/clock drivers/disk_space drivers/measures drivers/telemetry"
    " drivers/deadlines drivers/plugin_registry drivers/threads core/response_body flows/recent_payments flows/tasks"
)
_CHECKS_OF_ONE_VALUE = (
    "core/card_data core/card_numbers core/checks core/credentials core/encodings core/masking core/plugin_returns"
    " core/text_checks core/urls flows/masks flows/storage web/leaked_secrets"
)
_CONNECTION = (
    "web/callback_limits web/connections/answer_blocks web/connections/capacity web/connections/connection web/limits"
    " web/proxies web/request_log web/response_headers web/responses"
)

VALUES = frozenset(
    f"gateway/{name}.py" for names in (_VALUES, _WRAPPERS, _CHECKS_OF_ONE_VALUE, _CONNECTION) for name in names.split()
)
"""Modules that only define or keep values, wrap one library, look at one text by itself, or surround a request on its
connection: to know what they do one need not read them."""

UNITS = ("gateway/drivers/sender/", "gateway/drivers/store/", "plugins/gateway_psp_open_api/")
"""Packages that count as one file, since their callers know one door of each: an HTTP client, a store, an adapter."""

COMPREHENSIONS = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})
"""Calls that nobody wrote as calls."""

Calls = dict[asyncio.Task[Any] | None, list[str]]
"""The file of each call, by the task that made it: tasks that run side by side do not interrupt each other."""

_CALLS_NOTED: ContextVar[Calls | None] = ContextVar("calls", default=None)


class Walk(NamedTuple):
    """The files that a request went through, one name per stay."""

    name: str
    stays: tuple[str, ...]
    uncounted: str
    """The same with every file of ``gateway/`` and ``plugins/`` by itself, in words."""

    @property
    def files(self) -> Counter[str]:
        """Each file that was entered, and how often."""
        return Counter(self.stays)

    @property
    def returns(self) -> int:
        """How often a file was entered that had been left before."""
        return len(self.stays) - len(self.files)

    @property
    def flow_files(self) -> Counter[str]:
        """The part of ``files`` that is in ``gateway/flows``."""
        return Counter(file for file in self.stays if file.startswith("gateway/flows/"))


@contextlib.contextmanager
def calls_of(path: str) -> Iterator[Calls]:
    """Collect the file of each call that a request whose path begins with ``path`` makes."""
    noted: Calls = {}

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        code = frame.f_code
        is_first = code.co_filename == str(FIRST) and code.co_name == "answer_errors" and not noted
        if is_first and str(frame.f_locals["request"].path).startswith(path):
            _CALLS_NOTED.set(noted)
        if _CALLS_NOTED.get() is noted and code.co_name not in COMPREHENSIONS and not _is_resumed(frame):
            file = _file_of(code)
            if file is not None:
                noted.setdefault(asyncio.current_task(), []).append(file)

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        yield noted
    finally:
        sys.setprofile(before)


def _file_of(code: CodeType) -> str | None:
    """The file of a function of the gateway or a plugin."""
    if not code.co_filename.startswith(str(ROOT)):
        return None
    file = code.co_filename.removeprefix(f"{ROOT}/")
    return file if file.startswith(("gateway/", "plugins/")) else None


def _unit_of(file: str) -> str:
    return next((unit for unit in UNITS if file.startswith(unit)), file)


def _is_resumed(frame: FrameType) -> bool:
    """Whether a coroutine goes on after an ``await``: that is the end of a wait and not a call."""
    last, code = frame.f_lasti, frame.f_code.co_code
    return dis.opname[code[last]] == "RESUME" and code[last + 1] != 0


def walk_of(name: str, calls: Calls) -> Walk:
    """Join consecutive calls inside one file to stays."""
    counted = [[_unit_of(file) for file in of_task if file not in VALUES] for of_task in calls.values()]
    stays = tuple(file for of_task in counted for file, _ in groupby(of_task))
    every = [file for of_task in calls.values() for file, _ in groupby(of_task)]
    return Walk(name, stays, f"{len(set(every))} files and {len(every)} stays where every file counts by itself")


async def walk_create(stack: GatewayStack) -> Walk:
    """One ``POST /v1/payments`` on a PSP account, up to the operation's outcome. The first one only warms up."""
    await stack.create(psp_body())
    with calls_of("/v1/payments") as calls:
        created = await stack.create(psp_body())
        await stack.gateway.tasks.drain(10)
    assert created.json["state"] == "awaiting_customer", created.text
    return walk_of("create", calls)


async def walk_callback(stack: GatewayStack) -> Walk:
    """The callback after the customer has paid on the PSP's page. The first one only warms up."""
    await pay(stack)
    with calls_of("/callbacks/") as calls:
        await pay(stack)
    return walk_of("callback", calls)


async def pay(stack: GatewayStack) -> None:
    """Create a payment, and pay on the PSP's page."""
    payment = (await stack.create(psp_body())).json
    await stack.click(payment, "pay")
    await stack.webhook(payment["id"], "payment.captured")
    await stack.gateway.tasks.drain(10)


async def measure(stack: GatewayStack) -> tuple[Walk, Walk]:
    """Both walks, in a gateway that runs."""
    return await walk_create(stack), await walk_callback(stack)


def summary(walk: Walk) -> dict[str, Any]:
    """The figures of a walk."""
    return {
        "files": len(walk.files),
        "stays": len(walk.stays),
        "returns": walk.returns,
        "most stays in one flow file": max(walk.flow_files.values()),
    }
