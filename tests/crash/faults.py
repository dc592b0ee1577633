"""The faults of both providers, changed with every start of the gateway.

No delay is longer than the quiet period, and no lookup gets a false answer: Credit Key's view of an order is the one
thing the gateway relies on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.crash.testbed import Testbed

Faults = Mapping[str, Any]

FAULTS: dict[str, Sequence[Faults]] = {
    "creditkey": (
        {},
        {"delay_ms": 20},
        {"silence": "after_effect", "times": 3},
        {"silence": "before_effect", "times": 3},
        {"status": 500, "times": 3},
        {"status": 503, "html": True, "times": 3},
        {"malformed": True, "times": 3},
        {"operation": "begin_standalone_checkout", "silence": "after_effect", "times": 2},
        {"operation": "complete_checkout", "silence": "after_effect", "times": 2},
        {"operation": "confirm_order", "silence": "after_effect", "times": 2},
        {"operation": "confirm_order", "status": 400, "times": 1},
        {"operation": "update_order", "malformed": True, "times": 2},
        {"operation": "cancel_order", "silence": "after_effect", "times": 2},
        {"operation": "refund", "silence": "after_effect", "times": 2},
        {"operation": "refund", "status": 500, "times": 2},
        {"operation": "refund", "status": 400, "times": 1},
        {"partial_refund_status": "returned", "string_booleans": True},
        {"duplicate_return": True},
    ),
    "psp": (
        {},
        {"delay_ms": 20},
        {"silence": "after_effect", "times": 2},
        {"silence": "before_effect", "times": 2},
        {"early_callback": True, "times": 2},
        {"early_callback": True, "silence": "after_effect", "times": 2},
        {"malformed": True, "times": 2},
        {"status": 500, "times": 1},
        {"status": 400, "times": 1},
        {"result": False, "times": 1},
        {"duplicate_callback": True},
    ),
}


async def change(testbed: Testbed) -> None:
    """Set another fault at each provider."""
    for provider, faults in FAULTS.items():
        await testbed.faults(provider, testbed.dice.choice(faults))


async def clear(testbed: Testbed) -> None:
    """End all faults."""
    testbed.faults_ended = testbed.endpoint.faults_ended = True
    for provider in FAULTS:
        await testbed.faults(provider, {})
