"""Erase personal data from payments that have ended, and from all that was recorded about them.

What is to be erased is written down first, in the store and in the file beside it; then each payment is erased in one
transaction, at once or, where it is still open, when housekeeping finds that it has ended. No version is made and no
webhook sent: what happened to the payment is what it was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter

import msgspec
from msgspec.structs import replace

from gateway.core import documents
from gateway.core.errors import Conflict
from gateway.core.personal_data import Eraser, Subject, identifying, is_erasable
from gateway.core.search_terms import place_of
from gateway.core.signing import keyed_hash
from gateway.drivers.store import pending_erasures, personal_data, search_index
from gateway.drivers.store.pending_erasures import PaymentKey, PendingErasure, erased_file
from gateway.drivers.store.personal_data import NO_CONTENTS, CallbackRow, EventRow, OperationRow, Records
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.drivers.store.statements import NO_TENANT, Statement
from gateway.flows import audit, search
from gateway.flows.audit import Act
from gateway.flows.customers.find import payments_of, unlinked_callbacks
from gateway.flows.payments.idempotency import erased_fingerprints
from gateway.flows.runtime import Gateway, log
from gateway.flows.tasks import ConflictRetry, described

BATCH = 20
"""Payments that are erased side by side, and so share transactions."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept about a customer, of one tenant or of all. ``waiting``: payments that are still open."""

    payments: int = 0
    operations: int = 0
    events: int = 0
    webhooks: int = 0
    callbacks: int = 0
    waiting: int = 0

    def __add__(self, other: Found) -> Found:
        """Both together."""
        return Found(**{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__})


class Case:
    """What there is of a customer: by tenant how much, which payments, and texts that name the customer."""

    def __init__(self) -> None:
        self.found: dict[str, Found] = {}
        self.payments: list[PaymentKey] = []
        self.texts: dict[str, set[str]] = {}

    @property
    def total(self) -> Found:
        """What was found of all tenants."""
        return sum(self.found.values(), Found())

    def count(self, tenant: str, found: Found) -> None:
        """Add what was found of a tenant."""
        self.found[tenant] = self.found.get(tenant, Found()) + found


def name_of(gw: Gateway, subject: Subject) -> str:
    """What the record of an erasure says of the customer: a keyed hash, equal for equal requests."""
    return keyed_hash(gw.settings.server.secret, f"customer {subject.kind}:{subject.value}")[:32]


async def look_into(gw: Gateway, tenants: Sequence[str], subject: Subject) -> Case:
    """See what there is of a customer of these tenants; changes nothing."""
    case = Case()
    async for snapshot in payments_of(gw, tenants, subject):
        payment = snapshot.payment
        case.payments.append((payment.tenant, payment.id))
        case.texts.setdefault(payment.tenant, set()).update(identifying(payment))
        if _has_ended(gw, snapshot):
            records = await gw.store.personal_data.about(payment.tenant, payment.id)
            case.count(payment.tenant, _counted(records))
        else:
            case.count(payment.tenant, Found(waiting=1))
    for tenant in tenants:
        texts = case.texts.setdefault(tenant, set())
        texts |= subject.texts
        unlinked = await unlinked_callbacks(gw, tenant, Eraser(texts))
        if unlinked:
            case.count(tenant, Found(callbacks=len(unlinked)))
    return case


async def erase(gw: Gateway, case: Case, act: Act) -> None:
    """Erase a customer; what is open waits. The act is on record before anything is erased, in words without them."""
    if case.payments and (file := erased_file(gw.settings.store)) is not None:
        await asyncio.to_thread(pending_erasures.note_in_file, file, case.payments)
    await _order(gw, case, act)
    await erase_all(gw, [PendingErasure(*key, is_asked_for=True) for key in case.payments])
    for tenant, texts in case.texts.items():
        eraser = Eraser(texts)
        for row in await unlinked_callbacks(gw, tenant, eraser):
            with suppress(Conflict):  # it was evaluated again meanwhile, and belongs to a payment now or is refused
                await gw.store.commit(tenant, [_erased_callback(eraser, tenant, row)])
    await empty_log(gw)


async def _order(gw: Gateway, case: Case, act: Act) -> None:
    """Ask for each tenant's payments to be erased, and put that on record, in one transaction.

    The first row ends the approval of the act, which is in the first store: it goes there also without a payment.
    """
    reason = Eraser({text for texts in case.texts.values() for text in texts}).sentence(act.reason)
    asked = {tenant: [*own] for tenant, own in groupby(sorted(case.payments), itemgetter(0))}
    first = gw.store.of(NO_TENANT)
    tenants = sorted(case.found, key=lambda tenant: gw.store.of(tenant) is not first)
    if not tenants or gw.store.of(tenants[0]) is not first:
        tenants.insert(0, NO_TENANT)
    for tenant in tenants:
        about = {"reason": reason, "tenant": tenant or act.tenant}
        entry = audit.entry(gw, act, **about, details=msgspec.structs.asdict(case.found.get(tenant, case.total)))
        rows = pending_erasures.ask_to_erase(asked.get(tenant, ()), gw.clock.now())
        await gw.store.commit(tenant, [entry, *rows])
        act = replace(act, by=replace(act.by, approved_by=None))


