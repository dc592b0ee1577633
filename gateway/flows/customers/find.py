"""Find a customer's payments: by the tenant's id of the customer, an e-mail address or a phone number.

The search index leads to them; while it lags behind (after an upgrade, or with a new secret) every payment is looked
through instead, so that none is missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec

from gateway.core.personal_data import Eraser, Subject
from gateway.core.search_terms import Term, kinds_of
from gateway.drivers.store.personal_data import CallbackRow
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows import search
from gateway.flows.runtime import Gateway
from gateway.flows.search import Search

SLICE = 5000
"""Payments that are looked through at once: tens of milliseconds on a thread of its own."""

PAGE = 100
"""Payments that are read from the index at once."""


async def tenants_of(gw: Gateway) -> list[str]:
    """The tenants in the settings, and those that have left and whose payments are still kept."""
    return list(dict.fromkeys([*gw.settings.tenants, *await gw.store.stored_bytes()]))


async def payments_of(gw: Gateway, tenants: Sequence[str], subject: Subject) -> AsyncIterator[PaymentSnapshot]:
    """The payments that name a customer."""
    left = await search.catch_up_if_near(gw)
    is_indexed = not left and Term(subject.kind) in kinds_of(subject.value)
    candidates = _from_index(gw, tenants, subject) if is_indexed else _from_all(gw, tenants, subject)
    async for tenant, payment_id in candidates:
        snapshot = await gw.store.payment(tenant, payment_id)
        if snapshot is not None and subject.is_of(snapshot.payment):
            yield snapshot


async def unlinked_callbacks(gw: Gateway, tenant: str, eraser: Eraser) -> list[CallbackRow]:
    """Stored callbacks that belong to no payment and name a customer, such as refused ones."""
    found = []
    for row in await gw.store.personal_data.unlinked_callbacks(tenant):
        if eraser.holds(row.text):
            found.append(row)
        await asyncio.sleep(0)  # others are served between two
    return found


async def _from_index(gw: Gateway, tenants: Sequence[str], subject: Subject) -> AsyncIterator[tuple[str, str]]:
    wanted = Search(tenants=tenants, text=subject.value, limit=PAGE)
    while page := await search.find(gw, wanted):
        for listed in page:
            yield listed.payment.tenant, listed.payment.id
        wanted = msgspec.structs.replace(wanted, cursor=page[-1].payment.id)


async def _from_all(gw: Gateway, tenants: Sequence[str], subject: Subject) -> AsyncIterator[tuple[str, str]]:
    for tenant in tenants:
        after: str | None = ""
        while after is not None:
            found, after = await gw.store.personal_data.search(tenant, _pattern(subject), after=after, limit=SLICE)
            for payment_id in found:
                yield tenant, payment_id


def _pattern(subject: Subject) -> str:
    """What a purchase holds that names this customer, and few others do, as a pattern of ``LIKE``."""
    if subject.kind == "phone":
        return f"%{'%'.join(subject.value)}%"
    if not subject.value.isascii():  # LIKE knows the small letters of ASCII only
        return "%"
    written = msgspec.json.encode(subject.value).decode()[1:-1]
    escaped = written.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
