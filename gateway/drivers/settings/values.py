"""One text of the settings -> one value. Every function raises ``ValueError`` with what would be right.

``Parse`` and ``Check`` are put into annotations (``Annotated[str, Parse(name)]``) and are applied by
``struct_reader.py``. Messages never hold the text itself: it may be a secret in the wrong place.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from gateway.core.expressions import Expression, compile_expression
from gateway.core.money import Amount
from gateway.core.networks import Network, network
from gateway.core.secret import Secret
from gateway.drivers.settings.load_context import Check, LoadContext, Make, Parse
from gateway.drivers.settings.secrets import secret, server_secret, webhook_secret
from gateway.drivers.settings.urls import listen_host, origin, own_url, public_url, target_url
from gateway.drivers.settings.weak_credentials import fingerprints_of_hash, weakness

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_METHOD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,32}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CALLBACK_ID = re.compile(r"[A-Za-z0-9_-]{22,128}")
_CURRENCY = re.compile(r"[A-Z0-9]{2,12}")
DURATION = re.compile(r"([0-9]{1,12})(ms|s|m|h|d)")
_UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
MAX_SERVER_SECRETS = 4
_MAXDURATION = timedelta(days=3650)


def _matching(pattern: re.Pattern[str], said: str) -> Parse:
    def make(text: str, context: LoadContext) -> str:  # noqa: ARG001  # every maker has the same two arguments
        if pattern.fullmatch(text) is None:
            raise ValueError(said)
        return text

    return Parse(make, pattern.pattern)


def key_hash(text: str, context: LoadContext) -> str:
    """Take the SHA-256 of a bearer key; that of a key everybody has is for development only."""
    if _SHA256.fullmatch(text) is None:
        raise ValueError("must be 64 lower-case hex digits: the SHA-256 of the whole key")
    weak = None if context.development else weakness(fingerprints_of_hash(text))
    if weak:
        raise ValueError(weak)
    return text


def duration(text: str, _: LoadContext) -> timedelta:
    """Read a duration of the settings."""
    return span(text)


def span(text: str) -> timedelta:
    """Read ``250ms``, ``5s``, ``2m``, ``6h`` or ``30d``; at most ten years, so that dates stay in range."""
    found = DURATION.fullmatch(text)
    if found is None:
        raise ValueError("must be a duration such as 250ms, 5s, 2m, 6h or 30d")
    try:
        length = timedelta(**{_UNITS[found[2]]: int(found[1])})
    except OverflowError:
        length = timedelta.max
    if length > _MAXDURATION:
        raise ValueError("must be at most 3650d")
    return length


def public_text(text: str, _: LoadContext) -> str:
    """Take a public text; a reference to a secret here would be sent to the provider unresolved."""
    if text.startswith(("env:", "file:")):
        raise ValueError("is not a secret, so env: and file: are not read here: write the value itself")
    return text


def _written_out(make: Make) -> Parse:
    return Parse(lambda text, context: make(public_text(text, context), context))


def _moment(text: str, _: LoadContext) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min
    if moment.tzinfo is None:
        raise ValueError("must be a time with its zone such as 2027-01-31T00:00:00Z")
    return moment.astimezone(UTC)


def _more_than_zero(given: timedelta, _: LoadContext) -> timedelta:
    if not given:
        raise ValueError("must be more than zero")
    return given


def _not_empty(given: tuple[Any, ...], _: LoadContext) -> tuple[Any, ...]:
    if not given:
        raise ValueError("must not be an empty list")
    return given


def _rotating(given: tuple[Secret, ...], context: LoadContext) -> tuple[Secret, ...]:
    if len(_not_empty(given, context)) > MAX_SERVER_SECRETS:
        raise ValueError(f"must not have more than {MAX_SERVER_SECRETS} secrets: each makes refusing a callback slower")
    if len(set(given)) < len(given):
        raise ValueError("must not have the same secret twice")
    return given


def _repeating(given: tuple[timedelta, ...], context: LoadContext) -> tuple[timedelta, ...]:
    if not _not_empty(given, context)[-1]:
        raise ValueError("must end with more than zero: its last value repeats")
    return given


def _seconds(text: str, context: LoadContext) -> float:
    return _more_than_zero(duration(text, context), context).total_seconds()


def _connections(text: str, _: LoadContext) -> int | None:
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) >= 8):
        raise ValueError("must be auto or a whole number, at least 8")
    return int(text)


def _some_text(text: str, _: LoadContext) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _trusted_network(text: str, _: LoadContext) -> Network:
    found = network(text)
    if not found.prefixlen:
        raise ValueError("must not be every address: then any caller could pretend to have any address")
    return found


PARSERS: dict[Any, Make] = {
    Secret: secret,
    timedelta: duration,
    Amount: lambda text, _: Amount.read(text),
    Decimal: lambda text, _: Decimal(Amount.read(text)),
    str: lambda text, _: text,
}
"""Types, ours and a plugin's, whose values we make from text ourselves."""

SomeText = Annotated[str, Parse(_some_text)]
Name = Annotated[str, _matching(NAME, f"must match {NAME.pattern}")]
MethodName = Annotated[str, _matching(_METHOD_NAME, f"must match {_METHOD_NAME.pattern}")]
MapName = MethodName
KeyId = Annotated[str, _matching(_KEY_ID, f"must match {_KEY_ID.pattern}")]
KeyHash = Annotated[str, Parse(key_hash)]
CallbackId = Annotated[str, _matching(_CALLBACK_ID, "must be 22 to 128 URL-safe characters (A-Z a-z 0-9 _ -)")]
Currency = Annotated[str, _matching(_CURRENCY, "must be a currency code: 2 to 12 of A-Z and 0-9")]
TrustedNetwork = Annotated[Network, Parse(_trusted_network)]
Connections = Annotated[int | None, Parse(_connections)]
Origin = Annotated[str, _written_out(origin)]
TargetUrl = Annotated[str, _written_out(target_url)]
ListenHost = Annotated[str, _written_out(listen_host)]
PublicUrl = Annotated[str, _written_out(public_url)]
OwnUrl = Annotated[str, _written_out(own_url)]
PublicText = Annotated[str, Parse(public_text)]
JmesPath = Annotated[Expression, Parse(lambda text, _: compile_expression(text))]
Moment = Annotated[datetime, Parse(_moment)]
Seconds = Annotated[float, Parse(_seconds, DURATION.pattern)]
Span = Annotated[timedelta, Check(_more_than_zero)]
NOT_EMPTY = Check(_not_empty)
Schedule = Annotated[tuple[timedelta, ...], NOT_EMPTY]
Repeating = Annotated[tuple[timedelta, ...], Check(_repeating)]
ServerSecret = Annotated[Secret, Parse(server_secret)]
ServerSecrets = Annotated[tuple[ServerSecret, ...], Check(_rotating)]
WebhookSecret = Annotated[Secret, Parse(webhook_secret)]
WebhookSecrets = Annotated[tuple[WebhookSecret, ...], NOT_EMPTY]
