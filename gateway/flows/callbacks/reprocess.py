"""Judge a stored callback again: the pending ones by themselves, others when an operator asks.

``replay`` applies the stored event once more; ``reverify`` proves a refused callback anew under today's settings. Both
go the way every callback goes, so what was applied before is only repeated, and nothing unproved is ever applied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from gateway.core import documents
from gateway.core.draft import Change
from gateway.core.errors import CallbackRejected, Conflict, Reason, TenantError
from gateway.core.facts import Event, Hint, Refused, Verdict
from gateway.core.payment import Payment
from gateway.core.views import rfc3339
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.inbox import Earlier, InboxFilter, InboxRow, StoredCallback, judge_again
from gateway.drivers.store.queries import Store
from gateway.drivers.store.reading import newest_of
from gateway.drivers.store.statements import Statement
from gateway.flows.callbacks.apply import NAMES, Judged, Keep, apply_event, judged
from gateway.flows.callbacks.redaction import restore
from gateway.flows.cascade import consequences
from gateway.flows.plugin import calls
from gateway.flows.runtime import Gateway, Race, log

JUDGED = frozenset({"recorded", "repeated"})
"""Verdicts that stand: an event is applied once, so judging it again says ``repeated`` and changes nothing."""

UNKNOWN_SENDER = "the sender's token is none of the account's"

MASKED_PART = "a part of it was masked when it was stored: no signature over it can be proved"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Who judges a stored callback again, and by which way: ``retry``, ``replay`` or ``reverify``."""

    by: str
    how: str
    dry_run: bool = False


class Rejudged(msgspec.Struct, frozen=True, kw_only=True):
    """What judging again came to. ``before`` and ``after``: the payment, None where none was found.

    ``changed``: row or payment changed, or would have in a dry run.
    """

    row: StoredCallback
    verdict: Verdict
    detail: str | None = None
    changed: bool = False
    before: Payment | None = None
    after: Payment | None = None


async def newest(store: Store, tenants: Sequence[str], wanted: InboxFilter) -> list[InboxRow]:
    """Stored callbacks of these tenants, newest first."""
    return await newest_of(tenants, store.inbox.newest, wanted)


async def find(gw: Gateway, inbox_id: str, tenants: Sequence[str] | None = None) -> StoredCallback:
    """A stored callback of one of these tenants, or of any. Raises ``not_found``."""
    row = await gw.store.inbox.find(list(gw.settings.tenants if tenants is None else tenants), inbox_id)
    if row is None:
        raise TenantError("not_found", "there is no such callback")
    return row


def entry_of(gw: Gateway, row: InboxRow) -> AccountEntry:
    """The account a callback came to. Raises ``unknown_account`` when it left the settings."""
    tenant = gw.settings.tenants.get(row.tenant)
    entry = tenant.accounts.get(row.account) if tenant is not None else None
    if entry is None:
        raise TenantError("unknown_account", f'account "{row.account}" is no longer in the settings')
    return entry


async def replay(gw: Gateway, inbox_id: str, order: Order) -> Rejudged:
    """Apply the event of a stored callback again. Raises ``TenantError`` for one that was never proved."""

    async def once(row: StoredCallback) -> Rejudged:
        if row.event is None:
            raise TenantError("invalid_state", "this callback was not proved: it has no event to apply")
        return await judge_stored(gw, row, documents.proved(row.event), order)

    return await _unless_overtaken(gw, inbox_id, once)


async def reverify(gw: Gateway, inbox_id: str, order: Order) -> Rejudged:
    """Prove a refused callback anew, then go the usual way. Raises ``TenantError`` for one that cannot be."""

    async def once(row: StoredCallback) -> Rejudged:
        if row.verdict != "refused":
            raise TenantError("invalid_state", f"only a refused callback is verified anew; this one is {row.verdict}")
        if not row.is_whole:
            raise TenantError("invalid_state", "the body was too large to be kept")
        said = prove_again(gw, row)
        if isinstance(said, Event):
            return await judge_stored(gw, row, said, order)
        return Rejudged(row=row, verdict=Refused(reason=said.reason), detail=said.detail)

    return await _unless_overtaken(gw, inbox_id, once)


def prove_again(gw: Gateway, row: StoredCallback) -> Event | CallbackRejected:
    """What a stored callback proves under today's settings: its event, or why it is still refused."""
    entry = entry_of(gw, row)
    found = restore(gw.settings.server.secret, entry, row)
    if not found.is_known:
        return CallbackRejected(Reason.UNAUTHENTIC, UNKNOWN_SENDER)
    try:
        said = calls.verify(gw, entry, found.callback)
    except CallbackRejected as rejected:
        return CallbackRejected(rejected.reason, f"{rejected.detail}; {MASKED_PART}") if found.is_masked else rejected
    match said:
        case Event():
            return said
        case Hint() | None:
            return CallbackRejected(Reason.NOT_FOUND, "it proves nothing that could be applied")


async def judge_stored(gw: Gateway, row: StoredCallback, event: Event, order: Order) -> Rejudged:
    """Judge the event of a stored callback, and unless it is a dry run commit row and effect.

    Raises ``Unavailable``, as ``Conflict`` when the row was judged by somebody else meanwhile.
    """
    entry = entry_of(gw, row)
    if order.dry_run or row.verdict in JUDGED:
        found = await judged(gw, entry, event, received_at=row.received_at)
        change = (await consequences(gw, found.change))[0] if found.change is not None else None
        return _rejudged(row, found, change)
    found = await apply_event(gw, entry, event, _kept_as(gw, row, order), received_at=row.received_at)
    told = {"tenant": row.tenant, "account": row.account, "kind": f"{order.how} {NAMES[type(found.verdict)]}"}
    log.info("a stored callback was judged again", extra=told)
    return _rejudged(row, found, found.change)


async def _unless_overtaken(
    gw: Gateway, inbox_id: str, once: Callable[[StoredCallback], Awaitable[Rejudged]]
) -> Rejudged:
    """Do something to a row as it is; again when somebody else was first."""
    race = Race()
    while True:
        try:
            return await once(await find(gw, inbox_id))
        except Conflict:
            race.lost()


def _kept_as(gw: Gateway, row: StoredCallback, order: Order) -> Keep:
    """How a stored callback keeps a new verdict: in its own row, which remembers the one before."""

    def keep(
        verdict: Verdict, *, detail: str | None = None, event: Event | None = None, payment_id: str | None = None
    ) -> list[Statement]:
        earlier = Earlier(
            verdict=row.verdict,
            reason=row.reason,
            detail=row.detail,
            until=rfc3339(gw.clock.now()),
            by=order.by,
            how=order.how,
        )
        reason = verdict.reason if isinstance(verdict, Refused) else None
        name = NAMES[type(verdict)]
        return [
            judge_again(row, earlier, verdict=name, reason=reason, detail=detail, event=event, payment_id=payment_id)
        ]

    return keep


def _rejudged(row: StoredCallback, found: Judged, change: Change | None) -> Rejudged:
    before = found.before.payment if found.before is not None else None
    after = change.payment if change is not None else before
    stands = row.verdict in JUDGED or NAMES[type(found.verdict)] == row.verdict
    moved = before is not None and after is not None and after.version != before.version
    return Rejudged(
        row=row, verdict=found.verdict, detail=found.detail, changed=moved or not stands, before=before, after=after
    )
