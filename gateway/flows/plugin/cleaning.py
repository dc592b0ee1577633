"""What a plugin said, made fit to be stored and shown: clean texts without secrets, no id or address that holds one.

A page address that no customer may be sent to is never kept. In a reply it leaves the outcome open; in a callback or a
lookup the rest of what was said stands. Raises ``UnusableValue`` for what cannot be mended.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec.structs import replace

from gateway.core.errors import OutcomeUnknown, TenantError, invalid
from gateway.core.facts import Absent, Declined, Event, Hint, Observation, Pending
from gateway.core.field_mapping import FieldProblem
from gateway.core.masking import without_numbers_and_keys
from gateway.core.plugin_returns import UnusableValue, page_problem
from gateway.drivers.settings import AccountEntry
from gateway.flows.runtime import Gateway, log
from gateway.provider import Check, Explanation

LONGEST_SENTENCE = 500
LONGEST_WORD = 64
"""Characters of a provider's sentence, and of one of its words, that are kept."""

LONGEST_WORDS = 100
"""Characters of an unknown status in words for people."""

_WORD = re.compile(r"[A-Za-z_. -]{1,64}|[0-9]{1,12}")
"""A status word that is kept as it is, as nearly all are."""

_IDS = ("payment_id", "provider_reference", "merchant_reference", "redirect_url")

Read = Observation | Declined | Pending | Absent
"""What may be read in an answer."""


def sentence(gw: Gateway, entry: AccountEntry, said: object, longest: int = LONGEST_SENTENCE) -> str:
    """A plugin's text as one clean line; empty for what is no text."""
    return gw.masks.line(entry.tenant, said, longest) if isinstance(said, str) else ""


def replied(gw: Gateway, entry: AccountEntry, fact: Read) -> Read:
    """What a reply says. Raises ``OutcomeUnknown`` where it sends customers to an address that they must not open."""
    seen = fact.observation if isinstance(fact, Pending) else fact
    problem = _page_problem(gw, seen.redirect_url) if isinstance(seen, Observation) else None
    if problem is not None:
        raise OutcomeUnknown(f"redirect_url {problem}")
    return shown(gw, entry, fact)


def shown(gw: Gateway, entry: AccountEntry, fact: Read) -> Read:
    """What a lookup shows."""
    match fact:
        case Observation():
            return _observation(gw, entry, fact)
        case Pending(observation=seen):
            return replace(fact, observation=_observation(gw, entry, seen))
        case Declined(code=code, message=message):
            code, message = sentence(gw, entry, code, LONGEST_WORD), sentence(gw, entry, message)
            return Declined(code=code, message=message)
        case Absent():
            return fact


def proved(gw: Gateway, entry: AccountEntry, said: Event | Hint | None) -> Event | Hint | None:
    """What a callback says."""
    if not isinstance(said, Event):
        return said
    if _holds_secret(gw, entry, said.event_id):
        raise UnusableValue("event_id holds a secret")
    detail = None if said.detail is None else sentence(gw, entry, said.detail)
    return replace(said, observation=_observation(gw, entry, said.observation), detail=detail)


def explanation(gw: Gateway, entry: AccountEntry, said: Explanation) -> Explanation:
    """What ``explain`` says; the text that is signed keeps its line breaks."""
    secrets = gw.masks.of(entry.tenant)

    def mask(text: str) -> str:
        return without_numbers_and_keys(secrets.over(text))

    return Explanation(
        checks=tuple(Check(name=mask(one.name), passed=one.passed, detail=mask(one.detail)) for one in said.checks),
        signed={mask(form): mask(signed) for form, signed in said.signed.items()},
        notes=tuple(map(mask, said.notes)),
    )


def field_errors(gw: Gateway, entry: AccountEntry, problem: FieldProblem) -> TenantError:
    """The tenant's 422 for what a plugin refuses to build."""
    pairs: list[Any] = list(problem.problems)
    return invalid(*((sentence(gw, entry, path), sentence(gw, entry, message)) for path, message in pairs))


def _observation(gw: Gateway, entry: AccountEntry, seen: Observation) -> Observation:
    ids, word = [getattr(seen, name) for name in _IDS], seen.raw_status
    is_clean = not _holds_secret(gw, entry, *ids, word)
    if not is_clean and _holds_secret(gw, entry, *ids):
        raise UnusableValue("an id or address holds a secret")
    problem = _page_problem(gw, seen.redirect_url)
    if problem is not None:
        where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
        log.warning("a page address was left out", extra={**where, "problem": problem})
        seen = replace(seen, redirect_url=None)
    if seen.unknown_status:
        seen = replace(seen, unknown_status=sentence(gw, entry, seen.unknown_status, LONGEST_WORDS))
    if word is None or (is_clean and _WORD.fullmatch(word) is not None):
        return seen
    return replace(seen, raw_status=sentence(gw, entry, word, LONGEST_WORD) or None)


def _page_problem(gw: Gateway, url: str | None) -> str | None:
    return page_problem(url, development=gw.settings.server.development) if url else None


def _holds_secret(gw: Gateway, entry: AccountEntry, *texts: str | None) -> bool:
    return gw.masks.quote(entry.tenant, list(filter(None, texts)))
