"""The only place where a plugin's code is called while the gateway runs: the flows get what they can use, or an error.

What a plugin raises is caught; what it returns is checked (``core/plugin_returns.py``) before any of it is stored; its
texts are cleaned and masked (``cleaning.py``). What went wrong is one line in the log: account, member, kind of error
and its place, never its text. ``rules`` and ``credentials`` are called once, when the settings are loaded
(``credentials`` of earlier generations when a callback is explained).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, TypeVar

from gateway.core.checks import every, instance, mapping, optional, struct, text, type_name
from gateway.core.commands import Command, FetchPayment
from gateway.core.errors import CallbackRejected, GatewayError, OutcomeUnknown, ProviderError, Reason
from gateway.core.facts import Busy, Event, Hint, Refused, Verdict
from gateway.core.field_mapping import FieldProblem
from gateway.core.plugin_returns import (
    ANSWER,
    CREDENTIALS,
    FACT,
    MAX_TEXT_CHARACTERS,
    PROOF,
    UnusableValue,
    checked,
    request,
)
from gateway.core.secret import Secret
from gateway.core.wire import Callback, HttpRequest, HttpResponse
from gateway.drivers.settings import AccountEntry, Settings
from gateway.flows.plugin import cleaning
from gateway.flows.plugin.cleaning import Read
from gateway.flows.runtime import Gateway, log
from gateway.provider import Account, CallbackDraft, Check, Explains, Explanation, Notices, Session

T = TypeVar("T")

MOST_NOTED = 10_000
"""Kinds of unusual answers that are remembered, of all accounts: what providers write may differ every time."""


class _Fault(GatewayError):
    """A plugin broke, or returned what cannot be used. The text is ours: a kind of error, or what was wrong."""


def build(gw: Gateway, entry: AccountEntry, account: Account, command: Command) -> HttpRequest:
    """Turn a command into a request. What does not fit is the tenant's 422; raises ``ProviderError`` for all else."""
    judge = partial(request, development=gw.settings.server.development)
    try:
        return _called(entry, "build", judge, command, account, expected=FieldProblem)
    except FieldProblem as problem:
        raise cleaning.field_errors(gw, entry, problem) from None
    except _Fault:
        raise ProviderError(f"{entry.provider.name} could not build the request") from None


def parse(gw: Gateway, entry: AccountEntry, command: Command, response: HttpResponse) -> Read:
    """Read an answer. Raises ``OutcomeUnknown``, worded for operators."""
    clean = cleaning.shown if isinstance(command, FetchPayment) else cleaning.replied

    def judge(value: Any) -> Read:
        return clean(gw, entry, checked(value, FACT))

    try:
        read = _called(entry, "parse", judge, command, response, entry.account, expected=ProviderError)
    except ProviderError as unread:
        raise OutcomeUnknown(_said(gw, entry, unread) or "unreadable") from None
    except _Fault as fault:
        raise OutcomeUnknown(f"plugin_error {fault}") from None
    _note_unusual(gw, entry, response)
    return read


def _note_unusual(gw: Gateway, entry: AccountEntry, response: HttpResponse) -> None:
    """Tell operators once per account of each way in which its answers are not what the protocol promises."""
    if not isinstance(entry.provider, Notices):
        return
    try:
        found = _called(entry, "unusual", partial(checked, check=_LINES), response)
    except _Fault:
        return  # logged; what was read of the answer stands
    for what in found:
        noted = (entry.tenant, entry.name, what)
        if noted not in gw.noted and len(gw.noted) < MOST_NOTED:
            gw.noted.add(noted)
            where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
            log.warning(
                "an answer is unusual but was read", extra={**where, "kind": cleaning.sentence(gw, entry, what)}
            )


def verify(gw: Gateway, entry: AccountEntry, callback: Callback) -> Event | Hint | None:
    """Prove a callback. Raises ``CallbackRejected``, also where the plugin fails."""

    def judge(value: Any) -> Event | Hint | None:
        return cleaning.proved(gw, entry, checked(value, PROOF))

    try:
        return _called(entry, "verify", judge, callback, entry.account, expected=CallbackRejected)
    except CallbackRejected as rejected:
        reason = rejected.reason if isinstance(rejected.reason, Reason) else Reason.UNAUTHENTIC
        claims = cleaning.sentence(gw, entry, rejected.claims, LONGEST_CLAIM) or None
        raise CallbackRejected(reason, cleaning.sentence(gw, entry, rejected.detail), claims=claims) from None
    except _Fault as fault:
        raise CallbackRejected(Reason.UNAUTHENTIC, f"the plugin failed to verify: {fault}") from None


