"""How a callback is written to the inbox: a new row for one that has just come, a new verdict for a stored one.

Both have ``rows(gw, evaluation)``: the statements that store the callback under a verdict. They are committed together
with what the callback changes. How much of a new one is kept depends on its verdict: nobody fills the disk with what
has no effect. A part that is too long is left out whole: half of it would prove nothing, and might be half of a secret.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from gateway.core.callback_rules import Evaluation
from gateway.core.errors import CallbackRejected
from gateway.core.facts import Event, Hint, Refused, Repeated
from gateway.core.views import rfc3339
from gateway.core.wire import Callback, Headers
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store import inbox
from gateway.drivers.store.inbox import EarlierVerdict, StoredCallback, replace_verdict
from gateway.drivers.store.statements import Statement
from gateway.flows import audit
from gateway.flows.audit import Act
from gateway.flows.callbacks.redaction import redact
from gateway.flows.plugin.calls import Proof
from gateway.flows.runtime import Gateway

MAX_REFUSED = 500
"""Refused callbacks that are kept of one account: with what is kept of each, less than 8 MB."""

MAX_UNPROVED = 20
"""Accepted callbacks without proof that are kept of one payment: its customer can make any number."""

MAX_REPEATED = 20
"""Repetitions that are kept of one payment: a sender that dislikes its answer may go on forever."""


class SizeLimits(NamedTuple):
    """Bytes of each part that are kept. Headers are counted together; those that fit are kept, in their order."""

    body: int
    headers: int
    query: int
    suffix: int


KIB = 1024

PROVED = SizeLimits(body=64 * KIB, headers=8 * KIB, query=8 * KIB, suffix=KIB)
"""What moved a payment, or will."""

REPEATED = SizeLimits(body=8 * KIB, headers=2 * KIB, query=KIB, suffix=256)
"""What was proved and had been applied before."""

REFUSED = SizeLimits(body=8 * KIB, headers=2 * KIB, query=KIB, suffix=256)
"""What an operator may verify again after a wrong setting was corrected."""

HINT = SizeLimits(body=0, headers=512, query=512, suffix=256)
"""What only causes a lookup: only people ever read it again."""

ERASED = SizeLimits(body=0, headers=0, query=0, suffix=256)
"""What is about a payment whose customer was erased: it would bring the person back."""


class NewCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A callback that has just come, and what the plugin's ``verify`` said of it.

    ``size``: bytes of its body, read or not. ``share``: of what may be kept of it, one part in so many.
    ``payment_ids``: the payments that it is about, noted as they are found.
    """

    id: str
    entry: AccountEntry
    callback: Callback
    size: int
    proof: Proof | CallbackRejected
    share: int = 1
    payment_ids: list[str] = msgspec.field(default_factory=list)

    @property
    def is_proved(self) -> bool:
        """Whether its sender is the provider, whether it brought an event or something without meaning here."""
        proof = self.proof
        return proof is None or isinstance(proof, Event) or any(isinstance(part, Event) for part in self._proofs)

    @property
    def count(self) -> int:
        """How many things it reports."""
        return len(self._proofs)

    @property
    def is_hint(self) -> bool:
        """Whether it only says where to look."""
        return all(isinstance(part, Hint) for part in self._proofs)

    @property
    def _proofs(self) -> tuple[Event | Hint | CallbackRejected | None, ...]:
        return self.proof if isinstance(self.proof, tuple) else (self.proof,)

    def parts(self, gw: Gateway) -> Iterator[NewCallback]:
        """Each thing that it reports as a callback of its own. The first is kept as any, the others share as much."""
        for place, proof in enumerate(self._proofs):
            share = max(1, len(self._proofs) - 1) if place else 1
            yield replace(self, id=gw.new_id("cb"), proof=proof, share=share)

    def rows(self, gw: Gateway, evaluation: Evaluation) -> list[Statement]:
        """Insert the callback; of what nobody proved only the newest are kept."""
        payment_id = _payment_id(evaluation)
        limits, trims = _kept(self.entry, evaluation, payment_id)
        row = inbox.insert_callback(
            self.id,
            tenant=self.entry.tenant,
            account=self.entry.name,
            callback=self._redacted(gw, limits),
            verdict=evaluation.verdict.name,
            reason=evaluation.verdict.reason,
            detail=evaluation.detail,
            event=evaluation.event,
            payment_id=payment_id,
            size=self.size,
        )
        return [row, *trims]

    def row_to_retry(self, gw: Gateway, event: Event, at: datetime) -> Statement:
        """Insert the callback with a proved event that is to be applied at a later time."""
        return inbox.insert_callback(
            self.id,
            tenant=self.entry.tenant,
            account=self.entry.name,
            callback=self._redacted(gw, PROVED),
            verdict="pending",
            event=event,
            next_attempt_at=at,
        )

    def _redacted(self, gw: Gateway, limits: SizeLimits) -> Callback:
        if self.share > 1:
            limits = SizeLimits(*(limit // self.share for limit in limits))
        return redact(
            bounded(self.callback, limits),
            hash_of=gw.masks.hash_of(self.entry.tenant),
            mask=gw.masks.of(self.entry.tenant),
            secret_headers=self.entry.provider.secret_headers,
        )


class ReprocessedCallback(msgspec.Struct, frozen=True, kw_only=True):
    """A stored callback that is evaluated again: by whom, and how (``retry``, ``replay`` or ``reverify``).

    ``act``: for the audit trail, where an operator asked for it.
    """

    row: StoredCallback
    by: str
    how: str
    act: Act | None = None

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
        verdict = replace_verdict(
            self.row,
            earlier,
            verdict=evaluation.verdict.name,
            reason=evaluation.verdict.reason,
            detail=evaluation.detail,
            event=evaluation.event,
            payment_id=_payment_id(evaluation),
        )
        return [verdict] if self.act is None else [verdict, audited(gw, self.act, self.row, evaluation)]


def audited(gw: Gateway, act: Act, row: StoredCallback, evaluation: Evaluation) -> Statement:
    """The audit trail's row of a stored callback that an operator had evaluated again."""
    details = {"account": row.account, "verdict_before": row.verdict, "verdict_after": evaluation.verdict.name}
    return audit.entry(gw, act, tenant=row.tenant, payment_id=_payment_id(evaluation), subject=row.id, details=details)


InboxCallback = NewCallback | ReprocessedCallback
"""A callback whose row can be written."""


def _kept(entry: AccountEntry, evaluation: Evaluation, payment_id: str | None) -> tuple[SizeLimits, list[Statement]]:
    """How much of a new callback is kept, and which older rows make room for it."""
    limits, trims = _kept_by_verdict(entry, evaluation, payment_id)
    is_erased = evaluation.payment is not None and evaluation.payment.erased_at is not None
    return ERASED if is_erased else limits, trims


def _kept_by_verdict(
    entry: AccountEntry, evaluation: Evaluation, payment_id: str | None
) -> tuple[SizeLimits, list[Statement]]:
    if isinstance(evaluation.verdict, Refused):
        return REFUSED, [inbox.trim_refused(entry.tenant, entry.name, MAX_REFUSED)]
    if evaluation.event is None:
        return HINT, [inbox.trim_unproved(entry.tenant, entry.name, payment_id, MAX_UNPROVED)]
    if isinstance(evaluation.verdict, Repeated) and payment_id is not None:
        return REPEATED, [inbox.trim_repeated(entry.tenant, payment_id, MAX_REPEATED)]
    return PROVED, []


def _payment_id(evaluation: Evaluation) -> str | None:
    return None if evaluation.payment is None else evaluation.payment.id


def bounded(callback: Callback, limits: SizeLimits) -> Callback:
    """The parts of a callback that are kept."""
    sizes = len(callback.body), sum(map(len, chain(*callback.headers))), len(callback.query), len(callback.suffix)
    if all(map(operator.le, sizes, limits)):  # as nearly all are
        return callback
    return replace(
        callback,
        body=callback.body if len(callback.body) <= limits.body else b"",
        headers=_that_fit(callback.headers, limits.headers),
        query=callback.query if len(callback.query) <= limits.query else "",
        suffix=callback.suffix if len(callback.suffix) <= limits.suffix else "",
    )


def _that_fit(headers: Headers, room: int) -> Headers:
    kept: list[tuple[str, str]] = []
    for name, value in headers:
        if len(name) + len(value) <= room:
            room -= len(name) + len(value)
            kept.append((name, value))
    return tuple(kept)
