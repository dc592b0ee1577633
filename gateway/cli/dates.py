"""Dates and times on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

import click


def parse_date(text: str) -> datetime:
    """Read a date or an RFC 3339 time; without a zone it is UTC. Raises click's usage error with an example."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f'"{text}" is not a date such as 2026-01-31 or 2026-01-31T12:00:00Z') from None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)
