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

from gateway.core.errors import SettingsError
from gateway.core.expressions import compile_expression
from gateway.core.field_mapping import Origin
from gateway.core.secret import Secret
from gateway.core.signing import derive
from gateway.core.urls import origin_of
from gateway.drivers.settings import RoutingRule, load_settings, plugin_names
from gateway.drivers.settings.scalar_reader import Raw
from gateway.drivers.settings.schema import FileShape, ServerShape
from tests.support.factories.settings import (
    ENVIRON,
    GOOD,
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
LANGUAGES = "must be a mapping of languages, such as {en: Card}"
LEAST = "server: {secret: 'env:GATEWAY_SECRET'}\n"


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
        "crm_retry": seconds(0, 10, 60, 300, 1800) + hours(2, 6, 24),
    }


def test_other_defaults(tmp_path: Path) -> None:
    """Timeouts are seconds; the store lies beside the settings file; nothing is blocked."""
    settings = load(tmp_path, LEAST)
    assert list(msgspec.structs.asdict(settings.timeouts).values()) == [5.0, 20.0, 10.0, 15.0, 10.0, 10.0, 60.0, 20.0]
    assert list(msgspec.structs.asdict(settings.limits).values()) == [None, None, 16384, 10**6, 10**10, 10**8]
    assert settings.store_path == tmp_path / "var/gateway.db"
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
    assert psp.field_places == {"amount": "settings.yaml:11", "vip": "settings.yaml:11"}
    bank = tenant.deposit_methods["bank"]
    assert (bank.currencies, bank.min, bank.max) == (("USD",), Decimal(1), Decimal(10))
    assert bank.fields == {"vip": {"en": "Code"}}
    assert settings.keys_by_sha256 == {sha("acme"): ("acme", tenant.keys[0])}
    assert settings.endpoints == {entry.endpoint_id: entry for entry in tenant.accounts.values()}


def test_operators_keys(tmp_path: Path) -> None:
    """Operators have keys as tenants have; the one of ``key_sha256`` is called operator."""
    keys = f"key_sha256: {sha('old')}, keys: [{{id: dana, sha256: {sha('dana')}, expires: 2027-01-31T00:00:00Z}}]"
    found = load(tmp_path, f"server: {{secret: 'env:GATEWAY_SECRET', admin: {{{keys}}}}}").operators_by_sha256
    assert {sha256: (key.id, key.expires) for sha256, key in found.items()} == {
        sha("old"): ("operator", None),
        sha("dana"): ("dana", datetime(2027, 1, 31, tzinfo=UTC)),
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
        ("kyes: []", 'kyes: unknown key "kyes", did you mean "keys"'),
    ],
)
def test_mistake_in_operators_keys(tmp_path: Path, admin: str, said: str) -> None:
    """Every operators' key has an id of its own and a hash of its own: the id is who acted."""
    hashed = admin.replace("sha256: A", f"sha256: {sha('a')}").replace("sha256: B", f"sha256: {sha('b')}")
    [line] = problems(tmp_path, f"server: {{secret: 'env:GATEWAY_SECRET', admin: {{{hashed}}}}}\n")
    assert line.startswith("settings.yaml:1: server.admin.")
    assert said in line


def test_routing_rules(tmp_path: Path) -> None:
    """Rules become compiled expressions with their accounts, in order; without a section there are none."""
    rules = "  - {when: \"currency == 'USD'\", account: main, fallback: [backup]}\n  - {account: backup}"
    assert load(tmp_path, with_tenant(ROUTED + rules)).tenants["acme"].routing == (
        RoutingRule(when=compile_expression("currency == 'USD'"), account="main", fallback=("backup",)),
        RoutingRule(when=None, account="backup", fallback=()),
    )
    assert load(tmp_path, GOOD).tenants["acme"].routing == ()


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
    assert load(tmp_path, LEAST + "store: {url: sqlite:////var/x.db}").store_path == Path("/var/x.db")


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

