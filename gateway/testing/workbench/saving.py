"""A recorded answer or callback as a sample of ``docs/conformance.md``, which ``gateway plugins check`` takes."""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from gateway.core.errors import CallbackRejected, SettingsError
from gateway.core.facts import Declined, Event, Observation
from gateway.core.masking import secrets_in
from gateway.core.strictjson import dumps, loads
from gateway.core.wire import Headers
from gateway.provider import Account, Provider
from gateway.testing.accounts import twin
from gateway.testing.calls import Call, Outcome
from gateway.testing.expected import difference
from gateway.testing.render import received_of, response_of
from gateway.testing.samples import Reply, SampleAccount, SampleCallback, Samples
from gateway.testing.subject import Subject
from gateway.testing.workbench.recording import Step

_NOISE = (
    "date server content-length connection transfer-encoding set-cookie host user-agent accept accept-encoding"
    " x-forwarded-for authorization cookie"
)
NOISE = frozenset(_NOISE.split(" "))
"""Headers that say nothing to a plugin, or what must not be in a file."""

_OURS = {"payment_id": re.compile(r"\bpay_[0-9a-f]{32}\b"), "operation_id": re.compile(r"\bop_[0-9a-f]{32}\b")}

_LOCAL = re.compile(r"http://127\.0\.0\.1:\d+")
"""A simulator's address: a provider's would be https."""

Masked = Callable[[str], str]


class NotSaved(ValueError):
    """A step cannot be said as a sample; the text says why."""


def save(step: Step, path: Path, provider: Provider, given: Samples, masked: Masked) -> None:
    """Append a step's answer or callback. A new file begins with the author's amounts. Raises ``NotSaved``."""
    held = loads(path.read_bytes()) if path.exists() else _begun(provider, given)
    try:
        samples = msgspec.convert(loads(dumps(held)), Samples)
        subject = Subject(provider, samples)
    except (SettingsError, msgspec.ValidationError) as problem:
        raise NotSaved(f"{path}: {problem}") from None
    wrong = ""
    for member, sample in _candidates(step, masked):
        wrong = _problem(subject, member, sample) or ""
        if not wrong:
            listed = held.setdefault(member, [])
            if loads(dumps(sample)) not in loads(dumps(listed)):
                listed.append(sample)
            path.write_text(_written(held), encoding="utf-8")
            return
    raise NotSaved(f"not saved, as a sample it would not give the same: {wrong}")


def _begun(provider: Provider, given: Samples) -> dict[str, Any]:
    """What a new file says before anything is recorded: accounts with other secrets, amounts, what is allowed."""
    mine = [one for one in given.accounts if one.provider in (None, provider.name)]
    accounts = [_account(twin(provider, one)) for one in mine]
    return {"accounts": accounts, "wire": given.wire, "allows": given.allows, "replies": [], "callbacks": []}


def _account(one: SampleAccount) -> dict[str, Any]:
    return {name: value for name in one.__struct_fields__ if (value := getattr(one, name))}


def _candidates(step: Step, masked: Masked) -> Iterator[tuple[str, dict[str, Any]]]:
    """The sample with placeholders, and as it stands."""
    gives = _masked(_gives(step.outcome), masked)
    if step.member == "parse":
        command, answer, _ = step.given
        names = {name: getattr(command, name, None) for name in ("payment_id", "operation_id", "merchant_reference")}
        names["provider_reference"] = command.provider_reference
        for known in (names, {}):
            said = {"status": answer.status, "headers": _headers(answer.headers, masked, known), "gives": gives}
            money = f"{command.money.currency} {command.money.text()}"
            text = masked(answer.body.decode(errors="replace"))
            body = _body(_named(_LOCAL.sub("https://provider.example", text), known) if known else text)
            yield "replies", {"command": type(command).__name__, "money": money, **said, "body": body}
        return
    callback, account = step.given
    text = masked(callback.body.decode(errors="replace"))
    ids = {name: found[0] if (found := _OURS[name].search(text)) else None for name in _OURS}
    for known in ({**ids, "payment_id": callback.payment_id or ids["payment_id"]}, {}):
        signed = _with_hmac(callback.headers, callback.body, account) if known else callback.headers
        yield (
            "callbacks",
            {
                "method": callback.method,
                "suffix": callback.suffix,
                "query": _named(masked(callback.query), known),
                "headers": _headers(signed, masked, known),
                "body": _named(text, known),
                "payment_id": callback.payment_id and _named(callback.payment_id, known),
                "at": callback.received_at.isoformat(),
                "gives": gives,
            },
        )


