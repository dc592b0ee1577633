"""Which tenant is in which of several stores: where the settings say, unless it was moved since."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from gateway.drivers.settings import Settings
from gateway.drivers.store.moves import Move, Step


class Places:
    """Names of stores by tenant. What the stores say of moves (``note``) counts more than settings (``use``)."""

    def __init__(self, main: str, settings: Settings) -> None:
        self._main = main
        self._moves: dict[str, dict[str, Move]] = {}
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Take over where settings say that tenants are."""
        self._by_settings = {
            name: tenant.store for name, tenant in settings.tenants.items() if tenant.store is not None
        }
        self._by_settings |= {owner: owner.partition("@")[2] for owner in settings.operator_webhooks if "@" in owner}

    def note(self, store: str, moves: Iterable[Move]) -> None:
        """Take over what a store says of tenants that leave it, or have left."""
        self._moves[store] = {move.tenant: move for move in moves}

    def of(self, tenant: str) -> str:
        """The store of a tenant."""
        return self._last(tenant, self._by_settings.get(tenant, self._main))

    def holding(self, tenant: str) -> Move | None:
        """The move that a tenant waits for; None for all but those that are being moved."""
        move = self._moves.get(self.of(tenant), {}).get(tenant)
        return None if move is None or move.is_over else move

    def is_elsewhere(self, store: str, tenant: str) -> bool:
        """Whether the rows of a tenant in a store do not count: it has left them, or they are not all there yet."""
        left = self._moves.get(store, {}).get(tenant)
        return (left is not None and left.is_over) or any(
            one.tenant == tenant and one.to == store and not one.is_over for _, one in self.under_way()
        )

    def under_way(self) -> list[tuple[str, Move]]:
        """The moves whose rows are not all in one store, each with the store that is left."""
        named = ((store, one) for store, moves in self._moves.items() for one in moves.values())
        return [(store, one) for store, one in named if one.step is not Step.CLEARED]

    def followed(self, settings: Settings) -> Settings:
        """These settings with tenants where they are now."""
        moved = {
            name: replace(tenant, store=place)
            for name, tenant in settings.tenants.items()
            if (place := self._last(name, tenant.store or self._main)) != (tenant.store or self._main)
        }
        return replace(settings, tenants={**settings.tenants, **moved}) if moved else settings

    def _last(self, tenant: str, store: str) -> str:
        """Where moves have led a tenant from a store."""
        passed = {store}
        while (move := self._moves.get(store, {}).get(tenant)) is not None and move.is_over and move.to not in passed:
            store = move.to
            passed.add(store)
        return store
