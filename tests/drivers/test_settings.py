"""The loader of settings.yaml: defaults, every check with its line, secrets, includes, derived values."""

from __future__ import annotations

import importlib
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest

from gateway.core.expressions import compile_expression
from gateway.core.field_values import Origin
from gateway.core.secret import Secret
from gateway.core.urls import origin_of
from gateway.drivers.settings import RoutingRule, load_settings
from gateway.drivers.settings.scalar_reader import Raw
from gateway.drivers.settings.schema import FileShape, ServerShape
from tests.support.factories.settings import (
    ENVIRON,
    GOOD,
    LEAST,
    PROVIDERS,
    WHSEC,
    Tolerance,
    load,
    problems,
    sha,
    with_account,
    with_tenant,
)

SHIPPED = Path(__file__).parents[2] / "settings.yaml"


def hours(*numbers: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(hours=number) for number in numbers)


def seconds(*numbers: float) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=number) for number in numbers)


# --- defaults and resolved values


def test_server_defaults(tmp_path: Path) -> None:
    """A file with a secret and nothing else listens on loopback, in production mode."""
    server = load(tmp_path, LEAST).server
    assert (server.host, server.port, server.public_url, server.development) == ("127.0.0.1", 8080, None, False)
    assert (server.admin.host, server.admin.port, server.admin.key_sha256) == ("127.0.0.1", 8081, None)
    assert (server.callback_rate.per_second, server.callback_rate.burst) == (50, 200)
    assert server.secret == Secret(ENVIRON["GATEWAY_SECRET"])


def test_clock_defaults(tmp_path: Path) -> None:
    """Every schedule has the documented default."""
    clocks = load(tmp_path, LEAST).clocks
    assert msgspec.structs.asdict(clocks) == {
        "reconcile": seconds(30, 120, 600) + hours(1, 6, 24),
        "poll": seconds(300, 900) + hours(1, 6),
        "quiet_period": timedelta(seconds=60),
        "webhook_retry": seconds(0, 5, 300, 1800) + hours(2, 5, 10, 14, 20, 24),
        "hint": timedelta(seconds=10),
        "payment_expiry": timedelta(hours=24),
        "late_grace": timedelta(hours=72),
        "unknown_outcome": timedelta(hours=1),
        "housekeeping": timedelta(hours=1),
        "crm_retry": seconds(0, 10, 60, 300, 1800) + hours(2, 6, 24),
    }


def test_other_defaults(tmp_path: Path) -> None:
    """Timeouts are seconds; the store lies beside the settings file; nothing is blocked."""
    settings = load(tmp_path, LEAST)
    assert list(msgspec.structs.asdict(settings.timeouts).values()) == [5.0, 20.0, 10.0, 15.0, 10.0, 10.0, 60.0, 20.0]
    assert list(msgspec.structs.asdict(settings.limits).values()) == [None, None, 16384, 10**6, 10**10, 10**8]
    assert settings.store.path == tmp_path / "var/gateway.db"
    assert (settings.blocked, settings.currencies, settings.tenants) == (frozenset(), {}, {})
    assert settings.source == tmp_path / "settings.yaml"


def test_tenant_and_account_defaults(tmp_path: Path) -> None:
    """A tenant is called by its id, and an account accepts new payments in generation 1."""
    tenant = load(tmp_path, with_account("{provider: plain}")).tenants["acme"]
    assert (tenant.title, tenant.keys, tenant.webhook, tenant.return_origins) == ("acme", (), None, frozenset())
    assert tenant.rate_limit is not None
    assert (tenant.rate_limit.per_second, tenant.rate_limit.burst) == (50, 100)
    entry = tenant.accounts["main"]
    assert (entry.accepts_new, entry.generation, entry.accept_previous, entry.deposit_methods) == (True, 1, False, ())


def test_no_rate_limit(tmp_path: Path) -> None:
    """A tenant whose rate_limit is null has none."""
    assert load(tmp_path, with_tenant("rate_limit: null")).tenants["acme"].rate_limit is None


