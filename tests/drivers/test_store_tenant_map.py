"""Where tenants are: as settings say, until the stores say that one was moved."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.drivers.settings import Settings
from gateway.drivers.store.moves import Move, Step
from gateway.drivers.store.tenant_map import TenantMap
from tests.drivers.test_store_many import settings_of


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """acme is in eu, globex in main."""
    return settings_of(tmp_path)


def move(tenant: str, to: str, step: Step = Step.MOVED, at: int = 1) -> Move:
    return Move(tenant=tenant, to=to, step=step, at=at)


def test_settings_say_where_tenants_are(settings: Settings) -> None:
    """A tenant that names none is in the first, as one is that nobody knows."""
    tenants = TenantMap(("main", "eu"), settings)
    assert [tenants.store_of(one) for one in ("acme", "globex", "initech")] == ["eu", "main", "main"]
    assert (tenants.with_moves(settings), tenants.moves_under_way()) == (settings, [])


def test_who_left_the_settings_is_where_it_was(settings: Settings) -> None:
    """Rows of it stay; also where only they say so. Settings that name it count again."""
    tenants = TenantMap(("main", "eu"), settings)
    tenants.note_rows({"acme": "main", "initech": "eu"})
    tenants.use(replace(settings, tenants={}))
    assert [tenants.store_of(one) for one in ("acme", "globex", "initech")] == ["eu", "main", "eu"]
    tenants.use(replace(settings, tenants={"acme": replace(settings.tenants["acme"], store=None)}))
    assert tenants.store_of("acme") == "main"


def test_a_tenant_waits_until_its_move_is_over(settings: Settings) -> None:
    """It is where it was; its rows in the other store do not count yet."""
    tenants = TenantMap(("main", "eu"), settings)
    for step in (Step.ANNOUNCED, Step.BARRED):
        begun = move("acme", "main", step)
        tenants.note_moves("eu", [begun])
        assert (tenants.store_of("acme"), tenants.unfinished_move("acme"), tenants.unfinished_move("globex")) == (
            "eu",
            begun,
            None,
        )
        assert (tenants.is_elsewhere("main", "acme"), tenants.is_elsewhere("eu", "acme")) == (True, False)
        assert tenants.moves_under_way() == [("eu", begun)]


def test_moves_are_followed(settings: Settings) -> None:
    """One after the other, whatever settings still say; its rows that were left do not count."""
    tenants = TenantMap(("main", "eu"), settings)
    tenants.note_moves("eu", [move("acme", "main")])
    tenants.note_moves("main", [move("acme", "us", at=2)])
    assert (tenants.store_of("acme"), tenants.unfinished_move("acme")) == ("us", None)
    assert [tenants.is_elsewhere(one, "acme") for one in ("eu", "main", "us")] == [True, True, False]
    assert tenants.with_moves(settings).tenants["acme"].store == "us"
    assert tenants.with_moves(settings).tenants["globex"] is settings.tenants["globex"]
    tenants.use(settings)
    assert tenants.store_of("acme") == "us"
    tenants.note_moves("main", [move("acme", "us", Step.CLEARED, at=2)])
    tenants.note_moves("eu", [move("acme", "main", Step.CLEARED)])
    assert (tenants.store_of("acme"), tenants.moves_under_way()) == ("us", [])


@pytest.mark.parametrize(("of_main", "of_eu", "store"), [(1, 2, "main"), (2, 1, "eu")])
def test_the_last_move_counts(settings: Settings, of_main: int, of_eu: int, store: str) -> None:
    """Until the one before is forgotten, as while a tenant comes back; rows of the other store do not count."""
    tenants = TenantMap(("main", "eu"), settings)
    tenants.note_moves("main", [move("acme", "eu", Step.CLEARED, at=of_main)])
    tenants.note_moves("eu", [move("acme", "main", at=of_eu)])
    assert (tenants.store_of("acme"), tenants.unfinished_move("acme")) == (store, None)
    assert [one for one in ("main", "eu") if not tenants.is_elsewhere(one, "acme")] == [store]
