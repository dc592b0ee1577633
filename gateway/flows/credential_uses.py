"""How often, and when last, each credential of a caller was used since the start: it shows when a rotation can end.

Counted are the bearer keys of tenants and operators, and those derived credentials of accounts that were replaced but
are still accepted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from gateway.drivers.settings import AccountEntry, Overview
from gateway.drivers.workers.shared import HasPeers, Shared


class Use(msgspec.Struct):
    """How often, and when last; None for never."""

    times: int = 0
    last: datetime | None = None


class Uses(msgspec.Struct, frozen=True):
    """Of one process, or of all: of bearer keys by hash, and of accounts as they were before by their own names."""

    keys: dict[str, Use]
    earlier: dict[str, dict[str, Use]]

    def of_key(self, sha256: str) -> Use:
        """The uses of a bearer key."""
        return self.keys.get(sha256) or Use()

    def of_earlier(self, entry: AccountEntry) -> Mapping[str, Use]:
        """The uses of an account as it was before, by what was used."""
        return self.earlier.get(_name(entry), {})


class CredentialUses:
    """The counts of this process. They are bounded, as only what the settings name is counted."""

    def __init__(self) -> None:
        self.keys: defaultdict[str, Use] = defaultdict(Use)
        """Of bearer keys, by hash. Each request counts there itself, so this is plain data."""
        self._earlier: dict[tuple[Hashable, ...], defaultdict[str, Use]] = {}

    def note_earlier(self, entry: AccountEntry, used: str, at: datetime) -> None:
        """Count a use of what was derived for an account before: its address, its credentials or a customer's link."""
        use = self._earlier.setdefault(_of_earlier(entry), defaultdict(Use))[used]
        use.times, use.last = use.times + 1, at

    def earlier(self, entries: Iterable[AccountEntry]) -> dict[str, dict[str, Use]]:
        """The uses of those of these accounts as they were before that had any."""
        if not self._earlier:
            return {}
        return {_name(one): uses for one in entries if (uses := self._earlier.get(_of_earlier(one)))}

    def end_all_but(self, accepted: Iterable[AccountEntry]) -> list[tuple[str, str, Mapping[str, Use]]]:
        """Forget accounts as they were before, but for these. Returns tenant, account and uses of the others."""
        kept = set(map(_of_earlier, accepted))
        ended = [one for one in self._earlier if one not in kept]
        return [(str(one[0]), str(one[1]), self._earlier.pop(one)) for one in ended]


class _Counting(HasPeers, Protocol):
    """The gateway, as far as it counts."""

    @property
    def uses(self) -> CredentialUses: ...

    @property
    def overview(self) -> Overview: ...


def _own(gw: _Counting) -> Uses:
    return Uses(gw.uses.keys, gw.uses.earlier(gw.overview.earlier_accounts))


def _total(parts: Sequence[Uses]) -> Uses:
    names = {name for part in parts for name in part.earlier}
    earlier = {name: _sums(part.earlier[name] for part in parts if name in part.earlier) for name in names}
    return Uses(_sums(part.keys for part in parts), earlier)


def _sums(parts: Iterable[Mapping[str, Use]]) -> dict[str, Use]:
    sums: dict[str, Use] = {}
    for name, use in (one for part in parts for one in part.items()):
        one = sums.setdefault(name, Use())
        one.times, one.last = one.times + use.times, max(filter(None, (one.last, use.last)), default=None)
    return sums


USES: Shared[_Counting, Uses] = Shared("uses", Uses, _own, _total, lambda uses: uses)
"""Who uses what, as counted by all processes."""


def last_of(uses: Mapping[str, Use]) -> datetime | None:
    """When one of several was last used."""
    return max((use.last for use in uses.values() if use.last is not None), default=None)


def _name(entry: AccountEntry) -> str:
    return f"{entry.owner} {entry.name_of_earlier}"


def _of_earlier(entry: AccountEntry) -> tuple[Hashable, ...]:
    return entry.tenant, entry.name, entry.secret, entry.generation
