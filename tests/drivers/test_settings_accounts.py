"""Accounts, tenants and deposit methods in the settings: each mistake is one line, and derived values never change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.core.secret import Secret
from gateway.core.signing import derive
from tests.support.factories.settings import ENVIRON, LEAST, load, problems, sha, with_account, with_tenant

LANGUAGES = "must be a mapping of languages, such as {en: Card}"


ACCOUNT_MISTAKES = [
    ("{provider: qqq}", 'main.provider: unknown provider "qqq"; known are either, plain, psp_like, strict'),
    ("{}", "main.provider: is missing"),
    ("[]", "main: must be a mapping of keys"),
    ("{provider: [plain]}", "main.provider: must be a single value, not a list or mapping"),
    ("{provider: !vault plain}", "main.provider: has a YAML tag; tags are not supported"),
    ("{provider: plain, acepts_new: false}", 'main.acepts_new: unknown key "acepts_new"; did you mean "accepts_new"?'),
    ("{provider: plain, generation: 0}", "main.generation: must be a whole number >= 1"),
    ("{provider: plain, generation: two}", "main.generation: must be a whole number"),
    ("{provider: plain, callback_id: short}", "main.callback_id: must be 22 to 128 URL-safe characters"),
    ("{provider: plain, config: {ap_url: x}}", 'config.ap_url: unknown key "ap_url"; did you mean "app_url"?'),
    ("{provider: plain, config: {token: abc}}", "config.token: is a literal secret: write env:NAME or file:PATH"),
    ("{provider: plain, config: {token: 'env:NOPE'}}", "config.token: environment variable NOPE is not set"),
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
    ("{provider: plain, fields: {amount: {value: 1}}}", "fields.amount: is locked: only its key can be changed"),
    ("{provider: plain, fields: {email: {key: phone}}}", 'fields.phone.key: key "phone" is already used by field'),
    ("{provider: plain, fields: {email: {key: 'a b'}}}", 'fields.email.key: key "a b" must match'),
    ("{provider: plain, fields: {x: {pattern: '['}}}", "fields.x.pattern: pattern is not a regular expression"),
    ("{provider: plain, fields: {x: {max_length: 300}}}", "fields.x.max_length: max_length must be 1 to 255"),
    ("{provider: plain, fields: {x: {lable: {}}}}", 'fields.x.lable: unknown key "lable"; did you mean "label"?'),
    ("{provider: plain, fields: {email: {values: [a]}}}", "fields.email.values: must be a mapping of keys"),
    ("{provider: plain, fields: {email: {values: {a: [b]}}}}", "fields.email.values.a: must be a single value"),
    ("{provider: plain, fields: {amount: {values: {a: b}}}}", "fields.amount: is locked: only its key can be changed"),
    ("{provider: plain, fields: {amount: {from: id}}}", "fields.amount: is locked: only its key can be changed"),
    (
        "{provider: plain, fields: {x: {from: 'a b'}}}",
        "fields.x.from: is not a JMESPath expression: Unexpected token: b",
    ),
    ("{provider: plain, fields: {x: {from: nul(a)}}}", 'x.from: is not a JMESPath expression: unknown function "nul"'),
    (
        "{provider: plain, fields: {x: {from: metdata.x}}}",
        'x.from: reads "metdata", which is not there; did you mean "metadata"?',
    ),
    ("{provider: plain, fields: {x: {from: customer.nmae}}}", 'x.from: reads "nmae", which is not there; did you mean'),
    ("{provider: plain, fields: {x: {from: 'order.items[*].prize'}}}", 'did you mean "price"?'),
    ("{provider: plain, fields: {x: {from: amount.value}}}", 'x.from: reads "value", which is not there'),
    ("{provider: plain, fields: {x: {choices: {a: {}}, pattern: b}}}", 'fields.x.choices: "a" does not match b'),
    ("{provider: plain, fields: {x: {choices: {a: {}}, values: {b: c}}}}", 'fields.x.values: "b" is not among the'),
    ("{provider: plain, fields: {x: {choices: [a]}}}", "x.choices: must be a mapping of choices, such as {gold: {"),
    ("{provider: plain, fields: {x: {choices: {a: A}}}}", "fields.x.choices.a: must be a mapping of languages, such"),
    ("{provider: plain, fields: {'order.items[].sku': {key: x}}}", "fields.order.items[].sku: is not a field of this"),
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
    ("name: ''", "name: must not be empty"),
    ("keys: [{id: k1}]", "keys[0].sha256: is missing"),
    ("keys: [{id: k_1, sha256: " + sha("a") + "}]", "keys[0].id: must match"),
    (
        "keys: [{id: k1, sha256: " + sha("a") + ", expires: 2027-01-01}]",
        "keys[0].expires: must be a time with its zone",
    ),
    (
        "keys: [{id: k1, sha256: " + sha("a") + "}, {id: k1, sha256: " + sha("b") + "}]",
        'keys[1].id: "k1" is already the id of another key of this tenant',
    ),
    ("return_origins: ['https://x.example/']", "return_origins[0]: must be an origin"),
    ("return_origins: ['http://x.example']", "return_origins[0]: must be https"),
    ("rate_limit: {per_second: nan}", "rate_limit.per_second: must be a number"),
    ("rate_limit: {burst: 0}", "rate_limit.burst: must be a whole number >= 1"),
    ("webhook: {secrets: ['env:ACME_WHSEC']}", "webhook.url: is missing"),
    ("webhook: {url: 'http://x.example', secrets: ['env:ACME_WHSEC']}", "webhook.url: must be https"),
    ("webhook: {url: 'https://u@x.example', secrets: ['env:ACME_WHSEC']}", "webhook.url: must not carry a user name"),
    ("webhook: {url: 'https://x.example/#a', secrets: ['env:ACME_WHSEC']}", "webhook.url: must not have a fragment"),
    ("webhook: {url: 'https://x.example', secrets: []}", "webhook.secrets: must not be an empty list"),
    ("webhook: {url: 'https://x.example', secrets: [abc]}", "webhook.secrets[0]: is a literal secret"),
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
    ("{account: man}", 'bank.account: unknown account "man"; did you mean "main"?'),
    ("{account: main, currencies: [USD, EUR]}", "bank.currencies[1]: EUR is not a currency of account main"),
    ("{account: main, amount: {min: '10', max: '9.99'}}", "bank.amount.min: must not be above max"),
    ("{account: main, amount: {min: -1}}", "bank.amount.min: must not be negative"),
    ("{account: main, amount: {max: ten}}", "bank.amount.max: must be a decimal"),
    (
        "{account: main, fields: {vipp: {}}}",
        'bank.fields.vipp: unknown additional parameter "vipp"; did you mean "vip"?',
    ),
    (
        "{account: main, fields: {email: {}}}",
        "bank.fields.email: unknown additional parameter: fields.email of the account needs required: true",
    ),
]


@pytest.mark.parametrize(("method", "said"), METHOD_MISTAKES)
def test_mistake_in_a_deposit_method(tmp_path: Path, method: str, said: str) -> None:
    """One mistake in a deposit method is one line; it does not also accuse the account."""
    text = f"accounts: {{main: {{provider: plain, fields: {{vip: {{}}}}}}}}\ndeposit_methods:\n  bank: {method}"
    [line] = problems(tmp_path, with_tenant(text))
    assert line.startswith("settings.yaml:7: tenant acme: deposit_methods.")
    assert said in line


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


PLACES = """server: {secret: env:GATEWAY_SECRET}
include: [more.yaml]
tenants:
  acme:
    accounts:
      one:
        provider: plain
        fields: &shared
          email: {key: mail}
          vip:
            value: a
      two:
        provider: plain
        fields: *shared
      three: {provider: plain}
