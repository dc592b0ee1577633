"""Samples: what a file may hold, what is said of a mistake in it, and how outcomes are compared with ``gives``."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import gateway
from gateway.core.strictjson import loads
from gateway.testing.calls import Outcome
from gateway.testing.checks.parse import replies_of
from gateway.testing.expected import difference
from gateway.testing.installed import find_plugin
from gateway.testing.recipes import command_of, ids_of
from gateway.testing.samples import Reply, Samples
from gateway.testing.subject import Subject
from tests.support.cli import run
from tests.support.docs_pages import ROOT

SANDBOX = ROOT / "examples" / "gateway-provider-sandbox"
SHIPPED = json.loads((SANDBOX / "samples.json").read_text())


def seen(**members: Any) -> gateway.Observation:
    """An observation of a captured payment."""
    return gateway.Observation(stage=gateway.Stage.CAPTURED, **members)


CAPTURED = Outcome(value=seen(amount=Decimal("10.00"), memory={"order": "o-1"}))
EVENT = Outcome(value=gateway.Event(event_id="e-1", observation=seen(refunded=Decimal(4))))
PENDING = Outcome(value=gateway.Pending(observation=gateway.Observation(stage=gateway.Stage.UNKNOWN)))
REJECTED = Outcome(error=gateway.CallbackRejected(gateway.Reason.TIME))
BATCH = Outcome(value=(EVENT.value, gateway.Hint(payment_id="p-1")))

RIGHT = [
    ("captured", CAPTURED),
    ({"stage": "captured", "amount": "10.0"}, CAPTURED),
    ({"kind": "observation", "memory": {"order": "o-1"}}, CAPTURED),
    ({"Observation": {"amount": 10}}, CAPTURED),
    ("event", EVENT),
    ("event", Outcome(value=(EVENT.value,))),
    ({"event_id": "e-1"}, Outcome(value=(EVENT.value,))),
    ({"payment_id": "${payment_id}"}, Outcome(value=seen(payment_id=ids_of()["payment_id"]))),
    ({"kind": "event", "event_id": "e-1", "refunded": "4"}, EVENT),
    ({"kind": "event", "observation": {"stage": "captured"}}, EVENT),
    ("pending", PENDING),
    ("unknown", PENDING),
    ("unknown", Outcome(error=gateway.OutcomeUnknown("?"))),
    ("time", REJECTED),
    ("rejected", REJECTED),
    ({"kind": "rejected"}, REJECTED),
    ({"reason": "time"}, REJECTED),
    ("nothing", Outcome()),
    (None, Outcome(value=())),
    ([{"event_id": "e-1"}, "hint"], BATCH),
    ({"code": "no"}, Outcome(value=gateway.Declined(code="no", message="sorry"))),
    ({"token": "t"}, Outcome(value=gateway.Session(token=gateway.Secret("t"), expires_in=60))),
]
WRONG = [
    ("authorized", CAPTURED),
    ({"amount": "10.01"}, CAPTURED),
    ({"amount": None}, CAPTURED),
    ({"nonsense": "x"}, CAPTURED),
    ("declined", CAPTURED),
    ("captured", Outcome(error=gateway.OutcomeUnknown("?"))),
    ({"stage": "captured"}, Outcome(error=KeyError("x"))),
    ("amount", REJECTED),
    ("event", REJECTED),
    ("nothing", EVENT),
    (["event"], BATCH),
    ("event", BATCH),
    ({"payment_id": "${payment_id}"}, Outcome(value=seen(payment_id="pay_of_another"))),
    ("whatever", CAPTURED),
]


@pytest.mark.parametrize(("gives", "outcome"), RIGHT, ids=str)
def test_what_a_sample_says_is_found(gives: Any, outcome: Outcome) -> None:
    """Words and objects, numbers as text or as numbers, members of the fact or of the observation inside it."""
    assert difference(loads(json.dumps(gives).encode()), outcome) is None


def test_a_stage_that_is_none_is_told_from_another_stage() -> None:
    """The sample is at fault then, and the difference of two stages names both in the words of samples."""
    assert difference({"stage": "capturd"}, CAPTURED) == '"capturd" is not a stage; did you mean "captured"?'
    assert "is not a stage" in (difference({"stage": ["captured"]}, CAPTURED) or "")
    assert difference({"stage": "authorized"}, CAPTURED) == "stage should be 'authorized', not 'captured'"


@pytest.mark.parametrize(("gives", "outcome"), WRONG, ids=str)
def test_what_a_sample_does_not_say_is_told(gives: Any, outcome: Outcome) -> None:
    """Anything else is a sentence."""
    assert difference(loads(json.dumps(gives).encode()), outcome)


MISTAKES = [
    ("{", "samples.json: expecting property name"),
    ({"replys": []}, "replys"),
    ({"replies": [{"command": "CreatePayment"}]}, "gives"),
    ({"replies": [{"command": "PayPayment", "gives": "captured"}]}, 'replies[0].command: "PayPayment" is not one of'),
    ({"callbacks": [{"account": "acme/other", "gives": "event"}]}, 'account "acme/other": must be one of acme/main'),
    ({"callbacks": [{"body": "${payment}", "gives": "event"}]}, "${payment} is not known; there are payment_id"),
    ({"allows": {"no-such-rule": "why"}}, "allows.no-such-rule: is not a rule"),
    ({"allows": {"clock": " "}}, "allows.clock: must say why"),
    ({"callbacks": [{"gives": "event", "signs": "moon"}]}, "callbacks[0].signs: must be bytes or members"),
    ({"callbacks": [{"gives": "event", "at": "yesterday"}]}, "callbacks[0].at: must be a time with its zone"),
    ({"callbacks": [{"gives": "event", "at": "2026-01-02T03:04:05"}]}, "callbacks[0].at: must be a time with its zone"),
    ({"callbacks": [{"gives": "event", "headers": {"X": 5}}]}, "callbacks[0].headers: must be an object of texts"),
    ({"callbacks": [{"gives": "event", "query": "${hmac:sha256:oct:key}"}]}, "must be ${hmac:HASH:hex:MEMBER}"),
    ({"callbacks": [{"gives": "event", "query": "${hmac:nosuch:hex:key}"}]}, "callbacks[0].query: ${hmac:nosuch:hex"),
    ({"callbacks": [{"gives": "event", "query": "${hmac:shake_128:hex:key}"}]}, "HASH must be one of blake2b"),
    ({"replies": [{"command": "create", "gives": "x", "status": -1}]}, "replies[0].status: must be a status of HTTP"),
    ('{"replies": [{"command": "create", "gives": "x", "status": 1e999}]}', "replies[0].status: must be a status"),
    ({"replies": [{"command": "create", "gives": "x", "money": "USD -5.00"}]}, "replies[0].money: must be above zero"),
    ({"replies": [{"command": "create", "gives": "x", "money": "USD ten"}]}, "replies[0].money: "),
    ({"accounts": SHIPPED["accounts"] * 2}, "accounts: acme/main is there 2 times"),
    ({"wire": {"USD": {}}}, '"USD" must be a currency and an amount'),
]


@pytest.mark.parametrize(("changes", "said"), MISTAKES, ids=str)
def test_a_mistake_in_a_file_is_bad_usage(
    changes: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names what is wrong and ends with 2: nothing was checked."""
    monkeypatch.syspath_prepend(SANDBOX)
    path = tmp_path / "samples.json"
    path.write_text(changes if isinstance(changes, str) else json.dumps(SHIPPED | changes))
    result = run("plugins", "check", "sandbox", "--samples", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """A line for each, with the file."""
    path = tmp_path / "samples.json"
    path.write_text('\ufeff{"allows": {"x": ""}, "wire": {"USD -1": {}}}')
    result = run("plugins", "check", "creditkey", "--samples", path)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 3)
    assert all(line.startswith(f"{path}: ") for line in result.stderr.splitlines())


def test_an_account_that_cannot_be_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the settings would refuse is said in the words of the settings."""
    monkeypatch.syspath_prepend(SANDBOX)
    path = tmp_path / "samples.json"
    path.write_text(
        json.dumps({"accounts": [{"tenant": "acme", "name": "main", "config": {"bas_url": "x", "key": "k"}}]})
    )
    result = run("plugins", "check", "sandbox", "--samples", path, "--json")
    (found,) = json.loads(result.stdout)["findings"]
    assert (result.exit_code, found["rule"]) == (1, "account")
    assert 'unknown key "bas_url"; did you mean "base_url"?' in found["message"]


def test_a_reply_may_follow_what_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """``memory`` of a sample is the command's, over what the create asked to keep."""
    monkeypatch.syspath_prepend(SANDBOX)
    (provider,) = find_plugin("sandbox").providers
    reply = Reply(command="CreatePayment", gives="captured", memory={"order": "of ${payment_id}"})
    ((_, call),) = replies_of(Subject(provider, Samples(replies=(reply,))))
    assert call.recipe is not None
    assert command_of(call.recipe).memory == {"order": f"of {ids_of()['payment_id']}"}
