"""Who calls a command, by the operating system."""

from __future__ import annotations

import getpass


def user_name() -> str | None:
    """The user's name on this machine; None where it has none, as in a container with a number for a user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None