ACCOUNT_MISTAKES = [
    ("{provider: plane}", 'main.provider: unknown provider "plane", did you mean "plain"'),
    ("{provider: qqq}", 'main.provider: unknown provider "qqq", known are either, plain, psp_like, strict'),
    ("{}", "main.provider: is missing"),
    ("[]", "main: must be a mapping of keys"),
    ("{provider: [plain]}", "main.provider: must be a single value, not a list or mapping"),
    ("{provider: !vault plain}", "main.provider: has a YAML tag; tags are not supported"),
    ("{provider: plain, acepts_new: false}", 'main.acepts_new: unknown key "acepts_new", did you mean "accepts_new"'),
    ("{provider: plain, accepts_new: no}", "main.accepts_new: must be true or false"),
    ("{provider: plain, generation: 0}", "main.generation: must be a whole number >= 1"),
    ("{provider: plain, generation: two}", "main.generation: must be a whole number"),
    ("{provider: plain, callback_id: short}", "main.callback_id: must be 22 to 128 URL-safe characters"),
    ("{provider: plain, config: {ap_url: x}}", 'config.ap_url: unknown key "ap_url", did you mean "app_url"'),
    ("{provider: plain, config: {token: abc}}", "config.token: is a literal secret: write env:NAME or file:PATH"),
    ("{provider: plain, config: {token: 'env:NOPE'}}", "config.token: environment variable NOPE is not set"),
    ("{provider: plain, config: {merchant_id: 'env:X'}}", "config.merchant_id: is not a secret"),
    ("{provider: plain, config: {merchant_id: refused}}", "config.merchant_id: must be another"),
    ("{provider: plain, config: {app_url: 'http://psp.example'}}", "config.app_url: must be https"),
    ("{provider: plain, config: {app_url: 'https://127.0.0.1'}}", "config.app_url: must not point to this machine"),
    ("{provider: plain, config: {app_url: 'https://[::1]:8'}}", "config.app_url: must not point to this machine"),
    ("{provider: plain, config: {app_url: 'https://10.1.2.3'}}", "config.app_url: must not point to this machine"),
    ("{provider: plain, config: {app_url: 'https://localhost'}}", "config.app_url: must not point to this machine"),
    ("{provider: plain, config: {app_url: 'https://u:p@psp.example'}}", "config.app_url: must not carry a user name"),
    ("{provider: plain, config: {app_url: psp.example}}", "config.app_url: must be an absolute URL"),
    ("{provider: plain, config: {app_url: 'https://psp.example/a b'}}", "config.app_url: must be visible ASCII"),
    ("{provider: plain, config: {wait: 5}}", "config.wait: must be a duration such as 250ms, 5s, 2m, 6h or 30d"),
    ("{provider: plain, config: {wait: P1D}}", "config.wait: must be a duration"),
    ("{provider: plain, config: {wait: 3651d}}", "config.wait: must be at most 3650d"),
    ("{provider: plain, config: {wait: 999999999999d}}", "config.wait: must be at most 3650d"),
    ("{provider: plain, config: {limit: 1e3}}", "config.limit: must be a decimal"),
    ("{provider: plain, config: {mode: post}}", "config.mode: must be one of link, redirect"),
    ("{provider: plain, config: {amount_rule: near}}", "config.amount_rule: must be one of exact, actual"),
    ("{provider: plain, config: {amount_rule: {}}}", "config.amount_rule.tolerance: is missing"),
    ("{provider: plain, config: {hosts: a.example}}", "config.hosts: must be a list"),
    ("{provider: plain, config: {tries: 0}}", "config.tries: must be at least 1"),
    ("{provider: plain, config: {tries: null}}", "config.tries: must be a whole number"),
    ("{provider: plain, config: {strict: true, mode: redirect}}", "accounts.main.config.strict: needs mode link"),
    ("{provider: either}", "accounts.main.config: exactly one of environment and base_url must be given"),
    ("{provider: plain, config: 5}", "config: must be a mapping of keys"),
    ("{provider: plain, fields: {amount: {enabled: false}}}", "fields.amount.enabled: is mandatory and cannot be"),
    ("{provider: plain, fields: {amount: {value: 1}}}", "fields.amount: is locked: only its key can be changed"),
    ("{provider: plain, fields: {email: {key: phone}}}", "fields.phone.key: key 'phone' is already used by field"),
    ("{provider: plain, fields: {email: {key: 'a b'}}}", "fields.email.key: key 'a b' must match"),
    ("{provider: plain, fields: {x: {pattern: '['}}}", "fields.x.pattern: pattern is not a regular expression"),
    ("{provider: plain, fields: {x: {max_length: 300}}}", "fields.x.max_length: max_length must be 1 to 255"),
    ("{provider: plain, fields: {x: {lable: {}}}}", 'fields.x.lable: unknown key "lable", did you mean "label"'),
    ("{provider: plain, fields: {email: {values: [a]}}}", "fields.email.values: must be a mapping of keys"),
    ("{provider: plain, fields: {email: {values: {a: [b]}}}}", "fields.email.values.a: must be a single value"),
    ("{provider: plain, fields: {amount: {values: {a: b}}}}", "fields.amount: is locked: only its key can be changed"),
    ("{provider: plain, fields: {amount: {from: id}}}", "fields.amount: is locked: only its key can be changed"),
    (
        "{provider: plain, fields: {x: {from: 'a b'}}}",
        "fields.x.from: is not a JMESPath expression: Unexpected token: b",
    ),
    ("{provider: plain, fields: {x: {from: nul(a)}}}", 'x.from: is not a JMESPath expression: unknown function "nul"'),
    ("{provider: plain, fields: {x: {from: a, value: b}}}", "fields.x: has both value and from"),
    ("{provider: plain, fields: {x: {computed: a}}}", 'fields.x.computed: unknown key "computed"'),
    ("{provider: psp_like}", "accounts.main: must be named by a deposit method, or have accepts_new: false"),
]


