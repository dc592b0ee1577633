"""Token buckets: what they let through, when they are free again, and that no name empties another's."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from gateway.core.errors import TenantError
from gateway.drivers.settings import Rate
from gateway.web.limits import Buckets, TenantLimits, network_of, part_of
from tests.support.stack import running_stack

RATE = Rate(per_second=2, burst=4)


class Clock:
    """Seconds that pass when a test says so."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def taken(buckets: Buckets, name: str, tries: int) -> int:
    """How many of so many tries were let through."""
    return sum(not buckets.take(name, RATE) for _ in range(tries))


def test_burst_and_refill(clock: Clock) -> None:
    """A bucket lets a burst through, then what its rate refills, and never saves up more than a burst."""
    buckets = Buckets(clock)
    assert taken(buckets, "a", 10) == 4
    clock.now += 1
    assert taken(buckets, "a", 10) == 2
    clock.now += 1000
    assert taken(buckets, "a", 10) == 4


def test_wait_is_right(clock: Clock) -> None:
    """After the wait it tells a bucket lets one through, just before it does not; asking takes nothing."""
    buckets = Buckets(clock)
    assert taken(buckets, "a", 4) == 4
    assert [buckets.wait("a", RATE), buckets.take("a", RATE), buckets.wait("a", RATE)] == [0.5, 0.5, 0.5]
    clock.now += 0.49
    assert buckets.take("a", RATE) > 0
    clock.now += 0.01
    assert buckets.take("a", RATE) == 0.0


def test_cost(clock: Clock) -> None:
    """A dear request takes several tokens, or none."""
    buckets = Buckets(clock)
    assert buckets.take("a", RATE, 3) == 0.0
    assert buckets.take("a", RATE, 3) == 1.0
    assert buckets.take("a", RATE, 1) == 0.0


def test_charge_goes_below_zero(clock: Clock) -> None:
    """What was used without asking is missing until it is refilled."""
    buckets = Buckets(clock)
    buckets.charge("a", RATE, 10)
    assert buckets.wait("a", RATE, 0) == 3.0


def test_many_names_empty_no_bucket(clock: Clock) -> None:
    """However many other names come, an empty bucket stays empty, and nobody has a burst twice."""
    buckets = Buckets(clock, kept=100)
    assert taken(buckets, "a", 10) == 4
    for number in range(1000):
        buckets.take(f"other {number}", RATE)
    assert taken(buckets, "a", 10) == 0
    assert taken(buckets, "other 50", 10) == 3


def test_memory_is_bounded(clock: Clock) -> None:
    """Names beyond those that are kept share one bucket; when others are full again there is room for them."""
    buckets = Buckets(clock, kept=100)
    for number in range(100):
        buckets.take(f"first {number}", RATE)
    assert sum(taken(buckets, f"further {number}", 1) for number in range(50)) == 4
    assert len(buckets._buckets) <= 101
    clock.now += 10
    assert sum(taken(buckets, f"later {number}", 1) for number in range(50)) == 50
    assert len(buckets._buckets) <= 101


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
        (None, "unknown"),
        ("", "unknown"),
    ],
)
def test_whose_address_it_is(address: str | None, network: str) -> None:
    """Addresses of one IPv6 network are one caller's; one of IPv4 is one caller, however it is written."""
    assert network_of(address) == network


def test_part_of_a_rate() -> None:
    """A part of a small rate still lets one through."""
    assert part_of(Rate(per_second=50, burst=200), 0.5) == Rate(per_second=25, burst=100)
    assert part_of(Rate(per_second=0.001, burst=1), 0.5) == Rate(per_second=0.0005, burst=1)


async def test_a_tenants_rate_is_limited_alone(tmp_path: Path) -> None:
    """Over its rate a tenant gets 429 with Retry-After, and another tenant does not."""

    def slow(settings: dict[str, Any]) -> None:
        settings["tenants"]["acme"]["rate_limit"] = {"per_second": 0.001, "burst": 2}

    async with running_stack(tmp_path, change=slow) as stack:
        replies = [await stack.call("GET", "/v1/accounts") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[2].json["code"] == "rate_limited"
        assert int(replies[2].headers["Retry-After"]) > 1
        assert (await stack.call("GET", "/v1/accounts", tenant="globex")).status == 200


def begun(limits: TenantLimits, tenant: str) -> int:
    """How many of a hundred requests of a tenant are taken into work at the same time."""
    count = 0
    for _ in range(100):
        with contextlib.suppress(TenantError):
            limits.begin_work(tenant)
            count += 1
    return count


def test_however_many_tenants_are_busy_others_have_places() -> None:
    """One takes half of the places, the next a part of what is left; what has ended leaves room again."""
    limits = TenantLimits(100)
    assert [begun(limits, tenant) for tenant in ("a", "b", "c", "d")] == [50, 25, 13, 6]
    for _ in range(50):
        limits.end_work("a")
    assert begun(limits, "e") == 28


def test_browsers_wait_in_fewer_places() -> None:
    """A tenant's own requests are still taken when no more browsers of its customers may wait."""
    limits, waiting = TenantLimits(100), 0
    while limits.may_wait("a"):
        limits.begin_work("a")
        waiting += 1
    assert (waiting, begun(limits, "a")) == (34, 16)
