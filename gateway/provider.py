"""The Provider protocol: one object speaks one provider's language. It decides, it never acts.

No ``await``, no server, no SQL, no clock: values in, values out. See ``docs/providers.md``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from gateway.core.commands import Command
from gateway.core.facts import Absent, Ask, Declined, Event, Hint, Observation, Pending, Stage, Verdict
from gateway.core.field_mapping import FieldRule
from gateway.core.field_values import FieldMap
from gateway.core.money import Money, currency_digits
from gateway.core.rules import Rules
from gateway.core.secret import Secret
from gateway.core.wire import Callback, HttpRequest, HttpResponse

if TYPE_CHECKING:
    from aiohttp.web import Application  # an annotation only: importing gateway starts no web framework


API_VERSION = "1.0"
"""Of the plugin API that this gateway has, as in ``docs/plugin-api-changes.md``."""


class Derive(Protocol):
    """Make a secret that belongs to one account and purpose; on request the one before it, if that is accepted."""

    def __call__(self, purpose: str, previous: bool = False) -> Secret | None: ...


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A login that a provider's calls need. ``expires_in`` in seconds."""

    token: Secret
    expires_in: float


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A tenant's credentials at one provider. ``config`` is the plugin's own ``account_type``, checked at load,
    ``prepared`` what its ``prepare`` made of the account.

    ``related`` is filled for ``explain`` only: the accounts that a sender may have confused with this one, by name
    (the tenant's other accounts at this provider, and earlier generations of this one). ``currencies`` are the
    settings' own, with their decimals.
    """

    tenant: str
    name: str
    config: Any
    fields: FieldMap
    derive: Derive
    prepared: Any = None
    session: Session | None = None
    related: Mapping[str, Account] = msgspec.field(default_factory=dict)
    currencies: Mapping[str, int] = msgspec.field(default_factory=dict)

    def digits(self, currency: str) -> int:
        """Decimals of a currency, by ISO 4217 or the settings' ``currencies``. Raises ``ValueError`` for another."""
        found = currency_digits(currency, self.currencies)
        if found is None:
            raise ValueError("the currency is not known here")
        return found

    def money(self, units: int, currency: str) -> Money:
        """Money of an amount in the currency's smallest unit: 1067 of JPY, 106733 of USD. Raises ``ValueError``."""
        if isinstance(units, bool) or not isinstance(units, int):
            raise ValueError("an amount in the smallest unit must be an int")
        digits = self.digits(currency)
        return Money.of(Decimal(units).scaleb(-digits), currency, digits)


@runtime_checkable
class Provider(Protocol):
    """What the gateway asks of a plugin. A class that names this as its base inherits what is defined here.

    Any other class with these members will do as well. How a callback is proved has no default.
    """

    name: str
    account_type: type[msgspec.Struct]
    commands: frozenset[type[Command]]
    fields: Mapping[str, FieldRule] = MappingProxyType({})
    secret_headers: frozenset[str] = frozenset()

    def rules(self, account: Account) -> Rules:  # noqa: ARG002  # the default is the same for every account
        """Declare what the provider allows under this account; by default all that the gateway allows."""
        return Rules()

    @abstractmethod
    def build(self, command: Command, account: Account) -> HttpRequest | Observation:
        """Turn a command into a request. Deterministic; may refuse with ``FieldProblem`` (a 422).

        A create that takes no call, such as a form to be posted by the customer, is an ``Observation`` at once.
        """
        ...

    def credentials(self, account: Account) -> Mapping[str, str | Secret]:  # noqa: ARG002  # as above
        """Name what the provider must be given: text is public, a Secret is shown only on ``--reveal``."""
        return {}

    @abstractmethod
    def parse(
        self, command: Command, response: HttpResponse, account: Account
    ) -> Observation | Declined | Pending | Absent | Ask:
        """Read an answer with a status the protocol uses. Raises ``OutcomeUnknown`` for what cannot be read."""
        ...

    @abstractmethod
    def verify(self, callback: Callback, account: Account) -> Event | Hint | tuple[Event | Hint, ...] | None:
        """Prove a callback and read it; one that reports several things is a tuple. Raises ``CallbackRejected``.

        None or an empty tuple: it is authentic, but not about a payment.
        """
        ...

    @abstractmethod
    def answer(self, verdict: Verdict, callback: Callback) -> HttpResponse:
        """Turn the verdict into the protocol's answer. ``callback.config`` is the account's config."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """An optional member of a provider: what follows from an account's settings alone."""

    def prepare(self, account: Account) -> Any:
        """Compute it once, when the settings are loaded; every later call has it as ``account.prepared``."""
        ...


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check of a callback: its name, whether it passed (None: not reached), and why, without any secret."""

    name: str
    passed: bool | None
    detail: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """How a plugin proves a callback, for operators; nothing in it is a secret or an expected signature.

    ``checks`` in the order ``verify`` makes them; ``signed``: the text that is signed, by the name of its form, secrets
    masked; ``notes``: what else helps.
    """

    checks: tuple[Check, ...]
    signed: Mapping[str, str] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()


class CallbackDraft(msgspec.Struct, frozen=True, kw_only=True):
    """What a callback made for a trial should report, and when it says that this happened (UTC).

    ``stage`` is ``CAPTURED``, ``FAILED`` or ``PROCESSING``; ``provider_reference`` the provider's own id, if any.
    """

    payment_id: str
    money: Money
    stage: Stage
    at: datetime
    provider_reference: str | None = None


@runtime_checkable
class Signs(Protocol):
    """An optional member of a provider whose callbacks can be made by anyone who has the account's secrets."""

    def sign_callback(self, draft: CallbackDraft, account: Account, url: str) -> HttpRequest:
        """Make the valid callback that reports ``draft``; ``url`` is the account's callback address."""
        ...


@runtime_checkable
class ShowsSigned(Protocol):
    """An optional member of a provider that signs its requests."""

    def signed_text(self, request: HttpRequest, account: Account) -> str:
        """Return the text that ``build`` signed, with ``***`` where the secret is."""
        ...


@runtime_checkable
class Explains(Protocol):
    """An optional member of a provider: the explanation of a callback."""

    def explain(self, callback: Callback, account: Account) -> Explanation:
        """Say how ``verify`` comes to its answer."""
        ...


@runtime_checkable
class Advises(Protocol):
    """An optional member of a provider: advice about an account."""

    def advice(self, account: Account) -> Mapping[str, str]:
        """Suggest what could be better in an account that works: a sentence by key, such as ``fields.user_id``."""
        ...


@runtime_checkable
class Notices(Protocol):
    """An optional member of a provider: what an answer has that the protocol does not promise."""

    def unusual(self, response: HttpResponse) -> Sequence[str]:
        """Name what an answer that was read has that the protocol does not promise; operators see each once."""
        ...


class SimulatedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as a simulator knows it: where to call back, and the credentials that it was given."""

    account: Account
    callback_url: str
    credentials: Mapping[str, str | Secret]


class Simulator(msgspec.Struct, frozen=True, kw_only=True):
    """A simulator of a provider, for development: an aiohttp application on its own loopback port.

    It serves ``GET /_sim/requests`` (raw bodies and headers received), ``GET /_sim/orders`` (its own ledger)
    and ``PUT /_sim/faults`` (JSON). Keys of ``accounts`` are ``tenant/account``.
    """

    provider: str
    port: int
    app: Callable[[Mapping[str, SimulatedAccount]], Application]
