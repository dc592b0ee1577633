"""Clean what a plugin returned before it is stored or shown: no secrets in texts, ids or addresses.

A ``redirect_url`` that customers must not be sent to is never kept: in a reply it leaves the outcome unknown, in a
callback or a lookup it is left out and the rest is used. Raises ``UnusableValue`` for what cannot be cleaned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from msgspec.structs import replace

from gateway.core.credentials import without_credentials
from gateway.core.errors import OutcomeUnknown, TenantError, invalid
from gateway.core.facts import Absent, Ask, Declined, Event, Form, Hint, Observation, OperationOutcome, Pending
from gateway.core.field_values import FieldProblem
from gateway.core.masking import without_numbers_and_keys
from gateway.core.plugin_returns import UnusableValue, page_problem, request
from gateway.core.signing import make_token
from gateway.drivers.settings import AccountEntry
from gateway.flows.runtime import Gateway, log
from gateway.provider import Check, Explanation

MAX_SENTENCE_CHARACTERS = 500
MAX_WORD_CHARACTERS = 64
"""Of a provider's sentence, and of one of its words."""

MAX_STATUS_CHARACTERS = 100
"""Of an unknown status in words for people."""

_WORD = re.compile(r"[A-Za-z_. -]{1,64}|[0-9]{1,12}")
"""A status word that needs no cleaning, as nearly all are."""

_ids = attrgetter("payment_id", "provider_reference", "merchant_reference", "redirect_url")
_texts = attrgetter("payment_id", "provider_reference", "merchant_reference", "redirect_url", "raw_status")

ParsedAnswer = Observation | Declined | Pending | Absent | Ask
"""What ``parse`` may return."""


def sentence(gw: Gateway, entry: AccountEntry, text: object, longest: int = MAX_SENTENCE_CHARACTERS) -> str:
    """A plugin's text as one clean line; empty for what is not a text."""
    return gw.masks.line(entry.tenant, text, longest) if isinstance(text, str) else ""


def clean_answer(
    gw: Gateway, entry: AccountEntry, fact: ParsedAnswer, payment_id: str, *, is_reply: bool
) -> ParsedAnswer:
    """Clean a reply, or what a lookup shows, of a payment.

    Raises ``OutcomeUnknown`` for a reply that would send customers to an address they must not open.
    """
    match fact:
        case Observation():
            return _observed(gw, entry, fact, payment_id, is_reply=is_reply)
        case Pending(observation=seen):
            return replace(fact, observation=_observed(gw, entry, seen, payment_id, is_reply=is_reply))
        case Declined():
            return _declined(gw, entry, fact)
        case Absent():
            return fact
        case Ask():
            if _holds_secret(gw, entry, *fact.memory, *fact.memory.values()):
                raise UnusableValue("Ask: memory holds a secret")
            return replace(fact, request=request(fact.request, development=gw.settings.server.development))


def clean_create_outcome(gw: Gateway, entry: AccountEntry, payment_id: str, made: Observation) -> Observation:
    """Clean what a create comes to without a call."""
    try:
        return _observed(gw, entry, made, payment_id, is_reply=True)
    except OutcomeUnknown as problem:
        raise UnusableValue(f"Observation: {problem}") from None


def clean_proof(gw: Gateway, entry: AccountEntry, proof: Event | Hint) -> Event | Hint:
    """Clean what a callback, or a part of it, proves."""
    if not isinstance(proof, Event):
        return proof
    is_clean = _is_clean(gw, entry, proof.observation, proof.event_id)
    if not is_clean and _holds_secret(gw, entry, proof.event_id):
        raise UnusableValue("event_id holds a secret")
    detail = None if proof.detail is None else sentence(gw, entry, proof.detail)
    if proof.operation is not None:
        proof = replace(proof, operation=_operation(gw, entry, proof.operation))
    seen = _observation(gw, entry, proof.observation, is_clean=is_clean)
    return replace(proof, observation=replace(seen, form=None) if seen.form is not None else seen, detail=detail)


def clean_explanation(gw: Gateway, entry: AccountEntry, given: Explanation) -> Explanation:
    """Clean an explanation; the text that is signed keeps its line breaks."""
    secrets = gw.masks.of(entry.tenant)

    def mask(text: str) -> str:
        return without_numbers_and_keys(secrets.over(text))

    return Explanation(
        checks=tuple(Check(name=mask(one.name), passed=one.passed, detail=mask(one.detail)) for one in given.checks),
        signed={mask(form): mask(signed) for form, signed in given.signed.items()},
        notes=tuple(map(mask, given.notes)),
    )


