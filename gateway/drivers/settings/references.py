"""Secrets of the settings: references to the environment or to a file, and the forms some of them must have.

No message here ever holds a secret or a part of one.
"""

from __future__ import annotations

import base64
import stat
from collections.abc import Callable

from gateway.core.secret import Secret
from gateway.drivers.settings.around import Around

_MIN_SERVER_SECRET = 32
_WEBHOOK_PREFIX = "whsec_"


def secret(text: str, around: Around) -> Secret:
    """Follow ``env:NAME`` or ``file:PATH``; a literal is taken in development only."""
    kind, colon, rest = text.partition(":")
    if colon and kind in _REFERENCES:
        return Secret(_REFERENCES[kind](rest, around))
    if not around.development:
        raise ValueError("is a literal secret: write env:NAME or file:PATH (literals need server.development: true)")
    if not text:
        raise ValueError("must not be empty")
    return Secret(text)


def _from_environment(name: str, around: Around) -> str:
    text = around.environ.get(name)
    if not text:
        raise ValueError(f"environment variable {name} is {'not set' if text is None else 'empty'}")
    return text


def _from_file(name: str, around: Around) -> str:
    path = around.folder / name
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & ~0o600:
            raise ValueError(f"file {name} has mode {mode:04o}, it must be 0600 or less")
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"file {name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"file {name} is not UTF-8 text") from None
    if not text:
        raise ValueError(f"file {name} is empty")
    return text


_REFERENCES: dict[str, Callable[[str, Around], str]] = {"env": _from_environment, "file": _from_file}


def long_enough(given: Secret, around: Around) -> Secret:
    """Check the master secret: 32 characters outside development."""
    if len(given.reveal()) < _MIN_SERVER_SECRET and not around.development:
        raise ValueError(f"must have at least {_MIN_SERVER_SECRET} characters")
    return given


def webhook_secret(given: Secret, _: Around) -> Secret:
    """Check the form that Standard Webhooks 1.0 gives its secrets."""
    prefix, coded = given.reveal()[: len(_WEBHOOK_PREFIX)], given.reveal()[len(_WEBHOOK_PREFIX) :]
    try:
        size = len(base64.b64decode(coded, validate=True))
    except ValueError:
        size = 0
    if prefix != _WEBHOOK_PREFIX or not 24 <= size <= 64:
        raise ValueError("must be whsec_ followed by the base64 of 24 to 64 bytes")
    return given