async def ask(gw: Gateway, payments: Sequence[PaymentKey]) -> None:
    """Have payments of any tenants erased as soon as they have ended."""
    now = gw.clock.now()
    for tenant, own in groupby(sorted(payments), itemgetter(0)):
        await gw.store.commit(tenant, pending_erasures.ask_to_erase([*own], now))


async def erase_all(gw: Gateway, wanted: Sequence[PendingErasure]) -> int:
    """Erase those of these payments that have ended; return how many. What fails is logged, and stays to be done."""
    erased = 0
    for begin in range(0, len(wanted), BATCH):
        erased += sum(await asyncio.gather(*(_tried(gw, one) for one in wanted[begin : begin + BATCH])))
    return erased


async def _tried(gw: Gateway, wanted: PendingErasure) -> bool:
    try:
        return await erase_payment(gw, wanted)
    except Exception as fault:  # one payment must not keep the data of all others
        fields = {"tenant": wanted.tenant, "payment_id": wanted.payment_id, **described(fault)}
        log.error("a payment could not be erased", extra=fields)
        return False


async def erase_payment(gw: Gateway, wanted: PendingErasure) -> bool:
    """Erase one payment, and forget that it was to be erased; False while it must wait."""
    tenant, payment_id = wanted.key
    retry = ConflictRetry()
    while True:
        loaded = await gw.store.payment(tenant, payment_id)
        is_left = loaded is not None and loaded.payment.erased_at is None
        if loaded is not None and is_left and not _may_go(gw, loaded, wanted):
            return False
        rows = await _rows_of(gw, loaded) if loaded is not None and is_left else []
        try:
            await gw.store.commit(tenant, [*rows, pending_erasures.erasure_done(tenant, payment_id)])
        except Conflict:
            retry.lost()  # the payment moved, or one of its callbacks was evaluated again
        else:
            if is_left:
                gw.memory.erasures += 1
                gw.memory.recent_payments.forget(tenant, payment_id)
                gw.memory.log_holds_deleted = True
                await search.renew(gw, tenant, payment_id)  # what leads to the payment beside its customer
            return is_left


async def empty_log(gw: Gateway) -> None:
    """Leave nothing of what was erased in the write-ahead log; where it cannot be emptied housekeeping tries again."""
    gw.memory.log_holds_deleted = not await gw.store.empty_log()
    if gw.memory.log_holds_deleted:
        log.warning("the write-ahead log could not be emptied")


def _may_go(gw: Gateway, loaded: PaymentSnapshot, wanted: PendingErasure) -> bool:
    kept_for = gw.settings.retention.customer_data
    is_old = kept_for is not None and loaded.payment.updated_at + kept_for <= gw.clock.now()
    return (wanted.is_asked_for or is_old) and _has_ended(gw, loaded)


def _has_ended(gw: Gateway, loaded: PaymentSnapshot) -> bool:
    grace_began = gw.clock.now() - gw.settings.clocks.late_grace
    return is_erasable(loaded.payment, has_open_operation=loaded.open_operation is not None, grace_began=grace_began)


async def _rows_of(gw: Gateway, loaded: PaymentSnapshot) -> list[Statement]:
    """The statements that erase one payment and all that was recorded about it."""
    payment = loaded.payment
    eraser, tenant = Eraser.of(payment), payment.tenant
    records = await gw.store.personal_data.about(tenant, payment.id)
    after = eraser.payment(payment, gw.clock.now())
    unit = [personal_data.write_payment(payment, after)]
    for operation in records.operations:
        erased = eraser.operation(documents.operation(operation.doc))
        row = OperationRow(operation.id, documents.encode(erased), operation.answer and eraser.body(operation.answer))
        unit.append(personal_data.write_operation(tenant, payment.id, operation, row))
    for event in records.events:
        doc = documents.encode(eraser.event(documents.event(event.doc)))
        row_ = EventRow(event.version, doc, event.body and eraser.body(event.body))
        unit.append(personal_data.write_event(tenant, payment.id, event, row_))
    unit += [_erased_callback(eraser, tenant, callback) for callback in records.callbacks]
    unit += [
        personal_data.write_fingerprint(tenant, key, erased_fingerprints(gw, fingerprint)[0])
        for key, fingerprint in records.fingerprints.items()
    ]
    place = place_of(payment.id)
    terms = [] if place is None else [search_index.forget(place)]
    return [*unit, *terms, personal_data.delete_hints(tenant, payment.id)]


def _erased_callback(eraser: Eraser, tenant: str, row: CallbackRow) -> Statement:
    """A stored callback without its contents; its event stays, which may be applied again."""
    event = row.event and documents.encode(eraser.proved(documents.proved(row.event)))
    texts = (eraser.sentence(row.detail), event, eraser.body(row.history))
    after = CallbackRow(row.id, eraser.sentence(row.suffix), *NO_CONTENTS, *texts)
    return personal_data.write_callback(tenant, row, after)


def _counted(records: Records) -> Found:
    return Found(
        payments=1,
        operations=len(records.operations),
        events=len(records.events),
        webhooks=sum(event.body is not None for event in records.events),
        callbacks=len(records.callbacks),
    )
