"""Each member of a provider as a call to make, with the check of what it returns: that of the running gateway."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from gateway.core.commands import CreatePayment, FetchPayment
from gateway.core.facts import Observation, Stage
from gateway.core.plugin_returns import (
    ANSWER,
    CREATE_OUTCOME,
    FACT,
    LOOKUP_FACT,
    PROOF,
    SCOPE,
    UnusableValue,
    checked,
    request,
)
from gateway.core.secret import Secret
from gateway.core.wire import Callback
from gateway.drivers.provider_declaration import login_extras
from gateway.provider import Account, CallbackDraft, Session
from gateway.testing.calls import VERDICTS, Call, Drafted, Received
from gateway.testing.recipes import AT, BASE, command_of, ids_of, money_of

Action = tuple[Callable[[], Any], Callable[[Any], str | None]]


def action_of(provider: Any, account: Account, call: Call) -> Action:
    """The call to make, and the check of what it returns."""
    command = command_of(call.recipe) if call.recipe else None
    match call.member:
        case "build":
            may_be = _problem_of_create if isinstance(command, CreatePayment) else _problem_of_request
            return lambda: _as_posted(command, provider.build(command, account)), may_be
        case "parse":
            check = LOOKUP_FACT if isinstance(command, FetchPayment) else FACT
            return lambda: provider.parse(command, call.response, account), _problem(check)
        case "login":
            return lambda: _login(provider, account, command), _problem_of_request
        case "parse_login":
            return lambda: provider.parse_login(call.response, account), _problem_of_session
        case "verify":
            callback = callback_of(call.received or Received(), account)
            return lambda: provider.verify(callback, account), _problem(PROOF)
        case "answer":
            verdict = VERDICTS[call.verdict or "recorded"]
            callback = callback_of(call.received or Received(), account)
            return lambda: provider.answer(verdict, callback), _problem(ANSWER)
        case "sign_callback":
            draft = _draft(call.signs or Drafted(payment=1, stage="captured", money="USD 10.00"))
            return lambda: provider.sign_callback(draft, account, BASE), _problem_of_request
        case member:
            return lambda: getattr(provider, member)(replace(account, session=None)), lambda _: None


def callback_of(received: Received, account: Account) -> Callback:
    """A callback as the plugin is given it."""
    return Callback(
        method=received.method,
        suffix=received.suffix,
        query=received.query,
        headers=received.headers,
        body=received.body,
        remote=received.remote,
        received_at=received.at,
        payment_id=received.payment_id,
        config=account.config,
    )


def _as_posted(command: Any, made: Any) -> Any:
    """What the customer's browser posts, where a create that takes no call is a form that can be used."""
    if not (isinstance(command, CreatePayment) and isinstance(made, Observation) and made.form is not None):
        return made
    return made.form.request if _problem(CREATE_OUTCOME)(made) is None else made


def _draft(signs: Drafted) -> CallbackDraft:
    ids = ids_of(signs.payment)
    return CallbackDraft(
        payment_id=ids["payment_id"],
        money=money_of(signs.money),
        stage=Stage(signs.stage),
        at=AT + timedelta(seconds=signs.payment),
        provider_reference=ids["provider_reference"],
    )


def _login(provider: Any, account: Account, command: Any) -> Any:
    """For the session that a command needs, where that says which."""
    has_scope = command is not None and hasattr(provider, "session_scope")
    scope = checked(provider.session_scope(command), SCOPE) if has_scope else ""
    return provider.login(replace(account, session=None), *(AT, scope)[: login_extras(provider)])


def _problem(check: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
    def of(value: Any) -> str | None:
        try:
            checked(value, check)
        except UnusableValue as problem:
            return str(problem)
        return None

    return of


def _problem_of_request(value: Any) -> str | None:
    try:
        request(value, development=True)
    except UnusableValue as problem:
        return str(problem)
    return None


def _problem_of_create(value: Any) -> str | None:
    """A create may need no call at all: it is an observation then."""
    return _problem(CREATE_OUTCOME)(value) if isinstance(value, Observation) else _problem_of_request(value)


def _problem_of_session(value: Any) -> str | None:
    if not isinstance(value, Session) or not isinstance(value.token, Secret):
        return f"{type(value).__name__}: must be a Session whose token is a Secret"
    is_life = isinstance(value.expires_in, int | float) and value.expires_in > 0
    return None if is_life else "Session: expires_in must be a number of seconds above zero"
