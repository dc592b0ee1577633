"""Faults that authors make, put into a provider one at a time: a story with its simulator must notice."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

import gateway
from gateway.core.commands import Command
from gateway.provider import Provider

Members = Mapping[str, Callable[..., Any]]


class Mutant:
    """A provider's members with one fault; ``touched``: whether the fault has changed anything."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.touched = False

    def build(self, command: Any, account: Any) -> Any:
        """As the provider."""
        return self.provider.build(command, account)

    def parse(self, command: Any, response: Any, account: Any) -> Any:
        """As the provider, each observation through ``seen``."""
        said = self.provider.parse(command, response, account)
        return self.seen(said) if isinstance(said, gateway.Observation) else said

    def verify(self, callback: Any, account: Any) -> Any:
        """As the provider, each observation through ``seen``."""
        said = self.provider.verify(callback, account)
        return replace(said, observation=self.seen(said.observation)) if isinstance(said, gateway.Event) else said

    def seen(self, observation: gateway.Observation) -> gateway.Observation:
        """The facts, as they are."""
        return observation


class HundredTimes(Mutant):
    """Amounts are converted twice."""

    def build(self, command: Command, account: Any) -> Any:
        """Ask for a hundred times the amount."""
        money = gateway.Money.of(command.money.amount * 100, command.money.currency, command.money.digits)
        self.touched = True
        return super().build(replace(command, money=money), account)


class UnreadableIsNo(Mutant):
    """An answer that cannot be read is taken for a no."""

    def parse(self, command: Command, response: Any, account: Any) -> Any:
        """Decline what nobody can read."""
        try:
            return super().parse(command, response, account)
        except gateway.OutcomeUnknown:
            self.touched |= not isinstance(command, gateway.FetchPayment)
            return gateway.Declined(code="unreadable", message="the answer cannot be read")


class RefundsTwice(Mutant):
    """The total of refunds is added to itself."""

    def seen(self, observation: gateway.Observation) -> gateway.Observation:
        """Twice as much went back."""
        refunded = observation.refunded and observation.refunded * 2
        self.touched |= bool(refunded)
        return replace(observation, refunded=refunded)


class AuthorizedIsCaptured(Mutant):
    """Money that is only held is taken for paid."""

    def seen(self, observation: gateway.Observation) -> gateway.Observation:
        """One step too far."""
        if observation.stage is not gateway.Stage.AUTHORIZED:
            return observation
        captured = observation.amount or Decimal(0)
        self.touched = True
        return replace(observation, stage=gateway.Stage.CAPTURED, captured=captured)


class NothingProved(Mutant):
    """Signatures are computed and not compared."""

    def verify(self, callback: Any, account: Any) -> Any:
        """Believe every callback that can be read."""
        try:
            return super().verify(callback, account)
        except gateway.CallbackRejected:
            with _all_equal():
                believed = super().verify(callback, account)
            self.touched = True
            return believed


MUTANTS: Mapping[str, type[Mutant]] = {
    "amounts are converted twice": HundredTimes,
    "an answer that cannot be read is a no": UnreadableIsNo,
    "refunds count twice": RefundsTwice,
    "authorized is read as captured": AuthorizedIsCaptured,
    "signatures are not compared": NothingProved,
}


@contextlib.contextmanager
def _all_equal() -> Iterator[None]:
    """Let every comparison of a signature succeed, for the time of the block."""
    same, compare = gateway.same, hmac.compare_digest
    gateway.same = hmac.compare_digest = lambda *_: True
    try:
        yield
    finally:
        gateway.same, hmac.compare_digest = same, compare