def test_resolved_tenant(tmp_path: Path) -> None:
    """A tenant's section becomes keys, a webhook with secrets, accounts with compiled fields and deposit methods."""
    settings = load(tmp_path, GOOD)
    tenant = settings.tenants["acme"]
    assert tenant.webhook is not None
    assert [secret.reveal() for secret in tenant.webhook.secrets] == [WHSEC]
    psp = tenant.accounts["psp"]
    assert (psp.account.fields.key("amount"), psp.deposit_methods) == ("sum", ("bank",))
    assert psp.rules.deposit_method_required
    bank = tenant.deposit_methods["bank"]
    assert (bank.currencies, bank.min, bank.max) == (("USD",), Decimal(1), Decimal(10))
    assert bank.fields == {"vip": {"en": "Code"}}
    assert settings.keys_by_sha256 == {sha("acme"): ("acme", tenant.keys[0])}
    assert settings.endpoints == {entry.endpoint_id: entry for entry in tenant.accounts.values()}


def test_operators_keys(tmp_path: Path) -> None:
    """Operators have keys as tenants have; the one of ``key_sha256`` is called operator. Without a role: admin."""
    kim = f"{{id: kim, name: Kim Lee, sha256: {sha('kim')}, role: read}}"
    dana = f"{{id: dana, sha256: {sha('dana')}, expires: 2027-01-31T00:00:00Z}}"
    keys = f"key_sha256: {sha('old')}, keys: [{dana}, {kim}]"
    found = load(tmp_path, f"server: {{secret: 'env:GATEWAY_SECRET', admin: {{{keys}}}}}").operators_by_sha256
    assert {sha256: (key.id, key.name, key.role, key.expires) for sha256, key in found.items()} == {
        sha("old"): ("operator", None, "admin", None),
        sha("dana"): ("dana", None, "admin", datetime(2027, 1, 31, tzinfo=UTC)),
        sha("kim"): ("kim", "Kim Lee", "read", None),
    }


@pytest.mark.parametrize(
    ("admin", "said"),
    [
        ("keys: [{id: dana, sha256: A}, {id: dana, sha256: B}]", 'keys[1].id: "dana" is already the id of another key'),
        ("keys: [{id: dana, sha256: A}, {id: kim, sha256: A}]", 'keys[1].sha256: is already key "dana" of operators'),
        ("key_sha256: A, keys: [{id: kim, sha256: A}]", 'keys[0].sha256: is already key "operator" of operators'),
        ("key_sha256: A, keys: [{id: operator, sha256: B}]", 'keys[0].id: "operator" is already the id of another key'),
        ("keys: [{id: dana}]", "keys[0].sha256: is missing"),
        ("keys: [{id: da na, sha256: A}]", "keys[0].id: must match"),
        ("keys: [{id: dana, sha256: A, role: boss}]", "keys[0].role: must be"),
        ("approvals: 2", "that may act; there are 0"),
        ("key_sha256: A, approvals: 2", "approvals: needs 2 people with keys that may act"),
        *(
            (f"approvals: 2, keys: [{{id: kim, sha256: A}}, {other}]", "that may act; there is 1, kim.")
            for other in ("{id: dana, sha256: B, role: read}", "{id: kim-2, name: Kim, sha256: B}")
        ),
        (
            "approvals: 2, keys: [{id: kim, name: Kim Lee, sha256: A}, {id: laptop, name: KIM LEE, sha256: B}]",
            "that may act; there is 1, kim lee. Keys of equal names",
        ),
        ("approvals: 3", "approvals: must be"),
        ("kyes: []", 'kyes: unknown key "kyes"; did you mean "keys"?'),
    ],
)
def test_mistake_in_operators_keys(tmp_path: Path, admin: str, said: str) -> None:
    """Every operators' key has an id of its own and a hash of its own: the id is who acted."""
    hashed = admin.replace("sha256: A", f"sha256: {sha('a')}").replace("sha256: B", f"sha256: {sha('b')}")
    [line] = problems(tmp_path, f"server: {{secret: 'env:GATEWAY_SECRET', admin: {{{hashed}}}}}\n")
    assert line.startswith("settings.yaml:1: server.admin.")
    assert said in line


