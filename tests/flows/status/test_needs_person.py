"""What needs a person is a sentence with the command that acts; what passes by itself is none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core import operator_events as core_operator_events
from gateway.core.errors import SettingsError
from gateway.drivers.store.queues import COUNTED
from gateway.flows.status import needs_person
from gateway.flows.status.needs_person import LATE_SECONDS, sentences, span
from gateway.flows.status.read import status_of
from gateway.flows.status.shape import (
    BudgetStatus,
    EarlierStatus,
    EndpointStatus,
    KeyStatus,
    QueueStatus,
    Status,
    WaitingStatus,
)
from tests.support.cli import can_be_typed
from tests.support.stack import GatewayStack

COMMAND = re.compile(r"(?:[:;] |then |\")gateway ((?:[a-z]+ ?)+)")


@pytest.fixture
async def status(stack: GatewayStack) -> Status:
    """The status of a gateway that has just started."""
    return await status_of(stack.gateway)


def said(stack: GatewayStack, status: Status, **changes: Any) -> list[str]:
    """What a status says, with other members."""
    return [*sentences(stack.gateway, replace(status, **changes))]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 seconds"), (1.4, "1 second"), (1.6, "2 seconds"), (119, "119 seconds"), (120, "2 minutes")],
)
def test_a_span_is_said_as_people_say_it(seconds: float, words: str) -> None:
    """The largest unit of which there are two or more."""
    assert span(seconds) == words


def test_a_gateway_that_is_well_needs_nobody(stack: GatewayStack, status: Status) -> None:
    """There is nothing to say."""
    assert said(stack, status) == status.needs_person == []


def test_a_changed_key_that_waits(stack: GatewayStack, status: Status, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start takes it; but one with another secret refuses, so that is put back or listed beside the old one."""
    changed = replace(stack.gateway.settings, needs_restart=("server.port", "server.secret"))
    monkeypatch.setattr(stack.gateway, "settings", changed)
    port, secret = said(stack, status)
    assert port == "server.port has changed in the settings: restart gateway serve"
    assert "restart" not in secret
    assert secret.endswith("put it back, or list both (server.secrets: [new, old]), then gateway reload")


def test_reviews(stack: GatewayStack, status: Status) -> None:
    """One, several, and more than are counted."""
    for count, words in ((1, "1 payment is"), (7, "7 payments are"), (COUNTED, f"at least {COUNTED} payments are")):
        [line] = said(stack, status, reviews=WaitingStatus(count=count, oldest="2026-11-29T03:04:05.000Z"))
        assert line.startswith(f"{words} under review, the oldest since 2026-11-29T03:04:05.000Z: ")
        assert line.endswith("gateway payments review list")


def test_an_act_that_waits_and_an_erasure_that_does(stack: GatewayStack, status: Status) -> None:
    """The act needs another operator; the erasure comes by itself, when its payment has ended."""
    waiting = WaitingStatus(count=2, oldest="2026-11-29T03:04:05.000Z")
    assert said(stack, status, erasures=waiting) == []
    assert said(stack, status, approvals=waiting) == [
        "2 acts wait for the key of somebody else, the oldest since 2026-11-29T03:04:05.000Z: gateway approvals list"
    ]


def test_an_unknown_outcome_is_said_after_an_hour(stack: GatewayStack, status: Status) -> None:
    """Before that the gateway asks by itself."""
    for age, lines in ((3599.0, 0), (3600.0, 1)):
        operations = replace(status.queues.operations, count=1, unknown=1, oldest_unknown_age_seconds=age)
        assert len(said(stack, status, queues=replace(status.queues, operations=operations))) == lines


@pytest.mark.parametrize("queue", ["schedule", "inbox"])
def test_a_queue_that_is_late(stack: GatewayStack, status: Status, queue: str) -> None:
    """A lag of five minutes does not pass by itself."""
    for lag, lines in ((LATE_SECONDS - 1, 0), (LATE_SECONDS, 1)):
        late = QueueStatus(count=1, lag_seconds=lag)
        assert len(said(stack, status, queues=replace(status.queues, **{queue: late}))) == lines


def test_a_provider_that_uses_what_is_replaced(stack: GatewayStack, status: Status) -> None:
    """It has to be given the new values; a customer's link ends by itself."""
    for used, lines in (("link", 0), ("address", 1), ("credentials", 1)):
        one = EarlierStatus(
            tenant="acme", account="main", name="generation before", uses_by={used: 2}, last_used="then"
        )
        found = said(stack, status, still_accepted=[one])
        assert len(found) == lines
        assert all(line.endswith("gateway accounts show acme main") for line in found)


def test_a_disabled_endpoint_and_not_one_that_fails(stack: GatewayStack, status: Status) -> None:
    """A failing endpoint is tried again; a disabled one waits for a person."""
    failing = EndpointStatus(tenant="acme", enabled=True, reason=None, failing_since="2026-11-29", disabled_at=None)
    assert said(stack, status, endpoints=[failing]) == []
    disabled = replace(failing, enabled=False, reason="gone", disabled_at="2026-11-30")
    [line] = said(stack, status, endpoints=[disabled])
    assert line == "the webhook endpoint of acme is disabled since 2026-11-30 (gone): gateway endpoints enable acme"


def test_keys(stack: GatewayStack, status: Status) -> None:
    """One that expires soon is said; one that has expired only where no other key lasts longer."""
    soon = KeyStatus(tenant="acme", id="k1", expires="2026-12-10T00:00:00.000Z", expired=False, is_last=False)
    assert "k1 of tenant acme expires on 2026-12-10: " in said(stack, status, keys=[soon])[0]
    assert said(stack, status, keys=[replace(soon, expired=True)]) == []
    [line] = said(stack, status, keys=[replace(soon, tenant=None, expired=True, is_last=True)])
    assert line.startswith("key k1 of the operators has expired on 2026-12-10, and no other key lasts longer: ")


def test_store(stack: GatewayStack, status: Status) -> None:
    """A disk that is almost full, and each tenant near its budget."""
    store = replace(status.store, disk_is_low=True, budgets=[BudgetStatus(tenant="acme", percent=80)])
    disk, budget = said(stack, status, store=store)
    assert disk.startswith("the disk is almost full and new payments are refused: ")
    assert budget.startswith("tenant acme has used 80 percent of its storage budget: ")


def test_settings(stack: GatewayStack, status: Status) -> None:
    """A reload that was refused."""
    stack.gateway.current.problems = SettingsError(["settings.yaml:1: a", "settings.yaml:2: b"]).problems
    assert said(stack, status) == ["the last reload was refused for 2 problems: gateway check, then gateway reload"]


def test_many_of_a_kind_are_counted(stack: GatewayStack, status: Status) -> None:
    """Five have a sentence of their own, the rest one together: it all fits on a screen."""
    down = EndpointStatus(tenant="t", enabled=False, reason="gone", failing_since=None, disabled_at="2026-11-30")
    lines = said(stack, status, endpoints=[replace(down, tenant=f"t{number}") for number in range(7)])
    assert (len(lines), lines[-1]) == (6, "2 or more further endpoints are disabled: gateway endpoints list")


def test_every_command_exists() -> None:
    """What sentences and operators' webhooks name can be typed."""
    texts = [Path(module.__file__ or "").read_text() for module in (needs_person, core_operator_events)]
    named = {tuple(found.split()) for text in texts for found in COMMAND.findall(text)}
    assert len(named) > 8
    assert [words for words in named if not can_be_typed(words)] == []
