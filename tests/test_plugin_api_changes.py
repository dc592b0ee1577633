"""``docs/plugin-api-changes.md`` is in step with the plugin API: each name stands under the version that brought it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import gateway
from gateway import hookspecs
from gateway.drivers.provider_declaration import OPTIONAL, REQUIRED

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "plugin-api-changes.md").read_text()
VERSIONS = re.findall(r"^## (\d+\.\d+)$", PAGE, re.MULTILINE)
HAS: dict[str, tuple[str, set[str]]] = {
    "the public door": ("Names", set(gateway.__all__)),
    "members of a provider": ("Members of a provider", {*REQUIRED, *OPTIONAL}),
    "hooks": ("Hooks", {name for name in vars(hookspecs) if name.startswith("gateway_")}),
}


def listed(kind: str) -> Iterator[str]:
    """The names of one kind, of all versions."""
    for paragraph in PAGE.split("\n\n"):
        if paragraph.startswith(f"{kind}: "):
            yield from re.findall(r"`(\w+)`", paragraph)


@pytest.mark.parametrize("what", HAS)
def test_each_name_is_under_one_version(what: str) -> None:
    """A name that comes or goes changes the page, in the same commit."""
    kind, names = HAS[what]
    assert sorted(listed(kind)) == sorted(names)


def test_the_newest_version_is_the_gateways() -> None:
    """The page's last section is about the API that is here."""
    assert VERSIONS[-1] == gateway.API_VERSION
    assert len(set(VERSIONS)) == len(VERSIONS)
