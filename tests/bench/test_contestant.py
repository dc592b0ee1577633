"""A window of callbacks finds enough payments to call back about."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from bench import windows
from bench.contestant import PAYMENTS, Contestant
from bench.psp_callbacks import Account
from bench.windows import Window
from bench.wrk import Load


class Quick(Contestant):
    """Without a server: it takes 1,000 payments a second and 1,900 callbacks."""

    def __init__(self, folder: Path, *, unpaid: int) -> None:
        super().__init__(Mock(pid=1), 0, folder / "a.db", {"acme": Account("/callbacks/1", "M", "T")})
        self.unpaid = unpaid

    def measure(self, _server: Any, _port: int, load: Load, seconds: int, **_environment: str) -> Window:
        """As ``windows.measure``."""
        requests = (1000 if load is PAYMENTS else 1900) * seconds
        self.unpaid += requests if load is PAYMENTS else -requests
        return Window(requests, requests / seconds, 1.0, 0.0, 1.0, 2.0)

    def _unpaid(self) -> list[tuple[str, str]]:
        return [(f"pay_{number:012}", "acme") for number in range(self.unpaid)]


@pytest.mark.parametrize("unpaid", [0, 300, 5000])
def test_the_first_window_of_callbacks_has_enough_payments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpaid: int
) -> None:
    """Before it nobody knows how fast callbacks are: more are there than fit into it, however few there were."""
    one = Quick(tmp_path, unpaid=unpaid)
    monkeypatch.setattr(windows, "measure", one.measure)
    one.call_back(1)
    one.call_back(2)
    assert one.callbacks == 5700
