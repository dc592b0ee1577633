"""No secret and no card number ever leaves the gateway or is stored in it, wherever it was put in."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.security.canaries import CARDS, LINKS, SESSIONS, SETTINGS, STRANGERS, Search, quotations, spellings
from tests.security.canary_gateway import found_in, observed_gateway
from tests.security.canary_scenario import run_scenario

LEGITIMATE = {"answers to v1/webhooks": {"query of the webhook"}}
"""Where a canary may be: a tenant reads its own address there, with all that it wrote into it.

Elsewhere the scenario does not write what is kept on purpose: a plain number as merchant reference, SKU or id of a
provider (docs/adr/0023).
"""

SECRETS = {**SETTINGS, **SESSIONS, **STRANGERS}


async def test_no_canary_is_ever_seen_again(tmp_path: Path) -> None:
    """Of thirty secrets and twenty card numbers, put in every place, none is in logs, answers, webhooks or files.

    Neither in clear nor in an encoding that anybody would try.
    """
    assert len(SECRETS) + len(LINKS) >= 30
    assert len(set(CARDS)) == 20
    async with observed_gateway(tmp_path) as opened:
        await run_scenario(opened)
    assert {name.split()[0] for name in opened.files} >= {"gateway.db", "gateway.db-wal", "gateway.db-shm", "copy.db"}
    found = {place: names - LEGITIMATE.get(place, set()) for place, names in found_in(opened).items()}
    assert {place: names for place, names in found.items() if names} == {}


@pytest.mark.parametrize("name", SECRETS)
def test_the_search_finds_a_secret_in_every_form(name: str) -> None:
    """Otherwise finding none would prove nothing."""
    search = Search(SECRETS)
    missed = [form for form in quotations(SECRETS[name]) if name not in search.in_text(b"x " + form.encode() + b" y")]
    assert missed == []


@pytest.mark.parametrize("card", CARDS)
def test_the_search_finds_a_card_number_in_every_spelling(card: str) -> None:
    """The same for card numbers."""
    search = Search({})
    assert [form for form in spellings(card) if card not in search.in_text(f"no {form} yes".encode())] == []