@pytest.mark.parametrize(("entry", "said"), ACCOUNT_MISTAKES)
def test_mistake_in_an_account(tmp_path: Path, entry: str, said: str) -> None:
    """One mistake in an account is one line that names file, line, tenant and key."""
    [line] = problems(tmp_path, with_account(entry))
    assert line.startswith("settings.yaml:5: tenant acme: accounts.main")
    assert said in line


TENANT_MISTAKES = [
    ("kyes: []", 'kyes: unknown key "kyes", did you mean "keys"'),
    ("name: ''", "name: must not be empty"),
    ("keys: [{id: k1}]", "keys[0].sha256: is missing"),
    ("keys: [{id: k_1, sha256: " + sha("a") + "}]", "keys[0].id: must match"),
    ("keys: [{id: k1, sha256: abc}]", "keys[0].sha256: must be 64 lower-case hex digits"),
    (
        "keys: [{id: k1, sha256: " + sha("a") + ", expires: 2027-01-01}]",
        "keys[0].expires: must be a time with its zone",
    ),
    (
        "keys: [{id: k1, sha256: " + sha("a") + "}, {id: k1, sha256: " + sha("b") + "}]",
        'keys[1].id: "k1" is already the id of another key of this tenant',
    ),
    ("return_origins: ['https://x.example/path']", "return_origins[0]: must be an origin"),
    ("return_origins: ['https://x.example/']", "return_origins[0]: must be an origin"),
    ("return_origins: ['http://x.example']", "return_origins[0]: must be https"),
    ("rate_limit: {per_second: 0}", "rate_limit.per_second: must be a number > 0"),
    ("rate_limit: {per_second: nan}", "rate_limit.per_second: must be a number"),
    ("rate_limit: {burst: 0}", "rate_limit.burst: must be a whole number >= 1"),
    ("webhook: {secrets: ['env:ACME_WHSEC']}", "webhook.url: is missing"),
    ("webhook: {url: 'http://x.example', secrets: ['env:ACME_WHSEC']}", "webhook.url: must be https"),
    ("webhook: {url: 'https://u@x.example', secrets: ['env:ACME_WHSEC']}", "webhook.url: must not carry a user name"),
    ("webhook: {url: 'https://x.example/#a', secrets: ['env:ACME_WHSEC']}", "webhook.url: must not have a fragment"),
    ("webhook: {url: 'https://x.example', secrets: []}", "webhook.secrets: must not be an empty list"),
    ("webhook: {url: 'https://x.example', secrets: ['env:TOKEN']}", "webhook.secrets[0]: must be whsec_ followed by"),
    ("webhook: {url: 'https://x.example', secrets: [abc]}", "webhook.secrets[0]: is a literal secret"),
    ("request_maps: {erp: {amount: total}}", "request_maps: not supported yet"),
    ("routing: {account: main}", "routing: must be a list"),
    ("routing: [main]", "routing[0]: must be a mapping of keys"),
    (
        "deposit_methods: {x: {account: a, label: Crypto}}\naccounts: {a: {provider: plain}}",
        f"deposit_methods.x.label: {LANGUAGES}",
    ),
    (
        "deposit_methods: {x: {account: a, label: [en]}}\naccounts: {a: {provider: plain}}",
        f"deposit_methods.x.label: {LANGUAGES}",
    ),
    (
        "accounts: {main: {provider: plain, fields: {vip: {label: VIP}}}}",
        f"accounts.main.fields.vip.label: {LANGUAGES}",
    ),
    ("crm: {bridge: {}}", "crm: not supported yet"),
    ("accounts: {Main: {provider: plain}}", "accounts.Main: must match [a-z0-9][a-z0-9_-]{0,63}"),
    ("deposit_methods: {'a b': {account: main}}\naccounts: {main: {provider: plain}}", "a b: must match"),
    ("deposit_methods: {bank: {}}", "deposit_methods.bank.account: is missing"),
    ("deposit_methods: {bank: {account: none}}", 'bank.account: unknown account "none"'),
]


