"""How to call each operation of ``/openapi.json`` and each operators' route, and the ids to call it with.

A new operation needs a row here; the test that reads this table fails until it has one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.security.three_tenants import TENANTS, adjacent_id
from tests.support.stack import order_of, psp_body

NOBODYS = "0192f0c4a5b87c3d9e1f2a3b4c5d6e7f"
"""The digits of an id that does not exist."""

PREFIXES = {"payment": "pay", "delivery": "dlv", "open operation": "op", "callback": "cb", "approval": "apr"}


@dataclass(frozen=True)
class Row:
    """One operation: what ``{…}`` in its path names, its least body, and what each query parameter names.

    A parameter that names nothing of a tenant's has None. ``names``: members of the body that name something.
    """

    path_names: str | None = None
    body: Any = None
    query: Mapping[str, str | None] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


_MAP, _REPLY = {"map": "request map"}, {"reply": "reply map"}
_OF_PAYMENT = {"path_names": "payment"}
_LIST = {"limit": None, "state": None, "created_after": None, "created_before": None}

TENANTS_ROWS: Mapping[tuple[str, str], Row] = {
    ("POST", "/v1/payments"): Row(
        body=psp_body(),
        query={**_MAP, **_REPLY},
        names={"account": "account", "deposit_method": "deposit_method"},
    ),
    ("GET", "/v1/payments"): Row(
        query={**_LIST, **_REPLY, "merchant_reference": "reference", "account": "account", "cursor": "payment"}
    ),
    ("GET", "/v1/payments/{id}"): Row(**_OF_PAYMENT, query=_REPLY),
    ("PATCH", "/v1/payments/{id}"): Row(
        **_OF_PAYMENT,
        body={"amount": "900.00", "order": {"charges": order_of("900.00")["charges"]}},
        query={**_MAP, **_REPLY},
    ),
    ("POST", "/v1/payments/{id}/capture"): Row(**_OF_PAYMENT, body={}, query={**_MAP, **_REPLY}),
    ("POST", "/v1/payments/{id}/cancel"): Row(**_OF_PAYMENT, body={}, query=_REPLY),
    ("GET", "/v1/payments/{id}/refunds"): Row(**_OF_PAYMENT, query={"limit": None, "cursor": "operation", **_REPLY}),
    ("POST", "/v1/payments/{id}/refunds"): Row(**_OF_PAYMENT, body={"amount": "1.00"}, query={**_MAP, **_REPLY}),
    ("POST", "/v1/payments/{id}/sync"): Row(**_OF_PAYMENT, body={}, query=_REPLY),
    ("GET", "/v1/payments/{id}/events"): Row(**_OF_PAYMENT, query={"limit": None, "cursor": "event"}),
    ("GET", "/v1/accounts"): Row(),
    ("POST", "/v1/accounts/{name}/explain"): Row(
        path_names="account",
        body=psp_body(account=None, deposit_method=None),
        query=_MAP,
        names={"account": "account", "deposit_method": "deposit_method"},
    ),
    ("GET", "/v1/deposit-methods"): Row(query={"currency": None, "amount": None, "lang": None}),
    ("GET", "/v1/callbacks"): Row(
        query={"verdict": None, "limit": None, "account": "account", "payment_id": "payment", "cursor": "callback"}
    ),
    ("GET", "/v1/callbacks/{id}/explanation"): Row(path_names="callback"),
    ("GET", "/v1/webhooks"): Row(),
    ("GET", "/v1/webhooks/deliveries"): Row(
        query={"status": None, "limit": None, "payment_id": "payment", "cursor": "delivery"}
    ),
    ("POST", "/v1/webhooks/deliveries/{id}/redeliver"): Row(path_names="delivery", body={}),
    ("POST", "/v1/webhooks/redeliver"): Row(body={"created_after": "2026-01-01T00:00:00Z"}),
    ("POST", "/v1/webhooks/test"): Row(body={}),
    ("POST", "/v1/webhooks/enable"): Row(body={}),
}

_RULED = {"outcome": "written_off", "reason": "looked into it"}

OPERATORS_ROWS: Mapping[tuple[str, str], Row] = {
    ("GET", "/admin/v1/status"): Row(),
    ("GET", "/admin/v1/keys"): Row(query={"tenant": None}),
    ("POST", "/admin/v1/reload"): Row(body={}),
    ("GET", "/admin/v1/audit"): Row(),
    ("GET", "/admin/v1/payments"): Row(),
    ("GET", "/admin/v1/payments/silent"): Row(),
    ("POST", "/admin/v1/payments/sync"): Row(body={"dry_run": True}),
    ("POST", "/admin/v1/payments/{id}/resolve"): Row(
        path_names="payment", body={"state": "failed", "reason": "looked into it"}
    ),
    ("GET", "/admin/v1/search"): Row(),
    ("GET", "/admin/v1/approvals"): Row(),
    ("POST", "/admin/v1/approvals/{id}/approve"): Row(path_names="approval", body={}),
    ("POST", "/admin/v1/approvals/{id}/reject"): Row(path_names="approval", body={"reason": "looked into it"}),
    ("GET", "/admin/v1/reviews"): Row(),
    ("POST", "/admin/v1/reviews/{payment_id}/resolve"): Row(path_names="payment", body={"reason": "looked into it"}),
    ("GET", "/admin/v1/operations"): Row(),
    ("POST", "/admin/v1/operations/{id}/resolve"): Row(path_names="open operation", body=_RULED),
    ("GET", "/admin/v1/inbox"): Row(),
    ("GET", "/admin/v1/inbox/{id}"): Row(path_names="callback"),
    ("POST", "/admin/v1/inbox/replay"): Row(body={"dry_run": True}),
    ("POST", "/admin/v1/inbox/reverify"): Row(body={"dry_run": True}),
    ("POST", "/admin/v1/inbox/{id}/replay"): Row(path_names="callback", body={"dry_run": True}),
    ("POST", "/admin/v1/inbox/{id}/reverify"): Row(path_names="callback", body={"dry_run": True}),
    ("GET", "/admin/v1/deliveries"): Row(),
    ("POST", "/admin/v1/deliveries/{id}/redeliver"): Row(path_names="delivery", body={}),
    ("POST", "/admin/v1/customers/export"): Row(body={"customer_id": "nobody"}),
    ("POST", "/admin/v1/customers/erase"): Row(body={"customer_id": "nobody"}),
    ("POST", "/admin/v1/deliveries/redeliver"): Row(body={"since": "2026-01-01T00:00:00Z", "dry_run": True}),
    ("GET", "/admin/v1/endpoints"): Row(),
    ("POST", "/admin/v1/endpoints/{tenant}/enable"): Row(path_names="tenant", body={}),
}


def filled(path: str, identifier: str) -> str:
    """Fill the placeholder of a path."""
    before, _, rest = path.partition("{")
    return before + identifier + rest.partition("}")[2]


def nonexistent(kind: str) -> str:
    """Return a well-formed id of a kind that does not exist."""
    return f"{PREFIXES[kind]}_{NOBODYS}" if kind in PREFIXES else NOBODYS


def foreign(ids_by_kind: Mapping[str, Mapping[str, list[str]]], kind: str, tenant: str) -> Iterator[str]:
    """Yield ids of a kind that other tenants have or had, each followed by an adjacent id that does not exist."""
    for other in TENANTS:
        if other != tenant:
            for identifier in (*ids_by_kind[other][kind], *ids_by_kind[other].get(f"forgotten {kind}", ())):
                yield identifier
                yield adjacent_id(identifier)


def misfits(ids_by_kind: Mapping[str, Mapping[str, list[str]]], kind: str, tenant: str) -> Iterator[str]:
    """Well-formed ids that cannot be of the kind: what this and other tenants have of other kinds; what is forgotten.

    Also the tenant's own id of the kind under other prefixes, and in spellings that are not the id.
    """
    for owner in TENANTS:
        for other, identifiers in ids_by_kind[owner].items():
            if other != kind and "_" in identifiers[0]:
                yield from identifiers
    yield from ids_by_kind[tenant].get(f"forgotten {kind}", ())
    own = ids_by_kind[tenant][kind][0]
    digits = own.partition("_")[2] or NOBODYS
    yield from (
        f"{prefix}_{digits}"
        for prefix in ("pay", "op", "ref", "evt", "dlv", "cb", "req", "")
        if prefix != own.partition("_")[0]
    )
    yield from (own.upper(), own[:-1], own + "0", f"{own}x", digits, str(uuid.UUID(digits)))
    yield from [own.replace("_", "-")] if "_" in own else []
    yield from (
        "x",
        "pay_",
        "null",
        "0",
        "*",
        "%25",
        "%20" + own,
        own + "%20",
        own + "%00",
        own + "%0a",
        "%ff",
        own + "'",
    )
    yield from ("a" * 300, "%F0%9F%92%B3", "$ne", "%3Bselect", f"{own};v=1", f"{own}%3Fx=1", f"{own}%23")
