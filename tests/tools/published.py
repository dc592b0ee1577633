"""Every credential in the files of this repository that people copy from, which everybody therefore has.

``python -m tests.tools.published`` writes their hashes into the table that production settings are held against.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from gateway.cli.loading import load
from gateway.core.secret import Secret
from gateway.core.signing import sha256_hex
from gateway.drivers.settings.weak_credentials import signing_bytes

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "gateway/drivers/settings/published_credentials.txt"
FILES = (
    "settings.yaml",
    "*.md",
    "docs/**/*.md",
    "examples/**/*.*",
    "gateway/**/*.yaml",
    "gateway/cli/scaffold/**/samples.json",
    "bench/*.py",
    "tests/support/stack.py",
    "tests/plugins/fixtures/**/*.*",
)
"""Where somebody may take an example from."""

KEY = re.compile(r"\bgw_[A-Za-z0-9-]+_([A-Za-z0-9_-]{8,})")
WEBHOOK = re.compile(r"\bwhsec_([A-Za-z0-9+/]{16,}={0,2})")
HASH = re.compile(r"\b[0-9a-f]{64}\b")
MEMBER = re.compile(r"""(?:secret|token|password|_key)["']?\s*[:=]\s*["']?([^\s"'`,;{}()\[\]<>|]{8,})""", re.IGNORECASE)

NAME = re.compile(r"[A-Za-z_.$]+|(env|file):.*")
"""A name or a reference: the value of the member is not a secret."""


def published() -> frozenset[str]:
    """The hashes of every published text; a published hash is there as it stands and hashed once more."""
    texts = {
        text
        for path in sorted(_files())
        for text in _credentials_in(path.read_text(encoding="utf-8", errors="replace"))
    }
    hashes = {text for text in texts if HASH.fullmatch(text)}
    return frozenset({sha256_hex(text) for text in {*texts, *_derived()}} | hashes)


def table() -> str:
    """The file that holds the hashes."""
    return "".join(f"{digest}\n" for digest in sorted(published()))


def _files() -> Iterator[Path]:
    for pattern in FILES:
        yield from (path for path in ROOT.glob(pattern) if path.is_file())


def _credentials_in(text: str) -> Iterator[str]:
    """Keys, webhook secrets and hashes wherever they stand, secrets by their member's name; each in every form."""
    for found in KEY.finditer(text):
        yield from (found[0], found[1])
    for found in WEBHOOK.finditer(text):
        yield from (found[0], found[1], signing_bytes(found[0]).decode("utf-8", "replace"))
    yield from HASH.findall(text)
    yield from (value for value in MEMBER.findall(text) if not NAME.fullmatch(value))


def _derived() -> Iterator[str]:
    """What the shipped settings derive from their published master secret, and what they show to the other side."""
    for entry in load(ROOT / "settings.yaml").entries:
        credentials = entry.provider.credentials(entry.account).values()
        yield from (value.reveal() for value in credentials if isinstance(value, Secret))


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
