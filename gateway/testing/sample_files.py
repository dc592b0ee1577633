"""Read a samples file and say everything that is wrong with it, each by file and member."""

from __future__ import annotations

import codecs
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.core.strictjson import NotStrictJson, loads
from gateway.core.wording import child_path
from gateway.testing.recipes import ids_of, money_of
from gateway.testing.rules import FIXES
from gateway.testing.samples import Reply, SampleCallback, Samples, UnusableSamples
from gateway.testing.trees import text

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}?")
_SIGNATURE = re.compile(r"hmac:(\w+):(hex|base64):\w+")
_STATUS = re.compile(r"[1-5][0-9][0-9]")
_HASHES = frozenset(name for name in hashlib.algorithms_guaranteed if not name.startswith("shake"))


def read_samples(path: Path) -> Samples:
    """Read a samples file. Numbers keep their text. Raises ``UnusableSamples``."""
    if not path.is_file():  # opening a pipe would wait
        raise UnusableSamples(f"{path}: must be a file")
    try:
        samples = msgspec.convert(loads(path.read_bytes().removeprefix(codecs.BOM_UTF8)), Samples)
    except (OSError, NotStrictJson, msgspec.ValidationError) as problem:
        raise UnusableSamples(f"{path}: {problem}") from None
    problems = [f"{path}: {place.removeprefix('$.')}: {what}" for place, what in _problems(samples)]
    if problems:
        raise UnusableSamples("\n".join(problems))
    return samples


def _problems(samples: Samples) -> Iterator[tuple[str, str]]:
    """Pairs of a member's path and what would be right."""
    labels = Counter((one.provider, one.label) for one in samples.accounts)
    yield from (("$.accounts", f"{label} is there {n} times") for (_, label), n in labels.items() if n > 1)
    for rule, reason in samples.allows.items():
        place = child_path("$.allows", rule)
        if rule not in FIXES:
            yield place, "is not a rule: docs/conformance.md has their names"
        if not reason.strip():
            yield place, "must say why"
    for money in samples.wire:
        yield from _of_money(child_path("$.wire", money), money)
    for number, reply in enumerate(samples.replies):
        yield from (*_of_sample(f"$.replies[{number}]", reply), *_of_reply(f"$.replies[{number}]", reply))
    for number, callback in enumerate(samples.callbacks):
        yield from (*_of_sample(f"$.callbacks[{number}]", callback), *_of_callback(f"$.callbacks[{number}]", callback))


def _of_sample(place: str, sample: Reply | SampleCallback) -> Iterator[tuple[str, str]]:
    if sample.money is not None:
        yield from _of_money(f"{place}.money", sample.money)
    if not _are_headers(sample.headers):
        yield f"{place}.headers", 'must be an object of texts, or a list of pairs: {"X-Name": "value"}'
    for name in sample.__struct_fields__:
        yield from ((f"{place}.{name}", what) for what in _of_placeholders(getattr(sample, name)))


def _of_reply(place: str, sample: Reply) -> Iterator[tuple[str, str]]:
    if not _STATUS.fullmatch(text(sample.status)):
        yield f"{place}.status", "must be a status of HTTP, 100 to 599"


def _of_callback(place: str, sample: SampleCallback) -> Iterator[tuple[str, str]]:
    if sample.signs not in ("bytes", "members"):
        yield f"{place}.signs", "must be bytes or members"
    if sample.at is not None and not _is_time(sample.at):
        yield f"{place}.at", "must be a time with its zone, as 2026-01-02T03:04:05Z"


def _of_money(place: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        is_sum = money_of(text).amount > 0
    except ValueError as problem:
        yield place, str(problem)
        return
    if not is_sum:
        yield place, "must be above zero"


def _of_placeholders(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from (*_of_placeholders(name), *_of_placeholders(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _of_placeholders(inner)
    elif isinstance(value, str):
        yield from (what for found in _PLACEHOLDER.finditer(value) if (what := _of_placeholder(found)))


def _of_placeholder(found: re.Match[str]) -> str | None:
    if not found[1].startswith("hmac:"):
        known = ids_of()
        return None if found[1] in known else f"{found[0]} is not known; there are {', '.join(known)} and hmac:…"
    signature = _SIGNATURE.fullmatch(found[1])
    if signature is None:
        return f"{found[0]} must be ${{hmac:HASH:hex:MEMBER}} or ${{hmac:HASH:base64:MEMBER}}"
    return None if signature[1] in _HASHES else f"{found[0]}: HASH must be one of {', '.join(sorted(_HASHES))}"


def _are_headers(headers: Any) -> bool:
    pairs = [*headers.items()] if isinstance(headers, Mapping) else headers
    return isinstance(pairs, list) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(part, str) for part in pair)
        for pair in pairs
    )


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
