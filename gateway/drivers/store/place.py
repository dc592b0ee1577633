"""Where a store's rows are: all in one database. ``many.py`` says otherwise where the settings name several."""

from __future__ import annotations

from typing import Self

from gateway.drivers.settings import Settings


class Place:
    """What a store is asked about its databases."""

    @property
    def parts(self) -> tuple[Self, ...]:
        """What is read or written in each database by itself."""
        return (self,)

    def use(self, settings: Settings) -> None:
        """Take over which tenants are in which database: here all are in one."""

    def of(self, tenant: str) -> Self:  # noqa: ARG002  # of several databases the tenant's
        """The database that has a tenant's rows."""
        return self

    @property
    def reachable(self) -> tuple[Self, ...]:
        """The databases that are not known to be away, for work on each that can wait."""
        return self.parts

    @property
    def down(self) -> tuple[str, ...]:
        """The names of those of several databases that did not answer; of one its callers learn by themselves."""
        return ()

    def is_down(self, tenant: str) -> bool:  # noqa: ARG002  # as above
        """Whether work for a tenant is in vain for now, as its database did not answer."""
        return False