def test_renamed_values_and_computed_fields(tmp_path: Path) -> None:
    """``values`` and ``from`` reach the account's field map; both sides of ``values`` stay text."""
    text = "{provider: plain, fields: {email: {values: {no: 007}}, x: {from: metadata.y}}}"
    fields = load(tmp_path, with_account(text)).tenants["acme"].accounts["main"].account.fields.fields
    found = {field.name: field for field in fields}
    assert found["email"].values == {"no": "007"}
    assert (found["x"].origin, found["x"].computed) == (Origin.COMPUTED, compile_expression("metadata.y"))


def test_config_of_every_kind(tmp_path: Path) -> None:
    """A plugin's config gets Secret, timedelta, Amount, Decimal, unions and lists from plain text."""
    text = """{provider: plain, config: {app_url: 'https://x.example', token: 'env:TOKEN', wait: 250ms, limit: 10.50,
        share: 0.1, mode: redirect, amount_rule: {tolerance: 0.50}, hosts: [a.example], tries: 5}}"""
    config: Any = load(tmp_path, with_account(text)).tenants["acme"].accounts["main"].account.config
    assert config.token == Secret("t0ken-of-a-test")
    assert config.wait == timedelta(milliseconds=250)
    assert (str(config.limit), str(config.share)) == ("10.50", "0.1")
    assert (config.mode, config.amount_rule, config.hosts, config.tries) == (
        "redirect",
        Tolerance(tolerance="0.50"),
        ("a.example",),
        5,
    )


def test_expiry_is_utc(tmp_path: Path) -> None:
    """A key's expiry is a moment in UTC."""
    text = f"keys: [{{id: k1, sha256: {sha('a')}, expires: 2027-01-31T02:00:00+02:00}}]"
    assert load(tmp_path, with_tenant(text)).tenants["acme"].keys[0].expires == datetime(2027, 1, 31, tzinfo=UTC)


def test_return_origins_are_normalised(tmp_path: Path) -> None:
    """Origins compare without regard to case and default port."""
    text = "return_origins: ['https://ERP.acme.example:443', 'https://x.example:8443']"
    origins = load(tmp_path, with_tenant(text)).tenants["acme"].return_origins
    assert origins == {"https://erp.acme.example", "https://x.example:8443"}
    assert origin_of("https://erp.acme.example/paid?x=1#y") in origins


@pytest.mark.parametrize("url", ["erp.acme.example", "ftp://x.example", "https://u@x.example/", "https://x:99999/"])
def test_no_origin(url: str) -> None:
    """What is no plain http(s) address has no origin."""
    assert origin_of(url) is None


def test_absolute_store(tmp_path: Path) -> None:
    """Four slashes are an absolute path."""
    assert load(tmp_path, LEAST + "store: {url: sqlite:////var/x.db}").store.path == Path("/var/x.db")


def test_public_url_without_slash(tmp_path: Path) -> None:
    """A slash at the end of public_url would be doubled in every address we make."""
    text = "server: {secret: 'env:GATEWAY_SECRET', public_url: 'https://pay.example/gw/'}"
    assert load(tmp_path, text).server.public_url == "https://pay.example/gw"


def test_digest(tmp_path: Path) -> None:
    """The digest changes with the text of an included file."""
    digests = set()
    for tenant in ("acme", "globex"):
        (tmp_path / "t.yaml").write_text(f"tenants: {{{tenant}: {{}}}}")
        digests.add(load(tmp_path, LEAST + "include: [t.yaml]").digest)
    assert len(digests) == 2


# --- what YAML would guess


