"""Answers to questions about all tenants at once, computed when they are loaded.

Workers share the memory of what was loaded before the fork, as long as no process goes through all tenants: reading an
object changes its reference count, which is a write.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gateway.drivers.settings.model import AccountEntry, BearerKey, OperatorKey, Tenant


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """``providers`` by name. ``ending_keys``: those that expire, each with its tenant, None for an operators'.

    ``earlier_accounts``: what accounts were before and is still accepted. ``longest_call``: seconds for a provider's
    whole answer at the most patient account, 0 for none.
    """

    providers: list[str]
    earlier_accounts: list[AccountEntry]
    ending_keys: list[tuple[str | None, BearerKey]]
    longest_call: float


def overview_of(
    tenants: Mapping[str, Tenant],
    keys: Mapping[str, tuple[str, BearerKey]],
    operators: Mapping[str, OperatorKey],
) -> Overview:
    """Look once at all of them."""
    accounts = [entry for tenant in tenants.values() for entry in tenant.accounts.values()]
    owned: list[tuple[str | None, BearerKey]] = [*((None, key) for key in operators.values()), *keys.values()]
    return Overview(
        providers=sorted({entry.provider.name for entry in accounts}),
        earlier_accounts=[earlier for entry in accounts for earlier in entry.earlier],
        ending_keys=[one for one in owned if one[1].expires is not None],
        longest_call=max((entry.provider_total for entry in accounts), default=0.0),
    )