def _masked(value: Any, masked: Masked) -> Any:
    """A value of JSON, each text of it masked."""
    return json.loads(masked(json.dumps(value)))


def _problem(subject: Subject, member: str, said: dict[str, Any]) -> str | None:
    """How the kit would read a sample otherwise."""
    if member == "replies":
        reply = msgspec.convert(loads(dumps(said)), Reply)
        recipe = subject.recipe(reply.command, reply.money or subject.moneys[0])
        call = Call(member="parse", account=subject.label, recipe=recipe, response=response_of(reply))
    else:
        sample = msgspec.convert(loads(dumps(said)), SampleCallback)
        call = Call(
            member="verify", account=subject.label, received=received_of(sample, subject.account(subject.label))
        )
    outcome = subject.run(call)
    return outcome.wrong or difference(loads(dumps(said["gives"])), outcome)


def _gives(outcome: Outcome) -> Any:
    if outcome.error is not None:
        return str(outcome.error.reason) if isinstance(outcome.error, CallbackRejected) else "unknown"
    return [_of(one) for one in outcome.value] if isinstance(outcome.value, tuple) else _of(outcome.value)


def _of(value: Any) -> Any:
    """A fact by its kind and what it says of money; ids are those of a payment that the kit does not have."""
    if value is None:
        return "nothing"
    if isinstance(value, Declined):
        return {"kind": "declined", "code": value.code}
    seen = value.observation if isinstance(value, Event) else value
    if not isinstance(seen, Observation):
        return type(value).__name__.lower()
    amounts = {name: getattr(seen, name) for name in ("amount", "captured", "refunded", "disputed")}
    said = {name: format(amount, "f") for name, amount in amounts.items() if amount is not None}
    return {"kind": type(value).__name__.lower(), "stage": str(seen.stage), **said}


def _named(text: str, known: dict[str, Any]) -> str:
    for name, value in known.items():
        text = text.replace(value, f"${{{name}}}") if value else text
    return text


def _headers(headers: Headers, masked: Masked, known: dict[str, Any]) -> list[list[str]]:
    return [[name, _named(masked(value), known)] for name, value in headers if name.lower() not in NOISE]


def _body(text: str) -> Any:
    """A body as JSON where that is the same."""
    try:
        value = loads(text.encode())
    except ValueError:
        return text
    return value if isinstance(value, dict) and dumps(value).decode() == text else text


def _with_hmac(headers: Headers, body: bytes, account: Account) -> Headers:
    """Headers with each HMAC of the body under a member of ``config`` as the placeholder for it."""
    made = {}
    for member, secret in secrets_in(account.config):
        for kind in ("sha256", "sha512", "sha1"):
            digest = hmac.new(secret.reveal().encode(), body, kind)
            made[digest.hexdigest()] = f"${{hmac:{kind}:hex:{member}}}"
            made[base64.b64encode(digest.digest()).decode()] = f"${{hmac:{kind}:base64:{member}}}"
    found = []
    for name, value in headers:
        for signature, placeholder in made.items():
            value = value.replace(signature, placeholder)
        found.append((name, value))
    return tuple(found)


def _written(held: dict[str, Any]) -> str:
    """A member a line, an element of a list a line."""
    lines = []
    for name, value in held.items():
        shown = dumps(value).decode()
        if isinstance(value, list) and value:
            shown = "[\n" + ",\n".join(f"    {dumps(one).decode()}" for one in value) + "\n  ]"
        lines.append(f"  {json.dumps(name)}: {shown}")
    return "{\n" + ",\n".join(lines) + "\n}\n"
