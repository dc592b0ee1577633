"""Refuse a credential that is used in two places: it would open in one what was meant for the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from gateway.drivers.settings.model import Admin, BearerKey, Tenant
from gateway.drivers.settings.problems import Path, path_for_people
from gateway.drivers.settings.scalar_reader import LoadState
from gateway.drivers.settings.weak_credentials import fingerprints_of_hash, fingerprints_of_secret
from gateway.drivers.settings.yaml_file import text_at


def note_shared_credentials(state: LoadState, tenants: Mapping[str, Tenant], admin: Admin) -> None:
    """Outside development note every credential that is used in a second place, in any role."""
    if state.context.development:
        return
    first: dict[str, Path] = {}
    for path, marks in [*_secrets(state), *_hashes(tenants, admin)]:
        other = next((first[mark] for mark in marks if mark in first), None)
        if other is not None and not _may_share(path, other, state):
            state.note(path, f"is the same as {path_for_people(other)}: every place needs a credential of its own")
        first |= {mark: path for mark in marks if mark not in first}


def _secrets(state: LoadState) -> Iterator[tuple[Path, frozenset[str]]]:
    for path, secret in state.secrets.items():
        yield path, fingerprints_of_secret(secret.reveal())


def _hashes(tenants: Mapping[str, Tenant], admin: Admin) -> Iterator[tuple[Path, frozenset[str]]]:
    """The keys' hashes; one that is there twice among tenants, or among operators, was noted by ``keys.py``."""
    listed = [(("server", "admin", "key_sha256"), admin.key_sha256)] if admin.key_sha256 else []
    operators = [*listed, *_listed(("server", "admin"), admin.keys)]
    of_tenants = [place for tenant in tenants.values() for place in _listed(("tenants", tenant.id), tenant.keys)]
    for group in (operators, of_tenants):
        first = {sha256: path for path, sha256 in reversed(group)}
        yield from ((path, fingerprints_of_hash(sha256)) for sha256, path in first.items())


def _listed(at: Path, keys: Iterable[BearerKey]) -> Iterator[tuple[Path, str]]:
    for number, key in enumerate(keys):
        yield (*at, "keys", number, "sha256"), key.sha256


def _may_share(path: Path, other: Path, state: LoadState) -> bool:
    """Whether two places may hold one credential: the same member of two accounts of one tenant at one provider.

    Such as a merchant's only pair of keys, under one account for links and another for redirects.
    """
    if path[2:3] != ("accounts",) or path[:3] != other[:3] or path[4:] != other[4:]:
        return False
    mine, others = (text_at(state.root, (*account[:4], "provider")) for account in (path, other))
    return mine == others
