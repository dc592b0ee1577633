"""Where YAML surprises people, settings mean what was written, or say what is wrong with it and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from yaml.nodes import MappingNode

from gateway.drivers.settings.yaml_file import compose, tagged
from tests.support.factories.settings import LEAST, load, problems, with_tenant


@pytest.mark.parametrize(
    "text", ["no", "NO", "on", "y", "0123", "0o17", "1.10", "1e3", "1_000", "0x1F", "12:30", "2027-01-31", ".inf", "="]
)
def test_text_is_read_as_it_is_written(tmp_path: Path, text: str) -> None:
    """As a value, as a key of both kinds, and in a list; a quoted text is the same text."""
    section = f"""
    name: {text}
    accounts: {{main: {{provider: plain, fields: {{x: {{values: {{{text}: "{text}"}}, label: {{en: {text}}}}}}}}}}}
    deposit_methods: {{bank: {{account: main, label: {{{text}: {text}}}}}}}
    """
    tenant = load(tmp_path, with_tenant(section)).tenants["acme"]
    (field,) = (one for one in tenant.accounts["main"].account.fields.fields if one.name == "x")
    assert (tenant.title, field.values, field.label) == (text, {text: text}, {"en": text})
    assert tenant.deposit_methods["bank"].label == {text: text}


@pytest.mark.parametrize(("text", "title"), [("~", "acme"), ("null", "acme"), ("", "acme"), ("'null'", "null")])
def test_only_a_plain_null_is_nothing(tmp_path: Path, text: str, title: str) -> None:
    """Then the default applies; in quotes it is a text."""
    assert load(tmp_path, with_tenant(f"name: {text}")).tenants["acme"].title == title


@pytest.mark.parametrize(
    ("text", "title"),
    [("|\n  two\n  lines", "two\nlines"), (">-\n  one\n  line", "one line"), ('"a\\tb"', "a\tb"), ("a#b  # c", "a#b")],
)
def test_blocks_quotes_and_comments(tmp_path: Path, text: str, title: str) -> None:
    """Texts of several lines, escapes, and a ``#`` that does not begin a comment."""
    assert load(tmp_path, with_tenant(f"name: {text}")).tenants["acme"].title.rstrip("\n") == title


def test_an_alias_is_the_value_of_its_anchor(tmp_path: Path) -> None:
    """Two tenants may share a section, and each is one of its own."""
    text = LEAST + "tenants:\n  acme: &shop {name: Shop, accounts: {main: {provider: plain}}}\n  globex: *shop\n"
    tenants = load(tmp_path, text).tenants
    assert [(tenant.id, tenant.title) for tenant in tenants.values()] == [("acme", "Shop"), ("globex", "Shop")]
    assert len({tenant.accounts["main"].endpoint_id for tenant in tenants.values()}) == 2


READABLE = "is not readable YAML: "
MERGE = "is a merge key, which is not supported: write the members out, or use an alias for the whole value"


