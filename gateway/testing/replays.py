"""Replay files: what broke a rule, as JSON that people can read. Bodies are text where they can be."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.core.strictjson import JsonNumber
from gateway.testing.calls import Call
from gateway.testing.cases import Case
from gateway.testing.samples import UnusableSamples


def write_replay(path: Path, plugin: str, rule: str, case: Case) -> None:
    """Write the input of a finding."""
    given = {"plugin": plugin, "rule": rule, "calls": case.calls, "expects": case.expects}
    plain = msgspec.to_builtins(given, builtin_types=(bytes,), enc_hook=_number)
    path.write_text(json.dumps(_readable(plain), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_replay(path: Path) -> Case:
    """The input of such a file. Raises ``UnusableSamples``."""
    if not path.is_file():  # opening a pipe would wait
        raise UnusableSamples(f"{path}: must be a file that the kit wrote")
    try:
        return _case(json.loads(path.read_bytes()))
    except (OSError, ValueError, LookupError, TypeError, msgspec.ValidationError) as problem:
        raise UnusableSamples(f"{path}: must be a file that the kit wrote: {problem}") from None


def _case(given: Any) -> Case:
    if not isinstance(given, dict) or not {"rule", "calls"} <= given.keys():
        raise ValueError("rule or calls is missing")
    calls = msgspec.convert(_as_bytes(given["calls"]), tuple[Call, ...])
    return Case((given["rule"],), calls, _as_bytes(given.get("expects")))


def _number(value: Any) -> Any:
    if isinstance(value, JsonNumber):
        return {"number": value.text}
    raise NotImplementedError


def _readable(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return {"text": value.decode()}
        except UnicodeDecodeError:
            return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {name: _readable(inner) for name, inner in value.items()}
    return [_readable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _as_bytes(value: Any) -> Any:
    """Undo ``_readable``: an object whose one member is ``text``, ``base64`` or ``number`` is such a value."""
    if isinstance(value, Mapping):
        match dict(value):
            case {"text": str(text), **rest} if not rest:
                return text.encode()
            case {"base64": str(text), **rest} if not rest:
                return base64.b64decode(text)
            case {"number": str(text), **rest} if not rest:
                return JsonNumber(text)
        return {name: _as_bytes(inner) for name, inner in value.items()}
    return [_as_bytes(inner) for inner in value] if isinstance(value, list) else value
