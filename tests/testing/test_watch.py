"""What a call touches is seen however it was imported, and what the gateway does for a plugin is its own business."""

from __future__ import annotations

import logging
import os
import random
import secrets
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from random import randint
from time import time as now

import pytest

import gateway
from gateway.testing.watch import RefusedCall, Watch

NOTED = [
    ("clock", time.time),
    ("clock", now),
    ("clock", lambda: datetime.now(UTC)),
    ("clock", date.today),
    ("clock", time.perf_counter),
    ("randomness", random.random),
    ("randomness", lambda: randint(1, 6)),
    ("randomness", secrets.token_hex),
    ("randomness", uuid.uuid4),
    ("environment", lambda: os.environ["PATH"]),
    ("environment", lambda: os.getenv("NONE")),
    ("files", lambda: Path(__file__).read_text()),
    ("files", lambda: os.listdir(".")),
]
REFUSED = [
    ("blocks", lambda: time.sleep(1)),
    ("blocks", lambda: subprocess.run(["true"], check=False)),
    ("network", lambda: socket.create_connection(("127.0.0.1", 9))),
    ("network", lambda: socket.getaddrinfo("localhost", 80)),
]
ALLOWED = [
    lambda: random.Random("pay_1").random(),
    lambda: uuid.uuid5(uuid.NAMESPACE_URL, "pay_1"),
    lambda: datetime.fromtimestamp(0, UTC),
    lambda: logging.getLogger("plugin").warning("seen"),
    lambda: gateway.base_url("https://provider.example"),
]


@pytest.mark.parametrize(("rule", "act"), NOTED)
def test_what_is_touched_is_noted(rule: str, act: Callable[[], object]) -> None:
    """The call goes on: one fault does not hide another. The place is the plugin's own line."""
    with Watch() as seen:
        act()
    assert {found for found, _ in seen.touched} == {rule}
    assert all("in test_watch.py:" in what for _, what in seen.touched)


@pytest.mark.parametrize(("rule", "act"), REFUSED)
def test_what_would_wait_is_refused(rule: str, act: Callable[[], object]) -> None:
    """Nothing sleeps, starts or connects."""
    seen = Watch()
    with pytest.raises(RefusedCall), seen:
        act()
    assert rule in {found for found, _ in seen.touched}


@pytest.mark.parametrize("act", ALLOWED)
def test_what_is_pure_is_left_alone(act: Callable[[], object]) -> None:
    """Random numbers of a seed, times that are given, logging, and the gateway's own functions."""
    with Watch() as seen:
        act()
    assert seen.touched == []


def test_watching_ends_and_may_be_off() -> None:
    """The profile function of before is back."""
    before = sys.getprofile()
    with Watch(), pytest.raises(RefusedCall):
        time.sleep(1)
    assert sys.getprofile() is before
    with Watch(is_on=False) as seen:
        time.time()
    assert seen.touched == []