@pytest.mark.parametrize("text", ["0123456", "no", "1e3", "2027-01-01", "0x10", "1_000", "yes", "12:30"])
def test_text_stays_text(tmp_path: Path, text: str) -> None:
    """An unquoted text that YAML reads as a number, a date or a truth survives where a text is wanted."""
    found = load(tmp_path, with_account(f"{{provider: plain, config: {{merchant_id: {text}}}}}"))
    config: Any = found.tenants["acme"].accounts["main"].account.config
    assert config.merchant_id == text


def test_names_stay_text(tmp_path: Path) -> None:
    """Tenants, languages and literal secrets that look like numbers or truths stay what they are."""
    text = "server: {secret: 0123, development: true}\ntenants: {0123: {name: no}}"
    settings = load(tmp_path, text)
    assert settings.server.secret.reveal() == "0123"
    assert {key: tenant.title for key, tenant in settings.tenants.items()} == {"0123": "no"}


def test_constant_stays_text(tmp_path: Path) -> None:
    """A constant field is sent as it was written."""
    found = load(tmp_path, with_account("{provider: plain, fields: {shop: {value: 007}}}"))
    fields = found.tenants["acme"].accounts["main"].account.fields.fields
    assert [field.value for field in fields if field.name == "shop"] == ["007"]


# --- every check: (the account's or tenant's text, what the one line says)


TOP_MISTAKES = [
    ("server: {}", "server.secret: is missing"),
    ("server: {secret: 'env:EMPTY'}", "server.secret: environment variable EMPTY is empty"),
    ("server: {secret: 'env:TOKEN'}", "server.secret: must have at least 32 characters"),
    ("server: {secret: '', development: true}", "server.secret: must not be empty"),
    ("server: {secret: 'env:GATEWAY_SECRET', public_url: pay.example}", "server.public_url: must be an absolute URL"),
    ("server: {secret: 'env:GATEWAY_SECRET', public_url: 'https://x/?a'}", "server.public_url: must not have a query"),
    (
        "server: {secret: 'env:GATEWAY_SECRET', public_url: 'http://127.0.0.1:8080'}",
        "public_url: must be https outside",
    ),
    ("server: {secret: 'env:GATEWAY_SECRET', public_url: 'http://[::1]'}", "public_url: must be https outside"),
    ("server: {secret: 'env:GATEWAY_SECRET', admin: {key_sha256: x}}", "server.admin.key_sha256: must be 64"),
    ("server: {secret: 'env:GATEWAY_SECRET', development: yes}", "server.development: must be true or false"),
    (LEAST + "store: {url: postgres://u@h/db}", "store.url: must be sqlite:///PATH"),
    (LEAST + "store: {url: 'sqlite:///'}", "store.url: must be sqlite:///PATH"),
    (LEAST + "timeouts: {provider_total: 0s}", "timeouts.provider_total: must be more than zero"),
    (LEAST + "clocks: {poll: []}", "clocks.poll: must not be an empty list"),
    (LEAST + "clocks: {poll: [1m, -1s]}", "clocks.poll[1]: must be a duration"),
    (LEAST + "clocks: {webhook_retry: []}", "clocks.webhook_retry: must not be an empty list"),
    (LEAST + "clocks: {payment_expiry: 0s}", "clocks.payment_expiry: must be more than zero"),
    (LEAST + "currencies: {usdt: 6}", "currencies.usdt: must be a currency code"),
    (LEAST + "currencies: {USDT: 19}", "currencies.USDT: must be a whole number <= 18"),
    (LEAST + "tenants: []", "tenants: must be a mapping of keys"),
    (LEAST + "store: {url: 'sqlite:///a', url: 'sqlite:///b'}", "store.url: is written twice, first in line"),
    (LEAST + "store: {[a]: b}", "store: has a key that is not text"),
    ("server: [", "is not readable YAML"),
    ("- a", "must be a mapping of keys"),
]