@pytest.mark.parametrize(("section", "said"), TENANT_MISTAKES)
def test_mistake_in_a_tenant(tmp_path: Path, section: str, said: str) -> None:
    """One mistake in a tenant's section is one line that names file, line, tenant and key."""
    [line] = problems(tmp_path, with_tenant(section))
    assert line.startswith("settings.yaml:5: tenant acme: ")
    assert said in line


METHOD_MISTAKES = [
    ("{account: man}", 'bank.account: unknown account "man", did you mean "main"'),
    ("{account: main, currencies: [USDX]}", 'bank.currencies[0]: unknown currency "USDX"'),
    ("{account: main, currencies: [USD, EUR]}", "bank.currencies[1]: EUR is not a currency of account main"),
    ("{account: main, amount: {min: '10', max: '9.99'}}", "bank.amount.min: must not be above max"),
    ("{account: main, amount: {min: -1}}", "bank.amount.min: must not be negative"),
    ("{account: main, amount: {max: ten}}", "bank.amount.max: must be a decimal"),
    (
        "{account: main, fields: {vipp: {}}}",
        'bank.fields.vipp: unknown additional parameter "vipp", did you mean "vip"',
    ),
    ("{account: main, fields: {email: {}}}", 'bank.fields.email: unknown additional parameter "email"'),
]


@pytest.mark.parametrize(("method", "said"), METHOD_MISTAKES)
def test_mistake_in_a_deposit_method(tmp_path: Path, method: str, said: str) -> None:
    """One mistake in a deposit method is one line; it does not also accuse the account."""
    text = f"accounts: {{main: {{provider: plain, fields: {{vip: {{}}}}}}}}\ndeposit_methods:\n  bank: {method}"
    [line] = problems(tmp_path, with_tenant(text))
    assert line.startswith("settings.yaml:7: tenant acme: deposit_methods.")
    assert said in line


RULE_MISTAKES = [
    ("{when: a, account: man}", 'routing[1].account: unknown account "man", did you mean "main"'),
    ("{}", "routing[1].account: is missing"),
    ("{when: a, account: null}", "routing[1].account: must not be empty"),
    ("{when: a, account: main, fallback: [bakup]}", 'fallback[0]: unknown account "bakup", did you mean "backup"'),
    ("{when: a, account: main, fallback: [main]}", 'routing[1].fallback[0]: "main" is listed twice in this rule'),
    (
        "{when: a, account: main, fallback: [backup, backup]}",
        'routing[1].fallback[1]: "backup" is listed twice in this rule',
    ),
    ("{when: a, account: main, fallback: backup}", "routing[1].fallback: must be a list"),
    ("{account: main, falback: [backup]}", 'routing[1].falback: unknown key "falback", did you mean "fallback"'),
    ("{when: 'a b', account: main}", "routing[1].when: is not a JMESPath expression: Unexpected token: b"),
    (
        "{when: to_nmber(amount), account: main}",
        'routing[1].when: is not a JMESPath expression: unknown function "to_nm',
    ),
    ("{when: '', account: main}", "routing[1].when: is not a JMESPath expression"),
    ("{when: [a], account: main}", "routing[1].when: must be a single value"),
]

ROUTED = "accounts: {main: {provider: plain}, backup: {provider: plain}}\nrouting:\n"


@pytest.mark.parametrize(("rule", "said"), RULE_MISTAKES)
def test_mistake_in_a_routing_rule(tmp_path: Path, rule: str, said: str) -> None:
    """One mistake in a rule is one line that names the rule; it accuses no rule after it."""
    text = f"{ROUTED}  - {{when: account, account: main}}\n  - {rule}\n  - {{when: currency, account: main}}"
    [line] = problems(tmp_path, with_tenant(text))
    assert line.startswith("settings.yaml:8: tenant acme: routing[1]")
    assert said in line


def test_mistakes_of_one_rule_are_all_named(tmp_path: Path) -> None:
    """A rule that cannot be read is still asked for its accounts, each under the number it has in the file."""
    text = ROUTED + "  - {when: 'a b', account: man, fallback: [[x], backup, nobody]}"
    assert [line.split(": ")[2] for line in problems(tmp_path, with_tenant(text))] == [
        "routing[0].when",
        "routing[0].fallback[0]",
        "routing[0].account",
        "routing[0].fallback[2]",
    ]


def test_rules_behind_one_that_always_matches(tmp_path: Path) -> None:
    """Every rule behind one without ``when`` is refused: it would never be asked."""
    rules = [
        "{when: currency, account: main}",
        "{account: main}",
        "{when: currency, account: backup}",
        "{account: main}",
    ]
    lines = problems(tmp_path, with_tenant(ROUTED + "".join(f"  - {rule}\n" for rule in rules)))
    assert lines == [
        f"settings.yaml:{7 + number}: tenant acme: routing[{number}]: can never match: rule [1] before it has no when"
        for number in (2, 3)
    ]


