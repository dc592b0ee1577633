"""Entries put into a YAML file's text: everything that was there stays, byte for byte."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from gateway.drivers.settings.yaml_edit import extended, replaced, without
from tests.support.cli import SHIPPED

ACCOUNTS = ("tenants", "acme", "accounts")
NEW = {"new": {"provider": "plain"}}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "tenants:\n  acme:\n    accounts:\n      new:\n        provider: plain\n"),
        (
            "# only a comment",
            "# only a comment\ntenants:\n  acme:\n    accounts:\n      new:\n        provider: plain\n",
        ),
        ("tenants:\n", "tenants:\n  acme:\n    accounts:\n      new:\n        provider: plain\n"),
        ("tenants: {acme: {}}\n", "tenants: {acme: {accounts: {new: {provider: plain}}}}\n"),
        (
            "tenants:\n  acme: {accounts: {a: {}}}  # flow\n",
            "tenants:\n  acme: {accounts: {a: {}, new: {provider: plain}}}  # flow\n",
        ),
        (
            "tenants:\n  acme:\n    accounts: null  # none yet\n    x: 1\n",
            "tenants:\n  acme:\n    accounts:   # none yet\n      new:\n        provider: plain\n    x: 1\n",
        ),
        (
            "tenants:\n  acme:\n    accounts:\n      # the first\n      a: |\n        b\n\n      # below\n    x: 1",
            "tenants:\n  acme:\n    accounts:\n      # the first\n      a: |\n        b\n\n"
            "      new:\n        provider: plain\n      # below\n    x: 1",
        ),
        (
            "tenants:\n  acme:\n      accounts:\n          a: {}",
            "tenants:\n  acme:\n      accounts:\n          a: {}\n          new:\n            provider: plain\n",
        ),
    ],
)
def test_an_entry_is_written_where_it_belongs(before: str, after: str) -> None:
    """In the style of what is around it: a block, a flow mapping, or the first entry of all."""
    assert extended(before, ACCOUNTS, NEW) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("server: {}\n", "include:\n  - b.yaml\nserver: {}\n"),
        ("# Top.\n\nserver: {}\n", "# Top.\n\ninclude:\n  - b.yaml\nserver: {}\n"),
        ("include: [a.yaml]  # more\n", "include: [a.yaml, b.yaml]  # more\n"),
        ("include: []\n", "include: [b.yaml]\n"),
        ("include:\n- a.yaml\nserver: {}\n", "include:\n- a.yaml\n- b.yaml\nserver: {}\n"),
        ("server: {}\ninclude:\n", "server: {}\ninclude:\n  - b.yaml\n"),
    ],
)
def test_an_item_is_added_to_a_list(before: str, after: str) -> None:
    """At its end; a list that is not there is made before everything else."""
    assert extended(before, ("include",), ["b.yaml"]) == after


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_nothing_else_changes_in_the_shipped_settings(tenant: str) -> None:
    """Lines are only added: each comment, quote and broken line is as it was."""
    text = SHIPPED.read_text(encoding="utf-8")
    new = extended(text, ("tenants", tenant, "accounts"), NEW)
    changed = [line for line in difflib.ndiff(text.splitlines(), new.splitlines()) if line[0] in "+-"]
    assert changed == ["+       new:", "+         provider: plain"]


@pytest.mark.parametrize("value", ["no", "0123", "1e3", "~", "", "a: b #c", "- x", "env:NAME", "*a", "{x", "ä\u2028"])
@pytest.mark.parametrize("before", ["tenants: {acme: {}}", "tenants:\n  acme:\n"])
def test_text_is_written_so_that_it_is_read_as_it_was(value: str, before: str) -> None:
    """``extended`` reads its own result again and would refuse anything else."""
    entry: dict[str, Any] = {"new": {"config": {"a": value, "b": [value, {value or "x": value}]}}}
    assert "new" in extended(before, ACCOUNTS, entry)


@pytest.mark.parametrize(
    "text",
    [
        "tenants:\n  acme: &same {a: b}\n  globex: *same\n",
        "tenants:\n  globex: &same\n    a: b\n  acme: *same\n",
        "tenants: {acme: {accounts: }}\n",
        "tenants:\n  acme:\n    accounts: none\n",
        "\ufefftenants: {acme: {}}\n",
    ],
)
def test_what_would_change_something_else_is_refused(text: str) -> None:
    """An alias would change two tenants; what is not a mapping takes no entry."""
    with pytest.raises(ValueError, match=r"^tenants\.acme\.accounts cannot be edited here: write the entry by hand$"):
        extended(text, ACCOUNTS, NEW)


def test_a_file_that_is_not_yaml_is_refused() -> None:
    """With the reason of the reader."""
    with pytest.raises(ValueError, match="is not readable YAML"):
        extended("a: [", ACCOUNTS, NEW)


@pytest.mark.parametrize(
    "before",
    [
        "# Accounts\r\ntenants:\r\n  acme:\r\n    accounts:\r\n      a: {}\r\n    x: 1\r\n",
        "tenants:\r\n  acme:\r\n    accounts:",
    ],
)
def test_lines_end_as_the_file_s_lines_do(before: str) -> None:
    """Files of Windows keep CR LF, also after a last line without an end."""
    after = extended(before, ACCOUNTS, NEW)
    assert "provider: plain" in after
    assert after.count("\n") == after.count("\r\n") > before.count("\n")


KEYS = """admin:
  keys:
    # the first
    - id: a
      sha256: x  # of a

    # the second
    - {id: b, sha256: y}
    -
      id: c
      sha256: z
  port: 1
