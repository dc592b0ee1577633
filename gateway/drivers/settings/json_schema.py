"""The shape of the settings as a JSON Schema, for editors: made from the types that the settings are read with.

Editors read YAML with guesses that the gateway does not make, so a text may look like a number or a boolean to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from gateway.core.field_mapping import FieldChange
from gateway.core.money import Amount
from gateway.drivers.settings.load_context import Parse
from gateway.drivers.settings.model import RoutingRule
from gateway.drivers.settings.scalar_reader import NotSupported, Raw, choices_of
from gateway.drivers.settings.schema import SECRET_FORMS, AccountShape, FileShape, ServerShape, TenantShape
from gateway.drivers.settings.struct_reader import LISTS
from gateway.drivers.settings.values import DURATION, Name
from gateway.provider import Provider

Schema = dict[str, Any]
Pages = Mapping[str, Mapping[str, Mapping[str, tuple[str, str]]]]
"""What is known of keys: page, section, key -> meaning and default."""

SETTINGS = ""
"""The page of the settings; others have the names of providers."""

DRAFT = "http://json-schema.org/draft-07/schema#"
FIELD = {"$ref": "#/definitions/field"}
TEXT: Schema = {"type": ["string", "number", "boolean"]}
NUMBER: Schema = {"type": ["string", "number"]}
SIMPLE: Mapping[Any, Schema] = {
    NoneType: {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Amount: NUMBER,
    Decimal: NUMBER,
    timedelta: {"type": "string", "pattern": f"^{DURATION.pattern}$"},
    NotSupported: {"not": {}},
    FieldChange: FIELD,
    Raw: {},
}
LATER: Mapping[str, Any] = {
    "server": ServerShape,
    "tenants": Mapping[Name, TenantShape],
    "routing": tuple[RoutingRule, ...],
    "config": Mapping[str, Any],
}
"""How members are read that first wait as their nodes."""

LIMITS = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}


class Place(msgspec.Struct, frozen=True):
    """Where keys are looked up; ``above`` describes the key above, for those that have no description.

    ``nested``: the key above has no section of its own, so the defaults of this one are not about its members.
    """

    page: str
    section: str
    above: str = ""
    nested: bool = False


class SettingsSchema:
    """Makes the schema of a settings file for some providers, with the descriptions of ``pages``."""

    def __init__(self, providers: Mapping[str, Provider], pages: Pages) -> None:
        self._providers = providers
        self._pages = pages

    def whole(self) -> Schema:
        """The schema of a settings file."""
        field = self._object(FieldChange, Place(SETTINGS, "fields"))
        return {
            "$schema": DRAFT,
            **self._object(FileShape, Place(SETTINGS, "Top level")),
            "definitions": {"field": field},
        }

    def _object(self, kind: type[msgspec.Struct], at: Place) -> Schema:
        members = msgspec.structs.fields(kind)
        made: Schema = {
            "type": ["object", "null"],
            "properties": {one.encode_name: self._member(one, at) for one in members},
            "additionalProperties": False,
        }
        required = [one.encode_name for one in members if one.required]
        if required:
            made["required"] = required
        if kind is ServerShape:
            made["oneOf"] = [{"required": [form]} for form in SECRET_FORMS]
        if kind is AccountShape:
            made["allOf"] = [self._of_provider(one) for one in self._providers.values()]
        return made

    def _member(self, member: msgspec.structs.FieldInfo, at: Place) -> Schema:
        key, page = member.encode_name, self._pages.get(at.page, {})
        meaning, default = page.get(at.section, {}).get(key, (at.above, ""))
        said = f"{meaning}. Default: {default}" if default and not at.nested else meaning
        has_section = key in page
        below = Place(at.page, key if has_section else at.section, meaning, nested=not has_section)
        kind = LATER.get(key, member.type) if at.page == SETTINGS else member.type
        return {"description": said, **self._kind(kind, below)}

    def _of_provider(self, provider: Provider) -> Schema:
        """What an account of one provider has: its config, and its fields among any others."""
        said = self._pages.get(SETTINGS, {}).get("accounts", {})
        above = {key: said.get(key, ("",))[0] for key in ("config", "fields")}
        config = self._object(provider.account_type, Place(provider.name, "", above["config"]))
        fields = {name: {"description": rule.meaning or rule.source, **FIELD} for name, rule in provider.fields.items()}
        made: Mapping[str, Schema] = {"config": config, "fields": {"properties": fields}}
        return {
            "if": {"properties": {"provider": {"const": provider.name}}, "required": ["provider"]},
            "then": {"properties": {key: {"description": above[key], **schema} for key, schema in made.items()}},
        }

    def _kind(self, kind: Any, at: Place) -> Schema:
        origin, arguments = get_origin(kind), get_args(kind)
        if kind in SIMPLE:
            return SIMPLE[kind]
        if origin is Annotated:
            return self._annotated(*arguments, at=at)
        if origin in (Union, UnionType):
            return _any_of([self._kind(one, at) for one in arguments])
        if origin in LISTS:
            return {"type": ["array", "null"], "items": self._kind(arguments[0], at)}
        if origin in (dict, Mapping):
            names = {"propertyNames": _text(arguments[0])} if _text(arguments[0]) != TEXT else {}
            return {"type": ["object", "null"], "additionalProperties": self._kind(arguments[1], at), **names}
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._object(kind, at)
        choices = list(choices_of(kind, arguments).values())
        return {"enum": choices} if choices else {} if kind is Any else TEXT

    def _annotated(self, base: Any, *notes: Any, at: Place) -> Schema:
        if any(isinstance(note, Parse) for note in notes):
            return _text(Annotated[base, *notes])
        metas = [note for note in notes if isinstance(note, msgspec.Meta)]
        limits = {LIMITS[name]: getattr(meta, name) for meta in metas for name in LIMITS}
        return {**self._kind(base, at), **{name: limit for name, limit in limits.items() if limit is not None}}


def _text(kind: Any) -> Schema:
    """A text, with its pattern where the type has one."""
    pattern = next((note.pattern for note in get_args(kind)[1:] if isinstance(note, Parse)), None)
    return {**TEXT, "pattern": f"^({pattern})$"} if pattern else TEXT


def _any_of(options: list[Schema]) -> Schema:
    """One of some schemas, written as short as can be: editors show it."""
    null = SIMPLE[NoneType]
    kinds = [one for one in options if one != null]
    if len(kinds) > 1 or null not in options or "type" not in kinds[0]:
        return {"anyOf": options}
    types = kinds[0]["type"]
    return {**kinds[0], "type": [*dict.fromkeys([*(types if isinstance(types, list) else [types]), "null"])]}
