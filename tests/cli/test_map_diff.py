"""``gateway map diff``: which recorded creates would be sent differently under other settings, and how."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import SHIPPED, run
from tests.support.stack import creditkey_body

PSP: dict[str, Any] = {
    "merchant_reference": "SO-1",
    "amount": "25.50",
    "currency": "USD",
    "customer": {"id": "C-88", "language": "en-us"},
    "fields": {"custom_1": "GOLD"},
}
ORDER = creditkey_body(return_url=None, cancel_url=None)
REQUESTS = {
    "acme/routed.json": PSP,
    "acme/order.json": ORDER,
    "globex/card.json": {"merchant_reference": "SO-2", "amount": "5.00", "currency": "EUR", "deposit_method": "card"},
}


def diff(folder: Path, *changes: tuple[str, str], requests: Mapping[str, Any] = REQUESTS, as_json: bool = True) -> Any:
    """Compare the shipped settings with changed ones; what changes by request, each key with old and new value."""
    text = SHIPPED.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "new.yaml").write_text(text)
    for name, body in requests.items():
        path = folder / "requests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body if isinstance(body, str) else json.dumps(body))
    options = ["--json"] if as_json else []
    result = run("map", "diff", SHIPPED, folder / "new.yaml", "--requests", folder / "requests", *options)
    assert result.exit_code == 0, result.output
    if not as_json:
        return result
    found = json.loads(result.stdout)["data"]
    return {one["request"]: {row["key"]: (row["old"], row["new"]) for row in one["changes"]} for one in found}


def test_the_same_settings_change_nothing(tmp_path: Path) -> None:
    """Each create is planned twice at one moment, so that nothing differs by itself."""
    assert diff(tmp_path) == {}


def test_a_rename_is_shown_under_both_keys(tmp_path: Path) -> None:
    """The sign covers it and changes along; other creates are not shown."""
    found = diff(tmp_path, ("language: {key: lang,", "language: {key: locale,"))
    assert list(found) == ["acme/routed.json"]
    changes = found["acme/routed.json"]
    assert (changes["lang"], changes["locale"]) == (("EN", None), (None, "EN"))
    assert changes.keys() == {"lang", "locale", "sign"}


def test_a_create_that_goes_to_another_account(tmp_path: Path) -> None:
    """By the rules of routing, as the create would go."""
    routed = {"acme/routed.json": {**ORDER, "account": None}}
    found = diff(tmp_path, (">= `1000`", ">= `2000`"), requests=routed)["acme/routed.json"]
    assert found["account"] == ("creditkey-main", "psp-main")
    assert (found["charges.total"][1], found["sum"]) == (None, (None, 1067.33))


@pytest.mark.parametrize("is_new", [True, False])
def test_a_create_that_is_refused_by_one(tmp_path: Path, is_new: bool) -> None:
    """Only that is shown, with the errors of the create."""
    body = PSP if is_new else {**PSP, "fields": {"custom_1": "gold"}}
    found = diff(tmp_path, ('pattern: "[A-Z]+"', 'pattern: "[a-z]+"'), requests={"acme/x.json": body})["acme/x.json"]
    said = "$.fields.custom_1: does not match " + ("[a-z]+" if is_new else "[A-Z]+")
    assert found == {"refused": (None, said) if is_new else (said, None)}


def compare(folder: Path, *options: str) -> Any:
    """Compare the shipped settings with themselves."""
    return run("map", "diff", SHIPPED, SHIPPED, "--requests", folder, *options)


def test_what_both_refuse_alike_is_not_compared(tmp_path: Path) -> None:
    """Nothing is known of its change: it is counted and named, beside the changes, with the reason."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme/b.json").write_text('{"amount": "x"}')
    result = compare(tmp_path, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["data"], len(found["not_compared"])) == (0, [], 1)
    assert found["not_compared"][0]["request"] == "acme/b.json"
    assert "both refuse it: $.merchant_reference" in found["not_compared"][0]["why"]
    told = compare(tmp_path)
    assert "both refuse it" in told.stdout
    assert told.stderr == "0 of 1 requests change, 1 could not be compared\n"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("acme/x.json", "Is a directory"),
        ("nobody/x.json", 'there is no tenant "nobody"'),
        ("acme/y.json", "is not JSON: expecting"),
    ],
)
def test_a_file_that_is_no_create_of_a_tenant(tmp_path: Path, name: str, why: str) -> None:
    """Exit 1, after what can be compared is shown."""
    path = tmp_path / name
    if "directory" in why:
        path.mkdir(parents=True)
    else:
        path.parent.mkdir()
        path.write_text("{")
    result = compare(tmp_path, "--json")
    [found] = json.loads(result.stdout)["not_compared"]
    assert (result.exit_code, found["request"]) == (1, name)
    assert why in found["why"]


def test_a_tenant_that_is_gone(tmp_path: Path) -> None:
    """Its creates would be refused."""
    found = diff(tmp_path, ("\n  globex:", "\n  initech:"))
    assert found == {"globex/card.json": {"refused": (None, 'there is no tenant "globex"')}}


def test_a_secret_that_differs_is_named_and_not_shown(tmp_path: Path) -> None:
    """In a header, and inside a body."""
    found = diff(
        tmp_path,
        ("shared_secret: development-shared-secret", "shared_secret: another-shared-secret"),
        ("generation: 1 ", "generation: 2 "),
    )
    assert found["acme/order.json"] == {"shared_secret": ("***", "***")}
    assert found["acme/routed.json"]["crm-pay-token"] == ("***", "***")


def test_people_see_a_table_and_a_count(tmp_path: Path) -> None:
    """The count is on stderr."""
    result = diff(tmp_path, ("app_url: http://127.0.0.1:9102 ", "app_url: http://127.0.0.1:9103 "), as_json=False)
    [_, *rows] = result.stdout.splitlines()
    urls = [f"http://127.0.0.1:{port}/pay/url" for port in (9102, 9103)]
    assert [row.split() for row in rows] == [[name, "url", *urls] for name in ("acme/routed.json", "globex/card.json")]
    assert result.stderr == "2 of 3 requests change\n"


def test_bodies_of_the_tenants_own_shape(tmp_path: Path) -> None:
    """Both settings map them first; a changed expression shows in what is sent."""
    posted = {"orderNumber": "SO-7", "totals": {"grand": "25.50", "net": "21.00"}, "lines": []}
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "own.json").write_text(json.dumps(posted))
    (tmp_path / "new.yaml").write_text(SHIPPED.read_text().replace("amount: totals.grand", "amount: totals.net"))
    result = run("map", "diff", SHIPPED, tmp_path / "new.yaml", "--requests", tmp_path, "--map", "erp", "--json")
    changes = {one["key"]: (one["old"], one["new"]) for one in json.loads(result.stdout)["data"][0]["changes"]}
    assert changes["sum"] == (25.5, 21)


def test_a_folder_without_creates(tmp_path: Path) -> None:
    """Exit 2: nothing compared would read like nothing changed."""
    (tmp_path / "acme.json").write_text("{}")
    result = run("map", "diff", SHIPPED, SHIPPED, "--requests", tmp_path)
    assert (result.exit_code, "holds no TENANT/NAME.json" in result.stderr) == (2, True)
