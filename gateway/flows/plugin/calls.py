"""The only place where a plugin's code is called while the gateway runs: flows get what they can use, or an error.

What a plugin raises is caught; what it returns is checked (``core/plugin_returns.py``) before it is stored; its texts
are cleaned and masked (``cleaning.py``). What went wrong is one line in the log: account, member, kind of error
and its place, never its text. ``prepare``, ``rules`` and ``credentials`` are called once, when the settings are loaded
(``prepare`` and ``credentials`` of earlier generations when a callback is explained).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from msgspec.structs import replace

from gateway.core.checks import every, instance, mapping, optional, struct, text, type_name
from gateway.core.commands import Command, CreatePayment, FetchPayment
from gateway.core.errors import CallbackRejected, OutcomeUnknown, ProviderError, Reason, place_of
from gateway.core.facts import Busy, Event, Hint, Observation, Refused, Verdict
from gateway.core.field_values import FieldProblem
from gateway.core.plugin_returns import (
    ANSWER,
    CREATE_OUTCOME,
    CREDENTIALS,
    FACT,
    LOOKUP_FACT,
    MAX_TEXT_CHARACTERS,
    PROOF,
    SCOPE,
    UnusableValue,
    checked,
    request,
)
from gateway.core.secret import Secret
from gateway.core.wire import Callback, HttpRequest, HttpResponse
from gateway.drivers.provider_declaration import login_extras
from gateway.drivers.settings import AccountEntry, Settings
from gateway.flows.plugin import cleaning
from gateway.flows.plugin.cleaning import ParsedAnswer
from gateway.flows.runtime import Gateway, log
from gateway.provider import Account, CallbackDraft, Check, Explains, Explanation, Prepares, Session, ShowsSigned

T = TypeVar("T")

MAX_UNUSUAL_NOTED = 100
"""Unusual answers that are remembered of one account: a provider may word each of them differently."""

Proof = Event | Hint | tuple[Event | Hint, ...] | None
"""What ``verify`` proves; a tuple has two parts at least."""

MAX_CLAIM_CHARACTERS = 64
"""Of what an unproved callback says that it is about."""


def _fault(entry: AccountEntry, member: str, error: BaseException) -> str:
    """Log that a plugin broke, or returned what cannot be used; return what went wrong in the gateway's words.

    It is called for every exception, ``sys.exit()`` and a cancellation too: a plugin must not end the process, nor the
    task that called it. Only ``KeyboardInterrupt`` is raised again.
    """
    if isinstance(error, KeyboardInterrupt):
        raise error
    is_ours = isinstance(error, UnusableValue)
    what, place = (str(error), None) if is_ours else (type(error).__name__, place_of(error))
    where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
    log.error("a plugin failed", extra={**where, "member": member, "kind": what, "place": place})
    return what


def build(gw: Gateway, entry: AccountEntry, account: Account, command: Command) -> HttpRequest:
    """Turn a command into a request. What does not fit is the tenant's 422; raises ``ProviderError`` for all else."""
    return _built(gw, entry, account, command, partial(request, development=gw.settings.server.development))


def build_create(
    gw: Gateway, entry: AccountEntry, account: Account, command: CreatePayment
) -> HttpRequest | Observation:
    """Turn a create into a request, or into what it comes to where the provider need not be called. As ``build``."""

    def usable(made: Any) -> HttpRequest | Observation:
        if isinstance(made, Observation):
            return cleaning.clean_create_outcome(gw, entry, command.payment_id, checked(made, CREATE_OUTCOME))
        return request(made, development=gw.settings.server.development)

    return _built(gw, entry, account, command, usable)


def _built(gw: Gateway, entry: AccountEntry, account: Account, command: Command, check: Callable[[Any], T]) -> T:
    try:
        return check(entry.provider.build(command, account))
    except FieldProblem as problem:
        raise cleaning.field_errors(gw, entry, problem) from None
    except BaseException as error:
        _fault(entry, "build", error)
        raise ProviderError(f"{entry.provider.name} could not build the request") from None


