"""Rate limits of callbacks. Proved callbacks never wait behind unproved ones, since each kind has its own buckets.

Before its body is read a callback may be known by a secret of the account in a header, or by the gateway's own token in
the path. Any other sender is unknown until the plugin has verified the callback. The buckets are:

- **proved**, by account: ``server.callback_rate``;
- **refused**, by account, and by account and address: callbacks above the rate are answered busy and not stored;
- **links** that the gateway made, by payment: one customer cannot push out another;
- **work**, by account: the processor time spent on refused callbacks of unknown senders.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container

from gateway.core.facts import Busy
from gateway.core.signing import same
from gateway.core.wire import Callback
from gateway.drivers.settings import AccountEntry, Rate
from gateway.flows.masks import secrets_of
from gateway.web.limits import Buckets, Clock, network_of, part_of

WORK = Rate(per_second=0.2, burst=2)
"""Seconds of processor time that refusing unknown callbacks of one account may take, per second."""

PROVED_BYTES, UNPROVED_BYTES = 8192, 1024
"""Bytes of a body that count as one more callback: searching for secrets and card numbers takes time per byte."""


class CallbackLimits:
    """The buckets of all callbacks. ``rate`` is ``server.callback_rate``; ``cpu`` counts seconds of processor time."""

    def __init__(self, rate: Rate, clock: Clock = time.monotonic, cpu: Clock = time.thread_time) -> None:
        self.rate, self.half, self.cpu = rate, part_of(rate, 0.5), cpu
        self.proved, self.links, self.work = Buckets(clock), Buckets(clock), Buckets(clock)
        self.refused, self.refused_from = Buckets(clock), Buckets(clock)
        self._knows: dict[str, Callable[[Callback], bool]] = {}

    def use(self, rate: Rate, endpoints: Container[str]) -> None:
        """Go on under other settings: another rate, accounts with other secrets, and some that are gone."""
        self.rate, self.half = rate, part_of(rate, 0.5)
        self._knows.clear()
        for buckets in (self.proved, self.work, self.refused, self.refused_from):
            buckets.keep(lambda name: name.partition(" ")[0] in endpoints)

    def admission(self, entry: AccountEntry, head: Callback) -> Admission:
        """Begin the admission of one callback, whose body is not read yet."""
        knows = self._knows.get(entry.endpoint_id)
        if knows is None:
            knows = self._knows[entry.endpoint_id] = _knows_sender(entry)
        if knows(head):
            return KnownSender(self, entry, head)
        return Admission(self, entry, head) if head.payment_id is None else PaymentLink(self, entry, head)


class Admission:
    """The admission of one callback, whose sender is unknown until the plugin has verified it."""

    is_known = False

    def __init__(self, limits: CallbackLimits, entry: AccountEntry, head: Callback) -> None:
        self._limits = limits
        self._account = entry.endpoint_id
        self._head = head
        self._size, self._began = 0, 0.0

    def before_body(self) -> Busy | None:
        """Return ``Busy`` without reading on where refusing such callbacks already takes too much processor time."""
        return _busy(self._limits.work.wait(self._account, WORK, 0.0))

    def after_body(self, size: int) -> None:
        """Start measuring the work on it. ``size``: bytes of its body."""
        self._size, self._began = size, self._limits.cpu()

    def admit(self, is_proved: bool, parts: int = 1) -> Busy | None:
        """Count it as proved or as refused before anything of it is stored. Above the limit return ``Busy``.

        ``parts``: things that it reports. Each that is not proved may cause a lookup.
        """
        if is_proved:
            return self._take_proved()
        self._limits.work.charge(self._account, WORK, self._limits.cpu() - self._began)
        return self._take_refused(parts)

    def _take_proved(self) -> Busy | None:
        self.is_known = True
        wait = self._limits.proved.take(self._account, self._limits.rate)
        surplus = self._size // PROVED_BYTES
        if surplus and not wait:
            self._limits.proved.charge(self._account, self._limits.rate, surplus)
        return _busy(wait)

    def _take_refused(self, parts: int) -> Busy | None:
        """Take from the address and from the account, or from neither. One address has half the rate of the account."""
        surplus = max(parts - 1, self._size // UNPROVED_BYTES)
        limits, place = self._limits, f"{self._account} {network_of(self._head.remote)}"
        wait = limits.refused_from.wait(place, limits.half) or limits.refused.take(self._account, limits.rate)
        if not wait:
            limits.refused.charge(self._account, limits.rate, surplus)
            limits.refused_from.charge(place, limits.half, 1 + surplus)
        return _busy(wait)


class KnownSender(Admission):
    """A callback that carries a secret of the account: only others like it can delay it."""

    is_known = True

    def before_body(self) -> Busy | None:
        """Return ``Busy`` where the account has too many proved callbacks already."""
        return _busy(self._limits.proved.wait(self._account, self._limits.rate))

    def after_body(self, size: int) -> None:
        """Its sender knows the secret, so the work on it is not measured."""
        self._size = size

    def admit(self, is_proved: bool, parts: int = 1) -> Busy | None:
        """Count it as proved only if it is."""
        return self._take_proved() if is_proved else self._take_refused(parts)


class PaymentLink(Admission):
    """A callback to a URL that the gateway made for one payment; mostly its customer comes back."""

    is_known = True

    def before_body(self) -> Busy | None:
        """Return ``Busy`` where this URL was called too often."""
        return _busy(self._limits.links.take(self._link, self._limits.half))

    def after_body(self, size: int) -> None:
        """Count its body against the URL."""
        self._limits.links.charge(self._link, self._limits.half, size // UNPROVED_BYTES)

    def admit(self, is_proved: bool, parts: int = 1) -> Busy | None:  # noqa: ARG002  # proved or not, its URL was counted
        """Admit it, whatever it proves."""
        return None

    @property
    def _link(self) -> str:
        return f"{self._head.suffix} {self._head.payment_id}"


def _knows_sender(entry: AccountEntry) -> Callable[[Callback], bool]:
    """Make the check whether a callback carries a secret of the account in one of its provider's secret headers.

    A secret after a scheme such as ``Bearer`` is found too.
    """
    named = {name.lower() for name in entry.provider.secret_headers}
    secrets = [secret.reveal() for secret in secrets_of(entry).values() if secret.reveal()]

    def knows(head: Callback) -> bool:
        given = [value for name, value in head.headers if name.lower() in named]
        texts = [text for value in given[:2] for text in {value, value.rpartition(" ")[2]}]
        for text in texts:
            for secret in secrets:
                if same(text, secret):
                    return True
        return False

    return knows


def _busy(wait: float) -> Busy | None:
    return Busy(limited=True, retry_after=max(1, math.ceil(wait))) if wait else None