"""


def test_the_place_of_each_field_is_kept(tmp_path: Path) -> None:
    """File and line of what changes a field, of an anchor's entry where it stands; None for one that is unchanged."""
    more = "\n\ntenants:\n  globex:\n    accounts:\n      one: {provider: plain, fields: {email: {key: mail}}}\n"
    (tmp_path / "more.yaml").write_text(more)
    tenants = load(tmp_path, PLACES).tenants
    found = {
        (tenant, account): [tenants[tenant].accounts[account].rule_of(name) for name in ("email", "vip", "phone")]
        for tenant, account in [("acme", "one"), ("acme", "two"), ("acme", "three"), ("globex", "one")]
    }
    assert found == {
        ("acme", "one"): ["settings.yaml:9", "settings.yaml:10", None],
        ("acme", "two"): ["settings.yaml:9", "settings.yaml:10", None],
        ("acme", "three"): [None, None, None],
        ("globex", "one"): ["more.yaml:6", None, None],
    }


def test_accounts_that_are_laid_out_alike_share_their_lines(tmp_path: Path) -> None:
    """Thousands of tenants that are written alike keep one mapping, not one for each."""
    account = "main:\n        provider: plain\n        fields:\n          email: {key: mail}\n"
    text = "".join(f"  {tenant}:\n    accounts:\n      {account}" for tenant in ("acme", "globex"))
    tenants = load(tmp_path, f"server: {{secret: env:GATEWAY_SECRET}}\ntenants:\n{text}").tenants
    acme, globex = (tenants[name].accounts["main"] for name in ("acme", "globex"))
    assert acme.field_lines is globex.field_lines
    assert [acme.rule_of("email"), globex.rule_of("email")] == ["settings.yaml:8", "settings.yaml:14"]
