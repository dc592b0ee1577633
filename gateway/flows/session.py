"""Logins: where a provider's calls need a session, keep one per account in memory and renew it before it ends.

A provider that logs in has two more members: ``login(account) -> HttpRequest`` and
``parse_login(response, account) -> Session``.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway.core.errors import NotSent, OutcomeUnknown, ProviderError
from gateway.drivers.settings import AccountEntry
from gateway.flows.context import Gateway, log
from gateway.provider import Account, Session

RENEW_AHEAD = 0.1
"""The part of its life at whose beginning a session is renewed."""


def logs_in(entry: AccountEntry) -> bool:
    """Whether the account's provider needs a session."""
    return hasattr(entry.provider, "login")


async def account_of(gw: Gateway, entry: AccountEntry) -> Account:
    """The account as the plugin needs it, with a session where there must be one. Raises ``ProviderError``."""
    if not logs_in(entry):
        return entry.account
    name = (entry.tenant, entry.name)
    held = gw.sessions.get(name)
    if held is None or gw.clock.now() >= held[1]:
        held = await _log_in(gw, entry)
        gw.masks.learn(entry, held[0].token)
        gw.sessions[name] = held
    return replace(entry.account, session=held[0])


def forget(gw: Gateway, entry: AccountEntry) -> None:
    """The provider no longer takes the session."""
    gw.sessions.pop((entry.tenant, entry.name), None)


async def _log_in(gw: Gateway, entry: AccountEntry) -> tuple[Session, datetime]:
    try:
        request = entry.provider.login(entry.account)  # type: ignore[attr-defined]  # asked for by logs_in
        response = await gw.call(entry, request)
        session: Session = entry.provider.parse_login(response, entry.account)  # type: ignore[attr-defined]
    except (NotSent, OutcomeUnknown, ProviderError) as problem:
        raise ProviderError(f"the login at {entry.provider.name} failed") from problem
    except Exception as broken:  # a plugin's mistake ahead of the operation: nothing was stored
        log.error("plugin failed to log in", extra={"provider": entry.provider.name, "kind": type(broken).__name__})
        raise ProviderError(f"the login at {entry.provider.name} failed") from None
    lasts = timedelta(seconds=session.expires_in * (1 - RENEW_AHEAD))
    return session, gw.clock.now() + lasts