def parse(
    gw: Gateway, entry: AccountEntry, command: Command, response: HttpResponse, *, account: Account | None = None
) -> ParsedAnswer:
    """Read an answer. Raises ``OutcomeUnknown``, worded for operators.

    ``account``: the one whose session a further question of a lookup needs.
    """
    is_reply = not isinstance(command, FetchPayment)
    try:
        said = entry.provider.parse(command, response, account or entry.account)
        fact = checked(said, FACT if is_reply else LOOKUP_FACT)
        read = cleaning.clean_answer(gw, entry, fact, command.payment_id, is_reply=is_reply)
    except ProviderError as unread:
        raise OutcomeUnknown(_message(gw, entry, unread) or "unreadable") from None
    except BaseException as error:
        raise OutcomeUnknown(f"plugin_error {_fault(entry, 'parse', error)}") from None
    if hasattr(entry.provider, "unusual"):  # asked of every answer: ``isinstance`` of a Protocol takes microseconds
        _note_unusual(gw, entry, response)
    return read


def _note_unusual(gw: Gateway, entry: AccountEntry, response: HttpResponse) -> None:
    """Warn operators once per account of each way in which its answers are not what the protocol promises."""
    plugin: Any = entry.provider
    try:
        found = checked(plugin.unusual(response), _LINES)
    except BaseException as error:
        _fault(entry, "unusual", error)
        return  # what was read of the answer stands
    noted = gw.memory.noted[entry.tenant, entry.name]
    for what in found:
        if what not in noted and len(noted) < MAX_UNUSUAL_NOTED:
            noted.add(what)
            where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
            kind = cleaning.sentence(gw, entry, what)
            log.warning("an answer is unusual but was read", extra={**where, "kind": kind})


def verify_as(gw: Gateway, entry: AccountEntry, callback: Callback) -> tuple[AccountEntry, Proof]:
    """Verify a callback with the account's secrets, or with those before them that are accepted. Returns the account
    that it was proved for, which is ``entry`` or one of its ``earlier``, and what it proves.

    Raises ``CallbackRejected``, also where the plugin fails.
    """
    if entry.alone is None:
        return entry, _verified(gw, entry, entry.account, callback)
    try:
        return entry, _verified(gw, entry, entry.alone, callback)
    except CallbackRejected:
        for earlier in entry.earlier:
            with suppress(CallbackRejected):
                return earlier, _verified(gw, earlier, earlier.account, callback)
        raise


def _verified(gw: Gateway, entry: AccountEntry, account: Account, callback: Callback) -> Proof:
    try:
        said = checked(entry.provider.verify(callback, account), PROOF)
        if not isinstance(said, tuple):
            return None if said is None else cleaning.clean_proof(gw, entry, said)
        parts = tuple([cleaning.clean_proof(gw, entry, one) for one in said])
        return parts if len(parts) > 1 else next(iter(parts), None)
    except CallbackRejected as rejected:
        reason = rejected.reason if isinstance(rejected.reason, Reason) else Reason.UNAUTHENTIC
        claims = cleaning.sentence(gw, entry, rejected.claims, MAX_CLAIM_CHARACTERS) or None
        raise CallbackRejected(reason, cleaning.sentence(gw, entry, rejected.detail), claims=claims) from None
    except BaseException as error:
        why = f"the plugin failed to verify: {_fault(entry, 'verify', error)}"
        raise CallbackRejected(Reason.UNAUTHENTIC, why) from None


def answer(entry: AccountEntry, verdict: Verdict, callback: Callback) -> HttpResponse:
    """Answer with a verdict; where the plugin fails with a plain 400 or 503, never success for what is not stored."""
    try:
        made: HttpResponse = checked(entry.provider.answer(verdict, callback), ANSWER)
        if isinstance(verdict, Busy) and made.status < 400:
            raise UnusableValue("HttpResponse: status must be an error where the verdict is Busy")
        return made
    except BaseException as error:
        _fault(entry, "answer", error)
        return HttpResponse(status=400 if isinstance(verdict, Refused) else 503)


def prepared(entry: AccountEntry, account: Account) -> Account:
    """The entry's account with other secrets, prepared again; with nothing prepared where the plugin fails."""
    if not isinstance(entry.provider, Prepares):
        return account
    try:
        return replace(account, prepared=entry.provider.prepare(account))
    except BaseException as error:
        _fault(entry, "prepare", error)
        return replace(account, prepared=None)


def credentials(entry: AccountEntry) -> Mapping[str, str | Secret]:
    """What the provider must be given for an account; empty where the plugin fails."""
    try:
        made: Mapping[str, str | Secret] = checked(entry.provider.credentials(entry.account), CREDENTIALS)
        return made
    except BaseException as error:
        _fault(entry, "credentials", error)
        return {}


