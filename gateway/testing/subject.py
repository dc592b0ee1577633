"""The provider that is checked, with its accounts and samples: makes its calls and reports their results."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from msgspec.structs import replace

from gateway.core.errors import SettingsError
from gateway.core.masking import Mask, secrets_in
from gateway.core.secret import Secret
from gateway.core.wire import HttpRequest
from gateway.provider import Account, Provider, Session
from gateway.testing.accounts import both, load_accounts
from gateway.testing.actions import Action, action_of
from gateway.testing.calls import Call, Outcome
from gateway.testing.recipes import Recipe, command_name, money_of
from gateway.testing.render import response_of
from gateway.testing.samples import Samples, UnusableSamples
from gateway.testing.steps import enter, readable
from gateway.testing.watch import Watch

USUAL = ("USD 10.00", "JPY 500", "KWD 1.250")
"""Amounts of currencies with two, no and three decimals."""

UNTOUCHED = "?untouched"
"""The end of an account's label: it is used in a copy of the plugin in which no other account was used before."""

WATCHED_CALLS = 4
"""Calls of one kind that are watched: watching takes longer than the call, and calls of one kind do the same."""


class Subject:
    """A provider under check."""

    def __init__(self, provider: Provider, samples: Samples, again: Provider | None = None) -> None:
        """Load the accounts. ``again`` is the provider of a second copy of the module. Raises ``SettingsError``."""
        self.provider: Any = provider
        self._again = again
        self.given = both(provider, samples.accounts)
        self.entries = load_accounts(provider, self.given)
        self.samples = samples
        self.calls: Counter[str] = Counter()
        self._watched: Counter[tuple[object, ...]] = Counter()
        self.costs: dict[str, float] = {}
        self.is_guilty = False

    @cached_property
    def accounts(self) -> dict[str, Account]:
        """The accounts, with a session where the provider logs in."""
        return {label: self._with_session(entry.account) for label, entry in self.entries.items()}

    def _with_session(self, account: Account) -> Account:
        if not hasattr(self.provider, "login"):
            return account
        return replace(account, session=Session(token=Secret(f"kit-session-{account.tenant}-0123"), expires_in=3600.0))

    def account(self, label: str) -> Account:
        """An account by its label; ``tenant/name?extra=KEY`` is that account with one more parameter of this key.

        Raises ``SettingsError`` for one that cannot be.
        """
        if label not in self.accounts:
            name, _, key = label.partition("?extra=")
            given = next(one for one in self.given if one.label == name)
            extra = {**given.fields, "kit_extra": {"key": key, "value": "kit-extra"}}
            (entry,) = load_accounts(self.provider, [replace(given, fields=extra)]).values()
            self.accounts[label] = self._with_session(entry.account)
        return self.accounts[label]

    def can_load(self, label: str) -> bool:
        """Whether the settings accept such an account."""
        try:
            self.account(label)
        except SettingsError:
            return False
        return True

    @cached_property
    def memory(self) -> dict[str, str]:
        """What the gateway keeps of the answers to a create, and gives to later commands."""
        kept: dict[str, str] = {}
        for reply in self.samples.replies:
            if command_name(reply.command) == "CreatePayment":
                call = Call(member="parse", account=self.label, recipe=self._create, response=response_of(reply))
                kept.update(getattr(self.run(call).value, "memory", {}))
        return kept

    def recipe(self, command: str, money: str, **members: Any) -> Recipe:
        """A command in words; all but a create have what the gateway keeps."""
        memory = {} if command == "CreatePayment" else self.memory
        return Recipe(command=command, money=money, memory=memory, **members)

    @property
    def _create(self) -> Recipe:
        return Recipe(command="CreatePayment", money=self.moneys[0])

    @property
    def labels(self) -> list[str]:
        """The accounts by label: the first, and one of another tenant."""
        first = next(iter(self.entries))
        other = next(label for label in self.entries if label.split("/")[0] != first.split("/")[0])
        return [first, other]

    @property
    def label(self) -> str:
        """The account that is used where one is enough."""
        return self.labels[0]

    def label_of(self, account: str | None) -> str:
        """The label of an account that a sample names, with or without its tenant. Raises ``UnusableSamples``."""
        wanted = account or self.label
        found = next((label for label in self.entries if wanted in (label, label.split("/")[1])), None)
        if found is None:
            raise UnusableSamples(f'account "{wanted}": must be one of {", ".join(self.entries)}')
        return found

    @cached_property
    def commands(self) -> list[str]:
        """The names of the declared commands, the create first."""
        names = sorted(kind.__name__ for kind in self.provider.commands)
        return sorted(names, key=lambda name: name != "CreatePayment")

    @cached_property
    def moneys(self) -> list[str]:
        """Amounts in the currencies that the provider accepts, those of the samples first."""
        accepted = self.entries[self.label].rules.currencies
        stated = [*self.samples.wire, *(reply.money for reply in self.samples.replies if reply.money), *USUAL]
        usable = [one for one in dict.fromkeys(stated) if accepted is None or one.split(" ")[0] in accepted]
        return usable or [f"{code} {_ten(code)}" for code in sorted(accepted or ())[:1]]

    @cached_property
    def mask(self) -> Mask:
        """All secrets of the accounts."""
        return Mask(secret.reveal() for label in self.labels for secret in self.secrets(label))

    def secrets(self, label: str) -> Iterator[Secret]:
        """The secrets of one account: of its settings, what the provider is given, what was prepared, its session."""
        account, entry = self.accounts[label], self.entries[label]
        yield from (secret for _, secret in secrets_in(account.config))
        yield from (secret for secret in entry.credentials.values() if isinstance(secret, Secret))
        yield from (secret for _, secret in secrets_in(account.prepared))
        if account.session is not None:
            yield account.session.token

    @cached_property
    def untouched(self) -> Subject | None:
        """The same provider as it is before any call; None where it cannot be imported a second time."""
        return Subject(self._again, self.samples) if self._again is not None else None

    def run(self, call: Call) -> Outcome:
        """Make a call and judge what it returned as the gateway does. An account with ``UNTOUCHED`` is that of
        ``untouched``."""
        if call.account.endswith(UNTOUCHED):
            call = replace(call, account=call.account.removesuffix(UNTOUCHED))
            if self.untouched is not None:
                return self.untouched.run(call)
        self.calls[call.member] += 1
        enter(f"{call.member} {call.recipe or ''}".strip())
        act, problem_of = self.action(call)
        value = error = None
        watch = Watch(is_on=self._is_to_be_watched(call))
        began = time.thread_time()
        try:
            with watch:
                value = act()
        except KeyboardInterrupt:
            raise
        except BaseException as raised:  # whatever the plugin raises is what is judged
            error = readable(raised)
        seconds = time.thread_time() - began
        self.is_guilty = self.is_guilty or bool(watch.touched)
        wrong = problem_of(value) if error is None else None
        if wrong is not None and isinstance(value, HttpRequest):
            value = None  # no rule can look into a request whose members have other types
        return Outcome(value=value, error=error, wrong=wrong, touched=tuple(watch.touched), seconds=seconds)

    def action(self, call: Call) -> Action:
        """The call itself, and the check of what it returns."""
        return action_of(self.provider, self.account(call.account), call)

    def _is_to_be_watched(self, call: Call) -> bool:
        kind = (call.member, call.recipe.command if call.recipe else None)
        self._watched[kind] += 1
        return self.is_guilty or self._watched[kind] <= WATCHED_CALLS


def _ten(currency: str) -> str:
    return money_of(f"{currency} 10").text()
