"""Read ``settings.yaml`` and its includes, resolve everything, and report all problems at once. Never half a result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from yaml.nodes import Node

from gateway.core.errors import SettingsError
from gateway.core.money import currency_digits
from gateway.core.secret import Secret
from gateway.drivers.settings.accounts import Resolver
from gateway.drivers.settings.bearer_keys import index_operator_keys, index_tenant_keys
from gateway.drivers.settings.load_context import LoadContext
from gateway.drivers.settings.model import Operators, OperatorWebhook, Server, Settings, Tenant
from gateway.drivers.settings.overview import overview_of
from gateway.drivers.settings.piecewise import let_go, without_collector
from gateway.drivers.settings.problems import Problem
from gateway.drivers.settings.restart import keep_running, keeps_secret
from gateway.drivers.settings.scalar_reader import INVALID, Invalid, LoadState, Raw
from gateway.drivers.settings.schema import SECRET_FORMS, FileShape, ServerShape
from gateway.drivers.settings.settings_files import SettingsFiles
from gateway.drivers.settings.shared_credentials import note_shared_credentials
from gateway.drivers.settings.store_target import resolve_stores
from gateway.drivers.settings.struct_reader import reader_of
from gateway.drivers.settings.tenants import check_tenants_stores, find_endpoints, resolve_tenant
from gateway.drivers.settings.yaml_file import as_data, is_null, nothing, value_at
from gateway.provider import Provider

AS_WRITTEN = ("include", "timeouts", "limits", "egress", "clocks", "log", "retention", "currencies")
"""Sections of the file that need no resolving."""


def read_settings(path: Path) -> SettingsFiles:
    """Read the files once for ``plugin_names`` and ``load_settings``. Blocking, as both are."""
    with without_collector(exempt=False):
        return SettingsFiles(path)


def load_settings(
    source: Path | SettingsFiles,
    *,
    providers: Mapping[str, Provider],
    environ: Mapping[str, str],
    edited: Mapping[Path, str] | None = None,
    running: Settings | None = None,
) -> Settings:
    """Load and check everything. Raises ``SettingsError`` with one line per mistake, in the order of the files.

    ``source``: the settings file, or what ``read_settings`` read, which is used up.
    ``edited``: texts in place of those of some files, which are changed only if they can be loaded.
    ``running``: the settings of a process that loads again; of what only a start can change it keeps those.
    Blocking (files, no network); thousands of tenants take a second or two.
    """
    with without_collector(exempt=running is not None):
        files = source if isinstance(source, SettingsFiles) else SettingsFiles(source, edited)
        found = _load(files, providers, environ, running)
    if isinstance(found, Settings):
        return keep_running(found, running) if running else found
    raise SettingsError([str(problem) for problem in found])


def _load(
    files: SettingsFiles, providers: Mapping[str, Provider], environ: Mapping[str, str], running: Settings | None
) -> Settings | Sequence[Problem]:
    """A function of its own so that the tree is gone before the collector is back and would walk it."""
    settings = _resolve(files, providers, environ, running) if files.usable else None
    files.release()
    if settings is not None and not files.problems:
        return settings
    tenants = [] if settings is None else list(settings.tenants.values())
    settings = None
    let_go(tenants)
    return files.in_order()


def _resolve(
    files: SettingsFiles, providers: Mapping[str, Provider], environ: Mapping[str, str], running: Settings | None
) -> Settings | None:
    """Resolve all that can be; None when a part is missing without which there are no Settings at all."""
    context = _context(files, environ, running)
    if not context.development:
        files.problems += files.open_to_others
    state = LoadState(files.root, context, files.problems)
    shape: FileShape = reader_of(FileShape)(files.root, (), state)
    node = shape.server.node if shape.server else nothing("")
    server: ServerShape | Invalid = reader_of(ServerShape)(node, ("server",), state)
    _check_currencies(shape, state)
    # Without a master secret the tenants are still checked; what is derived here is never used.
    secrets = _secrets(server, state) or (Secret(""),)
    used = running.server.secrets if running and not keeps_secret(secrets, running) else secrets
    tenants = _tenants(shape.tenants, _resolver(shape, state, providers, used))
    keys, endpoints = index_tenant_keys(tenants.values(), state), find_endpoints(tenants.values(), state)
    stores = resolve_stores(shape.store, shape.stores, state)
    check_tenants_stores(tenants.values(), stores, state)
    if server is INVALID:
        return None
    operators = index_operator_keys(server.admin, state)
    _check_ports(server, state)
    note_shared_credentials(state, tenants, server.admin)
    return Settings(
        server=_server(server, secrets),
        **stores,
        blocked=shape.plugins.blocked,
        allowed=shape.plugins.allowed,
        tenants=tenants,
        endpoints=endpoints,
        keys_by_sha256=keys,
        operators_by_sha256=operators,
        overview=overview_of(tenants, keys, operators),
        operator_webhooks=_operator_webhooks(shape.operators, stores.get("further_stores", ()), state),
        source=files.path,
        digest=files.digest,
        shared_digest=files.shared_digest,
        **{section: getattr(shape, section) for section in AS_WRITTEN},
    )


def _context(files: SettingsFiles, environ: Mapping[str, str], running: Settings | None) -> LoadContext:
    written = value_at(files.root, ("server", "development"))
    development = running.server.development if running else written is not None and _is_on(written)
    return LoadContext(folder=files.path.parent, owner=files.owner, environ=environ, development=development)


def _secrets(server: ServerShape | Invalid, state: LoadState) -> tuple[Secret, ...]:
    """The master secrets, the one for what is new first; none after noting that both forms are given, or neither."""
    nodes = {form: value_at(state.root, ("server", form)) for form in SECRET_FORMS}
    given = [form for form, node in nodes.items() if node is not None and not is_null(node)]
    if not given:
        state.note(("server", "secret"), "is missing")
    if len(given) > 1:
        state.note(("server", "secrets"), "is given beside server.secret: list that one here too, and remove the other")
    if server is INVALID or len(given) != 1:
        return ()
    return server.secrets or ((server.secret,) if server.secret is not None else ())


def _resolver(
    shape: FileShape, state: LoadState, providers: Mapping[str, Provider], secrets: tuple[Secret, ...]
) -> Resolver:
    return Resolver(
        state=state,
        providers=providers,
        currencies=shape.currencies,
        clocks=shape.clocks,
        timeouts=shape.timeouts,
        secrets=secrets,
    )


def _tenants(given: Mapping[str, Raw], resolver: Resolver) -> dict[str, Tenant]:
    found = ((name, resolve_tenant(name, raw.node, resolver)) for name, raw in given.items())
    return {name: tenant for name, tenant in found if tenant is not None}


def _server(shape: ServerShape, secrets: tuple[Secret, ...]) -> Server:
    same = {name: getattr(shape, name) for name in Server.__struct_fields__ if name != "secrets"}
    return Server(secrets=secrets, **same)


def _operator_webhooks(operators: Operators, further: Iterable[str], state: LoadState) -> dict[str, OperatorWebhook]:
    """By owner, one in each store; an address that is named twice is noted."""
    found: dict[str, OperatorWebhook] = {}
    for number, webhook in enumerate(operators.webhooks):
        if found.setdefault(webhook.owner, webhook) is not webhook:
            state.note(("operators", "webhooks", number, "url"), "is named twice: give the first one all its types")
    return found | {f"{owner}@{store}": webhook for owner, webhook in found.items() for store in further}


def _check_ports(server: ServerShape, state: LoadState) -> None:
    """Two listeners need two ports; 0.0.0.0 takes a port of every IPv4 address. Others show when they listen."""
    hosts = {server.host, server.admin.host}
    shared = len(hosts) == 1 or ("0.0.0.0" in hosts and ":" not in "".join(hosts))  # noqa: S104  # not listened on here
    if shared and server.port == server.admin.port != 0:
        state.note(("server", "admin", "port"), "is server.port too: give the operators' listener another one")


def _check_currencies(shape: FileShape, state: LoadState) -> None:
    """A currency of ISO 4217 keeps its digits: money already stored would change its meaning."""
    for code, digits in shape.currencies.items():
        standard = currency_digits(code, {})
        if standard is not None and standard != digits:
            state.note(("currencies", code), f"is an ISO 4217 currency with {standard} digits; that cannot be changed")


def _is_on(switch: Node) -> bool:
    """Read a switch as its member of ``Server`` is read; what is refused there is on, so that only the slip is told."""
    try:
        return not is_null(switch) and msgspec.convert(as_data(switch), bool, strict=False)
    except msgspec.ValidationError:
        return True
