"""gateway.core.refusal_details: why a proved callback is refused, as a sentence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from gateway.core.errors import Reason
from gateway.core.facts import Event, Observation, Stage
from gateway.core.money import Money
from gateway.core.payment import Payment, State
from gateway.core.refusal_details import RefusedCallback, refusal_sentence
from gateway.core.rules import Policy, Rules

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
POLICY = Policy(
    rules=Rules(time_window=(timedelta(hours=1), timedelta(hours=1))),
    lookups=False,
    grace=timedelta(hours=72),
    quiet_period=timedelta(seconds=60),
)


def case(**said: Any) -> RefusedCallback:
    """A payment of 162.48 USD that processes under T-1, and a callback about it."""
    payment = Payment(
        id="pay_1",
        tenant="acme",
        account="psp",
        provider="psp_open_api",
        merchant_reference="SO-1",
        money=Money.of(Decimal("162.48"), "USD", 2),
        accepted_amount=Decimal("162.48"),
        created_at=NOW,
        updated_at=NOW,
        state=said.pop("state", State.PROCESSING),
        provider_reference="T-1",
    )
    own = {name: said.pop(name) for name in ("problem", "detail", "occurred_at") if name in said}
    seen = Observation(**{"stage": Stage.CAPTURED, **said})
    return RefusedCallback(payment, Event(event_id="e", observation=seen, **own), POLICY, NOW)


AMOUNTS = [
    ("16248", "looks like the smallest unit of USD; send 162.48"),
    ("1624.8", "the decimal point is in the wrong place"),
    ("1.6248", "the decimal point is in the wrong place"),
    ("-162.48", "the minus does not belong there"),
    ("162.4801", "USD has 2 decimals; send 162.48"),
    ("162.476", "USD has 2 decimals; send 162.48"),
]


@pytest.mark.parametrize(("sent", "guess"), AMOUNTS)
def test_an_amount_is_told_by_what_it_looks_like(sent: str, guess: str) -> None:
    """Cents, a shifted point, a minus and further decimals are recognised."""
    said = refusal_sentence(Reason.AMOUNT, case(amount=Decimal(sent)))
    assert said == f"{sent} was sent, the payment's is 162.48: {guess}"


@pytest.mark.parametrize("sent", ["162.49", "100", "1", "1E+29"])
def test_no_guess_is_made_where_an_amount_looks_like_nothing(sent: str) -> None:
    """Both amounts are named, and that is all."""
    assert (
        refusal_sentence(Reason.AMOUNT, case(amount=Decimal(sent)))
        == f"{Decimal(sent):f} was sent, the payment's is 162.48"
    )


TIMES = [
    (timedelta(hours=3), "looks like local time of UTC+03:00 sent as if it were UTC"),
    (timedelta(hours=-8, seconds=-40), "looks like local time of UTC-08:00 sent as if it were UTC"),
    (timedelta(hours=5, minutes=30), "looks like local time of UTC+05:30 sent as if it were UTC"),
    (timedelta(hours=2, minutes=11), None),
    (timedelta(days=3), None),
]


@pytest.mark.parametrize(("ahead", "guess"), TIMES)
def test_a_time_outside_the_window_is_told_with_the_window(ahead: timedelta, guess: str | None) -> None:
    """And as local time, where it is off by what clocks differ."""
    said = refusal_sentence(Reason.TIME, case(occurred_at=NOW + ahead))
    window = "it may be 2026-11-28T11:00:00.000Z to 2026-11-28T13:00:00.000Z"
    assert window in said
    assert said.endswith(f": {guess}" if guess else window)


OTHERS: list[tuple[Reason, dict[str, Any], str]] = [
    (Reason.CURRENCY, {"currency": "EUR"}, "EUR was sent, the payment is in USD; nothing is converted"),
    (Reason.CURRENCY, {}, "no currency was sent, the payment is in USD; nothing is converted"),
    (Reason.AMOUNT, {}, "no amount was sent, the payment's is 162.48"),
    (Reason.TIME, {}, "no time was sent"),
    (Reason.STATUS, {"raw_status": "9"}, "the status 9 is not known"),
    (Reason.STATUS, {"problem": Reason.STATUS, "detail": "as the plugin says"}, "as the plugin says"),
    (Reason.AMOUNT, {"problem": Reason.TIME, "detail": "of the time"}, "no amount was sent, the payment's is 162.48"),
    (
        Reason.REPEATED_FINAL,
        {"stage": Stage.FAILED},
        "the payment is processing already; this failure was not applied before and is too late",
    ),
    (
        Reason.REPEATED_FINAL,
        {"state": State.CAPTURED, "provider_reference": "T-2"},
        "the payment is captured by transaction T-1; this success names transaction T-2: the customer may have paid"
        " twice. This money is not booked: look, and refund it at the provider",
    ),
    (
        Reason.REPEATED_FINAL,
        {"state": State.CAPTURED, "provider_reference": "T-1"},
        "the payment is captured already; this success was not applied before and is too late",
    ),
    (
        Reason.IN_PROGRESS,
        {"provider_reference": "T-2"},
        "the payment is processing under transaction T-1, this callback names transaction T-2",
    ),
    (Reason.NOT_FOUND, {}, "it does not fit payment pay_1"),
]


@pytest.mark.parametrize(("reason", "said", "told"), OTHERS)
def test_every_reason_of_the_core_has_its_sentence(reason: Reason, said: dict[str, Any], told: str) -> None:
    """What was sent and what is right; the plugin's own words only for the member they are about."""
    assert refusal_sentence(reason, case(**said)) == told
