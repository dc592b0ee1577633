"""What operators are told is a sentence and a command; the same thing has the same id within an hour."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from gateway.core.ids import time_ordered
from gateway.core.operator_events import PAUSE_MILLISECONDS, OperatorEvent, body_of, id_of

AT = datetime(2026, 11, 29, 3, 4, 5, tzinfo=UTC)
NOW = int(AT.timestamp() * 1000)
OF_PAYMENT = {"tenant": "acme", "account": "main", "provider": "p", "payment_id": "pay_1", "reason": "amount"}
FIELDS = {**OF_PAYMENT, "operation_id": time_ordered("op", NOW - PAUSE_MILLISECONDS, 1, 2)}


@pytest.mark.parametrize("kind", OperatorEvent)
def test_every_type_has_a_sentence_and_a_command(kind: OperatorEvent) -> None:
    """With the fields that its occurrence has; other fields of the log are left out."""
    body = json.loads(body_of(kind, {**FIELDS, "detail": "what a stranger wrote"}, AT))
    assert (body["type"], body["timestamp"]) == (kind, "2026-11-29T03:04:05.000Z")
    assert body["data"]["sentence"][0].islower()
    assert body["data"]["command"].startswith("gateway ")
    assert "stranger" not in str(body)


def test_a_reason_has_one_name() -> None:
    """A provider's word and a mistake in the settings are reasons too; without any the log has more."""
    for name in ("reason", "provider_status", "problem"):
        body = json.loads(body_of(OperatorEvent.RELOAD_FAILED, {name: "x"}, AT))
        assert body["data"] == {
            "sentence": "the settings were not reloaded: x",
            "command": "gateway check, then gateway reload",
            "reason": "x",
        }
    assert "see the log" in body_of(OperatorEvent.RELOAD_FAILED, {}, AT).decode()


def test_the_same_thing_has_one_id_within_the_pause() -> None:
    """Another payment, reason, type or hour has another."""
    kind, began = OperatorEvent.REVIEW_RAISED, NOW - NOW % PAUSE_MILLISECONDS
    same = {id_of(kind, OF_PAYMENT, began + after) for after in (0, PAUSE_MILLISECONDS - 1)}
    others = {
        id_of(kind, OF_PAYMENT, began + PAUSE_MILLISECONDS),
        id_of(kind, {**OF_PAYMENT, "payment_id": "pay_2"}, began),
        id_of(kind, {**OF_PAYMENT, "reason": "currency"}, began),
        id_of(OperatorEvent.SUCCESS_AFTER_FAILURE, OF_PAYMENT, began),
    }
    assert (len(same), len(others), same & others) == (1, 4, set())


def test_an_operation_has_one_id_for_ever() -> None:
    """It is that of the hour in which the operation began."""
    kind = OperatorEvent.OPERATION_STILL_UNKNOWN
    assert id_of(kind, FIELDS, NOW) == id_of(kind, FIELDS, NOW + 1000 * PAUSE_MILLISECONDS)
