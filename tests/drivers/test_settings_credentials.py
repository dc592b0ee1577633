"""What production settings refuse as a credential: what is published, empty, obvious, short or in two places."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.drivers.settings.weak_credentials import PUBLISHED
from tests.support.cli import SHIPPED, run, running
from tests.support.factories.settings import ENVIRON, WHSEC, load, problems, sha
from tests.tools.published import TABLE, table

MASTER, KEY = "development-only-master-secret-change-me", "gw_k1_dev-only-acme-key-0123456789"
HOOK = "whsec_YWNtZS1kZXZlbG9wbWVudC13ZWJob29rLWtleS0wMDE="
OTHER_HOOK = "whsec_" + base64.b64encode(b"o" * 32).decode()
KNOWN = {"acme": sha("acme"), "globex": sha("globex"), "dana": sha("dana"), "operator": sha("operator key")}

SETTINGS = """
server: {{secret: 'env:MASTER', development: {development}, admin: {{key_sha256: {operator},
  keys: [{{id: dana, sha256: {dana}}}]}}}}
tenants:
  acme:
    keys: [{{id: k1, sha256: {acme}}}]
    webhook: {{url: 'https://acme.example', secrets: ['env:HOOK', 'env:HOOK_2']}}
    accounts:
      one: {{provider: strict, config: {{shared_secret: 'env:SECRET', public_key: 'env:PUBLIC'}}}}
      two: {{provider: {provider}, config: {{{member}: 'env:SECRET_2'{more}}}}}
  globex:
    keys: [{{id: k1, sha256: {globex}}}]
    webhook: {{url: 'https://globex.example', secrets: ['env:HOOK_3']}}
    accounts:
      one: {{provider: plain, config: {{token: 'env:TOKEN'}}}}
"""
SECRETS = {
    "MASTER": "a master secret for tests, long enough",
    "HOOK": WHSEC,
    "HOOK_2": OTHER_HOOK,
    "HOOK_3": "whsec_" + base64.b64encode(b"p" * 32).decode(),
    "SECRET": "secret-of-acme-1",
    "PUBLIC": "public-of-acme-1",
    "SECRET_2": "secret-of-acme-2",
    "TOKEN": "token-of-globex",
}
PLACES = {
    "MASTER": "server.secret",
    "HOOK": "tenant acme: webhook.secrets[0]",
    "HOOK_2": "tenant acme: webhook.secrets[1]",
    "HOOK_3": "tenant globex: webhook.secrets[0]",
    "SECRET": "tenant acme: accounts.one.config.shared_secret",
    "PUBLIC": "tenant acme: accounts.one.config.public_key",
    "SECRET_2": "tenant acme: accounts.two.config.token",
    "TOKEN": "tenant globex: accounts.one.config.token",
    "operator": "server.admin.key_sha256",
    "dana": "server.admin.keys[0].sha256",
    "acme": "tenant acme: keys[0].sha256",
    "globex": "tenant globex: keys[0].sha256",
}


def text(hashes: Mapping[str, str], *, development: bool = False, twin: bool = False) -> str:
    """Complete settings; with ``twin`` acme's second account is at the provider of its first."""
    second = {"provider": "strict", "member": "shared_secret", "more": ", public_key: 'env:PUBLIC'"}
    plain = {"provider": "plain", "member": "token", "more": ""}
    named = {**KNOWN, **hashes, **(second if twin else plain)}
    return SETTINGS.format(development=str(development).lower(), **named)


def refused(folder: Path, **changed: str) -> dict[str, str]:
    """What is wrong, by place, when some credentials are others."""
    hashes = {name: value for name, value in changed.items() if name in KNOWN}
    secrets = {name: value for name, value in changed.items() if name not in KNOWN}
    lines = problems(folder, text(hashes), {**SECRETS, **secrets})
    found = [re.fullmatch(r"settings\.yaml:\d+: ((?:tenant \w+: )?[\w.\[\]]+): (.*)", line) for line in lines]
    return {one[1]: one[2] for one in found if one}


def test_good_credentials(tmp_path: Path) -> None:
    """What the other tests change is accepted as it stands."""
    assert set(load(tmp_path, text({}), SECRETS).tenants) == {"acme", "globex"}


# Published