def answer(entry: AccountEntry, verdict: Verdict, callback: Callback) -> HttpResponse:
    """Word a verdict; where the plugin fails, a plain 400 or 503, and never a success for what is not stored."""

    def judge(value: Any) -> HttpResponse:
        made: HttpResponse = checked(value, ANSWER)
        if isinstance(verdict, Busy) and made.status < 400:
            raise UnusableValue("HttpResponse: status must be an error where the verdict is Busy")
        return made

    try:
        return _called(entry, "answer", judge, verdict, callback)
    except _Fault:
        return HttpResponse(status=400 if isinstance(verdict, Refused) else 503)


def credentials(entry: AccountEntry) -> Mapping[str, str | Secret]:
    """What the other side of an account is told; nothing where the plugin fails."""
    try:
        made: Mapping[str, str | Secret] = _called(
            entry, "credentials", partial(checked, check=CREDENTIALS), entry.account
        )
    except _Fault:
        return {}
    return made


def login(gw: Gateway, entry: AccountEntry) -> HttpRequest:
    """Make the request of a login. Raises ``ProviderError``, worded for operators."""
    judge = partial(request, development=gw.settings.server.development)
    return _ahead(gw, entry, "login", judge, entry.account)


def parse_login(gw: Gateway, entry: AccountEntry, response: HttpResponse) -> Session:
    """Read the answer to a login. Raises ``ProviderError``, worded for operators."""
    session: Session = _ahead(gw, entry, "parse_login", partial(checked, check=_SESSION), response, entry.account)
    return session


def sign_callback(settings: Settings, entry: AccountEntry, draft: CallbackDraft, url: str) -> HttpRequest:
    """Make a valid callback of an account that can. Raises ``ProviderError`` where the plugin fails."""
    judge = partial(request, development=settings.server.development)
    try:
        made: HttpRequest = _called(entry, "sign_callback", judge, draft, entry.account, url)
    except _Fault as fault:
        raise ProviderError(f"the plugin failed: {fault}") from None
    return made


def explain(gw: Gateway, entry: AccountEntry, callback: Callback) -> Explanation | None:
    """Say how ``verify`` proves a callback, without secrets; None where the plugin does not say it."""
    if not isinstance(entry.provider, Explains):
        return None
    try:
        said: Explanation = _called(entry, "explain", partial(checked, check=_EXPLANATION), callback, entry.account)
    except _Fault as fault:
        return Explanation(checks=(), notes=(f"the plugin failed to explain: {fault}",))
    return cleaning.explanation(gw, entry, said)


def _called(
    entry: AccountEntry,
    member: str,
    judge: Callable[[Any], T],
    *given: Any,
    expected: type[Exception] | tuple[()] = (),
) -> T:
    """Call one member of a plugin and judge what it returns. Raises ``_Fault``, and what the member may raise."""
    try:
        return judge(getattr(entry.provider, member)(*given))
    except expected:
        raise
    except KeyboardInterrupt:
        raise
    except BaseException as broken:  # sys.exit() too: a plugin must not end the process
        is_ours = isinstance(broken, UnusableValue)
        what, place = (str(broken), None) if is_ours else (type(broken).__name__, _place(broken))
        where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
        log.error("a plugin failed", extra={**where, "member": member, "kind": what, "place": place})
        raise _Fault(what) from None


def _ahead(gw: Gateway, entry: AccountEntry, member: str, judge: Callable[[Any], T], *given: Any) -> T:
    """Call a member that is needed ahead of an operation."""
    try:
        return _called(entry, member, judge, *given, expected=ProviderError)
    except ProviderError as problem:
        raise ProviderError(_said(gw, entry, problem)) from None
    except _Fault as fault:
        raise ProviderError(f"the plugin failed: {fault}") from None


def _said(gw: Gateway, entry: AccountEntry, problem: ProviderError) -> str:
    """What an error of a plugin says: its argument, since its ``__str__`` may be the plugin's own code."""
    return cleaning.sentence(gw, entry, problem.args[0] if problem.args else "")


def _place(broken: BaseException) -> str:
    """Where it was raised, as ``tinypay.py:71``."""
    trace = broken.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace is not None else ""


def _seconds(value: Any) -> str | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_life = is_number and math.isfinite(value) and value > 0
    return None if is_life else "must be a number of seconds above zero"


def _token(value: Any) -> str | None:
    if not isinstance(value, Secret):
        return f"must be Secret, not {type_name(value)}"
    return text(MAX_TEXT_CHARACTERS, least=1)(value.reveal())


LONGEST_CLAIM = 64
"""Characters of what an unproved callback says that it is about."""

_LINE = text(MAX_TEXT_CHARACTERS)
_LINES = every(_LINE, (tuple, list))
_SESSION = struct(Session, {"token": _token, "expires_in": _seconds})
_CHECK = struct(Check, {"name": _LINE, "passed": optional(instance(bool)), "detail": _LINE})
_EXPLANATION = struct(Explanation, {"checks": every(_CHECK), "signed": mapping(_LINE, _LINE), "notes": every(_LINE)})
"""What ``parse_login`` and ``explain`` may return; the rest is in ``core/plugin_returns.py``."""
