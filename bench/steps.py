"""Which step of a payment or a callback a piece of code belongs to.

A sample of the profiler is a stack of frames. The innermost frame that is named here has the sample; a frame of a
library, or of a helper that many steps share (``SHARED``), counts for the step that called it.
"""

from __future__ import annotations

from collections.abc import Sequence

LOOP = "asyncio: loop and tasks"
HTTP = "HTTP server (aiohttp)"
WEB = "routing, middleware, limits"
READ = "authenticate, read the body"
CHECKS = "checks"
PLAN = "plan and build (plugin)"
RESERVE = "idempotency, reserve"
CALL = "provider call"
PARSE = "parse and judge the reply (plugin)"
SETTLE = "apply, settle"
STORE = "store: queue and reads"
ANSWER = "answer"
LOG = "log line"
PROVE = "prove the callback (plugin)"
MASK = "mask what is stored"
OTHER = "background work"

STEPS = {
    "asyncio/base_events.py": LOOP,
    "aiohttp": HTTP,
    "gateway/web": WEB,
    "gateway/web/auth.py": READ,
    "gateway/web/request.py": READ,
    "gateway/web/provider_callbacks.py": READ,
    "gateway/core/strictjson.py": READ,
    "gateway/core/body_reader.py": READ,
    "gateway/flows/payments/create_validation.py": CHECKS,
    "gateway/core/card_data.py": CHECKS,
    "gateway/flows/payments": PLAN,
    "gateway/flows/payments/idempotency.py": RESERVE,
    "gateway/flows/payments/submit.py": SETTLE,
    "gateway/flows/plugin/calls.py:build": PLAN,
    "gateway/flows/plugin/calls.py:parse": PARSE,
    "gateway/flows/plugin/calls.py:verify_as": PROVE,
    "gateway/flows/plugin/cleaning.py": PARSE,
    "gateway/core/response_outcome.py": PARSE,
    "plugins/gateway_psp_open_api/callback.py": PROVE,
    "gateway/drivers/sender": CALL,
    "gateway/drivers/store": STORE,
    "gateway/web/api": ANSWER,
    "gateway/web/request_log.py": LOG,
    "gateway/drivers/telemetry.py": LOG,
    "gateway/drivers/log_throttle.py": LOG,
    "gateway/flows/callbacks": SETTLE,
    "gateway/flows/callbacks/receive.py": PROVE,
    "gateway/flows/masks.py": MASK,
    "gateway/core/masking.py": MASK,
    "gateway/core/credentials.py": MASK,
    "gateway/flows/webhooks": OTHER,
    "gateway/flows/background": OTHER,
}
"""A file, a folder, or a function of a file -> step. The longest name that fits counts."""

SHARED = (
    "gateway/__init__.py",
    "gateway/__main__.py",
    "gateway/cli",
    "gateway/core",
    "gateway/drivers",
    "gateway/flows",
    "gateway/hookspecs.py",
    "gateway/provider.py",
    "gateway/testing",
    "plugins",
)
"""Files and folders whose code counts for the step that calls it."""


def step_of(stack: Sequence[str]) -> str:
    """The step of a stack of frames, outermost first, each ``function (path:line)``."""
    for frame in reversed(stack):
        function, _, place = frame.partition(" (")
        path = place.rpartition(":")[0]
        if (step := step_at(path, function)) is not None:
            return step
    return LOOP


def step_at(path: str, function: str) -> str | None:
    """The step of one frame; None where it counts for its caller."""
    if path.startswith("gateway_"):
        path = f"plugins/{path}"
    names = [f"{path}:{function.rpartition('.')[2]}", path]
    while "/" in names[-1]:
        names.append(names[-1].rpartition("/")[0])
    for name in names:
        if name in STEPS:
            return STEPS[name]
        if name in SHARED:
            return None
    return None
