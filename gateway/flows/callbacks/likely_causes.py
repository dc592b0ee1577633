"""Why a proved callback is refused, and what its sender probably meant: another name of the payment, another payment.

Asked only when a callback is refused, and only about its own tenant. The answer is one clean line without secrets.
"""

from __future__ import annotations

from gateway.core.errors import Reason
from gateway.core.facts import Event
from gateway.core.refusal_details import RefusedCallback, refusal_sentence
from gateway.drivers.settings import AccountEntry
from gateway.drivers.store.reads import PaymentFilter
from gateway.flows.callbacks.named_payment import Named
from gateway.flows.runtime import Gateway

MAX_CHARACTERS = 500
"""Of an explanation."""

MAX_NAME_CHARACTERS = 255
"""Of a name that is looked up."""


async def of_not_found(gw: Gateway, entry: AccountEntry, event: Event, reason: Reason, problem: str) -> str:
    """Why the payment of a callback was not found. ``problem``: which name was tried."""
    if reason is Reason.NO_DEPOSIT_METHOD:
        return "no deposit method names this account"
    named = event.observation.payment_id
    meaning = await _meaning_of(gw, entry, named) if named and len(named) <= MAX_NAME_CHARACTERS else None
    return gw.masks.line(entry.tenant, f"{problem}: {meaning}" if meaning else problem, MAX_CHARACTERS)


def of_hint(gw: Gateway, entry: AccountEntry, found: Named) -> str:
    """Why the payment of a hint was not found. Nobody proved it, so nothing is looked up for it."""
    return gw.masks.line(entry.tenant, found.problem, MAX_CHARACTERS)


async def of_refusal(gw: Gateway, entry: AccountEntry, case: RefusedCallback, reason: Reason) -> str:
    """Why a callback about a payment is refused."""
    said = refusal_sentence(reason, case)
    others = await _of_that_amount(gw, case) if reason is Reason.AMOUNT else []
    if others:
        said += (
            f"; it is the amount of {' and '.join(others)} of the same customer, this callback names {case.payment.id}"
        )
    return gw.masks.line(entry.tenant, said, MAX_CHARACTERS)


async def _of_that_amount(gw: Gateway, case: RefusedCallback) -> list[str]:
    """The customer's other payments that wait for the amount that was sent."""
    sent = case.event.observation.amount
    if sent is None or case.payment.customer.id is None:
        return []
    try:
        return await gw.store.same_amount(case.payment, case.payment.money.with_amount(sent).text())
    except ValueError:  # more decimals than the currency has
        return []


async def _meaning_of(gw: Gateway, entry: AccountEntry, named: str) -> str | None:
    """What a name identifies that is not the id of one of the account's payments; None: nothing known."""
    other = await gw.store.summary(entry.tenant, named)
    if other is not None:
        return f'it is a payment of account "{other.payment.account}", whose callback address and token are others'
    meant = named.strip().lower()
    if meant != named and await gw.store.summary(entry.tenant, meant) is not None:
        return f"{meant} is meant; send the id exactly as it was given"
    listed = await gw.store.payments(entry.tenant, PaymentFilter(limit=1, merchant_reference=named))
    if listed:
        return f"it is the merchant_reference of payment {listed[0].payment.id}; send the payment id"
    by_provider = await gw.store.payment_by_provider_reference(entry.tenant, entry.name, named)
    if by_provider is not None:
        return f"it is the provider_reference of payment {by_provider}; send the payment id"
    return None
