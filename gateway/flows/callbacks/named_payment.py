"""Which payment a callback names: by our id, by the provider's reference, or by a merchant reference alone.

A merchant reference names the one live payment that holds it at the account; one that has ended is named by its id.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.core.facts import Event, Hint, Observation
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.reads import PaymentSnapshot
from gateway.flows.cascade import ENDED
from gateway.flows.runtime import Gateway

MAX_NAME_CHARACTERS = 64
"""Of a name that is quoted."""


class Named(NamedTuple):
    """The payment that a callback is about, or, for people, why none was found under the name it gives."""

    before: PaymentSnapshot | None
    problem: str = ""


def remembered(gw: Gateway, entry: AccountEntry, event: Event) -> Named | None:
    """The payment whose id an event gives, as this process wrote it last; None for one that must be read."""
    payment_id = event.observation.payment_id
    payment = gw.memory.recent_payments.find(entry.tenant, payment_id) if payment_id is not None else None
    return Named(PaymentSnapshot(payment, None)) if payment is not None and payment.account == entry.name else None


async def of_event(gw: Gateway, entry: AccountEntry, event: Event) -> Named:
    """The payment that an event is about. Applied before, it is about the same one, ended or not."""
    found = await _named_by(gw, entry, event.observation)
    if found.before is None or not found.problem:
        return found
    was_applied = await gw.store.inbox.was_applied(entry.tenant, entry.name, event.event_id)
    return Named(found.before if was_applied else None, found.problem)


async def of_hint(gw: Gateway, entry: AccountEntry, hint: Hint, by_token: str | None) -> Named:
    """The payment that a hint is about. ``by_token``: that of its address, which decides where there is one."""
    found = await _named_by(gw, entry, hint if by_token is None else Hint(payment_id=by_token))
    return Named(None, found.problem) if found.problem else found


async def _named_by(gw: Gateway, entry: AccountEntry, names: Observation | Hint) -> Named:
    """The payment of this account under the first of the names that is given; with a problem, one that has ended."""
    if names.payment_id is not None:
        return await _under(gw, entry, "payment", names.payment_id, names.payment_id)
    reference = names.provider_reference
    # Without lookups the provider has no references of its own: what stands there identifies nothing.
    if reference is not None and entry.can_look_up:
        owner = await gw.store.payment_by_provider_reference(entry.tenant, entry.name, reference)
        if owner is not None or names.merchant_reference is None:
            return await _under(gw, entry, "payment of the provider_reference", reference, owner)
    if names.merchant_reference is None:
        return Named(None, "it names no payment")
    owner = await gw.store.reference_owner(entry.tenant, entry.name, names.merchant_reference)
    found = await _under(gw, entry, "payment of the merchant_reference", names.merchant_reference, owner)
    return found if found.before is None else await _if_live(gw, entry, found.before, names)


async def _under(gw: Gateway, entry: AccountEntry, kind: str, name: str, payment_id: str | None) -> Named:
    """A payment of this account, even where the callback names another account's."""
    loaded = await gw.store.payment(entry.tenant, payment_id) if payment_id else None
    if loaded is not None and loaded.payment.account == entry.name:
        return Named(loaded)
    return Named(None, f'this account has no {kind} "{name[:MAX_NAME_CHARACTERS]}"')


async def _if_live(gw: Gateway, entry: AccountEntry, holder: PaymentSnapshot, names: Observation | Hint) -> Named:
    """The holder of a merchant reference, with a problem where the reference alone does not name it."""
    payment = holder.payment
    if payment.state in ENDED:
        return Named(holder, f"{payment.id}, which had this merchant_reference, is {payment.state}: name it by its id")
    if entry.can_look_up and payment.provider_reference is not None and names.provider_reference is not None:
        # It is not the stored one, or the payment would have been found under it.
        return Named(None, f"{payment.id} has this merchant_reference and another provider_reference")
    old = await gw.store.payment(payment.tenant, payment.replaces) if payment.replaces is not None else None
    if old is not None and old.payment.replaced_by == payment.id and old.payment.state not in ENDED:
        return Named(None, f"{old.payment.id} and {payment.id} have this merchant_reference: name one by its id")
    return Named(holder)
