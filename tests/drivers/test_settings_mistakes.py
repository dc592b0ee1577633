"""Mistakes in settings as people make them: each is one line with file, line, tenant, key and what would be right."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.core.errors import SettingsError
from gateway.drivers.plugin_registry import load_plugins
from gateway.drivers.settings import Settings, load_settings
from tests.support.factories.settings import ENVIRON, sha

PROVIDERS = load_plugins().providers
SECRETS = {**ENVIRON, "CK_PUBLIC": "a-public-key-of-tests", "CK_SECRET": "a-shared-secret-of-tests"}

TOP = f"""\
include: [tenants/*.yaml]
server:
  host: 127.0.0.1
  port: 8080
  public_url: https://pay.example
  secret: env:GATEWAY_SECRET
  admin:
    port: 8081
    keys: [{{id: dana, sha256: {sha("dana")}}}]
  trusted_proxies: [10.0.0.0/8]
  development: false
store:
  url: sqlite:////var/lib/gateway/gateway.db
timeouts:
  provider_total: 20s
limits:
  head_bytes: 16384
clocks:
  poll: [5m, 15m]
currencies:
  USDT: 6
"""
TENANT = f"""\
tenants:
  acme:
    name: Acme Tools
    keys:
      - {{id: k1, sha256: {sha("k1")}, expires: 2027-01-31T00:00:00Z}}
    return_origins:
      - https://erp.acme.example
    rate_limit:
      per_second: 50
    webhook:
      url: https://erp.acme.example/hooks
      secrets: ["env:ACME_WHSEC"]
    routing:
      - {{when: "currency == 'USD'", account: credit}}
      - {{account: psp}}
    accounts:
      credit:
        provider: creditkey
        config:
          environment: staging
          public_key: env:CK_PUBLIC
          shared_secret: env:CK_SECRET
      psp:
        provider: psp_open_api
        accepts_new: true
        config: {{app_url: https://psp.example/bridge}}
        fields:
          amount: {{key: sum}}
          nationality: {{enabled: false}}
          channel: {{value: web}}
          branch: {{from: metadata.warehouse}}
          vip: {{label: {{en: VIP code}}, pattern: "[A-Z]+"}}
          tier: {{choices: {{gold: {{en: Gold}}}}}}
    deposit_methods:
      bank:
        account: psp
        label: {{en: Bank}}
        currencies: [USD, EUR]
        amount: {{min: "10.00", max: "500.00"}}
        fields:
          vip: {{label: {{en: Your code}}}}
"""
TEXTS = {"settings.yaml": TOP, "tenants/acme.yaml": TENANT}
HERE = "  # here"
"""Marks the line that must be named."""

ORIGIN = "must be an origin such as https://shop.example or https://shop.example:8443, without path"
HOST = (
    "must have a host name such as shop.example or an IP address in its usual form"
    " (no wildcards, placeholders, zones or percent-encoding)"
)
LISTEN = (
    "must be an IP address or a host name such as 127.0.0.1, 0.0.0.0, ::1 or localhost,"
    " without scheme, port, path and zone"
)
RE2 = "pattern needs what RE2 does not have (backreferences, look-around, \\Z, repetitions above 1000)"


class Mistake(NamedTuple):
    """``right`` becomes ``wrong`` in a file; then ``key`` (of the tenant, or of the file) is told with ``remedy``."""

    right: str
    wrong: str
    key: str
    remedy: str


TOP_MISTAKES = [
    Mistake("server:\n", "sever: {}  # here\nserver:\n", "sever", 'unknown key "sever"; did you mean "server"?'),
    Mistake("[tenants/*.yaml]", "[tenants/*.yaml, more.yaml]  # here", "include", 'there is no file "more.yaml"'),
    Mistake("host: 127.0.0.1", "host: https://127.0.0.1  # here", "server.host", LISTEN),
    Mistake(
        "host: 127.0.0.1",
        "host: 224.0.0.1  # here",
        "server.host",
        "is a multicast or broadcast address: nobody can connect to it, write one of this machine",
    ),
    Mistake("port: 8080", "port: 80800  # here", "server.port", "must be a whole number <= 65535"),
    Mistake(
        "    port: 8081",
        "    port: 8080  # here",
        "server.admin.port",
        "is server.port too: give the operators' listener another one",
    ),
    Mistake(
        "https://pay.example",
        "http://pay.example  # here",
        "server.public_url",
        "must be https outside development (http needs server.development: true)",
    ),
    Mistake(
        "GATEWAY_SECRET", "GATEWAY_SECERT  # here", "server.secret", "environment variable GATEWAY_SECERT is not set"
    ),
    Mistake(
        "env:GATEWAY_SECRET",
        "this secret is written out in the file  # here",
        "server.secret",
        "is a literal secret: write env:NAME or file:PATH (literals need server.development: true)",
    ),
    Mistake(
        "[10.0.0.0/8]",
        "[10.0.0.1/8]  # here",
        "server.trusted_proxies[0]",
        "must be an IP address such as 10.0.0.7 or a network such as 10.0.0.0/8, without bits behind its mask:"
        " write 10.0.0.0/8",
    ),
    Mistake("development: false", "development: no  # here", "server.development", "must be true or false"),
    Mistake(
        "sqlite:////var/lib/gateway/gateway.db",
        "/var/lib/gateway.db  # here",
        "store.url",
        "must be sqlite:///PATH (relative), sqlite:////PATH (absolute) or postgresql://user@host:port/database",
    ),
    Mistake(
        "provider_total: 20s",
        "provider_total: 20  # here",
        "timeouts.provider_total",
        "must be a duration such as 250ms, 5s, 2m, 6h or 30d",
    ),
    Mistake("head_bytes: 16384", "head_bytes: 16k  # here", "limits.head_bytes", "must be a whole number"),
    Mistake("[5m, 15m]", "[5m, 0s]  # here", "clocks.poll", "must end with more than zero: its last value repeats"),
    Mistake(
        "  USDT: 6",
        "  JPY: 2  # here",
        "currencies.JPY",
        "is an ISO 4217 currency with 0 digits; that cannot be changed",
    ),
]
TENANT_MISTAKES = [
    Mistake("  acme:\n", "  Acme:  # here\n", "tenants.Acme", "must match [a-z0-9][a-z0-9_-]{0,63}"),
    Mistake("name: Acme", "nmae: Acme  # here", "nmae", 'unknown key "nmae"; did you mean "name"?'),
    Mistake(
        sha("k1"),
        "A1}  # here\n      - {id: k2, sha256: " + sha("k1"),
        "keys[0].sha256",
        "must be 64 lower-case hex digits: the SHA-256 of the whole key",
    ),
    Mistake(
        "2027-01-31T00:00:00Z}",
        "2027-01-31}  # here",
        "keys[0].expires",
        "must be a time with its zone such as 2027-01-31T00:00:00Z",
    ),
    Mistake(
        "00:00Z}\n",
        f"00:00Z}}\n      - {{id: k1, sha256: {sha('k2')}}}  # here\n",
        "keys[1].id",
        '"k1" is already the id of another key of this tenant',
    ),
    Mistake("- https://erp.acme.example\n", "- https://*.acme.example  # here\n", "return_origins[0]", HOST),
    Mistake("- https://erp.acme.example\n", "- https://a..b  # here\n", "return_origins[0]", HOST),
    Mistake("- https://erp.acme.example\n", "- erp.acme.example  # here\n", "return_origins[0]", ORIGIN),
    Mistake("- https://erp.acme.example\n", "- https://erp.acme.example/paid  # here\n", "return_origins[0]", ORIGIN),
    Mistake(
        "- https://erp.acme.example\n",
        "- http://erp.acme.example  # here\n",
        "return_origins[0]",
        "must be https (http needs server.development: true)",
    ),
    Mistake("per_second: 50", "per_second: 0  # here", "rate_limit.per_second", "must be a number > 0.0"),
    Mistake(
        "url: https://erp.acme.example",
        "url: https://10.0.0.7  # here\n      #",
        "webhook.url",
        "must not point to this machine or a private network (that needs server.development: true)",
    ),
    Mistake(
        "url: https://erp.acme.example",
        "url: env:ACME_URL  # here\n      #",
        "webhook.url",
        "is not a secret, so env: and file: are not read here: write the value itself",
    ),
    Mistake(
        '["env:ACME_WHSEC"]',
        "env:ACME_WHSEC  # here",
        "webhook.secrets",
        "must be a list: write [ and ] around it, or a line with - for each",
    ),
    Mistake(
        '["env:ACME_WHSEC"]',
        '["env:TOKEN"]  # here',
        "webhook.secrets[0]",
        "must be whsec_ followed by the base64 of 24 to 64 bytes",
    ),
    Mistake(
        "account: credit}",
        "account: kredit}  # here",
        "routing[0].account",
        'unknown account "kredit"; did you mean "credit"?',
    ),
    Mistake(
        "when: \"currency == 'USD'\", account: credit}\n      - {account: psp}",
        "account: credit}\n      - {account: psp}  # here",
        "routing[1]",
        "can never match: rule [0] before it has no when",
    ),
    Mistake(
        "currency == 'USD'\", account: credit}",
        'lenght(currency) == `3`", account: credit}  # here',
        "routing[0].when",
        'is not a JMESPath expression: unknown function "lenght"',
    ),
    Mistake(
        "provider: creditkey",
        "provider: credit_key  # here",
        "accounts.credit.provider",
        'unknown provider "credit_key"; did you mean "creditkey"?',
    ),
    Mistake(
        "          environment: staging\n",
        "          environmnt: staging  # here\n",
        "accounts.credit.config.environmnt",
        'unknown key "environmnt"; did you mean "environment"?',
    ),
    Mistake(
        "environment: staging",
        "environment: test  # here",
        "accounts.credit.config.environment",
        "must be one of staging, production",
    ),
    Mistake(
        "        config:\n          environment: staging\n          public_key: env:CK_PUBLIC\n",
        "        config:  # here\n          environment: staging\n",
        "accounts.credit.config.public_key",
        "is missing",
    ),
    Mistake("accepts_new: true", "accepts_new: yes  # here", "accounts.psp.accepts_new", "must be true or false"),
    Mistake(
        "{app_url: https://psp.example/bridge}",
        "{app_url: https://psp.example/bridge, merchant_id: env:ID}  # here",
        "accounts.psp.config.merchant_id",
        "is not a secret, so env: and file: are not read here: write the value itself",
    ),
    Mistake(
        "{key: sum}",
        "{key: sum, value: 1}  # here",
        "accounts.psp.fields.amount",
        "is locked: only its key can be changed",
    ),
    Mistake(
        "nationality: {enabled: false}",
        "currency: {enabled: false}  # here",
        "accounts.psp.fields.currency.enabled",
        "is mandatory and cannot be switched off",
    ),
    Mistake(
        "channel: {value: web}",
        "channel: {key: sum, value: web}  # here",
        "accounts.psp.fields.channel.key",
        'key "sum" is already used by field "amount"',
    ),
    Mistake(
        "channel: {value: web}",
        "channel: {value: web, max_length: 2}  # here",
        "accounts.psp.fields.channel.value",
        "has 3 characters, at most 2 are allowed",
    ),
    Mistake(
        "channel: {value: web}",
        "channel: {value: web, pattern: '[A-Z]+'}  # here",
        "accounts.psp.fields.channel.value",
        "does not match [A-Z]+",
    ),
    Mistake(
        "{from: metadata.warehouse}",
        "{from: metadata.warehouse ||}  # here",
        "accounts.psp.fields.branch.from",
        "is not a JMESPath expression: Invalid jmespath expression: Incomplete expression",
    ),
    Mistake(
        'pattern: "[A-Z]+"',
        'pattern: "(?=VIP).*"',
        "accounts.psp.fields.vip.pattern",
        f"{RE2}: invalid perl operator: (?=",
    ),
    Mistake(
        "choices: {gold: {en: Gold}}",
        "choices: [gold]",
        "accounts.psp.fields.tier.choices",
        "must be a mapping of choices, such as {gold: {en: Gold}}",
    ),
    Mistake(
        "      bank:\n        account: psp\n",
        "      bank:\n        account: pps  # here\n      card:\n        account: psp\n",
        "deposit_methods.bank.account",
        'unknown account "pps"; did you mean "psp"?',
    ),
    Mistake(
        "label: {en: Bank}",
        "label: Bank  # here",
        "deposit_methods.bank.label",
        "must be a mapping of languages, such as {en: Card}",
    ),
    Mistake(
        "[USD, EUR]",
        "[USD, EURO]  # here",
        "deposit_methods.bank.currencies[1]",
        'unknown currency "EURO": neither ISO 4217 nor listed under currencies',
    ),
    Mistake(
        "[USD, EUR]",
        "[USD, eur]  # here",
        "deposit_methods.bank.currencies[1]",
        'unknown currency "eur": neither ISO 4217 nor listed under currencies; did you mean "EUR"?',
    ),
    Mistake('min: "10.00"', 'min: "1000.00"', "deposit_methods.bank.amount.min", "must not be above max"),
    Mistake(
        'min: "10.00"',
        "min: 1e1",
        "deposit_methods.bank.amount.min",
        'must be a decimal such as "10.50", without exponent, blank or separator',
    ),
    Mistake(
        "vip: {label: {en: Your code}}",
        "vp: {label: {en: Your code}}  # here",
        "deposit_methods.bank.fields.vp",
        'unknown additional parameter "vp"; did you mean "vip"?',
    ),
]


def written(folder: Path, texts: dict[str, str]) -> Path:
    """Write settings into files."""
    (folder / "tenants").mkdir()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "settings.yaml"


def load(folder: Path, texts: dict[str, str]) -> Settings:
    """Load settings from files."""
    return load_settings(written(folder, texts), providers=PROVIDERS, environ=SECRETS)


def told(folder: Path, file: str, mistake: Mistake) -> tuple[list[str], int]:
    """What the settings with one mistake are refused with, and the line it is in."""
    assert TEXTS[file].count(mistake.right) == 1
    before = TEXTS[file].partition(mistake.right)[0]
    text = TEXTS[file].replace(mistake.right, mistake.wrong)
    marked = [number for number, line in enumerate(text.splitlines(), 1) if line.endswith(HERE)]
    with pytest.raises(SettingsError) as refused:
        load(folder, {**TEXTS, file: text})
    return list(refused.value.problems), marked[0] if marked else before.count("\n") + 1


def test_without_a_mistake_they_load(tmp_path: Path) -> None:
    """So each row below has one mistake and no other."""
    assert set(load(tmp_path, TEXTS).tenants["acme"].accounts) == {"credit", "psp"}


@pytest.mark.parametrize("mistake", TOP_MISTAKES, ids=lambda mistake: mistake.wrong.strip()[:40])
def test_a_mistake_in_the_settings_file(tmp_path: Path, mistake: Mistake) -> None:
    """File, line, key and remedy, in one line and nothing else."""
    problems, line = told(tmp_path, "settings.yaml", mistake)
    assert problems == [f"settings.yaml:{line}: {mistake.key}: {mistake.remedy}"]


@pytest.mark.parametrize("mistake", TENANT_MISTAKES, ids=lambda mistake: mistake.wrong.strip()[:40])
def test_a_mistake_in_a_tenant_s_file(tmp_path: Path, mistake: Mistake) -> None:
    """File, line, tenant, key and remedy, in one line and nothing else."""
    problems, line = told(tmp_path, "tenants/acme.yaml", mistake)
    tenant = "Acme" if mistake.key == "tenants.Acme" else "acme"
    assert problems == [f"tenants/acme.yaml:{line}: tenant {tenant}: {mistake.key}: {mistake.remedy}"]