def field_errors(gw: Gateway, entry: AccountEntry, problem: FieldProblem) -> TenantError:
    """The tenant's 422 for what a plugin refuses to build."""
    pairs: list[Any] = list(problem.problems)
    return invalid(*((sentence(gw, entry, path), sentence(gw, entry, message)) for path, message in pairs))


def _observed(gw: Gateway, entry: AccountEntry, seen: Observation, payment_id: str, *, is_reply: bool) -> Observation:
    """Clean what an answer shows of a payment. A form has a page of the gateway's own, which posts it."""
    seen = _observation(gw, entry, seen, is_clean=_is_clean(gw, entry, seen), is_reply=is_reply)
    if seen.form is None:
        return seen
    token = make_token(entry.secret, entry.endpoint_id, payment_id, "form")
    return replace(seen, redirect_url=f"{gw.callback_url(entry)}/form/{token}")


def _observation(
    gw: Gateway, entry: AccountEntry, seen: Observation, *, is_clean: bool, is_reply: bool = False
) -> Observation:
    """Clean what was observed. ``is_clean``: its ids, its address and its word hold no secret."""
    word = seen.raw_status
    holds = not is_clean and _holds_secret(gw, entry, *_ids(seen), *seen.memory, *seen.memory.values())
    if holds or (seen.form is not None and _shows_secret(gw, entry, seen.form)):
        raise UnusableValue("an id, an address, memory or a form holds a secret")
    problem = _page_problem(gw, seen)
    if problem is not None and is_reply:
        raise OutcomeUnknown(problem)
    if problem is not None:
        where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
        log.warning("a page address was left out", extra={**where, "problem": problem})
        seen = replace(seen, redirect_url=None, form=None)
    if seen.operations:
        seen = replace(seen, operations=tuple(_operation(gw, entry, one) for one in seen.operations))
    if seen.instructions:
        seen = replace(seen, instructions=_instructions(gw, entry, seen.instructions))
    if seen.unknown_status:
        seen = replace(seen, unknown_status=sentence(gw, entry, seen.unknown_status, MAX_STATUS_CHARACTERS))
    if word is None or (is_clean and _WORD.fullmatch(word) is not None):
        return seen
    return replace(seen, raw_status=sentence(gw, entry, word, MAX_WORD_CHARACTERS) or None)


def _operation(gw: Gateway, entry: AccountEntry, one: OperationOutcome) -> OperationOutcome:
    if _holds_secret(gw, entry, one.operation_id, one.provider_id):
        raise UnusableValue("the id of an operation holds a secret")
    if not isinstance(one.outcome, Declined):
        return one
    return replace(one, outcome=_declined(gw, entry, one.outcome))


def _declined(gw: Gateway, entry: AccountEntry, no: Declined) -> Declined:
    return Declined(code=sentence(gw, entry, no.code, MAX_WORD_CHARACTERS), message=sentence(gw, entry, no.message))


def _is_clean(gw: Gateway, entry: AccountEntry, seen: Observation, *ids: str) -> bool:
    texts = _texts(seen)
    if seen.memory:
        texts += (*seen.memory, *seen.memory.values())
    return not _holds_secret(gw, entry, *ids, *texts)


def _shows_secret(gw: Gateway, entry: AccountEntry, form: Form) -> bool:
    """Whether a form shows the customer a secret. Not the payment's links: the browser returns by them."""
    return gw.masks.of(entry.tenant).holds("\n".join((form.url, *form.fields, *form.fields.values())))


def _instructions(gw: Gateway, entry: AccountEntry, given: Mapping[str, str]) -> dict[str, str]:
    """What the customer needs to pay, to the letter but without secrets.

    Its numbers stay: bank accounts and payment slips look like card numbers, and a masked one cannot be paid.
    """
    secrets = gw.masks.of(entry.tenant)

    def mask(text: str) -> str:
        return without_credentials(secrets.over(text))

    return {mask(name): mask(text) for name, text in given.items()}


def _page_problem(gw: Gateway, seen: Observation) -> str | None:
    name, url = ("redirect_url", seen.redirect_url) if seen.form is None else ("form.url", seen.form.url)
    problem = page_problem(url, development=gw.settings.server.development) if url else None
    return None if problem is None else f"{name} {problem}"


def _holds_secret(gw: Gateway, entry: AccountEntry, *texts: str | None) -> bool:
    return gw.masks.quote(entry.tenant, list(filter(None, texts)))
