"""Bearer keys by their hash: those of tenants, and those of operators. A hash or an id that is used twice is noted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from gateway.core.key_families import ONE_PERSON, person_of
from gateway.drivers.settings.model import Admin, BearerKey, OperatorKey, Tenant
from gateway.drivers.settings.problems import Path
from gateway.drivers.settings.scalar_reader import LoadState

K = TypeVar("K", bound=BearerKey)

OPERATOR = "operator"
"""The id of the operators' key that ``server.admin.key_sha256`` names."""


def index_tenant_keys(tenants: Iterable[Tenant], state: LoadState) -> Mapping[str, tuple[str, BearerKey]]:
    """Index every tenant's keys. An id belongs to one key of its tenant, a hash to one key of all tenants."""
    found: dict[str, tuple[str, BearerKey]] = {}
    for tenant in tenants:
        listed = _listed(tenant.keys, ("tenants", tenant.id, "keys"))
        _note_duplicate_ids(listed, "of this tenant", state)
        for path, key in listed:
            if key.sha256 in found:
                owner, other = found[key.sha256]
                state.note((*path, "sha256"), f'is already key "{other.id}" of tenant {owner}')
            found.setdefault(key.sha256, (tenant.id, key))
    return found


def index_operator_keys(admin: Admin, state: LoadState) -> Mapping[str, OperatorKey]:
    """Index the operators' keys, the one of ``key_sha256`` among them."""
    listed = _listed(admin.keys, ("server", "admin", "keys"))
    if admin.key_sha256 is not None:
        listed.insert(0, (("server", "admin"), OperatorKey(id=OPERATOR, sha256=admin.key_sha256)))
    _note_duplicate_ids(listed, "of operators", state)
    found: dict[str, OperatorKey] = {}
    for path, key in listed:
        if found.setdefault(key.sha256, key) is not key:
            state.note((*path, "sha256"), f'is already key "{found[key.sha256].id}" of operators')
    if admin.approvals > 1:
        _check_two_may_act(found.values(), state)
    return found


def _check_two_may_act(keys: Iterable[OperatorKey], state: LoadState) -> None:
    """Note where an act could be asked for and never approved. A key that has expired must not end a gateway."""
    people = {person_of(key.id, key.name) for key in keys if key.role != "read"}
    if len(people) < 2:
        there = f"there is 1, {people.pop()}" if people else "there are 0"
        state.note(("server", "admin", "approvals"), f"needs 2 people with keys that may act; {there}. {ONE_PERSON}")


def _listed(keys: Iterable[K], at: Path) -> list[tuple[Path, K]]:
    return [((*at, number), key) for number, key in enumerate(keys)]


def _note_duplicate_ids(listed: Iterable[tuple[Path, BearerKey]], whose: str, state: LoadState) -> None:
    ids: set[str] = set()
    for path, key in listed:
        if key.id in ids:
            state.note((*path, "id"), f'"{key.id}" is already the id of another key {whose}')
        ids.add(key.id)
