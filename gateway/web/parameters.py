"""The query parameters that a route has: every other one is refused by its name, since it would be passed over."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from gateway.core.errors import invalid
from gateway.core.text_checks import control_in
from gateway.core.wording import unknown_name

_PLAIN_NAME = re.compile(r"[a-z_]{1,30}")
"""Names that are quoted: what else somebody may write there could be a secret."""


def refuse_unknown(query: Mapping[str, str], known: Collection[str]) -> None:
    """Refuse parameters that the route does not have, and those given twice. Raises ``validation_failed``.

    ``query`` is aiohttp's: a name that was given twice is twice among its items.
    """
    problems = []
    for name, times in Counter(name for name, _ in query.items()).items():
        if name not in known:
            shown = name if _PLAIN_NAME.fullmatch(name) else "a query parameter"
            problems.append((shown, unknown_name(name, known, otherwise="this route has no query parameters")))
        elif times > 1:
            problems.append((name, "is given twice: send it once"))
        elif control_in(query[name]) is not None:
            problems.append((name, f"must not hold control characters such as {control_in(query[name])}"))
    if problems:
        raise invalid(*problems)
