"""The counts of keys, and of accounts as they were before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway.flows.credential_uses import CredentialUses, _name, last_of
from tests.support.factories.settings import load

NOW = datetime(2027, 1, 31, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_what_is_no_longer_accepted_is_returned_once(tmp_path: Path) -> None:
    """With what was used of it; what is still accepted stays counted."""
    text = "server: {secrets: [new, old], development: true}\n"
    account = "tenants: {acme: {accounts: {main: {provider: plain, generation: 2, accept_previous: true}}}}"
    entry = load(tmp_path, text + account).tenants["acme"].accounts["main"]
    uses = CredentialUses()
    for one in entry.earlier:
        uses.note_earlier(one, "address", NOW)
    uses.note_earlier(entry.earlier[0], "address", LATER)
    assert len(entry.earlier) == 3
    assert uses.end_all_but(entry.earlier) == []
    [(tenant, account, ended)] = uses.end_all_but(entry.earlier[1:])
    assert (tenant, account, ended.keys(), ended["address"].times, last_of(ended)) == (
        "acme",
        "main",
        {"address"},
        2,
        LATER,
    )
    assert uses.end_all_but(entry.earlier[1:]) == []
    left = [uses.earlier([one]).get(_name(one), {}) for one in entry.earlier]
    assert [(last_of(one), [use.times for use in one.values()]) for one in left] == [(None, []), (NOW, [1]), (NOW, [1])]
