"""The process's open files are shared out so that the shares fit."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gateway.core.errors import SettingsError
from gateway.drivers.file_descriptors import RESERVED_FOR_ACCEPT, RESERVED_FOR_GATEWAY, descriptor_shares


@pytest.mark.parametrize("descriptors", [128, 256, 1024, 4096, 1_000_000])
@pytest.mark.parametrize("connections", [None, 8, 100_000])
def test_the_shares_stay_below_the_limit(descriptors: int, connections: int | None) -> None:
    """Whatever the settings ask for, everybody together has no more than there is, and callers have some."""
    shares = descriptor_shares(descriptors, connections)
    spent = (
        RESERVED_FOR_GATEWAY
        + RESERVED_FOR_ACCEPT
        + shares.callers
        + shares.operators
        + shares.outgoing
        + shares.leaving
    )
    assert spent <= descriptors
    assert shares.callers >= 8


def test_auto_is_what_is_left_within_reason() -> None:
    """Of 256 descriptors callers get about 100, of very many a number whose memory is bounded."""
    assert (descriptor_shares(256).callers, descriptor_shares(1_000_000).callers) == (104, 2000)


def test_a_smaller_number_in_the_settings_holds() -> None:
    """``limits.connections`` below what would fit is what callers get."""
    assert descriptor_shares(1024, 50).callers == 50


def test_too_few_descriptors_are_named() -> None:
    """A limit that leaves nothing for callers is refused with what would be enough."""
    with pytest.raises(SettingsError, match=r"64 files only: raise its limit \(ulimit -n\) to 128"):
        descriptor_shares(64)


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    """As far as the process may go by itself."""
    told = """
import resource
from gateway.drivers.file_descriptors import limit, raised_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
print(limit(), raised_limit(), limit())
"""
    ended = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout.split() == ["100", "300", "300"]
