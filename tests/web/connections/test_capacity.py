"""Which connection makes room for the next one."""

from __future__ import annotations

import pytest

from gateway.web.connections.capacity import Capacity, Phase

ORDER = (Phase.IDLE, Phase.HEAD, Phase.UNREAD, Phase.BODY)


def full(*entries: tuple[str, Phase, bool]) -> Capacity[str]:
    """Ten places, some of them taken: name, phase, proved."""
    capacity = Capacity[str](10)
    for name, phase, is_proved in entries:
        capacity.enter(name, "192.0.2.1")
        capacity.move(name, phase, is_proved=is_proved)
    return capacity


def order_of(capacity: Capacity[str]) -> list[str]:
    """The names in the order in which they go."""
    gone = []
    while (one := capacity.next_to_go()) is not None:
        gone.append(one)
        capacity.leave(one)
    return gone


def test_the_fullest_phase_makes_room() -> None:
    """A flood of one kind pushes out its own oldest connections, not the few that do something else."""
    flood = [(f"body{age}", Phase.BODY, False) for age in range(5)]
    gone = order_of(full(("head", Phase.HEAD, False), ("idle", Phase.IDLE, False), *flood))
    assert gone[:4] == ["body0", "body1", "body2", "body3"]


def test_the_least_busy_goes_first() -> None:
    """Of equally many it is an idle one, then a head, then a client that does not read, then a body."""
    entries = [(f"{phase.name}", phase, False) for phase in reversed(ORDER)]
    assert order_of(full(*entries)) == [phase.name for phase in ORDER]


def test_a_request_in_work_never_goes() -> None:
    """With nothing but work nobody makes room."""
    assert full(("a", Phase.WORK, False), ("b", Phase.WORK, True)).next_to_go() is None


def test_strangers_go_before_proved_ones() -> None:
    """A stranger that sends a body goes before a proved connection that is idle."""
    assert order_of(full(("known", Phase.IDLE, True), ("stranger", Phase.BODY, False))) == ["stranger", "known"]


def test_proved_ones_keep_half_of_the_places() -> None:
    """While proved connections hold more than half of all places, they make room for newcomers."""
    proved = [(f"known{number}", Phase.IDLE, True) for number in range(7)]
    gone = order_of(full(("stranger", Phase.HEAD, False), *proved))
    assert gone[:3] == ["known0", "known1", "stranger"]


def test_a_connection_that_moves_is_the_youngest_of_its_phase() -> None:
    """Who was busy in between has been idle for less long than others."""
    capacity = full(("a", Phase.IDLE, False), ("b", Phase.IDLE, False))
    capacity.move("a", Phase.WORK, is_proved=False)
    capacity.move("a", Phase.IDLE, is_proved=False)
    assert order_of(capacity) == ["b", "a"]


def test_who_has_left_does_not_come_back() -> None:
    """A move of a connection that was counted out changes nothing, and leaving twice neither."""
    capacity = full(("a", Phase.IDLE, False))
    capacity.leave("a")
    capacity.leave("a")
    capacity.move("a", Phase.IDLE, is_proved=False)
    assert (len(capacity), capacity.next_to_go()) == (0, None)


@pytest.mark.parametrize(
    ("addresses", "other"),
    [
        (["192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.2"),
        (["2001:db8::1", "2001:db8::2:3"], "2001:db8:0:1::1"),
        (["fe80::1%eth0", "fe80::2"], "fd00::1"),
    ],
)
def test_one_address_has_its_share(addresses: list[str], other: str) -> None:
    """An IPv4 address in both its spellings, and a host's IPv6 network, count as one."""
    capacity = Capacity[str](10, 2)
    for name, address in enumerate(addresses):
        assert capacity.takes_from(address)
        capacity.enter(str(name), address)
    assert not capacity.takes_from(addresses[0])
    assert capacity.takes_from(other)
    capacity.leave("0")
    assert capacity.takes_from(addresses[0])