def test_rule_for_an_account_that_could_not_be_read(tmp_path: Path) -> None:
    """A mistake in an account does not also accuse the rule that names it."""
    text = "accounts: {main: {provider: nobody}}\nrouting: [{account: main}]"
    assert len(problems(tmp_path, with_tenant(text))) == 1


TOP_MISTAKES = [
    ("server: {}", "server.secret: is missing"),
    ("servers: {}\n" + LEAST, 'servers: unknown key "servers", did you mean "server"'),
    ("server: {secret: 'env:NOPE'}", "server.secret: environment variable NOPE is not set"),
    ("server: {secret: 'env:EMPTY'}", "server.secret: environment variable EMPTY is empty"),
    ("server: {secret: 'env:TOKEN'}", "server.secret: must have at least 32 characters"),
    ("server: {secret: '', development: true}", "server.secret: must not be empty"),
    ("server: {secret: 'env:GATEWAY_SECRET', port: 70000}", "server.port: must be a whole number <= 65535"),
    ("server: {secret: 'env:GATEWAY_SECRET', public_url: pay.example}", "server.public_url: must be an absolute URL"),
    ("server: {secret: 'env:GATEWAY_SECRET', public_url: 'https://x/?a'}", "server.public_url: must not have a query"),
    ("server: {secret: 'env:GATEWAY_SECRET', public_url: 'http://pay.example'}", "server.public_url: must be https"),
    (
        "server: {secret: 'env:GATEWAY_SECRET', public_url: 'http://127.0.0.1:8080'}",
        "public_url: must be https outside",
    ),
    ("server: {secret: 'env:GATEWAY_SECRET', public_url: 'http://[::1]'}", "public_url: must be https outside"),
    ("server: {secret: 'env:GATEWAY_SECRET', watch: true}", "server.watch: not supported yet"),
    ("server: {secret: 'env:GATEWAY_SECRET', admin: {key_sha256: x}}", "server.admin.key_sha256: must be 64"),
    ("server: {secret: 'env:GATEWAY_SECRET', development: yes}", "server.development: must be true or false"),
    (LEAST + "store: {url: postgresql://u@h/db}", "store.url: postgresql is not supported yet"),
    (LEAST + "store: {url: gateway.db}", "store.url: must be sqlite:///PATH"),
    (LEAST + "store: {url: 'sqlite:///'}", "store.url: must be sqlite:///PATH"),
    (LEAST + "timeouts: {provider_total: 0s}", "timeouts.provider_total: must be more than zero"),
    (LEAST + "clocks: {poll: []}", "clocks.poll: must not be an empty list"),
    (LEAST + "clocks: {poll: [1m, 0s]}", "clocks.poll: must end with more than zero"),
    (LEAST + "clocks: {poll: [1m, -1s]}", "clocks.poll[1]: must be a duration"),
    (LEAST + "clocks: {webhook_retry: []}", "clocks.webhook_retry: must not be an empty list"),
    (LEAST + "clocks: {payment_expiry: 0s}", "clocks.payment_expiry: must be more than zero"),
    (LEAST + "currencies: {usdt: 6}", "currencies.usdt: must be a currency code"),
    (LEAST + "currencies: {USDT: 19}", "currencies.USDT: must be a whole number <= 18"),
    (LEAST + "currencies: {JPY: 2}", "currencies.JPY: is an ISO 4217 currency with 0 digits"),
    (LEAST + "tenants: {Acme: {}}", "tenant Acme: tenants.Acme: must match"),
    (LEAST + "tenants: []", "tenants: must be a mapping of keys"),
    (LEAST + "store: {url: 'sqlite:///a', url: 'sqlite:///b'}", "store.url: is written twice, first in line"),
    (LEAST + "store: {[a]: b}", "store: has a key that is not text"),
    (LEAST + "include: [missing.yaml]", 'include: there is no file "missing.yaml"'),
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


def test_mistakes_of_one_config_are_all_named(tmp_path: Path) -> None:
    """Several mistakes in one account's config are a line each, missing members included."""
    lines = problems(tmp_path, with_account("{provider: strict, config: {shared_secret: abc, x: 1}}"))
    keys = [line.split(": ")[2] for line in lines]
    assert keys == [f"accounts.main.config.{key}" for key in ("shared_secret", "x", "public_key")]


def test_judgement_beside_other_mistakes(tmp_path: Path) -> None:
    """What a config says of a member that was read is reported beside another mistake in the same config."""
    lines = problems(tmp_path, with_account("{provider: plain, config: {ap_url: x, tries: 0}}"))
    assert [line.split(": ")[2] for line in lines] == [f"accounts.main.config.{key}" for key in ("ap_url", "tries")]


def test_no_judgement_of_a_default(tmp_path: Path) -> None:
    """A mistyped member is one line: the config does not also complain of what it got instead."""
    lines = problems(tmp_path, with_account("{provider: either, config: {bas_url: 'https://x.example'}}"))
    assert [line.split(": ")[2] for line in lines] == ["accounts.main.config.bas_url"]


def test_account_without_config(tmp_path: Path) -> None:
    """An account that leaves out its whole config is told every member it needs."""
    lines = problems(tmp_path, with_account("{provider: strict}"))
    assert [line.split(": ", 2)[2] for line in lines] == [
        "accounts.main.config.shared_secret: is missing",
        "accounts.main.config.public_key: is missing",
    ]


def test_tenants_are_checked_without_a_server_secret(tmp_path: Path) -> None:
    """A missing master secret does not hide what is wrong in the tenants."""
    lines = problems(tmp_path, "tenants: {acme: {accounts: {main: {provider: nobody}}}}")
    assert len(lines) == 2
    assert "server.secret: is missing" in lines[0] + lines[1]
    assert "nobody" in lines[0] + lines[1]


def test_key_of_two_tenants(tmp_path: Path) -> None:
    """A bearer key belongs to one tenant; the second one that lists it is refused."""
    key = f"keys: [{{id: k1, sha256: {sha('same')}}}]"
    [line] = problems(tmp_path, LEAST + f"tenants:\n  acme: {{{key}}}\n  globex: {{{key}}}\n")
    assert line == 'settings.yaml:4: tenant globex: keys[0].sha256: is already key "k1" of tenant acme'


def test_key_id_in_two_tenants(tmp_path: Path) -> None:
    """Key ids are a tenant's own: two tenants may both have a k1."""
    tenants = "".join(f"  {name}: {{keys: [{{id: k1, sha256: {sha(name)}}}]}}\n" for name in ("acme", "globex"))
    assert set(load(tmp_path, LEAST + "tenants:\n" + tenants).keys_by_sha256) == {sha("acme"), sha("globex")}


def test_callback_id_of_two_accounts(tmp_path: Path) -> None:
    """An endpoint leads to one account."""
    entry = f"{{provider: plain, callback_id: {'x' * 22}}}"
    text = f"accounts:\n  one: {entry}\n  two: {entry}"
    [line] = problems(tmp_path, with_tenant(text))
    assert line == (
        "settings.yaml:7: tenant acme: accounts.two.callback_id: is already used by account one of tenant acme"
    )


def test_retired_account_needs_no_deposit_method(tmp_path: Path) -> None:
    """An account that accepts nothing new is not asked for a deposit method."""
    entry = load(tmp_path, with_account("{provider: psp_like, accepts_new: false}")).tenants["acme"].accounts["main"]
    assert not entry.accepts_new


def test_broken_method_still_names_its_account(tmp_path: Path) -> None:
    """A mistake inside the only deposit method of an account is one line, not two."""
    text = "accounts: {main: {provider: psp_like}}\ndeposit_methods: {bank: {account: main, labl: {}}}"
    assert len(problems(tmp_path, with_tenant(text))) == 1


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
        'settings.yaml:5: tenant acme: webhok: unknown key "webhok", did you mean "webhook"',
        "settings.yaml:6: tenant acme: keys[0].sha256: must be 64 lower-case hex digits: the SHA-256 of the whole key",
        "settings.yaml:10: tenant acme: accounts.main.config.token: environment variable MISSING is not set",
        "settings.yaml:10: tenant acme: accounts.main.config.wait: must be a duration such as 250ms, 5s, 2m, 6h or 30d",
        "settings.yaml:13: tenant acme: accounts.main.fields.amount.enabled: is mandatory and cannot be switched off",
        "settings.yaml:15: tenant globex: webhook.url: must be https (http needs server.development: true)",
        'settings.yaml:17: tenant globex: accounts.psp.provider: unknown provider "psp_lik", did you mean "psp_like"',
        'settings.yaml:19: tenant globex: deposit_methods.bank.account: unknown account "nobody", known are psp',
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


# --- secrets in files


def test_secret_from_a_file(tmp_path: Path) -> None:
    """A secret file is relative to the settings file; the line break at its end does not belong to it."""
    (tmp_path / "token").write_text("s3cret-in-a-file\n")
    (tmp_path / "token").chmod(0o600)
    config: Any = (
        load(tmp_path, with_account("{provider: plain, config: {token: 'file:token'}}"))
        .tenants["acme"]
        .accounts["main"]
        .account.config
    )
    assert config.token == Secret("s3cret-in-a-file")


@pytest.mark.parametrize(
    ("data", "mode", "said"),
    [
        (b"s3cret", 0o640, "file token has mode 0640, it must be 0600 or less"),
        (b"s3cret", 0o700, "file token has mode 0700, it must be 0600 or less"),
        (b"\n", 0o600, "file token is empty"),
        (b"\xff", 0o600, "file token is not UTF-8 text"),
        (None, 0, "file token cannot be read: No such file or directory"),
    ],
)
def test_unusable_secret_file(tmp_path: Path, data: bytes | None, mode: int, said: str) -> None:
    """A secret file that others may read, or that holds nothing readable, is refused without its content."""
    if data is not None:
        (tmp_path / "token").write_bytes(data)
        (tmp_path / "token").chmod(mode)
    [line] = problems(tmp_path, with_account("{provider: plain, config: {token: 'file:token'}}"))
    assert line.endswith(f"config.token: {said}")


# --- includes


def test_includes(tmp_path: Path) -> None:
    """Tenants of included files join those of the settings file."""
    (tmp_path / "tenants").mkdir()
    for name in ("globex", "initech"):
        (tmp_path / "tenants" / f"{name}.yaml").write_text(f"tenants:\n  {name}: {{}}\n")
    settings = load(tmp_path, LEAST + "include: [tenants/*.yaml]\ntenants: {acme: {}}")
    assert list(settings.tenants) == ["acme", "globex", "initech"]


def test_include_without_own_tenants(tmp_path: Path) -> None:
    """A settings file whose own tenants are all commented out still takes the included ones."""
    (tmp_path / "t.yaml").write_text("tenants: {globex: {}}")
    assert list(load(tmp_path, LEAST + "include: [t.yaml]\ntenants:\n").tenants) == ["globex"]


def test_problem_in_an_included_file(tmp_path: Path) -> None:
    """A problem names the included file and its line."""
    (tmp_path / "t.yaml").write_text("tenants:\n  globex:\n    nam: x\n")
    [line] = problems(tmp_path, LEAST + "include: [t.yaml]")
    assert line == 't.yaml:3: tenant globex: nam: unknown key "nam", did you mean "name"'


def test_tenant_in_two_files(tmp_path: Path) -> None:
    """A tenant written in two files is refused, naming both places."""
    (tmp_path / "t.yaml").write_text("# second\ntenants:\n  acme: {name: Second}\n")
    [line] = problems(tmp_path, LEAST + "include: [t.yaml]\ntenants: {acme: {}}")
    assert line == "t.yaml:3: tenant acme: tenants.acme: is written twice, first in settings.yaml:3"


def test_tenant_written_twice_is_one_problem(tmp_path: Path) -> None:
    """The first of two sections is the one that is checked further."""
    text = "tenants:\n  acme: {accounts: {a: {provider: plain}}, deposit_methods: {m: {account: a}}}\n  acme: {}\n"
    [line] = problems(tmp_path, LEAST + text)
    assert line == "settings.yaml:4: tenant acme: tenants.acme: is written twice, first in line 3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: {port: 1}", 't.yaml:1: server: unknown key "server", known are tenants: an included file holds'),
        ("tenants: [acme]", "t.yaml:1: tenants: must be a mapping of keys"),
        ("a: [", "t.yaml:2: is not readable YAML"),
    ],
)
def test_included_file_holds_tenants_only(tmp_path: Path, text: str, said: str) -> None:
    """An included file has the shape of the settings file with nothing but tenants."""
    (tmp_path / "t.yaml").write_text(text + "\n")
    [line] = problems(tmp_path, LEAST + "include: [t.yaml]")
    assert line.startswith(said)


