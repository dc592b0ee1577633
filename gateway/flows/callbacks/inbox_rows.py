"""How a callback is written to the inbox: a new row for one that has just come, a new verdict for a stored one.

Both have ``rows(gw, evaluation)``: the statements that keep the callback under a verdict. They are committed together
with whatever the callback changes.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.core.callback_rules import Evaluation
from gateway.core.errors import CallbackRejected
from gateway.core.facts import Event, Hint, Refused, Repeated
from gateway.core.views import rfc3339
from gateway.core.wire import Callback
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import inbox
from gateway.drivers.store.inbox import EarlierVerdict, StoredCallback, replace_verdict
from gateway.drivers.store.statements import Statement
from gateway.flows.callbacks import size_limits
from gateway.flows.callbacks.redaction import redact
from gateway.flows.callbacks.size_limits import SizeLimits, bounded
from gateway.flows.runtime import Gateway

MAX_REFUSED = 500
"""Refused callbacks that are kept of one account: with what is kept of each, less than 8 MB."""

MAX_UNPROVED = 20
"""Accepted callbacks without proof that are kept of one payment: its customer can make any number."""

MAX_REPEATED = 20
"""Repetitions that are kept of one payment: a sender that dislikes its answer may go on for ever."""


class NewCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that has just come, and what the plugin's ``verify`` said of it.

    ``size``: bytes of its body, read or not.
    """

    id: str
    entry: AccountEntry
    callback: Callback
    size: int
    proof: Event | Hint | CallbackRejected | None

    @property
    def is_proved(self) -> bool:
        """Whether its sender is the provider: it brought an event, or is authentic and about nothing here."""
        return not isinstance(self.proof, Hint | CallbackRejected)

    def rows(self, gw: Gateway, evaluation: Evaluation) -> list[Statement]:
        """Insert the callback; of what nobody proved only the newest are kept."""
        limits, trims = _kept(self.entry, evaluation)
        row = inbox.insert_callback(
            self.id,
            tenant=self.entry.tenant,
            account=self.entry.name,
            callback=self._redacted(gw, limits),
            verdict=evaluation.name,
            reason=evaluation.reason,
            detail=evaluation.detail,
            event=evaluation.event,
            payment_id=evaluation.payment_id,
            size=self.size,
        )
        return [row, *trims]

    def row_to_retry(self, gw: Gateway, event: Event, at: datetime) -> Statement:
        """Insert the callback with a proved event that is to be applied at a later time."""
        return inbox.insert_callback(
            self.id,
            tenant=self.entry.tenant,
            account=self.entry.name,
            callback=self._redacted(gw, size_limits.PROVED),
            verdict="pending",
            event=event,
            next_attempt_at=at,
        )

    def _redacted(self, gw: Gateway, limits: SizeLimits) -> Callback:
        return redact(
            bounded(self.callback, limits),
            key=gw.settings.server.secret,
            mask=gw.masks.of(self.entry.tenant),
            secret_headers=self.entry.provider.secret_headers,
        )


class ReprocessedCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A stored callback that is evaluated again: by whom, and how (``retry``, ``replay`` or ``reverify``)."""

    row: StoredCallback
    by: str
    how: str

    def rows(self, gw: Gateway, evaluation: Evaluation) -> list[Statement]:
        """Replace the row's verdict, and remember the one before. A conflict if the row has changed meanwhile."""
        earlier = EarlierVerdict(
            verdict=self.row.verdict,
            reason=self.row.reason,
            detail=self.row.detail,
            until=rfc3339(gw.clock.now()),
            by=self.by,
            how=self.how,
        )
        return [
            replace_verdict(
                self.row,
                earlier,
                verdict=evaluation.name,
                reason=evaluation.reason,
                detail=evaluation.detail,
                event=evaluation.event,
                payment_id=evaluation.payment_id,
            )
        ]


InboxCallback = NewCallback | ReprocessedCallback
"""A callback whose row can be written."""


def _kept(entry: AccountEntry, evaluation: Evaluation) -> tuple[SizeLimits, list[Statement]]:
    """How much of a new callback is kept, and which older rows make room for it."""
    payment_id = evaluation.payment_id
    if isinstance(evaluation.verdict, Refused):
        return size_limits.REFUSED, [inbox.trim_refused(entry.tenant, entry.name, MAX_REFUSED)]
    if evaluation.event is None:
        return size_limits.HINT, [inbox.trim_unproved(entry.tenant, entry.name, payment_id, MAX_UNPROVED)]
    if isinstance(evaluation.verdict, Repeated) and payment_id is not None:
        return size_limits.REPEATED, [inbox.trim_repeated(entry.tenant, payment_id, MAX_REPEATED)]
    return size_limits.PROVED, []
