"""The metrics as data: each name once, labels of closed lists, and lags measured from when something was due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from time import perf_counter
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.core.errors import Unavailable
from gateway.core.response_outcome import CALL_OUTCOMES, call_outcome
from gateway.flows.runtime import Gateway
from gateway.flows.status import metrics
from gateway.flows.status.read import status_of
from gateway.flows.status.shape import EndpointStatus, OperationsStatus, OutboxStatus, QueuesStatus, QueueStatus, Status
from tests.support.clients.psp_callbacks import change_store
from tests.support.stack import GatewayStack, psp_body


async def value(gw: Gateway, name: str, *labels: str) -> Any:
    """One number; None where there is no such sample."""
    (family,) = [one for one in await metrics.collect(gw) if one.name == name]
    found = dict(family.samples).get(labels)
    return None if found is None else found[0]


async def test_each_metric_has_one_family_and_whole_labels(stack: GatewayStack) -> None:
    """Also what has not happened yet is there, so that the first time is seen as a rise."""
    await stack.create(psp_body())
    found = await metrics.collect(stack.gateway)
    assert len({one.name for one in found}) == len(found)
    assert [one.name for one in found if any(len(labels) != len(one.labels) for labels, _ in one.samples)] == []
    assert await value(stack.gateway, "gateway_provider_calls_total", "creditkey", "credentials_refused") == 0
    assert await value(stack.gateway, "gateway_callbacks_total", "refused", "unauthentic") == 0


async def test_what_waits_is_what_the_status_shows(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same numbers, read once for both."""
    queue = QueueStatus(count=5, lag_seconds=6.0)
    open_operations = OperationsStatus(
        count=3, sending=1, unknown=2, oldest_age_seconds=4.0, oldest_unknown_age_seconds=3.0
    )
    queues = QueuesStatus(
        schedule=queue,
        outbox=OutboxStatus(count=7, lag_seconds=8.0, dead=9),
        inbox=QueueStatus(count=10, lag_seconds=0),
        operations=open_operations,
    )
    ends = [EndpointStatus(tenant="a", enabled=on, reason=None, failing_since="", disabled_at="") for on in (1, 0, 0)]
    shown = replace(await status_of(stack.gateway), queues=queues, endpoints=ends)

    async def status(_: Gateway) -> Status:
        return shown

    monkeypatch.setattr(metrics, "status_of", status)
    names = {
        "gateway_operations_oldest_age_seconds": 4.0,
        "gateway_schedule_lag_seconds": 6.0,
        "gateway_outbox_lag_seconds": 8.0,
        "gateway_dead_letters": 9,
        "gateway_callbacks_waiting": 10,
        "gateway_endpoints_failing": 1,
        "gateway_endpoints_disabled": 2,
    }
    assert {name: await value(stack.gateway, name) for name in names} == names
    assert [await value(stack.gateway, "gateway_operations_open", one) for one in ("sending", "unknown")] == [1, 2]


async def test_without_its_store_the_rest_is_told(stack: GatewayStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is when it is needed most."""

    async def status(_: Gateway) -> Status:
        raise Unavailable("no")

    monkeypatch.setattr(metrics, "status_of", status)
    assert await value(stack.gateway, "gateway_store_readable") == 0
    found = {one.name for one in await metrics.collect(stack.gateway)}
    assert ("gateway_reviews_open" in found, "gateway_disk_free_bytes" in found) == (False, True)


async def test_what_the_store_refuses_is_counted(stack: GatewayStack) -> None:
    """Conflicts are everyday; a table that is not there is not."""
    assert await value(stack.gateway, "gateway_store_errors_total") == 0
    await change_store(stack, "ALTER TABLE reference_holders RENAME TO elsewhere")
    assert (await stack.create(psp_body())).status == 503
    assert await value(stack.gateway, "gateway_store_errors_total") == 1


async def test_the_clock_is_compared_with_the_providers(stack: GatewayStack) -> None:
    """By the newest answer, as of when it came; one without a date that can be read says nothing."""
    gw, name = stack.gateway, "gateway_provider_clock_skew_seconds"
    behind = format_datetime(datetime.now(UTC) - timedelta(seconds=100), usegmt=True)
    gw.measures.last_answers["creditkey"] = ((("date", behind),), perf_counter() - 40)
    assert 58 < await value(gw, name, "creditkey") < 62
    no_day = "Sat, 99999999999999999999 Nov 2026 13:00:00 GMT"
    for headers in ((), (("Date", "yesterday"),), (("Date", no_day),)):
        gw.measures.last_answers["creditkey"] = (headers, perf_counter())
        assert await value(gw, name, "creditkey") is None


async def test_a_call_without_an_answer_has_an_outcome(stack: GatewayStack) -> None:
    """What an answer's status says, or what kept the answer away."""
    await stack.faults("psp", status=403)
    await stack.create(psp_body())
    gw, name = stack.gateway, "gateway_provider_calls_total"
    assert await value(gw, name, "psp_open_api", "credentials_refused") == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, "succeeded"),
        (302, "unknown"),
        (401, "credentials_refused"),
        (404, "declined"),
        (408, "unknown"),
        (429, "rate_limited"),
        (503, "unknown"),
    ],
)
def test_a_status_is_one_of_the_outcomes(status: int, outcome: str) -> None:
    """The list is closed."""
    assert call_outcome(status) == outcome
    assert outcome in CALL_OUTCOMES