# --- derived values


def account_of(folder: Path, more: str = "", tenant: str = "acme") -> Any:
    text = LEAST + f"tenants: {{{tenant}: {{accounts: {{main: {{provider: plain{more}}}}}}}}}"
    return load(folder, text).tenants[tenant].accounts["main"]


def test_derived_values_are_stable(tmp_path: Path) -> None:
    """Derived values never change between versions: providers' dashboards hold them."""
    entry = account_of(tmp_path)
    assert entry.endpoint_id == "fMPU3kl0WfkO1J-UnV_J1N80biWYK59xq3bbVErnQkY"
    assert entry.account.derive("psp.token").reveal() == "9EERoeSr5nXlvv1eLIAtHdA3xR76nVKLLoIOs43RaEY"


def test_derivation_is_bound_to_all_its_parts(tmp_path: Path) -> None:
    """A derived value is HKDF of master secret, tenant, account, purpose and generation."""
    made = account_of(tmp_path, ", generation: 3").account.derive("psp.token")
    assert made == derive(Secret(ENVIRON["GATEWAY_SECRET"]), "acme", "main", "psp.token", "3")


def test_tenants_share_no_derived_value(tmp_path: Path) -> None:
    """Two tenants with accounts of one name, and two purposes, never get one value."""
    entries = [account_of(tmp_path, tenant=tenant) for tenant in ("acme", "globex")]
    values = [entry.account.derive(purpose).reveal() for entry in entries for purpose in ("a", "b")]
    values += [entry.endpoint_id for entry in entries]
    assert len(set(values)) == 6


