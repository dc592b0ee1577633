"""Which callbacks are taken now: what is proved never waits behind what is not.

Before its body is read a callback may be known by a secret of the account in a header, or by our own token in the path.
Everything else is unknown until the plugin has looked at it. Each kind has buckets of its own:

- **proved**, by account: ``server.callback_rate``;
- **refused**, by account, and by account and address: above it they are put off and leave nothing behind;
- **our own links**, by payment: one customer cannot push out another;
- **work**, by account: the processor time spent on unknown callbacks that were refused.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from gateway.core.facts import Busy
from gateway.core.signing import same
from gateway.core.wire import Callback
from gateway.drivers.settings import AccountEntry, Rate
from gateway.flows.masks import secrets_of
from gateway.web.limits import Buckets, Clock, network_of, part_of

WORK = Rate(per_second=0.2, burst=2)
"""Seconds of processor time that refusing unknown callbacks of one account may take, per second."""

PROVED_BYTES, UNPROVED_BYTES = 8192, 1024
"""So many bytes of a body count as one callback more: to look for secrets and card numbers takes work by the byte."""


class Admission:
    """The buckets of all callbacks. ``rate`` is ``server.callback_rate``; ``cpu`` counts seconds of processor time."""

    def __init__(self, rate: Rate, clock: Clock = time.monotonic, cpu: Clock = time.thread_time) -> None:
        self.rate, self.half, self.cpu = rate, part_of(rate, 0.5), cpu
        self.proved, self.links, self.work = Buckets(clock), Buckets(clock), Buckets(clock)
        self.refused, self.refused_from = Buckets(clock), Buckets(clock)
        self._knows: dict[str, Callable[[Callback], bool]] = {}

    def of(self, entry: AccountEntry, head: Callback) -> Visit:
        """Admit one callback, of which the body is still to come."""
        knows = self._knows.get(entry.endpoint_id)
        if knows is None:
            knows = self._knows[entry.endpoint_id] = _knows_sender(entry)
        if knows(head):
            return Known(self, entry, head)
        return Visit(self, entry, head) if head.payment_id is None else OwnLink(self, entry, head)


class Visit:
    """One callback whose sender is unknown before the plugin has looked at it."""

    is_known = False

    def __init__(self, limits: Admission, entry: AccountEntry, head: Callback) -> None:
        self._limits = limits
        self._account = entry.endpoint_id
        self._head = head
        self._size, self._began = 0, 0.0

    def before_body(self) -> Busy | None:
        """Put it off without reading on, where even refusing such callbacks has become too much work."""
        return _busy(self._limits.work.wait(self._account, WORK, 0.0))

    def after_body(self, size: int) -> None:
        """Begin to count the work on it. ``size``: bytes of its body."""
        self._size, self._began = size, self._limits.cpu()

    def admit(self, is_proved: bool) -> Busy | None:
        """Count it as proved or as refused, before anything of it is stored; ``Busy`` puts it off."""
        if is_proved:
            return self._take_proved()
        self._limits.work.charge(self._account, WORK, self._limits.cpu() - self._began)
        return self._take_refused()

    def _take_proved(self) -> Busy | None:
        size = self._size
        self.is_known = True
        wait = self._limits.proved.take(self._account, self._limits.rate)
        if not wait:
            self._limits.proved.charge(self._account, self._limits.rate, size // PROVED_BYTES)
        return _busy(wait)

    def _take_refused(self) -> Busy | None:
        """From the address's and from the account's, or none: an address takes half of what the account has."""
        size = self._size
        limits, place = self._limits, f"{self._account} {network_of(self._head.remote)}"
        wait = limits.refused_from.wait(place, limits.half) or limits.refused.take(self._account, limits.rate)
        if not wait:
            limits.refused.charge(self._account, limits.rate, size // UNPROVED_BYTES)
            limits.refused_from.charge(place, limits.half, 1 + size // UNPROVED_BYTES)
        return _busy(wait)


class Known(Visit):
    """A callback that holds a secret of the account: it waits for nobody but its like."""

    is_known = True

    def before_body(self) -> Busy | None:
        """Put it off where its account has too many proved ones already."""
        return _busy(self._limits.proved.wait(self._account, self._limits.rate))

    def after_body(self, size: int) -> None:
        """No work is counted: its sender knows the secret."""
        self._size = size

    def admit(self, is_proved: bool) -> Busy | None:
        """Count it among the proved ones only when it is proved."""
        return self._take_proved() if is_proved else self._take_refused()


class OwnLink(Visit):
    """A callback to an address that we made for one payment, mostly its customer coming back."""

    is_known = True

    def before_body(self) -> Busy | None:
        """Put it off where this address of this payment was called too often."""
        return _busy(self._limits.links.take(self._link, self._limits.half))

    def after_body(self, size: int) -> None:
        """Count its body with the address."""
        self._limits.links.charge(self._link, self._limits.half, size // UNPROVED_BYTES)

    def admit(self, is_proved: bool) -> Busy | None:  # noqa: ARG002  # proved or not, its address was counted
        """Admit it, whatever it proves."""
        return None

    @property
    def _link(self) -> str:
        return f"{self._head.suffix} {self._head.payment_id}"


def _knows_sender(entry: AccountEntry) -> Callable[[Callback], bool]:
    """Make the check whether a callback holds a secret of the account in one of its provider's secret headers.

    What follows a scheme (``Bearer``) counts too.
    """
    named = {name.lower() for name in entry.provider.secret_headers}
    secrets = [secret.reveal() for secret in secrets_of(entry).values() if secret.reveal()]

    def knows(head: Callback) -> bool:
        given = [value for name, value in head.headers if name.lower() in named]
        texts = [text for value in given[:2] for text in {value, value.rpartition(" ")[2]}]
        return any(same(text, secret) for text in texts for secret in secrets)

    return knows


def _busy(wait: float) -> Busy | None:
    return Busy(limited=True, retry_after=max(1, math.ceil(wait))) if wait else None
