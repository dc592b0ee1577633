"""What a person decides: clear a review flag, settle an unknown operation. Version-checked and kept in the timeline."""

from __future__ import annotations

from gateway.core.errors import Conflict, TenantError
from gateway.core.facts import Cause, Fact, Resolved, Ruled
from gateway.core.payment import Payment, State, Status
from gateway.core.states import apply
from gateway.core.truth import TAKEN
from gateway.drivers.store.queries import Loaded
from gateway.flows.context import Gateway, Race
from gateway.flows.record import record


async def resolve(gw: Gateway, payment_id: str, decided: Resolved) -> Payment:
    """Clear a payment's review flag, and set the state where a person knows better. Raises ``TenantError``."""
    race = Race()
    while True:
        loaded = await _find(gw, payment_id)
        if loaded.payment.review is None:
            raise TenantError("invalid_state", "this payment is not under review", payment_id=payment_id)
        if loaded.pending is not None:
            raise TenantError(
                "operation_outcome_pending",
                f"settle operation {loaded.pending.id} first",
                payment_id=payment_id,
                operation_id=loaded.pending.id,
            )
        refuse_to_unrefund(loaded.payment, decided)
        try:
            return await _apply(gw, loaded, decided)
        except Conflict:
            race.lost()


def refuse_to_unrefund(payment: Payment, decided: Resolved) -> None:
    """Money that went back was taken before: no such payment leaves the captured states. Raises ``invalid_state``."""
    if payment.refunded and decided.state is not None and State(decided.state) not in TAKEN:
        went_back = f"{payment.refunded:f} {payment.money.currency} of this payment were refunded"
        raise TenantError("invalid_state", f"{went_back}: it cannot be {decided.state}", payment_id=payment.id)


async def rule(gw: Gateway, operation_id: str, decided: Ruled) -> Payment:
    """Settle an unknown operation by a person's word. Raises ``TenantError``."""
    race = Race()
    while True:
        found = await gw.store.open_operation(Status.UNKNOWN, operation_id)
        if found is None:
            raise TenantError("not_found", "there is no such operation without an outcome")
        loaded = await gw.store.payment(found.tenant, found.payment_id)
        if loaded is None or loaded.pending_id != operation_id:
            race.lost()
            continue
        try:
            return await _apply(gw, loaded, decided)
        except Conflict:
            race.lost()


async def _apply(gw: Gateway, loaded: Loaded, decided: Fact) -> Payment:
    terms = gw.terms(gw.entry(loaded.payment))
    made = apply(loaded.payment, loaded.pending, decided, cause=Cause.OPERATOR, terms=terms, at=gw.clock.now())
    return (await record(gw, loaded, made)).payment


async def _find(gw: Gateway, payment_id: str) -> Loaded:
    """A payment of any tenant."""
    for tenant in gw.settings.tenants:
        loaded = await gw.store.payment(tenant, payment_id)
        if loaded is not None:
            return loaded
    raise TenantError("not_found", "there is no such payment")
