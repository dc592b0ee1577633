"""``store``: which URLs are taken, which are refused and with what words, and that none is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.core.errors import SettingsError
from gateway.core.secret import Secret
from gateway.drivers.settings import StoreTarget, load_settings

LEAST = "server: {secret: 'env:GATEWAY_SECRET'}\n"
DEVELOPMENT = "server: {secret: 'env:GATEWAY_SECRET', development: true}\n"
PASSWORD = "Zr7-kept-for-the-store-alone"
URL = f"postgresql://gateway:{PASSWORD}@db.internal:5432/payments?sslmode=verify-full"


def store_of(folder: Path, written: str, url: str = "") -> StoreTarget:
    """What a settings file says of its store; ``env:STORE`` is ``url``."""
    path = folder / "settings.yaml"
    path.write_text(written)
    path.chmod(0o600)
    environ = {"GATEWAY_SECRET": "a-master-secret-of-more-than-thirty-two", "STORE": url}
    return load_settings(path, providers={}, environ=environ).store


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gateway@db.internal/payments",
        "postgresql://gateway@db.internal:5432/payments?sslmode=require&application_name=node1",
        "postgresql://gateway@one:5432,two:5433/payments?target_session_attrs=read-write",
        "postgresql://gateway@[2001:db8::1]:5432/payments",
        "postgresql://gateway@/payments?host=/run/postgresql",
        "postgresql://gateway:@/payments?host=/run/postgresql",
        "postgresql:///payments?service=store",
        "postgresql://gateway@db.internal/payments?ssl=true&connect_timeout=",
    ],
)
def test_a_database_is_named_by_its_url(tmp_path: Path, url: str) -> None:
    """As libpq reads it, its parameters included; there is no file then."""
    found = store_of(tmp_path, LEAST + f"store: {{url: '{url}'}}\n")
    assert (found.url, found.path) == (Secret(url), None)


def test_options_of_a_database(tmp_path: Path) -> None:
    """Connections and timeouts; what is not given is left to the engine."""
    options = "pool: 20, statement_timeout: 30s, lock_timeout: 500ms, erased_file: erased"
    found = store_of(tmp_path, LEAST + f"store: {{url: 'postgresql://u@h/db', {options}}}\n")
    assert (found.pool, found.statement_timeout, found.lock_timeout) == (20, 30.0, 0.5)
    assert found.erased_file == tmp_path / "erased"
    assert store_of(tmp_path, LEAST + "store: {url: 'postgresql://u@h/db'}\n").pool is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u@h/db", "must be sqlite:///PATH"),
        ("postgresql://u@h", "must name one database"),
        ("postgresql://u@h/a/b", "must name one database"),
        ("postgresql://u@h:port/db", "must name its host"),
        ("postgresql://u@/db", "must name a host"),
        ("postgresql://u@h/db#x", "percent-encoded"),
        ("postgresql://u@h/d b", "percent-encoded"),
        ("postgresql://u:50%off@h/db", "% as %25"),
        ("postgresql://u@h/db?sslpassword=50%", "% as %25"),
        ("postgresql://u:a%00b@h/db", "percent-encoded"),
        ("postgresql://u:Zr7-kept-for-the-store@h/db", "holds a password that is written out"),
        ("postgresql://u@h/db?password=Zr7-kept-for-the-store", "holds a password that is written out"),
        ("postgresql://u@h/db?sslmod=require", 'unknown parameter "sslmod"; did you mean "sslmode"?'),
        ("postgresql://u@h/db?sslmode=require&zz=1", 'unknown parameter "zz"; known are application_name, '),
        ("postgresql://u@h/db?sslmode=require&poolsize", 'unknown parameter "poolsize"; '),
        ("postgresql://u@h/db?sslmode", "must have its parameters as ?name=value"),
        ("postgresql://u:1/a?Zr7-kept-for-the-store@h/db", 'unknown parameter "…"; known are '),
        ("env:NOWHERE", "environment variable NOWHERE is not set"),
    ],
)
def test_a_wrong_url_is_refused(tmp_path: Path, url: str, said: str) -> None:
    """The key is named and what would be right; the URL itself is not repeated."""
    with pytest.raises(SettingsError) as refused:
        store_of(tmp_path, LEAST + f"store: {{url: '{url}'}}\n")
    (problem,) = refused.value.problems
    assert f"store.url: {said}" in problem or (problem.startswith("settings.yaml:2: store.url: ") and said in problem)
    assert "Zr7" not in problem


def test_a_password_is_referred_to(tmp_path: Path) -> None:
    """The whole URL is in the environment or a private file; in development it may be written out."""
    assert store_of(tmp_path, LEAST + "store: {url: 'env:STORE'}\n", URL).url == Secret(URL)
    (tmp_path / "store-url").write_text(URL + "\n")
    (tmp_path / "store-url").chmod(0o600)
    found = store_of(tmp_path, LEAST + "store: {url: 'file:store-url'}\n")
    assert found.url == Secret(URL)
    assert PASSWORD not in repr(found)
    assert store_of(tmp_path, DEVELOPMENT + f"store: {{url: '{URL}'}}\n").url == Secret(URL)


@pytest.mark.parametrize(("password", "said"), [("password", "is empty or obvious"), ("Zr7", "less than 8 characters")])
def test_a_weak_password_is_refused(tmp_path: Path, password: str, said: str) -> None:
    """As any other credential outside development."""
    with pytest.raises(SettingsError, match=said):
        store_of(tmp_path, LEAST + "store: {url: 'env:STORE'}\n", f"postgresql://u:{password}@h/db")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("stores: {main: {url: 'sqlite:///a.db'}}\nstore: {url: 'sqlite:///b.db'}\n", "stores: is given beside store"),
        (
            "stores: {main: {url: 'sqlite:///a.db'}, eu: {url: 'sqlite:///./a.db'}}\n",
            "stores.eu.url: is that of main too",
        ),
        (
            "stores: {main: {url: 'sqlite:///a.db'}, eu: {url: 'postgresql://u@h/db'}}\n",
            "stores.eu.url: is another kind of database than main",
        ),
        (
            "stores: {main: {url: 'sqlite:///a.db'}, eu: {url: 'sqlite:///b.db'}}\ntenants: {acme: {store: us}}\n",
            'tenant acme: store: unknown store "us"',
        ),
    ],
)
def test_several_stores_are_told_apart(tmp_path: Path, written: str, said: str) -> None:
    """One place each, one kind for all, and a tenant in one of them: the key is named."""
    with pytest.raises(SettingsError) as refused:
        store_of(tmp_path, LEAST + written)
    assert [said in problem for problem in refused.value.problems] == [True]


@pytest.mark.parametrize(
    ("written", "refused"),
    [
        ("store: {url: 'env:STORE', pool: 5}\n", ["store.url"]),
        ("stores: {main: {url: 'env:STORE'}, eu: {url: 'env:STORE', pool: 5}}\n", ["stores.main.url", "stores.eu.url"]),
        ("stores: {main: {url: 'env:STORE'}, eu: {url: 'postgresql://u@h/db'}}\n", ["stores.main.url"]),
        ("stores: {main: {url: 'mysql://a'}, eu: {url: 'mysql://b'}}\n", ["stores.main.url", "stores.eu.url"]),
    ],
)
def test_of_a_url_that_cannot_be_read_nothing_else_is_said(tmp_path: Path, written: str, refused: list[str]) -> None:
    """Each has one problem: it is not compared with others as the default that stands in its place."""
    with pytest.raises(SettingsError) as found:
        store_of(tmp_path, LEAST + written)
    assert [problem.split(": ")[1] for problem in found.value.problems] == refused


@pytest.mark.parametrize("option", ["pool: 5", "statement_timeout: 5s", "lock_timeout: 5s", "erased_file: erased"])
def test_sqlite_has_no_options(tmp_path: Path, option: str) -> None:
    """They would do nothing, so each is a mistake that says why."""
    with pytest.raises(SettingsError, match=f"store.{option.partition(':')[0]}: is for PostgreSQL only: SQLite"):
        store_of(tmp_path, LEAST + f"store: {{url: 'sqlite:///a.db', {option}}}\n")
