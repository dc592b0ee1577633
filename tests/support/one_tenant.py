"""The rule for units of work: all rows of one tenant, beside those of the gateway itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gateway.drivers.settings.model import OPERATORS
from gateway.drivers.store.statements import Statement, Unit

_INSERTED = re.compile(r"\s*INSERT INTO \w+ \(tenant\b")
_COMPARED = re.compile(r"\btenant = \?")


def check_tenant(tenant: str, unit: Unit) -> None:
    """Fail where a unit names another tenant than the one it was committed for."""
    for statement in unit:
        named = {*_tenants_in(statement)}
        foreign = {one for one in named - {tenant} if not one.startswith(OPERATORS)}
        assert not foreign, f"a unit of {tenant!r} writes rows of {foreign}: {statement.sql}"


def _tenants_in(statement: Statement) -> Iterator[str]:
    sql, params, _, grows = statement
    if _INSERTED.match(sql):
        yield params[0]
    for found in _COMPARED.finditer(sql):
        yield params[sql.count("?", 0, found.start())]
    if grows is not None:
        yield grows[0]
