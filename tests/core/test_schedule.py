"""When the clock next asks a provider: the gateway's schedules, and those of a provider that only answers polls."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.core.commands import Kind
from gateway.core.payment import Operation, State, Status
from gateway.core.rules import Policy
from gateway.core.schedule import Schedules, next_check_at
from tests.support.factories.payments import AT, POLICY, make_operation, make_payment, make_policy

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
SCHEDULES = Schedules(reconcile=[30 * SECOND, 10 * MINUTE], poll=[5 * MINUTE, 15 * MINUTE], silence=MINUTE)
OWN = make_policy(poll=(2 * SECOND, MINUTE))
SLOW = make_policy(poll=(20 * MINUTE,))
WITHOUT = make_policy(poll=(2 * SECOND,), lookups=False)
UNKNOWN = make_operation(Kind.CREATE, Status.UNKNOWN)
SENDING = make_operation(Kind.CREATE, Status.SENDING)


@pytest.mark.parametrize(
    ("policy", "operation", "pauses"),
    [
        (POLICY, None, [5 * MINUTE, 15 * MINUTE, 15 * MINUTE]),
        (POLICY, UNKNOWN, [30 * SECOND, 10 * MINUTE, 10 * MINUTE]),
        (OWN, None, [2 * SECOND, MINUTE, MINUTE]),
        (OWN, UNKNOWN, [2 * SECOND, MINUTE, MINUTE]),
        (SLOW, None, [20 * MINUTE, 20 * MINUTE]),
        (SLOW, UNKNOWN, [30 * SECOND, 10 * MINUTE]),
        (OWN, SENDING, [MINUTE, MINUTE]),
        (WITHOUT, None, [None, None]),
        (WITHOUT, UNKNOWN, [None, None]),
    ],
)
def test_the_next_lookup(policy: Policy, operation: Operation | None, pauses: list[timedelta | None]) -> None:
    """The provider's own schedule replaces the polls, and the looks at an unknown outcome where it is shorter."""
    payment = make_payment(State.AWAITING_CUSTOMER)
    for tries, pause in enumerate(pauses):
        due = next_check_at(payment, operation, tries=tries, policy=policy, schedules=SCHEDULES, at=AT)
        assert due == (None if pause is None else AT + pause)


@pytest.mark.parametrize("operation", [None, UNKNOWN])
def test_a_pause_the_provider_asked_for_holds_for_its_own_schedule(operation: Operation | None) -> None:
    """``Retry-After`` weighs more than what the plugin wishes."""
    schedules = Schedules(reconcile=[SECOND], poll=[SECOND], silence=MINUTE, pause=7 * MINUTE)
    due = next_check_at(make_payment(State.PROCESSING), operation, tries=0, policy=OWN, schedules=schedules, at=AT)
    assert due == AT + 7 * MINUTE


def test_a_payment_at_rest_is_not_polled() -> None:
    """A provider's own schedule asks about nothing that is over."""
    payment = make_payment(State.CAPTURED)
    assert next_check_at(payment, None, tries=0, policy=OWN, schedules=SCHEDULES, at=AT) is None
