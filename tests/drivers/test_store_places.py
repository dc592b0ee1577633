"""Where tenants are: as settings say, until the stores say that one was moved."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.drivers.settings import Settings
from gateway.drivers.store.moves import Move, Step
from gateway.drivers.store.places import Places
from tests.drivers.test_store_many import settings_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """acme is in eu, globex in main."""
    return settings_of(tmp_path)


def move(tenant: str, to: str, step: Step = Step.MOVED) -> Move:
    return Move(tenant=tenant, to=to, step=step, at=1)


def test_settings_say_where_tenants_are(settings: Settings) -> None:
    """A tenant that names none is in the first, as one is that nobody knows."""
    places = Places("main", settings)
    assert [places.of(one) for one in ("acme", "globex", "initech")] == ["eu", "main", "main"]
    assert (places.followed(settings), places.under_way()) == (settings, [])


def test_a_tenant_waits_until_its_move_is_over(settings: Settings) -> None:
    """It is where it was; its rows in the other store do not count yet."""
    places = Places("main", settings)
    for step in (Step.ANNOUNCED, Step.BARRED):
        begun = move("acme", "main", step)
        places.note("eu", [begun])
        assert (places.of("acme"), places.holding("acme"), places.holding("globex")) == ("eu", begun, None)
        assert (places.is_elsewhere("main", "acme"), places.is_elsewhere("eu", "acme")) == (True, False)
        assert places.under_way() == [("eu", begun)]


def test_moves_are_followed(settings: Settings) -> None:
    """One after the other, whatever settings still say; its rows that were left do not count."""
    places = Places("main", settings)
    places.note("eu", [move("acme", "main")])
    places.note("main", [move("acme", "us")])
    assert (places.of("acme"), places.holding("acme")) == ("us", None)
    assert [places.is_elsewhere(one, "acme") for one in ("eu", "main", "us")] == [True, True, False]
    assert places.followed(settings).tenants["acme"].store == "us"
    assert places.followed(settings).tenants["globex"] is settings.tenants["globex"]
    places.use(settings)
    assert places.of("acme") == "us"
    places.note("main", [move("acme", "us", Step.CLEARED)])
    places.note("eu", [move("acme", "main", Step.CLEARED)])
    assert (places.of("acme"), places.under_way()) == ("us", [])


def test_a_circle_ends(settings: Settings) -> None:
    """As while a tenant comes back."""
    places = Places("main", settings)
    places.note("eu", [move("acme", "main")])
    places.note("main", [move("acme", "eu")])
    assert places.of("acme") in ("main", "eu")
