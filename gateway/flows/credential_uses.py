"""How often each credential of a caller was used since the start, and when last: a rotation ends when an old one rests.

Counted are the bearer keys of tenants and operators, and of accounts what was derived before and is still accepted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime

from gateway.drivers.settings import AccountEntry


class Use:
    """How often, and when last; None for never."""

    __slots__ = ("last", "times")

    def __init__(self) -> None:
        self.times = 0
        self.last: datetime | None = None


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

    def of_earlier(self, entry: AccountEntry) -> Mapping[str, Use]:
        """The uses of an account as it was before, by what was used."""
        return self._earlier.get(_of_earlier(entry), {})

    def end_all_but(self, accepted: Iterable[AccountEntry]) -> list[tuple[str, str, Mapping[str, Use]]]:
        """Forget accounts as they were before, but for these. Returns tenant, account and uses of the others."""
        kept = set(map(_of_earlier, accepted))
        ended = [one for one in self._earlier if one not in kept]
        return [(str(one[0]), str(one[1]), self._earlier.pop(one)) for one in ended]


def last_of(uses: Mapping[str, Use]) -> datetime | None:
    """When one of several was last used."""
    return max((use.last for use in uses.values() if use.last is not None), default=None)


def _of_earlier(entry: AccountEntry) -> tuple[Hashable, ...]:
    return entry.tenant, entry.name, entry.secret, entry.generation