def session_scope(entry: AccountEntry, command: Command) -> str:
    """Which of the account's sessions a command needs; empty where it has but one. Raises ``ProviderError``."""
    plugin: Any = entry.provider
    if not hasattr(plugin, "session_scope"):
        return ""
    try:
        scope: str = checked(plugin.session_scope(command), SCOPE)
        return scope
    except BaseException as error:
        _fault(entry, "session_scope", error)
        raise ProviderError(f"{entry.provider.name} could not name the session") from None


def login(gw: Gateway, entry: AccountEntry, scope: str) -> HttpRequest:
    """Make the request of a login, for the sessions of a scope. Raises ``ProviderError``, worded for operators."""
    plugin: Any = entry.provider
    try:
        more = (gw.clock.now(), scope)[: login_extras(plugin)]
        return request(plugin.login(entry.account, *more), development=gw.settings.server.development)
    except BaseException as error:
        raise _not_ready(gw, entry, "login", error) from None


def parse_login(gw: Gateway, entry: AccountEntry, response: HttpResponse) -> Session:
    """Read the answer to a login. Raises ``ProviderError``, worded for operators."""
    plugin: Any = entry.provider
    try:
        session: Session = checked(plugin.parse_login(response, entry.account), _SESSION)
        return session
    except BaseException as error:
        raise _not_ready(gw, entry, "parse_login", error) from None


def sign_callback(settings: Settings, entry: AccountEntry, draft: CallbackDraft, url: str) -> HttpRequest:
    """Make a valid callback of an account that can. Raises ``ProviderError`` where the plugin fails."""
    plugin: Any = entry.provider
    try:
        made = plugin.sign_callback(draft, entry.account, url)
        return request(made, development=settings.server.development)
    except BaseException as error:
        raise ProviderError(f"the plugin failed: {_fault(entry, 'sign_callback', error)}") from None


def explain(gw: Gateway, entry: AccountEntry, callback: Callback) -> Explanation | None:
    """How ``verify`` proves a callback, without secrets; None where the plugin does not explain it."""
    if not isinstance(entry.provider, Explains):
        return None
    try:
        explanation: Explanation = checked(entry.provider.explain(callback, entry.account), _EXPLANATION)
    except BaseException as error:
        why = f"the plugin failed to explain: {_fault(entry, 'explain', error)}"
        return Explanation(checks=(), notes=(why,))
    return cleaning.clean_explanation(gw, entry, explanation)


def signed_text(gw: Gateway, entry: AccountEntry, request: HttpRequest) -> str | None:
    """The text that a plugin signed in a request, without secrets; None where it signs none, or fails to show it."""
    if not isinstance(entry.provider, ShowsSigned):
        return None
    try:
        shown: str = checked(entry.provider.signed_text(request, entry.account), _LINE)
    except BaseException as error:
        _fault(entry, "signed_text", error)
        return None
    return gw.masks.of(entry.tenant).over(shown)


def _not_ready(gw: Gateway, entry: AccountEntry, member: str, error: BaseException) -> ProviderError:
    """The error of a call that is needed ahead of an operation."""
    if isinstance(error, ProviderError):
        return ProviderError(_message(gw, entry, error))
    return ProviderError(f"the plugin failed: {_fault(entry, member, error)}")


def _message(gw: Gateway, entry: AccountEntry, problem: ProviderError) -> str:
    """The text of a plugin's error: its argument, since its ``__str__`` may be the plugin's own code."""
    return cleaning.sentence(gw, entry, problem.args[0] if problem.args else "")


def _seconds(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_life = is_number and math.isfinite(value) and value > 0
    return None if is_life else "must be a number of seconds above zero"


def _token(value: Any) -> str | None:
    if not isinstance(value, Secret):
        return f"must be Secret, not {type_name(value)}"
    return text(MAX_TEXT_CHARACTERS, least=1)(value.reveal())


_LINE = text(MAX_TEXT_CHARACTERS)
_LINES = every(_LINE, (tuple, list))
_SESSION = struct(Session, {"token": _token, "expires_in": _seconds})
_CHECK = struct(Check, {"name": _LINE, "passed": optional(instance(bool)), "detail": _LINE})
_EXPLANATION = struct(Explanation, {"checks": every(_CHECK), "signed": mapping(_LINE, _LINE), "notes": every(_LINE)})
"""What ``parse_login`` and ``explain`` may return; the rest is in ``core/plugin_returns.py``."""
