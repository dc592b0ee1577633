"""A request as a curl command."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from gateway.core.wire import HttpRequest


def curl_command(request: HttpRequest, hidden: Collection[str] = ()) -> str:
    """Write a request as one line for a shell; headers named in ``hidden`` have a variable: ``token: $TOKEN``."""
    parts = ["curl", "-i", "-X", shlex.quote(request.method), shlex.quote(request.url)]
    for name, value in request.headers:
        variable = name.upper().replace("-", "_")
        parts += ["-H", f'"{name}: ${variable}"' if name in hidden else shlex.quote(f"{name}: {value}")]
    if request.body:
        parts += ["--data-raw", shlex.quote(request.body.decode(errors="replace"))]
    return " ".join(parts)
