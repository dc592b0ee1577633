"""``operators``: who hears of what, and what is wrong with an entry."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from gateway.core.operator_events import OperatorEvent
from gateway.drivers.settings.values import NAME
from tests.support.factories.settings import ENVIRON, LEAST, load, problems

ENV = {**ENVIRON, "OPS": "whsec_" + base64.b64encode(b"o" * 32).decode()}
OPS2 = "whsec_" + base64.b64encode(b"p" * 32).decode()
ENTRY = "url: 'https://ops.example/hook', secrets: ['env:OPS']"


def webhooks(*entries: str) -> str:
    """Settings with these webhooks of operators; the first is in line 4."""
    return LEAST + "operators:\n  webhooks:\n" + "".join(f"    - {{{entry}}}\n" for entry in entries)


def test_webhooks_of_operators_are_known_by_an_owner_no_tenant_can_be(tmp_path: Path) -> None:
    """Each address has a name of its own; without types it hears of all."""
    second = "url: 'https://ops.example/2', secrets: ['env:OPS2'], types: [review_raised, reload_failed]"
    found = load(tmp_path, webhooks(ENTRY, second), {**ENV, "OPS2": OPS2}).operator_webhooks
    assert [one.types for one in found.values()] == [None, (OperatorEvent.REVIEW_RAISED, OperatorEvent.RELOAD_FAILED)]
    assert len(found) == 2
    assert not any(NAME.fullmatch(owner) for owner in found)
    assert load(tmp_path, LEAST).operator_webhooks == {}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (("secrets: ['env:OPS']",), "4: operators.webhooks[0].url: is missing"),
        (("url: 'https://ops.example/hook'",), "4: operators.webhooks[0].secrets: is missing"),
        ((ENTRY.replace("https", "http"),), "4: operators.webhooks[0].url: must be https"),
        ((f"{ENTRY}, types: [review]",), "4: operators.webhooks[0].types[0]: must be one of review_raised, "),
        ((f"{ENTRY}, types: []",), "4: operators.webhooks[0].types: must not be an empty list"),
        ((ENTRY, f"{ENTRY}, types: [reload_failed]"), "5: operators.webhooks[1].url: is named twice"),
        ((f"{ENTRY}, map: erp",), '4: operators.webhooks[0].map: unknown key "map"'),
    ],
)
def test_a_mistake_names_its_entry(tmp_path: Path, entries: tuple[str, ...], expected: str) -> None:
    """With the line of the file, and what would be right."""
    found = problems(tmp_path, webhooks(*entries), ENV)
    assert any(line.startswith(f"settings.yaml:{expected}") for line in found), found


def test_a_secret_of_a_tenant_is_not_one_of_operators(tmp_path: Path) -> None:
    """Every place needs a credential of its own."""
    twice = webhooks(ENTRY, ENTRY.replace("hook", "other"))
    assert any("is the same as" in line for line in problems(tmp_path, twice, ENV))