def test_previous_generation(tmp_path: Path) -> None:
    """While accept_previous is true the generation before still derives and its endpoint still leads here."""
    first = account_of(tmp_path)
    text = LEAST + "tenants: {acme: {accounts: {main: {provider: plain, generation: 2, accept_previous: true}}}}"
    settings = load(tmp_path, text)
    second = settings.tenants["acme"].accounts["main"]
    assert second.account.derive("x", previous=True) == first.account.derive("x")
    assert second.endpoint_id != first.endpoint_id
    assert settings.endpoints == {second.endpoint_id: second, first.endpoint_id: second}


@pytest.mark.parametrize("more", ["", ", generation: 2", ", accept_previous: true"])
def test_no_previous_generation(tmp_path: Path, more: str) -> None:
    """Without accept_previous, or before generation 2, there is no previous value."""
    assert account_of(tmp_path, more).account.derive("x", previous=True) is None


def test_given_callback_id_wins(tmp_path: Path) -> None:
    """A given callback_id is the endpoint, and generations do not add others."""
    given = "known-to-the-provider-0"
    more = f", callback_id: {given}, generation: 2, accept_previous: true"
    settings = load(tmp_path, LEAST + f"tenants: {{acme: {{accounts: {{main: {{provider: plain{more}}}}}}}}}")
    assert list(settings.endpoints) == [given]