def test_the_table_holds_what_the_repository_publishes() -> None:
    """A credential that is added to an example is added to the table: run ``python -m tests.tools.published``."""
    assert TABLE.read_text(encoding="utf-8") == table()
    assert {sha(one) for one in (MASTER, KEY, HOOK)} | {sha(sha(KEY))} < PUBLISHED


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    """The settings of the repository in production mode."""
    path = tmp_path / "settings.yaml"
    path.write_text(SHIPPED.read_text(encoding="utf-8").replace("development: true", "development: false", 1))
    path.chmod(0o644)
    return path


SHIPPED_CREDENTIALS = [
    "server.secret",
    "server.admin.key_sha256",
    "tenant acme: keys[0].sha256",
    "tenant acme: webhook.secrets[0]",
    "tenant acme: accounts.creditkey-main.config.public_key",
    "tenant acme: accounts.creditkey-main.config.shared_secret",
    "tenant globex: keys[0].sha256",
    "tenant globex: webhook.secrets[0]",
]


def test_the_shipped_settings_are_not_for_production(shipped: Path) -> None:
    """One line for every credential of the shipped file, with file, line and key; exit code 2."""
    result = run("check", "--config", shipped)
    said = [line.split(": is published")[0] for line in result.stderr.splitlines() if ": is published" in line]
    assert (result.exit_code, [line.partition(": ")[2] for line in said]) == (2, SHIPPED_CREDENTIALS)
    lines = shipped.read_text(encoding="utf-8").splitlines()
    for place, line in (one.split(": ", 1) for one in said):
        assert line.split(".")[-1].partition("[")[0] in lines[int(place.removeprefix("settings.yaml:")) - 1]


def test_the_server_does_not_start_on_them(shipped: Path) -> None:
    """``serve`` refuses what ``check`` refuses."""
    with running("serve", "--config", shipped, lines=0) as process:
        code, errors = process.ended()
    assert (code, errors.count("is published")) == (2, len(SHIPPED_CREDENTIALS))


@pytest.mark.parametrize("name", [name for name in SECRETS if not name.startswith("HOOK")])
@pytest.mark.parametrize(
    "known", [MASTER, KEY, HOOK, sha(KEY), f"{MASTER} ", f"\t{MASTER}\n", "acme-development-webhook-key-001"]
)
def test_a_published_secret_is_refused_in_any_role(tmp_path: Path, name: str, known: str) -> None:
    """Whatever it was published as, with or without blanks, and wherever it came from."""
    [(place, said)] = refused(tmp_path, **{name: known}).items()
    assert (place, said.startswith("is published with the gateway")) == (PLACES[name], True)


def test_a_published_webhook_secret_is_its_bytes(tmp_path: Path) -> None:
    """Another spelling of the same base64 is the same secret."""
    respelt = HOOK.removesuffix("E=") + "F="
    assert base64.b64decode(respelt.removeprefix("whsec_")) == base64.b64decode(HOOK.removeprefix("whsec_"))
    for spelt in (HOOK, respelt):
        assert list(refused(tmp_path, HOOK_2=spelt)) == [PLACES["HOOK_2"]]


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("known", [sha(KEY), sha(sha(KEY)), sha(MASTER), sha(HOOK)])
def test_a_published_key_is_refused_in_any_role(tmp_path: Path, name: str, known: str) -> None:
    """The hash of a published key, or of any other published text, opens no listener."""
    [(place, said)] = refused(tmp_path, **{name: known}).items()
    assert (place, said.startswith("is published with the gateway")) == (PLACES[name], True)


def test_a_published_secret_in_a_file(tmp_path: Path) -> None:
    """A reference to a file is judged by what the file holds."""
    (tmp_path / "master").write_text(MASTER)
    (tmp_path / "master").chmod(0o600)
    [line] = problems(tmp_path, "server: {secret: 'file:master'}")
    assert line.startswith("settings.yaml:1: server.secret: is published")


# Empty, obvious, short


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("key", ["", " ", "\n", "admin", "password", "secret", "changeme"])
def test_the_hash_of_nothing_or_of_an_obvious_key_is_refused(tmp_path: Path, name: str, key: str) -> None:
    """Such a hash comes from an empty variable or a placeholder."""
    assert refused(tmp_path, **{name: sha(key)}) == {PLACES[name]: "is empty or obvious: use a random one"}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("blank", ["", "   ", "\t\n", "\u00a0"])