@pytest.mark.parametrize(("text", "said"), TOP_MISTAKES)
def test_mistake_at_the_top(tmp_path: Path, text: str, said: str) -> None:
    """One mistake outside the tenants is one line that names file, line and key."""
    [line] = problems(tmp_path, text, {**ENVIRON, "EMPTY": ""})
    assert re.match(r"settings\.yaml:\d+: ", line)
    assert said in line


def test_missing_file(tmp_path: Path) -> None:
    """A settings file that is not there is a problem like any other."""
    with pytest.raises(Exception, match=r"^nothing\.yaml:1: cannot be read: No such file"):
        load_settings(tmp_path / "nothing.yaml", providers=PROVIDERS, environ={})


def test_tenants_are_checked_without_a_server_secret(tmp_path: Path) -> None:
    """A missing master secret does not hide what is wrong in the tenants."""
    lines = problems(tmp_path, "tenants: {acme: {accounts: {main: {provider: nobody}}}}")
    assert len(lines) == 2
    assert "server.secret: is missing" in lines[0] + lines[1]
    assert "nobody" in lines[0] + lines[1]


def test_development_allows_local_targets(tmp_path: Path) -> None:
    """In development http, this machine and literal secrets are allowed everywhere."""
    text = f"""
    return_origins: ['http://127.0.0.1:9110']
    webhook: {{url: 'http://127.0.0.1:9110/hooks', secrets: [{WHSEC}]}}
    accounts: {{main: {{provider: plain, config: {{app_url: 'http://127.0.0.1:9102', token: literal}}}}}}
    """
    tenant = load(tmp_path, with_tenant(text, development=True)).tenants["acme"]
    config: Any = tenant.accounts["main"].account.config
    assert config.token == Secret("literal")
    assert tenant.return_origins == {"http://127.0.0.1:9110"}


EIGHT_MISTAKES = """
server: {secret: env:GATEWAY_SECRET}
tenants:
  acme:
    webhok: {}
    keys: [{id: k1, sha256: nothex}]
    accounts:
      main:
        provider: plain
        config: {token: env:MISSING, wait: soon}
        fields:
          amount:
            enabled: false
  globex:
    webhook: {url: "http://globex.example/hooks", secrets: ["env:ACME_WHSEC"]}
    accounts:
      psp: {provider: psp_lik}
    deposit_methods:
      bank: {account: nobody}
"""


def test_eight_mistakes(tmp_path: Path) -> None:
    """A file with eight different mistakes is refused with eight lines in its order: file, line, tenant, key, why."""
    assert problems(tmp_path, EIGHT_MISTAKES) == [
        'settings.yaml:5: tenant acme: webhok: unknown key "webhok"; did you mean "webhook"?',
        "settings.yaml:6: tenant acme: keys[0].sha256: must be 64 lower-case hex digits: the SHA-256 of the whole key",
        "settings.yaml:10: tenant acme: accounts.main.config.token: environment variable MISSING is not set",
        "settings.yaml:10: tenant acme: accounts.main.config.wait: must be a duration such as 250ms, 5s, 2m, 6h or 30d",
        "settings.yaml:13: tenant acme: accounts.main.fields.amount.enabled: is mandatory and cannot be switched off",
        "settings.yaml:15: tenant globex: webhook.url: must be https (http needs server.development: true)",
        'settings.yaml:17: tenant globex: accounts.psp.provider: unknown provider "psp_lik"; did you mean "psp_like"?',
        'settings.yaml:19: tenant globex: deposit_methods.bank.account: unknown account "nobody"; known are psp',
    ]


def test_problems_hold_no_secret(tmp_path: Path) -> None:
    """No literal secret, wherever it stands, is repeated in a problem."""
    text = (
        "server: {secret: hush-1}\ntenants: {acme: {webhook: {url: hush-2, secrets: [hush-3]}, keys: [{id: 'hush 4'}]}}"
    )
    assert "hush" not in "\n".join(problems(tmp_path, text))


