"""One attempt at one webhook: what is sent, what the answer means, and what follows for the endpoint.

Standard Webhooks 1.0. Every attempt sends the stored bytes under the event's id.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import NamedTuple

import standardwebhooks
from msgspec.structs import replace

from gateway.core.errors import NotSent, OutcomeUnknown
from gateway.core.retry_after import retry_after
from gateway.core.signing import sha256_hex
from gateway.core.urls import place_of
from gateway.core.views import rfc3339
from gateway.core.wire import HttpRequest, HttpResponse
from gateway.drivers.clock import milliseconds
from gateway.drivers.settings import WebhookTarget
from gateway.drivers.store import deliveries
from gateway.drivers.store.deliveries import DeliveryRow
from gateway.drivers.store.statements import Statement
from gateway.flows.runtime import Gateway, log

GONE = 410
"""The status with which an endpoint asks for no more webhooks."""

CONNECT_FAILED = "connect_failed"
"""What a tenant reads of an attempt that was never sent. It does not learn why: that would map the network."""

DISABLED_AFTER = timedelta(days=5)
"""An endpoint that has only failed for this time is disabled."""

MAX_RETRY_AFTER_SECONDS = 86400.0
"""A longer ``Retry-After`` is cut: an absurd one must not stop a webhook forever, nor leave the calendar."""

JITTER = 0.2
"""Each pause is longer or shorter by at most this part."""

MAX_ATTEMPTS_LOGGED = 50
"""The newest attempts that a webhook remembers: its tenant may have it sent again any number of times."""


class Outcome(NamedTuple):
    """The outcome of one attempt, its time, and the statements that store it."""

    is_delivered: bool
    at: datetime
    rows: list[Statement]


async def attempt(gw: Gateway, webhook: WebhookTarget, row: DeliveryRow) -> Outcome:
    """Make one attempt."""
    response, error = await _send(gw, webhook, row)
    at = gw.clock.now()
    status = response.status if response is not None else None
    outcome = {"at": rfc3339(at), "status_code": status, "error": error}
    logged = replace(row, tries=row.tries + 1, attempts=[*row.attempts, outcome][-MAX_ATTEMPTS_LOGGED:])
    ended = with_next_attempt(logged, response, at, gw.settings.clocks.webhook_retry)
    gw.measures.webhooks[ended.status] += 1
    rows = [*_endpoint_rows(ended, status, sha256_hex(webhook.url), at), deliveries.store_attempt(ended, row)]
    return Outcome(ended.status == "delivered", at, rows)


async def _send(gw: Gateway, webhook: WebhookTarget, row: DeliveryRow) -> tuple[HttpResponse | None, str | None]:
    """The endpoint's answer, or None and an error for the tenant."""
    timeouts = gw.settings.timeouts
    request = signed_request(webhook, row, gw.clock.now())
    owner = f"{row.tenant} {webhook.url}"
    try:
        response = await gw.deliver(
            request, total=timeouts.webhook_total, connect=timeouts.provider_connect, owner=owner
        )
    except NotSent as unsent:
        log.warning("a webhook was not sent", extra=_not_sent(webhook, row, unsent))
        return None, CONNECT_FAILED
    except OutcomeUnknown as silent:
        return None, str(silent)
    return response, None


def _not_sent(webhook: WebhookTarget, row: DeliveryRow, unsent: NotSent) -> dict[str, str | None]:
    """What an operator needs to act; with a ``delivery_id`` the log has one line a minute of each tenant and host."""
    return {
        "tenant": row.tenant,
        "payment_id": row.payment_id,
        "delivery_id": row.id,
        "host": place_of(webhook.url),
        "problem": str(unsent),
        "reason": unsent.why,
    }


def with_next_attempt(
    row: DeliveryRow, response: HttpResponse | None, at: datetime, schedule: tuple[timedelta, ...]
) -> DeliveryRow:
    """The webhook after an attempt: delivered on any 2xx, dead on 410 or after the last pause, else due again."""
    if response is not None and 200 <= response.status < 300:
        return replace(row, status="delivered", next_attempt_at=None)
    if response is not None and response.status == GONE:
        return replace(row, status="dead", died_of="disabled", next_attempt_at=None)
    if row.tries >= len(schedule):
        return replace(row, status="dead", died_of="exhausted", next_attempt_at=None)
    pause = schedule[row.tries].total_seconds() * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # spreads load, hides nothing
    asked = retry_after(response, at, most=MAX_RETRY_AFTER_SECONDS) if response is not None else None
    due = at + timedelta(seconds=max(pause, asked or 0.0))
    return replace(row, next_attempt_at=milliseconds(due))


def signed_request(webhook: WebhookTarget, row: DeliveryRow, at: datetime) -> HttpRequest:
    """The request of one attempt: stored bytes, the event's id, the time, one signature per active secret."""
    signatures = " ".join(
        standardwebhooks.Webhook(secret.reveal()).sign(row.event_id, at, row.body) for secret in webhook.secrets
    )
    headers = {
        "content-type": "application/json",
        "webhook-id": row.event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signatures,
    }
    return HttpRequest(method="POST", url=webhook.url, headers=tuple(headers.items()), body=row.body.encode())


def _endpoint_rows(ended: DeliveryRow, status: int | None, endpoint: str, at: datetime) -> list[Statement]:
    """A success clears the endpoint; failures are counted from the first; 410, or five days of them, disable it."""
    if ended.status == "delivered":
        return [deliveries.record_endpoint_success(ended.tenant, endpoint)]
    since, reason = (at, "gone") if status == GONE else (at - DISABLED_AFTER, "failing")
    return [
        deliveries.record_endpoint_failure(ended.tenant, endpoint, at),
        deliveries.disable_endpoint(ended.tenant, endpoint, at, reason=reason, failing_before=since),
    ]
