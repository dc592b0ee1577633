"""Log in where a provider's calls need a session: keep it in memory and renew it before it ends.

A provider that logs in has two more members: ``login(account) -> HttpRequest`` and
``parse_login(response, account) -> Session``. An account has one session, or one for each ``session_scope(command)``.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway.core.commands import Command
from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError
from gateway.core.response_body import is_page
from gateway.core.response_outcome import CREDENTIALS_REFUSED
from gateway.core.wire import HttpResponse
from gateway.drivers.settings import AccountEntry
from gateway.flows.occurrences import Occurrence, report
from gateway.flows.plugin import calls
from gateway.flows.runtime import Gateway
from gateway.provider import Account, Session

SESSION_ENDED = 401
"""From a provider that logs in this status ends the session; from others it refuses the credentials."""

MAX_SESSION_SECONDS = 365 * 24 * 3600.0
"""A session is renewed after this time, even if the provider says that it lasts longer."""

RENEW_AHEAD = 0.1
"""The part of its life at whose beginning a session is renewed."""


async def account_of(gw: Gateway, entry: AccountEntry, command: Command) -> Account:
    """The account as the plugin needs it for a command, with a session where there must be one.

    Raises ``ProviderError``.
    """
    if not entry.logs_in:
        return entry.account
    key = _key(entry, command)
    held = gw.sessions.get(key)
    if held is None or gw.clock.now() >= held[1]:
        held = await _log_in(gw, entry, key[-1])
        gw.masks.learn(entry, held[0].token)
        gw.sessions[key] = held
    return replace(entry.account, session=held[0])


def token_of(gw: Gateway, entry: AccountEntry, command: Command) -> str:
    """The token of a command's session; empty where it has none. Raises ``ProviderError``."""
    held = gw.sessions.get(_key(entry, command)) if entry.logs_in else None
    return held[0].token.reveal() if held is not None else ""


def has_ended(gw: Gateway, entry: AccountEntry, command: Command, response: HttpResponse) -> bool:
    """Whether an answer says that the provider no longer takes a command's session; it is forgotten then."""
    ended = response.status == SESSION_ENDED and entry.logs_in
    if ended:
        with contextlib.suppress(ProviderError):  # logged; a plugin that cannot say it now cannot say it to log in
            gw.sessions.pop(_key(entry, command), None)
    return ended


def note_refusal(gw: Gateway, entry: AccountEntry, response: HttpResponse) -> None:
    """Alert operators to an answer that refuses the account's credentials.

    An HTML page does not count: it comes from a firewall rather than from the provider.
    """
    if response.status in CREDENTIALS_REFUSED and not is_page(response):
        where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
        report(gw, Occurrence.CREDENTIALS_REFUSED, **where, status=response.status)


def _key(entry: AccountEntry, command: Command) -> tuple[str, str, str]:
    """What a command's session is kept by; its scope is the last part."""
    return entry.tenant, entry.name, calls.session_scope(entry, command)


async def _log_in(gw: Gateway, entry: AccountEntry, scope: str) -> tuple[Session, datetime]:
    """Log in. Why it failed is for operators only: the tenant learns no more than that it did."""
    response: HttpResponse | None = None
    try:
        response = await gw.call(entry, calls.login(gw, entry, scope))
        session = calls.parse_login(gw, entry, response)
    except ProviderError as problem:
        where = {"provider": entry.provider.name, "tenant": entry.tenant, "account": entry.name}
        status = response.status if response is not None else None
        why = {"kind": _what_failed(problem, status), "status": status, "problem": str(problem)}
        report(gw, Occurrence.LOGIN_FAILED, **where, **why)
        raise ProviderError(f"the login at {entry.provider.name} failed") from None
    lasts = timedelta(seconds=min(session.expires_in, MAX_SESSION_SECONDS) * (1 - RENEW_AHEAD))
    return session, gw.clock.now() + lasts


def _what_failed(problem: ProviderError, status: int | None) -> str:
    """Why a login failed, in a word. ``status``: that of the answer, if there was one."""
    if status is not None:
        return "unreadable" if 200 <= status < 300 else "refused"
    match problem:
        case NotSent():
            return "no_connection"
        case OutcomeUnknown():
            return "no_answer"
        case _:
            return "not_built"
