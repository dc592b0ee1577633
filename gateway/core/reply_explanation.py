"""What a reply map makes of a standard body, member by member. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.core.body_maps import BodyMap, mapped_reply
from gateway.core.create_explanation import LeftOut
from gateway.core.expressions import Budget


class MappedMember(msgspec.Struct, frozen=True, kw_only=True):
    """One member that a map makes: its dotted name, its value, and the line of the map."""

    key: str
    value: Any
    rule: str


class ReplyExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What one map makes. ``body`` is the exact text; None where the map fails, so that the standard body is used."""

    map: str
    members: list[MappedMember]
    left_out: list[LeftOut]
    body: str | None


def explain_reply(body_map: BodyMap, body: Any) -> ReplyExplanation:
    """Say what a map makes of what its expressions see."""
    text, problems = mapped_reply(body_map, body, Budget())
    made, why = {} if problems else msgspec.json.decode(text), dict(problems)
    otherwise = why.get("$", "the map fails, so the standard body is used" if problems else "finds nothing")
    values = [(rule, _value(made, rule.steps)) for rule in body_map.rules]
    return ReplyExplanation(
        map=body_map.name,
        members=[
            MappedMember(key=one.member, value=value, rule=one.place) for one, value in values if value is not None
        ],
        left_out=[
            LeftOut(field=one.member, why=why.get(one.path, otherwise), rule=one.place)
            for one, value in values
            if value is None
        ],
        body=None if problems else text.decode(),
    )


def _value(made: Any, steps: tuple[str, ...]) -> Any:
    for step in steps:
        made = made.get(step) if isinstance(made, dict) else None
    return made