def test_settings_show_no_secret(tmp_path: Path) -> None:
    """The repr of the whole settings holds no secret."""
    shown = repr(load(tmp_path, GOOD))
    assert not [secret for secret in ENVIRON.values() if secret in shown]


# --- before the plugins are there, and the shipped file


def shipped() -> Any:
    modules = [importlib.import_module(name) for name in ("gateway_psp_open_api", "gateway_creditkey")]
    providers = {provider.name: provider for module in modules for provider in module.gateway_providers()}
    return load_settings(SHIPPED, providers=providers, environ={})


def test_shipped_settings_load() -> None:
    """The settings.yaml in the repository loads as it stands, with both providers and two tenants."""
    settings = shipped()
    used = {entry.provider.name for entry in settings.endpoints.values()}
    assert (set(settings.tenants), used) == ({"acme", "globex"}, {"creditkey", "psp_open_api"})
    acme = settings.tenants["acme"]
    assert acme.accounts["psp-main"].account.fields.key("amount") == "sum"
    assert [rule.account for rule in acme.routing] == ["creditkey-main", "psp-main"]


def test_shipped_keys_stand_in_comments() -> None:
    """Every development key is written out beside its hash, so that a first call can be copied."""
    keys = re.findall(r"# The key is (\S+)", SHIPPED.read_text(encoding="utf-8"))
    settings = shipped()
    known = {*settings.keys_by_sha256, settings.server.admin.key_sha256}
    assert {sha(key) for key in keys} == known
    assert len(keys) == 3


def keys_of(hint: Any) -> set[str]:
    """Every key name the loader takes below a type."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        fields = msgspec.structs.fields(hint)
        return {field.encode_name for field in fields}.union(*(keys_of(field.type) for field in fields))
    return set().union(*(keys_of(inner) for inner in get_args(hint)))


def test_every_key_is_documented() -> None:
    """docs/settings.md names every key the loader takes."""
    text = (SHIPPED.parent / "docs" / "settings.md").read_text(encoding="utf-8")
    keys = (keys_of(FileShape) | keys_of(ServerShape) | keys_of(RoutingRule)) - keys_of(Raw)
    assert len(keys) > 50
    assert sorted(key for key in keys if f"`{key}`" not in text) == []


@pytest.mark.parametrize(
    ("written", "network"),
    [
        ("127.0.0.1", "127.0.0.1/32"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("'::1'", "::1/128"),
        ("'2001:db8::/32'", "2001:db8::/32"),
        ("'::ffff:10.0.0.0/104'", "10.0.0.0/8"),
    ],
)
def test_trusted_proxies_are_addresses_and_networks(tmp_path: Path, written: str, network: str) -> None:
    """One address is a network of its own; IPv4 within IPv6 is IPv4."""
    text = f"server: {{secret: 'env:GATEWAY_SECRET', trusted_proxies: [{written}]}}\n"
    assert [str(one) for one in load(tmp_path, text).server.trusted_proxies] == [network]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("proxy.internal", "must be an IP address"),
        ("10.0.0.1/8", "without bits behind its mask: write 10.0.0.0/8"),
        ("10.0.0.0/33", "must be an IP address"),
        ("'10.0.0.1:80'", "must be an IP address"),
        ("'*'", "must be an IP address"),
        ("''", "must be an IP address"),
        ("0.0.0.0/0", "must not be every address"),
        ("'::/0'", "must not be every address"),
        ("'::ffff:0:0/96'", "must not be every address"),
    ],
)
def test_mistake_in_trusted_proxies(tmp_path: Path, written: str, said: str) -> None:
    """The line names the key and says what is right."""
    text = f"server: {{secret: 'env:GATEWAY_SECRET', trusted_proxies: [{written}]}}\n"
    [line] = problems(tmp_path, text)
    assert line.startswith("settings.yaml:1: server.trusted_proxies[0]: ")
    assert said in line
