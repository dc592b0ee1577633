"""Reading payments: pages, filters, reviews, references, and what is missing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway.core.payment import Review, ReviewReason, State
from gateway.core.views import payment_view
from gateway.drivers.store.reads import PaymentFilter, Store
from gateway.drivers.store.rows import PageRequest
from gateway.drivers.store.statements import Statement
from tests.support.factories.payments import AT, LATER
from tests.support.factories.store_units import GRACE_BEGAN, resolved_payment, stored


def wanted(**members: Any) -> PaymentFilter:
    """A filter of up to 50 rows."""
    return PaymentFilter(**{"limit": 50, **members})


async def ids(store: Store, **members: Any) -> list[str]:
    """The ids that a filter finds."""
    return [loaded.payment.id for loaded in await store.payments("acme", wanted(**members))]


async def test_lists_are_newest_first_and_go_on_at_the_cursor(store: Store) -> None:
    """Pages of two, each beginning below the last id of the one before, show everything once."""
    for number in (3, 1, 5, 2, 4):
        await stored(store, number)
    assert await ids(store, limit=2) == ["pay_005", "pay_004"]
    assert await ids(store, limit=2, cursor="pay_004") == ["pay_003", "pay_002"]
    assert await ids(store, limit=2, cursor="pay_002") == ["pay_001"]
    assert await ids(store, limit=2, cursor="pay_001") == []


async def test_list_filters(store: Store) -> None:
    """Each filter alone, and all of them together."""
    await stored(store, 1)
    await stored(store, 2, account="other", created_at=AT + timedelta(hours=1))
    await resolved_payment(store, 3, State.AUTHORIZED)
    await stored(store, 4, tenant="globex")
    rows: list[tuple[dict[str, Any], list[str]]] = [
        ({}, ["pay_003", "pay_002", "pay_001"]),
        ({"merchant_reference": "SO-2"}, ["pay_002"]),
        ({"merchant_reference": "so-2"}, []),
        ({"state": "authorized"}, ["pay_003"]),
        ({"account": "other"}, ["pay_002"]),
        ({"created_after": AT}, ["pay_002"]),
        ({"created_after": AT - timedelta(seconds=1)}, ["pay_003", "pay_002", "pay_001"]),
        ({"created_before": AT + timedelta(hours=1)}, ["pay_003", "pay_001"]),
        ({"created_before": AT}, []),
        ({"account": "main", "state": "created", "merchant_reference": "SO-1", "created_before": LATER}, ["pay_001"]),
        ({"merchant_reference": "SO-1' OR '1'='1"}, []),
    ]
    for members, found in rows:
        assert await ids(store, **members) == found, members


async def test_lists_show_the_open_operation(store: Store) -> None:
    """Each row comes with its open operation, as one read shows it."""
    payment, operation = await stored(store, 1)
    (listed,) = await store.payments("acme", wanted())
    assert payment_view(listed.payment, listed.open_operation) == payment_view(payment, operation)


async def test_lists_do_not_read_what_was_bought(store: Store) -> None:
    """A list, and a payment that is only shown, do not read the purchase."""
    await stored(store, 1)
    await store.commit("acme", [Statement("UPDATE payments SET purchase = 'no JSON'", ())])
    (listed,) = await store.payments("acme", wanted())
    assert listed.payment.id == "pay_001"
    assert listed == await store.summary("acme", "pay_001")


async def test_reviews(store: Store) -> None:
    """Payments with the flag up, of the tenants that are asked for."""
    await stored(store, 1)
    flag = Review(reason=ReviewReason.AMOUNT, since=AT)
    await resolved_payment(store, 2, State.AUTHORIZED, review=flag)
    await resolved_payment(store, 3, State.AUTHORIZED, review=flag)
    assert [loaded.payment.id for loaded in await store.reviews(["acme", "globex"], PageRequest(limit=9))] == [
        "pay_003",
        "pay_002",
    ]
    assert await store.reviews(["globex"], PageRequest(limit=9)) == []


async def test_accounts_in_use(store: Store) -> None:
    """An account is in use while a payment of it is open or in grace."""
    rows: list[tuple[int, State, dict[str, Any]]] = [
        (1, State.AWAITING_CUSTOMER, {"account": "waiting"}),
        (2, State.CAPTURED, {"account": "done"}),
        (3, State.CAPTURED, {"account": "refunding", "is_open": True}),
        (4, State.EXPIRED, {"account": "in grace", "expired_at": AT - timedelta(hours=72)}),
        (5, State.EXPIRED, {"account": "past grace", "expired_at": AT - timedelta(hours=73)}),
        (6, State.FAILED, {"account": "failed"}),
    ]
    for number, state, members in rows:
        await resolved_payment(store, number, state, **members)
    found = await store.accounts_in_use(GRACE_BEGAN)
    assert {account for _, account, _, _ in found} == {"waiting", "refunding", "in grace"}
    assert {(tenant, provider, method) for tenant, _, provider, method in found} == {("acme", "sandbox", None)}


async def test_a_payment_is_found_by_its_provider_reference(store: Store) -> None:
    """The provider's reference names a payment within one account of one tenant."""
    await resolved_payment(store, 1, State.AUTHORIZED, provider_reference="0042")
    assert await store.payment_by_provider_reference("acme", "main", "0042") == "pay_001"
    assert await store.payment_by_provider_reference("acme", "main", "42") is None
    assert await store.payment_by_provider_reference("acme", "other", "0042") is None
    assert await store.payment_by_provider_reference("globex", "main", "0042") is None


async def test_what_is_missing(store: Store) -> None:
    """What is not there is None or an empty list, for another tenant as well."""
    await stored(store, 1)
    assert await store.payment("globex", "pay_001") is None
    assert await store.operation("globex", "pay_001", "op_001") is None
    assert await store.idempotency_record("globex", "key-00000001") is None
    assert await store.operations("globex", "pay_001") == []
    assert await store.events("globex", "pay_001") == []
