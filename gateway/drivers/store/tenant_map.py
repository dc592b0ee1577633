"""Which of several stores has each tenant: the one that the settings name, unless the tenant was moved since."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

from msgspec.structs import replace

from gateway.core.errors import TenantMoves
from gateway.drivers.settings import Settings
from gateway.drivers.settings.store_target import MAIN
from gateway.drivers.store.moves import Move, Step


class TenantMap:
    """Names of stores by tenant. What the stores say of moves (``note_moves``) counts more than settings (``use``).

    ``main``: the first of ``stores``, where tenants are that name none; where it is the only one all are there.
    ``is_current``: whether the moves of a store were read lately enough to rely on.
    """

    def __init__(self, stores: Sequence[str] = (MAIN,), settings: Settings | None = None) -> None:
        self.main, *self._others = stores
        self._moves: dict[str, dict[str, Move]] = {}
        self._moved: dict[str, str] = {}
        self._by_settings: dict[str, str] = {}
        self.is_current: Callable[[str], bool] = lambda _: True
        if settings is not None:
            self.use(settings)

    def use(self, settings: Settings) -> None:
        """Follow these settings from now on. Tenants that they name no more are where they were: rows of them stay."""
        if self._others:
            named = {name: tenant.store or self.main for name, tenant in settings.tenants.items()}
            owners = {owner: owner.partition("@")[2] for owner in settings.operator_webhooks if "@" in owner}
            self._by_settings |= named | owners

    def note_rows(self, stores: Mapping[str, str]) -> None:
        """Take over which store has the rows of tenants that the settings do not name."""
        self._by_settings = {**stores, **self._by_settings}

    def note_moves(self, store: str, moves: Iterable[Move]) -> None:
        """Follow the moves that a store has on record: of tenants that are leaving it, or have left."""
        noted = {move.tenant: move for move in moves}
        if noted != self._moves.get(store):
            self._moves[store] = noted
            over = [one for held in self._moves.values() for one in held.values() if one.is_over]
            self._moved = {one.tenant: one.to for one in sorted(over, key=attrgetter("at"))}

    def store_of(self, tenant: str) -> str:
        """The store of a tenant."""
        return self._moved.get(tenant) or self._by_settings.get(tenant, self.main)

    def unfinished_move(self, tenant: str) -> Move | None:
        """The move that a tenant waits for, during which nothing of it is begun; None for all others."""
        if not self._moves:
            return None
        move = self._moves.get(self.store_of(tenant), {}).get(tenant)
        return None if move is None or move.is_over else move

    def waiting(self) -> set[str]:
        """The tenants that wait for a move."""
        return {one.tenant for _, one in self.moves_under_way() if self.unfinished_move(one.tenant) is not None}

    def refuse_moving(self, tenant: str) -> None:
        """Refuse to begin something for a tenant that is being moved. Raises ``TenantMoves``."""
        if (move := self.unfinished_move(tenant)) is not None:
            raise TenantMoves(f"tenant {tenant} is being moved to the store {move.to}")

    def is_elsewhere(self, store: str, tenant: str) -> bool:
        """Whether the rows of a tenant in a store do not count: it was moved away, or is being moved here."""
        return self._moved.get(tenant, store) != store or any(
            one.tenant == tenant and one.to == store and not one.is_over for _, one in self.moves_under_way()
        )

    def moves_under_way(self) -> list[tuple[str, Move]]:
        """The moves that have not deleted the old rows yet, each with the store that is left."""
        named = ((store, one) for store, moves in self._moves.items() for one in moves.values())
        return [(store, one) for store, one in named if one.step is not Step.CLEARED]

    def with_moves(self, settings: Settings) -> Settings:
        """These settings with each tenant in the store to which it was moved."""
        moved = {
            name: replace(tenant, store=store)
            for name, tenant in settings.tenants.items()
            if (store := self._moved.get(name)) not in (None, tenant.store or self.main)
        }
        return replace(settings, tenants={**settings.tenants, **moved}) if moved else settings
