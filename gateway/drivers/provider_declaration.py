"""Check what a provider declares about itself when its plugin is loaded: each mistake is a line, before money moves.

What its methods return is checked where they are called: ``prepare``, ``rules`` and ``credentials`` with the settings,
the rest by ``flows/plugin/calls.py``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import msgspec

from gateway.core.checks import Check, every, instance, mapping, struct, text, type_name
from gateway.core.commands import KIND_OF, FetchPayment
from gateway.core.field_mapping import FieldRule
from gateway.core.field_sources import source_paths
from gateway.drivers.settings.problems import unknown_entry
from gateway.provider import API_VERSION, Provider, Simulator

PROVIDER_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

FIRST_API_VERSION = "1.0"
"""That of a provider which names none."""

_METHODS = tuple(name for name, member in vars(Provider).items() if inspect.isfunction(member) and name[0] != "_")
REQUIRED = frozenset(Provider.__annotations__) | set(_METHODS)
_OPTIONAL_METHODS = (
    "prepare",
    "login",
    "parse_login",
    "session_scope",
    "explain",
    "signed_text",
    "sign_callback",
    "unusual",
    "advice",
)
OPTIONAL = frozenset(_OPTIONAL_METHODS) | {"api_version"}
"""The members of a provider, and those that it may have as well."""

_COMMANDS = frozenset({*KIND_OF, FetchPayment})
_MAX_CHARACTERS = 1000
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_VERSION = re.compile(r"(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})")


def declaration_problems(provider: object) -> list[str]:
    """Everything that is wrong with a provider's declaration; without its members nothing more can be said.

    Nor can it of one that is made for another version of the API.
    """
    unfit = version_problem(api_version_of(provider))
    if unfit is not None:
        return [f"provider {getattr(provider, 'name', type(provider).__name__)}: api_version {unfit}"]
    missing = sorted(member for member in REQUIRED if not hasattr(provider, member))
    if missing:
        return [f"provider {type(provider).__name__} lacks {', '.join(missing)}"]
    name: object = getattr(provider, "name", None)
    if not isinstance(name, str) or PROVIDER_NAME.fullmatch(name) is None:
        return [f"provider {type(provider).__name__}: name must match {PROVIDER_NAME.pattern}"]
    wrong = [(member, check(getattr(provider, member))) for member, check in _DECLARED.items()]
    found = [f"{member} {problem}" for member, problem in wrong if problem is not None]
    return [f"provider {name}: {problem}" for problem in (*found, *_method_problems(provider))]


def api_version_of(provider: object) -> object:
    """The version of the plugin API that a provider is made for."""
    return getattr(provider, "api_version", FIRST_API_VERSION)


def version_problem(wanted: object, ours: str = API_VERSION) -> str | None:
    """Why a provider made for version ``wanted`` of the API does not fit ``ours``, and what to do."""
    found = _VERSION.fullmatch(wanted) if isinstance(wanted, str) else None
    if found is None:
        return f'must be a text such as "{ours}"'
    major, minor = map(int, found.groups())
    our_major, our_minor = map(int, ours.split("."))
    if major < our_major:
        return f"{wanted} is older than {our_major}.0, the first that this gateway takes: install a newer plugin"
    if (major, minor) > (our_major, our_minor):
        return f"{wanted} is newer than {ours}, that of this gateway: update the gateway, or install an older plugin"
    return None


def login_extras(provider: Any) -> int:
    """How many of the time and the scope ``login`` is given after the account: a parameter takes them which has no
    default, or their name. The scope is given only where there is ``session_scope``."""
    login = provider.login
    function = getattr(login, "__func__", login)
    taken = _extras(function, first=0 if function is login else 1)
    return taken if hasattr(provider, "session_scope") else min(taken, 1)


@cache
def _extras(login: Callable[..., object], *, first: int) -> int:
    given = [*inspect.signature(login).parameters.values()][first + 1 : first + 3]
    pairs = zip(given, ("at", "scope"), strict=False)
    takes = [one.kind in _POSITIONAL and (one.name == name or one.default is one.empty) for one, name in pairs]
    return [*takes, False].index(False)


def _method_problems(provider: object) -> Iterator[str]:
    for name in (*_METHODS, *_OPTIONAL_METHODS):
        member = getattr(provider, name, None)
        if member is None and name in OPTIONAL:
            continue
        if not callable(member):
            yield f"{name} must be a method"
        elif inspect.iscoroutinefunction(member):
            yield f"{name} must not be async: a provider decides and never waits"
    if hasattr(provider, "login") != hasattr(provider, "parse_login"):
        yield "login and parse_login belong together"
    elif callable(getattr(provider, "login", None)) and not _can_log_in(provider):
        scope = ", then scope" if hasattr(provider, "session_scope") else ""
        yield f"login must take account, and at (the time){scope} if it wants it"
    if hasattr(provider, "session_scope") and not hasattr(provider, "login"):
        yield "session_scope needs login"


def _can_log_in(provider: Any) -> bool:
    try:
        inspect.signature(provider.login).bind(None, *[None] * login_extras(provider))
    except TypeError:
        return False
    return True


def simulator_problem(value: object) -> str | None:
    """What is wrong with a simulator that a plugin offers."""
    return _SIMULATOR(value)


def _account_type(value: Any) -> str | None:
    is_struct = isinstance(value, type) and issubclass(value, msgspec.Struct)
    return None if is_struct else f"must be a msgspec.Struct type, not {type_name(value)}"


def _command(value: Any) -> str | None:
    return None if value in _COMMANDS else "must hold the gateway's commands only"


def _source(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"must be str, not {type_name(value)}"
    return None if not value or value in source_paths() else f"is an {unknown_entry('path', value, source_paths())}"


def _port(value: Any) -> str | None:
    is_port = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535
    return None if is_port else "must be 0 to 65535"


def _function(value: Any) -> str | None:
    return None if callable(value) else "must be a function"


_TEXT = text(_MAX_CHARACTERS)
_FIELD: dict[str, Check] = {
    "type": text(_MAX_CHARACTERS, least=1),
    "mandatory": instance(bool),
    "locked": instance(bool),
    "source": _source,
    "meaning": _TEXT,
    "inside": _TEXT,
}
_fields = mapping(text(64, least=1), instance(FieldRule))


def _nested(name: str, rule: FieldRule) -> str | None:
    place, _, member = name.rpartition(".")
    is_right = not rule.inside or (place and member and not rule.source)
    return None if is_right else "inside needs a name such as order.items[].sku, and no source"


def _declared_fields(value: Any) -> str | None:
    wrong = _fields(value)
    if wrong is not None:
        return wrong
    check = struct(FieldRule, _FIELD)
    problems = ((name, check(rule) or _nested(name, rule)) for name, rule in value.items())
    return next((f"{name}: {problem}" for name, problem in problems if problem is not None), None)


_DECLARED: dict[str, Check] = {
    "account_type": _account_type,
    "commands": every(_command),
    "fields": _declared_fields,
    "secret_headers": every(text(128, least=1)),
}
_SIMULATOR = struct(Simulator, {"provider": text(64, least=1), "port": _port, "app": _function})
