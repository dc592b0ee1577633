"""Why a connection could not be made, in fixed words for the operators' log: a library's text may quote URLs."""

from __future__ import annotations

import socket
import ssl

TIMED_OUT = "timed out"

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "the host name was not found"),
    (ConnectionRefusedError, "the connection was refused"),
    (TimeoutError, TIMED_OUT),
    (ssl.SSLCertVerificationError, "the certificate is not valid for this host"),
    (ssl.SSLError, "TLS failed"),
    (OSError, "there is no way to the host"),
)
"""The first kind that fits."""


def failure_word(problem: Exception) -> str:
    """The word for what was raised; "" for what says nothing."""
    return next((word for kind, word in _WORDS if isinstance(problem, kind)), "")
