"""Secrets of the settings: references to the environment or to a file, and what each role asks of its secret.

No message here ever holds a secret or a part of one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from gateway.core.secret import Secret
from gateway.drivers.settings.load_context import LoadContext
from gateway.drivers.settings.regular_file import read_regular
from gateway.drivers.settings.weak_credentials import fingerprints_of_secret, signing_bytes, weakness

_MIN_SERVER_SECRET_CHARACTERS = 32
_MIN_SECRET_CHARACTERS = 8
_MAX_FILE_BYTES = 64 * 1024
_OF_A_SHELL = re.compile(r"\$\{.*\}|\$[A-Z_][A-Z0-9_]*")


def secret(text: str, context: LoadContext) -> Secret:
    """Read a secret of an account or any other of a plugin's: 8 characters outside development."""
    return _check_length(_secret(text, context), _MIN_SECRET_CHARACTERS, context)


def server_secret(text: str, context: LoadContext) -> Secret:
    """Read the master secret: 32 characters outside development."""
    return _check_length(_secret(text, context), _MIN_SERVER_SECRET_CHARACTERS, context)


def webhook_secret(text: str, context: LoadContext) -> Secret:
    """Read a secret of the form that Standard Webhooks 1.0 gives its secrets."""
    given = _secret(text, context)
    if not 24 <= len(signing_bytes(given.reveal())) <= 64:
        raise ValueError("must be whsec_ followed by the base64 of 24 to 64 bytes")
    return given


def _secret(text: str, context: LoadContext) -> Secret:
    """Follow ``env:NAME`` or ``file:PATH``; a literal, or one that is known to everybody, is for development only."""
    given = referred(text, context)
    if given is None and _OF_A_SHELL.fullmatch(text):
        raise ValueError("names a variable as a shell does, which is not replaced here: write env:NAME")
    found = text if given is None else given
    if not found.strip():
        raise ValueError("must not be empty")
    if context.development:
        return Secret(found)
    weak = weakness(fingerprints_of_secret(found))
    if weak:
        raise ValueError(weak)
    if given is None:
        raise ValueError("is a literal secret: write env:NAME or file:PATH (literals need server.development: true)")
    return Secret(found)


def referred(text: str, context: LoadContext) -> str | None:
    """What ``env:NAME`` or ``file:PATH`` refers to; None for any other text. Raises ``ValueError``."""
    kind, colon, rest = text.partition(":")
    return _SCHEMES[kind](rest, context) if colon and kind in _SCHEMES else None


def refuse_weak_password(text: str) -> None:
    """Refuse a password of the store that protects nothing outside development. Raises ``ValueError``."""
    weak = weakness(fingerprints_of_secret(text))
    if weak:
        raise ValueError(f"has a password that {weak}")
    if len(text) < _MIN_SECRET_CHARACTERS:
        raise ValueError(f"has a password of less than {_MIN_SECRET_CHARACTERS} characters")


def _from_environment(name: str, context: LoadContext) -> str:
    text = context.environ.get(name)
    if not (text and text.strip()):
        raise ValueError(f"environment variable {name} is {'not set' if text is None else 'empty'}")
    return text


def text_of_file(name: str, context: LoadContext) -> str:
    """Read a file that only its owner may read. Raises ``ValueError``."""
    try:
        found = read_regular(context.folder / name, most=_MAX_FILE_BYTES)
        text = found.data.decode().rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"file {name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"file {name} is not UTF-8 text") from None
    except ValueError as error:
        raise ValueError(f"file {name} {error}") from None
    if found.mode & ~0o600:
        raise ValueError(f"file {name} has mode {found.mode:04o}, it must be 0600 or less")
    if found.owner not in (context.owner, os.geteuid()):
        raise ValueError(f"file {name} belongs to neither the owner of the settings file nor the gateway's own user")
    if not text.strip():
        raise ValueError(f"file {name} is empty")
    return text


_SCHEMES: dict[str, Callable[[str, LoadContext], str]] = {"env": _from_environment, "file": text_of_file}


def _check_length(given: Secret, least: int, context: LoadContext) -> Secret:
    if len(given.reveal().strip()) < least and not context.development:
        raise ValueError(f"must have at least {least} characters")
    return given
