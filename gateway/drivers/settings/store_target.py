"""Where the store is: a SQLite file, or a PostgreSQL database, whose URL is a secret: it may hold a password."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
from msgspec.structs import replace

from gateway.core.secret import Secret
from gateway.drivers.settings.load_context import LoadContext, Parse
from gateway.drivers.settings.problems import Path as KeyPath
from gateway.drivers.settings.problems import unknown_entry
from gateway.drivers.settings.scalar_reader import LoadState
from gateway.drivers.settings.secrets import referred, refuse_weak_password
from gateway.drivers.settings.values import Seconds

SQLITE, POSTGRESQL = "sqlite:///", "postgresql://"

FORMS = "must be sqlite:///PATH (relative), sqlite:////PATH (absolute) or postgresql://user@host:port/database"
WRITTEN_OUT = (
    "holds a password that is written out: put the whole URL into env:NAME or file:PATH, or leave the password out and"
    " set PGPASSWORD or PGPASSFILE (literals need server.development: true)"
)

_HOST = r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.%/-]*)(:[0-9]{1,5})?"
_NAME = re.compile(r"[a-z_]{1,40}")
_OUT_OF_PLACE = re.compile("[ #]|%(?!(?!00)[0-9A-Fa-f]{2})")
_HOSTS = re.compile(rf"{_HOST}(,{_HOST})*")


def store_url(text: str, context: LoadContext) -> Path | Secret:
    """Read ``store.url``; what ``env:NAME`` or ``file:PATH`` refers to is the whole URL. Raises ``ValueError``."""
    given = referred(text, context)
    url = text if given is None else given
    if url.startswith(POSTGRESQL):
        password = _password_of(url)
        if password and not context.development:
            if given is None:
                raise ValueError(WRITTEN_OUT)
            refuse_weak_password(password)
        return Secret(url)
    path = url.removeprefix(SQLITE)
    if path == url or not path.strip("/"):
        raise ValueError(FORMS)
    return context.folder / path


def _password_of(url: str) -> str:
    """The password in a URL of PostgreSQL; empty where it has none. Raises ``ValueError`` for what is no such URL."""
    if not url.isascii() or not url.isprintable() or _OUT_OF_PLACE.search(url):
        raise ValueError("has characters that a URL must not have: write them percent-encoded, # as %23, % as %25")
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    if _HOSTS.fullmatch(hosts) is None:
        raise ValueError("must name its host as host, host:port or, in a list with commas, several of them")
    if not parts.path.strip("/") or "/" in parts.path[1:]:
        raise ValueError("must name one database: postgresql://user@host:port/database")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if parts.query and find_spec("psycopg"):  # without it ``check`` asks for it
        _refuse_unknown(query, url)
    if not (hosts or "host" in query or "service" in query):
        raise ValueError("must name a host: postgresql://user@host:port/database, or ?host=/folder of a socket")
    return unquote(user.partition(":")[2]) or query.get("password", "")


def _refuse_unknown(query: Collection[str], url: str) -> None:
    """Refuse parameters that libpq does not know. Raises ``ValueError``."""
    from psycopg import Error, conninfo, pq  # only where a URL has some

    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    for name in query:
        if name not in known:
            # What does not look like a name may be the end of a password with a character that is not encoded.
            raise ValueError(unknown_entry("parameter", name if _NAME.fullmatch(name) else "…", known))
    try:
        conninfo.conninfo_to_dict(url)
    except Error:
        raise ValueError("must have its parameters as ?name=value&name=value, percent-encoded") from None


StoreUrl = Annotated[Path | Secret, Parse(store_url)]


class StoreTarget(msgspec.Struct, frozen=True, kw_only=True):
    """``store``: a SQLite file, or the URL of a PostgreSQL database.

    The others are for PostgreSQL; None leaves them to its engine. ``pool``: connections of one process. Timeouts in
    seconds: of a statement, and of its waiting for a lock. ``erased_file``: the list that SQLite has beside its file.
    """

    url: StoreUrl = Path("var/gateway.db")
    pool: Annotated[int, msgspec.Meta(ge=2, le=1000)] | None = None
    statement_timeout: Seconds | None = None
    lock_timeout: Seconds | None = None
    erased_file: Annotated[Path, Parse(lambda text, context: context.folder / text)] | None = None

    @property
    def path(self) -> Path | None:
        """The SQLite file; None for PostgreSQL."""
        return self.url if isinstance(self.url, Path) else None

    @property
    def folder(self) -> Path | None:
        """The folder of the SQLite file; None for PostgreSQL."""
        return None if self.path is None else self.path.parent


MAIN = "main"
"""The name of the only store, and of several that of the gateway's own rows."""

FOR_POSTGRESQL = {
    "pool": "SQLite has one writer",
    "statement_timeout": "SQLite runs in this process",
    "lock_timeout": "SQLite has one writer",
    "erased_file": "SQLite has it beside its file",
}
"""Keys that mean nothing for SQLite, and why."""


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The part of the settings about stores. ``store`` has the gateway's own rows, and those of tenants that name none.

    ``further_stores`` are the others that ``stores`` names.
    """

    store: StoreTarget
    main_store: str = MAIN
    further_stores: Mapping[str, StoreTarget] = msgspec.field(default_factory=dict)

    @property
    def stores(self) -> dict[str, StoreTarget]:
        """All of them by name, that of the gateway's own rows first."""
        return {self.main_store: self.store, **self.further_stores}

    @property
    def store_folders(self) -> list[Path]:
        """The folders of SQLite files."""
        return [target.folder for target in self.stores.values() if target.folder is not None]


def resolve_stores(store: StoreTarget | None, stores: Mapping[str, StoreTarget], state: LoadState) -> dict[str, Any]:
    """The members of ``StoreSettings``. Of several stores the one named main is ``store``, or else the first."""
    if store is not None and stores:
        state.note(("stores",), "is given beside store: name that one here too, as main, and remove the other")
    if not stores:
        return {"store": _resolved(store or StoreTarget(), ("store",), state)}
    found = {name: _resolved(target, ("stores", name), state) for name, target in stores.items()}
    main = MAIN if MAIN in found else next(iter(found))
    places: dict[Path | Secret, str] = {}
    known = {name: found[name] for name in found if not state.is_noted(("stores", name, "url"))}
    first = next(iter(known), main)
    for name, target in known.items():
        if places.setdefault(target.url, name) != name:
            state.note(("stores", name, "url"), f"is that of {places[target.url]} too: give each store its own")
        if (target.path is None) != (known[first].path is None):
            state.note(("stores", name, "url"), f"is another kind of database than {first}: use one kind for all")
    return {"store": found.pop(main), "main_store": main, "further_stores": found}


def _resolved(target: StoreTarget, path: KeyPath, state: LoadState) -> StoreTarget:
    """Make the path of a SQLite file whole, and note the keys that it does not have: not where the URL was refused."""
    if target.path is None or state.is_noted((*path, "url")):
        return target
    for key, why in FOR_POSTGRESQL.items():
        if getattr(target, key) is not None:
            state.note((*path, key), f"is for PostgreSQL only: {why}")
    return replace(target, url=state.context.folder / target.path)