flow: [{id: a}, {id: b}, "c"]
"""


@pytest.mark.parametrize(
    ("path", "removed", "added"),
    [
        (("admin", "keys", 0), ["    - id: a", "      sha256: x  # of a"], []),
        (("admin", "keys", 1), ["    - {id: b, sha256: y}"], []),
        (("admin", "keys", 2), ["    -", "      id: c", "      sha256: z"], []),
        (("admin", "keys", 1, "sha256"), ["    - {id: b, sha256: y}"], ["    - {id: b}"]),
        (("admin", "keys", 0, "id"), ["    - id: a", "      sha256: x  # of a"], None),
        (("admin", "port"), ["  port: 1"], []),
        (("flow", 0), ['flow: [{id: a}, {id: b}, "c"]'], ['flow: [{id: b}, "c"]']),
        (("flow", 2), ['flow: [{id: a}, {id: b}, "c"]'], ["flow: [{id: a}, {id: b}]"]),
    ],
)
def test_one_entry_goes(path: tuple[str | int, ...], removed: list[str], added: list[str] | None) -> None:
    """With its lines or its comma, and with nothing else; what cannot go so is refused."""
    if added is None:
        with pytest.raises(ValueError, match="cannot be edited here: remove the entry by hand"):
            without(KEYS, path)
        return
    changes = [line for line in difflib.ndiff(KEYS.splitlines(), without(KEYS, path).splitlines()) if line[0] in "-+"]
    assert [line[2:] for line in changes if line[0] == "-"] == removed
    assert [line[2:] for line in changes if line[0] == "+"] == added


@pytest.mark.parametrize("path", [("admin", "keys", 7), ("nothing", "here"), ("flow", 0, "id")])
def test_what_is_not_there_or_alone_does_not_go(path: tuple[str | int, ...]) -> None:
    """The last member of a mapping would leave another meaning behind."""
    with pytest.raises(ValueError, match="remove the entry by hand"):
        without(KEYS, path)


@pytest.mark.parametrize(
    "before", ["{id: a, sha256: x}", "{id: a, sha256: x, expires: null}", "{expires: q, id: a, sha256: x}"]
)
def test_a_member_gets_a_value(before: str) -> None:
    """Whether it had one or not."""
    text = replaced(f"keys:\n  - {before}  # mine\n", ("keys", 0, "expires"), "2027")
    assert text == "keys:\n  - {id: a, sha256: x, expires: 2027}  # mine\n"