# --- before the plugins are there, and the shipped file


INSTALLED = ("acme_pay", "creditkey", "psp_open_api")


@pytest.mark.parametrize(
    ("section", "blocked", "allowed"),
    [
        ("{blocked: [creditkey]}", {"creditkey"}, None),
        ("{allowed: [psp_open_api]}", set(), {"psp_open_api"}),
        ("{blocked: [acme_pay], allowed: [creditkey]}", {"acme_pay"}, {"creditkey"}),
        ("{allowed: []}", set(), set()),
        ("{allowed: null}", set(), None),
        ("", set(), None),
    ],
)
def test_plugins_are_read_alone(tmp_path: Path, section: str, blocked: set[str], allowed: set[str] | None) -> None:
    """Their names can be read before there are providers, even from a file with mistakes or from none."""
    path = tmp_path / "settings.yaml"
    path.write_text(f"plugins: {section}\nnonsense: 1\n")
    found = plugin_names(path, INSTALLED)
    assert (found.blocked, found.allowed) == (blocked, allowed)
    assert plugin_names(tmp_path / "missing.yaml", INSTALLED).blocked == frozenset()


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{blocked: [creditkey, Creditkey]}", 'blocked[1]: unknown plugin "Creditkey", did you mean "creditkey"'),
        ("{blocked: [gateway_creditkey]}", 'blocked[0]: unknown plugin "gateway_creditkey", did you mean "creditkey"'),
        ("{blocked: [stripe]}", 'blocked[0]: unknown plugin "stripe", known are acme_pay, creditkey, psp_open_api'),
        ("{allowed: [creditkei]}", 'allowed[0]: unknown plugin "creditkei", did you mean "creditkey"'),
        ("{blocked: [acme_pay], allowed: [creditkey, acme_pay]}", 'allowed[1]: "acme_pay" is blocked too'),
        ("{blocked: creditkey}", "blocked: must be a list"),
        ("{blocked: [[creditkey]]}", "blocked[0]: must be a single value"),
        ("{block: [creditkey]}", 'block: unknown key "block", did you mean "blocked"'),
        ("[creditkey]", "must be a mapping of keys"),
    ],
)
def test_mistake_in_plugins(tmp_path: Path, section: str, said: str) -> None:
    """One mistake is one line, before any code runs that it may have been meant to keep out."""
    path = tmp_path / "settings.yaml"
    path.write_text(f"\nplugins: {section}\n")
    with pytest.raises(SettingsError) as caught:
        plugin_names(path, INSTALLED)
    [line] = caught.value.problems
    assert line.startswith("settings.yaml:2: plugins")
    assert said in line


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