DEVELOPMENT = "server: {secret: x, development: true}\n"


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("name: Acme\nkeys: []\nname: Other", "7: tenant acme: name: is written twice, first in line 5"),
        ("rate_limit: {burst: 5, burst: 6}", "5: tenant acme: rate_limit.burst: is written twice, first in line 5"),
        (
            "rate_limit: &r {burst: 5}\naccounts: {a: {<<: *r, provider: plain}}",
            f"6: tenant acme: accounts.a.<<: {MERGE}",
        ),
        ("rate_limit: &r {burst: 5}\n<<: *r", f"6: tenant acme: <<: {MERGE}"),
        ("name: Acme\n\tkeys: []", "6: is indented with a tab: YAML is indented with blanks"),
        ("keys:\n\t- {id: k1}", "6: is indented with a tab: YAML is indented with blanks"),
        (
            "name: 'Acme\nkeys: []",
            f"7: {READABLE}while scanning a quoted scalar (begun in line 5) found unexpected end",
        ),
        ("keys: [{id: k1}\nname: x", f"6: {READABLE}while parsing a flow sequence (begun in line 5) did not find"),
        ("name: *acme", f"5: {READABLE}found undefined alias"),
        ("name: Acme: tools", f"5: {READABLE}mapping values are not allowed in this context"),
        *(
            (section, f"5: tenant acme: {path}: has a YAML tag; tags are not supported")
            for section, path in (
                ("name: !!int 5", "name"),
                ("name: !!str 5", "name"),
                ("!!str name: x", "name"),
                ("return_origins: !!seq []", "return_origins"),
                ("accounts: !!map {}", "accounts"),
                ("accounts: {main: {provider: plain, fields: !x {}}}", "accounts.main.fields"),
                ("deposit_methods: !!python/object:os.system {}", "deposit_methods"),
            )
        ),
        ("? [a]\n: b", "4: tenant acme: tenants.acme: has a key that is not text"),
        ("accounts:\n- main", "5: tenant acme: accounts: must be a mapping of keys"),
        ("return_origins:\n  a: b", "5: tenant acme: return_origins: must be a list"),
    ],
)
def test_a_trap_is_told(tmp_path: Path, section: str, said: str) -> None:
    """With its line, and where it began if that is another one."""
    [line] = problems(tmp_path, with_tenant(section))
    assert line.startswith(f"settings.yaml:{said}")


@pytest.mark.parametrize("written", ["${CK_SECRET}", "$CK_SECRET", "${CK_SECRET:-none}"])
def test_a_variable_of_a_shell_is_no_secret(tmp_path: Path, written: str) -> None:
    """It would be taken as it stands, in development, and refused by the provider much later."""
    [line] = problems(tmp_path, DEVELOPMENT.replace("secret: x", f'secret: "{written}"'))
    assert line == "settings.yaml:1: server.secret: names a variable as a shell does, which is not replaced here: " + (
        "write env:NAME"
    )


def test_a_secret_may_have_the_signs_of_a_variable(tmp_path: Path) -> None:
    """As passwords do."""
    loaded = load(tmp_path, DEVELOPMENT.replace("secret: x", 'secret: "pa$$WORD{1}"'))
    assert loaded.server.secrets[0].reveal() == "pa$$WORD{1}"


def test_a_slip_in_development_accuses_nothing_else(tmp_path: Path) -> None:
    """What is refused outside development alone is not held against who meant to be in it."""
    [line] = problems(tmp_path, DEVELOPMENT.replace("true", "yes"))
    assert line == "settings.yaml:1: server.development: must be true or false"


@pytest.mark.parametrize("written", ["true", "TRUE", "1"])
def test_development_is_one_thing_for_every_value(tmp_path: Path, written: str) -> None:
    """The switch that the values are read under is the one that the gateway then runs with."""
    assert load(tmp_path, DEVELOPMENT.replace("true", written)).server.development


@pytest.mark.parametrize("written", ["false", "0", "null", "~", ""])
def test_what_does_not_switch_development_on_leaves_it_off(tmp_path: Path, written: str) -> None:
    """For every value: a secret that is written out is refused."""
    lines = problems(tmp_path, DEVELOPMENT.replace("true", written))
    assert [line for line in lines if line.startswith("settings.yaml:1: server.secret: ")]


def test_what_is_not_yaml_is_told_with_where_to_look(tmp_path: Path) -> None:
    """The parser names the line in which it gave up, which may be the one after the mistake."""
    [line] = problems(tmp_path, with_tenant("name Acme\nkeys: []"))
    assert line.startswith(f"settings.yaml:6: {READABLE}")
    assert line.endswith("; look at indentation, colons and quotes here and in the line before")


def test_a_tag_inside_what_holds_itself_is_found() -> None:
    """Once, and the search ends."""
    root = compose(b"a: &a [!x b, *a]", "a.yaml")
    assert isinstance(root, MappingNode)
    assert [(found.path, found.line) for found in tagged(root)] == [(("a", 0), 1)]


def test_a_second_document_is_told(tmp_path: Path) -> None:
    """Nothing of it would be read."""
    [line] = problems(tmp_path, LEAST + "---\ntenants: {}\n")
    assert line.startswith(f"settings.yaml:2: {READABLE}expected a single document")