def test_a_blank_secret_is_refused(tmp_path: Path, name: str, blank: str) -> None:
    """A variable that holds blanks holds nothing."""
    assert refused(tmp_path, **{name: blank}) == {PLACES[name]: f"environment variable {name} is empty"}


@pytest.mark.parametrize(
    ("name", "short", "said"),
    [
        ("MASTER", "m" * 31, "must have at least 32 characters"),
        ("MASTER", "m" * 31 + " ", "must have at least 32 characters"),
        ("HOOK", "whsec_" + base64.b64encode(b"k" * 23).decode(), "must be whsec_ followed by"),
        ("TOKEN", "7 signs", "must have at least 8 characters"),
        ("SECRET", "x", "must have at least 8 characters"),
        ("PUBLIC", "password", "is empty or obvious"),
    ],
)
def test_a_short_or_obvious_secret_is_refused(tmp_path: Path, name: str, short: str, said: str) -> None:
    """Every role has its least length."""
    [(place, told)] = refused(tmp_path, **{name: short}).items()
    assert (place, told.startswith(said)) == (PLACES[name], True)


# In two places


@pytest.mark.parametrize(
    ("name", "value", "other"),
    [
        ("HOOK_2", SECRETS["HOOK"], "HOOK"),
        ("HOOK_3", SECRETS["HOOK"], "HOOK"),
        ("MASTER", SECRETS["HOOK"], "HOOK"),
        ("TOKEN", SECRETS["HOOK"], "HOOK"),
        ("TOKEN", SECRETS["SECRET"], "SECRET"),
        ("TOKEN", SECRETS["SECRET_2"], "SECRET_2"),
        ("TOKEN", SECRETS["MASTER"], "MASTER"),
        ("PUBLIC", SECRETS["SECRET"], "SECRET"),
        ("SECRET_2", SECRETS["SECRET"], "SECRET"),
        ("operator", sha("acme"), "acme"),
        ("dana", sha("globex"), "globex"),
        ("acme", sha(SECRETS["MASTER"]), "MASTER"),
        ("operator", sha(SECRETS["TOKEN"]), "TOKEN"),
        ("MASTER", KNOWN["acme"], "acme"),
        ("dana", sha(KNOWN["acme"]), "acme"),
    ],
)
def test_a_credential_stands_in_one_place(tmp_path: Path, name: str, value: str, other: str) -> None:
    """Of two places under whatever roles one is told that it is the same as the other."""
    [(place, said)] = refused(tmp_path, **{name: value}).items()
    pair = {PLACES[name], PLACES[other]}
    assert place in pair
    [first] = pair - {place}
    assert said == f"is the same as {first}: every place needs a credential of its own"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("globex", KNOWN["acme"], 'is already key "k1" of tenant acme'),
        ("dana", KNOWN["operator"], 'is already key "operator" of operators'),
    ],
)
def test_a_key_that_is_listed_twice_is_one_problem(tmp_path: Path, name: str, value: str, said: str) -> None:
    """The lists say so themselves, in development too."""
    assert refused(tmp_path, **{name: value}) == {PLACES[name]: said}


def test_a_merchants_only_pair_of_keys_may_serve_two_accounts(tmp_path: Path) -> None:
    """The same member of two accounts of one tenant at one provider may be the same; at another tenant not."""
    secrets = {**SECRETS, "SECRET_2": SECRETS["SECRET"]}
    assert len(load(tmp_path, text({}, twin=True), secrets).tenants["acme"].accounts) == 2
    assert len(problems(tmp_path, text({}, twin=True), {**secrets, "TOKEN": SECRETS["SECRET"]})) == 1


def test_development_takes_them_all(tmp_path: Path) -> None:
    """Published, short, obvious and shared credentials are what examples are made of."""
    hashes = {"acme": sha(KEY), "operator": sha(KEY), "dana": sha("")}
    secrets = {**SECRETS, "MASTER": MASTER, "HOOK": HOOK, "HOOK_2": HOOK, "SECRET": "x", "PUBLIC": "x", "TOKEN": MASTER}
    assert load(tmp_path, text(hashes, development=True), {**ENVIRON, **secrets}).server.development
