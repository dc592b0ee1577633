"""The rules as code, a family per file: each file has the cases it tries and the judge of each of its rules."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.testing.cases import Check, Judge
from gateway.testing.checks import (
    answer,
    build,
    changed_answers,
    declared,
    fields,
    forged,
    isolation,
    login,
    money,
    parse,
    timing,
    verify,
)

_FAMILIES = (declared, build, isolation, money, fields, login, parse, changed_answers, verify, forged, answer, timing)
CHECKS: tuple[Check, ...] = tuple(family.cases for family in _FAMILIES)
JUDGES: Mapping[str, Judge] = {rule: judge for family in _FAMILIES for rule, judge in family.JUDGES.items()}
"""How the outcomes of a case break each rule."""
